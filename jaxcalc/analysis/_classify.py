"""Tell what each place is: by signs on both sides, or by higher derivatives."""

import math

import numpy as np

from jaxcalc.analysis._places import Place
from jaxcalc.analysis._signs import Gap
from jaxcalc.analysis._traced import Samples, Traced
from jaxcalc.analysis.records import CriticalPoint, Evidence, Extreme, Kind
from jaxcalc.derivatives import Kind as Nature
from jaxcalc.derivatives import taylor_polynomial

_DEGREE = 6
_SHARP = {
    Nature.CORNER: (Kind.CORNER_MINIMUM, Kind.CORNER_MAXIMUM, Kind.CORNER),
    Nature.CUSP: (Kind.CUSP_MINIMUM, Kind.CUSP_MAXIMUM, Kind.BREAK),
    Nature.VERTICAL_TANGENT: (
        Kind.CORNER_MINIMUM,
        Kind.CORNER_MAXIMUM,
        Kind.VERTICAL_TANGENT,
    ),
}


def critical_points(
    traced: Traced, places: list[Place], between: list[Gap]
) -> list[CriticalPoint]:
    """Classify the critical places.

    Args:
        traced: The function.
        places: From left to right; the first and the last are the ends.
        between: The gaps between them.

    Returns:
        The critical points, those that the function is not defined at included.
    """
    samples = traced.sample(np.array([p.x for p in places]))
    last = len(places) - 1
    width = places[-1].x - places[0].x
    found = []
    for k, place in enumerate(places):
        if not place.critical and 0 < k < last:
            continue
        left = _sign_beside(places, between, k, -1)
        right = _sign_beside(places, between, k, 1)
        here = Samples(*(part[k] for part in samples))
        end = k in {0, last}
        kind, order = Kind.END, None
        if end and place.nature is not None and not math.isfinite(here.value):
            kind = Kind.BREAK
        elif not end:
            kind = _kind(place, left, right, float(here.value))
            if kind in {Kind.MINIMUM, Kind.MAXIMUM, Kind.INFLECTION, Kind.FLAT}:
                kind, order = _degenerate(traced, place, kind, width)
        found.append(_record(place, here, kind, order, width))
    return found


def _sign_beside(
    places: list[Place], between: list[Gap], k: int, step: int
) -> float | None:
    """The sign of f' beside a place; None beyond an end."""
    j = k if step > 0 else k - 1
    while 0 <= j < len(between):
        gap = between[j]
        if gap.high > gap.low:
            return gap.sign
        neighbour = places[j + 1] if step > 0 else places[j]
        if neighbour.flat:
            return 0.0
        j += step
    return None


def _kind(place: Place, left: float | None, right: float | None, value: float) -> Kind:
    if place.flat:
        return Kind.FLAT
    falls_then_rises = left == -1 and right == 1
    rises_then_falls = left == 1 and right == -1
    if place.nature is None or place.differentiable:
        if falls_then_rises:
            return Kind.MINIMUM
        if rises_then_falls:
            return Kind.MAXIMUM
        same = left == right and left in {1, -1}
        return Kind.INFLECTION if same else Kind.FLAT
    one_sided = any(s is not None and math.isnan(s) for s in (left, right))
    if one_sided and math.isfinite(value) and place.continuous:
        return Kind.END  # of the domain
    names = _SHARP.get(place.nature.kind)
    if names is None:
        return Kind.BREAK
    return names[0 if falls_then_rises else 1 if rises_then_falls else 2]


def _degenerate(
    traced: Traced, place: Place, kind: Kind, width: float
) -> tuple[Kind, int | None]:
    """Ask the first derivative that does not vanish, where f'' does."""
    unclear = place.evidence is not Evidence.PROVED and place.nature is None
    if not unclear or place.flat or place.high - place.low > 1e-4 * width:
        return kind, None
    polynomial = taylor_polynomial(traced.f, place.x, _DEGREE, args=traced.args)
    terms = np.array(polynomial.coefficients) * (width / 50) ** np.arange(_DEGREE + 1)
    sizes = np.abs(terms)
    sizes[:2] = 0  # the slope is zero as far as can be seen
    if not np.isfinite(sizes).all() or not sizes.max() > 0:
        return kind, None
    order = int(np.argmax(sizes > 1e-6 * sizes.max()))
    if kind is not Kind.FLAT:
        return kind, order
    if order % 2:
        return Kind.INFLECTION, order
    return (Kind.MINIMUM if terms[order] > 0 else Kind.MAXIMUM), order


def _record(
    place: Place, here: Samples, kind: Kind, order: int | None, width: float
) -> CriticalPoint:
    error = max(place.x - place.low, place.high - place.x, 0.0)
    if place.flat:  # of its ends: they are points of the grid, if it is not proved
        error = 0.0 if place.evidence is Evidence.PROVED else width / 1024
    x, slope, curvature = place.x, float(here.slope), float(here.curvature)
    if math.isnan(here.value):
        slope = curvature = math.nan
    if place.nature is not None and kind is not Kind.END:
        # What automatic differentiation answers where there is nothing is no answer.
        curvature = math.nan
        if not place.differentiable:
            slopes = {place.nature.left_slope, place.nature.right_slope}
            slope = slopes.pop() if len(slopes) == 1 else math.nan
    return CriticalPoint(
        x=x,
        value=float(here.value),
        slope=slope,
        curvature=curvature,
        error=error,
        kind=kind,
        evidence=place.evidence,
        low=place.low,
        high=place.high,
        nature=place.nature.kind.value if place.nature else "",
        order=order,
    )


def _limits(traced: Traced, place: Place) -> list[float]:
    """What f comes close to on both sides of a place where it is not continuous."""
    one = place.nature
    if one is None or place.continuous:
        return []
    found = [one.left_value, one.right_value]
    if one.kind is Nature.INFINITE:
        # The pole may lie between two floats, of which only one is looked at.
        step = 16 * np.spacing(max(abs(place.low), abs(place.high)))
        sides = np.array([place.low - step, place.high + step])
        beside = traced.sample(sides).value
        far = traced.sample(sides + np.array([-1e3, 1e3]) * step).value
        with np.errstate(invalid="ignore"):
            grows = np.abs(beside) > 100 * np.abs(far)
        found += [math.copysign(math.inf, v) for v in beside[grows].tolist()]
    return [value for value in found if not math.isnan(value)]


def extreme(
    traced: Traced,
    points: list[CriticalPoint],
    places: list[Place],
    evidence: Evidence,
    sign: int,
) -> Extreme | None:
    """The smallest value (sign 1) or the largest (sign -1).

    Args:
        traced: The function.
        points: Critical points.
        places: Their places, whose one-sided limits count too.
        evidence: How it is known that there are no others.
        sign: 1 or -1.

    Returns:
        The value, and whether it is attained; None where f has no values.
    """
    attained = [(sign * p.value, p.x) for p in points if not math.isnan(p.value)]
    limits = [
        (sign * value, place.x) for place in places for value in _limits(traced, place)
    ]
    best = min([*attained, *limits], default=None)
    if best is None:
        return None
    value, x = best
    near = [y for v, y in attained if v <= value + tie(points)]
    taken = bool(near) and math.isfinite(value)
    return Extreme(sign * value, near[0] if taken else x, taken, evidence)


def tie(points: list[CriticalPoint]) -> float:
    """How close two values must be to count as equal: a few roundings."""
    sizes = [abs(p.value) for p in points if math.isfinite(p.value)]
    return 64 * float(np.finfo(float).eps) * max(sizes, default=0.0)
