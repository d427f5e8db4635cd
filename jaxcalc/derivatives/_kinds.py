"""Which kind of point two sides make."""

import math
from enum import Enum

import numpy as np

from jaxcalc.derivatives._limits import Limit, Trend
from jaxcalc.derivatives._sides import Samples, Side


class Kind(Enum):
    """What a function is like at a point, the gentlest first."""

    SMOOTH = "smooth"
    UNDECIDED = "cannot tell"
    C1_NOT_C2 = "C1, not C2"
    DIFFERENTIABLE = "differentiable, not C1"
    CORNER = "corner"
    VERTICAL_TANGENT = "vertical tangent"
    CUSP = "cusp"
    HOLE = "hole"
    JUMP = "jump"
    OSCILLATION = "oscillation"
    INFINITE = "infinite discontinuity"
    NOT_DEFINED = "not defined"


def kind_of(
    here: Samples, eps: float, left: Side | None, right: Side | None
) -> tuple[Kind, str]:
    """The kind, with its reason in words."""
    there = [side for side in (left, right) if side is not None]
    if not there:
        return Kind.NOT_DEFINED, "The function has no values close by."
    ends = "" if len(there) == 2 else " The function is defined on one side only."
    trends = {side.value.trend for side in there}
    if trends & {Trend.UP, Trend.DOWN}:
        return Kind.INFINITE, "The values grow without bound." + ends
    if Trend.OSCILLATES in trends:
        return Kind.OSCILLATION, "The values oscillate and have no limit." + ends
    if trends != {Trend.FINITE}:
        return Kind.UNDECIDED, "The values do not settle as far as can be seen." + ends
    found = _by_values(here, eps, there)
    kind, reason = found or _by_slopes(here, eps, there)
    return kind, reason + ends


def _by_values(here: Samples, eps: float, there: list[Side]) -> tuple[Kind, str] | None:
    """Kinds that the limits of the values decide; None where f is continuous."""
    value, automatic = float(here.value[0]), float(here.slope[0])
    limits = [side.value for side in there]
    error = 3 * sum(limit.error for limit in limits)
    a, b = limits[0].value, limits[-1].value
    error += 4 * eps * max(abs(a), abs(b))
    # A steep slope may cross between two neighbours in this dtype.
    crossed = abs(automatic) * sum(side.nearest[0] for side in there)
    steep = crossed if math.isfinite(crossed) else 0.0
    if abs(a - b) > error:
        # A jump is complete at the next neighbours; a steep slope is under way there.
        complete = all(
            max(abs(v - side.value.value) for v in side.nearest[1:]) <= 0.1 * abs(a - b)
            for side in there
        )
        if complete and steep < 0.5 * abs(a - b):
            return Kind.JUMP, f"The limits {a:.6g} and {b:.6g} differ."
        return Kind.UNDECIDED, "A jump, or a slope too steep for this dtype."
    if not math.isfinite(value):
        return Kind.HOLE, f"The limit is {a:.6g}, and the value is missing."
    if abs(value - a) > error + 4 * eps * abs(value):
        settled = all(
            max(abs(v - a) for v in side.nearest[1:]) <= 0.1 * abs(value - a)
            for side in there
        )
        if settled and steep < 0.5 * abs(value - a):
            return (
                Kind.HOLE,
                f"The limit is {a:.6g}, and the value {value:.6g} another.",
            )
        return Kind.UNDECIDED, "Another value at the point, or a very steep slope."
    return None


