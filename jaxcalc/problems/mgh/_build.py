"""What all problems of the set share: their names, losses and starts."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxcalc import _checks
from jaxcalc.problems import _data
from jaxcalc.problems.problem import Problem, sum_of_squares


def problem(
    number: int,
    name: str,
    title: str,
    residual: Callable[..., jax.Array],
    start: Any,
    *,
    options: Sequence[tuple[str, int, int]] = (),
    args: tuple[Any, ...] = (),
    minimum: float | None = 0.0,
    minimizers: Sequence[Any] = (),
    local_minima: Sequence[float] = (),
) -> Problem:
    """Build one problem of the set from its residual.

    Args:
        number: Its number in the paper.
        name: Its name within the set.
        title: Its name for people.
        residual: `residual(x, *args) -> (m,)`.
        start: The standard start, shape `(n,)`.
        options: Label, value and default of each option that the caller has.
        args: The data, NumPy arrays or numbers.
        minimum: The lowest value, where it is known.
        minimizers: Points where it is reached.
        local_minima: Other values at which a descent may end.

    Returns:
        The problem.
    """
    start = np.asarray(start, float)
    start.flags.writeable = False
    sizes = "".join(f", {label or 'n'} = {value}" for label, value, _ in options)
    return Problem(
        name=_data.named(f"mgh_{name}", *options),
        loss=sum_of_squares(residual),
        residual=residual,
        init=_data.near(start),
        standard_start=start,
        args=_data.floats(*args),
        minimum=minimum,
        minimizers=tuple(np.asarray(point, float) for point in minimizers),
        local_minima=tuple(local_minima),
        title=f"MGH {number}: {title}{sizes}",
        source=f"Moré, Garbow and Hillstrom (1981), ACM TOMS 7(1), problem {number}",
    )


def terms(value: Any, dimension: int) -> int:
    """Check the number of residuals of a problem that leaves it to the caller.

    Args:
        value: What the caller passed.
        dimension: The number of variables, which it must reach.

    Returns:
        The number of residuals.
    """
    return _checks.positive_int("terms", value, minimum=dimension)


def multiple(dimension: Any, factor: int) -> int:
    """Check the dimension of a problem that repeats a block of variables.

    Args:
        dimension: What the caller passed.
        factor: The block's size, which must divide it.

    Returns:
        The dimension.

    Raises:
        ValueError: `dimension` is not a multiple of `factor`.
    """
    n = _checks.positive_int("dimension", dimension, minimum=factor)
    if n % factor:
        raise ValueError(f"`dimension` must be a multiple of {factor}, got {n}")
    return n
