r"""What Gauss-Newton and Levenberg-Marquardt share: one trial an update.

A trial evaluates the residual. Only if that does not rule it out are the loss, its
gradient and the Jacobian evaluated: the loss's own, so that nothing is taken for a
minimum that is not its. Where its gradient is not that of $c \|r\|^2$ the Jacobian is
not used at all. The loss and the residual are each traced once.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _trees
from jaxcalc._work import Work
from jaxcalc.curvature import as_matrix
from jaxcalc.optimizers._damping import Hold, Proposal
from jaxcalc.optimizers._fitted_model import (
    Functions,
    LeastSquaresState,
    Method,
    Point,
    plan,
    reach,
)
from jaxcalc.optimizers._geodesic import accelerated, correction
from jaxcalc.optimizers._residuals import flat_residual
from jaxcalc.optimizers._trial import ACCEPTABLE, Verdict, judge, negligible, require


def optimizer(method: Method) -> optax.GradientTransformationExtraArgs:
    """The optimizer that a method describes.

    Args:
        method: The method.

    Returns:
        An optimizer that takes `value`, `grad`, `value_fn` and `residual_fn` by
        keyword.
    """

    def update(
        updates: PyTree,
        state: Any,
        params: PyTree = None,
        *,
        value: Any = None,
        grad: PyTree = None,
        value_fn: Callable[..., Any] | None = None,
        residual_fn: Callable[..., Any] | None = None,
        hessian_fn: Callable[..., Any] | None = None,
        **extra_args: Any,
    ) -> tuple[PyTree, LeastSquaresState]:
        del updates, grad, extra_args
        residual_fn = residual_fn or method.residual_fn
        curved = None
        if method.least and residual_fn is None:
            curved = hessian_fn or method.hessian_fn
        given = {} if curved else {"residual_fn": residual_fn}
        require(method.name, params=params, value=value, value_fn=value_fn, **given)
        flat, unravel = ravel_pytree(params)
        functions = _of_vectors(value_fn, residual_fn, curved, params)

        def trial(carry: tuple) -> tuple:
            _, state, count = carry
            step, state = _try(method, state, flat, unravel, functions)
            return step, state, count - 1

        # Without a value the caller only wants the start to be looked at.
        count = jnp.where(state.looked | ~jnp.isfinite(value), 1, 2)
        with jax.default_matmul_precision("highest"):
            step, state, _ = lax.while_loop(
                lambda carry: carry[2] > 0, trial, (jnp.zeros_like(flat), state, count)
            )
        return unravel(step), state

    def init(params: PyTree) -> LeastSquaresState:
        return _start(method, params)

    return optax.GradientTransformationExtraArgs(init, update)


def _start(method: Method, params: PyTree) -> LeastSquaresState:
    flat, _ = ravel_pytree(params)
    n, dtype = flat.size, flat.dtype
    no, unknown = jnp.asarray(False), jnp.asarray(jnp.nan, dtype)
    bound = jnp.nan if method.bound is None else method.bound
    return LeastSquaresState(
        value=unknown,
        grad=optax.tree.zeros_like(params),
        squares=unknown,
        weight=unknown,
        highest=jnp.zeros((), dtype),
        hold=Hold(jnp.asarray(bound, dtype), jnp.asarray(2.0, dtype)),
        scales=jnp.zeros(n, dtype),
        metric=jnp.ones(n, dtype),
        eigenvalues=jnp.zeros(n, dtype),
        eigenvectors=jnp.zeros((n, n), dtype),
        slopes=jnp.zeros(n, dtype),
        looked=no,
        exact=no,
        examined=no,
        useless=no,
        due=no,
        convex=no,
        matched=jnp.asarray(True),
        orthogonal=no,
        offset=unknown,
        stalled=no,
        work=Work.of(),
    )


def _of_vectors(
    value_fn: Any, residual_fn: Any, hessian_fn: Any, params: PyTree
) -> Functions:
    flat, unravel = ravel_pytree(params)
    residual = None
    if residual_fn is not None:
        residual = flat_residual(residual_fn, unravel, flat.dtype)

    def curvature(x: Array) -> Array:
        return as_matrix(hessian_fn(unravel(x)), params)

    def loss(x: Array) -> tuple[Array, Array]:
        value, grad = jax.value_and_grad(lambda x: value_fn(unravel(x)))(x)
        return jnp.asarray(value, flat.dtype), grad

    return Functions(loss, residual, hessian_fn and curvature)


def _try(
    method: Method,
    state: LeastSquaresState,
    flat: Float[Array, " n"],
    unravel: Callable[[Array], PyTree],
    functions: Functions,
) -> tuple[Float[Array, " n"], LeastSquaresState]:
    """Take the model's step or stay, with a new bound; or look at where it stands."""
    looks = ~state.looked | state.due
    proposal = method.damping.solve(
        state.eigenvalues, state.slopes, state.hold.bound, reach(state, flat)
    )
    length = jnp.linalg.norm(proposal.coefficients)
    coefficients = _bent(method, state, flat, functions, proposal)
    step = (state.eigenvectors @ coefficients) / state.metric
    step = jnp.where(looks, 0.0, step)
    at = flat + step
    gradient, _ = ravel_pytree(state.grad)

    residual, push, squares = flat[:0], None, state.squares
    gained, hope = jnp.zeros_like(state.value), jnp.asarray(True)
    if functions.residual is not None:
        residual, push = jax.linearize(functions.residual, at)
        squares = residual @ residual
        gained = 0.5 * state.weight * (state.squares - squares)
        # What the residual rules out is not evaluated any further.
        level = jnp.finfo(flat.dtype).eps ** (2 / 3) * jnp.abs(state.value)
        hope = (gained >= ACCEPTABLE * proposal.decrease) | (jnp.abs(gained) <= level)
        hope = (hope & jnp.isfinite(squares)) | ~state.matched
    poor = Verdict(
        jnp.where(jnp.isfinite(squares), gained / proposal.decrease, -1.0),
        jnp.asarray(False),
        jnp.isfinite(squares),
    )
    waits = state._replace(stalled=jnp.asarray(False))

    def evaluate() -> tuple[LeastSquaresState, Verdict]:
        (value, grad), curve = jax.linearize(functions.loss, at)
        verdict = judge(state.value, gradient, value, grad, step, proposal.decrease)
        verdict = verdict._replace(accepted=verdict.accepted | looks)
        work = state.work.plus(Work.of(gradients=1))
        counted = waits._replace(work=work)
        moved = counted._replace(
            value=value, grad=unravel(grad), squares=squares, looked=jnp.asarray(True)
        )
        point = Point(at, residual, push, grad, curve, verdict.ratio)
        planned = lax.cond(
            verdict.accepted,
            lambda: plan(method, state, moved, point, functions),
            lambda: counted,
        )
        return planned, verdict

    state_after, verdict = lax.cond(looks | hope, evaluate, lambda: (waits, poor))
    accepted = verdict.accepted
    hold = method.damping.adapt(state.hold, verdict, proposal, length)
    hold = _trees.where(looks | (length == 0), state_after.hold, hold)
    over = ~accepted & negligible(step, flat)
    residuals = int(functions.residual is not None)
    state_after = state_after._replace(
        hold=hold,
        stalled=over & state.examined,
        due=over & ~state.examined,
        work=state_after.work.plus(Work.of(residuals=residuals)),
    )
    return jnp.where(accepted, step, 0.0), state_after


