"""The compiled part of `gradient_flow`: what is measured at one point."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from jaxcalc.analysis._flow_layers import growth, layer_norms, root_mean_square


def measure(
    loss: Callable[..., Any],
    activations: Callable[..., Any] | None,
    perturbed: Callable[..., Any] | None,
    stacked: bool,
) -> Callable[..., dict[str, Any]]:
    """The program of one measurement.

    Args:
        loss: `loss(params, *args)`.
        activations: `activations(params, *args)`, or None.
        perturbed: `perturbed(params, perturbations, *args)`, or None.
        stacked: Whether layers lie along the first axis of every leaf.

    Returns:
        `run(params, args)`, which gives arrays by name.
    """

    def run(params: PyTree, args: tuple[Any, ...]) -> dict[str, Any]:
        value, grads = jax.value_and_grad(loss)(params, *args)
        norms = layer_norms(params, grads, stacked=stacked)
        found: dict[str, Any] = {"loss": value, **norms._asdict()}
        basis = norms.rms
        if activations is not None:
            hidden = list(activations(params, *args))
            found["activations"] = jnp.stack([root_mean_square(h) for h in hidden])
            found["dead"] = jnp.stack([_dead_share(h) for h in hidden])
        if activations is not None and perturbed is not None:
            none = jax.tree.map(jnp.zeros_like, activations(params, *args))
            found["perturbed_loss"], signals = jax.value_and_grad(perturbed, 1)(
                params, none, *args
            )
            basis = jnp.stack([root_mean_square(s) for s in signals])
            found["signals"] = basis
        # On the way back, from the output to the input.
        found["rate"], found["rate_error"] = growth(basis[::-1])
        return found

    return run


def _dead_share(hidden: Array) -> Array:
    """Share of units that are zero for every example, examples along the first axis."""
    silent = hidden == 0
    return jnp.mean(jnp.all(silent, axis=0) if hidden.ndim > 1 else silent)
