"""Uncertain inputs: what a caller may pass, and how it reaches a model's outputs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

_MATMUL = "highest"


class Spread(NamedTuple):
    """Uncertainty of all inputs in a row: exactly one of both is an array."""

    deviation: Float[Array, " n"] | None
    covariance: Float[Array, "n n"] | None


def checked(uncertainty: Any, x: PyTree) -> Spread:
    """Read an uncertainty: deviations like `x`, or one covariance matrix.

    Args:
        uncertainty: A tree like `x` of standard deviations, or a matrix `(n, n)` in
            the order of `ravel_pytree`.
        x: The inputs, a tree of floating arrays.

    Returns:
        The deviations or the covariance, in the inputs' dtype.

    Raises:
        TypeError: It does not hold real numbers.
        ValueError: Its shape fits neither, a deviation is negative or not finite, or
            the matrix is no covariance.
    """
    flat, _ = ravel_pytree(x)
    for leaf in jax.tree.leaves(uncertainty):
        kind = getattr(leaf, "dtype", None) or np.asarray(leaf).dtype
        if kind.kind not in "fiu" and not jnp.issubdtype(kind, jnp.floating):
            raise TypeError(f"`uncertainty` must hold real numbers, got {kind}")
    if _shapes(uncertainty) == _shapes(x):
        deviation = ravel_pytree(uncertainty)[0].astype(flat.dtype)
        if not isinstance(deviation, Tracer):
            _check_deviation(np.asarray(deviation))
        return Spread(deviation, None)
    if np.shape(_only(uncertainty)) == (flat.size, flat.size):
        covariance = jnp.asarray(_only(uncertainty), flat.dtype)
        if not isinstance(covariance, Tracer):
            _check_covariance(np.asarray(covariance, np.float64), covariance.dtype)
        return Spread(None, covariance)
    raise ValueError(
        "`uncertainty` must be standard deviations in the structure and shapes of "
        f"`x`, {_shapes(x)}, or a covariance matrix of shape "
        f"{(flat.size, flat.size)}; got {_shapes(uncertainty)}"
    )


def factor(spread: Spread) -> Float[Array, "n *n"]:
    r"""A factor $A$ of the covariance, $\Sigma = A A^\top$.

    The matrix is scaled to correlations first: inputs in small units would drown in
    the rounding of those in large ones.

    Args:
        spread: The uncertainty.

    Returns:
        The deviations, which stand for a diagonal matrix, or a square matrix.
    """
    if spread.deviation is not None:
        return spread.deviation
    covariance = spread.covariance
    assert covariance is not None
    scale = deviations(spread)
    safe = jnp.where(scale > 0, scale, 1)
    values, vectors = jnp.linalg.eigh(covariance / safe[:, None] / safe)
    return scale[:, None] * vectors * jnp.sqrt(jnp.maximum(values, 0))


def deviations(spread: Spread) -> Float[Array, " n"]:
    """Standard deviation of each input.

    Args:
        spread: The uncertainty.

    Returns:
        The deviations, or the roots of the covariance's diagonal.
    """
    if spread.deviation is not None:
        return spread.deviation
    assert spread.covariance is not None
    return jnp.sqrt(jnp.maximum(jnp.diag(spread.covariance), 0))


def through(matrix: Float[Array, "k n"], root: Float[Array, "n *n"]) -> Array:
    """A matrix times the factor of a covariance.

    Args:
        matrix: For example a Jacobian.
        root: The factor, as `factor` gives it.

    Returns:
        The product, shape `(k, n)`.
    """
    if root.ndim == 1:
        return matrix * root
    return jnp.matmul(matrix, root, precision=_MATMUL)


def norms(rows: Float[Array, "k n"]) -> Float[Array, " k"]:
    """Euclidean norms of rows, whose squares may neither vanish nor overflow.

    Args:
        rows: Numbers.

    Returns:
        One norm for each row; NaN where one of its entries is.
    """
    largest = jnp.max(jnp.abs(rows), axis=1)
    usable = (largest > 0) & jnp.isfinite(largest)
    scale = jnp.where(usable, largest, 1)
    return scale * jnp.sqrt(jnp.sum((rows / scale[:, None]) ** 2, axis=1))


def _shapes(tree: PyTree) -> PyTree:
    return jax.tree.map(np.shape, tree)


def _only(tree: PyTree) -> Any:
    leaves = jax.tree.leaves(tree)
    # Nested lists are a tree to JAX and a matrix to people.
    return tree if len(leaves) == 1 and leaves[0] is tree else np.empty(0)


def _check_deviation(deviation: np.ndarray) -> None:
    if np.all(np.isfinite(deviation)) and np.all(deviation >= 0):
        return
    wrong = deviation[~(np.isfinite(deviation) & (deviation >= 0))][0]
    raise ValueError(
        "`uncertainty` must hold finite standard deviations of zero or more, "
        f"got {wrong}"
    )


def _check_covariance(covariance: np.ndarray, dtype: Any) -> None:
    slack = 10 * float(jnp.finfo(dtype).eps) ** 0.5
    diagonal = np.diag(covariance)
    if not np.all(np.isfinite(covariance)) or np.any(diagonal < 0):
        raise ValueError(
            "`uncertainty` must be finite, with variances of zero or more on the "
            "diagonal of a covariance matrix"
        )
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    correlation = covariance / scale[:, None] / scale
    if np.abs(correlation - correlation.T).max() > slack:
        raise ValueError("`uncertainty` as a covariance matrix must be symmetric")
    lowest = np.linalg.eigvalsh(correlation)[0]
    if lowest < -slack or np.any(np.abs(correlation[diagonal == 0]) > slack):
        raise ValueError(
            "`uncertainty` is no covariance matrix: a combination of inputs would have "
            f"a negative variance (lowest eigenvalue of the correlations: {lowest:.2g})"
        )
