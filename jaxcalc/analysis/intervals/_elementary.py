"""Elementary functions of intervals.

NumPy states an error of less than 4 units in the last place for its float64 functions
(release notes of 1.22; most stay below 1), and a unit is at most ε|x|. Bounds are moved
outward by 5 ε|x|, so that this subtraction may itself be rounded. SciPy's error
functions are good to about 1e-15 near zero and 1e-13 in the tails (Cephes); they are
given 1e-12.
"""

from collections.abc import Callable

import numpy as np

from jaxcalc.analysis.intervals._basic import (
    EPS,
    TINY,
    Interval,
    div,
    down,
    make,
    mul,
    up,
)

_Function = Callable[[np.ndarray], np.ndarray]
_LOOSE = 1e-12
# Beyond this the argument's own rounding in units of pi is no longer small.
_FAR = 1e8


def widened(
    lo: np.ndarray, hi: np.ndarray, regular: np.ndarray, error: float = 5 * EPS
) -> Interval:
    """Bounds moved outward by a relative error, and by a few of the smallest floats."""
    lo = np.where(np.isinf(lo), lo, lo - (np.abs(lo) * error + 4 * TINY))
    hi = np.where(np.isinf(hi), hi, hi + (np.abs(hi) * error + 4 * TINY))
    return make(lo, hi, regular)


def clipped(x: Interval, least: float = -np.inf, most: float = np.inf) -> Interval:
    """Bounds kept within the range of a function."""
    return Interval(np.clip(x.lo, least, most), np.clip(x.hi, least, most), x.regular)


def increasing(
    function: _Function,
    least: float = -np.inf,
    most: float = np.inf,
    error: float = 5 * EPS,
) -> Callable[[Interval], Interval]:
    """The rule of a smooth increasing function, whose values lie in a range."""

    def rule(x: Interval) -> Interval:
        return clipped(
            widened(function(x.lo), function(x.hi), x.regular, error), least, most
        )

    return rule


def on_domain(
    function: _Function,
    low: float,
    high: float,
    *,
    falls: bool = False,
    closed: bool = False,
    least: float = -np.inf,
    most: float = np.inf,
    error: float = 5 * EPS,
) -> Callable[[Interval], Interval]:
    """The rule of a monotone function that is smooth inside of a domain alone."""
    # A box that reaches to the boundary is not regular; one beyond it has no values.

    def rule(x: Interval) -> Interval:
        inside = (x.lo > low) & (x.hi < high)
        beyond = (x.hi < low) | (x.lo > high)
        if not closed:
            beyond |= ((x.hi == low) | (x.lo == high)) & ~np.isinf(x.lo)
        ends = [function(np.clip(end, low, high)) for end in x[:2]]
        lo, hi = reversed(ends) if falls else ends
        lo, hi = (np.where(beyond, np.nan, bound) for bound in (lo, hi))
        return clipped(widened(lo, hi, x.regular & inside, error), least, most)

    return rule


def special(name: str) -> _Function:
    """One of SciPy's functions, imported when it is first used."""

    def function(x: np.ndarray) -> np.ndarray:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return function


def _logistic(t: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(t))
    return np.where(t < 0, small, 1.0) / (1 + small)


def cosh(x: Interval) -> Interval:
    near, far = magnitudes(x)
    return clipped(widened(np.cosh(near), np.cosh(far), x.regular), 1.0)


