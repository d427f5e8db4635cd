"""Look for critical points from many starts, and tell those that are from those not."""

import dataclasses

import numpy as np

from jaxcalc.analysis._boxes_field import BATCH, Field
from jaxcalc.analysis._boxes_isolate import Boxes, components

_SAME = 1e-7  # of the box: simple roots closer than that are one
_NEAR = 1e-3  # of the box: so far a method may stop from a multiple root
_ZERO = 1e-9  # of a typical gradient
_ROUNDS = 16
_EPS = float(np.finfo(float).eps)


@dataclasses.dataclass(frozen=True)
class Found:
    """What Newton's method found, in coordinates of the unit box.

    Attributes:
        simple: Roots with a regular Hessian, `(m, n)`.
        errors: How far each may be off.
        multiple: Points where gradient and smallest eigenvalue vanish, one for each
            cluster, `(k, n)`.
        flat: For each of them, whether critical points go on from it.
        starts: How many starts there were.
        settled: Whether the last rounds found nothing new.
        value: How much the function changes over the box.
    """

    simple: np.ndarray
    errors: np.ndarray
    multiple: np.ndarray
    flat: np.ndarray
    starts: int
    settled: bool
    value: float


def starts(count: int, size: int, skip: int = 0) -> np.ndarray:
    r"""Points that fill the unit box evenly: $\mathrm{frac}(1/2 + k \alpha)$.

    The additive recurrence with $\alpha_j = \varphi^{-j}$, where $\varphi^{n+1} =
    \varphi + 1$: for one number the golden ratio.

    Args:
        count: How many.
        size: Numbers in each.
        skip: How many to leave out: those that were used.

    Returns:
        Points, `(count, size)`.

    References:
        Roberts (2018), The unreasonable effectiveness of quasirandom sequences.
    """
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (size + 1))
    alpha = ratio ** -np.arange(1.0, size + 1)
    return np.mod(0.5 + np.arange(skip, skip + count)[:, None] * alpha, 1.0)


