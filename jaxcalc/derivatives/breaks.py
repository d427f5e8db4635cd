"""Find the points of an interval where a function is not smooth.

A grid is scanned for intervals over which the values, slopes or curvatures change by
more than their neighbours lead one to expect. Each such interval is divided again: a
steep but smooth place becomes ordinary as the grid gets finer, a break stays, down to
the last float. What stays is asked for its kind (`differentiability`).
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc import _checks
from jaxcalc.derivatives import _points, _sides
from jaxcalc.derivatives._kinds import Kind
from jaxcalc.derivatives._sides import Samples
from jaxcalc.derivatives.smoothness import Differentiability, differentiability

_BATCH = 1024
_PARTS = 32
_LEVELS = 40  # enough to come down to neighbouring floats


@dataclasses.dataclass(frozen=True)
class Breaks:
    """The breaks of a function on an interval, from left to right.

    Attributes:
        points: What was found at each, with its place and kind.
        complete: False when there were more than the limit.
    """

    points: tuple[Differentiability, ...]
    complete: bool = True

    def __iter__(self) -> Iterator[Differentiability]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> Differentiability:
        return self.points[index]

    def __str__(self) -> str:
        if not self.points:
            return "no breaks"
        lines = [f"{'x':>22}  {'kind':22} {'left slope':>12} {'right slope':>12}"]
        lines += [
            f"{one.x:>22.15g}  {one.kind.value:22} "
            f"{one.left_slope:>12.6g} {one.right_slope:>12.6g}"
            for one in self.points
        ]
        if not self.complete:
            lines.append("... and more")
        return "\n".join(lines)

    def to_json(self) -> str:
        """All breaks as a JSON array."""
        return json.dumps([json.loads(one.to_json()) for one in self.points])


def find_breaks(
    f: Callable[..., Any],
    a: float | int,
    b: float | int,
    *,
    scan: int = 1024,
    limit: int = 64,
    args: tuple[Any, ...] = (),
) -> Breaks:
    """Find where a function of one variable is not smooth on `[a, b]`.

    Two breaks closer than a cell of the scan may be taken for one, and a break that
    changes nothing between two grid points, as a hole at an odd place, cannot be seen;
    integers are looked at one by one. The ends count, with what lies beyond them.

    Args:
        f: A function `f(x, *args) -> scalar`, written with `jax.numpy`.
        a: Left end; finite.
        b: Right end; finite and larger than `a`.
        scan: How many cells the grid has.
        limit: The most breaks to name.
        args: Data handed on to `f`.

    Returns:
        The breaks, each with its kind; those that could not be told have the kind
        "cannot tell".

    Raises:
        TypeError: `f` does not return a floating scalar.
        ValueError: The ends are not finite, or not in order.
    """
    a, b = _ends(a, b)
    scan = _checks.positive_int("scan", scan, minimum=16)
    limit = _checks.positive_int("limit", limit)
    dtype = np.dtype(jnp.result_type(float))
    _points.check_scalar_function(f, jnp.zeros((), dtype), args)
    sample = _batched(_sides.sampler(f, jnp.zeros((), dtype), args), dtype)
    eps = float(jnp.finfo(dtype).eps)
    with np.errstate(all="ignore"):
        places = _located(sample, a, b, scan, 4 * limit, eps)
    found: list[Differentiability] = []
    for candidates in filter(None, places):
        one = _worst(f, candidates, dtype, args)
        near = 8 * eps * max(abs(one.x), abs(b - a))
        if one.kind in {Kind.SMOOTH, Kind.NOT_DEFINED} or any(
            abs(one.x - o.x) <= near for o in found
        ):
            continue
        found.append(one)
    found.sort(key=lambda one: one.x)
    return Breaks(tuple(found[:limit]), len(found) <= limit)


def _ends(a: float | int, b: float | int) -> tuple[float, float]:
    a, b = float(a), float(b)
    if not (math.isfinite(a) and math.isfinite(b)):
        raise ValueError(f"`a` and `b` must be finite, got {a} and {b}")
    if not a < b:
        raise ValueError(f"`a` must be smaller than `b`, got {a} and {b}")
    return a, b


def _batched(
    sample: Callable[[np.ndarray], Samples], dtype: np.dtype
) -> Callable[[np.ndarray], Samples]:
    """Sample any number of points in batches of one size, compiled once."""

    def batched(points: np.ndarray) -> Samples:
        flat = points.reshape(-1).astype(dtype)
        size = -(-flat.size // _BATCH) * _BATCH
        padded = np.concatenate([flat, np.full(size - flat.size, flat[-1], dtype)])
        parts = [sample(chunk) for chunk in padded.reshape(-1, _BATCH)]
        joined = (np.concatenate(p)[: flat.size] for p in zip(*parts, strict=True))
        return Samples(*(p.reshape(points.shape) for p in joined))

    return batched


def _located(
    sample: Callable[[np.ndarray], Samples],
    a: float,
    b: float,
    scan: int,
    limit: int,
    eps: float,
) -> list[list[float]]:
    """Places to look at, each with its few candidate floats."""
    grid = np.linspace(a, b, scan + 1)[None]
    windows = _suspicious(grid, sample(grid), eps)
    places = [[a], [b]]
    low, high = math.ceil(a), math.floor(b)
    if high - low < limit:
        places += [[float(k)] for k in range(low, high + 1)]
    for _ in range(_LEVELS):
        if not windows:
            break
        windows = windows[:limit]
        last = [w for w in windows if _is_last(w, a, b, eps)]
        places += [_candidates(sample, low, high, eps) for low, high in last]
        rest = [w for w in windows if not _is_last(w, a, b, eps)]
        if not rest:
            break
        points = np.stack([np.linspace(low, high, _PARTS + 1) for low, high in rest])
        windows = _suspicious(points, sample(points), eps)
    return places


def _is_last(window: tuple[float, float], a: float, b: float, eps: float) -> bool:
    low, high = window
    size = max(abs(low), abs(high), 1e-3 * (b - a))
    return high - low <= 64 * eps * size


def _suspicious(
    points: np.ndarray, samples: Samples, eps: float
) -> list[tuple[float, float]]:
    """Cells with a break, merged where they touch, with one cell more on each side."""
    marked = _marked(points, samples, eps)
    windows = []
    for row, marks in zip(points, marked, strict=True):
        cells = np.flatnonzero(marks)
        for group in np.split(cells, np.flatnonzero(np.diff(cells) > 1) + 1):
            if group.size:
                low = row[max(group[0] - 1, 0)]
                high = row[min(group[-1] + 2, row.size - 1)]
                windows.append((float(low), float(high)))
    return windows


def _marked(points: np.ndarray, samples: Samples, eps: float) -> np.ndarray:
    """Cells over which something changes more than its neighbours let one expect."""
    value, slope, curvature = samples
    width = np.diff(points)
    if not np.isfinite(slope).any():
        slope = np.gradient(value, axis=1) / np.median(width, axis=1, keepdims=True)
    if not np.isfinite(curvature).any():
        curvature = np.gradient(slope, axis=1) / np.median(width, axis=1, keepdims=True)
    residues = (
        np.diff(value) - width * _mean(slope),
        np.diff(slope) - width * _mean(curvature),
        np.diff(curvature),
    )
    defined = np.isfinite(value)
    marked = defined[:, 1:] != defined[:, :-1]
    for residue, sizes in zip(residues, (value, slope, curvature), strict=True):
        rounding = 16 * eps * np.maximum(np.abs(sizes[:, 1:]), np.abs(sizes[:, :-1]))
        expected = 6 * _neighbours(np.abs(residue)) + rounding
        marked |= np.isfinite(residue) & (np.abs(residue) > expected)
        broken = np.isfinite(sizes)
        marked |= defined[:, 1:] & defined[:, :-1] & (broken[:, 1:] != broken[:, :-1])
    return marked


def _mean(array: np.ndarray) -> np.ndarray:
    return (array[:, 1:] + array[:, :-1]) / 2


def _neighbours(residue: np.ndarray) -> np.ndarray:
    """What is usual two to five cells away, on the quieter side."""
    clean = np.where(np.isfinite(residue), residue, np.nan)
    padded = np.pad(clean, ((0, 0), (5, 5)), constant_values=np.nan)
    cells = residue.shape[1]

    def largest(first: int) -> np.ndarray:
        shifted = [padded[:, k : k + cells] for k in range(first, first + 4)]
        return np.fmax.reduce(shifted)

    return np.nan_to_num(np.fmin(largest(0), largest(7)), nan=0.0)


def _candidates(
    sample: Callable[[np.ndarray], Samples], low: float, high: float, eps: float
) -> list[float]:
    """The floats that a break in a window of a few floats may be at."""
    if low <= 0.0 <= high:
        return [0.0]
    floats = [low]
    while floats[-1] < high and len(floats) < 4 * _BATCH:
        floats.append(float(np.nextafter(floats[-1], math.inf)))
    points = np.array(floats)
    samples = sample(points)
    defined = np.isfinite(samples.value)
    if not defined.all():
        borders = np.flatnonzero(np.diff(defined.astype(int)))
        return [floats[i + k] for i in borders[:2] for k in (0, 1)]
    places = [int(k) for k in np.flatnonzero(~np.isfinite(samples.slope))[:2]]
    for sequence in samples:
        sequence = np.where(np.isfinite(sequence), sequence, np.nan)
        size = np.nanmax(np.abs(sequence), initial=0.0)
        change = np.nan_to_num(np.abs(np.diff(sequence)))
        # Among noise many changes are large; a break stands alone.
        usual = max(64 * eps * size, 20 * float(np.median(change)))
        if np.max(change, initial=0.0) > usual:
            places.append(int(np.argmax(change)))
    candidates = []
    for place in dict.fromkeys(places):
        near = floats[max(place - 1, 0) : place + 3]
        candidates += [_simplest(floats[place], near), *floats[place : place + 2]]
    return list(dict.fromkeys(candidates))[:8]


def _simplest(middle: float, near: list[float]) -> float:
    """The number with the fewest digits among some neighbours."""
    for digits in range(17):
        simple = float(f"{middle:.{digits}e}")
        if near[0] <= simple <= near[-1]:
            return simple
    return middle


def _worst(
    f: Callable[..., Any],
    candidates: list[float],
    dtype: np.dtype,
    args: tuple[Any, ...],
) -> Differentiability:
    """The first candidate with a definite break, or else the most doubtful."""
    order = list(Kind)
    found = []
    for x in candidates:
        one = differentiability(f, jnp.asarray(x, dtype), args=args)
        if order.index(one.kind) > order.index(Kind.UNDECIDED):
            return one
        found.append(one)
    return max(found, key=lambda one: order.index(one.kind))
