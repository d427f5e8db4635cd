"""Whether a caller's Hessian can be one, asked once before a run is compiled."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree

from jaxcalc.curvature import as_matrix, as_product

# The largest asymmetry that counts as rounding, relative to the largest entry.
_ROUNDING = 1e-3


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
