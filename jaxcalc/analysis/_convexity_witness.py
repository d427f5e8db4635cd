"""Points and chords that speak against convexity, verified with intervals."""

import dataclasses

import numpy as np

from jaxcalc.analysis._boxes_field import Field
from jaxcalc.analysis._boxes_matrices import matvec, points
from jaxcalc.analysis._boxes_search import starts
from jaxcalc.analysis._convexity_records import Witness
from jaxcalc.analysis.intervals import Interval
from jaxcalc.analysis.intervals._basic import mul, total

_POINTS = 256
_CHORDS = 256
_EPS = float(np.finfo(float).eps)


@dataclasses.dataclass(frozen=True)
class Seen:
    """Eigenvalues at points of the box.

    Attributes:
        points: Where, `(m, n)`.
        values: Eigenvalues in rising order, `(m, n)`; NaN where there are none.
        vectors: Eigenvectors in columns, `(m, n, n)`.
        least: The smallest of all eigenvalues.
        most: The largest.
        undefined: A point without a value; None where all have one.
    """

    points: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    least: float
    most: float
    undefined: np.ndarray | None


def sampled(field: Field, low: np.ndarray, high: np.ndarray) -> Seen:
    """Look at the Hessian at points that fill the box evenly, and at its corners.

    Args:
        field: The function.
        low: Lower corner.
        high: Upper corner.

    Returns:
        Eigenvalues and eigenvectors there.
    """
    n = field.size
    inner = starts(_POINTS, n)
    corners = np.round(starts(64 if n > 1 else 2, n, skip=7))
    x = low + np.concatenate([inner, np.unique(corners, axis=0)]) * (high - low)
    x = np.clip(x, low, high)
    found = field.sample(x)
    able = np.isfinite(found.hessian).all((1, 2)) & np.isfinite(found.value)
    hessian = (found.hessian + np.swapaxes(found.hessian, 1, 2)) / 2
    hessian = np.where(able[:, None, None], hessian, 0.0)
    values, vectors = np.linalg.eigh(hessian)
    values = np.where(able[:, None], values, np.nan)
    missing = np.flatnonzero(np.isnan(found.value[: len(inner)]))
    return Seen(
        x,
        values,
        vectors,
        float(np.min(values, initial=np.inf, where=able[:, None])),
        float(np.max(values, initial=-np.inf, where=able[:, None])),
        x[missing[0]] if missing.size else None,
    )


def curved(
    field: Field, low: np.ndarray, high: np.ndarray, seen: Seen, sign: int
) -> tuple[Witness, bool] | None:
    """Look for something against convexity (sign 1) or concavity (sign -1).

    Args:
        field: The function.
        low: Lower corner of the box.
        high: Upper corner.
        seen: Eigenvalues at points.
        sign: 1 or -1.

    Returns:
        What was found, the strongest first, and whether it is proved.
    """
    end = 0 if sign > 0 else -1
    bends = np.where(np.isnan(seen.values[:, end]), np.inf, sign * seen.values[:, end])
    size = np.nanmax(np.abs(seen.values), initial=0.0, axis=1)
    noise = 64 * field.size * _EPS * size
    for k in np.argsort(bends, kind="stable")[:8]:
        if not field.trusted or not bends[k] < -noise[k]:
            break
        x, way = seen.points[k], seen.vectors[k, :, end]
        sure = _bends(field, x, way, sign) if field.provable else False
        if sure or not field.provable:
            witness = Witness(
                x=field.form.fold(x),
                direction=field.form.fold(way),
                curvature=float(seen.values[k, end]),
                gap=np.nan,
            )
            return witness, sure
    return _chord(field, low, high, sign)


def _bends(field: Field, x: np.ndarray, way: np.ndarray, sign: int) -> bool:
    """Whether the curvature along a direction is proved to have the wrong sign."""
    over = field.enclose(x[None], x[None])
    v = points(way[None])
    curvature = total(mul(v, matvec(over.hessian, v)), (0,))
    wrong = curvature.hi < 0 if sign > 0 else curvature.lo > 0
    return bool(wrong[0] and over.regular[0])


def _chord(
    field: Field, low: np.ndarray, high: np.ndarray, sign: int
) -> tuple[Witness, bool] | None:
    """Two points whose middle lies on the wrong side of their chord."""
    n = field.size
    middle = starts(_CHORDS, n)
    ends = starts(_CHORDS, n, skip=1357)
    # Half of the chords are short, and keep inside the box.
    reach = np.where(np.arange(_CHORDS)[:, None] % 2 == 0, 1.0, 0.05)
    half = (ends - 0.5) * reach * 2 * np.minimum(middle, 1 - middle)
    x, half = low + middle * (high - low), half * (high - low)
    a, b = np.clip(x - half, low, high), np.clip(x + half, low, high)
    # The middle of what the ends were rounded to, within half an ulp.
    parts = [field.sample(p).value for p in (a, a + (b - a) / 2, b)]
    with np.errstate(all="ignore"):
        gap = sign * (parts[1] - (parts[0] + parts[2]) / 2)
        noise = 1e-12 * np.max(np.abs(np.stack(parts)), axis=0)
        gap = np.where(gap > noise, gap, -np.inf)
    k = int(np.argmax(gap))
    if not gap[k] > 0:
        return None
    witness = Witness(
        x=field.form.fold(a[k] + (b[k] - a[k]) / 2),
        direction=field.form.fold((b[k] - a[k]) / 2),
        curvature=np.nan,
        gap=float(sign * gap[k]),
    )
    return witness, field.provable and _above(field, a[k], b[k], sign)


def _above(field: Field, a: np.ndarray, b: np.ndarray, sign: int) -> bool:
    """Whether intervals prove that the middle lies beyond the chord."""
    middle = a + (b - a) / 2
    # A box of a few roundings that holds the exact middle.
    slack = 4 * _EPS * np.maximum(np.abs(a), np.abs(b)) + 5e-324
    ends = [_value(field, x, x) for x in (a, b)]
    inside = _value(field, middle - slack, middle + slack)
    if sign > 0:
        highest = sum(float(e.hi[0]) for e in ends) / 2
        return float(inside.lo[0]) > highest + 4 * _EPS * abs(highest)
    lowest = sum(float(e.lo[0]) for e in ends) / 2
    return float(inside.hi[0]) < lowest - 4 * _EPS * abs(lowest)


def _value(field: Field, low: np.ndarray, high: np.ndarray) -> Interval:
    return field.enclose(low[None], high[None]).value
