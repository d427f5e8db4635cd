"""What is asked of a box, and of the derivatives in it."""

from typing import Any

import jax
import numpy as np

from jaxcalc.analysis._boxes_field import Field, Layout, layout
from jaxcalc.analysis._boxes_search import starts


def bounds(lower: Any, upper: Any) -> tuple[np.ndarray, np.ndarray, Layout]:
    """Corners of a box as vectors, and how the function takes them.

    Args:
        lower: What the caller gave.
        upper: The same.

    Returns:
        Both corners, flat and in float64, and the way back.

    Raises:
        TypeError: They are not made of numbers, or have different structures.
        ValueError: They are empty, not of one shape, not finite, or not in order.
    """
    lower, upper = _plain("lower", lower), _plain("upper", upper)
    if jax.tree.structure(lower) != jax.tree.structure(upper):
        raise TypeError(
            "`upper` must have the structure of `lower`, got "
            f"{jax.tree.structure(upper)} and {jax.tree.structure(lower)}"
        )
    low, form = layout(lower)
    high, other = layout(upper)
    if form.shapes != other.shapes:
        raise ValueError(
            "`upper` must have the shape of `lower`, got "
            f"{_shapes(other)} and {_shapes(form)}"
        )
    wrong = np.flatnonzero(~(low < high))
    if wrong.size:
        k = wrong[0]
        raise ValueError(
            f"`lower` must be below `upper` everywhere, got {low[k]} and {high[k]} for "
            f"number {k}"
        )
    with np.errstate(over="ignore"):
        too_far = not np.isfinite(high - low).all()
    if too_far:
        raise ValueError("`lower` and `upper` are too far apart: use smaller bounds")
    return low, high, form


def _plain(name: str, bound: Any) -> Any:
    """A bound with arrays of float64 for leaves; lists of numbers are one array."""
    if isinstance(bound, list | tuple) and all(
        isinstance(item, float | int) for item in bound
    ):
        bound = np.asarray(bound, np.float64)
    leaves, tree = jax.tree.flatten(bound)
    made = []
    for leaf in leaves:
        try:
            made.append(np.asarray(leaf, np.float64))
        except (TypeError, ValueError):
            raise TypeError(
                f"`{name}` must be made of real numbers, got {leaf!r}"
            ) from None
    flat = np.concatenate([np.zeros(0), *map(np.ravel, made)])
    if not flat.size:
        raise ValueError(f"`{name}` holds no numbers: give one for each variable")
    if not np.isfinite(flat).all():
        raise ValueError(
            f"`{name}` must be finite, got {flat[~np.isfinite(flat)][0]}: "
            "only a bounded box can be searched"
        )
    return jax.tree.unflatten(tree, made)


def _shapes(form: Layout) -> str:
    return ", ".join(map(str, form.shapes))


def derivatives_doubtful(field: Field, low: np.ndarray, width: np.ndarray) -> bool:
    """Whether f is far from the integral of its gradient along many short lines.

    An interval of a wrong derivative proves nothing.

    Args:
        field: The function.
        low: Lower corner of the box.
        width: Its width.

    Returns:
        Whether automatic differentiation gives another gradient or Hessian.
    """
    n = field.size
    middles = 0.02 + 0.96 * starts(32, n)
    way = starts(32, n, skip=1000) - 0.5
    way = 0.01 * way / np.abs(way).max(1, keepdims=True) * width
    center = low + middles * width
    parts = [field.sample(center + k * way) for k in (-1, 0, 1)]
    slopes = [np.einsum("mi,mi->m", p.gradient, way) for p in parts]
    bends = [np.einsum("mij,mj->mi", p.hessian, way) for p in parts]
    values = [p.value for p in parts]
    gradients = [p.gradient for p in parts]
    return _off(values, slopes) or _off(gradients, bends)


def _off(values: list[np.ndarray], slopes: list[np.ndarray]) -> bool:
    """Whether Simpson's rule misses the differences by more than the slopes swing."""
    with np.errstate(all="ignore"):
        integral = (slopes[0] + 4 * slopes[1] + slopes[2]) / 3
        swing = np.ptp(np.stack(slopes), axis=0)
        off = np.abs(values[2] - values[0] - integral)
        wrong = off > swing + 1e-10 * np.max(np.abs(np.stack(values)), axis=0)
    return bool(np.count_nonzero(wrong) > 0.1 * wrong.size)
