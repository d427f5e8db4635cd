"""What the matrix-free methods share: one trial an update, curvature as products.

One linearization of value and gradient at the trial point gives the value, the gradient
and the products, so the loss is traced once. An accepted point is planned from at once,
while its products are at hand. Close to the end that would waste the costliest plan of
all, which nobody asks for if the caller stops there: then the plan is made at the
beginning of the next update, for one more gradient.

`convex` is set by evidence only, see `MatrixFreeState`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxcalc import _trees
from jaxcalc._work import Work
from jaxcalc.curvature.products import Matvec
from jaxcalc.curvature.vectors import dot, norm, scaled, small_dtype
from jaxcalc.optimizers._operators import evaluate, given, preconditioned
from jaxcalc.optimizers._trial import Verdict, judge, negligible, require

# How far the actual decrease may be from the predicted one for the curvature to count
# as the same at both ends.
_STEADY = 0.1


class MatrixFreeState(NamedTuple):
    """What the next step needs.

    Attributes:
        value: The loss at the point it stands on.
        grad: Its gradient.
        scale: The largest value or gradient met.
        looked: Whether these are known.
        planned: Whether the next step is.
        convex: Whether a lookout from a random vector met no negative curvature, at the
            point planned from last or at one from which the model held all the way.
        steady: Whether the model held in the last step that was taken.
        stalled: Whether the last trial was rejected and within rounding.
        work: What it has evaluated.
        plan: What the method keeps.
    """

    value: Float[Array, ""]
    grad: PyTree
    scale: Float[Array, ""]
    looked: Bool[Array, ""]
    planned: Bool[Array, ""]
    convex: Bool[Array, ""]
    steady: Bool[Array, ""]
    stalled: Bool[Array, ""]
    work: Work
    plan: Any


class Trial(NamedTuple):
    """A step to be tried, the decrease that the model predicts for it, its length."""

    step: PyTree
    predicted: Float[Array, ""]
    length: Float[Array, ""]


class Outcome(NamedTuple):
    """What a trial found.

    Attributes:
        verdict: Whether it is taken.
        value: The loss where it began.
        new_value: The loss where it ended.
        new_grad: The gradient there.
    """

    verdict: Verdict
    value: Float[Array, ""]
    new_value: Float[Array, ""]
    new_grad: PyTree


class Place(NamedTuple):
    """Where a plan is made.

    Attributes:
        params: The point.
        grad: Its gradient.
        product: The product with its Hessian.
        precondition: The product with the preconditioner, or None.
        active: Whether a plan is wanted at all.
        lookout: Whether to look out for negative curvature that the gradient misses.
        seed: For a random vector.
    """

    params: PyTree
    grad: PyTree
    product: Matvec
    precondition: Matvec | None
    active: Bool[Array, ""]
    lookout: Bool[Array, ""]
    seed: Int[Array, ""]


def steepness(place: Place) -> Float[Array, ""]:
    r"""The norm of the gradient that belongs to how steps are measured.

    Args:
        place: Where.

    Returns:
        $\sqrt{g^\top M^{-1} g}$.
    """
    if place.precondition is None:
        return norm(place.grad)
    # In units of the largest entry its squares neither overflow nor vanish.
    largest = _trees.max_abs(place.grad).astype(small_dtype(place.grad))
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    grad = scaled(place.grad, 1 / unit)
    return unit * jnp.sqrt(dot(grad, place.precondition(grad)))


class Planned(NamedTuple):
    """A plan, whether negative curvature was seen, and the products it took."""

    plan: Any
    negative: Bool[Array, ""]
    products: Int[Array, ""]


class Method(NamedTuple):
    """What tells one method from the other.

    Attributes:
        name: Of the optimizer, for errors.
        init: The plan before anything is known, from parameters.
        propose: The trial that a plan holds.
        learn: The plan after a trial: if it was rejected, with another proposal.
        replan: A plan from a new point, given the old one.
        hessian_fn: The caller's curvature.
        preconditioner: The caller's preconditioner.
    """

    name: str
    init: Callable[[PyTree], Any]
    propose: Callable[[Any], Trial]
    learn: Callable[[Any, Trial, Outcome], Any]
    replan: Callable[[Any, Place], Planned]
    hessian_fn: Callable[[PyTree], Any] | None
    preconditioner: Callable[[PyTree], Matvec] | None


def optimizer(method: Method) -> optax.GradientTransformationExtraArgs:
    """The optimizer that a method describes.

    Args:
        method: The method.

    Returns:
        An optimizer that takes `value`, `grad` and `value_fn` by keyword.
    """

    def init(params: PyTree) -> MatrixFreeState:
        dtype = small_dtype(params)
        no = jnp.asarray(False)
        return MatrixFreeState(
            value=jnp.asarray(jnp.nan, dtype),
            grad=optax.tree.zeros_like(params),
            scale=jnp.zeros((), dtype),
            looked=no,
            planned=no,
            convex=no,
            steady=no,
            stalled=no,
            work=Work.of(),
            plan=method.init(params),
        )

    def update(
        updates: PyTree,
        state: Any,
        params: PyTree = None,
        *,
        value: Any = None,
        grad: PyTree = None,
        value_fn: Callable[..., Any] | None = None,
        hessian_fn: Callable[..., Any] | None = None,
        **extra_args: Any,
    ) -> tuple[PyTree, MatrixFreeState]:
        del updates, grad, extra_args
        require(method.name, params=params, value=value, value_fn=value_fn)
        assert value_fn is not None  # for the type checker
        curved = hessian_fn or method.hessian_fn

        # Without a value the caller only wants the start to be looked at.
        only_look = ~jnp.isfinite(value)

        def go(carry: tuple) -> tuple:
            _, state, _ = carry
            step, new = _round(method, state, params, value_fn, curved)
            tried = state.looked & state.planned
            return step, new, tried | (~state.looked & only_look)

        # Look, plan, try: what has been done before is left out.
        nothing = optax.tree.zeros_like(params)
        with jax.default_matmul_precision("highest"):
            step, state, _ = lax.while_loop(
                lambda carry: ~carry[2], go, (nothing, state, jnp.asarray(False))
            )
        return step, state

    return optax.GradientTransformationExtraArgs(init, update)


def _round(
    method: Method,
    state: MatrixFreeState,
    params: PyTree,
    value_fn: Callable[..., Any],
    hessian_fn: Callable[..., Any] | None,
) -> tuple[PyTree, MatrixFreeState]:
    """Look at the start, or plan from where it stands, or try what was planned."""
    # Each of them evaluates the loss once, at the end of a step that may be zero.
    trying = state.looked & state.planned
    trial = method.propose(state.plan)
    step = jax.tree.map(lambda s: jnp.where(trying, s, 0), trial.step)
    at = jax.tree.map(jnp.add, params, step)
    value, grad, product = evaluate(value_fn, at, state.value.dtype)
    verdict = judge(state.value, state.grad, value, grad, step, trial.predicted)
    arrived = verdict.accepted | ~trying
    outcome = Outcome(verdict, state.value, value, grad)
    learned = method.learn(state.plan, trial, outcome)
    learned = _trees.where(trying, learned, state.plan)

    highest = jnp.maximum(jnp.abs(value), _trees.max_abs(grad).astype(value.dtype))
    scale = jnp.where(arrived, jnp.maximum(state.scale, highest), state.scale)
    near = _is_near(value, grad, at, scale)
    # The curvature has not changed along a step whose gain was the predicted one.
    held = jnp.abs(verdict.ratio - 1) <= _STEADY
    steady = jnp.where(trying & verdict.accepted, held, state.steady)
    known = state.convex & steady
    planning = arrived & (~near | (state.looked & ~trying))
    lookout = near & ~known
    if hessian_fn is not None:
        product = given(hessian_fn, at, planning)
    place = Place(
        params=at,
        grad=grad,
        product=product,
        precondition=preconditioned(method.preconditioner, at),
        active=planning,
        lookout=lookout,
        seed=state.work.gradients,
    )
    planned = method.replan(learned, place)
    new = MatrixFreeState(
        value=jnp.where(arrived, value, state.value),
        grad=_trees.where(arrived, grad, state.grad),
        scale=scale,
        looked=jnp.asarray(True),
        planned=planning | (trying & ~verdict.accepted),
        convex=jnp.where(planning, (known | lookout) & ~planned.negative, state.convex),
        steady=steady,
        stalled=~arrived & negligible(step, params),
        work=state.work.plus(Work.of(gradients=1, hvps=planned.products)),
        plan=_trees.where(planning, planned.plan, learned),
    )
    return jax.tree.map(lambda s: jnp.where(arrived, s, 0), step), new


def _is_near(
    value: Float[Array, ""], grad: PyTree, at: PyTree, scale: Float[Array, ""]
) -> Bool[Array, ""]:
    """Whether the gradient is on its way to vanish."""
    # The fourth root of the rounding unit, where `jaxcalc.minimize` by default asks for
    # the square root: so there is evidence on curvature when that is reached.
    eps = float(jnp.finfo(_trees.dtype(at)).eps)
    slope = _trees.max_abs(grad).astype(value.dtype)
    size = jnp.maximum(_trees.max_abs(at).astype(value.dtype), 1.0)
    small = slope <= eps**0.25 * jnp.minimum(scale, 1.0)
    return small | (slope * size <= eps**0.5 * jnp.abs(value))