def _bent(
    method: Method,
    state: LeastSquaresState,
    flat: Float[Array, " n"],
    functions: Functions,
    proposal: Proposal,
) -> Float[Array, " n"]:
    """The step, corrected if that is asked for."""
    straight = proposal.coefficients
    if method.bend is None or functions.residual is None:
        return straight
    step = (state.eigenvectors @ straight) / state.metric
    pulled = correction(functions.residual, flat, step) / state.metric
    pulled = state.weight * (pulled @ state.eigenvectors)
    square = straight @ straight
    multiplier = -(proposal.slope + state.eigenvalues @ straight**2)
    multiplier = jnp.maximum(multiplier, 0.0) / jnp.where(square > 0, square, 1.0)
    bent = accelerated(pulled, state.eigenvalues, straight, multiplier, method.bend)
    # The Hessian has the curvature of the residual in it already.
    return jnp.where(state.exact | ~state.matched, straight, bent)


def checked_cosine(cosine: Any) -> float | None:
    """Return a cosine between 0 and 1, or None.

    Args:
        cosine: What the caller passed.

    Returns:
        The number.

    Raises:
        ValueError: It is not between 0 and 1.
    """
    if cosine is None:
        return None
    number = _checks.positive_float("cosine", cosine)
    if number >= 1:
        raise ValueError(f"`cosine` must be between 0 and 1, got {cosine!r}")
    return number
