"""Models as pure functions of a parameter pytree and data, and how to start them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks
from jaxcalc.losses import _shapes


def line(params: dict[str, Any], x: Float[Array, " n"]) -> Float[Array, " n"]:
    r"""A line, $\hat y = m x + b$.

    Args:
        params: `{"m": (), "b": ()}`, the slope and the intercept.
        x: Where to evaluate it, shape `(n,)`.

    Returns:
        Predictions, shape `(n,)`.

    Raises:
        ValueError: `params` lacks the slope or the intercept.
    """
    if not isinstance(params, dict) or not {"m", "b"} <= params.keys():
        raise ValueError(
            "`params` must be a dict with the slope 'm' and the intercept 'b', "
            f"got {jax.tree.structure(params)}"
        )
    return params["m"] * x + params["b"]


def linear(
    params: PyTree[Float[Array, "..."]], X: Float[Array, "n d"]
) -> Float[Array, "n *k"]:
    r"""A linear model with an intercept, $z = X w + b$.

    Its outputs are predictions in a regression and logits in a classification.

    Args:
        params: `{"w": (d,), "b": ()}` for one output for each example, or
            `{"w": (d, k), "b": (k,)}` for `k` of them.
        X: Features, shape `(n, d)`.

    Returns:
        Outputs, shape `(n,)` or `(n, k)`.

    Raises:
        ValueError: The shapes of `params` don't fit each other or those of `X`.
    """
    w, b = _shapes.layer("params", params)
    _shapes.matrix("X", X, w.shape[0])
    return X @ w + b


def logistic(
    params: PyTree[Float[Array, "..."]], X: Float[Array, "n d"]
) -> Float[Array, "n *k"]:
    r"""Logistic regression: the probability of the class +1.

    $$p = \frac{1}{1 + e^{-(X w + b)}}$$

    For people to read. `logistic_loss` takes the logits, `linear(params, X)`: a
    probability that has rounded to 0 or 1 has no logarithm worth having.

    Args:
        params: `{"w": (d,), "b": ()}`, as for `linear`.
        X: Features, shape `(n, d)`.

    Returns:
        Probabilities, shape `(n,)`.

    Raises:
        ValueError: The shapes of `params` don't fit each other or those of `X`.

    References:
        Hastie, Tibshirani and Friedman (2009), The Elements of Statistical
        Learning, section 4.4.
    """
    return jax.nn.sigmoid(linear(params, X))


def mlp(
    params: Sequence[PyTree[Float[Array, "..."]]],
    X: Float[Array, "n d"],
    *,
    activation: Callable[[jax.Array], jax.Array] = jnp.tanh,
) -> Float[Array, "n k"]:
    r"""A multilayer perceptron: linear maps with an activation between them.

    $$h_0 = X, \qquad h_{l+1} = \phi(h_l W_l + b_l), \qquad z = h_{L-1} W_{L-1} +
    b_{L-1}$$

    Nothing follows the last map, so its outputs are predictions or logits. The default
    activation is smooth; with `jax.nn.relu` second derivatives miss the kinks.

    Args:
        params: One `{"w": (d, k), "b": (k,)}` for each layer, as from `init_mlp`.
        X: Features, shape `(n, d)`.
        activation: Applied to each number between two layers.

    Returns:
        Outputs, shape `(n, k)`.

    Raises:
        ValueError: There are no layers, or shapes don't fit each other.

    References:
        Goodfellow, Bengio and Courville (2016), Deep Learning, chapter 6.
    """
    if not isinstance(params, (list, tuple)) or not params:
        raise ValueError(
            "`params` must be a list of layers, each {'w': (d, k), 'b': (k,)}, "
            f"got {jax.tree.structure(params)}"
        )
    hidden = X
    for index, layer in enumerate(params):
        w, b = _shapes.layer(f"params[{index}]", layer)
        if w.ndim != 2:
            raise ValueError(f"`params[{index}]` has weights of shape {w.shape}")
        name = f"outputs of layer {index - 1}" if index else "X"
        _shapes.matrix(name, hidden, w.shape[0])
        hidden = (activation(hidden) if index else hidden) @ w + b
    return hidden


def init_linear(
    key: jax.Array, features: int, outputs: int | None = None, *, scale: float = 0.1
) -> dict[str, jax.Array]:
    """Draw small random parameters of a linear model.

    Args:
        key: A `jax.random` key.
        features: How many features there are, `d`.
        outputs: How many outputs for each example, `k`; None for a single one without
            an axis of its own.
        scale: Standard deviation of each number, zero or more.

    Returns:
        `{"w": (d,), "b": ()}`, or `{"w": (d, k), "b": (k,)}`, in the default dtype.

    Raises:
        TypeError: `features` or `outputs` is not an integer.
        ValueError: `features` or `outputs` is not positive, or `scale` is negative.
    """
    width = () if outputs is None else (_checks.positive_int("outputs", outputs),)
    features = _checks.positive_int("features", features)
    scale = _checks.positive_float("scale", scale, zero=True)
    for_w, for_b = jax.random.split(key)
    return {
        "w": scale * jax.random.normal(for_w, (features, *width)),
        "b": scale * jax.random.normal(for_b, width),
    }


def init_mlp(
    key: jax.Array, sizes: Sequence[int], *, scaling: str = "glorot"
) -> list[dict[str, jax.Array]]:
    r"""Draw the parameters of a multilayer perceptron; intercepts start at zero.

    Weights are normal with variance $2 / (d_\text{in} + d_\text{out})$ ("glorot", which
    keeps the scale of signals and gradients through `tanh`) or $2 / d_\text{in}$ ("he",
    which does so through `relu`).

    Args:
        key: A `jax.random` key.
        sizes: Widths from the features to the outputs, for example `(64, 32, 10)`.
        scaling: "glorot" or "he".

    Returns:
        One `{"w": (d, k), "b": (k,)}` for each layer, in the default dtype.

    Raises:
        TypeError: A size is not an integer.
        ValueError: There are fewer than two sizes, one is not positive, or the scaling
            is unknown.

    References:
        Glorot and Bengio (2010), Understanding the difficulty of training deep
        feedforward neural networks, equation 12; He et al. (2015), Delving deep into
        rectifiers, equation 10.
    """
    _checks.known("scaling", scaling, ("glorot", "he"))
    widths = [_checks.positive_int("sizes", size) for size in sizes]
    if len(widths) < 2:
        raise ValueError(f"`sizes` must name at least two widths, got {sizes!r}")
    keys = jax.random.split(key, len(widths) - 1)
    layers = []
    for layer_key, d, k in zip(keys, widths[:-1], widths[1:], strict=True):
        deviation = (2 / (d + k) if scaling == "glorot" else 2 / d) ** 0.5
        w = deviation * jax.random.normal(layer_key, (d, k))
        layers.append({"w": w, "b": jnp.zeros(k)})
    return layers
