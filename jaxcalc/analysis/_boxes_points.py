"""From roots of the gradient to critical points with their kinds."""

from typing import Any

import jax
import numpy as np

from jaxcalc.analysis._boxes_field import Field
from jaxcalc.analysis._boxes_isolate import Boxes, Isolation
from jaxcalc.analysis._boxes_matrices import eigenvalues
from jaxcalc.analysis._boxes_records import BoxPoint, PointKind
from jaxcalc.analysis._boxes_search import Found, groups, starts
from jaxcalc.analysis.records import Evidence

_EPS = float(np.finfo(float).eps)
_AROUND = 128


def flat(point: BoxPoint) -> np.ndarray:
    """The numbers of a point in a row."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(point.x)])


def kind_of(index: int, size: int) -> PointKind:
    """What the number of negative eigenvalues says, if none is zero."""
    if index == 0:
        return PointKind.MINIMUM
    return PointKind.MAXIMUM if index == size else PointKind.SADDLE


def assembled(
    field: Field,
    low: np.ndarray,
    high: np.ndarray,
    found: Found,
    proof: Isolation | None,
    parts: list[np.ndarray],
) -> list[BoxPoint]:
    """All critical points that are proved, or were found where nothing is proved.

    Args:
        field: The function.
        low: Lower corner of the box.
        high: Upper corner.
        found: What Newton's method found.
        proof: What intervals proved; None where they could not be used.
        parts: Indices of undecided boxes, for each region.

    Returns:
        Points in no order.
    """
    made = [] if proof is None else proved(field, low, high, proof.held.tight)
    width = high - low
    simple, region = _allowed(low + found.simple * width, proof, parts, width)
    errors = found.errors[region >= 0] * float(np.linalg.norm(width))
    made += _numerical(field, low, high, simple[region >= 0], errors)
    multiple, region = _allowed(low + found.multiple * width, proof, parts, width)
    kept = region >= 0
    flags = found.flat
    # Of thousands along a curve the first ones are enough.
    flags = np.concatenate([flags, np.ones(len(multiple) - len(flags), bool)])
    return made + _multiple(
        field,
        low,
        high,
        multiple[kept],
        flags[kept],
        region[kept],
        parts,
        proof,
        found.value,
    )


def _allowed(
    x: np.ndarray, proof: Isolation | None, parts: list[np.ndarray], width: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The region that each point is in; -1 where it is proved to be none, or held."""
    if proof is None:
        return x, np.zeros(len(x), int)
    region = np.full(len(x), -1)
    for k, part in enumerate(parts):
        boxes = proof.rest.where(part)
        near = 1e-6 * width
        for j in range(len(x)):
            hit = (boxes.lo - near <= x[j]) & (x[j] <= boxes.hi + near)
            if hit.all(1).any():
                region[j] = k
    held = proof.held.wide
    for j in range(len(x)):
        if ((held.lo <= x[j]) & (x[j] <= held.hi)).all(1).any():
            region[j] = -1
    return x, region


def proved(
    field: Field, low: np.ndarray, high: np.ndarray, tight: Boxes
) -> list[BoxPoint]:
    """Points from boxes that hold exactly one root each.

    Args:
        field: The function.
        low: Lower corner of the box.
        high: Upper corner.
        tight: The boxes; those that lie outside are left out.

    Returns:
        Points whose kind is proved too, or left undecided.
    """
    tight = tight.where(np.all((tight.hi >= low) & (tight.lo <= high), axis=1))
    if not len(tight.lo):
        return []
    center = np.clip(tight.lo + (tight.hi - tight.lo) / 2, low, high)
    reach = np.maximum(tight.hi - center, center - tight.lo)
    over = field.enclose(*tight)
    known = eigenvalues(over.hessian)
    samples = field.sample(center)
    made = []
    for k in range(len(center)):
        below, above = int(known.below[k]), int(known.above[k])
        # A box with one simple root has a regular Hessian all over.
        sure = below + above == field.size
        kind = kind_of(below, field.size) if sure else PointKind.UNDECIDED
        made.append(
            BoxPoint(
                **_numbers(field, center[k], samples, k),
                kind=kind,
                index=below if sure else None,
                evidence=Evidence.PROVED,
                error=float(np.linalg.norm(np.nextafter(reach[k], np.inf))),
                boundary=_at_boundary(center[k], reach[k], low, high),
            )
        )
    return made


