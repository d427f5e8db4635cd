"""Trace-time errors: each names the argument, what was given, and the remedy."""

import math
import operator
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def positive_int(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`.

    Args:
        name: The argument's name, for the error message.
        value: What the caller passed.
        minimum: The smallest value that is accepted.

    Returns:
        The value as a Python int.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: `value` is smaller than `minimum`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"`{name}` must be an integer, got {value!r}")
    if number < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, got {number}")
    return number


def positive_float(name: str, value: Any, *, zero: bool = False) -> float:
    """Return `value` as a finite float above zero (or not below it, with `zero`).

    Args:
        name: The argument's name, for the error message.
        value: What the caller passed.
        zero: Whether zero is accepted.

    Returns:
        The value as a Python float.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is negative, not finite, or a zero that is not accepted.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be a real number, got {value!r}") from None
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        bound = "zero or more" if zero else "positive"
        raise ValueError(f"`{name}` must be finite and {bound}, got {value!r}")
    return number


def known(name: str, value: Any, options: Iterable[Any]) -> Any:
    """Return `value` if it is one of `options`.

    Args:
        name: What is looked up, for the error message.
        value: What the caller passed.
        options: What there is.

    Returns:
        The value.

    Raises:
        ValueError: `value` is not one of `options`; the message lists them.
    """
    options = list(options)
    if value not in options:
        listed = ", ".join(map(repr, options))
        raise ValueError(f"unknown {name} {value!r}; there are {listed}")
    return value


def floating_params(name: str, params: Any) -> Any:
    """Return `params` with every leaf a strongly typed floating array.

    Args:
        name: The argument's name, for the error message.
        params: A pytree of floating arrays or Python floats; a bare number counts.

    Returns:
        The same tree with `jax.Array` leaves.

    Raises:
        TypeError: A leaf is not a real floating number.
        ValueError: The tree has no leaves, or they hold no numbers.
    """
    if isinstance(params, jax.Array) and params.size and _is_strong(params):
        return params
    leaves = jax.tree.leaves_with_path(params)
    if not leaves or all(jnp.size(leaf) == 0 for _, leaf in leaves):
        raise ValueError(f"`{name}` holds no numbers: pass at least one parameter")
    for path, leaf in leaves:
        where = name + jax.tree_util.keystr(path)
        try:
            dtype = jnp.result_type(leaf)
        except (TypeError, ValueError):
            raise TypeError(f"`{where}` must be an array, got {leaf!r}") from None
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"`{where}` must be floating, got {dtype}: parameters are changed by "
                "small steps; convert them, for example with jnp.asarray(x, float)"
            )
    return jax.tree.map(_strong, params)


def finite(name: str, params: Any) -> None:
    """Check that concrete parameters are finite; what is being traced is let through.

    Args:
        name: The argument's name, for the error message.
        params: A pytree of floating arrays.

    Raises:
        ValueError: A leaf has an entry that is NaN or infinite.
    """
    for path, leaf in jax.tree.leaves_with_path(params):
        # Other hosts' parts of an array can't be read here.
        if isinstance(leaf, Tracer) or not leaf.is_fully_addressable:
            continue
        wrong = ~np.isfinite(np.asarray(leaf, np.float64))
        if wrong.any():
            where = name + jax.tree_util.keystr(path)
            raise ValueError(
                f"`{where}` must be finite, got {int(wrong.sum())} of {wrong.size} "
                "entries that are NaN or infinite: start where the loss is defined"
            )


def scalar_loss(name: str, value: Any) -> None:
    """Check that what a loss returned is a real floating scalar.

    Args:
        name: The argument's name, for the error message.
        value: What the loss returned: an array or its shape and dtype.

    Raises:
        TypeError: It is not a single floating array of shape `()`.
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None and isinstance(value, float):
        return
    if shape is None or dtype is None:
        raise TypeError(
            f"`{name}` must return a scalar, got {jax.tree.structure(value)}: "
            "return the loss alone, without auxiliary values"
        )
    if shape != ():
        raise TypeError(
            f"`{name}` must return a scalar, got shape {shape}: "
            "reduce it, for example with jnp.mean"
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"`{name}` must return a floating scalar, got {dtype}")


def _strong(leaf: Any) -> jax.Array:
    if isinstance(leaf, jax.Array) and _is_strong(leaf):
        return leaf
    return jnp.asarray(leaf, jnp.result_type(leaf))


def _is_strong(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating) and not leaf.weak_type
