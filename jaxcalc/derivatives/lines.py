"""Secants, tangents, and the limit that leads from one to the other as a table."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxcalc import _programs
from jaxcalc.derivatives import _points
from jaxcalc.derivatives.differences import (
    difference_quotient,
    numerical_derivative,
)


@dataclasses.dataclass(frozen=True)
class Line:
    """A straight line: call it with a number or an array.

    Attributes:
        slope: Rise over run.
        intercept: Its value at zero.
        x: Where it touches or first cuts the graph.
        y: Its value there; evaluating from here loses no digits near `x`.
    """

    slope: float
    intercept: float
    x: float
    y: float

    def __call__(self, t: ArrayLike) -> Array:
        """Value of the line at `t`."""
        return self.y + self.slope * (jnp.asarray(t) - self.x)

    def __str__(self) -> str:
        sign = "-" if self.intercept < 0 else "+"
        return f"y = {self.slope:.10g} x {sign} {abs(self.intercept):.10g}"

    def to_json(self) -> str:
        """The line as a JSON object."""
        return json.dumps(dataclasses.asdict(self))


def secant_line(
    f: Callable[..., Any], x: float, h: float, *, args: tuple[Any, ...] = ()
) -> Line:
    """The line through $(x, f(x))$ and $(x + h, f(x + h))$.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar.
        x: The first point; a float.
        h: The step to the second point; may be negative.
        args: Data handed on to `f`.

    Returns:
        The line, callable, with its slope and intercept.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar.
        ValueError: `h` is zero or too small, or $f$ is not finite at both points.
    """
    slope = float(difference_quotient(f, x, h, args=args))
    if not math.isfinite(slope):
        raise ValueError(f"f is not finite at both x = {x:g} and x + h = {x + h:g}")
    return _line(f, x, slope, args)


def tangent_line(
    f: Callable[..., Any], x: float, *, args: tuple[Any, ...] = ()
) -> Line:
    r"""The line that $f$ looks like close to $x$: $y = f(x) + f'(x) (t - x)$.

    The slope is that of automatic differentiation where differences confirm it, and
    theirs where they do not, as under a wrong custom rule.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar.
        x: The point of contact; a float.
        args: Data handed on to `f`.

    Returns:
        The line, callable, with its slope and intercept.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar.
        ValueError: $f$ has no tangent there: it is not defined, or its one-sided
            slopes differ.
    """
    value, error = map(float, numerical_derivative(f, x, args=args))
    tolerance = float(jnp.finfo(_points.point("x", x).dtype).eps) ** 0.25
    if not error <= tolerance * max(1.0, abs(value)):
        raise ValueError(
            f"f has no tangent at x = {x:g}, or none that can be told from its values: "
            f"the slope is {value:g} within {error:.2g}; ask `differentiability`"
        )
    automatic = float(_programs.compiled(_slope, f)(_points.point("x", x), args))
    confirmed = abs(automatic - value) <= error
    return _line(f, x, automatic if confirmed else value, args)


def _slope(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, args: jax.grad(lambda t: f(t, *args))(x)


def _line(f: Callable[..., Any], x: Any, slope: float, args: tuple[Any, ...]) -> Line:
    x = _points.point("x", x)
    y = float(_programs.compiled(_points.vectorized, f)(x[None], args)[0])
    return Line(slope, y - slope * float(x), float(x), y)


@dataclasses.dataclass(frozen=True)
class LimitTable:
    """Quotients for smaller and smaller steps, beside their limit.

    Attributes:
        kind: Which quotient.
        h: Steps, as given.
        quotient: The quotient for each step.
        error: Its distance from the limit.
        order: Between this step and the one before, the power of `h` that the error
            follows; NaN in the first row and where an error is zero.
        limit: The derivative that the quotients tend to.
        limit_error: How far that may be off; zero where it was given.
    """

    kind: str
    h: tuple[float, ...]
    quotient: tuple[float, ...]
    error: tuple[float, ...]
    order: tuple[float, ...]
    limit: float
    limit_error: float

    def rows(self) -> list[tuple[float, float, float, float]]:
        """Rows of step, quotient, error and observed order."""
        return list(zip(self.h, self.quotient, self.error, self.order, strict=True))

    def to_markdown(self) -> str:
        """The table in Markdown."""
        lines = ["| h | quotient | error | observed order |", "|--:|--:|--:|--:|"]
        for h, quotient, error, order in self.rows():
            shown = "" if math.isnan(order) else f"{order:.2f}"
            lines.append(f"| {h:g} | {quotient:.12g} | {error:.2e} | {shown} |")
        return "\n".join(lines)

    def __str__(self) -> str:
        head = f"{'h':>10} {'quotient':>20} {'error':>10} {'order':>6}"
        rows = [
            f"{h:>10.3g} {quotient:>20.14g} {error:>10.2e} {order:>6.2f}"
            for h, quotient, error, order in self.rows()
        ]
        last = f"limit {self.limit:.14g} within {self.limit_error:.1e} ({self.kind})"
        return "\n".join([head, *rows, last])

    def to_json(self) -> str:
        """The table as a JSON object; NaN becomes null."""
        record = dataclasses.asdict(self)
        record["order"] = [None if math.isnan(o) else o for o in self.order]
        return json.dumps(record)


def limit_table(
    f: Callable[..., Any],
    x: float,
    steps: Sequence[float] | None = None,
    kind: str = "forward",
    *,
    exact: float | None = None,
    args: tuple[Any, ...] = (),
) -> LimitTable:
    """The limit of the difference quotient, as a table.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar.
        x: The point; a float.
        steps: Steps, largest first; by default 1, 0.1, ... down to 1e-8.
        kind: `"forward"`, `"backward"` or `"central"`.
        exact: The derivative, where it is known; by default `numerical_derivative`.
        args: Data handed on to `f`.

    Returns:
        The table: steps, quotients, errors and the observed order.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar.
        ValueError: A step is zero or too small.
    """
    steps = [10.0**-k for k in range(9)] if steps is None else list(steps)
    quotients = np.asarray(
        difference_quotient(f, x, jnp.asarray(steps), kind, args=args), float
    )
    limit, limit_error = exact, 0.0
    if limit is None:
        limit, limit_error = map(float, numerical_derivative(f, x, args=args))
    errors = np.abs(quotients - limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        orders = np.diff(np.log(errors)) / np.diff(np.log(np.abs(steps)))
    orders = np.where(np.isfinite(orders), orders, np.nan)
    return LimitTable(
        kind,
        tuple(map(float, steps)),
        tuple(quotients.tolist()),
        tuple(errors.tolist()),
        (math.nan, *orders.tolist()),
        float(limit),
        float(limit_error),
    )