def _numbers(field: Field, x: np.ndarray, samples: Any, k: int) -> dict[str, Any]:
    hessian = samples.hessian[k]
    able = np.isfinite(hessian).all()
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2) if able else []
    return {
        "x": field.form.fold(x),
        "value": float(samples.value[k]),
        "gradient_norm": float(np.linalg.norm(samples.gradient[k])),
        "eigenvalues": tuple(float(v) for v in values),
    }


def _at_boundary(
    x: np.ndarray, reach: np.ndarray | float, low: np.ndarray, high: np.ndarray
) -> bool:
    slack = reach + 4 * _EPS * np.maximum(np.abs(x), high - low)
    return bool(((x - low <= slack) | (high - x <= slack)).any())


def _numerical(
    field: Field, low: np.ndarray, high: np.ndarray, x: np.ndarray, errors: np.ndarray
) -> list[BoxPoint]:
    x = np.clip(x, low, high)
    samples = field.sample(x)
    made = []
    for k in range(len(x)):
        numbers = _numbers(field, x[k], samples, k)
        index = sum(v < 0 for v in numbers["eigenvalues"])
        made.append(
            BoxPoint(
                **numbers,
                kind=kind_of(index, field.size),
                index=index,
                evidence=Evidence.NUMERICAL,
                error=float(errors[k]),
                boundary=_at_boundary(x[k], float(errors[k]), low, high),
            )
        )
    return made


def _multiple(
    field: Field,
    low: np.ndarray,
    high: np.ndarray,
    x: np.ndarray,
    goes_on: np.ndarray,
    region: np.ndarray,
    parts: list[np.ndarray],
    proof: Isolation | None,
    scale: float,
) -> list[BoxPoint]:
    """Degenerate points, each once; those of a curve as one."""
    x = np.clip(x, low, high)
    samples = field.sample(x)
    made = []
    for group in groups(x, goes_on, samples.value, region, scale):
        k = int(group[np.argmin(np.linalg.norm(samples.gradient[group], axis=1))])
        spread = float(np.linalg.norm(np.ptp(x[group], axis=0)))
        error = max(spread, _extent(parts, proof, int(region[k]), high - low))
        continues = bool(goes_on[group].any())
        note = around(field, x[k], high - low)
        if continues:
            note = f"critical points go on from here; {note}"
        made.append(
            BoxPoint(
                **_numbers(field, x[k], samples, k),
                kind=PointKind.FLAT if continues else PointKind.DEGENERATE,
                index=None,
                evidence=Evidence.NUMERICAL,
                error=error,
                boundary=_at_boundary(x[k], 1e-9 * (high - low), low, high),
                note=note,
            )
        )
    return made


def _extent(
    parts: list[np.ndarray], proof: Isolation | None, region: int, width: np.ndarray
) -> float:
    """How far a point in a region may be off: the size of the region."""
    if proof is None:
        return 1e-3 * float(np.linalg.norm(width))
    boxes = proof.rest.where(parts[region])
    return float(np.linalg.norm(boxes.hi.max(0) - boxes.lo.min(0)))


def around(field: Field, x: np.ndarray, width: np.ndarray) -> str:
    """How the values on two small spheres compare with that in the middle.

    Args:
        field: The function.
        x: The middle.
        width: The width of the box, or another scale, for each number.

    Returns:
        What is higher and lower, in words.
    """
    n = field.size
    ways = starts(_AROUND, n, skip=1) - 0.5  # the first one is the middle
    axes = np.concatenate([np.eye(n), -np.eye(n)])
    ways = np.concatenate([ways / np.linalg.norm(ways, axis=1, keepdims=True), axes])
    signs = set()
    for radius in (1e-2, 1e-3):
        values = field.sample(x + radius * ways * width).value
        middle = field.sample(x[None]).value[0]
        noise = 64 * _EPS * np.maximum(np.abs(values), abs(middle))
        change = values - middle
        found = np.where(np.abs(change) <= noise, 0, np.sign(change))
        signs.add(tuple(bool((found == s).any()) for s in (1, -1, 0)))
    words = {
        (True, False, False): "values around it are higher",
        (False, True, False): "values around it are lower",
        (True, True, False): "values around it are higher and lower",
        (True, True, True): "values around it are higher and lower",
        (True, False, True): "values around it are higher or equal",
        (False, True, True): "values around it are lower or equal",
        (False, False, True): "values around it are equal",
    }
    if len(signs) > 1:
        return "values around it do not tell"
    return words.get(signs.pop(), "values around it do not tell")
