"""Roots of f' and f'' by sampling: found and refined, but not proved to be all."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxcalc.analysis._traced import Samples, Traced

_POINTS = 1025
_SECTIONS = 16
_ROUNDS = 16


class Root(NamedTuple):
    """A root within `[low, high]`; `flat` where the function is zero all over it."""

    x: float
    low: float
    high: float
    flat: bool = False


def simplest(low: float, high: float) -> float:
    """The number with the fewest digits in an interval."""
    if low <= 0 <= high:
        return 0.0
    middle = low + (high - low) / 2
    for digits in range(17):
        simple = float(f"{middle:.{digits}e}")
        if low <= simple <= high:
            return simple
    return middle


def find_roots(traced: Traced, low: float, high: float, order: int) -> list[Root]:
    """Roots of f' (order 1) or f'' (order 2) on an interval.

    Args:
        traced: The function.
        low: Left end.
        high: Right end.
        order: Which derivative.

    Returns:
        Roots and flat stretches, from left to right; none where they crowd.
    """
    grid = np.linspace(low, high, _POINTS)
    samples = traced.sample(grid)
    target = _of(order)
    turns: list[Root] = []
    with np.errstate(all="ignore"):
        if order == 1:
            # Between two roots closer than a cell f' has an extremum.
            turns = _crossings(traced, grid, samples.curvature, _of(2))
            grid = np.unique(np.concatenate([grid, [turn.x for turn in turns]]))
            samples = traced.sample(grid)
        values = target(samples)
        found = [*_stretches(grid, values), *_crossings(traced, grid, values, target)]
        found += _touching(grid, values, turns, found)
    # So many are those of a wave that the grid does not follow: they mean nothing.
    if len(found) > _POINTS // 4:
        return []
    return sorted(found, key=lambda root: root.low)


def _of(order: int) -> Callable[[Samples], np.ndarray]:
    return (lambda s: s.slope) if order == 1 else (lambda s: s.curvature)


def _stretches(grid: np.ndarray, values: np.ndarray) -> list[Root]:
    """Grid points with an exact zero: single ones are roots, runs are flat."""
    zero = np.flatnonzero(values == 0)
    found = []
    for run in np.split(zero, np.flatnonzero(np.diff(zero) > 1) + 1):
        if run.size:
            a, b = float(grid[run[0]]), float(grid[run[-1]])
            flat = run.size > 2
            x = (a + b) / 2 if flat else simplest(a, b)
            found.append(Root(x, a, b, flat))
    return found


def _crossings(
    traced: Traced,
    grid: np.ndarray,
    values: np.ndarray,
    target: Callable[[Samples], np.ndarray],
) -> list[Root]:
    """Roots between grid points of opposite signs; not poles, not jumps."""
    sign = np.sign(values)
    cells = np.flatnonzero(sign[1:] * sign[:-1] < 0)
    if not cells.size:
        return []
    lo, hi, left = grid[cells], grid[cells + 1], sign[cells]
    before = np.maximum(np.abs(values[cells]), np.abs(values[cells + 1]))
    share = np.arange(1, _SECTIONS) / _SECTIONS
    for _ in range(_ROUNDS):
        points = lo[:, None] + (hi - lo)[:, None] * share
        inner = target(traced.sample(points.ravel())).reshape(points.shape)
        ends = np.concatenate([lo[:, None], points, hi[:, None]], axis=1)
        beyond = np.concatenate(
            [np.sign(inner) != left[:, None], np.ones((lo.size, 1), bool)], axis=1
        )
        first = np.argmax(beyond, axis=1)
        rows = np.arange(lo.size)
        lo, hi = ends[rows, first], ends[rows, first + 1]
        if np.all(hi - lo <= 2 * np.spacing(np.maximum(np.abs(lo), np.abs(hi)))):
            break
    after = np.abs(target(traced.sample(np.concatenate([lo, hi]))))
    after = np.maximum(*np.split(after, 2))
    small = after <= 1e-3 * before
    return [
        Root(simplest(a, b), float(a), float(b))
        for a, b, good in zip(lo, hi, small, strict=True)
        if good
    ]


def _touching(
    grid: np.ndarray, values: np.ndarray, turns: list[Root], found: list[Root]
) -> list[Root]:
    """Extrema of f' at which it comes to zero and turns back."""
    touched = []
    for turn in turns:
        at = int(np.argmin(np.abs(grid - turn.x)))
        near = values[max(at - 3, 0) : at + 4]
        usual = np.nanmax(np.abs(near), initial=0.0)
        known = any(root.low <= turn.x <= root.high for root in found)
        if not known and abs(values[at]) <= 1e-8 * usual and math.isfinite(usual):
            touched.append(Root(turn.x, turn.low, turn.high))
    return touched
