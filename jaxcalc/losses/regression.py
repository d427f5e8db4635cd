"""Losses of predictions of a number, and the ridge penalty."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks
from jaxcalc.losses import _shapes


def mean_squared_error(
    predictions: Float[Array, " n"], targets: Float[Array, " n"]
) -> Float[Array, ""]:
    r"""Mean of the squared residuals.

    $$\ell(\hat y, y) = \frac{1}{n} \sum_i (\hat y_i - y_i)^2$$

    Without the factor 1/2 that some texts put in front: its second derivative in each
    prediction is $2/n$. Overflows to infinity once a residual exceeds the square root
    of the largest float (1.8e19 in float32).

    Args:
        predictions: What the model says, $\hat y$, shape `(n,)`.
        targets: What was observed, $y$, shape `(n,)`.

    Returns:
        Squared units of the targets, shape `()`, in their promoted dtype.

    Raises:
        ValueError: `predictions` and `targets` differ in shape, or are empty.

    References:
        Hastie, Tibshirani and Friedman (2009), The Elements of Statistical
        Learning, section 3.2.
    """
    _shapes.same("targets", targets, "predictions", predictions)
    return jnp.mean(optax.squared_error(predictions, targets))


def huber_loss(
    predictions: Float[Array, " n"],
    targets: Float[Array, " n"],
    *,
    delta: float = 1.0,
) -> Float[Array, ""]:
    r"""Mean Huber loss: quadratic for small residuals, linear for large ones.

    $$\ell = \frac{1}{n} \sum_i h(\hat y_i - y_i), \qquad
    h(r) = \begin{cases} r^2 / 2 & |r| \le \delta \\
    \delta (|r| - \delta / 2) & |r| > \delta \end{cases}$$

    Convex, with a continuous first derivative from $-\delta$ to $\delta$. The second
    derivative jumps from 1 to 0 at $|r| = \delta$; there automatic differentiation
    returns a value between the two. It is zero beyond, so Newton's method meets a
    singular Hessian when all residuals are large.

    Args:
        predictions: What the model says, $\hat y$, shape `(n,)`.
        targets: What was observed, $y$, shape `(n,)`.
        delta: Where the loss turns linear, in units of the targets; positive.

    Returns:
        The mean, shape `()`, in the promoted dtype of the arrays.

    Raises:
        ValueError: `predictions` and `targets` differ in shape or are empty, or `delta`
            is not positive and finite.

    References:
        Huber (1964), Robust estimation of a location parameter, Annals of
        Mathematical Statistics 35(1).
    """
    _shapes.same("targets", targets, "predictions", predictions)
    delta = _checks.positive_float("delta", delta)
    return jnp.mean(optax.huber_loss(predictions, targets, delta=delta))


def ridge_penalty(
    params: PyTree[Float[Array, "..."]], ridge: float | Float[Array, ""]
) -> Float[Array, ""]:
    r"""Half the squared Euclidean length of the parameters, times a factor.

    $$\frac{\lambda}{2} \sum_i w_i^2$$

    Adds $\lambda$ to every eigenvalue of the Hessian, so a convex loss becomes
    strongly convex. Pass only the part of the parameters that is to be penalized:
    `ridge_penalty(params["w"], ridge)` leaves the intercept free.

    Args:
        params: A pytree of floating arrays.
        ridge: The factor $\lambda$, zero or more, which is not checked as it may be
            traced.

    Returns:
        The penalty, shape `()`, in the promoted dtype of the leaves.

    References:
        Hoerl and Kennard (1970), Ridge regression, Technometrics 12(1).
    """
    squares = [jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params)]
    return 0.5 * ridge * sum(squares[1:], start=squares[0])
