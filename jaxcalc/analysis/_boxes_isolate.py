"""Find all critical points in a box, with proof: verify, prune, divide.

Points that were found numerically come first: Krawczyk's operator shows that a box
around each, as large as possible, holds exactly one root of the gradient. The rest of
the box is divided. A part over which the gradient's interval does not hold zero has no
root, nor has one that lies in a verified box; what remains is divided again, until it
is decided, small, or until there are too many boxes.

References:
    Moore, Kearfott and Cloud (2009), Introduction to Interval Analysis, section 8.2.
    Neumaier (1990), Interval Methods for Systems of Equations, chapter 5.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from jaxcalc.analysis._boxes_field import Field
from jaxcalc.analysis._boxes_matrices import krawczyk
from jaxcalc.analysis.intervals import Interval

_NARROW = 1e-6  # of the box: a part that small is left undecided
_CROWD = 4096  # alive at the same time: a curve of critical points, or worse
_SHARPER = 40  # rounds of Krawczyk's operator; it soon becomes quadratic
_RADII = 0.3 * 0.5 ** np.arange(0, 24, 2)


class Boxes(NamedTuple):
    """Lower and upper corners, `(boxes, n)` each."""

    lo: np.ndarray
    hi: np.ndarray

    def where(self, chosen: np.ndarray) -> "Boxes":
        """Some of them."""
        return Boxes(self.lo[chosen], self.hi[chosen])


class Held(NamedTuple):
    """Boxes with exactly one root each, and where in them it is."""

    wide: Boxes
    tight: Boxes


@dataclasses.dataclass(frozen=True)
class Isolation:
    """What is proved.

    Attributes:
        held: Boxes with exactly one critical point, which may reach beyond the box.
        rest: Undecided boxes.
        smooth_rest: For each of them whether the function is smooth all over it.
        smooth: Whether the function is smooth all over every box that was looked at.
        boxes: How many were looked at.
    """

    held: Held
    rest: Boxes
    smooth_rest: np.ndarray
    smooth: bool
    boxes: int


def verify(field: Field, roots: np.ndarray, width: np.ndarray) -> tuple[Held, int]:
    """Boxes around roots that are proved to hold exactly one each.

    Args:
        field: The function.
        roots: Points, `(m, n)`.
        width: Width of the whole box, `(n,)`.

    Returns:
        One box for each root for which that succeeded, and how many were looked at.
    """
    n = field.size
    held = Held(*(Boxes(np.zeros((0, n)), np.zeros((0, n))) for _ in range(2)))
    left, count = roots, 0
    for radius in _RADII:  # the largest first: it makes most of the work superfluous
        if not len(left):
            break
        wide = Boxes(left - radius * width, left + radius * width)
        one, tight = _unique(field, wide, left)
        count += len(left)
        held = _with(held, wide.where(one), tight.where(one))
        left = left[~one & ~_inside(Boxes(left, left), held.wide)]
    return _refined(field, held), count


def isolate(
    field: Field, low: np.ndarray, high: np.ndarray, roots: np.ndarray, budget: int
) -> Isolation:
    """Find all critical points in a box.

    Args:
        field: The function.
        low: Lower corner.
        high: Upper corner.
        roots: Points that were found numerically.
        budget: How many boxes may be looked at.

    Returns:
        Roots, and what could not be decided.
    """
    search = _Search(field, low, high, budget)
    with np.errstate(all="ignore"):
        return search.run(roots)


class _Search:
    """The boxes that are still alive, and what was found."""

    def __init__(self, field: Field, low: np.ndarray, high: np.ndarray, budget: int):
        self.field, self.low, self.high, self.budget = field, low, high, budget
        self.width = high - low
        self.rest: list[Boxes] = []
        self.flags: list[np.ndarray] = []
        self.smooth, self.count = True, 0

    def run(self, roots: np.ndarray) -> Isolation:
        self.held, self.count = verify(self.field, roots, self.width)
        live = Boxes(self.low[None], self.high[None])
        if self.field.size <= 3:
            live = _divided(_divided(live, self.width), self.width)
        while len(live.lo):
            if len(live.lo) > _CROWD or self.count > self.budget:
                self._give_up(live, self.field.enclose(*live).regular)
                break
            live = self._round(live)
        return self._gathered()

    def _round(self, live: Boxes) -> Boxes:
        """Drop what holds no root, keep what holds one, divide what remains."""
        live = live.where(~_inside(live, self.held.wide))
        if not len(live.lo):
            return live
        self.count += len(live.lo)
        center = live.lo + (live.hi - live.lo) / 2
        over = self.field.enclose(*live)
        at = self.field.enclose(center, center)
        empty = np.isnan(over.value.lo)
        self.smooth &= bool((over.regular | empty).all())
        moved, mean = krawczyk(*live, at.gradient, center, over.hessian)
        without = _excludes(over.gradient)
        lo, hi = np.fmax(moved.lo, live.lo), np.fmin(moved.hi, live.hi)
        without |= over.regular & (_excludes(mean) | (lo > hi).any(1))
        alive = ~(empty | without)
        one = alive & over.regular & _within(moved, live)
        self._keep(live.where(one), Boxes(moved.lo[one], moved.hi[one]))
        zero = over.regular & _is_zero(over.gradient)
        self._give_up(live.where(alive & zero), over.regular[alive & zero])
        alive &= ~(one | zero)
        sharper = over.regular & np.isfinite(lo).all(1) & np.isfinite(hi).all(1)
        tight = Boxes(
            np.where(sharper[:, None], lo, live.lo),
            np.where(sharper[:, None], hi, live.hi),
        )
        return self._next(tight.where(alive), over.regular[alive], over.hessian, alive)

    def _next(
        self, live: Boxes, regular: np.ndarray, hessian: Interval, alive: np.ndarray
    ) -> Boxes:
        share = ((live.hi - live.lo) / self.width).max(1, initial=0.0)
        small = share <= _NARROW
        self._look_again(live, share, small)
        self._give_up(live.where(small), regular[small])
        radius = (hessian.hi - hessian.lo)[alive][~small]
        live = live.where(~small)
        if self.field.size <= 3:
            return _divided(live, self.width)
        # Along the side that blurs the gradient most.
        blur = np.where(np.isfinite(radius), radius, 1e300).sum(1)
        blur = blur * (live.hi - live.lo) + (live.hi - live.lo) / self.width * 1e-300
        return _halved(live, np.argmax(blur, axis=1))

    def _look_again(self, live: Boxes, share: np.ndarray, small: np.ndarray) -> None:
        """Look for roots that Newton's method missed, where few boxes are left."""
        late = (share < 0.02) & ~small
        if not 0 < late.sum() <= 64 or not (share[late] > 0.005).any():
            return
        side = live.hi[late] - live.lo[late]
        center = live.lo[late] + side / 2
        starts = (center - self.low) / self.width
        solved = self.field.solve(starts, self.low, self.width)
        roots = self.low + np.asarray(solved.t) * self.width
        new = roots[(np.abs(roots - center) <= 4 * side).all(1)]
        new = new[~_inside(Boxes(new, new), self.held.wide)][:16]
        more, count = verify(self.field, new, self.width)
        self.count += count
        self._keep(more.wide, more.tight)

    def _keep(self, wide: Boxes, tight: Boxes) -> None:
        self.held = _with(self.held, wide, tight)

    def _give_up(self, boxes: Boxes, smooth: np.ndarray) -> None:
        self.rest.append(boxes)
        self.flags.append(smooth)

    def _gathered(self) -> Isolation:
        held = _distinct(_refined(self.field, self.held))
        n = self.field.size
        none = np.zeros((0, n))
        rest = Boxes(
            np.concatenate([none, *(b.lo for b in self.rest)]),
            np.concatenate([none, *(b.hi for b in self.rest)]),
        )
        flags = np.concatenate([np.zeros(0, bool), *self.flags])
        left = ~_inside(rest, held.wide)
        return Isolation(held, rest.where(left), flags[left], self.smooth, self.count)


