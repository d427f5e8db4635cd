"""Inflection points, and whether a function is convex on the whole interval."""

import math

import numpy as np

from jaxcalc.analysis._places import Place
from jaxcalc.analysis._signs import Gap
from jaxcalc.analysis._traced import Traced
from jaxcalc.analysis.records import Convexity, Evidence, Inflection, Piece
from jaxcalc.derivatives import Kind as Nature


def inflections(
    traced: Traced, places: list[Place], between: list[Gap]
) -> list[Inflection]:
    """Places at which f'' truly changes its sign, and f goes on with one tangent.

    Args:
        traced: The function.
        places: From left to right, the ends among them.
        between: The gaps between them.

    Returns:
        The inflection points.
    """
    found = []
    for k, place in enumerate(places[1:-1], 1):
        left, right = between[k - 1].sign, between[k].sign
        vertical = place.nature and place.nature.kind is Nature.VERTICAL_TANGENT
        if {left, right} != {1.0, -1.0} or place.flat:
            continue
        if not (place.differentiable or vertical):
            continue
        found.append((place, left))
    samples = traced.sample(np.array([place.x for place, _ in found]))
    return [
        Inflection(
            x=place.x,
            value=float(samples.value[k]),
            slope=float(samples.slope[k]),
            error=max(place.x - place.low, place.high - place.x, 0.0),
            change="convex to concave" if left > 0 else "concave to convex",
            evidence=place.evidence,
        )
        for k, (place, left) in enumerate(found)
    ]


def convexity(
    pieces: list[Piece], places: list[Place], missing: list[Piece], sign: int
) -> Convexity:
    """Whether f is convex (sign 1) or concave (sign -1) on the whole interval.

    Args:
        pieces: Convex and concave pieces.
        places: The breaks.
        missing: Where f is not defined.
        sign: 1 or -1.

    Returns:
        The answer, with a witness where it fails.
    """
    wanted, other = ("convex", "concave")[::sign]
    for place in places:
        if not place.continuous:
            return _fails(place.x, "it is not continuous there")
    for piece in (*missing, *pieces):
        middle = piece.low + (piece.high - piece.low) / 2
        if piece.what == "undefined":
            return Convexity(False, piece.evidence, middle, "it is not defined there")
        if piece.what == other:
            comparison = "<" if sign > 0 else ">"
            return Convexity(False, piece.evidence, middle, f"f'' {comparison} 0 there")
    for place in places:
        if place.nature is None or place.differentiable:
            continue
        one = place.nature
        turn = sign * (one.right_slope - one.left_slope)
        slack = one.left_slope_error + one.right_slope_error
        vertical = one.kind is Nature.VERTICAL_TANGENT and _inside(one)
        if turn < -slack or vertical:
            return _fails(place.x, "the slope jumps the wrong way there")
    if any(piece.what == "unresolved" for piece in pieces) or not pieces:
        reason = "the sign of f'' is not known everywhere"
        return Convexity(None, Evidence.UNRESOLVED, math.nan, reason)
    proved = all(piece.evidence is Evidence.PROVED for piece in pieces)
    proved = proved and all(place.nature is None for place in places)
    evidence = Evidence.PROVED if proved else Evidence.NUMERICAL
    comparison = "≥" if sign > 0 else "≤"
    return Convexity(True, evidence, math.nan, f"f'' {comparison} 0 ({wanted})")


def _inside(one: object) -> bool:
    slopes = (getattr(one, "left_slope", 0.0), getattr(one, "right_slope", 0.0))
    return all(math.isinf(slope) for slope in slopes)


def _fails(x: float, reason: str) -> Convexity:
    return Convexity(False, Evidence.NUMERICAL, x, reason)