def _by_slopes(here: Samples, eps: float, there: list[Side]) -> tuple[Kind, str]:
    """Kinds of a continuous function."""
    slopes = [best_slope(side) for side in there]
    trends = [slope.trend if slope else Trend.UNKNOWN for slope in slopes]
    if Trend.OSCILLATES in trends:
        return Kind.OSCILLATION, "The quotients oscillate: there is no slope."
    if Trend.UNKNOWN in trends or Trend.ABSENT in trends:
        return Kind.UNDECIDED, "The slopes do not settle as far as can be seen."
    infinite = [trend in {Trend.UP, Trend.DOWN} for trend in trends]
    if all(infinite):
        if len(set(trends)) == 2:
            return Kind.CUSP, "The slopes are infinite, of opposite signs."
        return Kind.VERTICAL_TANGENT, "The slope is infinite."
    a, b = slopes[0], slopes[-1]
    if any(infinite):
        return Kind.CORNER, "The slope is infinite on one side, finite on the other."
    assert a is not None and b is not None  # noqa: PT018  told by the trends
    gap, spacing = abs(a.value - b.value), sum(side.nearest[0] for side in there)
    if gap > 3 * (a.error + b.error) + 4 * eps * abs(a.value):
        # A strong curvature may turn the slope between two neighbours in this dtype.
        if abs(np.nan_to_num(here.curvature[0])) * spacing > 0.5 * gap:
            return Kind.UNDECIDED, "A corner, or a turn too sharp for this dtype."
        return Kind.CORNER, f"The slopes {a.value:.6g} and {b.value:.6g} differ."
    if any(side.slopes.trend is Trend.OSCILLATES for side in there):
        if abs(here.slope[0] - a.value) > 3 * a.error + 1e-6 * abs(a.value):
            return Kind.UNDECIDED, "The slopes nearby oscillate wildly, as noise does."
        return Kind.DIFFERENTIABLE, "There is a slope, but the slopes nearby oscillate."
    if any(side.slopes.trend is Trend.UNKNOWN for side in there):
        return Kind.UNDECIDED, "There is a slope; the slopes nearby do not settle."
    if _breaks_at_the_neighbours(eps, there):
        return Kind.UNDECIDED, "A small jump, or rounding of the values."
    return _by_curvatures(eps, there)


def _breaks_at_the_neighbours(eps: float, there: list[Side]) -> bool:
    """Whether the values step across the point as they do nowhere close by."""
    if len(there) < 2:
        return False
    (_, a, before), (_, b, after) = there[0].nearest, there[-1].nearest
    rounding = 4 * eps * max(abs(a), abs(b))
    return abs(a - b) > 2 * (abs(a - before) + abs(b - after)) + rounding


def _by_curvatures(eps: float, there: list[Side]) -> tuple[Kind, str]:
    """Kinds of a function with one slope."""
    curvatures = [best_curvature(side) for side in there]
    if any(c and (c.infinite or c.trend is Trend.OSCILLATES) for c in curvatures):
        return Kind.C1_NOT_C2, "The second derivative has no finite limit."
    if not all(c and c.finite for c in curvatures):
        return Kind.UNDECIDED, "There is a slope; the second derivative is not clear."
    a, b = curvatures[0], curvatures[-1]
    assert a is not None and b is not None  # noqa: PT018
    error = 3 * (a.error + b.error) + 1e3 * eps * max(abs(a.value), abs(b.value))
    if abs(a.value - b.value) > error:
        if not all(_confirmed(side) for side in there):
            return Kind.UNDECIDED, "There is a slope; the curvature is in doubt."
        return (
            Kind.C1_NOT_C2,
            f"The second derivatives {a.value:.6g} and {b.value:.6g} differ.",
        )
    return Kind.SMOOTH, "Slopes and curvatures agree."


def best_slope(side: Side | None) -> Limit | None:
    """The slope from values, sharpened by autodiff's where the two agree."""
    if side is None:
        return None
    return _sharpened(side.slope, side.slopes)


def best_curvature(side: Side | None) -> Limit | None:
    if side is None:
        return None
    slope = side.slope
    trusted = slope.finite and side.slopes.finite and _agree(slope, side.slopes)
    if not trusted:
        return side.curvature
    rough = side.curvature
    if rough.trend in {Trend.UNKNOWN, Trend.ABSENT}:
        return side.curvatures
    if side.curvatures.trend is Trend.OSCILLATES:
        return side.curvatures
    return _sharpened(rough, side.curvatures)


def _confirmed(side: Side) -> bool:
    """Whether nothing speaks against the curvature that values show."""
    both = side.curvature.finite and side.curvatures.finite
    return not both or _agree(side.curvature, side.curvatures)


def _sharpened(rough: Limit, sharp: Limit) -> Limit:
    if rough.finite and sharp.finite and _agree(rough, sharp):
        return min(rough, sharp, key=lambda limit: limit.error)
    return rough


def _agree(a: Limit, b: Limit) -> bool:
    return abs(a.value - b.value) <= 2 * (a.error + b.error)
