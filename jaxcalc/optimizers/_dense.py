"""What the trust region and cubic regularization share: a model with a dense Hessian.

The state holds the evaluation, and the eigendecomposition of the scaled Hessian, of the
point it stands on. One linearization of the gradient gives the value, the gradient and
the Hessian's columns at a trial point, so that the loss is traced once. Before the
first step the optimizer looks at the start in the same way: a trial of length zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc import _trees
from jaxcalc._work import Work
from jaxcalc.curvature import as_matrix
from jaxcalc.optimizers._eigen import eigh
from jaxcalc.optimizers._subproblem import Step
from jaxcalc.optimizers._trial import Verdict, judge, negligible, require


class DenseState(NamedTuple):
    """What the next step needs.

    Attributes:
        value: The loss at the point it stands on.
        grad: Its gradient.
        bound: What holds steps back: a radius, or the weight of a penalty.
        scales: The natural size of each parameter, inverted.
        eigenvalues: Of the scaled Hessian.
        eigenvectors: Of the scaled Hessian, as columns.
        looked: Whether all this is known.
        convex: Whether no eigenvalue is negative beyond rounding.
        stalled: Whether the last trial was rejected and within rounding.
        work: What it has evaluated.
    """

    value: Float[Array, ""]
    grad: PyTree
    bound: Float[Array, ""]
    scales: Float[Array, " n"]
    eigenvalues: Float[Array, " n"]
    eigenvectors: Float[Array, "n n"]
    looked: Bool[Array, ""]
    convex: Bool[Array, ""]
    stalled: Bool[Array, ""]
    work: Work


class Method(NamedTuple):
    """What tells one method from the other.

    Attributes:
        name: Of the optimizer, for errors.
        solve: Minimizer of the model, from eigenvalues, slopes and bound.
        first: The first bound, from the length of a first step and the gradient's norm.
        adapt: The next bound, from this one, the verdict, the length of the step and
            the decrease that was predicted.
        bound: The first bound, where the caller chose one.
        hessian_fn: The caller's Hessian.
        scaled: Whether to scale the parameters.
    """

    name: str
    solve: Callable[[Array, Array, Array], Step]
    first: Callable[[Array, Array], Array]
    adapt: Callable[[Array, Verdict, Array, Array], Array]
    bound: float | None
    hessian_fn: Callable[[PyTree], Any] | None
    scaled: bool


def optimizer(method: Method) -> optax.GradientTransformationExtraArgs:
    """The optimizer that a method describes.

    Args:
        method: The method.

    Returns:
        An optimizer that takes `value`, `grad` and `value_fn` by keyword.
    """

    def init(params: PyTree) -> DenseState:
        flat, _ = ravel_pytree(params)
        n, dtype = flat.size, flat.dtype
        bound = jnp.nan if method.bound is None else method.bound
        return DenseState(
            value=jnp.asarray(jnp.nan, dtype),
            grad=optax.tree.zeros_like(params),
            bound=jnp.asarray(bound, dtype),
            scales=jnp.zeros(n, dtype) if method.scaled else jnp.ones(n, dtype),
            eigenvalues=jnp.zeros(n, dtype),
            eigenvectors=jnp.zeros((n, n), dtype),
            looked=jnp.asarray(False),
            convex=jnp.asarray(False),
            stalled=jnp.asarray(False),
            work=Work.of(),
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
    ) -> tuple[PyTree, DenseState]:
        del updates, grad, extra_args
        require(method.name, params=params, value=value, value_fn=value_fn)
        assert value_fn is not None  # for the type checker
        curved = hessian_fn or method.hessian_fn
        _, unravel = ravel_pytree(params)

        def trial(carry: tuple) -> tuple:
            _, state, count = carry
            step, state = _try(method, state, params, value_fn, curved)
            return step, state, count - 1

        # Without a value the caller only wants the start to be looked at.
        count = jnp.where(state.looked | ~jnp.isfinite(value), 1, 2)
        nothing = jnp.zeros_like(state.scales)
        with jax.default_matmul_precision("highest"):
            step, state, _ = lax.while_loop(
                lambda carry: carry[2] > 0, trial, (nothing, state, count)
            )
        return unravel(step), state

    return optax.GradientTransformationExtraArgs(init, update)


def _try(
    method: Method,
    state: DenseState,
    params: PyTree,
    value_fn: Callable[..., Any],
    hessian_fn: Callable[..., Any] | None,
) -> tuple[Float[Array, " n"], DenseState]:
    """Take the model's minimizer or stay, with a new bound; or look at the start."""
    flat, unravel = ravel_pytree(params)
    gradient, _ = ravel_pytree(state.grad)
    slopes = (gradient / state.scales) @ state.eigenvectors
    model = method.solve(state.eigenvalues, slopes, state.bound)
    length = jnp.linalg.norm(model.coefficients)
    step = (state.eigenvectors @ model.coefficients) / state.scales
    step = jnp.where(state.looked, step, 0.0)

    def evaluate(x: Array) -> tuple[Array, Array]:
        value, grad = jax.value_and_grad(lambda x: value_fn(unravel(x)))(x)
        return jnp.asarray(value, flat.dtype), grad

    at = flat + step
    (new_value, new_gradient), push = jax.linearize(evaluate, at)
    verdict = judge(
        state.value, gradient, new_value, new_gradient, step, model.decrease
    )
    accepted = verdict.accepted | ~state.looked
    bound = method.adapt(state.bound, verdict, length, model.decrease)
    bound = jnp.where(state.looked & (length > 0), bound, state.bound)
    moved = state._replace(
        value=jnp.where(accepted, new_value, state.value),
        grad=_trees.where(accepted, unravel(new_gradient), state.grad),
        bound=bound,
        looked=jnp.asarray(True),
        stalled=~accepted & negligible(step, flat),
        work=state.work.plus(Work.of(gradients=1)),
    )

    def decompose() -> DenseState:
        if hessian_fn is None:
            identity = jnp.eye(flat.size, dtype=flat.dtype)
            hessian = jax.vmap(lambda v: push(v)[1])(identity)
        else:
            hessian = as_matrix(hessian_fn(unravel(at)), params)
        return _decomposed(method, moved, hessian, at, new_gradient)

    return jnp.where(accepted, step, 0.0), lax.cond(accepted, decompose, lambda: moved)


