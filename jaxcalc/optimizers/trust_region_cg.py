"""Trust-region Newton's method without a matrix, for many parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _trees
from jaxcalc.curvature.products import Matvec
from jaxcalc.curvature.vectors import dot, norm, scaled, small_dtype
from jaxcalc.optimizers import _lanczos
from jaxcalc.optimizers._krylov import (
    LOOKOUT,
    MOST_PRODUCTS,
    Descent,
    Limits,
    descend,
)
from jaxcalc.optimizers._matrix_free import (
    Method,
    Outcome,
    Place,
    Planned,
    Trial,
    optimizer,
    steepness,
)
from jaxcalc.optimizers._operators import size_of
from jaxcalc.optimizers._pace import Forcing, first_forcing, next_forcing, shortened
from jaxcalc.optimizers._subproblem import solve_ball
from jaxcalc.optimizers.trust_region import next_radius


class BallPlan(NamedTuple):
    """A step within a ball, and what shortens it.

    Attributes:
        step: The step.
        predicted: The decrease that the model predicts.
        slope: Along the step.
        length: Of the step.
        radius: Of the ball.
        forcing: What the accuracy of the next step depends on.
    """

    step: PyTree
    predicted: Float[Array, ""]
    slope: Float[Array, ""]
    length: Float[Array, ""]
    radius: Float[Array, ""]
    forcing: Forcing


def trust_region_cg(
    radius: float | None = None,
    *,
    boundary: str = "steihaug",
    forcing: float = 0.5,
    hessian_fn: Callable[[PyTree], Any] | None = None,
    preconditioner: Callable[[PyTree], Matvec] | None = None,
    max_products: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method in a ball, by products with the Hessian, for many parameters.

    $$s_k \approx \arg\min_{\|s\|_M \le \Delta_k} g_k^\top s + \tfrac12 s^\top H_k s,
      \qquad \|H_k s_k + g_k\|_{M^{-1}} \le \eta_k \|g_k\|_{M^{-1}}$$

    No matrix is formed: one linearization of the gradient serves all products of a
    step, and each costs less than two gradients. Steps grow more accurate as the
    gradient falls, $\eta_k = \min(\eta, (\|g_k\| / \max_j \|g_j\|)^{1/3})$, so the
    method converges superlinearly, of order 4/3.

    Where conjugate gradients leave the ball or meet negative curvature, `"steihaug"`
    ends at the boundary, with at least half the decrease that is possible if the model
    is convex. `"gltr"` goes on with the Lanczos process and minimizes over its whole
    subspace, which takes fewer steps of more products, and keeps up to `max_products`
    vectors.

    A rejected step costs one evaluation and no products: the next trial is a part of
    the same step, where a parabola through what is known has its minimum, or for
    `"gltr"` the minimizer of the same model in a smaller ball.

    Parameters of very different natural sizes make it slow, as they make the Hessian
    ill-conditioned: rescale them, or pass a `preconditioner`, which may be a diagonal.

    **Saddle points.** A gradient may be blind to a direction of negative curvature. As
    soon as it falls below $\varepsilon^{1/4}$ of the scale of the loss, 20 more
    products with a random vector look out for one; if there is, the step follows it.
    `convex` is set by nothing else, and holds until a step gains something else than
    the model predicted, by a tenth. Up to 20 parameters nothing but rounding hides it.
    Of $n$ parameters, a curvature below $-\epsilon \|H\|$ is missed with a probability
    of at most $1.65 \sqrt n \exp(-39 \sqrt{\epsilon / (1 + \epsilon)})$, as for a
    normal vector in exact arithmetic: for a million parameters 5% at $\epsilon = 0.08$,
    and no promise for weaker ones, where `jaxcalc.curvature` can look longer.

    Memory is about ten vectors like the parameters, and what one gradient needs; with
    `"gltr"` `max_products` and 20 vectors more, twice that with a preconditioner, and
    small eigenproblems, so it pays where products are costly. Sharded parameters stay
    as they are.

    Args:
        radius: The first radius, in the norm of the preconditioner; by default a tenth
            of the size of the start, or the step to the model's minimum along the
            gradient if that is longer.
        boundary: `"steihaug"` or `"gltr"`.
        forcing: The largest $\eta$, between 0 and 1.
        hessian_fn: `hessian_fn(params)`, where products cheaper than those of a
            linearized gradient are known, or another curvature: a function that
            multiplies a tangent, a matrix, or a tree as of `jax.hessian`. One that is
            passed to `update` goes first.
        preconditioner: `preconditioner(params)`, a function that multiplies a tangent
            by a symmetric positive definite approximation $M^{-1}$ of the inverse
            Hessian.
        max_products: Products in one step; by default twice as many as there are
            parameters and at most 500, for `"gltr"` at most 50.

    Returns:
        An optimizer that takes `value`, `grad` and `value_fn` by keyword.

    Raises:
        TypeError: `max_products` is not an integer.
        ValueError: `radius` is not positive, `forcing` not between 0 and 1, `boundary`
            unknown, or `max_products` below 1.

    References:
        Steihaug (1983), The conjugate gradient method and trust regions in large scale
        optimization. Gould, Lucidi, Roma and Toint (1999), Solving the trust-region
        subproblem using the Lanczos method. Nocedal and Yuan (1998), Combining trust
        region and line search techniques. Dembo, Eisenstat and Steihaug (1982),
        Inexact Newton methods. Kuczyński and Woźniakowski (1992), Estimating the
        largest eigenvalue by the power and Lanczos algorithms with a random start,
        theorem 4.2, for the probability.
    """
    if radius is not None:
        radius = _checks.positive_float("radius", radius)
    _checks.known("boundary", boundary, ("steihaug", "gltr"))
    forcing = first_forcing(forcing)
    if max_products is not None:
        max_products = _checks.positive_int("max_products", max_products)
    if boundary == "gltr":
        return optimizer(
            _lanczos.method(
                name="trust_region_cg",
                solve=solve_ball,
                first=lambda length, _: length,
                adapt=lambda bound, verdict, length, _: next_radius(
                    bound, verdict, length
                ),
                bound=radius,
                forcing=forcing,
                most=max_products,
                hessian_fn=hessian_fn,
                preconditioner=preconditioner,
            )
        )

    def init(params: PyTree) -> BallPlan:
        dtype = small_dtype(params)
        zero = jnp.zeros((), dtype)
        return BallPlan(
            step=optax.tree.zeros_like(params),
            predicted=zero,
            slope=zero,
            length=zero,
            radius=jnp.asarray(jnp.nan if radius is None else radius, dtype),
            forcing=Forcing.start(forcing, dtype),
        )

    def replan(plan: BallPlan, place: Place) -> Planned:
        n = size_of(place.params)
        slope = steepness(place)
        rate = next_forcing(plan.forcing, slope)
        most = max_products or min(2 * n, MOST_PRODUCTS)
        found = descend(
            place.product,
            place.grad,
            place.precondition,
            Limits(plan.radius, rate.now, most),
            norm(place.params),
            (place.lookout, min(n, LOOKOUT), place.seed),
            place.active,
        )
        chosen = _chosen(found, place, rate)
        return Planned(chosen, found.negative, found.products)

    return optimizer(
        Method(
            name="trust_region_cg",
            init=init,
            propose=lambda plan: Trial(plan.step, plan.predicted, plan.length),
            learn=_learn,
            replan=replan,
            hessian_fn=hessian_fn,
            preconditioner=preconditioner,
        )
    )