def _unique(field: Field, wide: Boxes, center: np.ndarray) -> tuple[np.ndarray, Boxes]:
    """Whether boxes hold exactly one root, and what Krawczyk's operator leaves."""
    with np.errstate(all="ignore"):
        over, at = field.enclose(*wide), field.enclose(center, center)
        moved, _ = krawczyk(*wide, at.gradient, center, over.hessian)
        return over.regular & _within(moved, wide), Boxes(moved.lo, moved.hi)


def _refined(field: Field, held: Held) -> Held:
    """Apply Krawczyk's operator until it makes nothing sharper."""
    tight = held.tight
    for _ in range(_SHARPER):
        if not len(tight.lo):
            break
        center = np.clip(tight.lo + (tight.hi - tight.lo) / 2, tight.lo, tight.hi)
        _, better = _unique(field, tight, center)
        lo, hi = np.fmax(better.lo, tight.lo), np.fmin(better.hi, tight.hi)
        good = ((lo <= hi) & np.isfinite(lo) & np.isfinite(hi)).all(1, keepdims=True)
        before = tight
        tight = Boxes(np.where(good, lo, tight.lo), np.where(good, hi, tight.hi))
        if not ((tight.hi - tight.lo) < 0.9 * (before.hi - before.lo)).any():
            break
    return Held(held.wide, tight)


