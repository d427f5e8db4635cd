"""Richardson's table: which of its entries is best, and how far that may be off."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

REACH = 64.0  # the largest step, in units of the point's scale
_COLUMNS = 8  # more only amplify the noise
_SAFETY = 2.0
_RUNGS = 10
_NOISE_RUNGS = 6
_LIKELY_NOISE = 1e-3  # of the function's size: a noise that a function may well have


class Estimate(NamedTuple):
    """A value and how far it may be off; both arrays, or trees of arrays."""

    value: Any
    error: Any


class Ladder(NamedTuple):
    r"""Values of functions of one variable around a point, largest step first.

    Attributes:
        steps: Steps $h_k > 0$, shape `(n, k)`; each row geometric.
        center: $\varphi(0)$, shape `(n,)`.
        right: $\varphi(h_k)$, shape `(n, k)`; NaN where it is not defined.
        left: $\varphi(-h_k)$, shape `(n, k)`.
        eps: The rounding unit of the values' dtype.
        noise: How far the values are off beyond their rounding, shape `(n,)`, where it
            is known; otherwise the scatter of the smallest rungs tells.
        shift: How far they are off because `x + h` cannot be represented, `(n, k)`.
    """

    steps: np.ndarray
    center: np.ndarray
    right: np.ndarray
    left: np.ndarray
    eps: float
    noise: np.ndarray | None = None
    shift: np.ndarray | None = None


class Noise(NamedTuple):
    """What rounding may do to quotients: at the least, and as the ladder shows."""

    rounding: np.ndarray
    total: np.ndarray

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> "Noise":
        """The same after a linear operation with non-negative weights.

        Args:
            function: The operation, on arrays.

        Returns:
            The mapped noise.
        """
        return Noise(function(self.rounding), function(self.total))


def noise_of(
    quotients: np.ndarray,
    usable: np.ndarray,
    ladder: Ladder,
    *values: np.ndarray,
    power: int,
) -> Noise:
    """Noise of the values: their rounding, and what the smallest rungs scatter."""
    center = np.abs(ladder.center)[:, None]
    center = np.where(np.isfinite(center), center, 0.0)
    sizes = np.maximum(center, np.max(np.abs(np.stack(values)), axis=0))
    if ladder.noise is not None:
        floor = ladder.noise[:, None]
    else:
        floor = _scatter(np.where(usable, quotients, np.nan), ladder.steps, power)
    rounding = ladder.eps * sizes
    if ladder.shift is not None:
        rounding = rounding + np.nan_to_num(ladder.shift)
    return Noise(rounding, rounding + floor)


def _scatter(quotients: np.ndarray, steps: np.ndarray, power: int) -> np.ndarray:
    """Scatter of the values at the smallest rungs, without what is smooth there."""
    change = quotients - previous(quotients)
    smooth = previous(change) / ratio_of(steps) ** power
    rough = steps * np.abs(change - np.where(np.isfinite(smooth), smooth, 0.0))
    heard = np.isfinite(rough)
    few, more = (
        np.max(np.where(last(heard, n), rough, 0.0), axis=1, keepdims=True)
        for n in (3, _NOISE_RUNGS)
    )
    # Structure that the smallest steps hardly resolve is no noise: it fades with them.
    return np.minimum(4 * few, more)


def last(heard: np.ndarray, count: int = _RUNGS) -> np.ndarray:
    """Of the rungs that say something, those with the smallest steps."""
    return heard & (np.cumsum(heard[:, ::-1], axis=1)[:, ::-1] <= count)


def rounded_away(quotients: np.ndarray, ladder: Ladder) -> np.ndarray:
    """Rungs so small that the values did not change at all, though others did."""
    # A flat stretch narrower than the root of the rounding unit is what rounding inside
    # the function makes, as in `(1 + t) - 1`; a wider one is the function's own.
    flat = (quotients == 0) | ~np.isfinite(quotients)
    flat = np.logical_and.accumulate(flat[:, ::-1], axis=1)[:, ::-1]
    width = np.max(np.where(flat & np.isfinite(quotients), ladder.steps, 0.0), axis=1)
    scale = ladder.steps[:, 0] / REACH
    narrow = width < np.sqrt(ladder.eps) * scale
    return flat & narrow[:, None] & ~np.all(flat, axis=1, keepdims=True)


def settle(
    quotients: np.ndarray,
    noise: Noise,
    ladder: Ladder,
    *,
    power: int,
    doubtful: bool = True,
) -> Estimate:
    """Extrapolate, and take the entry whose error is smallest."""
    (step, value, error), table, alone = _best(quotients, noise, ladder, power)
    if not doubtful:
        return stated(value, _SAFETY * error + ladder.eps * np.abs(value))
    large = ladder.steps >= np.sqrt(ladder.eps) * ladder.steps[:, :1] / REACH
    other = _smallest(ladder.steps, table, np.where(large[..., None], alone, np.inf))
    gap = _another_story(value, other, quotients, noise.rounding, ladder)
    error = np.where(step < other.step, np.maximum(error, gap), error)
    return stated(value, _SAFETY * error + ladder.eps * np.abs(value))


def best_step(
    quotients: np.ndarray, noise: Noise, ladder: Ladder, *, power: int
) -> np.ndarray:
    """The step of the entry that `settle` takes."""
    return _best(quotients, noise, ladder, power)[0].step


def _best(
    quotients: np.ndarray, noise: Noise, ladder: Ladder, power: int
) -> tuple["_Entry", np.ndarray, np.ndarray]:
    """The best entry; the table; its errors, leaving contradiction aside."""
    table, carried = _richardson(
        quotients, noise.total, ratio_of(ladder.steps) ** power
    )
    low, high = _allowed(quotients, noise.total, power)
    alone = _truncation(table, carried) + carried
    contradiction = np.maximum(low[..., None] - table, table - high[..., None])
    error = alone + np.maximum(contradiction, 0.0)
    return _smallest(ladder.steps, table, error), table, alone


class _Entry(NamedTuple):
    step: np.ndarray
    value: np.ndarray
    error: np.ndarray


def _smallest(steps: np.ndarray, table: np.ndarray, error: np.ndarray) -> _Entry:
    """The entry of each row's table with the smallest error."""
    n, _, columns = table.shape
    error = np.where(np.isfinite(error), error, np.inf).reshape(n, -1)
    best = np.argmin(error, axis=1)[:, None]

    def pick(array: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array.reshape(n, -1), best, axis=1)[:, 0]

    return _Entry(pick(np.repeat(steps, columns, axis=1)), pick(table), pick(error))


