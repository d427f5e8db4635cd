"""What the trust region and cubic regularization share: a model with a dense Hessian.

The state holds the evaluation of the point it stands on, and its model: the Newton step
where that is the minimizer, which a Cholesky factorization tells at a tenth of the
cost, else the eigendecomposition of the scaled Hessian. One linearization of the
gradient gives the value, the gradient and the Hessian's columns at a trial point, so
that the loss is traced once. Before the first step the optimizer looks at the start in
the same way: a trial of length zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc import _trees
from jaxcalc._work import Work
from jaxcalc.curvature import as_matrix
from jaxcalc.optimizers._subproblem import Step
from jaxcalc.optimizers._symmetric import eigh, factored
from jaxcalc.optimizers._trial import Verdict, judge, negligible, require


class Model(NamedTuple):
    """The curvature at a point, in parameters that are scaled to natural sizes.

    Attributes:
        scales: The natural size of each parameter, inverted.
        inside: Whether the Newton step is the model's minimizer.
        newton: The Newton step, where it is.
        eigenvalues: Of the Hessian, where it is not.
        matrix: The Hessian where it is, else its eigenvectors as columns.
        convex: Whether no eigenvalue is negative beyond rounding.
    """

    scales: Float[Array, " n"]
    inside: Bool[Array, ""]
    newton: Float[Array, " n"]
    eigenvalues: Float[Array, " n"]
    matrix: Float[Array, "n n"]
    convex: Bool[Array, ""]


class DenseState(NamedTuple):
    """What the next step needs.

    Attributes:
        value: The loss at the point it stands on.
        grad: Its gradient.
        bound: What holds steps back: a radius, or the weight of a penalty.
        model: The curvature there.
        looked: Whether all this is known.
        stalled: Whether the last trial was rejected and within rounding.
        work: What it has evaluated.
    """

    value: Float[Array, ""]
    grad: PyTree
    bound: Float[Array, ""]
    model: Model
    looked: Bool[Array, ""]
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
        newton: Whether the Newton step is the model's minimizer wherever the bound, a
            radius, allows it.
    """

    name: str
    solve: Callable[[Array, Array, Array], Step]
    first: Callable[[Array, Array], Array]
    adapt: Callable[[Array, Verdict, Array, Array], Array]
    bound: float | None
    hessian_fn: Callable[[PyTree], Any] | None
    scaled: bool
    newton: bool


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
            model=Model(
                scales=jnp.zeros(n, dtype) if method.scaled else jnp.ones(n, dtype),
                inside=jnp.asarray(False),
                newton=jnp.zeros(n, dtype),
                eigenvalues=jnp.zeros(n, dtype),
                matrix=jnp.zeros((n, n), dtype),
                convex=jnp.asarray(False),
            ),
            looked=jnp.asarray(False),
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
        nothing = jnp.zeros_like(state.model.scales)
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
    step, decrease = _proposed(method, state, gradient)
    length = jnp.linalg.norm(step)
    step = step / state.model.scales
    step = jnp.where(state.looked, step, 0.0)

    def evaluate(x: Array) -> tuple[Array, Array]:
        value, grad = jax.value_and_grad(lambda x: value_fn(unravel(x)))(x)
        return jnp.asarray(value, flat.dtype), grad

    at = flat + step
    (new_value, new_gradient), push = jax.linearize(evaluate, at)
    verdict = judge(state.value, gradient, new_value, new_gradient, step, decrease)
    accepted = verdict.accepted | ~state.looked
    bound = method.adapt(state.bound, verdict, length, decrease)
    bound = jnp.where(state.looked & (length > 0), bound, state.bound)

    def look() -> tuple[Model, Array]:
        if hessian_fn is None:
            identity = jnp.eye(flat.size, dtype=flat.dtype)
            hessian = jax.vmap(lambda v: push(v)[1])(identity)
        else:
            hessian = as_matrix(hessian_fn(unravel(at)), params)
        model = _look(method, state.model.scales, hessian, new_gradient)
        # A first step that is too long may end in another valley; one that is too short
        # costs a few steps. Both sizes are in units of the square root of the loss.
        slope = jnp.linalg.norm(new_gradient / model.scales)
        start = 0.1 * jnp.maximum(jnp.linalg.norm(model.scales * at), slope)
        first = method.first(jnp.where(start > 0, start, 1.0), slope)
        return model, jnp.where(jnp.isnan(bound), first, bound)

    # What does not change is not handed through: every array that is costs a copy.
    model, bound = lax.cond(accepted, look, lambda: (state.model, bound))
    if _tries_newton(method, flat):
        # A Newton step that failed does not fit the smaller radius.
        fits = model.inside & (jnp.linalg.norm(model.newton) <= bound)
        known = fits | ~(accepted | state.model.inside)
        model = lax.cond(known, lambda: model, lambda: _decomposed(model, known))
    return jnp.where(accepted, step, 0.0), DenseState(
        value=jnp.where(accepted, new_value, state.value),
        grad=_trees.where(accepted, unravel(new_gradient), state.grad),
        bound=bound,
        model=model,
        looked=jnp.asarray(True),
        stalled=~accepted & negligible(step, flat),
        work=state.work.plus(Work.of(gradients=1, hessians=accepted)),
    )


