"""Limits of sampled sequences: what values do as the step shrinks, on one side.

A sequence is sampled at steps `m 2^e` with four mantissas `m`: four ladders, so that an
oscillation in step with the powers of two cannot pass for a limit.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np

from jaxcalc.derivatives._richardson import (
    REACH,
    Estimate,
    Ladder,
    Noise,
    grows,
    previous,
    rounded_away,
    settle,
)
from jaxcalc.derivatives.ladder import one_sided

MANTISSAS = np.array([1.0, 1.25, 1.5, 1.75])
_WINDOW = 8  # octaves
_OCTAVES = 6  # of which the noise is heard


class Trend(Enum):
    """What a sequence does as the step shrinks."""

    FINITE = "has a limit"
    UP = "grows without bound"
    DOWN = "falls without bound"
    OSCILLATES = "oscillates"
    UNKNOWN = "cannot be told"
    ABSENT = "is not defined"


class Limit(NamedTuple):
    """The trend of a sequence, and its limit where there is one."""

    trend: Trend
    value: float = np.nan
    error: float = np.inf

    @property
    def finite(self) -> bool:
        """Whether there is a limit."""
        return self.trend is Trend.FINITE

    @property
    def infinite(self) -> bool:
        """Whether the sequence grows or falls without bound."""
        return self.trend in {Trend.UP, Trend.DOWN}


def side_steps(x: float, eps: float, *, coarse: float = 0.0) -> np.ndarray:
    """Steps of the four ladders, `(4, k)`, from large to the rounding of `x`.

    Args:
        x: The point.
        eps: The rounding unit of its dtype.
        coarse: The smallest step that makes sense, where that is known.

    Returns:
        Steps, largest first in each row.
    """
    digits = round(-np.log2(eps))
    top = int(np.ceil(np.log2(max(1.0, abs(x))))) + int(np.log2(REACH))
    bottom = -int(1.15 * digits) - 14  # floats are dense around zero
    if x != 0:
        bottom = int(np.floor(np.log2(abs(x)))) - digits
    if coarse > 0:
        bottom = max(bottom, int(np.ceil(np.log2(coarse))))
    stride = max(1, -(-(top - bottom) // 100))
    exponents = np.arange(top, bottom - 1, -stride)
    return MANTISSAS[:, None] * np.exp2(np.clip(exponents, -1022.0, 1023.0))


def limit(
    steps: np.ndarray,
    sequence: np.ndarray,
    eps: float,
    *,
    spacing: float = 0.0,
    flat: bool = True,
) -> Limit:
    """The limit of a sequence that is known up to rounding.

    Args:
        steps: Steps, shape `(4, k)`.
        sequence: Its values there.
        eps: Their rounding unit.
        spacing: Distance of the floats around the point: the place that is meant may
            lie between two of them.
        flat: Whether a narrow flat stretch at the smallest steps is believed, and not
            taken for rounding inside the function.

    Returns:
        The trend, the limit and its error.
    """
    if not flat:
        rows = Ladder(steps, sequence[:, -1], sequence, sequence, eps)
        rise = sequence - _final(sequence)
        sequence = np.where(rounded_away(rise, rows), np.nan, sequence)
    rounding = eps * np.abs(sequence)

    def settled(sequence: np.ndarray) -> Estimate:
        floor = _noise(sequence, steps, eps)
        rows = Ladder(steps, sequence[:, -1], sequence, sequence, eps)
        noise = Noise(rounding, rounding + floor)
        return settle(sequence, noise, rows, power=1, doubtful=False)

    trend = _trend(steps, sequence, rounding, spacing, steepest=3.0)
    # Values and slopes carry no noise that grows, so all of their range is their size.
    least = 0.05 * _spread(sequence, steps, 1.0, 0.0)
    return _decided(trend, settled, sequence, sequence, steps, eps, least)


def slope(
    steps: np.ndarray,
    values: np.ndarray,
    center: float,
    eps: float,
    *,
    spacing: float = 0.0,
    order: int = 1,
) -> Limit:
    """The one-sided derivative, from values on the right.

    Args:
        steps: Steps, shape `(4, k)`.
        values: Values there.
        center: The value at the point, or the limit of the values.
        eps: The rounding unit of the values.
        spacing: Distance of the floats around the point.
        order: Which derivative, 1 or 2.

    Returns:
        The trend of the quotients, the derivative and its error.
    """
    quotients = (values - center) / steps
    sizes = np.maximum(np.abs(values), abs(center))
    moved = spacing * np.abs(quotients)
    rounding = 2 * eps * sizes / steps
    if order == 2:
        # On the way to f'' the quotients g_1 are differenced once more.
        apart = steps * (steps[:, :1] / steps[:, 1:2] - 1)
        quotients = 2 * (previous(quotients) - quotients) / apart
        rounding = 2 * (previous(rounding) + rounding) / apart

    def settled(values: np.ndarray) -> Estimate:
        # The place that is meant may lie between two floats.
        off = np.max(np.nan_to_num(moved[:, -4:], nan=0.0, posinf=0.0), axis=1)
        noise = np.maximum(_noise(values, steps, eps), off)
        start = np.full(len(steps), center)
        rows = Ladder(steps, start, values, values, eps, noise)
        return one_sided(rows, order, "right", bounded=True)

    # Noise of a quotient grows like 1/h: what grows so fast is no oscillation.
    trend = _trend(steps, quotients, rounding, spacing, steepest=order - 0.25)
    scale = float(steps[0, 0]) / REACH
    near = sizes[np.isfinite(sizes) & (steps <= scale)]
    least = 1e3 * eps * float(np.max(near, initial=0.0)) / scale**order
    return _decided(trend, settled, values, quotients, steps, eps, least)


def _is_near(found: Limit, sequence: np.ndarray, steps: np.ndarray) -> bool:
    """Whether the closest values are near their limit, and hardly move any more."""
    seen = sequence.T[np.isfinite(sequence.T)][-12:]
    if not found.finite or not seen.size:
        return True
    size = _spread(sequence, steps, 1.0, 2.0**-9) + abs(found.value)
    reach = _spread(sequence, steps, 1.0, 0.0)
    off = float(np.median(np.abs(seen - found.value)))
    still = 4 * found.error + 0.01 * size + 1e-3 * reach
    return off <= 10 * size + 0.01 * reach and float(np.ptp(seen)) <= still


def _final(sequence: np.ndarray) -> np.ndarray:
    """The value at the smallest step that has one, in each row."""
    index = sequence.shape[1] - 1 - np.argmax(np.isfinite(sequence[:, ::-1]), axis=1)
    return np.take_along_axis(sequence, index[:, None], axis=1)


def _noise(values: np.ndarray, steps: np.ndarray, eps: float) -> float:
    """Noise of the values: the roughness of the closest octaves."""
    heard = _roughness(values)
    finite = np.isfinite(values[0])
    least = np.min(steps[0], where=finite, initial=np.inf)
    near = steps[0] <= min(eps**0.25 * steps[0, 0] / REACH, least / eps**0.5)
    closest = heard[np.isfinite(heard) & near][-_OCTAVES:]
    return float(np.max(closest, initial=0.0)) / 2


def _roughness(values: np.ndarray) -> np.ndarray:
    """Third differences of the neighbours within each octave."""
    # Values that are all equal are rounded to one and hide the noise.
    differences = np.abs(values[3] - 3 * values[2] + 3 * values[1] - values[0])
    return np.where(np.ptp(values, axis=0) > 0, differences, np.nan)


def _decided(
    trend: Trend | None,
    settled: Callable[[np.ndarray], Estimate],
    values: np.ndarray,
    sequence: np.ndarray,
    steps: np.ndarray,
    eps: float,
    least: float,
) -> Limit:
    """The limit, unless there is another trend that larger steps do not contradict."""
    if trend is Trend.ABSENT:
        return Limit(trend)
    size = _spread(sequence, steps, 1.0, 2.0**-9)
    if trend is None:
        found = _combined(settled(values), 64 * eps * size, 0.05 * size + least, 0.05)
        if found.finite and (values is not sequence or _is_near(found, values, steps)):
            return found
    # Rounding inside a function can make it run wild at small steps, as in
    # `(exp(x) - 1 - x) / x**2`; then larger steps see a limit, and all is open, unless
    # the way in which the values leave that limit is plainly noise.
    size = _spread(sequence, steps, 1.0, 0.25)
    for cut in (c for c in (eps**0.5, eps ** (1 / 3), eps**0.25) if c < 1e-3):
        large = steps >= cut * steps[0, 0] / REACH
        seen = np.where(large, values, np.nan)
        story = _combined(settled(seen), 64 * eps * size, 1e-4 * size, 1e-4)
        if story.finite:
            noisy = values is sequence and _is_noise(values, story)
            return story if noisy else Limit(Trend.UNKNOWN)
    return Limit(Trend.UNKNOWN if trend is None else trend)


def _is_noise(values: np.ndarray, story: Limit) -> bool:
    """Whether values leave a limit in leaps and bounds, as noise does."""
    misfit = np.max(np.abs(values - story.value), axis=0)
    there = np.flatnonzero(misfit <= 10 * story.error)
    if not there.size:
        return False
    rough = (_roughness(values) / misfit)[there[-1] + 1 :]
    first = rough[np.isfinite(rough)][:_OCTAVES]
    return first.size > 1 and float(np.median(first)) > 0.5


def _combined(rows: Estimate, slack: float, absolute: float, relative: float) -> Limit:
    """One limit of the four ladders, if they agree on one that is close enough."""
    best = int(np.argmin(rows.error))
    value, error = float(rows.value[best]), float(rows.error[best])
    beyond = np.abs(rows.value - value) - 2 * (rows.error + error)
    apart = np.isfinite(rows.value) & (beyond > slack + 1e-14 * abs(value))
    close = error <= absolute + relative * abs(value)
    if np.isfinite(error) and close and not apart.any():
        return Limit(Trend.FINITE, value, error)
    return Limit(Trend.UNKNOWN, value, error)


def _trend(
    steps: np.ndarray,
    sequence: np.ndarray,
    rounding: np.ndarray,
    spacing: float,
    *,
    steepest: float,
) -> Trend | None:
    """Any trend but a limit."""
    if not np.isfinite(sequence).any():
        return Trend.ABSENT
    # The pole that is meant may lie between two floats.
    usable = np.isfinite(sequence) & (steps > 8 * spacing)
    # Leaps on the way up are noise that grows, not the function.
    close = steps[0] <= 1e-3 * steps[0, 0] / REACH
    leaps = (_roughness(sequence) > 0.5 * np.ptp(sequence, axis=0)) & close
    if np.all(grows(sequence, rounding, usable, shrink=0.995)):
        if leaps.sum() >= 4 or not _goes_on(sequence[0], usable[0]):
            return None
        change = (sequence - previous(sequence))[usable]
        return Trend.UP if change[-1] > 0 else Trend.DOWN
    if _oscillates(steps, sequence, rounding, steepest):
        return Trend.OSCILLATES
    return None


def _goes_on(row: np.ndarray, usable: np.ndarray) -> bool:
    """Whether growth also carries on over the closest steps, which are not exact."""
    last, final = (int(np.flatnonzero(k)[-1]) for k in (usable, np.isfinite(row)))
    step = row[last] - row[last - 1]
    gone = 0.0 if last == final else (row[final] - row[last]) / step
    return bool(last == final or gone > 0.5 * (final - last))


def _oscillates(
    steps: np.ndarray, sequence: np.ndarray, rounding: np.ndarray, steepest: float
) -> bool:
    """Whether three windows of octaves, ever closer, show the same restlessness."""
    # A quotient's noise grows at small steps, other sequences are what they are there.
    closest = 2.0**-9 if steepest < 2 else 0.0
    reference = _spread(sequence, steps, 0.5, closest)
    clear = np.all(np.isfinite(sequence) & (50 * rounding < reference), axis=0)
    columns = np.flatnonzero(clear & (steps[0] <= steps[0, 0] / REACH))
    width = min(_WINDOW, len(columns) // 3)
    if width < 4:
        return False
    falling = sequence[::-1]  # with it, steps fall all the way
    windows = [falling[:, c].T.ravel() for c in np.split(columns[-3 * width :], 3)]
    far, middle, near = (float(np.ptp(w)) for w in windows)
    most = 2.0 ** (steepest * width)
    persists = 0.4 * far < middle < most * far and 0.4 * middle < near < most * middle
    # A function may look wild from afar; what counts are the closest octaves.
    wild = float(np.ptp(windows[2][-2 * len(steps) :])) > 0.5 * near
    leaps = (
        float(np.nanmax(_roughness(sequence[:, columns[-3:]]), initial=0.0))
        > 0.05 * near
    )
    turns = [np.mean(np.diff(np.sign(np.diff(w))) != 0) for w in windows]
    restless = persists and wild and leaps and min(turns) > 0.25
    return bool(restless and near > 0.02 * reference)


def _spread(
    sequence: np.ndarray, steps: np.ndarray, largest: float, smallest: float
) -> float:
    """Range of a sequence over steps between multiples of the point's scale."""
    scale = steps[0, 0] / REACH
    inside = (steps <= largest * scale) & (steps >= smallest * scale)
    seen = sequence[inside & np.isfinite(sequence)]
    return float(np.ptp(seen)) if seen.size else 0.0
