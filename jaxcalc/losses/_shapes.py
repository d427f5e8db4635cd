"""Trace-time checks of what losses and models are given."""

from typing import Any

import jax


def same(name: str, value: jax.Array, other_name: str, other: jax.Array) -> None:
    """Check that two arguments have the same shape and hold something to average.

    Args:
        name: The argument's name, for the error message.
        value: The argument.
        other_name: The name of the argument that it belongs to.
        other: The argument that it belongs to.

    Raises:
        ValueError: The shapes differ, or there are no examples.
    """
    if value.shape != other.shape:
        raise ValueError(
            f"`{name}` has shape {value.shape} but `{other_name}` has {other.shape}: "
            "they must be equal, one entry for each example (nothing is broadcast)"
        )
    examples(name, value)


def examples(name: str, value: jax.Array) -> None:
    """Check that there is at least one example, as the mean of none is NaN.

    Args:
        name: The argument's name, for the error message.
        value: The argument, examples along its first axis.

    Raises:
        ValueError: There are no examples.
    """
    if value.size == 0:
        raise ValueError(f"`{name}` has shape {value.shape}: there are no examples")


def matrix(name: str, value: jax.Array, columns: int) -> None:
    """Check that an argument is a matrix with one column for each feature.

    Args:
        name: The argument's name, for the error message.
        value: The argument.
        columns: How many features the parameters are for.

    Raises:
        ValueError: It is not a matrix, or has another number of columns.
    """
    if value.ndim != 2 or value.shape[1] != columns:
        raise ValueError(
            f"`{name}` has shape {value.shape}, but the parameters are for "
            f"(n, {columns}): examples along rows, features along columns"
        )


def layer(name: str, params: Any) -> tuple[jax.Array, jax.Array]:
    """Return weights and intercept of a linear map after checking that they fit.

    Args:
        name: The argument's name, for the error message.
        params: `{"w": (d,), "b": ()}` or `{"w": (d, k), "b": (k,)}`.

    Returns:
        The weights and the intercept.

    Raises:
        ValueError: There is no such entry, or the shapes don't fit each other.
    """
    try:
        w, b = params["w"], params["b"]
    except (KeyError, TypeError, IndexError):
        raise ValueError(
            f"`{name}` must be a dict with the weights 'w' and the intercept 'b', "
            f"got {jax.tree.structure(params)}"
        ) from None
    if w.ndim not in {1, 2} or b.shape != w.shape[1:]:
        raise ValueError(
            f"`{name}` has weights of shape {w.shape} and an intercept of shape "
            f"{b.shape}: they must be (d,) with (), or (d, k) with (k,)"
        )
    return w, b
