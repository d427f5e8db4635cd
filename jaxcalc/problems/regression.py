"""Linear regressions, whose minimum is known in closed form."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcalc import _checks, losses
from jaxcalc.problems import _data
from jaxcalc.problems.problem import Problem


def line_loss(
    params: dict[str, Any], x: Float[Array, " n"], y: Float[Array, " n"]
) -> Float[Array, ""]:
    r"""Mean squared error of a line, $\frac{1}{n} \sum_i (m x_i + b - y_i)^2$.

    Args:
        params: `{"m": (), "b": ()}`, the slope and the intercept.
        x: Where it was observed, shape `(n,)`.
        y: What was observed, shape `(n,)`.

    Returns:
        The loss, shape `()`.
    """
    return losses.mean_squared_error(losses.line(params, x), y)


def line_residual(
    params: dict[str, Any], x: Float[Array, " n"], y: Float[Array, " n"]
) -> Float[Array, " n"]:
    r"""Residuals whose squares add up to `line_loss`, $(m x_i + b - y_i) / \sqrt n$.

    Args:
        params: `{"m": (), "b": ()}`, the slope and the intercept.
        x: Where it was observed, shape `(n,)`.
        y: What was observed, shape `(n,)`.

    Returns:
        The residuals, shape `(n,)`, each divided by $\sqrt n$ as the loss is a mean.
    """
    return (losses.line(params, x) - y) / y.size**0.5


def _line_start(key: jax.Array) -> dict[str, jax.Array]:
    b, m = _data.uniform((-1.0, -1.0), (5.0, 2.0))(key)
    return {"m": m, "b": b}


def five_points() -> Problem:
    """A line through five points, with two parameters: the smallest regression.

    The numbers are left as they are. A point of its minimizers and its box is
    (intercept b, slope m), the alphabetical order of the parameters. Starts are uniform
    in the box.

    Returns:
        The problem; its minimum is 0.48, at m = 0.6 and b = 2.2.
    """
    x, y = (1, 2, 3, 4, 5), (2, 4, 5, 4, 5)
    return Problem(
        name="five_points",
        loss=line_loss,
        residual=line_residual,
        init=_line_start,
        args=_data.floats(x, y),
        minimum=0.48,
        minimizers=(np.array([2.2, 0.6]),),
        box=(np.array([-1.0, -1.0]), np.array([5.0, 2.0])),
        title="Line through five points",
        source="The points (1, 2) (2, 4) (3, 5) (4, 4) (5, 5); least squares solved "
        "by its normal equations",
    )


def linear_loss(
    params: dict[str, Any],
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, ""]:
    r"""Mean squared error of a linear model, with a ridge penalty on its weights.

    $$f(w, b) = \frac{1}{n} \lVert X w + b - y \rVert^2 +
    \frac{\lambda}{2} \lVert w \rVert^2$$

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.
        y: Targets, shape `(n,)`.
        ridge: The factor $\lambda$, shape `()`.

    Returns:
        The loss, shape `()`.
    """
    error = losses.mean_squared_error(losses.linear(params, X), y)
    return error + losses.ridge_penalty(params["w"], ridge)


def linear_residual(
    params: dict[str, Any],
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, " m"]:
    r"""Residuals whose squares add up to `linear_loss`, the penalty's at the end.

    $$r = \left(\frac{X w + b - y}{\sqrt n},\; \sqrt{\lambda / 2}\, w\right)$$

    The loss is a mean, hence the $\sqrt n$. At $\lambda = 0$ they have no derivative
    with respect to $\lambda$, though the loss has one.

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.
        y: Targets, shape `(n,)`.
        ridge: The factor $\lambda$, shape `()`.

    Returns:
        The residuals, shape `(n + d,)`; the last d are zero where $\lambda$ is.
    """
    error = (losses.linear(params, X) - y) / y.size**0.5
    return jnp.concatenate([error, jnp.sqrt(ridge / 2) * params["w"]])


def linear_loss_hessian(
    params: dict[str, Any],
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    ridge: Float[Array, ""],
) -> Float[Array, "p p"]:
    """Hessian of `linear_loss`, the same everywhere.

    Args:
        params: `{"w": (d,), "b": ()}`; only their shapes enter.
        X: Features, shape `(n, d)`.
        y: Targets, shape `(n,)`; they don't enter.
        ridge: The factor of the penalty, shape `()`.

    Returns:
        The Hessian, shape `(d + 1, d + 1)`, the intercept first.
    """
    del y
    return losses.linear_hessian(params, X) + _data.ridge_on_weights(params, ridge)


def explained_variance(
    params: dict[str, Any], X: Float[Array, "n d"], y: Float[Array, " n"], *_: Any
) -> Float[Array, ""]:
    r"""Coefficient of determination of a linear model.

    $$R^2 = 1 - \frac{\sum_i (x_i^\top w + b - y_i)^2}{\sum_i (y_i - \bar y)^2}$$

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.
        y: Targets, shape `(n,)`.
        *_: What else the loss takes; not used.

    Returns:
        A number up to 1, shape `()`; below 0 the mean would do better.
    """
    error = losses.linear(params, X) - y
    return 1 - jnp.sum(error**2) / jnp.sum((y - y.mean()) ** 2)


def diabetes(ridge: float = 0.0, *, validation: float = 0.0) -> Problem:
    """Linear regression of the progression of diabetes on ten measurements.

    Features and target are standardized, so the loss without a penalty is the share of
    the variance that is not explained, 1 - R². The six blood measurements are strongly
    correlated: the condition number of the Hessian is near 470. Starts are small normal
    numbers.

    Args:
        ridge: Factor of the penalty on the weights, zero or more.
        validation: Share of the examples that is held out to measure R² on.

    Returns:
        The problem, with its minimum by the normal equations.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: `ridge` is not a number.
        ValueError: `ridge` is negative or not finite, or `validation` not a share.

    References:
        Efron, Hastie, Johnstone and Tibshirani (2004), Least angle regression, Annals
        of Statistics 32(2).
    """
    ridge = _checks.positive_float("ridge", ridge, zero=True)
    X, y = _data.load("diabetes")
    _data.check("diabetes", X, y)
    y = _data.standardized(y)
    X, y, other_X, other_y = _data.held_out(X, y, validation)
    n, d = X.shape
    # Features have mean zero, so the intercept is the target's mean, whatever w is.
    w = np.linalg.solve(2 / n * X.T @ X + ridge * np.eye(d), 2 / n * X.T @ y)
    minimum = np.mean((X @ w + y.mean() - y) ** 2) + ridge / 2 * w @ w
    return Problem(
        name=_data.named(
            "diabetes", ("ridge", ridge, 0.0), ("held_out", validation, 0.0)
        ),
        loss=linear_loss,
        residual=linear_residual,
        init=_data.normal(d),
        args=_data.floats(X, y, ridge),
        metrics={"R²": explained_variance},
        validation=_data.floats(other_X, other_y, ridge) if validation else (),
        hessian=linear_loss_hessian,
        minimum=float(minimum),
        minimizers=(np.concatenate([[y.mean()], w]),),
        title="Linear regression on diabetes" + _data.penalty(ridge),
        source="Efron et al. (2004), Annals of Statistics 32(2), from scikit-learn; "
        "minimum by the normal equations",
    )
