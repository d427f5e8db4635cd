"""Trust-region Newton's method with a dense Hessian."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc import _checks, _trees
from jaxcalc._work import Work
from jaxcalc.optimizers._subproblem import solve_subproblem
from jaxcalc.optimizers.newton import dense_hessian

# Conn, Gould and Toint (2000), Trust-Region Methods, section 17.1: below the first
# ratio of actual to predicted decrease the radius shrinks, above the second it grows.
_POOR, _GOOD = 0.25, 0.75
_ACCEPTABLE = 1e-4


class TrustRegionState(NamedTuple):
    """What the next step needs; the decomposition is that of the point it stands on."""

    value: Float[Array, ""]
    grad: PyTree
    radius: Float[Array, ""]
    scales: Float[Array, " n"]
    eigenvalues: Float[Array, " n"]
    eigenvectors: Float[Array, "n n"]
    decomposed: Bool[Array, ""]
    convex: Bool[Array, ""]
    stalled: Bool[Array, ""]
    work: Work


def trust_region(
    radius: float | None = None,
    *,
    hessian_fn: Callable[[PyTree], Any] | None = None,
    scaled: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method within a ball in which its model has proved right.

    $$s_k = \arg\min_{\|D_k s\| \le \Delta_k} g_k^\top s + \tfrac12 s^\top H_k s$$

    The step is taken if the loss falls by a ten-thousandth of what the model predicts;
    the radius shrinks where the model was poor and grows where it was good. A rejected
    step is a zero update, and the next one reuses value, gradient and the Hessian's
    eigendecomposition: it costs one evaluation of the loss. Where differences of the
    loss have lost their digits they are judged by the gradients at both ends,
    $\tfrac12 (g_k + g_{k+1})^\top s_k$.

    Saddle points are left along negative curvature. Parameters of different natural
    sizes are brought to the same by $D = \max_j \sqrt{|\mathrm{diag}\,H_j|}$ over the
    points so far.

    Memory is $n^2$ and time about $10 n^3$ for each accepted step.

    Args:
        radius: The first radius, in scaled parameters; by default a tenth of the size
            of the scaled start, or 0.1. A first step that is too long may end in
            another valley; one that is too short costs a few steps.
        hessian_fn: See `scale_by_newton`.
        scaled: Whether to scale the parameters; False measures steps as they are.

    Returns:
        An optimizer that takes `value`, `grad` and `value_fn` by keyword.

    Raises:
        ValueError: `radius` is not positive.

    References:
        Conn, Gould and Toint (2000), Trust-Region Methods, chapters 6 and 7. Moré and
        Sorensen (1983), Computing a trust region step. Moré (1978), The
        Levenberg-Marquardt algorithm, section 6, for the scaling.
    """
    if radius is not None:
        radius = _checks.positive_float("radius", radius)
    own_hessian_fn = hessian_fn

    def init(params: PyTree) -> TrustRegionState:
        flat, _ = ravel_pytree(params)
        n, dtype = flat.size, flat.dtype
        return TrustRegionState(
            value=jnp.asarray(jnp.nan, dtype),
            grad=optax.tree.zeros_like(params),
            radius=jnp.asarray(jnp.nan if radius is None else radius, dtype),
            scales=jnp.zeros(n, dtype) if scaled else jnp.ones(n, dtype),
            eigenvalues=jnp.zeros(n, dtype),
            eigenvectors=jnp.zeros((n, n), dtype),
            decomposed=jnp.asarray(False),
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
    ) -> tuple[PyTree, TrustRegionState]:
        del extra_args
        grad = updates if grad is None else grad
        if params is None or value is None or value_fn is None:
            raise ValueError(
                "trust_region needs `params`, and `value` and `value_fn` by keyword: "
                "optimizer.update(grad, state, params, value=value, grad=grad, "
                "value_fn=loss)"
            )
        with jax.default_matmul_precision("highest"):
            curved = hessian_fn or own_hessian_fn
            state = _decomposed(state, params, value_fn, curved, scaled)
            return _attempt(state, params, value, grad, value_fn)

    return optax.GradientTransformationExtraArgs(init, update)


