"""Gather the places where f' is zero or missing, proved where that is possible."""

import itertools
import math
from typing import NamedTuple

import numpy as np

from jaxcalc.analysis import _isolate, _numerical
from jaxcalc.analysis._numerical import simplest
from jaxcalc.analysis._traced import Traced
from jaxcalc.analysis.records import Evidence
from jaxcalc.derivatives import Differentiability, differentiability, find_breaks
from jaxcalc.derivatives import Kind as Nature

# Wider than this, in units of the interval, what is undecided is no point.
_POINT = 1e-6
_MANY = 16
CONTINUOUS = {
    Nature.CORNER,
    Nature.CUSP,
    Nature.VERTICAL_TANGENT,
    Nature.C1_NOT_C2,
    Nature.DIFFERENTIABLE,
    Nature.SMOOTH,
    Nature.UNDECIDED,
}
_GENTLE = {Nature.C1_NOT_C2, Nature.DIFFERENTIABLE, Nature.SMOOTH, Nature.UNDECIDED}


class Place(NamedTuple):
    """A point, or a flat stretch, that divides the interval.

    Attributes:
        x: Where it is.
        low: Left end of what holds it.
        high: Right end of the same.
        evidence: How it is known.
        flat: Whether the derivative is zero from `low` to `high`.
        nature: What kind of break it is; None where the function is smooth.
        critical: Whether f' is zero or missing.
    """

    x: float
    low: float
    high: float
    evidence: Evidence
    flat: bool = False
    nature: Differentiability | None = None
    critical: bool = True

    @property
    def continuous(self) -> bool:
        """Whether f goes on through it."""
        return self.nature is None or self.nature.kind in CONTINUOUS

    @property
    def differentiable(self) -> bool:
        """Whether f' is there."""
        return self.nature is None or self.nature.kind in _GENTLE


class Gathered(NamedTuple):
    """Places from left to right, and what stays in the dark."""

    places: list[Place]
    undecided: list[tuple[float, float]]
    complete: bool


def gather(traced: Traced, a: float, b: float, order: int) -> Gathered:
    """Find where a derivative is zero; for order 1 also where it is missing.

    Args:
        traced: The function.
        a: Left end.
        b: Right end.
        order: 1 for f', 2 for f''.

    Returns:
        The places.
    """
    evaluate = traced.enclose(order)
    if evaluate is None:
        places = _look(traced, a, b, order, rough=True)
        return Gathered(places, [] if places else [(a, b)], False)
    found = _isolate.isolate(evaluate, a, b)
    places = [_rooted(low, high) for low, high in found.roots.tolist()]
    places += [
        Place((low + high) / 2, low, high, Evidence.PROVED, flat=True)
        for low, high in found.zero.tolist()
    ]
    undecided: list[tuple[float, float]] = []
    rows = list(zip(found.rest.tolist(), found.smooth.tolist(), strict=True))
    if len(rows) > _MANY:
        low, high = found.rest[0, 0], found.rest[-1, 1]
        rows = [([float(low), float(high)], False)]
    for (low, high), smooth in rows:
        point = high - low <= _POINT * (b - a)
        if point and smooth:
            more = _degenerate(traced, low, high, order)
        elif point:
            more = _broken(traced, low, high) if order == 1 else []
        else:
            more = _look(traced, low, high, order, rough=not smooth)
            more = [_narrow(m, b - a) for m in more if low <= m.x <= high]
            if order == 1 and len(more) == 1:
                more = [_blurred(traced, more[0], low, high)]
        places += more
        if not more or not point:
            undecided.append((low, high))
    places = uncut = _sorted(places)
    if order == 1:
        places = cut([p for p in uncut if p.nature is None], _rough(uncut))
    complete = not rows
    if order == 2:  # breaks are told by f' alone
        wide = _POINT * (b - a)
        undecided = [(low, high) for low, high in undecided if high - low > wide]
        complete = not any(high - low > wide for (low, high), _ in rows)
    return Gathered(places, undecided, complete)


def _rough(places: list[Place]) -> list[Place]:
    """The breaks; what turns out to be smooth is one only if it is critical."""
    return [
        p._replace(nature=None) if p.nature.kind is Nature.SMOOTH else p
        for p in places
        if p.nature and (p.critical or p.nature.kind is not Nature.SMOOTH)
    ]


def cut(places: list[Place], breaks: list[Place]) -> list[Place]:
    """Put breaks among other places: flat stretches end at them, roots give way.

    Args:
        places: Roots and flat stretches.
        breaks: Where something is not smooth.

    Returns:
        All of them, from left to right.
    """
    kept = []
    for place in places:
        near = 1e-12 * max(1.0, abs(place.low), abs(place.high)) if place.flat else 0.0
        here = [
            p
            for p in breaks
            if p.low <= place.high + near and place.low - near <= p.high
        ]
        if not place.flat:
            kept += [] if here else [place]
            continue
        # Only a true break ends a stretch, which then reaches up to it.
        ends = [p.x for p in here if p.nature is not None]
        ends = [x for x in ends if place.low < x < place.high]
        low, high = place.low, place.high
        for p in here:
            low = p.x if abs(p.x - low) <= near else low
            high = p.x if abs(p.x - high) <= near else high
        points = [low, *(x for x in ends if low < x < high), high]
        kept += [
            place._replace(x=(left + right) / 2, low=left, high=right)
            for left, right in itertools.pairwise(points)
        ]
    flats = [p for p in kept if p.flat]
    kept += [
        p
        for p in breaks
        if p.nature is not None or not any(q.low < p.x < q.high for q in flats)
    ]
    return _sorted(kept)


