"""Kinks, jumps and comparisons: where a box decides, they are smooth; else not.

A comparison that a box leaves open is the interval from 0 (false) to 1 (true). What it
chooses is then the union of both branches, which holds every value, and the hull of
the one-sided derivatives where the function is continuous.
"""

from collections.abc import Callable

import numpy as np

from jaxcalc.analysis.intervals._basic import (
    Interval,
    add,
    aligned,
    constant,
    div,
    make,
    mul,
    neg,
)
from jaxcalc.analysis.intervals._elementary import magnitudes, widened


def absolute(x: Interval) -> Interval:
    near, far = magnitudes(x)
    return Interval(near, far, x.regular & ((x.lo > 0) | (x.hi < 0)))


def cbrt(x: Interval) -> Interval:
    root = widened(np.cbrt(x.lo), np.cbrt(x.hi), x.regular)
    # The slope is infinite at zero.
    lo = np.where(x.lo >= 0, np.maximum(root.lo, 0), root.lo)
    hi = np.where(x.hi <= 0, np.minimum(root.hi, 0), root.hi)
    return Interval(lo, hi, x.regular & ((x.lo > 0) | (x.hi < 0)))


def stepwise(
    function: Callable[[np.ndarray], np.ndarray],
    at_jump: Callable[[np.ndarray], np.ndarray],
) -> Callable[[Interval], Interval]:
    """The rule of an increasing function of steps; at a jump it is not smooth."""

    def rule(x: Interval) -> Interval:
        lo, hi = function(x.lo), function(x.hi)
        still = (lo == hi) & ~at_jump(x.lo) & ~at_jump(x.hi)
        return Interval(lo, hi, x.regular & still)

    return rule


def _whole(x: np.ndarray) -> np.ndarray:
    return x == np.floor(x)


def _half(x: np.ndarray) -> np.ndarray:
    return _whole(x + 0.5)


sign = stepwise(np.sign, lambda x: x == 0)
floor = stepwise(np.floor, _whole)
ceil = stepwise(np.ceil, _whole)
truncate = stepwise(np.trunc, _whole)


def rounded(x: Interval, *, rounding_method: int = 0) -> Interval:
    """Round half away from zero (method 0) or to even (method 1)."""
    return stepwise(np.round if int(rounding_method) else _away, _half)(x)


def _away(t: np.ndarray) -> np.ndarray:
    near = np.trunc(t)
    return near + np.sign(t) * (np.abs(t - near) >= 0.5)


def maximum(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    decided = (x.lo > y.hi) | (y.lo > x.hi)
    lo, hi = np.maximum(x.lo, y.lo), np.maximum(x.hi, y.hi)
    return Interval(lo, hi, x.regular & y.regular & decided)


def minimum(x: Interval, y: Interval) -> Interval:
    return neg(maximum(neg(x), neg(y)))


def clamp(low: Interval, x: Interval, high: Interval) -> Interval:
    return minimum(maximum(x, low), high)


def remainder(x: Interval, y: Interval) -> Interval:
    """X - y trunc(x / y), with the sign of x and smaller than y."""
    turns = truncate(div(x, y))
    rest = add(x, neg(mul(turns, y)))
    most = np.maximum(np.abs(y.lo), np.abs(y.hi))
    lo = np.where(x.lo >= 0, 0.0, -most)
    hi = np.where(x.hi <= 0, 0.0, most)
    lo, hi = np.clip(rest.lo, lo, hi), np.clip(rest.hi, lo, hi)
    return make(lo, hi, rest.regular)


def _truth(true: np.ndarray, false: np.ndarray, *operands: Interval) -> Interval:
    known = true | false
    for x in operands:
        known = known & x.regular
    return Interval(true.astype(float), (~false).astype(float), known)


def less(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    return _truth(x.hi < y.lo, x.lo >= y.hi, x, y)


def less_equal(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    return _truth(x.hi <= y.lo, x.lo > y.hi, x, y)


def equal(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    same = (x.lo == x.hi) & (y.lo == y.hi) & (x.lo == y.lo)
    return _truth(same, (x.hi < y.lo) | (x.lo > y.hi), x, y)


def negated(x: Interval) -> Interval:
    """1 - x: the opposite of a truth value."""
    return Interval(1 - x.hi, 1 - x.lo, x.regular)


def both(x: Interval, y: Interval) -> Interval:
    x, y = aligned(x, y)
    lo, hi = np.minimum(x.lo, y.lo), np.minimum(x.hi, y.hi)
    return Interval(lo, hi, (x.regular & y.regular) | (hi == 0))


def either(x: Interval, y: Interval) -> Interval:
    return negated(both(negated(x), negated(y)))


def unlike(x: Interval, y: Interval) -> Interval:
    return either(both(x, negated(y)), both(negated(x), y))


def finite(x: Interval) -> Interval:
    """Whether values are finite: certain where they are bounded and defined."""
    surely = x.regular & np.isfinite(x.lo) & np.isfinite(x.hi)
    return Interval(surely.astype(float), np.ones_like(x.lo), surely)


def select(which: Interval, *cases: Interval) -> Interval:
    """The case that `which` names: 0 or 1, or a whole number."""
    which, *rest = aligned(which, *cases)
    cases = tuple(rest)
    decided = which.lo == which.hi
    shape = np.broadcast_shapes(which.lo.shape, *(c.lo.shape for c in cases))
    lo, hi = np.full(shape, np.nan), np.full(shape, np.nan)
    regular = np.zeros(shape, bool)
    for index, case in enumerate(cases):
        may = (which.lo <= index) & (index <= which.hi)
        # An empty case adds nothing to a union.
        lo = np.where(may, np.fmin(lo, case.lo), lo)
        hi = np.where(may, np.fmax(hi, case.hi), hi)
        regular = np.where(may, case.regular & decided & which.regular, regular)
    return Interval(lo, hi, regular)


def same_operand(name: str, x: Interval) -> Interval | None:
    """What is known where both operands are one value: x·x, x - x, x ≠ x."""
    if name == "mul":
        from jaxcalc.analysis.intervals._elementary import square

        return square(x)
    zero = constant(np.zeros(x.lo.shape[1:]))
    fixed = {"sub": 0.0, "ne": 0.0, "lt": 0.0, "gt": 0.0, "eq": 1.0, "ge": 1.0}
    fixed |= {"le": 1.0}
    if name in fixed:
        value = np.where(np.isnan(x.lo), np.nan, zero.lo + fixed[name])
        return Interval(value, value, x.regular)
    if name in {"max", "min"}:
        return x
    return None
