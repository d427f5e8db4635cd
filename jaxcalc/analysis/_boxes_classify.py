"""What one point is to a function: minimum, saddle, maximum, or not critical."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc import _checks
from jaxcalc.analysis._boxes_checks import derivatives_doubtful
from jaxcalc.analysis._boxes_field import Field, layout
from jaxcalc.analysis._boxes_isolate import Boxes, verify
from jaxcalc.analysis._boxes_points import around, kind_of, proved
from jaxcalc.analysis._boxes_records import Classification, PointKind
from jaxcalc.analysis._boxes_search import starts
from jaxcalc.analysis.records import Evidence

_EPS = float(np.finfo(float).eps)
_MOST = 500  # variables: the Hessian is formed, and its eigenvalues are found


def classify(f: Callable[..., Any], x: Any, *args: Any) -> Classification:
    r"""Say what a point is to a function, by the signs of the Hessian's eigenvalues.

    A point that was computed is never quite critical. It counts as critical if a step
    of Newton's, $-H^{-1} g$, is shorter than $10 \sqrt\varepsilon \max(1, \|x\|)$, with
    the precision of the dtype of `x`; that step is the stated error. Where interval
    arithmetic can show that exactly one critical point is there, kind and error are
    proved, for that point. The work is done in float64.

    The Hessian is formed: costs about $n$ gradients and $n^3$ operations. For many
    parameters ask `spectrum` for the ends of the Hessian's spectrum.

    Args:
        f: A function `f(x, *args) -> scalar`.
        x: The point: any tree of floating arrays, or a number; finite.
        *args: Data handed on to `f`.

    Returns:
        The kind, with the eigenvalues and how it is known.

    Raises:
        TypeError: `f` cannot be traced, or does not return a floating scalar; `x` is
            not floating.
        ValueError: `x` is not finite, or too large for a dense Hessian.
    """
    x = _checks.floating_params("x", x)
    _checks.finite("x", x)
    precision = max(float(jnp.finfo(a.dtype).eps) for a in jax.tree.leaves(x))
    flat, form = layout(x)
    if form.size > _MOST:
        raise ValueError(
            f"`x` must hold at most {_MOST} numbers, got {form.size}: use "
            "jaxcalc.spectrum, which never forms the Hessian"
        )
    with jax.enable_x64(True):
        return _classify(Field(f, form, args), flat, precision)


def _classify(field: Field, x: np.ndarray, precision: float) -> Classification:
    sample = field.sample(x[None])
    value, gradient, hessian = (part[0] for part in sample)
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        note = "the gradient or the Hessian is not finite here"
        return _made(field, x, sample, PointKind.UNDECIDED, note=note)
    scale = max(1.0, float(np.abs(x).max()))
    if field.size <= 20:
        near, side = x - 1e-3 * scale, np.full(x.shape, 2e-3 * scale)
        field.trusted = not derivatives_doubtful(field, near, side)
        if not field.trusted:
            note = "values and derivatives do not agree: ask check_derivatives"
            return _made(field, x, sample, PointKind.UNDECIDED, note=note)
    if _kinked(field, x, scale):
        note = "the gradient jumps here: ask differentiability"
        return _made(field, x, sample, PointKind.UNDECIDED, note=note)
    hessian = (hessian + hessian.T) / 2
    values, vectors = np.linalg.eigh(hessian)
    known = np.abs(values) > _blur(field, x, hessian)
    tolerance = 10 * np.sqrt(precision) * scale
    part = vectors.T @ gradient
    step = float(np.linalg.norm(part[known] / values[known]))
    rest = float(np.linalg.norm(part[~known]))
    size = float(np.abs(values).max(initial=0.0))
    noise = _noise(field, x, value)
    if step > tolerance or rest > 10 * np.sqrt(precision) * size * scale + noise:
        note = f"a step of Newton's would be of length {step:.1e}"
        return _made(field, x, sample, PointKind.NOT_CRITICAL, error=step, note=note)
    if known.all() and (sure := _proved(field, x, step, scale)):
        return sure
    return _by_eigenvalues(field, x, sample, values, known, step, scale)


def _kinked(field: Field, x: np.ndarray, scale: float) -> bool:
    """Whether the gradient changes by far more nearby than the Hessian says."""
    radius = 1e-6 * scale
    ways = 2 * starts(16, field.size, skip=1) - 1
    near = field.sample(np.concatenate([x[None], x + radius * ways, x - radius * ways]))
    able = np.isfinite(near.hessian).all((1, 2))
    if not able.all():
        return True
    change = np.linalg.norm(near.gradient - near.gradient[0], axis=1).max()
    bend = np.linalg.norm(near.hessian, axis=(1, 2)).max()
    size = np.linalg.norm(near.gradient, axis=1).max()
    reach = radius * np.sqrt(field.size)
    return bool(change > 100 * bend * reach + 1e-8 * size)


def _blur(field: Field, x: np.ndarray, hessian: np.ndarray) -> float:
    """How far rounding may move an eigenvalue."""
    size = float(np.linalg.norm(hessian))
    if field.size <= 20 and field.provable:
        found = field.enclose(x[None], x[None]).hessian
        spread = float(np.linalg.norm(found.hi - found.lo))
        if np.isfinite(spread):
            return spread + 8 * field.size * _EPS * size
    return 64 * field.size * _EPS * size


def _noise(field: Field, x: np.ndarray, value: float) -> float:
    """How far rounding may move the gradient."""
    if field.size <= 20 and field.provable:
        found = field.enclose(x[None], x[None]).gradient
        spread = float(np.linalg.norm(found.hi - found.lo))
        if np.isfinite(spread):
            return spread
    return 64 * _EPS * abs(float(value))


def _proved(
    field: Field, x: np.ndarray, step: float, scale: float
) -> Classification | None:
    """The point with a proof, if there is one."""
    if field.size > 20 or not field.provable:
        return None
    # Four steps around it, so that the root is well inside.
    radius = max(4 * step, 1e-9 * scale) / 0.3
    held, _ = verify(field, x[None], np.full(x.shape, radius))
    if not len(held.tight.lo):
        return None
    corners = (np.full(x.shape, -np.inf), np.full(x.shape, np.inf))
    found = proved(field, *corners, Boxes(*held.tight))
    if not found or found[0].kind is PointKind.UNDECIDED:
        return None
    point = found[0]
    far = np.maximum(np.abs(held.tight.lo[0] - x), np.abs(held.tight.hi[0] - x))
    return _made(
        field,
        x,
        field.sample(x[None]),
        point.kind,
        index=point.index,
        evidence=Evidence.PROVED,
        error=float(np.linalg.norm(np.nextafter(far, np.inf))),
    )


def _by_eigenvalues(
    field: Field,
    x: np.ndarray,
    sample: Any,
    values: np.ndarray,
    known: np.ndarray,
    step: float,
    scale: float,
) -> Classification:
    """The kind as the eigenvalues say, as far as rounding lets them be told."""
    below, above = (int((known & (sign * values > 0)).sum()) for sign in (-1, 1))
    if below + above == field.size:
        kind, index, note = kind_of(below, field.size), below, ""
    elif below and above:
        note = "eigenvalues of both signs, others are zero within rounding"
        kind, index = PointKind.SADDLE, below
    else:
        kind, index = PointKind.DEGENERATE, None
        note = around(field, x, np.full(x.shape, scale))
        if note == "values around it are equal":
            kind = PointKind.FLAT
    return _made(field, x, sample, kind, index=index, error=step, note=note)


def _made(
    field: Field,
    x: np.ndarray,
    sample: Any,
    kind: PointKind,
    *,
    index: int | None = None,
    evidence: Evidence = Evidence.NUMERICAL,
    error: float = np.inf,
    note: str = "",
) -> Classification:
    value, gradient, hessian = (part[0] for part in sample)
    able = np.isfinite(hessian).all()
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2) if able else []
    undecided = kind is PointKind.UNDECIDED
    return Classification(
        x=field.form.fold(x),
        value=float(value),
        gradient_norm=float(np.linalg.norm(gradient)),
        eigenvalues=tuple(float(v) for v in values),
        kind=kind,
        index=index,
        evidence=Evidence.UNRESOLVED if undecided else evidence,
        error=float(error),
        note=note,
    )