def _chosen(found: Descent, place: Place, forcing: Forcing) -> BallPlan:
    """The step of conjugate gradients, or what the lookout found if that is better."""
    # Without a gradient there was no step to take a first radius from.
    size = norm(place.params)
    first = jnp.where(size > 0, 0.1 * size, 1.0) * found.span / norm(found.direction)
    radius = jnp.where(jnp.isnan(found.radius), first, found.radius)
    along = dot(place.grad, found.direction)
    scale = jnp.where(along > 0, -radius, radius) / found.span
    predicted = -(scale * along + 0.5 * scale**2 * found.curvature * found.span**2)
    # Conjugate gradients that met negative curvature have followed it already.
    better = found.negative & ~found.bounded & (predicted > found.decrease)
    step = _trees.where(better, scaled(found.direction, scale), found.step)
    return BallPlan(
        step=step,
        predicted=jnp.where(better, predicted, found.decrease),
        slope=dot(place.grad, step),
        length=jnp.where(better, radius, found.length),
        radius=jnp.where(found.negative, radius, found.radius),
        forcing=forcing,
    )


def _learn(plan: BallPlan, trial: Trial, outcome: Outcome) -> BallPlan:
    """Adapt the radius; after a rejection, shorten the step."""
    accepted = outcome.verdict.accepted
    radius = next_radius(plan.radius, outcome.verdict, trial.length)
    rise = outcome.new_value - outcome.value
    shorter = shortened(plan.slope, rise, outcome.verdict)
    factor = jnp.where(accepted, 1.0, shorter)
    half_curvature = -(plan.predicted + plan.slope)
    length = factor * plan.length
    radius = jnp.where(accepted, radius, length)
    return plan._replace(
        step=scaled(plan.step, factor),
        predicted=-(factor * plan.slope + factor**2 * half_curvature),
        slope=factor * plan.slope,
        length=length,
        radius=jnp.where(plan.length > 0, radius, plan.radius),
    )
