r"""Slopes of one variable from few values, with errors that hold.

The values are $\varphi(0)$ and $\varphi(\pm h_k)$ on a short geometric ladder. Their
odd part $o_k = (\varphi(h_k) - \varphi(-h_k)) / 2$ holds the slope, their even part
$e_k = (\varphi(h_k) + \varphi(-h_k)) / 2 - \varphi(0)$ a kink:

$$\frac{o_k}{h_k} = \varphi'(0) + O(h_k^2), \qquad
\frac{e_k}{h_k} = \frac{\varphi'(0^+) - \varphi'(0^-)}{2} + O(h_k).$$

Both are extrapolated by Richardson's recursion. An entry's error is what the entry
changes over those it was made of (Ridders), plus the noise of the values divided by the
step; an entry that the smaller steps contradict beyond their own noise is no candidate,
so that a wide step cannot overlook what happens close by. The noise itself is read off
the smallest steps, where the smooth part has been removed.

All of it is NumPy in float64, over leading axes of any shape.

References:
    Ridders (1982), Accurate computation of F'(x) and F'(x)F''(x), Advances in
    Engineering Software 4(2).
    Moré and Wild (2011), Estimating computational noise, SIAM Journal on Scientific
    Computing 33(3).
"""

from typing import Any, NamedTuple

import numpy as np

# How many times the estimated noise (one standard deviation) a value may be off.
NOISE = 8.0
_TRUNCATION = 2.0


class Settled(NamedTuple):
    """What an extrapolation settled on; arrays over the leading axes.

    Attributes:
        value: The limit; NaN where there is no candidate.
        error: How far it may be off; infinite where there is no candidate.
        rung: Index of the smallest step that was used.
        first: Index of the largest step that was used.
    """

    value: np.ndarray
    error: np.ndarray
    rung: np.ndarray
    first: np.ndarray


class Slopes(NamedTuple):
    """Slope, kink and jump of functions of one variable at zero.

    Attributes:
        steps: Steps, largest first, shape `(..., k)` or `(k,)`.
        quotients: Central quotients, shape `(..., k)`.
        slope: Limit of the central quotients.
        kink: Half the difference between the right and the left slope.
        curve: Second derivative, by second differences.
        jump: Largest gap between the value and its one-sided limits; zero if none.
        noise: Standard deviation of the noise of one value, shape `(...)`.
        rounding: The part of it that rounding explains, shape `(...)`.
        size: Largest absolute value among those that were used, shape `(...)`.
        secant: Steepest one-sided secant among those that were used.
    """

    steps: np.ndarray
    quotients: np.ndarray
    slope: Settled
    kink: Settled
    curve: Settled
    jump: np.ndarray
    noise: np.ndarray
    rounding: np.ndarray
    size: np.ndarray
    secant: np.ndarray

    def row(self, i: int) -> "Slopes":
        """One of several functions that were measured together."""
        parts: list[Any] = [
            Settled(*(entry[i] for entry in part))
            if isinstance(part, Settled)
            else part[i]
            for part in self
        ]
        return Slopes(*parts)


