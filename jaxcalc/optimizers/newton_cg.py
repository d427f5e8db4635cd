"""Newton's method by conjugate gradients and a line search, for many parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _trees
from jaxcalc.curvature.products import Matvec
from jaxcalc.curvature.vectors import dot, norm, scaled, small_dtype
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

# The complexity is of the same order for any factor here. Softmax regression on digits
# takes 97 products without damping, 104 with this, and 117 with three times as much.
_DAMPING = 0.1


class LinePlan(NamedTuple):
    """A direction, and how far to go.

    Attributes:
        direction: The direction, as long as the first trial.
        factor: The part of it that is tried next.
        slope: Of the loss along it.
        curvature: Of the loss along it.
        length: Of the direction.
        sharpness: How fast the curvature changes along the last step.
        forcing: What the accuracy of the next step depends on.
    """

    direction: PyTree
    factor: Float[Array, ""]
    slope: Float[Array, ""]
    curvature: Float[Array, ""]
    length: Float[Array, ""]
    sharpness: Float[Array, ""]
    forcing: Forcing


def newton_cg(
    *,
    forcing: float = 0.5,
    hessian_fn: Callable[[PyTree], Any] | None = None,
    preconditioner: Callable[[PyTree], Matvec] | None = None,
    max_products: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method by products with the Hessian, a line search, negative curvature.

    $$(H_k + 2 \epsilon_k M) d_k \approx -g_k, \qquad
      \epsilon_k = \tfrac{1}{10} \sqrt{L_k \|g_k\|}, \qquad x_{k+1} = x_k + t_k d_k$$

    Conjugate gradients solve the damped system, unless they meet a direction with
    $d^\top (H_k + 2 \epsilon_k M) d \le \epsilon_k \|d\|_M^2$: that one is then
    followed downhill, as far as $|d^\top H_k d| / (L_k \|d\|^2)$ and no further than
    the parameters are long. $L_k$, how fast the curvature changes, is what the slopes
    at both ends of the last step say it was. The step is shortened until it gains a
    ten-thousandth of what the model predicts, one trial an update; a rejected trial is
    a zero update, costs no products, and the next one goes to the minimum of the
    parabola through what is known.

    With its bound on the curvature and known constants the method needs
    $O(\epsilon_g^{-3/2})$ steps to a point where the gradient is $\epsilon_g$ and no
    curvature is below $-\sqrt{\epsilon_g}$, with high probability. What this
    implementation does otherwise: the constants are measured, not given; the trials are
    judged by the decrease of the model, not by $\|t d\|^3$; the decrease of the
    residual is not watched for being slower than a convex model's, but the number of
    products is limited.

    Accuracy $\eta_k$, products, preconditioner, parameters of different sizes and the
    lookout at saddle points, with what it may miss, are those of `trust_region_cg`.

    Memory is about ten vectors like the parameters, and what one gradient needs.
    Sharded parameters stay as they are.

    Args:
        forcing: The largest residual of a step, relative to the gradient, between 0
            and 1.
        hessian_fn: See `trust_region_cg`.
        preconditioner: See `trust_region_cg`.
        max_products: Products in one step; by default twice as many as there are
            parameters and at most 500.

    Returns:
        An optimizer that takes `value`, `grad` and `value_fn` by keyword.

    Raises:
        TypeError: `max_products` is not an integer.
        ValueError: `forcing` is not between 0 and 1, or `max_products` below 1.

    References:
        Royer, O'Neill and Wright (2020), A Newton-CG algorithm with complexity
        guarantees for smooth unconstrained optimization, Mathematical Programming 180.
        Dembo and Steihaug (1983), Truncated-Newton algorithms for large-scale
        unconstrained optimization.
    """
    forcing = first_forcing(forcing)
    if max_products is not None:
        max_products = _checks.positive_int("max_products", max_products)

    def init(params: PyTree) -> LinePlan:
        dtype = small_dtype(params)
        zero = jnp.zeros((), dtype)
        return LinePlan(
            direction=optax.tree.zeros_like(params),
            factor=zero,
            slope=zero,
            curvature=zero,
            length=zero,
            sharpness=zero,
            forcing=Forcing.start(forcing, dtype),
        )

    def replan(plan: LinePlan, place: Place) -> Planned:
        n = size_of(place.params)
        slope = steepness(place)
        rate = next_forcing(plan.forcing, slope)
        bend = _DAMPING * jnp.sqrt(plan.sharpness * slope)
        found = descend(
            place.product,
            place.grad,
            place.precondition,
            Limits(
                radius=jnp.full_like(bend, jnp.inf),
                tolerance=rate.now,
                products=max_products or min(2 * n, MOST_PRODUCTS),
                damping=2 * bend,
                least=bend,
            ),
            norm(place.params),
            (place.lookout, min(n, LOOKOUT), place.seed),
            place.active,
        )
        chosen = _chosen(found, place, plan.sharpness, 2 * bend, rate)
        return Planned(chosen, found.negative, found.products)

    return optimizer(
        Method(
            name="newton_cg",
            init=init,
            propose=_propose,
            learn=_learn,
            replan=replan,
            hessian_fn=hessian_fn,
            preconditioner=preconditioner,
        )
    )


