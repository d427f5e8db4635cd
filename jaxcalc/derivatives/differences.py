r"""Derivatives from their definition: quotients, secants, tangents, and the limit.

$$f'(x) = \lim_{h \to 0} \frac{f(x + h) - f(x)}{h}$$

`difference_quotient` is what the limit is of; `numerical_derivative` takes the limit,
with an error that holds (`jaxcalc.derivatives.lines` shows and draws it).
`numerical_derivative` is also the ladder that the other modules stand on: it takes any
scalar function of one variable, say $\varphi(t) = f(x + t v)$ at $t = 0$, and gives the
derivative and how far that may be off (`jaxcalc.derivatives.ladder` has the method).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxcalc import _checks, _programs
from jaxcalc.derivatives import _points, ladder
from jaxcalc.derivatives.ladder import Estimate

_KINDS = {"forward": (1, 0), "backward": (0, 1), "central": (1, 1)}


def difference_quotient(
    f: Callable[..., Any],
    x: ArrayLike,
    h: ArrayLike,
    kind: str = "forward",
    *,
    args: tuple[Any, ...] = (),
) -> Float[Array, "..."]:
    r"""Slope of the secant of $f$ over a step $h$.

    $$\frac{f(x+h) - f(x)}{h}, \qquad \frac{f(x) - f(x-h)}{h}, \qquad
    \frac{f(x+h) - f(x-h)}{2h}$$

    The error falls like $h$ (forward, backward) or $h^2$ (central), until rounding,
    which grows like $\epsilon |f| / h$, takes over. The denominator is the distance of
    the two points as they are represented, so rounding of $x + h$ itself does no harm.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar, written with `jax.numpy`.
        x: Points, of any shape; floating.
        h: Steps, broadcast against `x`; not zero, and large enough to change `x`.
        kind: `"forward"`, `"backward"` or `"central"`.
        args: Data handed on to `f`.

    Returns:
        Quotients in the units of $f$ over those of $x$, in the broadcast shape.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar.
        ValueError: `h` is zero, not finite, or so small that `x + h` is `x`.
    """
    ahead, behind = _KINDS[_checks.known("kind", kind, _KINDS)]
    x = _points.point("x", x)
    h = jnp.asarray(h, x.dtype)
    x, h = jnp.broadcast_arrays(x, h)
    right, left = x + ahead * h, x - behind * h
    _check_steps(x, h)
    _points.check_scalar_function(f, x, args)
    flat = jnp.stack([right, left]).reshape(-1)
    values = _programs.compiled(_points.vectorized, f)(flat, args).reshape(2, *x.shape)
    return (values[0] - values[1]) / (right - left)


def _check_steps(x: Array, h: Array) -> None:
    if isinstance(h, Tracer) or isinstance(x, Tracer):
        return
    if not bool(jnp.all(jnp.isfinite(h) & (h != 0))):
        raise ValueError(f"`h` must be finite and not zero, got {h}")
    lost = np.asarray((x + h == x) | (x - h == x))
    if lost.any():
        at, step = np.asarray(x)[lost].flat[0], np.asarray(h)[lost].flat[0]
        least = float(np.spacing(np.abs(at)))
        raise ValueError(
            f"`h` = {step:g} is too small: x + h = x at x = {at:g} in {x.dtype}; "
            f"take at least {least:.2g}, or use numerical_derivative"
        )


def numerical_derivative(
    f: Callable[..., Any],
    x: ArrayLike,
    order: int = 1,
    *,
    side: str | None = None,
    method: str = "ladder",
    rungs: int | None = None,
    args: tuple[Any, ...] = (),
) -> Estimate:
    r"""Derivative of $f$ by differences, with an error that holds.

    A ladder of steps from 64 times the scale of `x` down to near its rounding unit is
    evaluated for all points in one compiled call, `2 * rungs + 1` values
    for each; Richardson extrapolation then finds the rung and the column with the
    smallest error. Where $f$ ends at `x`, the side where it is defined is used alone.
    At a kink the error covers both one-sided slopes; where the quotients grow without
    bound, at a jump or a vertical tangent, it is infinite.

    Structure smaller than what the rounding of $f$ hides cannot be seen. Call it
    outside `jit`: the steps are chosen from the values.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar, written with `jax.numpy`.
        x: Points, of any shape; floating. The work is done in their dtype.
        order: Which derivative, 1 to 4.
        side: None, or `"right"` or `"left"` for a one-sided derivative.
        method: `"ladder"`, or `"complex"` for the complex step (order 1 only), for
            functions that take complex numbers; see `complex_step`.
        rungs: How many steps, at least 16; by default 64 in float64, 36 in float32.
        args: Data handed on to `f`.

    Returns:
        `(value, error)`, each of the shape of `x`: the true derivative is within
        `error` of `value`. NaN and infinity where nothing can be said, as outside of
        the domain.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar, or
            was called under `jit`.
        ValueError: `order`, `side`, `method` or `rungs` is not one there is, or the
            complex step does not apply to `f`.

    References:
        Ridders (1982), Accurate computation of F'(x) and F'(x)F''(x), Advances in
        Engineering Software 4(2).
        Lyness and Moler (1967), Numerical differentiation of analytic functions, SIAM
        Journal on Numerical Analysis 4(2).
    """
    order = _checks.positive_int("order", order)
    _checks.known("order", order, range(1, 5))
    _checks.known("side", side, (None, "right", "left"))
    _checks.known("method", method, ("ladder", "complex"))
    if method == "complex":
        if order != 1 or side is not None:
            raise ValueError("the complex step has order 1 and no side")
        return complex_step(f, x, args=args)
    x = _points.concrete(_points.point("x", x))
    _points.check_scalar_function(f, x, args)
    flat = np.asarray(x).reshape(-1)
    with np.errstate(all="ignore"):
        result = ladder.estimate(climb(f, flat, rungs=rungs, args=args), order, side)
    return Estimate(*(jnp.asarray(a.reshape(x.shape), x.dtype) for a in result))


def climb(
    f: Callable[..., Any],
    x: np.ndarray,
    *,
    rungs: int | None = None,
    args: tuple[Any, ...] = (),
) -> ladder.Ladder:
    """Evaluate a function on the ladders of all points, in one compiled call.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar.
        x: Points, shape `(n,)`, in the dtype in which `f` is to work.
        rungs: How many steps on either side; by default as many as the dtype needs.
        args: Data handed on to `f`.

    Returns:
        The values, for `jaxcalc.derivatives.ladder.estimate`.

    Raises:
        TypeError: `rungs` is not an integer.
        ValueError: `rungs` is too small.
    """
    eps = float(jnp.finfo(x.dtype).eps)
    default = 64 if eps < 1e-10 else 36
    rungs = _checks.positive_int(
        "rungs", default if rungs is None else rungs, minimum=16
    )
    wide = x.astype(np.float64)
    steps = ladder.geometric_steps(wide, eps, rungs=rungs)
    right, left = ((wide[:, None] + s * steps).astype(x.dtype) for s in (1, -1))
    points = np.concatenate([x[:, None], right, left], axis=1)
    program = _programs.compiled(_points.vectorized, f)
    values = np.asarray(program(points.reshape(-1), args), np.float64)
    values = values.reshape(points.shape)
    moved = np.abs(points.astype(np.float64) - wide[:, None])[:, 1:]
    return ladder.on_ladder(steps, moved, values, eps)


def complex_step(
    f: Callable[..., Any], x: ArrayLike, *, args: tuple[Any, ...] = ()
) -> Estimate:
    r"""Derivative from one value at a complex point, free of cancellation.

    $$f'(x) \approx \frac{\operatorname{Im} f(x + i h)}{h}, \qquad h = \epsilon^2 |x|$$

    Exact to rounding for real-analytic $f$ that are written without `abs`, `max`,
    comparisons, or conjugates; others are refused, because the ladder disagrees with
    them or because they do not take complex numbers. The stated error is the scatter
    of the derivative over neighbouring points, and a few roundings.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar, real or complex.
        x: Points, of any shape; floating.
        args: Data handed on to `f`.

    Returns:
        `(value, error)`, each of the shape of `x`.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar.
        ValueError: `f` does not take complex numbers, or is not analytic.

    References:
        Lyness and Moler (1967), Numerical differentiation of analytic functions, SIAM
        Journal on Numerical Analysis 4(2).
    """
    x = _points.concrete(_points.point("x", x))
    value, error = numerical_derivative(f, x, args=args)
    try:
        slopes = _programs.compiled(_complex_slopes, f)(x.reshape(-1), args)
    except (TypeError, ValueError, NotImplementedError) as problem:
        raise ValueError(
            f"the complex step needs f to take complex numbers, and it does not: "
            f'{problem}; use method="ladder"'
        ) from problem
    eps = float(jnp.finfo(x.dtype).eps)
    slopes = np.asarray(slopes, np.float64).reshape(3, *x.shape)
    scatter = 2 * (slopes.max(0) - slopes.min(0)) + 8 * eps * np.abs(slopes[0])
    apart = np.abs(slopes[0] - np.asarray(value)) > np.asarray(error) + scatter
    if apart.any():
        at = np.asarray(x)[apart].flat[0]
        raise ValueError(
            f"the complex step does not apply: at x = {at:g} it gives "
            f"{slopes[0][apart].flat[0]:g}, differences {np.asarray(value)[apart][0]:g}"
            ' (a function with abs, max or comparisons, say); use method="ladder"'
        )
    return Estimate(jnp.asarray(slopes[0], x.dtype), jnp.asarray(scatter, x.dtype))


def _complex_slopes(f: Callable[..., Any]) -> Callable[..., Any]:
    def slopes(x: Array, args: tuple[Any, ...]) -> Array:
        eps = jnp.finfo(x.dtype).eps
        h = eps**2 * jnp.where(x == 0, 1.0, jnp.abs(x)).astype(x.dtype)
        near = jnp.stack([x, x * (1 - eps), x * (1 + eps)])
        points = jax.lax.complex(near, jnp.broadcast_to(h, near.shape))
        values = jax.vmap(jax.vmap(lambda z: f(z, *args)))(points)
        if not jnp.iscomplexobj(values):
            raise ValueError("its result is real")
        return jnp.imag(values) / h

    return slopes
