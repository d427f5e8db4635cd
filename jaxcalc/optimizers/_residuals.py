"""Residuals, their Jacobian, and the decomposition that every damping can reuse."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc.curvature.hessian import MEMORY, in_chunks


class Decomposition(NamedTuple):
    r"""The scaled Jacobian $J D^{-1} = U S V^\top$ and the residual, seen through it.

    Attributes:
        singular: Singular values in increasing order; zero where there is no rank.
        vectors: $V$, a column for each; zero where there are fewer than parameters.
        along: $U^\top r$; zero where there is no rank.
        deficient: Whether some are zero.
    """

    singular: Float[Array, " n"]
    vectors: Float[Array, "n n"]
    along: Float[Array, " n"]
    deficient: Bool[Array, ""]


def flat_residual(
    residual_fn: Callable[[PyTree], Any], unravel: Callable[[Array], PyTree], dtype: Any
) -> Callable[[Array], Array]:
    """The residual as one vector, a function of one vector.

    Args:
        residual_fn: `residual_fn(params)`, a pytree of floating arrays.
        unravel: The parameters of a vector.
        dtype: Of the vector that is returned.

    Returns:
        A function of a vector of shape `(n,)`, with values of shape `(m,)`.
    """

    def residual(x: Array) -> Array:
        found = residual_fn(unravel(x))
        for path, leaf in jax.tree.leaves_with_path(found):
            _check(jax.tree_util.keystr(path), leaf)
        flat, _ = ravel_pytree(found)
        if flat.size == 0:
            raise ValueError(
                "`residual_fn` returned no numbers: return the misfit of each "
                "observation, an array or a tree of arrays"
            )
        return flat.astype(dtype)

    return residual


def _check(where: str, leaf: Any) -> None:
    try:
        shape, dtype = jnp.shape(leaf), jnp.result_type(leaf)
    except (TypeError, ValueError):
        raise ValueError(
            f"`residual_fn` must return arrays, got {leaf!r}: return the misfit of "
            "each observation"
        ) from None
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"`residual_fn` must return real floating arrays, got {dtype}{where}: "
            "split complex numbers into both parts, convert integers to floats"
        )
    if shape == () and not where:
        raise ValueError(
            "`residual_fn` must return an array with one entry for each observation, "
            "got a scalar: is it the loss, or a sum? For a single observation return "
            "shape (1,)"
        )


def jacobian(
    push: Callable[[Array], Array], like: Array, residual: Array
) -> Float[Array, "m n"]:
    """The matrix of a linearized residual, by columns or by rows, whichever are fewer.

    Args:
        push: The linear part, of shape `(n,)` to `(m,)`.
        like: An array like its argument.
        residual: An array like its values.

    Returns:
        The Jacobian.
    """
    rows, columns = residual.size, like.size
    # The values between argument and result take memory too, as much as both, say.
    size = 2 * (rows + columns) * like.dtype.itemsize

    def unit(index: Array, count: int) -> Array:
        return jnp.zeros(count, like.dtype).at[index].set(1)

    if columns <= rows:
        found = in_chunks(lambda i: push(unit(i, columns)), columns, size, MEMORY)
        return found.T
    pull = jax.linear_transpose(push, like)
    return in_chunks(lambda i: pull(unit(i, rows))[0], rows, size, MEMORY)


def column_norms(matrix: Float[Array, "m n"]) -> Float[Array, " n"]:
    """Lengths of the columns; squares of large or small entries must not overflow.

    Args:
        matrix: Any matrix.

    Returns:
        The lengths.
    """
    largest = jnp.max(jnp.abs(matrix), axis=0)
    safe = jnp.where(largest > 0, largest, 1.0)
    return largest * jnp.linalg.norm(matrix / safe, axis=0)


def decompose(
    matrix: Float[Array, "m n"], residual: Float[Array, " m"]
) -> Decomposition:
    r"""The singular values of a matrix, and the residual seen through them.

    The triangular factor of $(J\;r)$ has all that is needed of a long matrix; its
    orthogonal factor is never formed, and neither is $J^\top J$, which would square the
    condition number.

    Args:
        matrix: The scaled Jacobian, finite.
        residual: The residual.

    Returns:
        The decomposition. Singular values within rounding count as zero.
    """
    m, n = matrix.shape
    rank = min(m, n)
    joined = jnp.concatenate([matrix, residual[:, None]], axis=1)
    triangle = jnp.linalg.qr(joined, mode="r")[:rank]
    left, singular, right = jnp.linalg.svd(triangle[:, :n], full_matrices=False)
    along = triangle[:, n] @ left
    noise = max(m, n) * jnp.finfo(matrix.dtype).eps * singular[0]
    counts = singular > noise
    pad = n - rank
    return Decomposition(
        singular=jnp.pad(jnp.where(counts, singular, 0.0), (0, pad))[::-1],
        vectors=jnp.pad(right, ((0, pad), (0, 0))).T[:, ::-1],
        along=jnp.pad(jnp.where(counts, along, 0.0), (0, pad))[::-1],
        deficient=~jnp.all(counts) | (pad > 0),
    )


def minimum_norm(
    matrix: Float[Array, "m n"],
    scales: Float[Array, " n"],
    residual: Float[Array, " m"],
) -> tuple[Decomposition, Float[Array, " n"]]:
    """Decompose the scaled matrix; the matrix as it is, where it has not full rank.

    The solution of least norm depends on what length means; that of full rank does not,
    and scaling saves it digits.

    Args:
        matrix: The Jacobian, finite.
        scales: The natural size of each parameter, inverted.
        residual: The residual.

    Returns:
        The decomposition, and the scales that it was made with.
    """
    scaled = decompose(matrix / scales, residual)
    ones = jnp.ones_like(scales)
    return lax.cond(
        scaled.deficient,
        lambda: (decompose(matrix, residual), ones),
        lambda: (scaled, scales),
    )
