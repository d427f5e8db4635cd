"""Residuals that two problems share: the small one and its extension."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def rosenbrock_residual(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """Rosenbrock's two residuals for each pair of variables.

    Args:
        x: A point, shape `(n,)`, where 2 divides n.

    Returns:
        The residuals, shape `(n,)`.
    """
    u, v = x[::2], x[1::2]
    return jnp.stack([10 * (v - u**2), 1 - u], axis=1).ravel()


def powell_singular_residual(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """Powell's four residuals for each four variables.

    Args:
        x: A point, shape `(n,)`, where 4 divides n.

    Returns:
        The residuals, shape `(n,)`.
    """
    a, b, c, d = x.reshape(-1, 4).T
    rows = (a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2)
    return jnp.stack(rows, axis=1).ravel()
