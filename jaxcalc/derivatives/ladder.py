r"""A ladder of steps: a derivative of one variable by differences, and its error.

Let $\varphi(t)$ be a scalar function of one variable, known at $t = 0$ and at
$t = \pm h_k$ with $h_k = h_0 r^{-k}$. Every difference quotient $D_k$ made of these
values has an expansion in powers of the step, so that Richardson's recursion

$$T_{k,0} = D_k, \qquad
T_{k,j} = T_{k,j-1} + \frac{T_{k,j-1} - T_{k-1,j-1}}{r^{pj} - 1}$$

removes one power at a time ($p = 2$ for central quotients, $p = 1$ for one-sided ones).
The error that is stated for an entry has three parts:

- truncation: how much the entry differs from those it was made of (Ridders), at least
  what a geometric series with the observed ratio would still add;
- noise: the rounding of the values, carried through the same recursion. It is measured
  on the ladder itself, by the scatter of its smallest rungs, and never taken to be less
  than a rounding of the values;
- contradiction: by how much the entry misses what the smaller rungs say beyond their
  own noise. So large steps cannot overlook what happens close by.

The entry with the smallest sum is the answer. Nothing here calls $\varphi$: whoever has
the values, of many functions or directions at once, passes arrays of shape `(n, k)`.
All arithmetic is NumPy's in float64, outside compiled code, whatever the dtype of the
values, whose rounding unit is passed as `eps`.

References:
    Ridders (1982), Accurate computation of F'(x) and F'(x)F''(x), Advances in
    Engineering Software 4(2).
    Higham (2002), Accuracy and Stability of Numerical Algorithms, section 1.8.
    Moré and Wild (2011), Estimating computational noise, SIAM Journal on Scientific
    Computing 33(3).
"""

import math

import numpy as np

from jaxcalc.derivatives._richardson import (
    REACH,
    Estimate,
    Ladder,
    Noise,
    best_step,
    grows,
    last,
    noise_of,
    previous,
    ratio_of,
    rounded_away,
    settle,
    stated,
)

__all__ = [
    "Estimate",
    "Ladder",
    "estimate",
    "geometric_steps",
    "mixed",
    "on_ladder",
    "one_sided",
]


def geometric_steps(
    x: np.ndarray, eps: float, *, rungs: int, reach: float = REACH
) -> np.ndarray:
    """Powers of two from `reach` times the point's scale down to near its rounding.

    Args:
        x: Points, shape `(n,)`, float64.
        eps: The rounding unit of the dtype in which the function works.
        rungs: How many steps.
        reach: The largest step, in units of `max(1, abs(x))`.

    Returns:
        Steps, shape `(n, rungs)`, largest first; powers of two, so that `x + h` is
        exact wherever it can be.
    """
    digits = -np.log2(eps)
    top = np.ceil(np.log2(np.maximum(1.0, np.abs(x)))) + np.ceil(np.log2(reach))
    near = np.where(x == 0, 2.0**-14, np.abs(x))
    bottom = np.floor(np.log2(near)) - digits
    stride = np.maximum(1.0, np.ceil((top - bottom) / (rungs - 1)))
    exponents = top[:, None] - stride[:, None] * np.arange(rungs)
    return np.exp2(np.clip(exponents, -1022, 1023))