def magnitudes(x: Interval) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest distance from zero."""
    a, b = np.abs(x.lo), np.abs(x.hi)
    across = (x.lo <= 0) & (x.hi >= 0)
    return np.where(across, 0.0, np.minimum(a, b)), np.maximum(a, b)


def square(x: Interval) -> Interval:
    near, far = magnitudes(x)
    return make(np.maximum(down(near * near), 0), up(far * far), x.regular)


def integer_pow(x: Interval, power: int) -> Interval:
    if power < 0:
        one = np.ones_like(x.lo)
        rest = integer_pow(x, -power)
        return div(Interval(one, one, x.regular), rest)
    if power == 0:
        one = np.where(np.isnan(x.lo), np.nan, 1.0)
        return Interval(one, one, x.regular)
    if power == 1:
        return x
    if power == 2:
        return square(x)
    if power % 2 == 0:
        near, far = magnitudes(x)
        return clipped(widened(near**power, far**power, x.regular), 0.0)
    raised = widened(x.lo**power, x.hi**power, x.regular)
    # An odd power keeps the sign.
    lo = np.where(x.lo >= 0, np.maximum(raised.lo, 0), raised.lo)
    hi = np.where(x.hi <= 0, np.minimum(raised.hi, 0), raised.hi)
    return Interval(lo, hi, raised.regular)


def power(x: Interval, y: Interval) -> Interval:
    """X to the power of y, for x > 0, and for y one whole number."""
    thin = y.lo.size == 1 and y.lo.flat[0] == y.hi.flat[0]
    exponent = float(y.lo.flat[0]) if thin else np.nan
    if thin and exponent.is_integer() and abs(exponent) < 2**31:
        raised = integer_pow(x, int(exponent))
        return Interval(raised.lo, raised.hi, raised.regular & y.regular)
    positive = x.lo > 0
    base = [np.maximum(end, 0.0) for end in x[:2]]
    # Monotone in either argument where the other is fixed: corners are extremes.
    corners = np.broadcast_arrays(*(a**b for a in base for b in y[:2]))
    lo, hi = np.fmin.reduce(corners), np.fmax.reduce(corners)
    if thin:
        beyond = x.hi < 0
        lo, hi = np.where(beyond, np.nan, lo), np.where(beyond, np.nan, hi)
    else:
        # Negative numbers have whole powers, and an exponent may reach one.
        lo, hi = np.where(positive, lo, -np.inf), np.where(positive, hi, np.inf)
    empty = np.isnan(x.lo) | np.isnan(y.lo)
    lo, hi = np.where(empty, np.nan, lo), np.where(empty, np.nan, hi)
    raised = widened(lo, hi, x.regular & y.regular & positive)
    return clipped(raised, 0.0) if thin else raised


def rsqrt(x: Interval) -> Interval:
    with_roots = on_domain(np.sqrt, 0.0, np.inf, least=0.0)(x)
    one = np.ones((1,) * x.lo.ndim)
    inverse = div(Interval(one, one, one > 0), with_roots)
    return Interval(inverse.lo, inverse.hi, inverse.regular & (x.lo > 0))


def _holds(x: Interval, first: float, period: float) -> np.ndarray:
    """Whether one of the places `first + k * period` may lie in the interval."""
    slack = 4 * EPS * (np.maximum(np.abs(x.lo), np.abs(x.hi)) + 8)
    before = np.floor((x.lo - slack - first) / period)
    after = np.floor((x.hi + slack - first) / period)
    return (before != after) | (np.maximum(np.abs(x.lo), np.abs(x.hi)) > _FAR)


def _wave(function: _Function, x: Interval, highest: float, lowest: float) -> Interval:
    far = np.maximum(np.abs(x.lo), np.abs(x.hi)) > _FAR
    low, high = (function(np.where(far, 0.0, end)) for end in x[:2])
    ends = widened(np.minimum(low, high), np.maximum(low, high), x.regular)
    lo = np.where(_holds(x, lowest, 2 * np.pi), -1.0, ends.lo)
    hi = np.where(_holds(x, highest, 2 * np.pi), 1.0, ends.hi)
    empty = np.isnan(x.lo)
    lo, hi = np.where(empty, np.nan, lo), np.where(empty, np.nan, hi)
    return clipped(Interval(lo, hi, x.regular), -1.0, 1.0)


def sin(x: Interval) -> Interval:
    return _wave(np.sin, x, np.pi / 2, -np.pi / 2)


def cos(x: Interval) -> Interval:
    return _wave(np.cos, x, 0.0, np.pi)


def tan(x: Interval) -> Interval:
    pole = _holds(x, np.pi / 2, np.pi)
    low, high = (np.tan(np.where(pole, 0.0, end)) for end in x[:2])
    ends = widened(low, high, x.regular & ~pole)
    empty = np.isnan(x.lo)
    lo = np.where(empty, np.nan, np.where(pole, -np.inf, ends.lo))
    hi = np.where(empty, np.nan, np.where(pole, np.inf, ends.hi))
    return Interval(lo, hi, ends.regular)


def atan2(y: Interval, x: Interval) -> Interval:
    # The angle over a rectangle without the cut is extreme at a corner.
    cut = (x.lo <= 0) & (y.lo <= 0) & (y.hi >= 0)
    corners = np.broadcast_arrays(*(np.arctan2(a, b) for a in y[:2] for b in x[:2]))
    lo, hi = np.minimum.reduce(corners), np.maximum.reduce(corners)
    around = widened(
        np.where(cut, -np.pi, lo), np.where(cut, np.pi, hi), x.regular & y.regular
    )
    return Interval(around.lo, around.hi, around.regular & ~cut)


def log_of_product(x: Interval, y: Interval) -> Interval:
    """X log y, zero where x is zero."""
    logs = on_domain(np.log, 0.0, np.inf)(y)
    product = mul(x, logs)
    zero = (x.lo == 0) & (x.hi == 0)
    lo, hi = np.where(zero, 0.0, product.lo), np.where(zero, 0.0, product.hi)
    return Interval(lo, hi, product.regular)


ELEMENTARY: dict[str, Callable[[Interval], Interval]] = {
    "exp": increasing(np.exp, 0.0),
    "exp2": increasing(np.exp2, 0.0),
    "expm1": increasing(np.expm1, -1.0),
    "log": on_domain(np.log, 0.0, np.inf),
    "log1p": on_domain(np.log1p, -1.0, np.inf),
    "sqrt": on_domain(np.sqrt, 0.0, np.inf, closed=True, least=0.0),
    "rsqrt": rsqrt,
    "square": square,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "asin": on_domain(np.arcsin, -1.0, 1.0, closed=True),
    "acos": on_domain(np.arccos, -1.0, 1.0, falls=True, closed=True, least=0.0),
    "atan": increasing(np.arctan),
    "sinh": increasing(np.sinh),
    "cosh": cosh,
    "tanh": increasing(np.tanh, -1.0, 1.0),
    "asinh": increasing(np.arcsinh),
    "acosh": on_domain(np.arccosh, 1.0, np.inf, closed=True, least=0.0),
    "atanh": on_domain(np.arctanh, -1.0, 1.0),
    "logistic": increasing(_logistic, 0.0, 1.0, error=8 * EPS),
    "erf": increasing(special("erf"), -1.0, 1.0, error=_LOOSE),
    "erfc": on_domain(
        special("erfc"), -np.inf, np.inf, falls=True, least=0.0, most=2.0, error=_LOOSE
    ),
    "erf_inv": on_domain(special("erfinv"), -1.0, 1.0, error=_LOOSE),
}
