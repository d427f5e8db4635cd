"""One step of any optax optimizer: a point is measured and judged, and left.

`make_step` advances one run (a `Lane`) and says what it measured (an `Entry`).
`minimize` runs one lane to its end in a compiled loop; a comparison runs many, side by
side or one after the other.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxcalc import _checks, _trees
from jaxcalc.minimization._bookkeeping import (
    carried_evaluation,
    counted_work,
    keeps_count,
    last_link,
    looks_itself,
    searched_work,
    seen_convex,
)
from jaxcalc.minimization.solution import Status, Work

# A run has stalled when this many steps in a row were too small to represent. One is
# not enough: momentum, or a shrinking trust region, may move again.
_PATIENCE = 10
# An optimizer that says itself when it has stalled may reject many steps before.
_LONG_PATIENCE = 60


class Functions(NamedTuple):
    """The functions of a problem, each taking `(params, *args)`.

    With `draw(key, step, *args) -> args` every step sees a batch of its own.
    """

    loss: Callable[..., Any]
    observe: Callable[..., Any] | None = None
    hessian_fn: Callable[..., Any] | None = None
    residual_fn: Callable[..., Any] | None = None
    draw: Callable[..., tuple[Any, ...]] | None = None


class Lane(NamedTuple):
    """One run on its way: what its next step needs, and how its last one ended."""

    params: PyTree  # the next point
    state: PyTree
    # Index of the next point, or of the last one when ended. At -1 an optimizer that
    # evaluates the start itself has not done so yet.
    steps: Int[Array, ""]
    still: Int[Array, ""]  # steps in a row that were too small to represent
    status: Int[Array, ""]
    first_value: Float[Array, ""]
    scale: Float[Array, ""]  # the largest value or gradient met, where that is asked
    evaluated: Work  # by the loop, and by optax's line searches
    point: PyTree  # the last point measured


class Entry(NamedTuple):
    """What was measured at one point."""

    value: Float[Array, "*t"]
    grad_norm: Float[Array, "*t"]
    step_norm: Float[Array, "*t"]
    work: Work | None  # None where every step costs one gradient
    observed: PyTree


Step = Callable[[Lane], tuple[Lane, Entry]]


def start_lane(
    functions: Functions,
    params: PyTree,
    optimizer: optax.GradientTransformation,
    args: tuple[Any, ...],
) -> Lane:
    """A run before its first step.

    Args:
        functions: The functions of the problem.
        params: Where it starts: a pytree of floating arrays.
        optimizer: Any optax optimizer.
        args: Data of the loss.

    Returns:
        The lane. Nothing has been evaluated yet.

    Raises:
        ValueError: Batches are drawn, and the optimizer can't do with them.
    """
    value = jax.eval_shape(functions.loss, params, *args)
    _checks.scalar_loss("loss", value)
    zero = jnp.zeros((), jnp.int32)
    state = jax.tree.map(_strong, optimizer.init(params))
    if functions.draw is not None and looks_itself(state):
        raise ValueError(
            "this optimizer keeps what it knows of the last point, and a minibatch "
            "changes the loss with every step: run it on a problem without `batches`"
        )
    return Lane(
        params=params,
        state=state,
        steps=zero - 1 if looks_itself(state) else zero,
        still=zero,
        status=zero,
        first_value=jnp.zeros((), value.dtype),
        scale=jnp.zeros((), value.dtype),
        evaluated=Work.of(),
        point=params,
    )


def make_step(
    functions: Functions,
    optimizer: optax.GradientTransformation,
    args: tuple[Any, ...],
    max_steps: int,
    tol: Float[Array, ""] | None,
    key: Any = None,
    *,
    measured: bool = True,
) -> Step:
    """The function that measures a run's next point, judges it, and steps on.

    Args:
        functions: The functions of the problem.
        optimizer: Any optax optimizer.
        args: Data of the loss.
        max_steps: Index of the last point.
        tol: Bound on the gradient's infinity norm; None for what rounding allows on
            the scale of the loss, see `jaxcalc.minimize`.
        key: What batches are drawn by, where the functions draw them.
        measured: Whether values and gradient norms are then those of all data.

    Returns:
        `step(lane) -> (lane, entry)`, for a lane that is running.
    """
    update = optax.with_extra_args_support(optimizer).update
    on_all = _extra_arguments(functions, args)

    def step(lane: Lane) -> tuple[Lane, Entry]:
        extra = on_all
        if functions.draw is not None:
            batch = functions.draw(key, lane.steps, *args)
            extra = _extra_arguments(functions, batch)
        value_and_grad = jax.value_and_grad(extra["value_fn"])
        seen, grad, evaluated = _evaluate(
            value_and_grad, lane, anew=functions.draw is not None
        )
        value, grad_norm = seen, _trees.max_abs(grad)
        if functions.draw is not None and measured:
            value, whole = jax.value_and_grad(on_all["value_fn"])(lane.params)
            grad_norm = _trees.max_abs(whole)
        first_value = jnp.where(lane.steps == 0, value, lane.first_value)
        scale = lane.scale
        if tol is None:
            highest = jnp.maximum(jnp.abs(value), grad_norm.astype(value.dtype))
            scale = jnp.where(highest > scale, highest, scale)  # not so if it is NaN
            small = _is_small(lane, value, grad_norm, scale)
        else:
            small = grad_norm <= tol
        status = _judge(lane, value, grad_norm, first_value, max_steps, small)
        running = status == Status.RUNNING

        def take() -> tuple[PyTree, PyTree]:
            updates, state = update(
                grad, lane.state, lane.params, value=seen, grad=grad, **extra
            )
            return optax.apply_updates(lane.params, updates), state

        work = None
        if is_costly(lane.state):
            work = _sum(evaluated, counted_work(lane.state))
            # One more update at the last point would be a waste.
            params, state = lax.cond(running, take, lambda: (lane.params, lane.state))
            evaluated = _sum(evaluated, searched_work(state), times=running)
        else:
            # `point` remembers where the run ended. To choose between old and new
            # parameters instead would put the judgement between one step and the next.
            params, state = take()
        step_norm, still = _movement(lane.params, params, lane.still)
        entry = Entry(
            value,
            grad_norm,
            jnp.where(running, step_norm, jnp.nan),
            work,
            functions.observe and functions.observe(lane.params, *args),
        )
        steps = lane.steps + running.astype(lane.steps.dtype)
        lane = Lane(
            params=params,
            state=state,
            steps=steps,
            still=still,
            status=status,
            first_value=first_value,
            scale=scale,
            evaluated=evaluated,
            point=lane.params,
        )
        return lane, entry

    return step


def freeze(step: Step) -> Step:
    """The same step for lanes side by side: one that has ended stays as it was.

    Only the optimizer's state goes on changing; nobody reads it any more, and to hold
    it still would cost as much as the step.

    Args:
        step: What `make_step` returned.

    Returns:
        A step whose entries are NaN, and -1 for counts, where the lane had ended.
    """

    def frozen(lane: Lane) -> tuple[Lane, Entry]:
        running = lane.status == Status.RUNNING
        new, entry = step(lane)
        kept = _trees.where(running, new._replace(state=()), lane._replace(state=()))
        entry = jax.tree.map(lambda e: jnp.where(running, e, missing(e)), entry)
        return kept._replace(state=new.state), entry

    return frozen


def _evaluate(
    value_and_grad: Callable[..., Any], lane: Lane, *, anew: bool = False
) -> tuple[Any, Any, Work]:
    """Value and gradient at the next point, from the optimizer's state if they are."""
    carried = None if anew else carried_evaluation(lane.state)
    if carried is not None and looks_itself(lane.state):
        return (*_like(carried, lane), lane.evaluated)
    if carried is None:
        value, grad = value_and_grad(lane.params)
        if not is_costly(lane.state):  # one a step, nobody needs to count
            return value, grad, lane.evaluated
        return value, grad, _sum(lane.evaluated, Work.of(gradients=1))
    known = jnp.isfinite(carried[0]) & (lane.steps > 0)

    value, grad = lax.cond(
        known, lambda: _like(carried, lane), lambda: value_and_grad(lane.params)
    )
    return value, grad, _sum(lane.evaluated, Work.of(gradients=1), times=~known)


