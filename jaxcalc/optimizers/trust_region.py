"""Trust-region Newton's method with a dense Hessian."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks
from jaxcalc.optimizers._dense import Method, optimizer
from jaxcalc.optimizers._subproblem import solve_ball
from jaxcalc.optimizers._trial import Verdict

# Conn, Gould and Toint (2000), Trust-Region Methods, section 17.1: below the first
# ratio of actual to predicted decrease the radius shrinks, above the second it grows.
POOR, GOOD = 0.25, 0.75


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
    step is a zero update, and the next one reuses value, gradient and Hessian: it costs
    one evaluation of the loss. Where differences of the loss have lost their digits
    they are judged by the gradients at both ends, $\tfrac12 (g_k + g_{k+1})^\top s_k$.

    Saddle points are left along negative curvature. Parameters of different natural
    sizes are brought to the same by $D = \max_j \sqrt{|\mathrm{diag}\,H_j|}$ over the
    points so far.

    Memory is $n^2$. Where the Hessian is positive definite and the Newton step fits the
    radius, a step takes a Cholesky factorization, time about $n^3/3$; elsewhere one
    eigendecomposition at each point, about $10 n^3$.

    Args:
        radius: The first radius, in scaled parameters; by default a tenth of the size
            of the scaled start, or 0.1. A first step that is too long may end in
            another valley; one that is too short costs a few steps.
        hessian_fn: `hessian_fn(params)`, where a cheaper curvature than `jax.hessian`
            is known: see `jaxcalc.curvature`. One that is passed to `update` goes
            first.
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
    return optimizer(
        Method(
            name="trust_region",
            solve=solve_ball,
            first=lambda length, _: length,
            adapt=lambda radius, verdict, length, _: next_radius(
                radius, verdict, length
            ),
            bound=radius,
            hessian_fn=hessian_fn,
            scaled=scaled,
            newton=True,
        )
    )


def next_radius(
    radius: Float[Array, ""], verdict: Verdict, length: Float[Array, ""]
) -> Float[Array, ""]:
    """Grow the radius where the model was good, shrink it where it was poor.

    Args:
        radius: The radius of the trial.
        verdict: What came of it.
        length: How long the step was.

    Returns:
        The radius of the next trial.
    """
    smaller = jnp.where(verdict.finite, 0.25, 0.1) * length
    larger = jnp.maximum(radius, 2.5 * length)
    grown = jnp.where(verdict.ratio > GOOD, larger, radius)
    return jnp.where(verdict.ratio >= POOR, grown, smaller)
