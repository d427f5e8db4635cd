"""What a derivative does between the places: its sign, and pieces of one sign."""

import math
from typing import NamedTuple

import numpy as np

from jaxcalc.analysis._places import Gathered, Place
from jaxcalc.analysis._traced import Traced
from jaxcalc.analysis.records import Evidence, Piece

_SHARES = np.array([0.03, 0.1, 0.22, 0.36, 0.5, 0.64, 0.78, 0.9, 0.97])
WORDS = {
    1: {1: "increasing", -1: "decreasing", 0: "constant"},
    2: {1: "convex", -1: "concave", 0: "straight"},
}
UNDEFINED, MIXED = math.nan, math.inf


class Gap(NamedTuple):
    """What lies between two places.

    Attributes:
        low: Its left end.
        high: Its right end.
        sign: 1, -1 or 0; NaN where f is not defined, infinite where it is not clear.
        proved: Whether intervals proved that the sign does not change.
    """

    low: float
    high: float
    sign: float
    proved: bool


def gaps(
    traced: Traced, places: list[Place], order: int, gathered: Gathered
) -> list[Gap]:
    """The signs of a derivative between consecutive places.

    Args:
        traced: The function.
        places: From left to right, the ends among them.
        order: 1 for f', 2 for f''.
        gathered: What was found, and what stays undecided.

    Returns:
        One gap between each two places.
    """
    lows = [p.high for p in places[:-1]]
    highs = [max(p.low, low) for p, low in zip(places[1:], lows, strict=True)]
    lo, hi = np.array(lows), np.array(highs)
    points = lo[:, None] + (hi - lo)[:, None] * _SHARES
    found = traced.sample(points.ravel())
    values = found.value.reshape(points.shape)
    slopes = (found.slope if order == 1 else found.curvature).reshape(points.shape)
    provable = traced.enclose(order) is not None
    made = []
    for k in range(len(lows)):
        sign = _sign(values[k], slopes[k])
        hidden = any(lo[k] < high and low < hi[k] for low, high in gathered.undecided)
        made.append(Gap(lows[k], highs[k], sign, provable and not hidden))
    return made


def _sign(values: np.ndarray, slopes: np.ndarray) -> float:
    defined = ~np.isnan(values)  # what overflows is defined
    if not defined.any():
        return UNDEFINED
    known = slopes[~np.isnan(slopes)]
    if not defined.all() or not known.size:
        return MIXED
    size = np.max(np.abs(known))
    rounding = 1e-9 * size if size < np.inf else 0.0
    signs = set(np.sign(known[np.abs(known) > rounding]).tolist())
    if not signs:
        return 0.0
    return signs.pop() if len(signs) == 1 else MIXED


def pieces(places: list[Place], between: list[Gap], order: int) -> list[Piece]:
    """Intervals on which f does one thing, as long as they can be.

    Args:
        places: From left to right, the ends among them.
        between: The gaps between them.
        order: 1 or 2.

    Returns:
        Pieces from left to right; flat stretches are pieces of their own.
    """
    words = WORDS[order]
    found: list[Piece] = []
    joined = False  # whether the last piece may go on
    for k, place in enumerate(places):
        if place.flat:
            flat = Piece(place.low, place.high, words[0], place.evidence)
            _append(found, flat, joined)
            joined = True
        goes_on = place.continuous and (order == 1 or place.differentiable)
        joined = joined and goes_on
        if k == len(places) - 1:
            break
        gap = between[k]
        # Ends and points have a width of roundings; pieces meet in the middle of it.
        low = place.high if place.flat else place.x
        after = places[k + 1]
        high = after.low if after.flat else after.x
        if high <= low or (gap.high - gap.low) <= 0:
            continue
        what, evidence = _named(gap, words)
        _append(found, Piece(low, high, what, evidence), joined)
        joined = True
    return found


def _named(gap: Gap, words: dict[int, str]) -> tuple[str, Evidence]:
    evidence = Evidence.PROVED if gap.proved else Evidence.NUMERICAL
    if math.isnan(gap.sign):
        return "undefined", evidence
    if math.isinf(gap.sign):
        return "unresolved", Evidence.UNRESOLVED
    return words[int(gap.sign)], evidence


def _append(found: list[Piece], piece: Piece, joined: bool) -> None:
    last = found[-1] if found else None
    if last is None or not joined or last.what != piece.what:
        found.append(piece)
        return
    proved = last.evidence is piece.evidence is Evidence.PROVED
    evidence = Evidence.PROVED if proved else Evidence.NUMERICAL
    found[-1] = Piece(last.low, piece.high, piece.what, evidence)
