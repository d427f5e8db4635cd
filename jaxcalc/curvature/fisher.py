"""Fisher information of a model's parameters, as products."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, PyTree

from jaxcalc import _checks
from jaxcalc.curvature.products import Matvec, product_of, shapes_of


def fisher_vp(
    model: Callable[..., Any],
    distribution: str | Callable[[PyTree, PyTree], PyTree],
    params: PyTree,
    *args: Any,
) -> Matvec:
    r"""Products with the Fisher information, the mean over the examples.

    $$F = \frac{1}{n} \sum_i J_i^\top F_i J_i, \qquad
    F_i = \mathbb{E}_{y \sim p(y | z_i)}
    \left[\nabla_z \log p(y | z_i) \, \nabla_z \log p(y | z_i)^\top\right]$$

    The model's outputs $z$ are the natural parameters of a distribution of the targets.
    Then $F$ is the generalized Gauss-Newton matrix of the mean negative log-likelihood,
    whatever the targets were: they do not enter, as the expectation is over what the
    model itself would draw.

    `"categorical"` takes logits along the last axis, `"bernoulli"` logits, `"gaussian"`
    means (of unit variance: divide by another one), `"poisson"` log rates. Examples lie
    along the first axis.

    The model is differentiated forward: functions with `jax.custom_vjp` and no forward
    rule fail.

    Args:
        model: `model(params, *args)`, an array of outputs.
        distribution: One of the four names; or `information(outputs, tangent)`, the
            product with the Fisher information of the outputs, for any other: then it
            is the caller who takes the mean.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the model.

    Returns:
        The product, `matvec(tangent)`.

    Raises:
        TypeError: `params` or the outputs are not floating, or the outputs are not one
            array.
        ValueError: `params` is empty, or the distribution is unknown.

    References:
        Martens (2020), New insights and perspectives on the natural gradient method,
        JMLR 21, sections 5 and 9. Amari (1998), Natural gradient works efficiently in
        learning, Neural Computation 10(2).
    """
    if not callable(distribution):
        _checks.known("distribution", distribution, _INFORMATION)
    return product_of(_linearized_model, (model, distribution), params, args)


def empirical_fisher_vp(
    example_losses: Callable[..., Any], params: PyTree, *args: Any
) -> Matvec:
    r"""Products with the empirical Fisher: gradients' outer products, their mean.

    $$E = \frac{1}{n} \sum_i g_i g_i^\top, \qquad g_i = \nabla_x \ell_i(x)$$

    The gradients belong to the targets in the data, not to what the model would draw,
    so it is not the Fisher information, and no approximation of the Hessian either
    where the model fits badly or is far from a minimum. It is the second moment of the
    stochastic gradient. No gradient of a single example is formed.

    Args:
        example_losses: `example_losses(params, *args)`, one loss for each example,
            shape `(n,)`.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data.

    Returns:
        The product, `matvec(tangent)`.

    Raises:
        TypeError: `params` or the losses are not floating.
        ValueError: `params` is empty, or the losses are not a vector.

    References:
        Kunstner, Balles and Hennig (2019), Limitations of the empirical Fisher
        approximation for natural gradient descent, NeurIPS.
    """
    return product_of(_linearized_losses, (example_losses,), params, args)


def _categorical(logits: Array, tangent: Array) -> Array:
    # p (t - <p, t>) with tangents relative to the likeliest class, whose own
    # difference would have no digits left where p is near 1.
    best = jnp.argmax(logits, axis=-1, keepdims=True)
    relative = tangent - jnp.take_along_axis(tangent, best, -1)
    p = jax.nn.softmax(logits)
    return p * (relative - jnp.sum(p * relative, -1, keepdims=True))


def _bernoulli(logits: Array, tangent: Array) -> Array:
    decay = jnp.exp(-jnp.abs(logits))
    return decay / (1 + decay) ** 2 * tangent


_INFORMATION: dict[str, Callable[[Array, Array], Array]] = {
    "categorical": _categorical,
    "bernoulli": _bernoulli,
    "gaussian": lambda means, tangent: tangent + jnp.zeros_like(means),
    "poisson": lambda log_rates, tangent: jnp.exp(log_rates) * tangent,
}


def _mean_information(distribution: str, outputs: PyTree) -> Callable[..., Array]:
    if not isinstance(outputs, jax.Array):
        raise TypeError(
            f"`model` must return one array of outputs for {distribution!r}, got "
            f"{jax.tree.structure(outputs)}: pass the information as a function"
        )
    alone = 1 if distribution == "categorical" else 0
    if outputs.ndim < alone:
        raise ValueError("`model` must return the logits of all classes, got a scalar")
    examples = outputs.shape[0] if outputs.ndim > alone else 1
    information = _INFORMATION[distribution]
    return lambda z, tangent: information(z, tangent) / examples


def _linearized_model(
    model: Callable[..., Any], distribution: Any
) -> Callable[..., Matvec]:
    def run(params: PyTree, args: tuple[Any, ...]) -> Matvec:
        with jax.default_matmul_precision("highest"):
            outputs, push = jax.linearize(lambda x: model(x, *args), params)
        outputs = _checks.floating_params("model(params)", outputs)
        information, shapes = distribution, shapes_of(params)
        if not callable(distribution):
            information = _mean_information(distribution, outputs)

        def multiply(push: Matvec, outputs: PyTree, tangent: PyTree) -> PyTree:
            curved = information(outputs, push(tangent))
            (product,) = jax.linear_transpose(push, shapes)(curved)
            return product

        return Partial(multiply, push, outputs)

    return run


def _linearized_losses(example_losses: Callable[..., Any]) -> Callable[..., Matvec]:
    def run(params: PyTree, args: tuple[Any, ...]) -> Matvec:
        with jax.default_matmul_precision("highest"):
            values, push = jax.linearize(lambda x: example_losses(x, *args), params)
        shape = jnp.shape(values)
        if len(shape) != 1:
            raise ValueError(
                "`example_losses` must return one loss for each example, shape (n,), "
                f"got shape {shape}"
            )
        shapes = shapes_of(params)

        def multiply(push: Matvec, tangent: PyTree) -> PyTree:
            (product,) = jax.linear_transpose(push, shapes)(push(tangent) / shape[0])
            return product

        return Partial(multiply, push)

    return run
