"""The second-order correction of a least-squares step, along a geodesic of the fit."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def correction(
    residual: Callable[[Array], Array],
    at: Float[Array, " n"],
    step: Float[Array, " n"],
) -> Float[Array, " n"]:
    r"""What the curvature of the residual along a step adds to the gradient.

    $$J^\top r_{vv}, \qquad r_{vv} = \left.\frac{d^2}{dt^2}\, r(x + t v) \right|_{t=0}$$

    Args:
        residual: The residual, a function of a vector.
        at: Where.
        step: The direction $v$.

    Returns:
        A vector like the gradient of half the sum of squares.
    """

    def rate(x: Array) -> Array:
        return jax.jvp(residual, (x,), (step,))[1]

    bend = jax.jvp(rate, (at,), (step,))[1]
    return jax.vjp(residual, at)[1](bend)[0]


def accelerated(
    pulled: Float[Array, " n"],
    values: Float[Array, " n"],
    coefficients: Float[Array, " n"],
    multiplier: Float[Array, ""],
    limit: float,
) -> Float[Array, " n"]:
    r"""The step with its correction, if that is small enough to be trusted.

    $$v + \tfrac12 a, \qquad a = -(\Lambda + \mu)^{-1}\, J^\top r_{vv}, \qquad
      \frac{\|a\|}{\|v\|} \le \alpha$$

    Args:
        pulled: $J^\top r_{vv}$ in the basis of the model.
        values: Its eigenvalues $\Lambda$.
        coefficients: The step $v$.
        multiplier: Its damping $\mu$.
        limit: The bound $\alpha$.

    Returns:
        The coefficients of the corrected step, or of the step as it is.

    References:
        Transtrum and Sethna (2012), Improvements to the Levenberg-Marquardt algorithm
        for nonlinear least-squares minimization, sections 3 and 4.
    """
    damped = values + multiplier
    half = jnp.where(damped > 0, -0.5 * pulled / jnp.where(damped > 0, damped, 1), 0)
    length = jnp.linalg.norm(coefficients)
    trusted = 2 * jnp.linalg.norm(half) <= limit * length
    return coefficients + jnp.where(trusted, half, 0.0)