def _narrow(place: Place, width: float) -> Place:
    """A stretch of zeros that are not proved: rounded, with a root somewhere."""
    if not place.flat and place.high - place.low <= _POINT * width:
        return place
    x = simplest(place.low, place.high)
    return place._replace(x=x, flat=False, evidence=Evidence.UNRESOLVED)


def _blurred(traced: Traced, place: Place, low: float, high: float) -> Place:
    """The only root in an interval, which may be anywhere in it if it is blurred."""
    if place.evidence is not Evidence.UNRESOLVED:
        return place
    x = simplest(low, high)
    both = np.array([place.x, x])
    values, noise = traced.sample(both).value, traced.noise(both, 0)
    equal = abs(values[1] - values[0]) <= noise.sum()
    return place._replace(x=x if equal else place.x, low=low, high=high)


def _rooted(low: float, high: float) -> Place:
    return Place(simplest(low, high), low, high, Evidence.PROVED)


def _degenerate(traced: Traced, low: float, high: float, order: int) -> list[Place]:
    """A tiny interval in which a smooth derivative has a multiple root, or none."""
    more = max(high - low, 1e-12 * max(1.0, abs(low)))
    points = np.unique([*np.linspace(low, high, 33), simplest(low, high)])
    sides = np.array([low - more, high + more])
    found = traced.sample(np.concatenate([points, sides]))
    values = np.abs(found.slope if order == 1 else found.curvature)
    best = float(np.min(values[:-2]))
    zeros = points[values[:-2] <= best]
    x = simplest(low, high)
    if x not in zeros:
        x = float(zeros[zeros.size // 2])
    return [Place(x, low, high, Evidence.NUMERICAL)]


def _broken(traced: Traced, low: float, high: float) -> list[Place]:
    """A tiny interval in which something is not smooth."""
    x = simplest(float(np.nextafter(low, -np.inf)), float(np.nextafter(high, np.inf)))
    one = differentiability(traced.f, x, args=traced.args)
    return _of_break(one, min(low, x), max(high, x))


def _of_break(one: Differentiability, low: float, high: float) -> list[Place]:
    if one.kind is Nature.NOT_DEFINED:
        return []
    return [
        Place(
            one.x,
            low,
            high,
            Evidence.NUMERICAL,
            nature=one,
            critical=one.kind not in _GENTLE or _level(one),
        )
    ]


def _level(one: Differentiability) -> bool:
    """Whether the slope at a point where there is one may be zero."""
    slopes = ((one.left_slope, one.left_slope_error),)
    slopes += ((one.right_slope, one.right_slope_error),)
    size = max((abs(v) for v in (one.left_curvature, one.right_curvature)), default=0)
    size = 1.0 if not math.isfinite(size) else max(size, 1.0)
    return any(abs(s) <= 3 * error + 1e-9 * size for s, error in slopes)


def _look(
    traced: Traced, low: float, high: float, order: int, *, rough: bool
) -> list[Place]:
    """Sample, where nothing can be proved."""
    breaks: list[Place] = []
    if rough and order == 1:
        # Where rounding is seen everywhere looks like a break: name a few in a window.
        most = 4 if traced.enclose(1) is not None else 64
        for one in find_breaks(traced.f, low, high, limit=most, args=traced.args):
            if one.kind is not Nature.UNDECIDED:
                breaks += _of_break(one, one.x, one.x)
    found = _numerical.find_roots(traced, low, high, order)
    places = [
        Place(r.x, r.low, r.high, Evidence.NUMERICAL, flat=r.flat)
        for r in found
        if not any(_touch(r.low, r.high, other) for other in breaks) or r.flat
    ]
    if traced.enclose(order) is not None:
        # A flat stretch would have been proved, so rounding makes it flat.
        if order == 2:
            places = [place for place in places if not place.flat]
        places = _apart(traced, places, breaks, order)
    return _sorted([*places, *breaks])


def _apart(
    traced: Traced, places: list[Place], breaks: list[Place], order: int
) -> list[Place]:
    """Merge neighbours between which rounding does not let one see f or f' change."""
    if not places:
        return places
    ends = np.array([(p.low, p.high) for p in places]).ravel()
    values = traced.sample(ends)[order - 1]
    noise = traced.noise(ends, order - 1)
    kept = [places[0]]
    for k, place in enumerate(places[1:], 1):
        last, i, j = kept[-1], 2 * k - 1, 2 * k
        between = any(last.high < one.x < place.low for one in breaks)
        if not between and abs(values[j] - values[i]) <= noise[i] + noise[j]:
            low, high = last.low, place.high
            kept[-1] = Place(simplest(low, high), low, high, Evidence.UNRESOLVED)
        else:
            kept.append(place)
    return kept


def _touch(low: float, high: float, other: Place) -> bool:
    near = 1e-12 * max(1.0, abs(low), abs(high))
    return low - near <= other.high and other.low <= high + near


def _sorted(places: list[Place]) -> list[Place]:
    """From left to right, each break once."""
    kept: list[Place] = []
    for place in sorted(places, key=lambda p: (p.low, p.high)):
        again = [k for k in kept if k.nature and place.nature and k.x == place.x]
        if not again:
            kept.append(place)
    return kept