def _decomposed(
    method: Method,
    state: DenseState,
    hessian: Float[Array, "n n"],
    at: Float[Array, " n"],
    gradient: Float[Array, " n"],
) -> DenseState:
    """The state with the eigendecomposition of the scaled Hessian."""
    hessian = (hessian + hessian.T) / 2
    finite = jnp.all(jnp.isfinite(hessian))
    # eigh of a matrix that is not finite may not return at all. Without curvature the
    # model is the slope alone.
    hessian = jnp.where(finite, hessian, 0.0)
    scales = _grown(state.scales, hessian) if method.scaled else state.scales
    values, vectors = eigh(hessian / scales[:, None] / scales)
    n, eps = at.size, jnp.finfo(at.dtype).eps
    convex = values[0] >= -10 * n * eps * jnp.max(jnp.abs(values))
    # A first step that is too long may end in another valley; one that is too short
    # costs a few steps. Both sizes are in units of the square root of the loss.
    slope = jnp.linalg.norm(gradient / scales)
    start = 0.1 * jnp.maximum(jnp.linalg.norm(scales * at), slope)
    first = method.first(jnp.where(start > 0, start, 1.0), slope)
    return state._replace(
        bound=jnp.where(jnp.isnan(state.bound), first, state.bound),
        scales=scales,
        eigenvalues=values,
        eigenvectors=vectors,
        convex=convex & finite,
        work=state.work.plus(Work.of(hessians=1)),
    )


def _grown(scales: Float[Array, " n"], hessian: Float[Array, "n n"]) -> Array:
    """Scales that never shrink, and are 1 or the largest where nothing is known."""
    scales = jnp.maximum(scales, jnp.sqrt(jnp.abs(jnp.diagonal(hessian))))
    largest = jnp.max(scales)
    usual = jnp.where(largest > 0, largest, 1.0)
    return jnp.where(scales > usual * jnp.finfo(scales.dtype).eps, scales, usual)
