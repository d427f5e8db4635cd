"""Newton's method with a dense Hessian, safe away from a minimum."""

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
from jaxcalc.curvature import as_matrix
from jaxcalc.optimizers._symmetric import eigh, factored
from jaxcalc.optimizers._trial import require
from jaxcalc.optimizers.backtracking import scale_by_backtracking

_BACKTRACKING = scale_by_backtracking()
_INDEFINITE = ("saddle_free", "shifted")


class NewtonState(NamedTuple):
    """What is known of the curvature, and what it took to know it.

    `convex` says that the Hessian evaluated last had no negative eigenvalue beyond
    rounding. Where the gradient vanishes before that is known, `jaxcalc.minimize` goes
    on: a saddle point is left, not reported as a success.
    """

    convex: Bool[Array, ""]
    work: Work


def scale_by_newton(
    hessian_fn: Callable[[PyTree], Any] | None = None,
    *,
    indefinite: str = "saddle_free",
    escape: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Replace the gradient $g$ by $B^{-1} g$, $B$ the Hessian made positive definite.

    $$B = H \text{ if } H \succ 0, \qquad
      B = Q\,\max(|\Lambda|, \delta)\,Q^\top \text{ otherwise}, \quad
      H = Q \Lambda Q^\top$$

    with $\delta = \sqrt\varepsilon \max_i |\lambda_i|$, or $n \varepsilon \max_i
    |\lambda_i|$ where nothing but rounding makes the Hessian indefinite. With
    `indefinite="shifted"` it is $B = H + 2 |\lambda_1| I$ otherwise: directions of
    little curvature are then held back as well as the negative ones.

    A Cholesky factorization decides, and solves; only when it fails are the eigenvalues
    computed and made positive, which costs eight to ten times as much. Where the
    Hessian is not finite, or zero, the gradient is returned as it is.

    Where the gradient vanishes but the curvature is negative, a saddle point or a
    maximum, there is nothing to scale: the direction of most negative curvature is
    added, as long as the parameters are large, or 1. A line search shortens it.

    The sign is optax's: an ascent direction. Chain it with `optax.scale(-1)` or
    `optax.scale_by_learning_rate`, and a line search; `newton` does both.

    Memory is $n^2$ and time $n^3$ in the number of parameters.

    Args:
        hessian_fn: `hessian_fn(params)`, where a cheaper form than `jax.hessian` is
            known: an `(n, n)` array in the order of `jax.flatten_util.ravel_pytree`,
            what `jax.hessian` returns, or a function that multiplies a tangent. One
            that is passed to `update` goes first.
        indefinite: What becomes of negative eigenvalues: "saddle_free" takes their
            absolute values, "shifted" adds the same to all.
        escape: Whether to leave points of vanishing gradient and negative curvature;
            without it a saddle point ends a run as a minimum does.

    Returns:
        A transformation that takes `value_fn`, and `hessian_fn` if any, by keyword.

    Raises:
        ValueError: `indefinite` is not known.

    References:
        Nocedal and Wright (2006), Numerical Optimization, section 3.4. Dauphin et al.
        (2014), Identifying and attacking the saddle point problem, section 4.
    """
    shifted = _checks.known("indefinite", indefinite, _INDEFINITE) == "shifted"
    own_hessian_fn = hessian_fn

    def init(params: PyTree) -> NewtonState:
        del params
        return NewtonState(jnp.asarray(not escape), Work.of())

    def update(
        updates: PyTree,
        state: Any,
        params: PyTree = None,
        *,
        value_fn: Callable[..., Any] | None = None,
        hessian_fn: Callable[..., Any] | None = None,
        **extra_args: Any,
    ) -> tuple[PyTree, NewtonState]:
        del extra_args
        hessian_fn = hessian_fn or own_hessian_fn
        require("scale_by_newton", params=params, value_fn=value_fn or hessian_fn)
        gradient, unravel = ravel_pytree(updates)
        with jax.default_matmul_precision("highest"):
            hessian = dense_hessian(params, value_fn, hessian_fn)
            reach = jnp.maximum(_trees.max_abs(params), 1.0) if escape else None
            direction, convex = newton_direction(hessian, gradient, reach, shifted)
        work = state.work.plus(Work.of(hessians=1))
        return unravel(direction), NewtonState(convex | (not escape), work)

    return optax.GradientTransformationExtraArgs(init, update)


def newton(
    learning_rate: optax.ScalarOrSchedule = 1.0,
    *,
    hessian_fn: Callable[[PyTree], Any] | None = None,
    linesearch: optax.GradientTransformation | None = _BACKTRACKING,
    indefinite: str = "saddle_free",
    escape: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method with a line search: quadratic convergence near a minimum.

    $$x_{k+1} = x_k - t_k\,B_k^{-1} \nabla f(x_k)$$

    Works in `jaxcalc.minimize`, and in any optax loop that passes `value`, `grad` and
    `value_fn` to `update`, as for `optax.lbfgs`.

    Args:
        learning_rate: Length of the step that the line search starts from, in units of
            the Newton step.
        hessian_fn: See `scale_by_newton`.
        linesearch: What shortens the step, such as
            `optax.scale_by_zoom_linesearch(max_linesearch_steps=20)`; by default Armijo
            backtracking, see `scale_by_backtracking`. None takes every step in full.
        indefinite: See `scale_by_newton`.
        escape: See `scale_by_newton`.

    Returns:
        The optimizer.

    Raises:
        ValueError: `indefinite` is not known.

    References:
        Nocedal and Wright (2006), Numerical Optimization, section 3.4.
    """
    return optax.chain(
        scale_by_newton(hessian_fn, indefinite=indefinite, escape=escape),
        optax.scale_by_learning_rate(learning_rate),
        optax.identity() if linesearch is None else linesearch,
    )


def dense_hessian(
    params: PyTree,
    value_fn: Callable[..., Any] | None,
    hessian_fn: Callable[..., Any] | None,
) -> Float[Array, "n n"]:
    """The Hessian as a matrix, in the order of `jax.flatten_util.ravel_pytree`.

    Args:
        params: Where.
        value_fn: The loss, used when there is no `hessian_fn`.
        hessian_fn: The caller's own Hessian, in any form of `jaxcalc.curvature`.

    Returns:
        The matrix, in the dtype of the raveled parameters.

    Raises:
        ValueError: Neither function is given, or what `hessian_fn` returned does not
            fit the parameters.
    """
    if hessian_fn is not None:
        return as_matrix(hessian_fn(params), params)
    if value_fn is None:
        raise ValueError("pass `value_fn` or `hessian_fn`")
    flat, unravel = ravel_pytree(params)
    return jax.hessian(lambda x: value_fn(unravel(x)))(flat)


def newton_direction(
    hessian: Float[Array, "n n"],
    gradient: Float[Array, " n"],
    reach: Float[Array, ""] | None = None,
    shifted: bool = False,
) -> tuple[Float[Array, " n"], Bool[Array, ""]]:
    """Solve with the Hessian made positive definite, see `scale_by_newton`.

    Args:
        hessian: A symmetric matrix; only its symmetric part counts.
        gradient: The right-hand side.
        reach: How far to go along negative curvature where the gradient vanishes; None
            not to go.
        shifted: Whether an indefinite Hessian is shifted, not turned positive.

    Returns:
        The direction, of ascent; the gradient itself where the Hessian says nothing.
        And whether the Hessian has no negative eigenvalue beyond rounding.
    """
    hessian = (hessian + hessian.T) / 2
    n, eps = gradient.size, jnp.finfo(hessian.dtype).eps
    factor, pivot = factored(hessian)
    definite = pivot > n * eps * jnp.max(jnp.diagonal(hessian))

    def by_factor() -> tuple[Float[Array, " n"], Bool[Array, ""]]:
        solution = jax.scipy.linalg.cho_solve((factor, True), gradient)
        return solution, jnp.asarray(True)

    def by_eigenvalues() -> tuple[Float[Array, " n"], Bool[Array, ""]]:
        # eigh of a matrix that is not finite may not return at all. In a batch all
        # lanes come here, and that of the identity takes a sixth.
        finite = jnp.all(jnp.isfinite(hessian))
        identity = jnp.eye(n, dtype=hessian.dtype)
        values, vectors = eigh(jnp.where(finite & ~definite, hessian, identity))
        size = jnp.abs(values)
        largest = jnp.max(size)
        # Semidefinite but for rounding: a small curvature is still the curvature, as
        # on the way to a degenerate minimum. Indefinite: an eigenvalue that passes
        # through zero must not send the step to infinity.
        semidefinite = values[0] >= -10 * n * eps * largest
        floor = jnp.where(semidefinite, n * eps, jnp.sqrt(eps)) * largest
        floor = jnp.where(floor > 0, floor, 1.0)
        slopes = gradient @ vectors
        # Where there is neither curvature nor slope but for rounding, stay.
        noise = n * eps * jnp.linalg.norm(gradient)
        flat = (size < floor) & (jnp.abs(slopes) <= noise)
        positive = jnp.maximum(size, floor)
        if shifted:
            raised = jnp.maximum(values - 2 * values[0], floor)
            positive = jnp.where(semidefinite, positive, raised)
        scaled = jnp.where(flat, 0, slopes / positive)
        if reach is not None:
            # The Newton step is what there is left to go if the gradient is all there
            # is; a short one beside negative curvature is a saddle point's.
            vanishes = jnp.max(jnp.abs(scaled)) <= jnp.sqrt(eps) * reach
            sign = jnp.where(slopes[0] < 0, -1, 1)
            away = jnp.where(vanishes & ~semidefinite, sign * reach, 0)
            scaled = scaled.at[0].add(away)
        return vectors @ scaled, semidefinite & finite

    return lax.cond(definite, by_factor, by_eigenvalues)
