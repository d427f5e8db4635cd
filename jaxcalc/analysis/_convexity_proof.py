"""Bounds on all eigenvalues of a Hessian over a box, by division where it helps."""

import dataclasses

import numpy as np

from jaxcalc.analysis._boxes_field import Field
from jaxcalc.analysis._boxes_matrices import eigenvalues

_AT_ONCE = 256
_SHARP = 0.98  # of what is seen at points: no bound can be better than 1
_ROUNDS = 40
_MORE = 512
_STALE = 8


@dataclasses.dataclass(frozen=True)
class Bounds:
    """No eigenvalue of the Hessian lies outside of `low` and `high`.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        boxes: How many boxes were looked at.
    """

    low: float
    high: float
    boxes: int


def eigenvalue_bounds(
    field: Field,
    low: np.ndarray,
    high: np.ndarray,
    seen: tuple[float, float],
    signs: list[int],
    budget: int,
) -> Bounds:
    """Enclose the eigenvalues of the Hessian over a box.

    Args:
        field: The function.
        low: Lower corner of the box.
        high: Upper corner.
        seen: The smallest and the largest eigenvalue at points.
        signs: Which bounds to make sharp: 1 for the lower one, -1 for the upper one.
        budget: How many boxes may be looked at.

    Returns:
        The bounds; infinite where the function is not smooth.
    """
    lo, hi = low[None], high[None]
    (least, most), count = _look(field, lo, hi), 1
    stale, limit = 0, budget
    worst = np.array([least.min(), most.max()])
    for _ in range(_ROUNDS * len(low)):
        chosen = _worst(least, most, seen, signs)
        if not chosen.any() or count + 2 * chosen.sum() > limit or stale > _STALE:
            break
        if limit == budget and _decided(least, most, signs):
            limit = min(budget - 1, count + _MORE)  # a sharper modulus is worth some
        axes = np.argmax((hi - lo)[chosen] / (high - low), axis=1)
        parts = _halves(lo[chosen], hi[chosen], axes)
        new = _look(field, *parts)
        count += len(parts[0])
        # A part can not do worse than the whole.
        inherited = [np.tile(x[chosen], 2) for x in (least, most)]
        lo = np.concatenate([lo[~chosen], parts[0]])
        hi = np.concatenate([hi[~chosen], parts[1]])
        least = np.concatenate([least[~chosen], np.fmax(new[0], inherited[0])])
        most = np.concatenate([most[~chosen], np.fmin(new[1], inherited[1])])
        before, worst = worst, np.array([least.min(), most.max()])
        better = (worst[0] > before[0]) or (worst[1] < before[1])
        stale = 0 if better else stale + (len(least) > 4 * _AT_ONCE)
    return Bounds(float(least.min()), float(most.max()), count)


def _decided(least: np.ndarray, most: np.ndarray, signs: list[int]) -> bool:
    convex = 1 not in signs or least.min() >= 0
    return bool(convex and (-1 not in signs or most.max() <= 0))


def _look(
    field: Field, lo: np.ndarray, hi: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    over = field.enclose(lo, hi)
    found = eigenvalues(over.hessian)
    # Where the function is not smooth its second derivatives do not tell.
    return (
        np.where(over.regular, found.low, -np.inf),
        np.where(over.regular, found.high, np.inf),
    )


def _worst(
    least: np.ndarray, most: np.ndarray, seen: tuple[float, float], signs: list[int]
) -> np.ndarray:
    """Which boxes to divide: those that keep a bound from being sharp."""
    chosen = np.zeros(len(least), bool)
    for sign, bounds, goal in ((1, least, seen[0]), (-1, -most, -seen[1])):
        if sign not in signs:
            continue
        # A proof needs zero; a modulus nearly what is seen.
        goal = _SHARP * goal if goal > 0 else min(goal, 0.0)
        open_ = np.flatnonzero(bounds < goal)
        order = open_[np.argsort(bounds[open_], kind="stable")]
        chosen[order[:_AT_ONCE]] = True
    return chosen


def _halves(
    lo: np.ndarray, hi: np.ndarray, axes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(axes))
    cut = lo[rows, axes] + (hi[rows, axes] - lo[rows, axes]) / 2
    upper, lower = hi.copy(), lo.copy()
    upper[rows, axes] = cut
    lower[rows, axes] = cut
    return np.concatenate([lo, lower]), np.concatenate([upper, hi])