def estimate(ladder: Ladder, order: int = 1, side: str | None = None) -> Estimate:
    r"""Derivative of each row's function at zero, with an error that holds.

    Both sides are used; one alone where the other is not defined close by. Where the
    two sides disagree about the derivative, no single value is right: the error then
    covers both, and is infinite where the quotients grow without bound.

    Args:
        ladder: Values around the point.
        order: Which derivative, 1 to 4.
        side: None for both sides, or `"right"` or `"left"` for that one alone.

    Returns:
        Values and errors, each of shape `(n,)`; NaN with an infinite error where
        nothing can be said.
    """
    if side is not None:
        return one_sided(ladder, order, side)
    right, left = one_sided(ladder, order, "right"), one_sided(ladder, order, "left")
    value, error = _central(ladder, order)
    for side_alone in (right, left):
        gap = np.abs(side_alone.value - value)
        apart = np.isfinite(gap) & (gap > 2 * (side_alone.error + error))
        error = np.where(apart, np.maximum(error, gap), error)
        error = np.where(np.isinf(side_alone.error), np.inf, error)
    for one, here, there in (
        (right, ladder.right, ladder.left),
        (left, ladder.left, ladder.right),
    ):
        ends = _ends(here, there)
        value = np.where(ends, one.value, value)
        error = np.where(ends, one.error, error)
    return stated(np.where(np.isfinite(ladder.center), value, np.nan), error)


def one_sided(
    ladder: Ladder, order: int, side: str, *, bounded: bool = False
) -> Estimate:
    """The same from one side alone.

    Args:
        ladder: Values around the point; those of the other side are not used.
        order: Which derivative, 1 to 4.
        side: `"right"` or `"left"`.
        bounded: Whether the quotients are known not to grow without bound.

    Returns:
        Values and errors, each of shape `(n,)`.
    """
    sign = 1.0 if side == "right" else -1.0
    values = ladder.right if side == "right" else ladder.left
    h, ratio = ladder.steps, ratio_of(ladder.steps)
    quotients = sign * (values - ladder.center[:, None]) / h
    usable = np.isfinite(quotients) & ~rounded_away(quotients, ladder)
    noise = noise_of(quotients, usable, ladder, values, power=1).map(
        lambda n: 2 * n / h
    )
    unbounded = ~np.array(bounded) & grows(quotients, noise.rounding, usable)
    quotients = np.where(usable, quotients, np.nan)
    usable = _within_scale(quotients, noise, ladder, order, power=1)
    for m in range(2, order + 1):
        # With g_m(h) = a_m + O(h), where f has the coefficients a_m, the difference
        # g_(m-1)(r h) - g_(m-1)(h) is a multiple of a_m h, plus higher powers.
        span = sum(ratio**power for power in range(m - 1)) * (ratio - 1) * h
        quotients = (previous(quotients) - quotients) / span
        noise = noise.map(lambda n, span=span: (previous(n) + n) / span)
    factor = math.factorial(order)
    noise = noise.map(lambda n: factor * n)
    quotients = np.where(usable, factor * sign ** (order - 1) * quotients, np.nan)
    value, error = settle(quotients, noise, ladder, power=1)
    return stated(value, np.where(unbounded, np.inf, error))


def _within_scale(
    slopes: np.ndarray, noise: Noise, ladder: Ladder, order: int, *, power: int
) -> np.ndarray:
    """Rungs on which a higher derivative may be sought: where the slope was found."""
    # Far beyond that step a second difference of a bounded function is next to nothing,
    # and may pass for a derivative that is small itself, as beside an inflection.
    if order == 1:
        return np.ones_like(slopes, bool)
    found = best_step(slopes, noise, ladder, power=power)
    return ladder.steps <= 32 * found[:, None]


def mixed(steps: np.ndarray, values: np.ndarray, eps: float) -> Estimate:
    r"""Mixed second derivative of functions of two variables at zero.

    $$\frac{\varphi(h, h) + \varphi(-h, -h) - \varphi(h, -h) - \varphi(-h, h)}{4 h^2}$$

    Args:
        steps: Steps, shape `(n, k)`; each row geometric, largest first.
        values: The four values in the order above, shape `(n, 4, k)`.
        eps: The rounding unit of the values' dtype.

    Returns:
        Values and errors, each of shape `(n,)`.
    """
    along, across = values[:, 0] + values[:, 1], values[:, 2] + values[:, 3]
    rows = Ladder(steps, np.zeros(len(steps)), along, across, eps)
    quotients = (along - across) / (4 * steps)
    usable = np.isfinite(quotients) & ~rounded_away(quotients, rows)
    noise = noise_of(quotients, usable, rows, *np.moveaxis(values, 1, 0), power=1)
    unbounded = grows(quotients / steps, noise.rounding / steps**2, usable)
    quotients = np.where(usable, quotients / steps, np.nan)
    noise = noise.map(lambda n: n / steps**2)
    value, error = settle(quotients, noise, rows, power=2)
    return stated(value, np.where(unbounded, np.inf, error))