def _tries_newton(method: Method, flat: Float[Array, " n"]) -> bool:
    """Whether a factorization is tried before an eigendecomposition."""
    return method.newton and flat.size > 2  # up to two, eigenvalues cost nothing


def _proposed(
    method: Method, state: DenseState, gradient: Float[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """The minimizer of the model, in scaled parameters, and the model's decrease."""
    model = state.model
    scaled = gradient / model.scales

    def minimized() -> tuple[Array, Array]:
        step = method.solve(model.eigenvalues, scaled @ model.matrix, state.bound)
        return model.matrix @ step.coefficients, step.decrease

    if not _tries_newton(method, gradient):
        return minimized()
    newton = (model.newton, -0.5 * scaled @ model.newton)
    return lax.cond(model.inside, lambda: newton, minimized)


def _look(
    method: Method,
    scales: Float[Array, " n"],
    hessian: Float[Array, "n n"],
    gradient: Float[Array, " n"],
) -> Model:
    """The model of a new point, from the scales so far."""
    hessian = (hessian + hessian.T) / 2
    finite = jnp.all(jnp.isfinite(hessian))
    # eigh of a matrix that is not finite may not return at all. Without curvature the
    # model is the slope alone.
    hessian = jnp.where(finite, hessian, 0.0)
    scales = _grown(scales, hessian) if method.scaled else scales
    nothing = jnp.zeros_like(scales)
    model = Model(
        scales=scales,
        inside=jnp.asarray(False),
        newton=nothing,
        eigenvalues=nothing,
        matrix=hessian / scales[:, None] / scales,
        convex=finite,
    )
    if not _tries_newton(method, gradient):
        return _decomposed(model)
    factor, pivot = factored(model.matrix)
    newton = -cho_solve((factor, True), gradient / scales)
    definite = pivot > _noise(jnp.diagonal(model.matrix))
    return model._replace(inside=definite, newton=jnp.where(definite, newton, 0.0))


def _decomposed(model: Model, needless: Bool[Array, ""] | bool = False) -> Model:
    """The model with the eigendecomposition of the Hessian that it holds."""
    # In a batch all lanes come here, and that of the identity takes a sixth.
    identity = jnp.eye(*model.matrix.shape, dtype=model.matrix.dtype)
    values, vectors = eigh(jnp.where(needless, identity, model.matrix))
    return model._replace(
        inside=jnp.asarray(False),
        eigenvalues=values,
        matrix=vectors,
        convex=model.convex & (values[0] >= -_noise(values)),
    )


def _noise(values: Float[Array, " n"]) -> Float[Array, ""]:
    """What rounding may have made of an eigenvalue of zero."""
    eps = jnp.finfo(values.dtype).eps
    return 10 * len(values) * eps * jnp.max(jnp.abs(values))


def _grown(scales: Float[Array, " n"], hessian: Float[Array, "n n"]) -> Array:
    """Scales that never shrink, and are 1 or the largest where nothing is known."""
    scales = jnp.maximum(scales, jnp.sqrt(jnp.abs(jnp.diagonal(hessian))))
    largest = jnp.max(scales)
    usual = jnp.where(largest > 0, largest, 1.0)
    return jnp.where(scales > usual * jnp.finfo(scales.dtype).eps, scales, usual)