def _another_story(
    value: np.ndarray,
    other: _Entry,
    quotients: np.ndarray,
    rounding: np.ndarray,
    ladder: Ladder,
) -> np.ndarray:
    """Distance to what larger steps say, where noise could make the difference."""
    # A derivative seen at very small steps only may be a staircase of rounding inside
    # the function, as in `(1 - cos(x)) / x**2` near zero. Where larger steps agree on
    # another value, at the price of a noise that is small beside the function, the
    # values do not decide between the two.
    gap = np.abs(value - other.value)
    below = ladder.steps < other.step[:, None]
    misfit = np.abs(quotients - other.value[:, None]) / rounding
    misfit = np.max(np.where(below & np.isfinite(misfit), misfit, 0.0), axis=1)
    told = (4 * other.error < gap) & (misfit * ladder.eps < _LIKELY_NOISE)
    return np.where(told, gap, 0.0)


def _richardson(
    quotients: np.ndarray, noise: np.ndarray, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The triangular table of extrapolations, shape `(n, k, columns)`."""
    table, noises = [quotients], [noise]
    for j in range(1, _COLUMNS):
        gain = ratio**j - 1
        before, before_noise = previous(table[-1]), previous(noises[-1])
        table.append(table[-1] + (table[-1] - before) / gain)
        noises.append(noises[-1] + (noises[-1] + before_noise) / gain)
    return np.stack(table, axis=-1), np.stack(noises, axis=-1)


def _truncation(table: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """How far the table's entries may be from their limit."""
    down = np.abs(table - previous(table))
    across = np.full_like(table, np.nan)
    across[..., 1:] = np.maximum(
        np.abs(table[..., 1:] - table[..., :-1]),
        np.abs(table[..., 1:] - previous(table)[..., :-1]),
    )
    across[..., 0] = down[..., 0]
    # Two entries may agree by accident, hardly four.
    across[..., 1:] = np.maximum(across[..., 1:], 0.1 * across[..., :-1])
    # A series that shrinks by `shrink` at each rung has shrink / (1 - shrink) of its
    # last term to come; differences within the noise say nothing about it.
    shrink = down / previous(down)
    tail = down * np.where(shrink < 1, shrink / (1 - np.minimum(shrink, 0.999)), np.inf)
    audible = down > 2 * (noise + previous(noise))
    return np.where(audible, np.maximum(across, tail), across)


def _allowed(
    quotients: np.ndarray, noise: np.ndarray, power: int
) -> tuple[np.ndarray, np.ndarray]:
    """The interval on which all rungs with smaller steps agree, for each rung."""
    slack = 3 * noise + 3.0 / power * np.abs(quotients - previous(quotients))
    low = np.where(np.isfinite(quotients), quotients - slack, -np.inf)
    high = np.where(np.isfinite(quotients), quotients + slack, np.inf)
    low, high = np.nan_to_num(low, nan=-np.inf), np.nan_to_num(high, nan=np.inf)
    low = np.maximum.accumulate(low[:, ::-1], axis=1)[:, ::-1]
    high = np.minimum.accumulate(high[:, ::-1], axis=1)[:, ::-1]
    return low, high


def grows(
    quotients: np.ndarray,
    rounding: np.ndarray,
    usable: np.ndarray,
    *,
    shrink: float = 0.9,
) -> np.ndarray:
    """Whether the quotients grow without bound as far as they can be told apart."""
    change = np.where(usable, quotients - previous(quotients), np.nan)
    before = previous(change)
    audible = usable & (np.abs(before) > 5 * (rounding + previous(rounding)))
    onward = (change * before > 0) & (np.abs(change) > shrink * np.abs(before))
    final = last(audible)
    return (final.sum(axis=1) >= _RUNGS) & np.all(onward | ~final, axis=1)


def previous(array: np.ndarray, fill: Any = np.nan) -> np.ndarray:
    """The rung with the next larger step, along axis 1."""
    shifted = np.empty_like(array)
    shifted[:, 0] = fill
    shifted[:, 1:] = array[:, :-1]
    return shifted


def ratio_of(steps: np.ndarray) -> np.ndarray:
    return steps[:, :1] / steps[:, 1:2]


def stated(value: np.ndarray, error: np.ndarray) -> Estimate:
    known = np.isfinite(value) & ~np.isnan(error)
    return Estimate(np.where(known, value, np.nan), np.where(known, error, np.inf))