def _with(held: Held, wide: Boxes, tight: Boxes) -> Held:
    return Held(
        Boxes(*map(np.concatenate, zip(held.wide, wide, strict=True))),
        Boxes(*map(np.concatenate, zip(held.tight, tight, strict=True))),
    )


def _excludes(x: Interval) -> np.ndarray:
    """Whether zero lies outside of one component at least."""
    return np.any((x.lo > 0) | (x.hi < 0), axis=1)


def _is_zero(x: Interval) -> np.ndarray:
    """Whether the gradient is zero all over: dividing such a box decides nothing."""
    return np.all((x.lo == 0) & (x.hi == 0), axis=1)


def _within(x: Interval, boxes: Boxes) -> np.ndarray:
    return np.all((x.lo > boxes.lo) & (x.hi < boxes.hi), axis=1)


def _inside(boxes: Boxes, others: Boxes) -> np.ndarray:
    """Whether each of some boxes lies in one of the others."""
    found = np.zeros(len(boxes.lo), bool)
    for lo, hi in zip(*others, strict=True):
        found |= (boxes.lo >= lo).all(1) & (boxes.hi <= hi).all(1)
    return found


def _distinct(held: Held) -> Held:
    """Each root once: one that lies in a box with another is that other."""
    keep: list[int] = []
    for k in range(len(held.tight.lo)):
        tight = held.tight.where(np.array([k]))
        if not _inside(tight, held.wide.where(np.array(keep, int))).any():
            keep.append(k)
    chosen = np.array(keep, int)
    return Held(held.wide.where(chosen), held.tight.where(chosen))


def _divided(boxes: Boxes, width: np.ndarray) -> Boxes:
    """Halve boxes along each side that is not much shorter than the longest."""
    for axis in range(boxes.lo.shape[1]):
        share = (boxes.hi - boxes.lo) / width
        long = share[:, axis] >= 0.5 * share.max(1, initial=0.0)
        axes = np.full(int(long.sum()), axis)
        parts = _halved(boxes.where(long), axes), boxes.where(~long)
        boxes = Boxes(*map(np.concatenate, zip(*parts, strict=True)))
    return boxes


def _halved(boxes: Boxes, axes: np.ndarray) -> Boxes:
    rows = np.arange(len(axes))
    cut = boxes.lo[rows, axes] + (boxes.hi[rows, axes] - boxes.lo[rows, axes]) / 2
    upper, lower = boxes.hi.copy(), boxes.lo.copy()
    upper[rows, axes] = cut
    lower[rows, axes] = cut
    return Boxes(np.concatenate([boxes.lo, lower]), np.concatenate([upper, boxes.hi]))


def components(boxes: Boxes, gap: np.ndarray) -> np.ndarray:
    """Which boxes hang together.

    Args:
        boxes: Boxes.
        gap: How far apart neighbours may be, `(n,)`.

    Returns:
        A number for each: equal for those that touch, directly or through others.
    """
    label = np.full(len(boxes.lo), -1)
    low, high = np.ascontiguousarray(boxes.lo.T), np.ascontiguousarray(boxes.hi.T)
    left, group = np.arange(len(label)), 0
    while left.size:
        stack = [int(left[0])]
        label[stack[0]] = group
        left = left[1:]
        while stack and left.size:
            k = stack.pop()
            near = np.ones(left.size, bool)
            for lo, hi, far in zip(low, high, gap, strict=True):
                near &= (lo[left] <= hi[k] + far) & (hi[left] >= lo[k] - far)
            new = left[near]
            label[new] = group
            left = left[~near]
            stack.extend(new.tolist())
        group += 1
    return label
