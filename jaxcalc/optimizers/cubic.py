"""Adaptive cubic regularization with a dense Hessian."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks
from jaxcalc.optimizers._dense import Method, optimizer
from jaxcalc.optimizers._subproblem import solve_cubic
from jaxcalc.optimizers._trial import Verdict

# Cartis, Gould and Toint (2011), part I, section 7: below the first ratio of actual to
# predicted decrease the weight grows, above the second it shrinks.
_POOR, _GOOD = 0.1, 0.9
# In units of the predicted decrease over the third power of the length: below it the
# penalty is not felt at all.
_LEAST = 1e-3


def cubic(
    weight: float | None = None,
    *,
    hessian_fn: Callable[[PyTree], Any] | None = None,
    scaled: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method with a cubic penalty on the step that adapts to the function.

    $$s_k = \arg\min_s\; g_k^\top s + \tfrac12 s^\top H_k s
      + \tfrac{\sigma_k}{3} \|D_k s\|^3$$

    With $\sigma$ above half the Lipschitz constant of the Hessian the model lies above
    the loss, so every step is a descent: no other method here has a better worst case,
    $O(\epsilon^{-3/2})$ steps to a gradient of $\epsilon$. The weight falls where the
    model was right and doubles where it was not.

    Rejected steps, rounding, saddle points and the scaling $D$ are treated as in
    `trust_region`. Memory is $n^2$ and time about $10 n^3$ for each accepted step.

    Args:
        weight: The first weight $\sigma$, in units of loss over the third power of the
            scaled parameters; by default the one with which a step along the gradient
            alone is a tenth of the size of the scaled start.
        hessian_fn: See `trust_region`.
        scaled: Whether to scale the parameters; False measures steps as they are.

    Returns:
        An optimizer that takes `value`, `grad` and `value_fn` by keyword.

    Raises:
        ValueError: `weight` is not positive.

    References:
        Cartis, Gould and Toint (2011), Adaptive cubic regularisation methods for
        unconstrained optimization, parts I and II. Nesterov and Polyak (2006), Cubic
        regularization of Newton method and its global performance.
    """
    if weight is not None:
        weight = _checks.positive_float("weight", weight)
    return optimizer(
        Method(
            name="cubic",
            solve=solve_cubic,
            first=first_weight,
            adapt=next_weight,
            bound=weight,
            hessian_fn=hessian_fn,
            scaled=scaled,
        )
    )


def first_weight(length: Float[Array, ""], slope: Float[Array, ""]) -> Array:
    """The weight with which a step along the gradient alone has a given length.

    Args:
        length: How long it may be.
        slope: The norm of the gradient.

    Returns:
        The weight; 1 over the length where there is no slope.
    """
    return jnp.where(slope > 0, slope / length**2, 1 / length)


def next_weight(
    weight: Float[Array, ""],
    verdict: Verdict,
    length: Float[Array, ""],
    predicted: Float[Array, ""],
) -> Float[Array, ""]:
    r"""Shrink the weight where the model was right, grow it where it was wrong.

    The weight with which the model would have met the loss at the end of the step is
    known, $\hat\sigma = \sigma + 3 (1 - \rho) \Delta m / \|s\|^3$. A weight that
    grows goes there, within what halves the step and what takes a tenth of it.

    Args:
        weight: The weight of the trial.
        verdict: What came of it.
        length: How long the step was.
        predicted: The decrease that the model predicted.

    Returns:
        The weight of the next trial.

    References:
        Gould, Porcelli and Toint (2012), Updating the regularization parameter in the
        adaptive cubic regularization algorithm, section 3.
    """
    unit = jnp.maximum(predicted, 0.0) / length**3
    met = weight + 3 * (1 - verdict.ratio) * unit
    # With curvature c along the step, predicted is c/2 of its square: a weight of
    # 4 units makes it half as long, one of 180 a tenth.
    grown = jnp.where(verdict.finite, jnp.clip(met, 4 * unit, 180 * unit), 180 * unit)
    larger = jnp.maximum(2 * weight, grown)
    smaller = jnp.maximum(jnp.clip(met, 0.3 * weight, weight), _LEAST * unit)
    kept = jnp.where(verdict.ratio >= _GOOD, smaller, weight)
    return jnp.where(verdict.ratio >= _POOR, kept, larger)
