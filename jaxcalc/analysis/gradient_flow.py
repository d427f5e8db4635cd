r"""Where do gradients vanish or explode on their way back through a network?

A gradient passes one layer after the other. If each multiplies its size by $r$, then
$L$ layers multiply it by $r^{L - 1}$: at $r = 0.25$, the steepest slope of a sigmoid,
64 layers leave $10^{-38}$ of it.

    norms   `layer_norms` and `observe_flow` are pure: for `jit`, and for `minimize`
    fit     `growth` finds $r$ and its standard error, by least squares on logarithms
    verdict `gradient_flow` at one point, `flow_history` along a run

References:
    Hochreiter (1991), Untersuchungen zu dynamischen neuronalen Netzen, section 4;
    Glorot and Bengio (2010), Understanding the difficulty of training deep
    feedforward neural networks, section 4.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.analysis._flow_layers import (
    Growth,
    LayerNorms,
    growth,
    layer_names,
    layer_norms,
)
from jaxcalc.analysis._flow_measure import measure
from jaxcalc.analysis._flow_report import (
    FlowHistory,
    GradientFlow,
    Verdict,
    change_over,
    verdict_of,
)

__all__ = [
    "FlowHistory",
    "GradientFlow",
    "Growth",
    "LayerNorms",
    "Verdict",
    "flow_history",
    "gradient_flow",
    "growth",
    "layer_names",
    "layer_norms",
    "observe_flow",
]


def gradient_flow(
    loss: Callable[..., Any],
    params: PyTree,
    *args: Any,
    activations: Callable[..., Any] | None = None,
    perturbed: Callable[..., Any] | None = None,
    stacked: bool = False,
    threshold: float = 1e-3,
) -> GradientFlow:
    r"""Gradient norms through depth at one point, with a verdict.

    $$\log s_l = a + (L - l) \log r, \qquad
      \text{vanishing if } r^{L - 1} < \tau, \quad
      \text{exploding if } r^{L - 1} > 1 / \tau$$

    One learning rate serves all layers, so with $\tau = 10^{-3}$ a layer that learns a
    thousand times slower than another counts as vanished. A layer whose gradient is
    exactly zero, while others' is not, vanishes whatever the fit says.

    The fit is to root mean square entries, which widths do not change. Those of
    parameters still carry the sizes of their layers' inputs; the derivatives by
    activations, which need `perturbed`, are the signal itself. Costs one gradient, and
    one more with `perturbed`.

    Args:
        loss: `loss(params, *args) -> scalar`.
        params: The parameters, layers from the input to the output; see `layer_norms`.
        *args: Data of the loss.
        activations: `activations(params, *args)`, a sequence of arrays `(n, width)`,
            one for each hidden layer in order; or one array `(layers, n, width)`.
        perturbed: `perturbed(params, perturbations, *args) -> scalar`: the loss with
            `perturbations[l]` added to what hidden layer `l` puts out, shaped like the
            activations. Its gradient at zero is the signal.
        stacked: Whether layers lie along the first axis of every leaf.
        threshold: The share $\tau$, between 0 and 1.

    Returns:
        The norms and the verdict.

    Raises:
        TypeError: `params` is not floating, the loss is not a floating scalar, or
            `activations` does not return floating arrays.
        ValueError: `threshold` is not between 0 and 1, `perturbed` comes without
            `activations` or is not the loss where perturbations are zero.
    """
    params = _checks.floating_params("params", params)
    _checks.scalar_loss("loss", jax.eval_shape(loss, params, *args))
    threshold = _checked_threshold(threshold)
    if perturbed is not None and activations is None:
        raise ValueError("`perturbed` needs `activations`, for the shapes to perturb")
    if activations is not None:
        _check_activations(jax.eval_shape(activations, params, *args))
    run = _programs.compiled(measure, loss, activations, perturbed, stacked)
    found = {name: np.asarray(value) for name, value in run(params, args).items()}
    _check_perturbed(found)
    basis = found.get("signals", found["rms"])
    rate = float(found["rate"])
    change = change_over(rate, len(basis))
    return GradientFlow(
        names=layer_names(params, stacked=stacked),
        loss=float(found["loss"]),
        norm=found["norm"],
        rms=found["rms"],
        parameters=found["parameters"],
        activations=found.get("activations"),
        signals=found.get("signals"),
        dead=found.get("dead"),
        rate=rate,
        rate_error=float(found["rate_error"]),
        change=change,
        threshold=threshold,
        verdict=verdict_of(basis, change, threshold),
    )


def observe_flow(
    loss: Callable[..., Any], *, stacked: bool = False
) -> Callable[..., LayerNorms]:
    """A function that records the flow at every point of a run.

    `minimize(loss, params, optimizer, args=..., observe=observe_flow(loss))` keeps the
    norms in `trace.observed`, which `flow_history` judges. It costs one more gradient
    at every point.

    Args:
        loss: `loss(params, *args) -> scalar`.
        stacked: As for `layer_norms`.

    Returns:
        `observe(params, *args) -> LayerNorms`.
    """
    gradient = jax.grad(loss)

    def observe(params: PyTree, *args: Any) -> LayerNorms:
        return layer_norms(params, gradient(params, *args), stacked=stacked)

    return observe


def flow_history(
    observed: LayerNorms, *, length: int | Array | None = None, threshold: float = 1e-3
) -> FlowHistory:
    """Judge the norms that `observe_flow` recorded along a run.

    Args:
        observed: Norms with points along the first axis, as in `trace.observed`.
        length: How many points were reached, `trace.length`; by default all but
            those at the end where nothing was recorded.
        threshold: As for `gradient_flow`.

    Returns:
        Rates and verdicts, one for each point.

    Raises:
        ValueError: `observed` has no points or more than one axis of them, or
            `threshold` is not between 0 and 1.
    """
    threshold = _checked_threshold(threshold)
    rms = np.asarray(observed.rms)
    if rms.ndim != 2 or not rms.size:
        raise ValueError(
            f"`observed` must hold points and layers, got shape {rms.shape}: pick one "
            "run of a batch"
        )
    if length is None:
        # A run that diverged has recorded its parameters, until they were lost too.
        reached = np.flatnonzero(~np.all(np.isnan(observed.parameters), axis=1))
        length = int(reached[-1]) + 1 if reached.size else len(rms)
    rms = rms[: int(length)]
    rate, error = (np.asarray(a) for a in _jitted_growth(rms[:, ::-1]))
    change = np.array([change_over(one, rms.shape[1]) for one in rate])
    verdicts: tuple[Verdict, ...] = tuple(
        verdict_of(one, c, threshold) for one, c in zip(rms, change, strict=True)
    )
    return FlowHistory(
        rate=rate,
        rate_error=error,
        change=change,
        verdicts=verdicts,
        threshold=threshold,
    )


_jitted_growth = jax.jit(growth)


def _checked_threshold(threshold: float) -> float:
    threshold = _checks.positive_float("threshold", threshold)
    if threshold >= 1:
        raise ValueError(f"`threshold` must be between 0 and 1, got {threshold}")
    return threshold


def _check_activations(hidden: Any) -> None:
    shapes = jax.tree.leaves(hidden)
    sequence = isinstance(hidden, list | tuple) or getattr(hidden, "ndim", 0) > 1
    if not sequence or not shapes or any(not np.prod(leaf.shape) for leaf in shapes):
        raise TypeError(
            "`activations` must return a sequence of arrays, one for each hidden "
            f"layer, got {hidden}"
        )
    for leaf in shapes:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(f"`activations` must be floating, got {leaf.dtype}")


def _check_perturbed(found: dict[str, np.ndarray]) -> None:
    value, other = found["loss"], found.get("perturbed_loss", found["loss"])
    slack = 10 * float(jnp.finfo(value.dtype).eps) ** 0.5 * abs(float(value))
    if np.isfinite(value) and not abs(float(value) - float(other)) <= slack:
        raise ValueError(
            "`perturbed` must be the loss where all perturbations are zero: the loss "
            f"is {float(value):.6g}, `perturbed` gives {float(other):.6g}"
        )
