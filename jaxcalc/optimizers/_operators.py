"""Products with curvature and preconditioner, and what is done with vectors."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int, PyTree

from jaxcalc.curvature import as_matrix, as_product
from jaxcalc.curvature.products import Matvec, like_params


def evaluate(
    value_fn: Callable[..., Any], at: PyTree, dtype: Any
) -> tuple[Array, PyTree, Matvec]:
    """Value, gradient, and products with the Hessian, from one linearization.

    Args:
        value_fn: The loss.
        at: Where.
        dtype: Of the value.

    Returns:
        All three.
    """
    (value, grad), push = jax.linearize(jax.value_and_grad(value_fn), at)
    return value.astype(dtype), grad, lambda tangent: push(tangent)[1]


def given(
    hessian_fn: Callable[..., Any], at: PyTree, planning: Bool[Array, ""]
) -> Matvec:
    """Products with the caller's curvature, which may be a matrix.

    Args:
        hessian_fn: The caller's function.
        at: Where.
        planning: Whether any product will be asked for.

    Returns:
        The product.
    """
    curvature = hessian_fn(at)
    if callable(curvature):
        return as_product(curvature, at)

    def matrix() -> Array:
        return as_matrix(hessian_fn(at), at)

    # A matrix is costly, and of no use where the trial is not accepted.
    shape = jax.eval_shape(matrix)
    nothing = jnp.zeros(shape.shape, shape.dtype)
    return as_product(lax.cond(planning, matrix, lambda: nothing), at)


def preconditioned(
    preconditioner: Callable[[PyTree], Matvec] | None, at: PyTree
) -> Matvec | None:
    """Products with the caller's preconditioner, checked.

    Args:
        preconditioner: The caller's function, or None.
        at: Where.

    Returns:
        The product, or None.

    Raises:
        TypeError: The caller's function does not return one.
    """
    if preconditioner is None:
        return None
    apply = preconditioner(at)
    if not callable(apply):
        raise TypeError(
            "`preconditioner(params)` must return a function that multiplies a "
            f"tangent, got {apply!r}"
        )

    def checked(tangent: PyTree) -> PyTree:
        return like_params("preconditioner(params)(tangent)", apply(tangent), at)

    return checked


def add(a: PyTree, factor: Array | float, b: PyTree) -> PyTree:
    """The vector `a + factor * b`, in the dtypes of `a`.

    Args:
        a: A vector.
        factor: A scalar.
        b: A vector.

    Returns:
        The vector.
    """
    factor = jnp.asarray(factor)
    return jax.tree.map(lambda x, y: x + factor.astype(x.dtype) * y, a, b)


def size_of(params: PyTree) -> int:
    """How many numbers a tree holds.

    Args:
        params: A tree of arrays.

    Returns:
        The count.
    """
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def scattered_like(seed: Int[Array, ""], like: PyTree) -> PyTree:
    """Draw numbers between -1 and 1 in the shape of a tree, by hashing their places.

    They only have to have a part along every direction. `jax.random` takes a fifth of
    the time in which a whole solve compiles, and its bits are better than is needed.

    Args:
        seed: A count.
        like: A tree of floating arrays.

    Returns:
        The vector, sharded as the tree is.

    References:
        Appleby (2011), MurmurHash3, for the constants that mix the bits.
    """
    leaves, structure = jax.tree.flatten(like)

    def draw(index: int, leaf: Array) -> Array:
        # Without a reshape, which would gather what is sharded.
        place = jnp.full(leaf.shape, index + 1, jnp.uint32) * np.uint32(0x9E3779B9)
        place += seed.astype(jnp.uint32) * np.uint32(0x85EBCA77)
        for axis in range(leaf.ndim):
            along = lax.broadcasted_iota(jnp.uint32, leaf.shape, axis)
            place = (place ^ along) * np.uint32(0x01000193)
            place ^= place >> 15
        place = (place ^ (place >> 16)) * np.uint32(0x85EBCA6B)
        place = (place ^ (place >> 13)) * np.uint32(0xC2B2AE35)
        place ^= place >> 16
        bits = lax.bitcast_convert_type(place, jnp.int32)
        return (bits.astype(jnp.float32) * np.float32(2.0**-31)).astype(leaf.dtype)

    drawn = [draw(index, leaf) for index, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, drawn)
