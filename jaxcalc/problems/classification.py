"""Regressions on classes: convex, smooth, and with a Hessian from their structure."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcalc import _checks, losses
from jaxcalc.problems import _data
from jaxcalc.problems.problem import Problem


def logistic_regression_loss(
    params: dict[str, Any],
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, ""]:
    r"""Logistic loss of a linear model, with a ridge penalty on its weights.

    $$f(w, b) = \frac{1}{n} \sum_i \log\left(1 + e^{-y_i (x_i^\top w + b)}\right) +
    \frac{\lambda}{2} \lVert w \rVert^2$$

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.
        y: Labels, shape `(n,)`, each -1 or +1.
        ridge: The factor $\lambda$, shape `()`.

    Returns:
        The loss, shape `()`.
    """
    fit = losses.logistic_loss(losses.linear(params, X), y)
    return fit + losses.ridge_penalty(params["w"], ridge)


def logistic_regression_hessian(
    params: dict[str, Any],
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, "p p"]:
    """Hessian of `logistic_regression_loss`.

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.
        y: Labels, shape `(n,)`; they don't enter.
        ridge: The factor of the penalty, shape `()`.

    Returns:
        The Hessian, shape `(d + 1, d + 1)`, the intercept first.
    """
    del y
    return losses.logistic_hessian(params, X) + _data.ridge_on_weights(params, ridge)


def logistic_accuracy(
    params: dict[str, Any], X: Float[Array, "n d"], y: Float[Array, " n"], *_: Any
) -> Float[Array, ""]:
    """Share of labels that a linear model's sign gets right.

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.
        y: Labels, shape `(n,)`, each -1 or +1.
        *_: What else the loss takes; not used.

    Returns:
        A number from 0 to 1, shape `()`.
    """
    return jnp.mean(losses.linear(params, X) * y > 0, dtype=X.dtype)


def breast_cancer(ridge: float = 1e-2, *, validation: float = 0.0) -> Problem:
    """Ridge logistic regression: is a breast tumour benign?

    The two classes, -1 (malignant, 212) and +1 (benign, 357), can be separated by a
    plane, so without a penalty the weights grow without end. The intercept is not
    penalized. Starts are small normal numbers.

    Args:
        ridge: Factor of the penalty on the weights, zero or more.
        validation: Share of the examples that is held out to measure the accuracy on.

    Returns:
        The problem; strictly convex for a positive `ridge`.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: `ridge` is not a number.
        ValueError: `ridge` is negative or not finite, or `validation` not a share.

    References:
        Street, Wolberg and Mangasarian (1993), Nuclear feature extraction for breast
        tumor diagnosis, SPIE 1905.
    """
    ridge = _checks.positive_float("ridge", ridge, zero=True)
    X, y = _data.load("breast_cancer")
    _data.check("breast_cancer", X, y, classes=2)
    X, y, other_X, other_y = _data.held_out(X, y, validation)
    return Problem(
        name=_data.named(
            "breast_cancer", ("ridge", ridge, 1e-2), ("held_out", validation, 0.0)
        ),
        loss=logistic_regression_loss,
        init=_data.normal(X.shape[1]),
        args=_data.floats(X, 2 * y - 1, ridge),
        metrics={"accuracy": logistic_accuracy},
        validation=_data.floats(other_X, 2 * other_y - 1, ridge) if validation else (),
        hessian=logistic_regression_hessian,
        title="Logistic regression on breast cancer" + _data.penalty(ridge),
        source="Street, Wolberg and Mangasarian (1993), SPIE 1905, from scikit-learn",
    )


def softmax_regression_loss(
    params: dict[str, Any],
    X: Float[Array, "n d"],
    y: Int[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, ""]:
    r"""Softmax cross-entropy of a linear model, with a ridge penalty on everything.

    $$f(W, b) = \frac{1}{n} \sum_i \left(\log \sum_c e^{z_{ic}} - z_{i y_i}\right) +
    \frac{\lambda}{2} \left(\lVert W \rVert^2 + \lVert b \rVert^2\right), \qquad
    z = X W + b$$

    Args:
        params: `{"w": (d, k), "b": (k,)}`.
        X: Features, shape `(n, d)`.
        y: Classes, shape `(n,)`, from 0 to `k - 1`.
        ridge: The factor $\lambda$, shape `()`.

    Returns:
        The loss, shape `()`.
    """
    fit = losses.softmax_cross_entropy(losses.linear(params, X), y)
    return fit + losses.ridge_penalty(params, ridge)


def softmax_regression_hessian(
    params: dict[str, Any],
    X: Float[Array, "n d"],
    y: Int[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, "p p"]:
    """Hessian of `softmax_regression_loss`.

    Args:
        params: `{"w": (d, k), "b": (k,)}`.
        X: Features, shape `(n, d)`.
        y: Classes, shape `(n,)`; they don't enter.
        ridge: The factor of the penalty, shape `()`.

    Returns:
        The Hessian, shape `(k (d + 1), k (d + 1))`, the intercepts first, then the
        weights feature by feature.
    """
    del y
    H = losses.softmax_hessian(params, X)
    return H + ridge * jnp.eye(len(H), dtype=H.dtype)


def softmax_accuracy(
    params: dict[str, Any], X: Float[Array, "n d"], y: Int[Array, " n"], *_: Any
) -> Float[Array, ""]:
    """Share of classes that a linear model's largest score gets right.

    Args:
        params: `{"w": (d, k), "b": (k,)}`.
        X: Features, shape `(n, d)`.
        y: Classes, shape `(n,)`, from 0 to `k - 1`.
        *_: What else the loss takes; not used.

    Returns:
        A number from 0 to 1, shape `()`.
    """
    return jnp.mean(losses.linear(params, X).argmax(-1) == y, dtype=X.dtype)


def digits_softmax(ridge: float = 1e-3, *, validation: float = 0.0) -> Problem:
    """Softmax regression on images of handwritten digits: 650 parameters.

    Each of the ten classes has its own weights, so adding one vector to all of them
    changes no probability. The penalty is on weights and intercepts alike: that picks
    one of these points and makes the minimizer unique. Starts are small normal numbers.

    Args:
        ridge: Factor of the penalty, zero or more; with zero the Hessian is singular.
        validation: Share of the examples that is held out to measure the accuracy on.

    Returns:
        The problem; strictly convex for a positive `ridge`.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: `ridge` is not a number.
        ValueError: `ridge` is negative or not finite, or `validation` not a share.

    References:
        Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI
        Machine Learning Repository; Hastie, Tibshirani and Friedman (2009), The
        Elements of Statistical Learning, section 18.3.2.
    """
    ridge = _checks.positive_float("ridge", ridge, zero=True)
    X, y = _data.load("digits")
    _data.check("digits_softmax", X, y, classes=10)
    X, y, other_X, other_y = _data.held_out(X, y, validation)
    features, others, penalty = _data.floats(X, other_X, ridge)
    return Problem(
        name=_data.named(
            "digits_softmax", ("ridge", ridge, 1e-3), ("held_out", validation, 0.0)
        ),
        loss=softmax_regression_loss,
        init=_data.normal(X.shape[1], 10),
        args=(features, jnp.asarray(y, int), penalty),
        metrics={"accuracy": softmax_accuracy},
        validation=(others, jnp.asarray(other_y, int), penalty) if validation else (),
        hessian=softmax_regression_hessian,
        title="Softmax regression on digits" + _data.penalty(ridge),
        source="Alpaydin and Kaynak (1998), UCI repository, from scikit-learn",
    )
