r"""Find all roots of a function on an interval, with proof: branch, prune, Newton.

The interval is divided into boxes. A box over which the function's interval does not
hold zero has no root. Where the derivative's interval does not hold zero either, the
interval Newton operator

$$N(X) = m - \frac{g(m)}{g'(X)}, \quad m \in X$$

holds every root in $X$; if it lies inside of $X$ there is exactly one. What remains is
divided again. A double root, a kink or a pole can not be decided in this way: there the
boxes become small, and are handed back merged into one.

References:
    Moore, Kearfott and Cloud (2009), Introduction to Interval Analysis, chapter 8.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxcalc.analysis.intervals import Interval
from jaxcalc.analysis.intervals._basic import EPS, add, div, mul, sub

_CELLS = 512
_MOST = 4096
_CROWD = 512
_ROUNDS = 60
_NARROW = 1e-6  # of the interval: where a crowd of boxes is a cluster


class Enclosed(NamedTuple):
    """A function and its derivative over boxes."""

    value: Interval
    slope: Interval
    regular: np.ndarray


Evaluate = Callable[[np.ndarray, np.ndarray], Enclosed]


@dataclasses.dataclass(frozen=True)
class Isolation:
    """What is proved about the roots on an interval.

    Attributes:
        roots: Rows of low, high: each holds exactly one root; from left to right.
        zero: Rows of low, high: the function is zero all over.
        empty: Rows of low, high: it is defined nowhere.
        rest: Rows of low, high: undecided.
        smooth: For each of the rest, whether the function is smooth there.
    """

    roots: np.ndarray
    zero: np.ndarray
    empty: np.ndarray
    rest: np.ndarray
    smooth: np.ndarray


class _Boxes(NamedTuple):
    lo: np.ndarray
    hi: np.ndarray

    def where(self, chosen: np.ndarray) -> "_Boxes":
        return _Boxes(self.lo[chosen], self.hi[chosen])


def isolate(evaluate: Evaluate, a: float, b: float) -> Isolation:
    """Find all roots of a function on `[a, b]`.

    Args:
        evaluate: Encloses the function and its derivative.
        a: Left end.
        b: Right end.

    Returns:
        Roots, and what could not be decided.
    """
    search = _Search(evaluate, a, b)
    with np.errstate(all="ignore"):
        return search.run()


class _Search:
    """The boxes that are still alive, and what was found."""

    def __init__(self, evaluate: Evaluate, a: float, b: float):
        self.evaluate, self.a, self.b = evaluate, a, b
        self.held: list[_Boxes] = []  # boxes with exactly one root
        self.tight: list[_Boxes] = []  # where in them it is
        self.zero: list[_Boxes] = []
        self.empty: list[_Boxes] = []
        self.rest: list[_Boxes] = []
        self.smooth: list[np.ndarray] = []

    def run(self) -> Isolation:
        ends = np.linspace(self.a, self.b, _CELLS + 1)
        live = _Boxes(ends[:-1], ends[1:])
        for _ in range(_ROUNDS):
            if not live.lo.size:
                break
            live = self._round(live)
        if live.lo.size:
            self._give_up(live, self._look(live)[0].regular)
        return self._gathered()

    def _look(self, boxes: _Boxes) -> tuple[Enclosed, Enclosed, np.ndarray]:
        """The function over boxes and at their middles, in one evaluation."""
        middle = np.clip(boxes.lo + (boxes.hi - boxes.lo) / 2, boxes.lo, boxes.hi)
        found = self.evaluate(
            np.concatenate([boxes.lo, middle]), np.concatenate([boxes.hi, middle])
        )
        n = middle.size
        over, at = (
            Enclosed(_cut(found.value, s), _cut(found.slope, s), found.regular[s])
            for s in (slice(None, n), slice(n, None))
        )
        return over, at, middle

    def _round(self, live: _Boxes) -> _Boxes:
        over, at, middle = self._look(live)
        value, regular = over.value, over.regular
        empty = np.isnan(value.lo)
        zero = regular & (value.lo == 0) & (value.hi == 0)
        self.empty.append(live.where(empty))
        self.zero.append(live.where(zero))
        newton, may = _newton(live, over, at, middle)
        without = regular & ((value.lo > 0) | (value.hi < 0) | ~may)
        left = ~(empty | zero | without)
        tight = _narrowed(live, newton, regular & left)
        left = self._verified(tight, over, left)
        return self._divided(tight.where(left), live.where(left), regular[left])

    def _verified(self, boxes: _Boxes, over: Enclosed, left: np.ndarray) -> np.ndarray:
        """Keep the boxes that Newton's operator shows to have one root."""
        slope = over.slope
        steep = over.regular & left & ((slope.lo > 0) | (slope.hi < 0))
        places = np.flatnonzero(steep)
        if not places.size:
            return left
        # A root at the border of a box is inside of one that is a little larger.
        chosen = boxes.where(places)
        more = 0.1 * (chosen.hi - chosen.lo) + 8 * EPS * _size(chosen)
        wide = _Boxes(chosen.lo - more, chosen.hi + more)
        around, at, middle = self._look(wide)
        newton, may = _newton(wide, around, at, middle)
        one = around.regular & may & (newton.lo > wide.lo) & (newton.hi < wide.hi)
        self.held.append(wide.where(one))
        self.tight.append(_Boxes(newton.lo[one], newton.hi[one]))
        left = left.copy()
        left[places[one]] = False
        return left

    def _divided(self, tight: _Boxes, before: _Boxes, smooth: np.ndarray) -> _Boxes:
        """Divide boxes, into many where they are few; hand back the smallest."""
        width = tight.hi - tight.lo
        least = 4 * np.spacing(_size(tight)) + 1e-16 * (self.b - self.a)
        small = width <= least
        crowd = width.size > _CROWD and np.max(width) < _NARROW * (self.b - self.a)
        if crowd or width.size > _MOST:
            small = np.ones(small.shape, bool)
        self._give_up(tight.where(small), smooth[small])
        live, before = tight.where(~small), before.where(~small)
        if not live.lo.size:
            return live
        parts = int(np.clip(256 // live.lo.size, 2, 32))
        share = np.linspace(0, 1, parts + 1)
        ends = live.lo[:, None] + (live.hi - live.lo)[:, None] * share
        ends[:, -1] = live.hi
        ends = np.maximum.accumulate(np.minimum(ends, live.hi[:, None]), axis=1)
        return _Boxes(ends[:, :-1].ravel(), ends[:, 1:].ravel())

    def _give_up(self, boxes: _Boxes, smooth: np.ndarray) -> None:
        self.rest.append(boxes)
        self.smooth.append(smooth)

    def _gathered(self) -> Isolation:
        held, tight = _joined(self.held), _joined(self.tight)
        tight = self._refined(tight)
        held, tight = _distinct(held, tight, self.a, self.b)
        rest, smooth = _joined(self.rest), np.concatenate([*self.smooth, np.zeros(0)])
        # What lies in a box with one root has no other.
        covered = np.any(
            (rest.lo[:, None] >= held.lo) & (rest.hi[:, None] <= held.hi), axis=1
        )
        rest, smooth = rest.where(~covered), smooth[~covered] > 0
        gap = 8 * EPS * max(abs(self.a), abs(self.b)) + 1e-15 * (self.b - self.a)
        # Rounding leaves holes in the cluster around a multiple root.
        near = max(gap, 1e-7 * (self.b - self.a)) if smooth.all() else gap
        rows, flags = merged(rest.lo, rest.hi, near, smooth)
        return Isolation(
            np.stack(tight, 1),
            merged(*_joined(self.zero), gap)[0],
            merged(*_joined(self.empty), gap)[0],
            rows,
            flags,
        )

    def _refined(self, tight: _Boxes) -> _Boxes:
        """Apply Newton's operator until it makes nothing sharper."""
        for _ in range(6):
            if not tight.lo.size:
                break
            over, at, middle = self._look(tight)
            newton, _ = _newton(tight, over, at, middle)
            better = _narrowed(tight, newton, over.regular)
            still = (better.hi - better.lo) > 0.5 * (tight.hi - tight.lo)
            tight = better
            if still.all():
                break
        return tight


def _cut(part: Interval, rows: slice) -> Interval:
    return Interval(*(bound[rows] for bound in part))


def _size(boxes: _Boxes) -> np.ndarray:
    return np.maximum(np.abs(boxes.lo), np.abs(boxes.hi))


def _newton(
    boxes: _Boxes, over: Enclosed, at: Enclosed, middle: np.ndarray
) -> tuple[Interval, np.ndarray]:
    """Newton's operator on boxes, and whether a root may be in them at all."""
    sure = np.ones(middle.shape, bool)
    here = Interval(middle, middle, sure)
    moved = sub(here, div(at.value, over.slope))
    steep = (over.slope.lo > 0) | (over.slope.hi < 0)
    lo = np.where(steep, moved.lo, -np.inf)
    hi = np.where(steep, moved.hi, np.inf)
    # The mean value form is sharper than the function itself over a small box.
    reach = sub(Interval(boxes.lo, boxes.hi, sure), here)
    mean = add(at.value, mul(over.slope, reach))
    may = (mean.lo <= 0) & (mean.hi >= 0) & (lo <= boxes.hi) & (hi >= boxes.lo)
    known = ~np.isnan(mean.lo) & ~np.isnan(lo) & ~np.isnan(hi)
    return Interval(lo, hi, sure), may | ~known


def _narrowed(boxes: _Boxes, newton: Interval, sure: np.ndarray) -> _Boxes:
    lo = np.where(sure, np.fmax(boxes.lo, newton.lo), boxes.lo)
    hi = np.where(sure, np.fmin(boxes.hi, newton.hi), boxes.hi)
    crossed = lo > hi
    return _Boxes(np.where(crossed, boxes.lo, lo), np.where(crossed, boxes.hi, hi))


def _joined(parts: list[_Boxes]) -> _Boxes:
    none = np.zeros(0)
    return _Boxes(
        np.concatenate([none, *(p.lo for p in parts)]),
        np.concatenate([none, *(p.hi for p in parts)]),
    )


def _distinct(held: _Boxes, tight: _Boxes, a: float, b: float) -> tuple[_Boxes, _Boxes]:
    """Each root once: one that lies in a box with another is that other."""
    order = np.argsort(tight.lo, kind="stable")
    held, tight = held.where(order), tight.where(order)
    keep: list[int] = []
    for k in range(tight.lo.size):
        same = keep and (
            (held.lo[keep[-1]] <= tight.lo[k] and tight.hi[k] <= held.hi[keep[-1]])
            or (held.lo[k] <= tight.lo[keep[-1]] and tight.hi[keep[-1]] <= held.hi[k])
        )
        if not same:
            keep.append(k)
    inside = [k for k in keep if tight.hi[k] >= a and tight.lo[k] <= b]
    chosen = np.array(inside, int)
    # Boxes outside keep their say about what is covered, so only roots are dropped.
    return held, tight.where(chosen)


def merged(
    lo: np.ndarray, hi: np.ndarray, gap: float, smooth: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Merge intervals that touch, or nearly.

    Args:
        lo: Left ends.
        hi: Right ends.
        gap: How far apart they may be.
        smooth: A flag for each; a merged one is set where all are.

    Returns:
        Rows of low and high, from left to right, and the flags.
    """
    smooth = np.ones(lo.shape, bool) if smooth is None else smooth
    rows: list[list[float]] = []
    flags: list[bool] = []
    for k in np.argsort(lo, kind="stable"):
        if rows and lo[k] <= rows[-1][1] + gap:
            rows[-1][1] = max(rows[-1][1], float(hi[k]))
            flags[-1] = flags[-1] and bool(smooth[k])
        else:
            rows.append([float(lo[k]), float(hi[k])])
            flags.append(bool(smooth[k]))
    return np.array(rows).reshape(-1, 2), np.array(flags, bool)
