"""Layers of a parameter tree, their norms, and how these grow from layer to layer."""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks


class LayerNorms(NamedTuple):
    """Sizes for each layer, from the input to the output; with leading axes in a run.

    Attributes:
        norm: Euclidean norm of the layer's gradient.
        rms: Its root mean square entry, which does not grow with the layer's width.
        parameters: Root mean square entry of the layer's parameters.
    """

    norm: Float[Array, "*t layers"]
    rms: Float[Array, "*t layers"]
    parameters: Float[Array, "*t layers"]


class Growth(NamedTuple):
    """By what a size is multiplied per layer, and the standard error of that.

    Attributes:
        rate: The factor; NaN with fewer than two layers to fit.
        error: Its standard error; NaN with fewer than three.
    """

    rate: Float[Array, "*t"]
    error: Float[Array, "*t"]


def layer_norms(params: PyTree, grads: PyTree, *, stacked: bool = False) -> LayerNorms:
    r"""Norms of a gradient layer by layer; pure, for use under `jit`.

    The top-level entries of the tree are the layers, in the order of a list or tuple,
    or of a dict's keys with their numbers counted ("layer2" before "layer10"). A
    single entry that holds all the others, as in `{"params": {...}}`, is looked into.
    Squares neither vanish nor overflow: a float32 gradient of 1e-30 has its norm.

    Args:
        params: A pytree of floating arrays.
        grads: The gradient, a tree like `params`.
        stacked: Whether the layers lie along the first axis of every leaf, as
            `jax.lax.scan` takes them.

    Returns:
        Three arrays of shape `(layers,)`.

    Raises:
        ValueError: The trees differ in structure or shapes, or stacked leaves have
            different first axes.
    """
    if jax.tree.map(jnp.shape, params) != jax.tree.map(jnp.shape, grads):
        raise ValueError("`grads` must have the structure and shapes of `params`")
    gradient = _sizes(grads, stacked)
    weights, counts = _sizes(params, stacked)
    norm, _ = gradient
    root = jnp.sqrt(jnp.asarray(counts, norm.dtype))
    return LayerNorms(norm, norm / root, weights / root)


def layer_names(params: PyTree, *, stacked: bool = False) -> tuple[str, ...]:
    """Names of the layers that `layer_norms` finds, in its order.

    Args:
        params: A pytree of arrays.
        stacked: As for `layer_norms`.

    Returns:
        One name for each layer.
    """
    if stacked:
        return tuple(map(str, range(_depth(params))))
    return tuple(name for name, _ in _children(params))


def growth(sizes: Float[Array, "*t layers"]) -> Growth:
    r"""Fit $\log s_l = a + l \log r$ over the layers $l$ by least squares.

    Layers whose size is zero or not finite are left out.

    Args:
        sizes: Norms in the order of the layers, along the last axis.

    Returns:
        The factor $r$ per layer with its standard error.
    """
    usable = (sizes > 0) & jnp.isfinite(sizes)
    weight = usable.astype(sizes.dtype)
    count = jnp.sum(weight, axis=-1)
    safe = jnp.maximum(count, 1)[..., None]
    y = jnp.log(jnp.where(usable, sizes, 1))
    x = weight * jnp.arange(sizes.shape[-1], dtype=sizes.dtype)
    x = weight * (x - jnp.sum(x, axis=-1, keepdims=True) / safe)
    y = weight * (y - jnp.sum(weight * y, axis=-1, keepdims=True) / safe)
    scatter = jnp.sum(x * x, axis=-1)
    scatter = jnp.where(count >= 2, scatter, jnp.nan)
    slope = jnp.sum(x * y, axis=-1) / scatter
    rest = jnp.sum((y - slope[..., None] * x) ** 2, axis=-1)
    free = jnp.where(count >= 3, count - 2, jnp.nan)
    rate = jnp.exp(slope)
    return Growth(rate, rate * jnp.sqrt(rest / free / scatter))


def root_mean_square(leaf: Array, axes: tuple[int, ...] | None = None) -> Array:
    """Root mean square entry, without a square that vanishes or overflows.

    Args:
        leaf: Numbers, at least one.
        axes: Axes to average over; all by default.

    Returns:
        An array without these axes.
    """
    largest = jnp.max(jnp.abs(leaf), axis=axes, keepdims=True)
    usable = (largest > 0) & jnp.isfinite(largest)
    scale = jnp.where(usable, largest, 1)
    mean = jnp.mean((leaf / scale) ** 2, axis=axes)
    return jnp.reshape(scale, mean.shape) * jnp.sqrt(mean)


def _sizes(tree: PyTree, stacked: bool) -> tuple[Array, list[int]]:
    """Norm of each layer, and how many numbers it has."""
    tree = _checks.floating_params("params", tree)
    if stacked:
        depth = _depth(tree)
        rows = [leaf.reshape(depth, -1) for leaf in jax.tree.leaves(tree)]
        parts = [root_mean_square(r, (1,)) * r.shape[1] ** 0.5 for r in rows]
        norms = root_mean_square(jnp.stack(parts, axis=1), (1,)) * len(parts) ** 0.5
        return norms, [sum(r.shape[1] for r in rows)] * depth
    layers = [jax.tree.leaves(layer) for _, layer in _children(tree)]
    layers = [[leaf for leaf in layer if leaf.size] for layer in layers]
    sizes = iter(_norms([leaf for layer in layers for leaf in layer]))
    parts = [jnp.stack([next(sizes) for _ in layer]) for layer in layers if layer]
    norms = [root_mean_square(part) * part.size**0.5 for part in parts]
    return jnp.stack(norms), [sum(a.size for a in layer) for layer in layers if layer]


def _norms(leaves: list[Array]) -> list[Array]:
    """Norm of each leaf; those of one shape together, which compiles faster."""
    found: dict[int, Array] = {}
    for kind in {(leaf.shape, leaf.dtype) for leaf in leaves}:
        alike = [i for i, a in enumerate(leaves) if (a.shape, a.dtype) == kind]
        rows = jnp.stack([leaves[i].ravel() for i in alike])
        norms = root_mean_square(rows, (1,)) * rows.shape[1] ** 0.5
        found |= dict(zip(alike, norms, strict=True))
    return [found[i] for i in range(len(leaves))]


def _depth(tree: PyTree) -> int:
    depths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(tree)}
    if len(depths) != 1 or () in depths:
        raise ValueError(
            "stacked layers must lie along the first axis of every leaf of `params`, "
            f"got shapes {jax.tree.map(jnp.shape, tree)}"
        )
    return depths.pop()[0]


def _children(tree: PyTree) -> list[tuple[str, PyTree]]:
    """Top-level entries in the order of depth, with their names."""
    found = _level(tree)
    # A wrapper such as {"params": ...} is no layer; a layer's own entries are arrays.
    while len(found) == 1 and any(_level(inner) for _, inner in _level(found[0][1])):
        tree = found[0][1]
        found = _level(tree)
    if not found:
        return [("params", tree)]
    if isinstance(tree, dict):
        found.sort(key=lambda entry: _natural(entry[0]))
    return [(name, one) for name, one in found if jax.tree.leaves(one)]


def _level(tree: PyTree) -> list[tuple[str, PyTree]]:
    """The entries of a container; none for an array."""
    pairs, _ = jax.tree_util.tree_flatten_with_path(
        tree, is_leaf=lambda node: node is not tree
    )
    return [
        (jax.tree_util.keystr(path, simple=True), one) for path, one in pairs if path
    ]


def _natural(name: str) -> list[Any]:
    parts = re.split(r"(\d+)", name)
    return [(1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts]