def search(field: Field, low: np.ndarray, width: np.ndarray) -> Found:
    """Find critical points from rounds of starts, until two find nothing new.

    Args:
        field: The function.
        low: Lower corner of the box.
        width: Its width.

    Returns:
        What was found, in the unit box.
    """
    n, count = field.size, min(BATCH, max(32, 2**15 // field.size**2))
    simple, errors = np.zeros((0, n)), np.zeros(0)
    multiple, quiet, used = np.zeros((0, n)), 0, 0
    first = field.sample(low + starts(count, n) * width)
    norms = np.linalg.norm(first.gradient * width, axis=1)
    norms = norms[np.isfinite(norms) & (norms > 0)]
    typical = float(np.median(norms)) if norms.size else 0.0
    values = first.value[np.isfinite(first.value)]
    spread = float(np.ptp(values)) if values.size else 0.0
    for _ in range(_ROUNDS):
        ends = np.asarray(field.solve(starts(count, n, used), low, width).t)
        used += count
        ends = _inside(_polished(field, ends, low, width))
        regular, off, singular = _sorted(field, ends, low, width, typical)
        before = len(simple), len(multiple)
        simple, errors = _merged(
            np.concatenate([simple, regular]), np.concatenate([errors, off])
        )
        multiple = _clusters(np.concatenate([multiple, singular]))
        # A curve of critical points would show new ones for ever.
        new = len(simple) > before[0] or before[1] < len(multiple) <= 8
        quiet = 0 if new else quiet + 1
        if quiet == 2:
            break
    near = _apart(multiple, simple)
    multiple = multiple[near]
    flat = _goes_on(field, multiple, low, width, typical)
    return Found(simple, errors, multiple, flat, used, quiet == 2, spread)


def _inside(t: np.ndarray) -> np.ndarray:
    return t[np.all((t >= -1e-9) & (t <= 1 + 1e-9), axis=1)]  # NaN is outside


def _newton_steps(gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """-H^-1 g of each; infinite where H has no inverse."""
    steps = np.full(gradient.shape, np.inf)
    able = np.all(np.isfinite(hessian), axis=(1, 2))
    able = np.logical_and(able, np.all(np.isfinite(gradient), axis=1))
    size = np.abs(np.where(able[:, None, None], hessian, 0)).max((1, 2), initial=0.0)
    able = np.logical_and(able, size > 0)
    with np.errstate(all="ignore"):
        scaled = hessian[able] / size[able, None, None]
        regular = np.abs(np.linalg.det(scaled)) > 0
        able[able] = regular
        part = np.linalg.solve(
            hessian[able] / size[able, None, None],
            (-gradient[able] / size[able, None])[..., None],
        )
    steps[able] = part[..., 0]
    return steps


def _polished(
    field: Field, t: np.ndarray, low: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Newton's own steps, where they make the gradient smaller."""
    now = _scaled(field, t, low, width)
    for _ in range(2):
        step = _newton_steps(*now)
        step = np.where(np.abs(step).max(1, keepdims=True) < 1e-3, step, 0.0)
        trial = _scaled(field, t + step, low, width)
        better = _norms(trial[0]) < _norms(now[0])
        t = np.where(better[:, None], t + step, t)
        now = tuple(
            np.where(better.reshape(-1, *(1,) * (a.ndim - 1)), a, b)
            for a, b in zip(trial, now, strict=True)
        )
    return t


def _scaled(
    field: Field, t: np.ndarray, low: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    found = field.sample(low + t * width)
    return found.gradient * width, found.hessian * width * width[:, None]


def _norms(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x, axis=-1)


def _sorted(
    field: Field, t: np.ndarray, low: np.ndarray, width: np.ndarray, typical: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simple roots with their errors, and multiple ones; the others are none."""
    if not len(t):
        return t, np.zeros(0), t
    t, _ = _merged(t, np.zeros(len(t)), 1e-10)
    gradient, hessian = _scaled(field, t, low, width)
    step = _norms(_newton_steps(gradient, hessian))
    close = step < 1e-6
    # The Hessian must not lose its regularity within a few of Newton's steps.
    reach = np.where(close, np.maximum(4 * step, 1e-10), 1e-6)
    with np.errstate(all="ignore"):
        usable = np.where(np.isfinite(hessian), hessian, 0.0)
        sizes = np.abs(np.linalg.eigvalsh(usable))
    moved = np.zeros(len(t))
    for axis in range(field.size):
        for sign in (1, -1):
            there = t.copy()
            there[:, axis] += sign * reach
            change = _scaled(field, there, low, width)[1] - hessian
            moved = np.fmax(moved, np.linalg.norm(change, axis=(1, 2)))
    least, most = sizes.min(1), sizes.max(1)
    margin = 2 * moved + 64 * field.size * _EPS * most
    simple = close & (least > margin) & (least > 0)
    with np.errstate(all="ignore"):
        zero = _norms(gradient) <= _ZERO * typical
    multiple = ~simple & zero & np.isfinite(hessian).all((1, 2))
    errors = 2 * step + 4 * _EPS * np.maximum(1.0, most / np.where(least > 0, least, 1))
    return t[simple], errors[simple], t[multiple]


def _merged(
    t: np.ndarray, errors: np.ndarray, gap: float = _SAME
) -> tuple[np.ndarray, np.ndarray]:
    """Points further apart than a gap; of those that are one, the surest."""
    keep: list[int] = []
    for k in np.argsort(errors, kind="stable"):
        if not keep or (np.abs(t[keep] - t[k]).max(1) > gap + errors[k]).all():
            keep.append(int(k))
    keep.sort()
    return t[keep], errors[keep]


def _clusters(t: np.ndarray) -> np.ndarray:
    """One point of each cluster."""
    keep: list[int] = []
    for k in range(len(t)):
        if not keep or (np.abs(t[keep] - t[k]).max(1) > _NEAR).all():
            keep.append(k)
    return t[keep]


def _apart(multiple: np.ndarray, simple: np.ndarray) -> np.ndarray:
    """Multiple roots that are not what was left of a simple one."""
    distance = np.abs(multiple[:, None] - simple[None]).max(2)
    return np.all(distance > _SAME, axis=1)


def _goes_on(
    field: Field, t: np.ndarray, low: np.ndarray, width: np.ndarray, typical: float
) -> np.ndarray:
    """Whether there are more critical points along the flattest direction."""
    if not len(t):
        return np.zeros(0, bool)
    t = t[:256]
    _, hessian = _scaled(field, t, low, width)
    values, vectors = np.linalg.eigh(hessian)
    rows = np.arange(len(t))
    flattest = vectors[rows, :, np.argmin(np.abs(values), axis=1)]
    goes = np.zeros(len(t), bool)
    for sign in (1, -1):
        ends = np.asarray(field.solve(t + 0.01 * sign * flattest, low, width).t)
        gradient = _scaled(field, ends, low, width)[0]
        distance = _norms(ends - t)
        with np.errstate(all="ignore"):
            goes |= (
                (distance > 0.003)
                & (distance < 0.03)
                & (_norms(gradient) <= _ZERO * typical)
            )
    return goes


def groups(
    t: np.ndarray,
    flat: np.ndarray,
    values: np.ndarray,
    region: np.ndarray,
    scale: float,
) -> list[np.ndarray]:
    """Which multiple roots are one: a connected set of them shares its value.

    Args:
        t: Points.
        flat: Whether critical points go on from each.
        values: The function there.
        region: A number for the unresolved region that each is in.
        scale: How much the function changes over the box.

    Returns:
        Indices of the points of each group.
    """
    made: list[np.ndarray] = []
    left = np.arange(len(t))
    while left.size:
        k = left[0]
        same = region[left] == region[k]
        same &= flat[left] & flat[k]
        slack = 1e-9 * scale + 1e-12 * abs(values[k])
        same &= np.abs(values[left] - values[k]) <= slack
        same[0] = True
        made.append(left[same])
        left = left[~same]
    return made


def regions(boxes: Boxes, width: np.ndarray) -> list[np.ndarray]:
    """Undecided boxes that hang together: indices for each region."""
    label = components(boxes, 1e-9 * width)
    return [np.flatnonzero(label == k) for k in range(int(label.max(initial=-1)) + 1)]
