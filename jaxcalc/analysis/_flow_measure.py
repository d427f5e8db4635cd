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
            hidden = activations(params, *args)
            found["activations"] = _of_each(root_mean_square, hidden)
            found["dead"] = _of_each(_dead_share, hidden)
        if activations is not None and perturbed is not None:
            none = jax.tree.map(jnp.zeros_like, activations(params, *args))
            found["perturbed_loss"], signals = jax.value_and_grad(perturbed, 1)(
                params, none, *args
            )
            basis = _of_each(root_mean_square, signals)
            found["signals"] = basis
        # On the way back, from the output to the input.
        found["rate"], found["rate_error"] = growth(basis[::-1])
        return found

    return run


def _of_each(measure: Callable[[Array], Array], hidden: Any) -> Array:
    """Measure every layer; together where shapes are equal, which compiles faster."""
    if isinstance(hidden, jax.Array):
        return jax.vmap(measure)(hidden)
    if len({h.shape for h in hidden}) == 1:
        return jax.vmap(measure)(jnp.stack(hidden))
    return jnp.stack([measure(h) for h in hidden])


def _dead_share(hidden: Array) -> Array:
    """Share of units that are zero for every example, examples along the first axis."""
    silent = hidden == 0
    return jnp.mean(jnp.all(silent, axis=0) if hidden.ndim > 1 else silent)
