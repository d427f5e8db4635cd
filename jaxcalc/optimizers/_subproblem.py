"""The trust-region and the cubic subproblem, in the eigenbasis of the Hessian."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

# How far a multiplier lets the step go, and the derivative of that.
_Reach = Callable[[Float[Array, ""]], tuple[Float[Array, ""], Float[Array, ""]]]


class Step(NamedTuple):
    """A minimizer of the model: its coefficients, and whether the bound is felt."""

    coefficients: Float[Array, " n"]
    at_boundary: Bool[Array, ""]
    decrease: Float[Array, ""]  # of the model


def solve_ball(
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
    upper = jnp.linalg.norm(slopes) / radius
    chosen, inside = _minimizer(
        values, slopes, lambda shift: (radius, jnp.zeros_like(shift)), upper
    )
    return Step(chosen, ~inside, -(slopes @ chosen + 0.5 * values @ chosen**2))


def solve_cubic(
    values: Float[Array, " n"], slopes: Float[Array, " n"], weight: Float[Array, ""]
) -> Step:
    r"""Minimize a quadratic model with a cubic penalty on the step, to the end.

    $$\min_c \tfrac12 \sum_i \lambda_i c_i^2 + \sum_i s_i c_i
      + \tfrac{\sigma}{3} \|c\|^3$$

    The minimizer is that of the ball whose radius is $\nu / \sigma$, so the multiplier
    is the root of $\sigma/\nu - 1/\|c(\nu)\|$; the hard case is that of the ball.

    Args:
        values: Eigenvalues in increasing order.
        slopes: The gradient in the eigenbasis.
        weight: The weight $\sigma$ of the penalty, positive.

    Returns:
        The minimizer.

    References:
        Cartis, Gould and Toint (2011), Adaptive cubic regularisation methods for
        unconstrained optimization, part I, section 6.1.
    """
    lower = jnp.maximum(0.0, -values[0])
    upper = jnp.sqrt(weight * jnp.linalg.norm(slopes))
    chosen, inside = _minimizer(
        values, slopes, lambda shift: ((lower + shift) / weight, 1 / weight), upper
    )
    quadratic = slopes @ chosen + 0.5 * values @ chosen**2
    penalty = weight / 3 * jnp.linalg.norm(chosen) ** 3
    return Step(chosen, ~inside, -(quadratic + penalty))


def _minimizer(
    values: Float[Array, " n"],
    slopes: Float[Array, " n"],
    reach: _Reach,
    upper: Float[Array, ""],
) -> tuple[Float[Array, " n"], Bool[Array, ""]]:
    """The minimizer within what `reach` allows, and whether that is not felt at all."""
    n, eps = len(values), jnp.finfo(values.dtype).eps
    noise = 10 * n * eps * jnp.max(jnp.abs(values))
    # The multiplier may lie so close to its lower bound that their sum can't tell them
    # apart: what is sought is the distance from the bound.
    gaps = values + jnp.maximum(0.0, -values[0])

    def coefficients(shift: Float[Array, ""]) -> Float[Array, " n"]:
        shifted = gaps + shift
        # Neither slope nor curvature: nothing is gained that way.
        level = jnp.abs(slopes) <= eps * jnp.max(jnp.abs(slopes))
        nothing = (shifted <= noise) & level
        safe = jnp.where(shifted > 0, shifted, jnp.finfo(values.dtype).tiny)
        return jnp.where(nothing, 0.0, -slopes / safe)

    zero = jnp.zeros_like(upper)
    radius = reach(zero)[0]
    at_lower = coefficients(zero)
    length = jnp.linalg.norm(at_lower)
    fits = jnp.isfinite(length) & (length <= radius)
    indefinite = values[0] < -noise
    inside = fits & ~indefinite
    left = jnp.sqrt(jnp.maximum(radius**2 - length**2, 0.0))
    hard = at_lower.at[0].add(jnp.where(slopes[0] > 0, -left, left))
    shift = _multiplier(gaps, slopes, reach, upper, fits)
    bound = coefficients(shift)
    # The root is known to a relative accuracy; the step is not to leave the ball.
    bound *= jnp.minimum(1.0, reach(shift)[0] / jnp.linalg.norm(bound))
    return jnp.where(fits, jnp.where(inside, at_lower, hard), bound), inside


def _multiplier(
    gaps: Float[Array, " n"],
    slopes: Float[Array, " n"],
    reach: _Reach,
    upper: Float[Array, ""],
    needless: Bool[Array, ""],
) -> Float[Array, ""]:
    """Root of `1/reach - 1/norm(slopes / (gaps + shift))` in `0 <= shift <= upper`."""
    info = jnp.finfo(gaps.dtype)
    accuracy = info.eps**0.5

    def measured(shift: Float[Array, ""]) -> tuple[Float[Array, ""], ...]:
        shifted = jnp.maximum(gaps + shift, info.tiny)
        c = slopes / shifted
        return jnp.linalg.norm(c), jnp.sum(c**2 / shifted), *reach(shift)

    def goes_on(carry: tuple) -> Bool[Array, ""]:
        return ~carry[3] & (carry[4] < 100) & (carry[1] > carry[0])

    def refine(carry: tuple) -> tuple:
        low, high, shift, _, count = carry
        length, slope, radius, growth = measured(shift)
        longer = length > radius
        low = jnp.where(longer, shift, low)
        high = jnp.where(longer, high, shift)
        steepness = slope / length**2 + growth * length / radius**2
        newton = shift + (length - radius) / radius / steepness
        # The root may be many orders of magnitude below its upper bound.
        middle = jnp.where(low > 0, jnp.sqrt(low * high), 1e-3 * high)
        inside = (newton > low) & (newton < high)
        found = jnp.abs(length - radius) <= accuracy * radius
        new = jnp.where(found, shift, jnp.where(inside, newton, middle))
        return low, high, new, found, count + 1

    count = jnp.zeros((), jnp.int32)
    first = (jnp.zeros_like(upper), upper, 1e-3 * upper, needless, count)
    return lax.while_loop(goes_on, refine, first)[2]