def _chosen(
    found: Descent,
    place: Place,
    sharpness: Float[Array, ""],
    damping: Float[Array, ""],
    forcing: Forcing,
) -> LinePlan:
    """The solution of the damped system, or a direction of negative curvature."""
    slope = dot(place.grad, found.step)
    # The model's decrease is -(slope + curvature / 2), with the damping.
    damped = -2 * (found.decrease + slope)
    curvature = damped - damping * found.length**2
    along = dot(place.grad, found.direction)
    bent = jnp.abs(found.curvature)
    unit = found.span / norm(found.direction)
    size = norm(place.params) * unit
    usual = jnp.maximum(size, jnp.abs(along) / (found.span * bent))
    usual = jnp.where((usual > 0) & jnp.isfinite(usual), usual, unit)
    # Without curvature, or any change of it, only the size of the parameters says how
    # far to go.
    bounded = (bent > 0) & (sharpness > 0)
    most = jnp.where(bounded, bent / jnp.where(bounded, sharpness, 1), usual)
    length = jnp.minimum(most, usual)
    scale = jnp.where(along > 0, -length, length) / found.span
    other = found.curvature * length**2
    # What the lookout found competes with the step; what stopped it has replaced it.
    better = scale * along + 0.5 * other < slope + 0.5 * curvature
    follow = found.weak | (found.negative & better)
    step = scaled(found.direction, scale)
    return LinePlan(
        direction=_trees.where(follow, step, found.step),
        factor=jnp.ones_like(slope),
        slope=jnp.where(follow, scale * along, slope),
        curvature=jnp.where(follow, other, curvature),
        length=jnp.where(follow, length, found.length),
        sharpness=sharpness,
        forcing=forcing,
    )


def _propose(plan: LinePlan) -> Trial:
    t = plan.factor
    predicted = -(t * plan.slope + 0.5 * t**2 * plan.curvature)
    return Trial(scaled(plan.direction, t), predicted, t * plan.length)


def _learn(plan: LinePlan, trial: Trial, outcome: Outcome) -> LinePlan:
    """See how the curvature changed; after a rejection, shorten the step."""
    del trial
    verdict, t = outcome.verdict, plan.factor
    changed = dot(plan.direction, outcome.new_grad) - plan.slope - t * plan.curvature
    sharpness = 2 * jnp.abs(changed) / (t**2 * plan.length**3)
    # A rejected step led to where the curvature is another one.
    learned = verdict.accepted & jnp.isfinite(sharpness)
    rise = outcome.new_value - outcome.value
    shorter = t * shortened(t * plan.slope, rise, verdict)
    return plan._replace(
        factor=jnp.where(verdict.accepted, t, shorter),
        sharpness=jnp.where(learned, sharpness, plan.sharpness),
    )
