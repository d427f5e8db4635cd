"""Real data sets, standardized and checked, and the pieces that factories share."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc import _checks, losses


@functools.cache
def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one of scikit-learn's bundled data sets; nothing is downloaded.

    Args:
        name: "diabetes", "breast_cancer" or "digits".

    Returns:
        Standardized features and raw targets, as read-only float64 arrays.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise ImportError(
            f"the problem {name!r} needs scikit-learn for its data: "
            "pip install 'jaxcalc[experiments]'"
        ) from None
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    X, y = standardized(np.asarray(X, float)), np.array(y)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def held_out(
    X: np.ndarray, y: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Divide examples into those to learn from and those to judge by.

    Args:
        X: Features, shape `(n, d)`.
        y: Targets, shape `(n,)`.
        share: Part of the rows that is held out, below 1; always the same rows.

    Returns:
        Features and targets to learn from, then those held out. All features are scaled
        by what is learned from: nothing of the others leaks.

    Raises:
        ValueError: The share is negative, or leaves nothing to learn from.
    """
    share = _checks.positive_float("validation", share, zero=True)
    out = round(share * len(X))
    if share >= 1 or out >= len(X):
        raise ValueError(f"`validation` must be below 1, got {share:g}")
    order = np.random.default_rng(0).permutation(len(X)) if out else np.arange(len(X))
    learn, judge = order[out:], order[:out]
    if not out:
        return X, y, X[:0], y[:0]
    centre, scale = X[learn].mean(axis=0), X[learn].std(axis=0)
    X = (X - centre) / np.where(scale == 0, 1, scale)
    return X[learn], y[learn], X[judge], y[judge]


def standardized(X: np.ndarray) -> np.ndarray:
    """Shift and scale columns to mean 0 and variance 1; constant ones become zero.

    Args:
        X: Numbers, shape `(n, d)` or `(n,)`.

    Returns:
        An array of the same shape.
    """
    centred = X - X.mean(axis=0)
    # A constant column's mean may round, and its deviation then be a rounding error.
    constant = np.ptp(X, axis=0) == 0
    return np.where(constant, 0, centred / np.where(constant, 1, X.std(axis=0)))


def check(name: str, X: np.ndarray, y: np.ndarray, *, classes: int = 0) -> None:
    """Check that features and targets are fit to learn from.

    Args:
        name: The problem's name, for the error message.
        X: Features, shape `(n, d)`.
        y: Targets, shape `(n,)`.
        classes: How many classes there must be; 0 where targets are numbers.

    Raises:
        ValueError: A shape is wrong, rows differ in number, a number is not finite, or
            a class is missing.
    """
    if X.ndim != 2 or y.ndim != 1 or not X.size:
        raise ValueError(
            f"problem {name!r}: features and targets must have shapes (n, d) and (n,), "
            f"got {X.shape} and {y.shape}"
        )
    if len(X) != len(y):
        raise ValueError(
            f"problem {name!r}: {len(X)} rows of features but {len(y)} targets"
        )
    for what, values in (("features", X), ("targets", y)):
        bad = int(np.sum(~np.isfinite(values)))
        if bad:
            raise ValueError(f"problem {name!r}: {bad} {what} are NaN or infinite")
    found, counts = np.unique(y, return_counts=True)
    if classes and len(found) != classes:
        balance = dict(zip(found.tolist(), counts.tolist(), strict=True))
        raise ValueError(
            f"problem {name!r}: there must be {classes} classes, the targets have "
            f"{len(found)} (class: examples): {balance}"
        )


def floats(*arrays: Any) -> tuple[jax.Array, ...]:
    """Place arrays on the device in the default floating dtype.

    Args:
        *arrays: NumPy arrays or numbers.

    Returns:
        JAX arrays: float64 where 64-bit floats are on, else float32.
    """
    return tuple(jnp.asarray(array, jnp.result_type(float)) for array in arrays)


def named(name: str, *options: tuple[str, Any, Any]) -> str:
    """Append the options that differ from their defaults to a problem's name.

    Args:
        name: The factory's name.
        *options: An option's label (which may be empty), its value and its default.

    Returns:
        For example "rosenbrock_10" or "breast_cancer_ridge_0.001".
    """
    for label, value, default in options:
        if value != default:
            short = f"{value:g}"
            text = short if float(short) == value else repr(value)
            name = "_".join(filter(None, (name, label, text)))
    return name


def penalty(ridge: float) -> str:
    """What a title says of the penalty.

    Args:
        ridge: The factor of the penalty.

    Returns:
        For example ", ridge 0.01"; nothing where there is no penalty.
    """
    return f", ridge {ridge:g}" if ridge else ""


def ridge_on_weights(params: dict[str, Any], ridge: jax.Array) -> jax.Array:
    """Hessian of a ridge penalty on `params["w"]` alone, the intercept first.

    Args:
        params: `{"w": (d,), "b": ()}`.
        ridge: The factor of the penalty, shape `()`.

    Returns:
        A diagonal matrix, shape `(d + 1, d + 1)`.
    """
    n = 1 + params["w"].size
    return jnp.diag(jnp.full(n, ridge).at[0].set(0))


# Compiled programs are cached by the functions they are made of, so equal requests for
# a start get the identical function, as the losses do by standing in a module.


@functools.cache
def uniform(lower: tuple[float, ...], upper: tuple[float, ...]) -> Callable[..., Any]:
    """Starts spread evenly over a box.

    Args:
        lower: The box's lower corner.
        upper: The box's upper corner.

    Returns:
        `init(key)`, which draws an array of shape `(n,)`.
    """

    def init(key: jax.Array) -> jax.Array:
        low, high = floats(lower, upper)
        return jax.random.uniform(key, low.shape, low.dtype, low, high)

    return init


@functools.cache
def normal(features: int, outputs: int | None = None) -> Callable[..., Any]:
    """Starts of a linear model near zero.

    Args:
        features: How many features there are.
        outputs: How many outputs for each example; None for one without an axis.

    Returns:
        `init(key)`, which draws parameters with standard deviation 0.1.
    """
    return functools.partial(losses.init_linear, features=features, outputs=outputs)


def near(start: Any) -> Callable[..., Any]:
    """Starts around a point: each number is moved by up to a tenth of its size.

    Numbers that are zero have no size and move by up to 0.1.

    Args:
        start: The point, any pytree of NumPy arrays or numbers.

    Returns:
        `init(key)`, which draws parameters of the same structure.
    """
    leaves, structure = jax.tree.flatten(start)
    arrays = [np.asarray(leaf, float) for leaf in leaves]
    return _near(structure, tuple((a.shape, tuple(a.ravel().tolist())) for a in arrays))


@functools.cache
def _near(structure: Any, leaves: tuple[Any, ...]) -> Callable[..., Any]:
    def init(key: jax.Array) -> Any:
        moved = []
        for shape, numbers in leaves:
            key, own = jax.random.split(key)
            (centre,) = floats(np.reshape(numbers, shape))
            share = jax.random.uniform(own, shape, centre.dtype, -0.1, 0.1)
            moved.append(centre + share * jnp.where(centre == 0, 1, jnp.abs(centre)))
        return jax.tree.unflatten(structure, moved)

    return init
