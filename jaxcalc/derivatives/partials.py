"""Derivatives of functions of many variables by differences: no autodiff anywhere.

Each takes `f(params, *args) -> scalar`, with `params` any tree of floating arrays, and
gives a value with an error that holds, from the ladder of `jaxcalc.derivatives.ladder`.
They are the slow and independent way: 129 values of `f` for a partial derivative in
float64, 256 for a mixed second one. All values of a call are one compiled program, one
coordinate (or pair) after the other, so memory stays at one ladder.

Coordinates are counted through all leaves, in the order of
`jax.flatten_util.ravel_pytree`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.derivatives import _points, ladder
from jaxcalc.derivatives.ladder import Estimate


def directional_derivative(
    f: Callable[..., Any],
    params: PyTree,
    direction: PyTree,
    *args: Any,
    order: int = 1,
) -> Estimate:
    r"""Derivative along a line through the parameters.

    $$D_v^m f(x) = \frac{d^m}{dt^m} f(x + t v) \Big|_{t = 0}$$

    Args:
        f: A function `f(params, *args) -> scalar`.
        params: The point $x$.
        direction: The direction $v$, a tree like `params`; its length counts.
        *args: Data handed on to `f`.
        order: Which derivative $m$, 1 to 4.

    Returns:
        `(value, error)`, scalars.

    Raises:
        TypeError: `params` is not floating, or `f` does not return a floating scalar.
        ValueError: `direction` is zero or unlike `params`, or there is no such order.
    """
    params, _ = _checked(f, params, args)
    order = _order(order)
    direction = _checks.floating_params("direction", direction)
    if jax.tree.map(jnp.shape, direction) != jax.tree.map(jnp.shape, params):
        raise ValueError("`direction` must have the structure and shapes of `params`")
    x, v = (np.asarray(ravel_pytree(t)[0], np.float64) for t in (params, direction))
    if not np.any(v) or not np.all(np.isfinite(v)):
        raise ValueError("`direction` must be finite and not zero")
    moved = v != 0
    room = np.min(np.maximum(1.0, np.abs(x[moved])) / np.abs(v[moved]))
    dtype, eps = _coarsest(params)
    unit = np.exp2(np.floor(np.log2(room)))
    steps = unit * ladder.geometric_steps(np.ones(1), eps, rungs=_rungs(eps))
    offsets = np.concatenate([[0.0], steps[0], -steps[0]]).astype(dtype)
    values = _programs.compiled(_along_line, f)(params, direction, offsets, args)
    estimate = _from_values(np.asarray(values)[None], steps, eps, order)
    return Estimate(*(jnp.asarray(a[0], dtype) for a in estimate))


def partial_derivative(
    f: Callable[..., Any],
    params: PyTree,
    coordinate: int | tuple[int, int],
    *args: Any,
    order: int = 1,
) -> Estimate:
    r"""Partial derivative $\partial^m f / \partial x_i^m$, or a mixed second one.

    Args:
        f: A function `f(params, *args) -> scalar`.
        params: The point.
        coordinate: Which $i$, counted from zero through all leaves; or a pair
            $(i, j)$ for $\partial^2 f / \partial x_i \partial x_j$.
        *args: Data handed on to `f`.
        order: Which derivative $m$, 1 to 4; not used for a pair.

    Returns:
        `(value, error)`, scalars.

    Raises:
        TypeError: `params` is not floating, or `f` does not return a floating scalar.
        ValueError: There is no such coordinate or order.
    """
    params, size = _checked(f, params, args)
    pair = coordinate if isinstance(coordinate, tuple) else (coordinate,)
    for i in pair:
        if not 0 <= i < size or len(pair) > 2:
            raise ValueError(
                f"`coordinate` must be one or two of 0 to {size - 1}, got {coordinate}"
            )
    if len(pair) == 2 and pair[0] != pair[1]:
        estimate = _mixed(f, params, np.array([pair]), args)
    else:
        order = 2 if len(pair) == 2 else _order(order)
        estimate = _partials(f, params, np.array(pair[:1]), args, order)
    return Estimate(*(jnp.asarray(a[0], _coarsest(params)[0]) for a in estimate))


def numerical_gradient(f: Callable[..., Any], params: PyTree, *args: Any) -> Estimate:
    r"""All first partial derivatives, by differences.

    Costs 129 values of `f` for each parameter in float64, 73 in float32.

    Args:
        f: A function `f(params, *args) -> scalar`.
        params: The point.
        *args: Data handed on to `f`.

    Returns:
        `(value, error)`, each a tree like `params`.

    Raises:
        TypeError: `params` is not floating, or `f` does not return a floating scalar.
        ValueError: `params` holds no numbers.
    """
    params, size = _checked(f, params, args)
    estimate = _partials(f, params, np.arange(size), args, 1)
    _, unravel = ravel_pytree(params)
    return Estimate(*(_unravel(unravel, params, a) for a in estimate))


def numerical_hessian(f: Callable[..., Any], params: PyTree, *args: Any) -> Estimate:
    r"""All second partial derivatives, by differences of values.

    Costs $128 n + 128 n (n - 1)$ values of `f` for $n$ parameters in float64: meant
    for small functions, and as an oracle.

    Args:
        f: A function `f(params, *args) -> scalar`.
        params: The point.
        *args: Data handed on to `f`.

    Returns:
        `(value, error)`, each a tree of trees like `jax.hessian(f)(params)`.

    Raises:
        TypeError: `params` is not floating, or `f` does not return a floating scalar.
        ValueError: `params` holds no numbers.
    """
    params, size = _checked(f, params, args)
    diagonal = _partials(f, params, np.arange(size), args, 2)
    pairs = np.stack(np.triu_indices(size, 1), axis=1)
    mixed = _mixed(f, params, pairs, args) if len(pairs) else None
    matrices = []
    for k, on_diagonal in enumerate(diagonal):
        matrix = np.diag(on_diagonal)
        if mixed is not None:
            matrix[pairs[:, 0], pairs[:, 1]] = mixed[k]
            matrix[pairs[:, 1], pairs[:, 0]] = mixed[k]
        matrices.append(_as_hessian(matrix, params))
    return Estimate(*matrices)


def _partials(
    f: Callable[..., Any],
    params: PyTree,
    coordinates: np.ndarray,
    args: tuple[Any, ...],
    order: int,
) -> Estimate:
    dtype, eps = _coarsest(params)
    x = np.asarray(ravel_pytree(params)[0], np.float64)[coordinates]
    steps = ladder.geometric_steps(x, eps, rungs=_rungs(eps))
    points = x[:, None] + np.concatenate([0 * steps[:, :1], steps, -steps], axis=1)
    points = points.astype(dtype)
    values = _programs.compiled(_at_coordinates, f)(
        params, coordinates[:, None], points[..., None], args
    )
    return _from_values(np.asarray(values), steps, eps, order, points, x)


def _mixed(
    f: Callable[..., Any], params: PyTree, pairs: np.ndarray, args: tuple[Any, ...]
) -> Estimate:
    dtype, eps = _coarsest(params)
    x = np.asarray(ravel_pytree(params)[0], np.float64)[pairs]
    scale = np.exp2(np.ceil(np.log2(np.maximum(1.0, np.abs(x)))))
    steps = ladder.geometric_steps(np.ones(len(x)), eps, rungs=_rungs(eps))
    signs = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]])
    offsets = signs[None, :, None, :] * (scale[:, None, :] * steps[..., None])[:, None]
    points = (x[:, None, None, :] + offsets).reshape(len(x), -1, 2).astype(dtype)
    values = _programs.compiled(_at_coordinates, f)(params, pairs, points, args)
    values = np.asarray(values, np.float64).reshape(len(x), 4, -1)
    with np.errstate(all="ignore"):
        value, error = ladder.mixed(steps, values, eps)
    area = np.prod(scale, axis=1)
    return Estimate(value / area, error / area)


def _at_coordinates(f: Callable[..., Any]) -> Callable[..., Any]:
    """Values with some coordinates replaced: `(m, q)` of them by `(m, p, q)` points."""

    def values(params: PyTree, coordinates: Array, points: Array, args: Any) -> Array:
        flat, unravel = ravel_pytree(params)

        def one(moved: tuple[Array, Array]) -> Array:
            where, values = moved
            place = jax.vmap(lambda at: flat.at[where].set(at.astype(flat.dtype)))
            return jax.vmap(lambda x: f(unravel(x), *args))(place(values))

        return jax.lax.map(one, (coordinates, points))

    return values


def _along_line(f: Callable[..., Any]) -> Callable[..., Any]:
    def values(params: PyTree, direction: PyTree, offsets: Array, args: Any) -> Array:
        def at(t: Array) -> Array:
            moved = jax.tree.map(
                lambda x, v: (x + t * v).astype(x.dtype), params, direction
            )
            return f(moved, *args)

        return jax.lax.map(at, offsets, batch_size=16)

    return values


def _from_values(
    values: np.ndarray,
    steps: np.ndarray,
    eps: float,
    order: int,
    points: np.ndarray | None = None,
    x: np.ndarray | None = None,
) -> Estimate:
    values = values.astype(np.float64)
    moved = np.concatenate([steps, steps], axis=1)
    if points is not None and x is not None:
        moved = np.abs(points.astype(np.float64) - x[:, None])[:, 1:]
    with np.errstate(all="ignore"):
        rows = ladder.on_ladder(steps, moved, values, eps)
        return ladder.estimate(rows, order)


def _checked(
    f: Callable[..., Any], params: PyTree, args: tuple[Any, ...]
) -> tuple[PyTree, int]:
    params = _checks.floating_params("params", params)
    params = jax.tree.map(_points.concrete, params)
    _checks.scalar_loss("f", jax.eval_shape(f, params, *args))
    return params, sum(leaf.size for leaf in jax.tree.leaves(params))


def _order(order: int) -> int:
    order = _checks.positive_int("order", order)
    return _checks.known("order", order, range(1, 5))


def _coarsest(params: PyTree) -> tuple[Any, float]:
    """The leaves' dtype with the largest rounding unit: steps must be exact in all."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(params)]
    dtype = max(dtypes, key=lambda d: float(jnp.finfo(d).eps))
    return dtype, float(jnp.finfo(dtype).eps)


def _rungs(eps: float) -> int:
    return 64 if eps < 1e-10 else 36


def _unravel(unravel: Callable[..., Any], params: PyTree, flat: np.ndarray) -> PyTree:
    return unravel(jnp.asarray(flat, ravel_pytree(params)[0].dtype))


def _as_hessian(matrix: np.ndarray, params: PyTree) -> PyTree:
    """A tree of trees of blocks, shaped like `jax.hessian`'s."""
    leaves, structure = jax.tree.flatten(params)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    rows = [
        [
            jnp.asarray(block.reshape(a.shape + b.shape), jnp.result_type(a, b))
            for block, b in zip(np.split(band, ends, axis=1), leaves, strict=True)
        ]
        for band, a in zip(np.split(matrix, ends, axis=0), leaves, strict=True)
    ]
    return structure.unflatten([structure.unflatten(row) for row in rows])
