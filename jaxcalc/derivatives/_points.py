"""What the functions of one variable share: their points, and how they evaluate."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

from jaxcalc import _checks


def vectorized(f: Callable[..., Any]) -> Callable[..., Any]:
    """Build `values(points, args)` out of a scalar function; for `compiled`.

    Args:
        f: A function `f(x, *args) -> scalar`.

    Returns:
        The function of a vector of points.
    """
    return lambda points, args: jax.vmap(lambda t: f(t, *args))(points)


def point(name: str, x: Any) -> Array:
    """Return points as a strongly typed floating array.

    Args:
        name: The argument's name, for the error message.
        x: A float or an array of them.

    Returns:
        The array.

    Raises:
        TypeError: `x` is not real and floating.
    """
    try:
        dtype = jnp.result_type(x)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be a number, got {x!r}") from None
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"`{name}` must be floating, got {dtype}: a derivative needs small steps; "
            f"convert it, for example with float({name})"
        )
    return jnp.asarray(x, dtype)


def concrete(x: Array) -> Array:
    """Refuse a traced value with an explanation.

    Args:
        x: An array, or a tracer of one.

    Returns:
        The array.

    Raises:
        TypeError: `x` is traced.
    """
    if isinstance(x, Tracer):
        raise TypeError(
            "differences choose their steps from the values: call this outside jit, "
            "grad and vmap; it takes arrays of points"
        )
    return x


def check_scalar_function(
    f: Callable[..., Any], x: Array, args: tuple[Any, ...] = ()
) -> None:
    """Check that `f` maps a floating scalar to a floating scalar.

    Args:
        f: A function `f(x, *args) -> scalar`.
        x: The points at which it will be evaluated.
        args: Data handed on to `f`.

    Raises:
        TypeError: `f` is not callable, returns something else, or cannot be traced.
    """
    if not callable(f):
        raise TypeError(f"`f` must be a function, got {f!r}")
    struct = jax.ShapeDtypeStruct((), x.dtype)
    try:
        value = jax.eval_shape(f, struct, *args)
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
    ) as problem:
        raise TypeError(
            "`f` must be written with jax.numpy, and branch with jnp.where instead of "
            f"if: it is evaluated at many points at once ({type(problem).__name__})"
        ) from problem
    _checks.scalar_loss("f", value)
