"""What is asked of the arguments before a run is compiled."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _trees
from jaxcalc.curvature import as_matrix, as_product
from jaxcalc.minimization.step import Functions

# The largest asymmetry that counts as rounding, relative to the largest entry.
_ROUNDING = 1e-3


def check_arguments(
    functions: Functions, optimizer: Any, args: tuple[Any, ...]
) -> None:
    """Raise unless these are functions, an optimizer, and a tuple.

    Args:
        functions: The functions of a problem.
        optimizer: What the caller gave as an optimizer.
        args: What the caller gave as data.

    Raises:
        TypeError: One of them is something else.
    """
    if not isinstance(args, tuple):
        raise TypeError(
            f"`args` must be a tuple, got {type(args).__name__}: "
            "write args=(data,) for a single argument"
        )
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"`optimizer` must be an optax optimizer, got {optimizer!r}: "
            "pass for example optax.adam(1e-2)"
        )
    for name, function in zip(functions._fields, functions, strict=True):
        if function is not None and not callable(function):
            raise TypeError(f"`{name}` must be a function, got {function!r}")


def tolerance(tol: Any, params: PyTree) -> Any:
    """The tolerance in the dtype of the parameters.

    Args:
        tol: What the caller gave: a number, an array, or None.
        params: The parameters.

    Returns:
        An array, or None for the tolerance that follows from the scale of the loss.
    """
    if tol is None:
        return None
    dtype = _trees.dtype(params)
    if isinstance(tol, Tracer):
        return tol.astype(dtype)
    return np.asarray(_checks.positive_float("tol", tol, zero=True), dtype)


def examine_hessian(
    hessian_fn: Callable[..., Any], params: PyTree, args: tuple[Any, ...]
) -> None:
    """Raise if what `hessian_fn` returns is not symmetric, or of a wrong shape.

    Nothing is said where values are not known, while something is being traced.

    Args:
        hessian_fn: `hessian_fn(params, *args)`.
        params: Where a run starts.
        args: Data.

    Raises:
        ValueError: The curvature is not symmetric.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((params, args))):
        return
    # One program for one look: nobody will ask again for the same function.
    apart = float(jax.jit(lambda p, a: _asymmetry(hessian_fn(p, *a), p))(params, args))
    if apart > _ROUNDING:
        raise ValueError(
            f"`hessian_fn` must return a symmetric matrix, got one that differs from "
            f"its transpose by {apart:.2g} of its largest entry: did it return a "
            "Jacobian of something else, or one triangle?"
        )


def _asymmetry(curvature: Any, params: PyTree) -> Float[Array, ""]:
    if not callable(curvature):
        matrix = as_matrix(curvature, params)
        largest = jnp.max(jnp.abs(matrix))
        return jnp.max(jnp.abs(matrix - matrix.T)) / jnp.where(largest > 0, largest, 1)
    matvec = as_product(curvature, params)
    keys = jax.random.split(jax.random.key(0))
    left, right = (optax.tree.random_like(key, params) for key in keys)
    by_left, by_right = matvec(left), matvec(right)
    one = jnp.asarray(optax.tree.vdot(right, by_left))
    other = jnp.asarray(optax.tree.vdot(left, by_right))
    size = jnp.asarray(optax.tree.norm(right)) * jnp.asarray(optax.tree.norm(by_left))
    return jnp.abs(one - other) / jnp.where(size > 0, size, 1)
