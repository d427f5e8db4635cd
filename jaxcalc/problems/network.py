"""A small neural network on real data: smooth, but not convex."""

import functools
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcalc import _checks, losses
from jaxcalc.problems import _data
from jaxcalc.problems.problem import Problem


def network_loss(
    params: list[dict[str, Any]],
    X: Float[Array, "n d"],
    y: Int[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, ""]:
    r"""Softmax cross-entropy of a tanh network, with a ridge penalty on its weights.

    $$f = \frac{1}{n} \sum_i \left(\log \sum_c e^{z_{ic}} - z_{i y_i}\right) +
    \frac{\lambda}{2} \sum_l \lVert W_l \rVert^2, \qquad
    z = \tanh(X W_0 + b_0) W_1 + b_1$$

    Args:
        params: One `{"w": (d, k), "b": (k,)}` for each layer.
        X: Features, shape `(n, d)`.
        y: Classes, shape `(n,)`.
        ridge: The factor $\lambda$, shape `()`.

    Returns:
        The loss, shape `()`.
    """
    fit = losses.softmax_cross_entropy(losses.mlp(params, X), y)
    return fit + losses.ridge_penalty([layer["w"] for layer in params], ridge)


def network_accuracy(
    params: list[dict[str, Any]], X: Float[Array, "n d"], y: Int[Array, " n"], *_: Any
) -> Float[Array, ""]:
    """Share of classes that the network's largest score gets right.

    Args:
        params: One `{"w": (d, k), "b": (k,)}` for each layer.
        X: Features, shape `(n, d)`.
        y: Classes, shape `(n,)`.
        *_: What else the loss takes; not used.

    Returns:
        A number from 0 to 1, shape `()`.
    """
    return jnp.mean(losses.mlp(params, X).argmax(-1) == y, dtype=X.dtype)


@functools.cache
def _start(sizes: tuple[int, ...]) -> functools.partial:
    return functools.partial(losses.init_mlp, sizes=sizes)


def digits_network(
    ridge: float = 1e-4, hidden: int = 32, *, validation: float = 0.0
) -> Problem:
    """A network 64-32-10 on images of handwritten digits: 2,410 parameters.

    The activation is tanh, so that curvature exists everywhere. Permuting hidden units
    or flipping their signs changes nothing: every minimizer comes in many copies, and
    none is known in closed form. Starts are Glorot's.

    Args:
        ridge: Factor of the penalty on the weights, zero or more.
        hidden: How many hidden units there are.
        validation: Share of the examples that is held out to measure the accuracy on.

    Returns:
        The problem.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: `ridge` is not a number or `hidden` not an integer.
        ValueError: `ridge` is negative or not finite, `hidden` is not positive, or
            `validation` is not a share.

    References:
        Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI
        Machine Learning Repository.
    """
    ridge = _checks.positive_float("ridge", ridge, zero=True)
    hidden = _checks.positive_int("hidden", hidden)
    X, y = _data.load("digits")
    _data.check("digits_network", X, y, classes=10)
    X, y, other_X, other_y = _data.held_out(X, y, validation)
    features, others, penalty = _data.floats(X, other_X, ridge)
    sizes = (X.shape[1], hidden, 10)
    return Problem(
        name=_data.named(
            "digits_network",
            ("ridge", ridge, 1e-4),
            ("hidden", hidden, 32),
            ("held_out", validation, 0.0),
        ),
        loss=network_loss,
        init=_start(sizes),
        args=(features, jnp.asarray(y, int), penalty),
        metrics={"accuracy": network_accuracy},
        validation=(others, jnp.asarray(other_y, int), penalty) if validation else (),
        title=f"Network {'-'.join(map(str, sizes))} on digits" + _data.penalty(ridge),
        source="Alpaydin and Kaynak (1998), UCI repository, from scikit-learn",
    )