def _like(carried: tuple[Any, Any], lane: Lane) -> tuple[Any, Any]:
    """A carried evaluation in the dtypes of the loss and of the parameters."""
    value, grad = carried
    grad = jax.tree.map(lambda g, p: g.astype(p.dtype), grad, lane.params)
    return value.astype(lane.first_value.dtype), grad


def _is_small(
    lane: Lane,
    value: Float[Array, ""],
    grad_norm: Float[Array, ""],
    scale: Float[Array, ""],
) -> Bool[Array, ""]:
    """Whether a gradient vanishes on the scale of the loss, see `jaxcalc.minimize`."""
    dtypes = (value.dtype, _trees.dtype(lane.params))
    eps = max(float(jnp.finfo(dtype).eps) for dtype in dtypes)
    small = grad_norm <= eps**0.5 * jnp.minimum(scale, 1.0)
    # Where what a change of all parameters by their own size gains would be lost in
    # rounding, there is nothing left to gain.
    count = sum(leaf.size for leaf in jax.tree.leaves(lane.params))
    size = count * jnp.maximum(_trees.max_abs(lane.params), 1.0)
    small |= grad_norm * size <= 0.5 * eps * jnp.abs(value)
    orthogonal = getattr(last_link(lane.state), "orthogonal", None)
    return small if orthogonal is None else small | orthogonal


