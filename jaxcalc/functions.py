"""Activations of neural networks, right to their second derivative in both tails.

Where a unit saturates its derivative is tiny, and that tiny number is what trains the
layers below. Automatic differentiation of the usual forms loses it: the derivative of
`jax.nn.sigmoid` multiplies by `1 - s`, which is 0 in float32 from x = 17 on, where the
true derivative is 4e-8. `tanh`, `elu`, `softplus` and the tanh form of GELU lose theirs
in the same way. Here these functions carry derivatives in closed form, in which nothing
is subtracted from a number that is nearly 1. What `jax.nn` does well is handed on.

Each takes an array or a number, of any shape, and keeps its floating dtype; integers
become floats, as in `jax.numpy`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import ArrayLike

hard_sigmoid = jax.nn.hard_sigmoid
hard_silu = jax.nn.hard_silu
hard_tanh = jax.nn.hard_tanh
leaky_relu = jax.nn.leaky_relu
relu = jax.nn.relu
relu6 = jax.nn.relu6


class Activation(NamedTuple):
    """An activation and what is known of its shape.

    Attributes:
        function: The activation.
        left: Its limit at minus infinity.
        right: Its limit at plus infinity.
        kinks: Where its first derivative jumps.
    """

    function: Callable[[ArrayLike], Array]
    left: float
    right: float
    kinks: tuple[float, ...] = ()


def activations() -> dict[str, Activation]:
    """All activations by name, with their limits and kinks.

    Returns:
        A new dictionary; functions with an option are there with its default.
    """
    inf = math.inf
    return {
        "sigmoid": Activation(sigmoid, 0.0, 1.0),
        "tanh": Activation(tanh, -1.0, 1.0),
        "relu": Activation(relu, 0.0, inf, (0.0,)),
        "leaky_relu": Activation(leaky_relu, -inf, inf, (0.0,)),
        "elu": Activation(elu, -1.0, inf),
        "selu": Activation(selu, -_SELU_SCALE * _SELU_ALPHA, inf, (0.0,)),
        "softplus": Activation(softplus, 0.0, inf),
        "gelu": Activation(gelu, 0.0, inf),
        "gelu_tanh": Activation(gelu_tanh, 0.0, inf),
        "silu": Activation(silu, 0.0, inf),
        "mish": Activation(mish, 0.0, inf),
        "hard_sigmoid": Activation(hard_sigmoid, 0.0, 1.0, (-3.0, 3.0)),
        "hard_tanh": Activation(hard_tanh, -1.0, 1.0, (-1.0, 1.0)),
        "hard_silu": Activation(hard_silu, 0.0, inf, (-3.0, 3.0)),
        "relu6": Activation(relu6, 0.0, 6.0, (0.0, 6.0)),
    }


def sigmoid(x: ArrayLike) -> Array:
    r"""The logistic function, $s(x) = 1 / (1 + e^{-x})$.

    $s' = s(x) s(-x) \le 1/4$, which falls like $e^{-|x|}$ in both tails.

    Args:
        x: Any real numbers; infinite ones give 0 and 1.

    Returns:
        Numbers from 0 to 1, in the shape of `x`.
    """
    return _sigmoid(_floating(x))


def tanh(x: ArrayLike) -> Array:
    r"""Hyperbolic tangent, with $\tanh' = 4 e^{-2|x|} / (1 + e^{-2|x|})^2$.

    Args:
        x: Any real numbers; infinite ones give -1 and 1.

    Returns:
        Numbers from -1 to 1, in the shape of `x`.
    """
    return _tanh(_floating(x))


def softplus(x: ArrayLike) -> Array:
    r"""A smooth `relu`, $\log(1 + e^x)$; its derivative is `sigmoid`.

    Args:
        x: Any real numbers; infinite ones give 0 and infinity.

    Returns:
        Numbers of zero or more, in the shape of `x`.
    """
    return _softplus(_floating(x))


def elu(x: ArrayLike, alpha: float | Array = 1.0) -> Array:
    r"""Exponential linear unit: $x$ above zero, $\alpha (e^x - 1)$ below.

    With $\alpha = 1$ its derivative is continuous and its second derivative jumps at 0,
    where the branch below zero is taken.

    Args:
        x: Any real numbers.
        alpha: The limit at minus infinity is $-\alpha$.

    Returns:
        Numbers in the shape of `x`.

    References:
        Clevert, Unterthiner and Hochreiter (2016), Fast and accurate deep network
        learning by exponential linear units, equation 15.
    """
    x = _floating(x)
    above = x > 0
    # The branch that is not taken is kept from overflowing: its derivative counts.
    return jnp.where(above, x, alpha * _expm1(jnp.where(above, 0, x)))


def selu(x: ArrayLike) -> Array:
    r"""Scaled `elu`, whose two constants keep mean 0 and variance 1 through layers.

    Args:
        x: Any real numbers.

    Returns:
        $\lambda\,\mathrm{elu}(x, \alpha)$ with $\lambda = 1.0507$, $\alpha = 1.6733$.

    References:
        Klambauer et al. (2017), Self-normalizing neural networks, equation 14.
    """
    return _SELU_SCALE * elu(x, _SELU_ALPHA)


def gelu(x: ArrayLike) -> Array:
    r"""Gaussian error linear unit, $x \Phi(x)$ with the normal distribution function.

    Its relative error in the left tail grows like $x^2/2$ roundings, as that of
    $e^{-x^2/2}$ does. Infinite numbers have no product with zero: they give NaN.

    Args:
        x: Finite real numbers.

    Returns:
        Numbers in the shape of `x`.

    References:
        Hendrycks and Gimpel (2016), Gaussian error linear units.
    """
    return jax.nn.gelu(_floating(x), approximate=False)


def gelu_tanh(x: ArrayLike) -> Array:
    r"""The usual approximation of `gelu`, off by 5e-4 at most.

    $$\tfrac{x}{2} (1 + \tanh u) = x s(2 u), \qquad
    u = \sqrt{2/\pi}\,(x + 0.044715 x^3)$$

    Args:
        x: Finite real numbers.

    Returns:
        Numbers in the shape of `x`.

    References:
        Hendrycks and Gimpel (2016), Gaussian error linear units.
    """
    x = _floating(x)
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return x * _sigmoid(2 * u)  # `1 + tanh(u)` would lose the left tail


def silu(x: ArrayLike) -> Array:
    r"""Sigmoid linear unit, also called swish: $x s(x)$.

    Args:
        x: Finite real numbers.

    Returns:
        Numbers in the shape of `x`, from -0.2785 upwards.

    References:
        Elfwing, Uchibe and Doya (2018), Sigmoid-weighted linear units for neural
        network function approximation.
    """
    x = _floating(x)
    return x * _sigmoid(x)


swish = silu


def mish(x: ArrayLike) -> Array:
    r"""The activation $x \tanh(\mathrm{softplus}(x))$.

    Args:
        x: Finite real numbers.

    Returns:
        Numbers in the shape of `x`, from -0.3088 upwards.

    References:
        Misra (2019), Mish: a self regularized non-monotonic activation function.
    """
    x = _floating(x)
    return x * _tanh(_softplus(x))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _floating(x: ArrayLike) -> Array:
    return jnp.asarray(x, jnp.result_type(x, 0.0))


def _decay(x: Array) -> Array:
    # exp(-|x|); `abs` would hide from second derivatives what lies on its kink.
    return jnp.exp(jnp.where(x >= 0, -x, x))


# The derivatives below form a closed set: each is a product of these functions, so that
# automatic differentiation keeps relative accuracy in every order.


@jax.custom_jvp
def _tanh(x: Array) -> Array:
    return jnp.tanh(x)


@jax.custom_jvp
def _sech2(x: Array) -> Array:
    decay = _decay(2 * x)
    return 4 * decay / (1 + decay) ** 2


@jax.custom_jvp
def _sigmoid(x: Array) -> Array:
    decay = _decay(x)
    return jnp.where(x >= 0, 1, decay) / (1 + decay)


@jax.custom_jvp
def _softplus(x: Array) -> Array:
    return jnp.where(x >= 0, x, 0) + jnp.log1p(_decay(x))


@jax.custom_jvp
def _expm1(x: Array) -> Array:
    return jnp.expm1(x)


_tanh.defjvps(lambda t, _, x: t * _sech2(x))
_sech2.defjvps(lambda t, sech2, x: -2 * t * _tanh(x) * sech2)
_sigmoid.defjvps(lambda t, _, x: t * _sech2(x / 2) / 4)
_softplus.defjvps(lambda t, _, x: t * _sigmoid(x))
_expm1.defjvps(lambda t, _, x: t * jnp.exp(x))