def _decomposed(
    state: TrustRegionState,
    params: PyTree,
    value_fn: Callable[..., Any],
    hessian_fn: Callable[..., Any] | None,
    scaled: bool,
) -> TrustRegionState:
    """The state with the eigendecomposition of the scaled Hessian at `params`."""
    flat, _ = ravel_pytree(params)

    def decompose() -> TrustRegionState:
        hessian = dense_hessian(params, value_fn, hessian_fn)
        hessian = (hessian + hessian.T) / 2
        finite = jnp.all(jnp.isfinite(hessian))
        # eigh of a matrix that is not finite may not return at all. Without curvature
        # the model is the slope alone.
        hessian = jnp.where(finite, hessian, 0.0)
        scales = state.scales
        if scaled:
            scales = jnp.maximum(scales, jnp.sqrt(jnp.abs(jnp.diagonal(hessian))))
            largest = jnp.max(scales)
            floor = jnp.where(largest > 0, largest, 1.0) * jnp.finfo(flat.dtype).eps
            scales = jnp.where(
                scales > floor, scales, jnp.where(largest > 0, largest, 1.0)
            )
        values, vectors = jnp.linalg.eigh(hessian / scales[:, None] / scales)
        n, eps = flat.size, jnp.finfo(flat.dtype).eps
        convex = values[0] >= -10 * n * eps * jnp.max(jnp.abs(values))
        start = 0.1 * jnp.maximum(jnp.linalg.norm(scales * flat), 1.0)
        return state._replace(
            radius=jnp.where(jnp.isnan(state.radius), start, state.radius),
            scales=scales,
            eigenvalues=values,
            eigenvectors=vectors,
            decomposed=jnp.asarray(True),
            convex=convex & finite,
            work=state.work.plus(Work.of(hessians=1)),
        )

    return lax.cond(state.decomposed, lambda: state, decompose)


def _attempt(
    state: TrustRegionState,
    params: PyTree,
    value: Any,
    grad: PyTree,
    value_fn: Callable[..., Any],
) -> tuple[PyTree, TrustRegionState]:
    """Try the model's minimizer; take it, or stay with a smaller radius."""
    flat, unravel = ravel_pytree(params)
    gradient, _ = ravel_pytree(grad)
    value = jnp.asarray(value, flat.dtype)
    eps = jnp.finfo(flat.dtype).eps
    slopes = (gradient / state.scales) @ state.eigenvectors
    model = solve_subproblem(state.eigenvalues, slopes, state.radius)
    length = jnp.linalg.norm(model.coefficients)
    step = (state.eigenvectors @ model.coefficients) / state.scales
    new_value, new_grad = jax.value_and_grad(value_fn)(unravel(flat + step))
    new_value = jnp.asarray(new_value, flat.dtype)
    new_gradient, _ = ravel_pytree(new_grad)

    by_values = value - new_value
    by_slopes = -0.5 * (gradient + new_gradient) @ step
    level = jnp.abs(by_values) <= eps ** (2 / 3) * jnp.abs(value)
    shrinks = _trees.max_abs(new_gradient) < _trees.max_abs(gradient)
    decrease = jnp.where(level, jnp.where(shrinks, by_slopes, 0.0), by_values)
    certain = by_values > 4 * eps * jnp.abs(value)
    decrease = jnp.where(certain, by_values, decrease)
    finite = jnp.isfinite(new_value) & jnp.all(jnp.isfinite(new_gradient))
    ratio = jnp.where(finite, decrease / model.decrease, -1.0)
    accepted = (ratio >= _ACCEPTABLE) & (model.decrease > 0)

    smaller = jnp.where(finite, 0.25, 0.1) * length
    larger = jnp.maximum(state.radius, 2.5 * length)
    radius = jnp.where(ratio > _GOOD, larger, state.radius)
    radius = jnp.where(ratio >= _POOR, radius, smaller)
    tiny = jnp.all(jnp.abs(step) <= eps * jnp.maximum(jnp.abs(flat), eps))
    new_state = state._replace(
        value=jnp.where(accepted, new_value, value),
        grad=_trees.where(accepted, new_grad, grad),
        radius=jnp.where(length > 0, radius, state.radius),
        decomposed=~accepted,
        stalled=~accepted & tiny,
        work=state.work.plus(Work.of(gradients=1)),
    )
    return unravel(jnp.where(accepted, step, 0.0)), new_state
