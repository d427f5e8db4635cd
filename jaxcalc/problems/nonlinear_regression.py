"""Fits of curves by nonlinear least squares, the caller's own and three examples."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxcalc.problems import _data
from jaxcalc.problems.problem import Problem, sum_of_squares


def nonlinear_regression(
    name: str,
    model: Callable[..., jax.Array],
    x: Any,
    y: Any,
    start: PyTree,
    *,
    minimum: float | None = None,
    minimizers: Sequence[Any] = (),
    local_minima: Sequence[float] = (),
    title: str = "",
    source: str = "",
) -> Problem:
    r"""A model fitted to observations by least squares.

    $$f(b) = \sum_i \left(\mathrm{model}(b, x)_i - y_i\right)^2$$

    It is a sum, as in published tables of fits, not a mean. `init(key)` moves each
    number of `start` by up to a tenth of its size, a zero by up to 0.1.

    Equal models share compiled programs, so write the model as a function of a module
    rather than as a `lambda` in a loop.

    Args:
        name: Short and unique; it names files and table rows.
        model: `model(params, x) -> (n,)`, the predictions.
        x: Where it was observed, an array whose first axis has n entries.
        y: What was observed, shape `(n,)`.
        start: The start, any pytree of numbers or arrays; it gives `params` their
            structure.
        minimum: The lowest sum of squares, where it is known.
        minimizers: Points where it is reached, arrays of shape `(p,)`.
        local_minima: Other values at which a descent may end.
        title: The name that people read; `name` where it is empty.
        source: Where the data come from.

    Returns:
        The problem, with its residual and `args=(x, y)`.

    Raises:
        TypeError: `model` is not a function.
        ValueError: `x` and `y` differ in length, a number is not finite, or the model's
            predictions have not the shape of `y`.
    """
    if not callable(model):
        raise TypeError(f"`model` must be a function, got {model!r}")
    x, y = np.asarray(x, float), np.asarray(y, float)
    if y.ndim != 1 or not y.size or x.shape[:1] != y.shape:
        raise ValueError(
            f"problem {name!r}: `x` and `y` must have shapes (n, ...) and (n,), got "
            f"{x.shape} and {y.shape}"
        )
    start = jax.tree.map(lambda leaf: np.array(leaf, float), start)
    for what, numbers in (("x", [x]), ("y", [y]), ("start", jax.tree.leaves(start))):
        if not numbers or not all(np.all(np.isfinite(leaf)) for leaf in numbers):
            raise ValueError(f"problem {name!r}: `{what}` must be finite numbers")
    init, args = _data.near(start), _data.floats(x, y)
    predicted = jax.eval_shape(model, jax.eval_shape(init, jax.random.key(0)), args[0])
    if getattr(predicted, "shape", None) != y.shape:
        raise ValueError(
            f"problem {name!r}: `model(start, x)` must have the shape of `y`, "
            f"{y.shape}, got {predicted}"
        )
    residual = _misfit(model)
    return Problem(
        name=name,
        loss=sum_of_squares(residual),
        residual=residual,
        init=init,
        standard_start=start,
        args=args,
        minimum=minimum,
        minimizers=tuple(np.asarray(point, float) for point in minimizers),
        local_minima=tuple(local_minima),
        title=title or name,
        source=source,
    )


# Bounded, so that models made in a loop don't pile up.
@functools.lru_cache(maxsize=256)
def _misfit(model: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    def residual(params: PyTree, x: jax.Array, y: jax.Array) -> jax.Array:
        return model(params, x) - y

    return residual


@functools.cache
def _example(
    model: Callable[..., jax.Array],
    x: tuple[float, ...],
    truth: tuple[float, ...],
    noise: float,
) -> tuple[np.ndarray, float]:
    """Observations whose best fit is known exactly, and its sum of squares."""
    # The noise is made orthogonal to the model's derivatives at the truth, so the truth
    # is a critical point, and with little noise it is the lowest one.
    with jax.enable_x64(True):
        b = jnp.asarray(truth, float)
        clean = np.asarray(model(b, jnp.asarray(x, float)))
        J = np.asarray(jax.jacfwd(model)(b, jnp.asarray(x, float)))
    Q, _ = np.linalg.qr(J / np.linalg.norm(J, axis=0))
    # Multiples of the golden ratio fill the interval evenly, without repeating.
    error = np.arange(1, len(x) + 1) * (5**0.5 - 1) / 2 % 1 - 0.5
    for _ in range(2):  # the second time removes what the first has rounded
        error = error - Q @ (Q.T @ error)
    error *= noise / np.sqrt(np.mean(error**2))
    return clean + error, float(error @ error)


def _bundled(name, model, x, truth, noise, start, title) -> Problem:
    x = tuple(float(number) for number in x)
    y, minimum = _example(model, x, truth, noise)
    return nonlinear_regression(
        name,
        model,
        x,
        y,
        np.array(start, float),
        minimum=minimum,
        minimizers=[truth],
        title=title,
        source="Made here: the model at known parameters, with noise orthogonal to its "
        "derivatives there",
    )


def exponential_decay_model(
    b: Float[Array, "3"], x: Float[Array, " n"]
) -> Float[Array, " n"]:
    r"""Decay towards a floor, $b_1 + b_2 e^{-b_3 x}$.

    Args:
        b: Floor, amplitude and rate, shape `(3,)`.
        x: Times, shape `(n,)`.

    Returns:
        The predictions, shape `(n,)`.
    """
    return b[0] + b[1] * jnp.exp(-b[2] * x)


def exponential_decay() -> Problem:
    """Decay towards a floor, at 20 times: three parameters, from a slow start.

    Returns:
        The problem; its minimizer is (0.5, 2, 1.3) exactly.
    """
    return _bundled(
        "exponential_decay",
        exponential_decay_model,
        np.arange(20) / 5,
        (0.5, 2.0, 1.3),
        0.02,
        (0, 1, 0.1),
        "Exponential decay towards a floor",
    )


def rational_peak_model(
    b: Float[Array, "5"], x: Float[Array, " n"]
) -> Float[Array, " n"]:
    r"""A rational function, $(b_1 + b_2 x + b_3 x^2) / (1 + b_4 x + b_5 x^2)$.

    Args:
        b: Coefficients, shape `(5,)`.
        x: Where it is evaluated, shape `(n,)`.

    Returns:
        The predictions, shape `(n,)`.
    """
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def rational_peak() -> Problem:
    """A quotient of two quadratics, at 30 points: five parameters.

    Elsewhere the denominator may vanish within the data, where the loss is infinite.

    Returns:
        The problem; its minimizer is (1, 0.5, 0.2, -0.6, 0.3) exactly.
    """
    return _bundled(
        "rational_peak",
        rational_peak_model,
        np.arange(30) / 6 - 1,
        (1.0, 0.5, 0.2, -0.6, 0.3),
        0.01,
        (2, 1, 1, 0, 1),
        "Quotient of two quadratics",
    )


def gaussian_peaks_model(
    b: Float[Array, "8"], x: Float[Array, " n"]
) -> Float[Array, " n"]:
    r"""Two bell curves on a decaying background.

    $$b_1 e^{-b_2 x} + b_3 e^{-(x - b_4)^2 / b_5^2} + b_6 e^{-(x - b_7)^2 / b_8^2}$$

    Args:
        b: Amplitude and rate of the background, then amplitude, centre and width of
            each peak, shape `(8,)`.
        x: Where it is evaluated, shape `(n,)`.

    Returns:
        The predictions, shape `(n,)`.
    """
    first = b[2] * jnp.exp(-(((x - b[3]) / b[4]) ** 2))
    second = b[5] * jnp.exp(-(((x - b[6]) / b[7]) ** 2))
    return b[0] * jnp.exp(-b[1] * x) + first + second


def gaussian_peaks() -> Problem:
    """Two overlapping peaks on a decaying background, at 80 points.

    The widths enter as squares: their signs don't matter, and neither does the order of
    the peaks. So every minimum comes in eight copies, of which one is recorded.

    Returns:
        The problem; its minimizer is (3, 0.4, 2, 3, 0.8, 1.5, 5, 1.1) exactly.
    """
    return _bundled(
        "gaussian_peaks",
        gaussian_peaks_model,
        np.arange(80) / 10,
        (3.0, 0.4, 2.0, 3.0, 0.8, 1.5, 5.0, 1.1),
        0.05,
        (2.5, 0.3, 1.5, 2.7, 1, 1, 5.4, 1),
        "Two Gaussian peaks on a background",
    )