def on_ladder(
    steps: np.ndarray, moved: np.ndarray, values: np.ndarray, eps: float
) -> Ladder:
    """Make a ladder of values at points that rounding may have moved a little.

    Where `x + h` cannot be represented, the value is carried to the place that was
    meant along the slope of its own quotient.

    Args:
        steps: Steps of the ladder, shape `(n, k)`.
        moved: Distances of the represented points, right then left, `(n, 2 k)`.
        values: Values at the point, then to the right and to the left, `(n, 2 k + 1)`.
        eps: The rounding unit of the values.

    Returns:
        The ladder; NaN where rounding swallowed a step or a good part of it.
    """
    rungs = steps.shape[1]
    center = values[:, :1]
    right, left = values[:, 1 : rungs + 1], values[:, rungs + 1 :]
    to_right, to_left = moved[:, :rungs], moved[:, rungs:]
    both = (right - left) / (to_right + to_left)
    rise = np.where(np.isfinite(both), both, (right - center) / to_right)
    fall = np.where(np.isfinite(both), both, (center - left) / to_left)
    # The slope at the moved point is another one; what that changes is noise.
    off = np.maximum(np.abs(to_right - steps), np.abs(to_left - steps))
    bend = np.abs((right - center) + (left - center)) / steps
    shift = off * np.where(np.isfinite(bend), bend, np.fmax(np.abs(rise), np.abs(fall)))
    right = right + rise * (steps - to_right)
    left = left - fall * (steps - to_left)
    right = np.where(np.abs(to_right / steps - 1) < 0.3, right, np.nan)
    left = np.where(np.abs(to_left / steps - 1) < 0.3, left, np.nan)
    return Ladder(steps, values[:, 0], right, left, eps, shift=shift)


def _central(ladder: Ladder, order: int) -> Estimate:
    """The same from central quotients alone."""
    h, center, r = ladder.steps, ladder.center[:, None], ratio_of(ladder.steps)
    odd = (ladder.right - ladder.left) / 2
    even = ((ladder.right - center) + (ladder.left - center)) / 2
    usable = np.isfinite(odd) & ~rounded_away(odd / h, ladder)
    noise = noise_of(odd / h, usable, ladder, ladder.right, ladder.left, power=2)
    unbounded = grows(odd / h, noise.rounding / h, usable)
    first = noise.map(lambda n: n / h)
    slopes = np.where(usable, odd / h, np.nan)
    usable &= _within_scale(slopes, first, ladder, order, power=2)
    if order == 1:
        quotients, noise = odd / h, noise.map(lambda n: n / h)
    elif order == 2:
        quotients, noise = 2 * even / h**2, noise.map(lambda n: 4 * n / h**2)
    elif order == 3:
        scale = 6 / ((r**3 - r) * h**3)
        quotients = scale * (previous(odd) - r * odd)
        noise = noise.map(lambda n: scale * (previous(n) + r * n))
    else:
        scale = 24 / ((r**4 - r**2) * h**4)
        quotients = scale * (previous(even) - r**2 * even)
        noise = noise.map(lambda n: 2 * scale * (previous(n) + r**2 * n))
    quotients = np.where(usable, quotients, np.nan)
    value, error = settle(quotients, noise, ladder, power=2)
    return stated(value, np.where(unbounded, np.inf, error))


def _ends(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Whether the function is defined here close by, and not there."""
    close = last(np.isfinite(here))
    return close.any(axis=1) & ~np.any(np.isfinite(there) & close, axis=1)
