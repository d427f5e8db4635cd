"""Intervals, and the arithmetic on them, rounded outward.

NumPy's sums, products, quotients and square roots are the exact ones rounded to the
nearest float, so one float outward holds the exact result. A sum whose rounding error
is known to be zero (Knuth's TwoSum) is left as it is, and so is a product by 0 or ±1:
derivatives are full of these.

An interval whose bounds are NaN is empty: the function is defined nowhere in the box.

References:
    Moore, Kearfott and Cloud (2009), Introduction to Interval Analysis, chapter 2.
    Knuth (1997), The Art of Computer Programming 2, section 4.2.2, theorem B.
"""

from typing import NamedTuple

import numpy as np

MAX = float(np.finfo(np.float64).max)
TINY = 5e-324
EPS = float(np.finfo(np.float64).eps)


class Interval(NamedTuple):
    """Values of an array on each of a batch of boxes.

    Attributes:
        lo: Lower bounds, the batch axis first; -inf where there is none.
        hi: Upper bounds, of the same shape. NaN in both: defined nowhere in the box.
        regular: Whether the values are defined everywhere in the box, and depend on
            the inputs by smooth operations alone: no kink, jump or pole is reached.
    """

    lo: np.ndarray
    hi: np.ndarray
    regular: np.ndarray


def down(x: np.ndarray) -> np.ndarray:
    """The next float below, or the largest one below infinity."""
    return np.nextafter(x, -np.inf)


def up(x: np.ndarray) -> np.ndarray:
    """The next float above, or the lowest one above minus infinity."""
    return np.nextafter(x, np.inf)


def make(lo: np.ndarray, hi: np.ndarray, regular: np.ndarray) -> Interval:
    """An interval that starts below infinity: infinity less infinity never occurs."""
    return Interval(np.minimum(lo, MAX), np.maximum(hi, -MAX), regular)


def constant(value: object) -> Interval:
    """An array of numbers, each an interval of one point, for any number of boxes."""
    array = np.asarray(value)[None].astype(np.float64)
    return make(array, array, ~np.isnan(array))


def aligned(*operands: Interval) -> tuple[Interval, ...]:
    """Operands with equally many axes; the axes of numbers are put behind the batch."""
    rank = max(x.lo.ndim for x in operands)
    ones = (1,) * (rank - 1)
    return tuple(
        x
        if x.lo.ndim == rank
        else Interval(*(part.reshape(part.shape[:1] + ones) for part in x))
        for x in operands
    )


def neg(x: Interval) -> Interval:
    return Interval(-x.hi, -x.lo, x.regular)


