"""Symmetric matrices: eigenvalues, and whether they are all positive."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def eigh(
    matrix: Float[Array, "n n"],
) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    r"""Eigenvalues in increasing order, and eigenvectors as columns.

    A loop that calls LAPACK is run operation by operation on a CPU, and a batch of
    matrices goes through it one by one. With two parameters one Jacobi rotation,

    $$t = \frac{\operatorname{sign}\tau}{|\tau| + \sqrt{1 + \tau^2}}, \quad
      \tau = \frac{a_{22} - a_{11}}{2 a_{12}}$$

    is exact, and a seventh of the time. From three on the sweeps of rotations are no
    faster than LAPACK.

    Args:
        matrix: Symmetric, and finite: LAPACK may not return at all if it is not.

    Returns:
        Both.

    References:
        Golub and Van Loan (2013), Matrix Computations, section 8.5.2.
    """
    if len(matrix) == 1:
        return matrix[0], jnp.ones_like(matrix)
    if len(matrix) > 2:
        values, vectors = jnp.linalg.eigh(matrix)
        return values, vectors
    first, second, beside = matrix[0, 0], matrix[1, 1], matrix[0, 1]
    diagonal = beside == 0
    tau = (second - first) / (2 * jnp.where(diagonal, 1, beside))
    t = jnp.where(tau < 0, -1, 1) / (jnp.abs(tau) + jnp.sqrt(1 + tau**2))
    t = jnp.where(diagonal, 0, t)
    c = 1 / jnp.sqrt(1 + t**2)
    first, second = first - t * beside, second + t * beside
    low, high = jnp.stack([c, -t * c]), jnp.stack([t * c, c])
    ordered = first <= second
    return (
        jnp.stack([jnp.minimum(first, second), jnp.maximum(first, second)]),
        jnp.stack(
            [jnp.where(ordered, low, high), jnp.where(ordered, high, low)], axis=1
        ),
    )


def factored(
    matrix: Float[Array, "n n"],
) -> tuple[Float[Array, "n n"], Float[Array, ""]]:
    r"""Cholesky's factor, $A = L L^\top$, and the smallest pivot $\min_i L_{ii}^2$.

    A pivot within rounding of zero is no proof that the matrix is positive definite.

    Args:
        matrix: Symmetric; only its lower triangle is read.

    Returns:
        The lower factor and the pivot; NaN where there is no factor, which compares
        false.

    References:
        Golub and Van Loan (2013), Matrix Computations, section 4.2.
    """
    factor = lax.linalg.cholesky(matrix, symmetrize_input=False)
    return factor, jnp.min(jnp.diagonal(factor) ** 2)
