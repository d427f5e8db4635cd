"""Adaptive cubic regularization with a dense Hessian."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks
from jaxcalc.curvature.products import Matvec
from jaxcalc.optimizers import _lanczos, _matrix_free
from jaxcalc.optimizers._dense import Method, optimizer
from jaxcalc.optimizers._pace import first_forcing
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
    form: str = "dense",
    hessian_fn: Callable[[PyTree], Any] | None = None,
    scaled: bool = True,
    forcing: float = 0.5,
    preconditioner: Callable[[PyTree], Matvec] | None = None,
    max_products: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method with a cubic penalty on the step that adapts to the function.

    $$s_k = \arg\min_s\; g_k^\top s + \tfrac12 s^\top H_k s
      + \tfrac{\sigma_k}{3} \|D_k s\|^3$$

    With $\sigma$ above half the Lipschitz constant of the Hessian the model lies above
    the loss, so every step is a descent: no other method here has a better worst case,
    $O(\epsilon^{-3/2})$ steps to a gradient of $\epsilon$. The weight falls where the
    model was right and doubles where it was not.

    In the dense form, rejected steps, rounding, saddle points and the scaling $D$ are
    treated as in `trust_region`. Memory is $n^2$ and time about $10 n^3$ for each
    accepted step.

    In the Krylov form, for many parameters, the model is minimized over the space that
    the Lanczos process spans from the gradient, until its own gradient is $\eta_k$ of
    that of the loss. No matrix is formed; rejected steps, the accuracy $\eta_k$, the
    preconditioner (in whose norm steps are measured, in place of $D$), saddle points
    and what may be missed there are those of `trust_region_cg` with `"gltr"`. Memory is
    `max_products` and 20 vectors like the parameters, twice with a preconditioner.

    Args:
        weight: The first weight $\sigma$, in units of loss over the third power of the
            scaled parameters; by default the one with which a step along the gradient
            alone is a tenth of the size of the scaled start.
        form: `"dense"` or `"krylov"`.
        hessian_fn: See `trust_region`, and `trust_region_cg` for the Krylov form.
        scaled: Whether to scale the parameters; False measures steps as they are. For
            the dense form.
        forcing: See `trust_region_cg`; for the Krylov form, as what follows.
        preconditioner: See `trust_region_cg`.
        max_products: Products in one step that follow the gradient; by default 50, or
            as many as there are parameters.

    Returns:
        An optimizer that takes `value`, `grad` and `value_fn` by keyword.

    Raises:
        TypeError: `max_products` is not an integer.
        ValueError: `weight` is not positive, `form` unknown, `forcing` not between 0
            and 1, or `max_products` below 1.

    References:
        Cartis, Gould and Toint (2011), Adaptive cubic regularisation methods for
        unconstrained optimization, parts I (section 6.2 for the Krylov form) and II.
        Nesterov and Polyak (2006), Cubic regularization of Newton method and its
        global performance.
    """
    if weight is not None:
        weight = _checks.positive_float("weight", weight)
    _checks.known("form", form, ("dense", "krylov"))
    forcing = first_forcing(forcing)
    if max_products is not None:
        max_products = _checks.positive_int("max_products", max_products)
    if form == "krylov":
        return _matrix_free.optimizer(
            _lanczos.method(
                name="cubic",
                solve=solve_cubic,
                first=first_weight,
                adapt=next_weight,
                bound=weight,
                forcing=forcing,
                most=max_products,
                hessian_fn=hessian_fn,
                preconditioner=preconditioner,
            )
        )
    return optimizer(
        Method(
            name="cubic",
            solve=solve_cubic,
            first=first_weight,
            adapt=next_weight,
            bound=weight,
            hessian_fn=hessian_fn,
            scaled=scaled,
            newton=False,
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
