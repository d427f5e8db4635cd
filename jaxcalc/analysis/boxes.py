"""Critical points of a function of several variables in a box.

Newton's method looks for them from many starts; interval arithmetic over the jaxpr of
the function (`jaxcalc.analysis.intervals`) then proves that a box around each holds
exactly one, and that the rest of the box holds none. Where that fails, at a degenerate
point, at a kink, or for want of a rule or of time, the answer is graded numerical or
unresolved.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcalc import _checks
from jaxcalc.analysis import _boxes_points as _points
from jaxcalc.analysis._boxes_checks import bounds, derivatives_doubtful
from jaxcalc.analysis._boxes_field import Field
from jaxcalc.analysis._boxes_isolate import Isolation, isolate
from jaxcalc.analysis._boxes_records import BoxPoint, CriticalPoints, Region
from jaxcalc.analysis._boxes_search import Found, regions, search
from jaxcalc.analysis.records import Evidence

_WORK = 200_000  # numbers of Hessians that intervals may enclose, at most


def critical_points(
    f: Callable[..., Any],
    lower: Any,
    upper: Any,
    *args: Any,
    max_boxes: int | None = None,
) -> CriticalPoints:
    r"""Find the points of a box where $\nabla f = 0$: minima, maxima and saddles.

    Only critical points of $f$ itself count: a smallest value that is taken on the
    boundary of the box, at a kink or at a jump is none. A critical point within
    rounding of the boundary is reported, with a flag. The work is done in float64,
    whatever the setting of JAX.

    A point is found if it draws one of some hundred to some thousand starts, or if the
    proof succeeds: for two or three variables that is usual. With more, the number of
    boxes grows as a power of the number of variables, and only simple functions are
    decided. Critical points that form a curve can not be proved; they are reported as
    one flat point with the region that holds them. Costs about a second for the first
    call, most of it compiling, and 0.1 to 2 s after that.

    Args:
        f: A function `f(x, *args) -> scalar`, written with `jax.numpy`.
        lower: Lower corner of the box, in the structure of `x`; finite.
        upper: Upper corner, above the lower one in every number.
        *args: Data handed on to `f`.
        max_boxes: How many boxes interval arithmetic may look at; 0 for no proof. By
            default 50,000 for two variables, less for more.

    Returns:
        The points with their kinds, and how it is known that there are no others.

    Raises:
        TypeError: `f` cannot be traced, or does not return a floating scalar; a bound
            is not made of numbers.
        ValueError: The bounds are not finite, not in order, or not of one shape.

    References:
        Moore, Kearfott and Cloud (2009), Introduction to Interval Analysis, section
        8.2.
    """
    low, high, form = bounds(lower, upper)
    if max_boxes is None:
        max_boxes = _WORK // form.size**2
    max_boxes = _checks.positive_int("max_boxes", max_boxes, minimum=0)
    with jax.enable_x64(True):
        field = Field(f, form, args)
        field.trusted = not derivatives_doubtful(field, low, high - low)
        return _critical_points(field, low, high, max_boxes)


def _critical_points(
    field: Field, low: np.ndarray, high: np.ndarray, budget: int
) -> CriticalPoints:
    width = high - low
    found = search(field, low, width)
    proof = None
    if budget and field.provable:
        proof = isolate(field, low, high, low + found.simple * width, budget)
    parts = [] if proof is None else regions(proof.rest, width)
    made = _points.assembled(field, low, high, found, proof, parts)
    notes = _notes(field, made, found, proof)
    return CriticalPoints(
        lower=field.form.fold(low),
        upper=field.form.fold(high),
        points=tuple(sorted(made, key=lambda p: (p.value, tuple(_points.flat(p))))),
        evidence=_evidence(found, proof),
        regions=tuple(_region(proof, part, width) for part in parts) if proof else (),
        smooth=proof is not None and proof.smooth,
        starts=found.starts,
        boxes=proof.boxes if proof else 0,
        unknown=field.unknown,
        notes=tuple(notes),
    )


def _evidence(found: Found, proof: Isolation | None) -> Evidence:
    if proof is not None:
        return Evidence.UNRESOLVED if len(proof.rest.lo) else Evidence.PROVED
    # Where curves of critical points were met nobody counted them.
    settled = found.settled and not found.flat.any()
    return Evidence.NUMERICAL if settled else Evidence.UNRESOLVED


def _region(proof: Isolation, part: np.ndarray, width: np.ndarray) -> Region:
    boxes = proof.rest.where(part)
    share = np.prod((boxes.hi - boxes.lo) / width, axis=1).sum()
    return Region(
        low=tuple(boxes.lo.min(0).tolist()),
        high=tuple(boxes.hi.max(0).tolist()),
        boxes=len(part),
        share=float(share),
        smooth=bool(proof.smooth_rest[part].all()),
    )


def _notes(
    field: Field, made: list[BoxPoint], found: Found, proof: Isolation | None
) -> list[str]:
    notes = []
    if field.unknown:
        names = ", ".join(field.unknown)
        notes.append(f"Nothing is proved: there is no interval rule for {names}.")
    if not field.trusted:
        notes.append(
            "Nothing is proved: the values do not change as the derivatives of "
            "automatic differentiation say; ask `check_derivatives`."
        )
    if proof is not None and not proof.smooth:
        notes.append(
            "The function is not smooth all over the box, as far as could be told: "
            "extremes at kinks, jumps and edges of its domain are not counted."
        )
    if proof is None and not found.settled:
        notes.append("The last starts still found new points.")
    if any(p.boundary for p in made):
        notes.append(
            "Points on the boundary of the box are critical points of the function, "
            "but perhaps not inside."
        )
    return notes
