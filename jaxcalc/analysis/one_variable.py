"""What a function of one variable does on an interval, proved where that is possible.

Critical points are isolated by interval arithmetic over the function's own jaxpr
(`jaxcalc.analysis.intervals`): every part of the interval is shown to have no root of
f', or, by Newton's interval operator, exactly one. Where that fails, at a kink, a pole
or a multiple root, or for want of a rule, the function is sampled and the answer is
graded numerical; what stays in the dark is named as an interval.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxcalc.analysis import _classify, _convexity, _places, _signs
from jaxcalc.analysis._places import Place
from jaxcalc.analysis._traced import Traced
from jaxcalc.analysis.records import CriticalPoint, Evidence, Extreme, Piece
from jaxcalc.analysis.results import Study

_CURVE = 1025


def study(
    f: Callable[..., Any],
    a: float | int,
    b: float | int,
    *,
    args: tuple[Any, ...] = (),
) -> Study:
    r"""Find what a function does on $[a, b]$: where it turns, rises, bends.

    The work is done in float64, whatever the setting of JAX, because it is about the
    function and not about its rounding. f' and f'' are those of automatic
    differentiation, and what is proved is about them; where they clearly do not agree
    with the values, nothing is graded proved, and a note says so.

    A root of f' that is not simple, as that of $x^4$, is found but not proved. Two
    breaks closer than a cell of the scan (`find_breaks`) may be taken for one. Costs
    4 to 20 ms for a smooth function after the first call, which traces and compiles;
    breaks cost 50 to 200 ms more.

    Args:
        f: A function `f(x, *args) -> scalar`, written with `jax.numpy`.
        a: Left end; finite.
        b: Right end; finite and larger than `a`.
        args: Data handed on to `f`.

    Returns:
        Critical points with their kinds, inflections, monotone and convex pieces, and
        how each is known.

    Raises:
        TypeError: `f` cannot be traced, or does not return a floating scalar; an end
            is not a number.
        ValueError: The ends are not finite, or not in order.

    References:
        Moore, Kearfott and Cloud (2009), Introduction to Interval Analysis, chapter 8.
    """
    a, b = _ends(a, b)
    with jax.enable_x64(True):
        return _study(Traced(f, args), a, b)


def _ends(a: Any, b: Any) -> tuple[float, float]:
    ends = []
    for name, value in (("a", a), ("b", b)):
        try:
            ends.append(float(value))
        except (TypeError, ValueError):
            raise TypeError(f"`{name}` must be a real number, got {value!r}") from None
        if not math.isfinite(ends[-1]):
            raise ValueError(f"`{name}` must be finite, got {value!r}")
    if not ends[0] < ends[1]:
        raise ValueError(f"`a` must be smaller than `b`, got {ends[0]} and {ends[1]}")
    if not math.isfinite(ends[1] - ends[0]):
        raise ValueError(f"`a` and `b` are too far apart: {ends[0]} and {ends[1]}")
    return ends[0], ends[1]


def _study(traced: Traced, a: float, b: float) -> Study:
    grid = np.linspace(a, b, _CURVE)
    curve = np.stack([grid, *traced.sample(grid)])
    # An interval of a wrong derivative proves nothing.
    doubtful = _disagrees(curve[:3]) or _disagrees(curve[[0, 2, 3]])
    traced = traced.untrusted() if doubtful else traced
    first = _places.gather(traced, a, b, 1)
    second = _places.gather(traced, a, b, 2)
    places = _with_ends(first.places, a, b)
    between = _signs.gaps(traced, places, 1, first)
    monotone = _signs.pieces(places, between, 1)
    missing = [piece for piece in monotone if piece.what == "undefined"]
    points = _classify.critical_points(traced, places, between)
    breaks = [place for place in first.places if place.nature is not None]
    bends = _with_ends(_places.cut(second.places, breaks), a, b)
    gaps = _signs.gaps(traced, bends, 2, second)
    curvature = [] if doubtful else _signs.pieces(bends, gaps, 2)
    turns = [] if doubtful else _convexity.inflections(traced, bends, gaps)
    sure = _evidence(monotone, first.complete)
    minimum = _classify.extreme(traced, points, places, sure, 1)
    maximum = _classify.extreme(traced, points, places, sure, -1)
    made = Study(
        a=a,
        b=b,
        critical_points=tuple(_marked(points, minimum, maximum)),
        inflections=tuple(turns),
        monotone=tuple(monotone),
        curvature=tuple(curvature),
        convex=_convexity.convexity(curvature, breaks, missing, 1),
        concave=_convexity.convexity(curvature, breaks, missing, -1),
        minimum=minimum,
        maximum=maximum,
        proved=first.complete,
        undecided=tuple(first.undecided),
        unknown=traced.unknown,
        curve=curve,
    )
    return dataclasses.replace(made, notes=tuple(_notes(made, doubtful)))


def _evidence(monotone: list[Piece], proved: bool) -> Evidence:
    """How it is known that no value between the critical points is extreme."""
    if any(piece.what == "unresolved" for piece in monotone):
        return Evidence.UNRESOLVED
    return Evidence.PROVED if proved else Evidence.NUMERICAL


def _with_ends(places: list[Place], a: float, b: float) -> list[Place]:
    """Places with the ends, each of which takes up what is found right at it."""
    near = 1e-14 * max(abs(a), abs(b), b - a)
    inside = [p for p in places if p.flat or (p.low > a + near and p.high < b - near)]
    ends = []
    for x in (a, b):
        at = [p for p in places if not p.flat and p.low - near <= x <= p.high + near]
        nature = next((p.nature for p in at if p.nature is not None), None)
        ends.append(Place(x, x, x, Evidence.PROVED, nature=nature))
    return [ends[0], *inside, ends[1]]


def _marked(
    points: list[CriticalPoint], minimum: Extreme | None, maximum: Extreme | None
) -> Iterator[CriticalPoint]:
    slack = _classify.tie(points)
    least, most = -math.inf, math.inf
    if minimum and minimum.attained and minimum.evidence is not Evidence.UNRESOLVED:
        least = minimum.value + slack
    if maximum and maximum.attained and maximum.evidence is not Evidence.UNRESOLVED:
        most = maximum.value - slack
    for point in points:
        yield dataclasses.replace(
            point,
            global_minimum=-math.inf < point.value <= least,
            global_maximum=math.inf > point.value >= most,
        )


def _notes(made: Study, doubtful: bool) -> list[str]:
    notes = []
    if made.unknown:
        names = ", ".join(made.unknown)
        notes.append(f"Nothing is proved: there is no interval rule for {names}.")
    for low, high in made.undecided:
        notes.append(f"Undecided: from {low:.6g} to {high:.6g}.")
    if doubtful:
        notes.append(
            "Nothing is proved: the values do not change as the derivatives of "
            "automatic differentiation say; ask `check_derivatives`."
        )
    return notes


def _disagrees(curve: np.ndarray) -> bool:
    """Whether f is far from the integral of f' over many cells, by Simpson's rule."""
    x, f, slope = curve
    h = (x[2::2] - x[:-2:2]) / 2
    with np.errstate(all="ignore"):
        integral = h / 3 * (slope[:-2:2] + 4 * slope[1::2] + slope[2::2])
        # Where the slope itself changes much within a cell, the rule says nothing.
        swing = h * np.ptp(np.stack([slope[:-2:2], slope[1::2], slope[2::2]]), axis=0)
        off = np.abs(f[2::2] - f[:-2:2] - integral)
        rounding = 1e-12 * np.nanmax(np.abs(f), initial=0.0)
        wrong = off > swing + rounding
    return bool(np.count_nonzero(wrong) > 0.05 * wrong.size)