def _judge(
    lane: Lane,
    value: Float[Array, ""],
    grad_norm: Float[Array, ""],
    first_value: Float[Array, ""],
    max_steps: int,
    small: Bool[Array, ""],
) -> Int[Array, ""]:
    """How the run stands at the point just measured."""
    eps = jnp.finfo(value.dtype).eps
    # Far below the loss's own scale: no sum of losses gets there by rounding.
    bottomless = value < -(1 + jnp.abs(first_value)) / eps**2
    flag = getattr(last_link(lane.state), "stalled", None)
    if flag is None:
        stalled = lane.still >= _PATIENCE
    else:
        stalled = flag | (lane.still >= _LONG_PATIENCE)
    status = jnp.where(lane.steps >= max_steps, Status.MAX_STEPS, Status.RUNNING)
    status = jnp.where(stalled, Status.STALLED, status)
    convex = seen_convex(lane.state)
    if convex is not None:
        # A saddle point is no success, unless there is no lower point beside it.
        small &= convex | stalled
    status = jnp.where(small, Status.CONVERGED, status)
    finite = jnp.isfinite(value) & jnp.isfinite(grad_norm)
    status = jnp.where(finite, status, Status.NONFINITE)
    status = jnp.where(bottomless, Status.UNBOUNDED, status)
    if looks_itself(lane.state):
        status = jnp.where(lane.steps < 0, Status.RUNNING, status)
    return status.astype(jnp.int32)


def _movement(
    old: PyTree, new: PyTree, still: Int[Array, ""]
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """The step's infinity norm, and how many steps in a row were within rounding."""
    moved = jax.tree.map(lambda a, b: jnp.abs(b - a), old, new)
    tiny = [
        jnp.all(d <= jnp.finfo(x.dtype).eps * jnp.abs(x))
        for d, x in zip(jax.tree.leaves(moved), jax.tree.leaves(old), strict=True)
    ]
    all_tiny = tiny[0]
    for one in tiny[1:]:
        all_tiny &= one
    return _trees.max_abs(moved), jnp.where(all_tiny, still + 1, 0)


def _extra_arguments(functions: Functions, args: tuple[Any, ...]) -> dict[str, Any]:
    """What an optimizer is passed by keyword, with the data bound."""
    given = {
        name: (lambda params, fn=fn: fn(params, *args))
        for name in ("hessian_fn", "residual_fn")
        if (fn := getattr(functions, name)) is not None
    }

    # optax's line searches hand every keyword they do not know to `value_fn`, and
    # raise if it does not take it; so it takes, and ignores, the other functions.
    def value_fn(
        params: PyTree, hessian_fn: Any = None, residual_fn: Any = None
    ) -> Any:
        del hessian_fn, residual_fn
        return jnp.asarray(functions.loss(params, *args))

    return {"value_fn": value_fn, **given}


def is_costly(state: PyTree) -> bool:
    """Whether an optimizer's steps cost more than one gradient each.

    Args:
        state: The state of an optimizer.

    Returns:
        True if it counts its own work, or searches along lines.
    """
    return keeps_count(state) or carried_evaluation(state) is not None


def _sum(total: Work, more: Work | None, times: Bool[Array, ""] | int = 1) -> Work:
    if more is None:
        return total
    return total.plus(Work(*(n * jnp.asarray(times, jnp.int32) for n in more)))


def missing(leaf: Any) -> Any:
    """What stands in a trace where nothing was measured.

    Args:
        leaf: Anything with a dtype.

    Returns:
        NaN for floating dtypes, -1 for counts.
    """
    return jnp.nan if jnp.issubdtype(leaf.dtype, jnp.inexact) else -1


def _strong(leaf: Any) -> Array:
    """The same array, strongly typed: a weak type would change with the first step."""
    leaf = jnp.asarray(leaf)
    return lax.convert_element_type(leaf, leaf.dtype)