def measure(
    steps: np.ndarray,
    center: np.ndarray,
    right: np.ndarray,
    left: np.ndarray,
    *,
    eps: float,
    floor: np.ndarray | float = 0.0,
    noise: np.ndarray | None = None,
) -> Slopes:
    r"""Slope, kink and jump at zero, each with its error.

    Where one side is not defined at any step, the slope is that of the other side.

    Args:
        steps: Steps $h_k$, largest first, shape `(k,)` or `(..., k)`; all with the same
            ratio.
        center: $\varphi(0)$, broadcast against `(...)`.
        right: $\varphi(h_k)$, shape `(..., k)`; NaN where it is not defined.
        left: $\varphi(-h_k)$, the same shape.
        eps: Rounding unit of the values.
        floor: Noise that is known beforehand, broadcast against `(...)`.
        noise: The noise of one value where it was measured before, shape `(...)`; a
            ladder of few steps cannot tell it from curvature.

    Returns:
        Arrays over the leading axes.
    """
    ratio = float(steps.flat[0] / steps.flat[1])
    middle = np.broadcast_to(np.asarray(center)[..., None], right.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        odd, even = (right - left) / 2, ((right - middle) + (left - middle)) / 2
        sizes = np.fmax(np.abs(middle), np.fmax(np.abs(right), np.abs(left)))
        sizes = np.where(np.isfinite(sizes), sizes, np.abs(middle))
        rounding = np.fmax(2 * eps * sizes, np.asarray(floor)[..., None])
        odd_scatter = _scatter(odd, ratio, count=1)
        even_scatter = _scatter(even, ratio**2, count=2)
        scatter = np.sqrt((odd_scatter**2 + 2 * even_scatter**2) / 3)
        if noise is not None:
            odd_scatter = scatter = noise
        noise = np.fmax(rounding, scatter[..., None])
        quotients = _one_side(odd / steps, right, left, middle, steps)
        slope = settle(quotients, noise / steps, ratio, powers=(2, 4))
        one = settle(quotients, noise / steps, ratio, powers=(1, 2))
        lonely = _lonely(right, left)
        slope = _either(lonely, one, slope)
        # A kink is in the even part: the scatter of the odd part is its noise.
        quiet = np.fmax(rounding, odd_scatter[..., None])
        kink = settle(even / steps, quiet / steps, ratio, powers=(1, 3))
        second = 2 * even / steps**2
        curve = settle(second, 4 * noise / steps**2, ratio, powers=(2, 4))
        jump = _jump(odd, even, rounding)
        rise = np.fmax(np.abs(right - middle), np.abs(left - middle)) / steps
    return Slopes(
        steps,
        quotients,
        slope,
        kink,
        curve,
        jump,
        noise[..., -1],
        rounding[..., -1],
        _largest_used(sizes, slope),
        _largest_used(rise, slope),
    )


def settle(
    quotients: np.ndarray,
    noise: np.ndarray,
    ratio: float,
    *,
    powers: tuple[int, ...],
) -> Settled:
    """Extrapolate quotients to a vanishing step and take the entry of least error.

    Args:
        quotients: One for each step, largest step first, shape `(..., k)`.
        noise: Standard deviation of each quotient's noise, the same shape.
        ratio: What one step is divided by to make the next.
        powers: Powers of the step in the expansion of the quotients.

    Returns:
        Arrays over the leading axes.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return _settle(quotients, NOISE * noise, ratio, powers)


def _settle(quotients, noise, ratio, powers):
    column = quotients
    # What a quotient itself may still be off, if the series behaves.
    own = 1.5 * np.abs(quotients - _previous(quotients)) / (ratio ** powers[0] - 1)
    slack = noise + np.where(np.isfinite(own), own, 0.0)
    best = None
    for j in range(len(powers) + 1):
        if j == 0:
            change = np.abs(column - _previous(column))
        else:
            before = _previous(column)
            gain = ratio ** powers[j - 1] - 1
            entry = column + (column - before) / gain
            change = np.maximum(np.abs(entry - column), np.abs(entry - before))
            column = entry
        error = _TRUNCATION * change + noise
        error = np.where(_contradicted(column, error, quotients, slack), np.inf, error)
        error = np.where(np.isfinite(error), error, np.inf)
        rung = np.argmin(error, axis=-1)
        least = np.take_along_axis(error, rung[..., None], -1)[..., 0]
        value = np.take_along_axis(column, rung[..., None], -1)[..., 0]
        first = np.maximum(rung - max(j, 1), 0)
        found = Settled(value, least, rung, first)
        best = found if best is None else _either(least < best.error, found, best)
    assert best is not None  # the loop runs at least once
    value = np.where(np.isfinite(best.error), best.value, np.nan)
    return best._replace(value=value)


def _either(first: Any, a: Settled, b: Settled) -> Settled:
    return Settled(*(np.where(first, x, y) for x, y in zip(a, b, strict=True)))


def _contradicted(column, error, quotients, slack):
    """Whether a smaller step says otherwise, beyond both errors."""
    low = np.where(np.isfinite(quotients), quotients - slack, -np.inf)
    high = np.where(np.isfinite(quotients), quotients + slack, np.inf)
    low = np.maximum.accumulate(low[..., ::-1], axis=-1)[..., ::-1]
    high = np.minimum.accumulate(high[..., ::-1], axis=-1)[..., ::-1]
    low, high = _next(low, -np.inf), _next(high, np.inf)
    return (column + error < low) | (column - error > high)


def _next(array: np.ndarray, last: float) -> np.ndarray:
    """The entry of the next smaller step."""
    shifted = np.full_like(array, last)
    shifted[..., :-1] = array[..., 1:]
    return shifted


def _largest_used(numbers: np.ndarray, slope: Settled) -> np.ndarray:
    """Largest number among the rungs that the slope was made of."""
    rungs = np.arange(numbers.shape[-1])
    used = (rungs >= slope.first[..., None]) & (rungs <= slope.rung[..., None])
    largest = np.max(np.where(used & np.isfinite(numbers), numbers, 0.0), axis=-1)
    return np.asarray(largest)


def _scatter(part: np.ndarray, gain: float, count: int) -> np.ndarray:
    """Root mean square of what the smallest steps add to their leading power."""
    rest = (part - _previous(part) / gain)[..., -count:]
    rest = np.where(np.isfinite(rest), rest, 0.0)
    return np.asarray(np.sqrt(np.mean(rest**2, axis=-1)))


def _lonely(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Whether one side alone is defined, at every step."""
    here, there = np.isfinite(right).any(-1), np.isfinite(left).any(-1)
    return np.asarray(here ^ there)


def _one_side(quotients, right, left, middle, steps):
    """Central quotients, or one-sided ones where the other side is not defined."""
    lonely = _lonely(right, left)[..., None]
    forward, backward = (right - middle) / steps, (middle - left) / steps
    alone = np.where(np.isfinite(right), forward, backward)
    return np.where(lonely, alone, quotients)


def _jump(odd: np.ndarray, even: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """A gap that stays when the step shrinks, far above the noise; zero if none."""
    gap = np.zeros(odd.shape[:-1])
    for part in (odd, even):
        last, before = np.abs(part[..., -1]), np.abs(part[..., -2])
        stays = np.abs(part[..., -1] - part[..., -2]) < 0.1 * last
        loud = np.minimum(last, before) > 1e4 * rounding[..., -1]
        gap = np.fmax(gap, np.where(stays & loud, last, 0.0))
    return np.asarray(gap)


def _previous(array: np.ndarray) -> np.ndarray:
    """The entry of the next larger step."""
    shifted = np.full_like(array, np.nan)
    shifted[..., 1:] = array[..., :-1]
    return shifted
