"""Curvature in whatever form a `hessian_fn` gives it: as a matrix, and as a product.

`hessian_fn(params, *args)` returns the curvature at `params` as one of three: a matrix
of shape (n, n), rows and columns in the order of `jax.flatten_util.ravel_pytree`; the
tree that `jax.hessian` returns; or a function that multiplies a tangent tree by it, as
`jaxcalc.curvature.hvp` does. It must be symmetric.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jax.extend.core import jaxprs_in_params
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks
from jaxcalc.curvature.products import Matvec, like_params

# What the columns that are computed together may hold at a time, in bytes. On a CPU
# with caches of some megabytes 8 to 32 columns of a Hessian of 650 to 985 parameters
# at a time take a fourth of the time of all at once; one by one they take half more.
MEMORY = 2**26
# The largest asymmetry that counts as rounding, relative to the largest entry.
_ASYMMETRY = 1e-3


def as_matrix(
    curvature: Any, params: PyTree, *, memory: int = MEMORY
) -> Float[Array, "n n"]:
    r"""Turn what a `hessian_fn` returned into a matrix.

    $$H_{ij} = \frac{\partial^2 f}{\partial x_i \partial x_j}$$

    A product is applied to the $n$ unit vectors, some at a time. Under `jit` asymmetry
    goes unnoticed, as values are not known while tracing.

    Args:
        curvature: A matrix, a tree as of `jax.hessian`, or a product.
        params: Where it was evaluated.
        memory: Bytes that the products computed together may take, about.

    Returns:
        The matrix, in the order of `jax.flatten_util.ravel_pytree` and in its dtype.

    Raises:
        TypeError: The curvature is no array of real numbers.
        ValueError: The shapes do not fit those of the parameters, or the matrix is far
            from symmetric.
    """
    params = _checks.floating_params("params", params)
    if callable(curvature):
        matrix = columns(_checked(curvature, params), params, memory=memory)
    else:
        matrix = _assembled(curvature, params)
    _check_symmetric(matrix)
    return matrix


def as_product(curvature: Any, params: PyTree) -> Matvec:
    """Turn what a `hessian_fn` returned into a product with tangents.

    Args:
        curvature: A matrix, a tree as of `jax.hessian`, or a product.
        params: Where it was evaluated.

    Returns:
        `matvec(tangent)`, from trees like `params` to such trees.

    Raises:
        TypeError: The curvature is no array of real numbers.
        ValueError: The shapes do not fit those of the parameters, or the matrix is far
            from symmetric.
    """
    params = _checks.floating_params("params", params)
    if callable(curvature):
        return _checked(curvature, params)
    matrix = as_matrix(curvature, params)
    _, unravel = ravel_pytree(params)

    def matvec(tangent: PyTree) -> PyTree:
        flat, _ = ravel_pytree(like_params("tangent", tangent, params))
        return unravel(jnp.matmul(matrix, flat, precision="highest"))

    return matvec


def columns(
    matvec: Matvec, params: PyTree, *, memory: int = MEMORY
) -> Float[Array, "n n"]:
    """The matrix behind a product, some columns at a time.

    Args:
        matvec: The product.
        params: A tree of arrays like its tangents.
        memory: Bytes that the columns computed together may take, about; the result
            comes on top.

    Returns:
        The matrix, in the order of `jax.flatten_util.ravel_pytree`.
    """
    flat, unravel = ravel_pytree(params)

    def column(index: Array) -> Array:
        unit = jnp.zeros(flat.size, flat.dtype).at[index].set(1)
        return ravel_pytree(matvec(unravel(unit)))[0]

    return in_chunks(column, flat.size, bytes_of(matvec, params), memory).T


def in_chunks(one: Any, count: int, size: int, memory: int) -> Any:
    """Stack `one(0), one(1), ...`, with as many at a time as the memory allows.

    Args:
        one: A function of an index.
        count: How many there are.
        size: Bytes that one takes.
        memory: Bytes that there are.

    Returns:
        What `one` returns, stacked along a new first axis.
    """
    together = max(1, _checks.positive_int("memory", memory) // max(size, 1))
    if together >= count:
        return jax.vmap(one)(jnp.arange(count))
    return lax.map(one, jnp.arange(count), batch_size=together)


def bytes_of(matvec: Matvec, params: PyTree) -> int:
    """Bytes of everything that one product computes on its way.

    What is held at a time is less, between a third and all of it.

    Args:
        matvec: The product.
        params: A tree of arrays like its tangents.

    Returns:
        The sum over all operations.
    """
    return _written(jax.make_jaxpr(matvec)(params).jaxpr)


def _written(jaxpr: Any) -> int:
    total = 0
    for eqn in jaxpr.eqns:
        total += sum(v.aval.size * v.aval.dtype.itemsize for v in eqn.outvars)
        total += sum(map(_written, jaxprs_in_params(eqn.params)))
    return total


def _checked(curvature: Matvec, params: PyTree) -> Matvec:
    def matvec(tangent: PyTree) -> PyTree:
        tangent = like_params("tangent", tangent, params)
        return like_params("hessian_fn(params)(tangent)", curvature(tangent), params)

    return matvec


def _assembled(curvature: Any, params: PyTree) -> Array:
    leaves = jax.tree.leaves(params)
    n, dtype = sum(leaf.size for leaf in leaves), ravel_pytree(params)[0].dtype
    blocks = [_real(block) for block in jax.tree.leaves(curvature)]
    if len(blocks) == 1 and blocks[0].shape == (n, n):
        return blocks[0].astype(dtype)
    pairs = [(p, q) for p in leaves for q in leaves]
    if len(blocks) != len(pairs) or not all(map(_fits, blocks, pairs)):
        raise ValueError(
            f"`hessian_fn` must return an array of shape ({n}, {n}), blocks as "
            "jax.hessian does, or a function that multiplies a tangent, got shapes "
            f"{[block.shape for block in blocks]}"
        )
    flat = [b.reshape(p.size, q.size) for b, (p, q) in zip(blocks, pairs, strict=True)]
    width = len(leaves)
    rows = [flat[i : i + width] for i in range(0, len(flat), width)]
    return jnp.block(rows).astype(dtype)


def _fits(block: Array, pair: tuple[Array, Array]) -> bool:
    p, q = pair
    return block.shape in (p.shape + q.shape, (p.size, q.size))


def _real(block: Any) -> Array:
    try:
        dtype = jnp.result_type(block)
    except (TypeError, ValueError):
        raise TypeError(f"`hessian_fn` must return arrays, got {block!r}") from None
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(f"`hessian_fn` must return real numbers, got {dtype}")
    return jnp.asarray(block)


def _check_symmetric(matrix: Array) -> None:
    if isinstance(matrix, Tracer):
        return
    largest = float(jnp.max(jnp.abs(matrix)))
    apart = float(jnp.max(jnp.abs(matrix - matrix.T)))
    if apart > max(_ASYMMETRY, 10 * float(jnp.finfo(matrix.dtype).eps)) * largest:
        raise ValueError(
            "`hessian_fn` must be symmetric, as second derivatives are, but entries "
            f"across the diagonal differ by {apart:.2g}, where the largest is "
            f"{largest:.2g}"
        )