def add(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    low, below = _two_sum(x.lo, y.lo)
    high, above = _two_sum(x.hi, y.hi)
    # An error that is NaN (of a sum that overflows) rounds outward too.
    lo = np.where(below >= 0, low, down(low))
    hi = np.where(above <= 0, high, up(high))
    return make(lo, hi, x.regular & y.regular)


def sub(x: Interval, y: Interval) -> Interval:
    return add(x, neg(y))


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A rounded sum and its error, exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _is_number(x: Interval) -> float | None:
    """The value of an operand that is one number for all boxes."""
    if x.lo.size == 1 and x.lo.flat[0] == x.hi.flat[0] and x.regular.flat[0]:
        return float(x.lo.flat[0])
    return None


def mul(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    for one, other in ((x, y), (y, x)):
        number = _is_number(one)
        if number is not None:
            return _scaled(other, number)
    a, b, c, d = x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi
    low = np.minimum(np.minimum(a, b), np.minimum(c, d))
    high = np.maximum(np.maximum(a, b), np.maximum(c, d))
    if np.isnan(low).any():
        products = [_product(a, b) for a in x[:2] for b in y[:2]]
        low, high = (g.reduce(products) for g in (np.minimum, np.maximum))
    lo, hi = down(low), up(high)
    if not (low.all() and high.all()):
        lo, hi = _signed(x, y, lo, hi)
    return make(lo, hi, x.regular & y.regular)


def _signed(
    x: Interval, y: Interval, lo: np.ndarray, hi: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a product that keep to its sign, which is exact."""
    zero = ((x.lo == 0) & (x.hi == 0)) | ((y.lo == 0) & (y.hi == 0))
    same = ((x.lo >= 0) & (y.lo >= 0)) | ((x.hi <= 0) & (y.hi <= 0))
    apart = ((x.lo >= 0) & (y.hi <= 0)) | ((x.hi <= 0) & (y.lo >= 0))
    lo = np.where(same | zero, np.maximum(lo, 0), lo)
    hi = np.where(apart | zero, np.minimum(hi, 0), hi)
    return lo, hi


def _scaled(x: Interval, number: float) -> Interval:
    """A product by one and the same number."""
    if number == 1:
        return x
    if number == -1:
        return neg(x)
    if number == 0:
        nothing = np.where(np.isnan(x.lo), np.nan, 0.0)
        return Interval(nothing, nothing, x.regular)
    low, high = number * x.lo, number * x.hi
    if number < 0:
        low, high = high, low
    # A bound of zero is exact where it was zero; else a product became too small.
    from_low, from_high = (x.lo, x.hi) if number > 0 else (x.hi, x.lo)
    lo = np.where(from_low == 0, 0.0, down(low))
    hi = np.where(from_high == 0, 0.0, up(high))
    return make(lo, hi, x.regular)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A product of bounds, where zero times infinity is zero."""
    product = a * b
    lost = np.isnan(product) & ~np.isnan(a) & ~np.isnan(b)
    return np.where(lost, 0.0, product)


def div(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    if _is_number(y) in {1.0, -1.0}:
        return _scaled(x, float(y.lo.flat[0]))
    across = (y.lo <= 0) & (y.hi >= 0)
    lower, upper = y.lo, y.hi
    reaches = bool(across.any())
    if reaches:
        lower, upper = np.where(across, 1.0, y.lo), np.where(across, 1.0, y.hi)
    a, b, c, d = x.lo / lower, x.lo / upper, x.hi / lower, x.hi / upper
    low = np.minimum(np.minimum(a, b), np.minimum(c, d))
    high = np.maximum(np.maximum(a, b), np.maximum(c, d))
    if np.isnan(low).any():
        quotients = [_quotient(a, b) for a in x[:2] for b in (lower, upper)]
        low, high = (g.reduce(quotients) for g in (np.minimum, np.maximum))
    lo, hi = down(low), up(high)
    if reaches:
        lo = np.where(across, _unless_empty(-np.inf, x, y), lo)
        hi = np.where(across, _unless_empty(np.inf, x, y), hi)
    if reaches or not (low.all() and high.all()):
        # With zero at one end of the divisor the quotient keeps its sign.
        lo, hi = _signed(x, y, lo, hi)
        nowhere = (y.lo == 0) & (y.hi == 0)
        lo, hi = np.where(nowhere, np.nan, lo), np.where(nowhere, np.nan, hi)
    return make(lo, hi, x.regular & y.regular & ~across)


def _unless_empty(bound: float, *operands: Interval) -> np.ndarray:
    empty = np.any(np.broadcast_arrays(*(np.isnan(x.lo) for x in operands)), axis=0)
    return np.where(empty, np.nan, bound)


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A quotient of bounds, where infinity by infinity is zero."""
    # It stands for all from zero to infinity: the other bound gives the infinite end.
    quotient = a / b
    lost = np.isnan(quotient) & ~np.isnan(a) & ~np.isnan(b)
    return np.where(lost, 0.0, quotient)


def total(x: Interval, axes: tuple[int, ...]) -> Interval:
    r"""Sum over some axes (the batch not counted).

    $$|\mathrm{fl}(\textstyle\sum x_i) - \sum x_i| \le (n-1)\, u \sum |x_i| + O(u^2)$$

    in any order of summation; twice that is taken.

    Args:
        x: What to sum.
        axes: The axes, without the batch axis.

    Returns:
        The sums.

    References:
        Higham (2002), Accuracy and Stability of Numerical Algorithms, section 4.2.
    """
    axes = tuple(a + 1 for a in axes)
    count = int(np.prod([x.lo.shape[a] for a in axes], dtype=int))
    regular = np.all(x.regular, axis=axes)
    if count == 0:
        zero = np.zeros(regular.shape)
        return Interval(zero, zero, regular)
    if count == 1:
        return Interval(np.sum(x.lo, axis=axes), np.sum(x.hi, axis=axes), regular)
    low, high = (
        (np.sum(bound, axis=axes), np.sum(np.abs(bound), axis=axes)) for bound in x[:2]
    )
    lo = down(low[0] - _slack(count, low[1]))
    hi = up(high[0] + _slack(count, high[1]))
    # A partial sum may overflow and meet the opposite infinity.
    empty = np.any(np.isnan(x.lo), axis=axes)
    lo = np.where(np.isnan(lo) & ~empty, -np.inf, lo)
    hi = np.where(np.isnan(hi) & ~empty, np.inf, hi)
    # Where all summands are zero nothing is rounded.
    lo, hi = np.where(low[1] == 0, 0.0, lo), np.where(high[1] == 0, 0.0, hi)
    lo = np.where(np.all(x.lo >= 0, axis=axes), np.maximum(lo, 0), lo)
    hi = np.where(np.all(x.hi <= 0, axis=axes), np.minimum(hi, 0), hi)
    return make(lo, hi, regular)


def _slack(count: int, size: np.ndarray) -> np.ndarray:
    # An infinite bound stays what it is: infinity less infinity would be NaN.
    return np.where(np.isinf(size), 0.0, count * EPS * size)
