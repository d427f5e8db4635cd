"""The trust-region subproblem, in the eigenbasis of the Hessian."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


class Step(NamedTuple):
    """A minimizer of the model: its coefficients, and whether the radius binds."""

    coefficients: Float[Array, " n"]
    at_boundary: Bool[Array, ""]
    decrease: Float[Array, ""]  # of the model


def solve_subproblem(
    values: Float[Array, " n"], slopes: Float[Array, " n"], radius: Float[Array, ""]
) -> Step:
    r"""Minimize a quadratic model within a ball, to the end.

    $$\min_{\|c\| \le \Delta} \tfrac12 \sum_i \lambda_i c_i^2 + \sum_i s_i c_i,
      \qquad c_i = \frac{-s_i}{\lambda_i + \nu},\quad \nu \ge \max(0, -\lambda_1)$$

    The multiplier $\nu$ is the root of $1/\Delta - 1/\|c(\nu)\|$, which is nearly
    linear: Newton's method finds it in a few iterations, kept between bounds that
    shrink. In the hard case, where the slope has no part along the lowest eigenvalue,
    what is left of the radius is spent along that eigenvector.

    Args:
        values: Eigenvalues in increasing order.
        slopes: The gradient in the eigenbasis.
        radius: The radius of the ball.

    Returns:
        The minimizer.

    References:
        Moré and Sorensen (1983), Computing a trust region step. Conn, Gould and Toint
        (2000), Trust-Region Methods, section 7.3.
    """
    n, eps = len(values), jnp.finfo(values.dtype).eps
    noise = 10 * n * eps * jnp.max(jnp.abs(values))
    lower = jnp.maximum(0.0, -values[0])
    # The multiplier may lie so close to its lower bound that their sum can't tell them
    # apart: what is sought is the distance from the bound.
    gaps = values + lower

    def coefficients(shift: Float[Array, ""]) -> Float[Array, " n"]:
        shifted = gaps + shift
        # Neither slope nor curvature: nothing is gained that way.
        level = jnp.abs(slopes) <= eps * jnp.max(jnp.abs(slopes))
        nothing = (shifted <= noise) & level
        safe = jnp.where(shifted > 0, shifted, jnp.finfo(values.dtype).tiny)
        return jnp.where(nothing, 0.0, -slopes / safe)

    at_lower = coefficients(jnp.zeros_like(lower))
    length = jnp.linalg.norm(at_lower)
    fits = jnp.isfinite(length) & (length <= radius)
    indefinite = values[0] < -noise
    inside = fits & ~indefinite
    left = jnp.sqrt(jnp.maximum(radius**2 - length**2, 0.0))
    hard = at_lower.at[0].add(jnp.where(slopes[0] > 0, -left, left))
    bound = coefficients(_multiplier(gaps, slopes, radius))
    # The root is known to a relative accuracy; the step is not to leave the ball.
    bound *= jnp.minimum(1.0, radius / jnp.linalg.norm(bound))
    chosen = jnp.where(fits, jnp.where(inside, at_lower, hard), bound)
    decrease = -(slopes @ chosen + 0.5 * values @ chosen**2)
    return Step(chosen, ~inside, decrease)


def _multiplier(
    gaps: Float[Array, " n"], slopes: Float[Array, " n"], radius: Float[Array, ""]
) -> Float[Array, ""]:
    """Root of `1/radius - 1/norm(slopes / (gaps + shift))` in `shift >= 0`."""
    info = jnp.finfo(gaps.dtype)
    accuracy = info.eps**0.5
    upper = jnp.linalg.norm(slopes) / radius

    def norms(shift: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        shifted = jnp.maximum(gaps + shift, info.tiny)
        c = slopes / shifted
        return jnp.linalg.norm(c), jnp.sum(c**2 / shifted)

    def goes_on(carry: tuple) -> Bool[Array, ""]:
        low, high, shift, count = carry
        length, _ = norms(shift)
        off = jnp.abs(length - radius) > accuracy * radius
        return off & (count < 100) & (high > low)

    def refine(carry: tuple) -> tuple:
        low, high, shift, count = carry
        length, slope = norms(shift)
        longer = length > radius
        low = jnp.where(longer, shift, low)
        high = jnp.where(longer, high, shift)
        newton = shift + (length - radius) / radius * length**2 / slope
        # The root may be many orders of magnitude below its upper bound.
        middle = jnp.where(low > 0, jnp.sqrt(low * high), 1e-3 * high)
        inside = (newton > low) & (newton < high)
        return low, high, jnp.where(inside, newton, middle), count + 1

    count = jnp.zeros((), jnp.int32)
    first = (jnp.zeros_like(upper), upper, 1e-3 * upper, count)
    return lax.while_loop(goes_on, refine, first)[2]
