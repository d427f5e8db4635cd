"""One function of one variable, sampled on both sides of a point.

Beside its values, the slopes and curvatures that automatic differentiation gives at
the neighbouring points are sampled, where it gives any. They resolve what differences
of values cannot, and are believed only as far as the values confirm them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxcalc import _programs
from jaxcalc.derivatives import _limits
from jaxcalc.derivatives._limits import Limit, Trend


class Samples(NamedTuple):
    """Values, slopes and curvatures at some points; NaN where there are none."""

    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


class Side(NamedTuple):
    """What a function does on one side, all seen in the direction of the axis.

    Attributes:
        value: The limit of its values.
        slope: The limit of its quotients, against `start`.
        slopes: The limit of the slopes of automatic differentiation.
        curvature: The second derivative from values.
        curvatures: The limit of the curvatures of automatic differentiation.
        nearest: The smallest step with a value, that value, and that of the next step.
        steps: Steps of the first ladder.
        quotients: Its quotients: the evidence.
    """

    value: Limit
    slope: Limit
    slopes: Limit
    curvature: Limit
    curvatures: Limit
    nearest: tuple[float, float, float]
    steps: np.ndarray
    quotients: np.ndarray


Pair = tuple[Side | None, Side | None]
_COARSE = 1e-9  # a spacing of floats beside which functions may well vary


def sampler(
    f: Callable[..., Any], x: Any, args: tuple[Any, ...], *, wide: bool = False
) -> Callable[[np.ndarray], Samples]:
    """Return a function that samples `f` at a vector of points, compiled once.

    Args:
        f: A function `f(x, *args) -> scalar` of a scalar.
        x: A point, for its dtype.
        args: Data handed on to `f`.
        wide: Whether `f` is costly, and better evaluated few points at a time.

    Returns:
        The function of points.
    """
    mode = _mode(f, jnp.asarray(x), args)
    program = _programs.compiled(_sampled, f, mode, wide)

    def sample(points: np.ndarray) -> Samples:
        return Samples(
            *(np.asarray(part, np.float64) for part in program(points, args))
        )

    return sample


def _mode(f: Callable[..., Any], x: Array, args: tuple[Any, ...]) -> tuple[str, int]:
    """How often, and in which mode, `f` can be differentiated automatically."""
    for mode in (("reverse", 2), ("forward", 2), ("reverse", 1), ("forward", 1)):
        try:
            jax.eval_shape(_derivatives(f, mode), x, args)
        except Exception:
            continue
        return mode
    return ("reverse", 0)


def _derivatives(
    f: Callable[..., Any], mode: tuple[str, int]
) -> Callable[[Array, tuple[Any, ...]], tuple[Array, Array, Array]]:
    def forward(g: Callable[..., Array]) -> Callable[..., Array]:
        return lambda t: jax.jvp(g, (t,), (jnp.ones_like(t),))[1]

    derive = jax.grad if mode[0] == "reverse" else forward

    def all_of_them(t: Array, args: tuple[Any, ...]) -> tuple[Array, Array, Array]:
        def g(t: Array) -> Array:
            return f(t, *args)

        value = g(t)
        nothing = jnp.full_like(value, jnp.nan)
        slope = derive(g)(t) if mode[1] > 0 else nothing
        return value, slope, derive(derive(g))(t) if mode[1] > 1 else nothing

    return all_of_them


def _sampled(
    f: Callable[..., Any], mode: tuple[str, int], wide: bool
) -> Callable[..., Any]:
    derivatives = _derivatives(f, mode)

    def sampled(points: Array, args: tuple[Any, ...]) -> tuple[Array, Array, Array]:
        def at(t: Array) -> tuple[Array, Array, Array]:
            return derivatives(t, args)

        return jax.lax.map(at, points, batch_size=16) if wide else jax.vmap(at)(points)

    return sampled


def line(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f` along a line, as a function of one variable.

    Args:
        f: A function `f(params, *args) -> scalar`.

    Returns:
        The function `(t, x, v, *args) -> f(x + t v, *args)`.
    """

    def along(t: Array, x: Any, v: Any, *args: Any) -> Array:
        moved = jax.tree.map(lambda a, b: (a + t * b).astype(a.dtype), x, v)
        return f(moved, *args)

    return along


def sides(
    sample: Callable[[np.ndarray], Samples],
    x: np.ndarray,
    eps: float,
    *,
    coarse: float = 0.0,
) -> tuple[Samples, Pair, Pair | None]:
    """Sample both sides of a point and take all limits.

    Args:
        sample: The function of points.
        x: The point, shape `()`, in the dtype of the function.
        eps: The rounding unit of that dtype.
        coarse: The smallest step that makes sense, where that is known.

    Returns:
        The samples at the point; the left and the right side, None where the function
        is not defined on a side, close by; and where the floats lie coarsely, both
        sides once more without the smallest steps.
    """
    center = float(x)
    steps = _limits.side_steps(center, eps, coarse=coarse)
    points = np.stack([center - steps, center + steps]).astype(x.dtype)
    samples = sample(np.concatenate([x.reshape(1), points.ravel()]))
    moved = np.abs(points.astype(np.float64) - center) / steps
    exact = np.abs(moved - 1) < 4 * eps
    around = [
        Samples(
            *(
                np.where(exact[k], p[1:].reshape(points.shape)[k], np.nan)
                for p in samples
            )
        )
        for k in (0, 1)
    ]
    here = Samples(*(part[:1] for part in samples))
    start, spacing = float(here.value[0]), eps * abs(center)

    def pair(least: float) -> Pair:
        kept = steps[0] >= least
        left, right = (
            _side(
                Samples(*(p[:, kept] for p in part)),
                steps[:, kept],
                start,
                eps,
                spacing,
            )
            for part in around
        )
        return _mirrored(left) if left else None, right

    blurred = pair(64 * spacing) if spacing > _COARSE else None
    return here, pair(0.0), blurred


def _side(
    samples: Samples, steps: np.ndarray, here: float, eps: float, spacing: float
) -> Side | None:
    """All limits of one side, as if it were the right one."""
    close = samples.value[:, -max(4, steps.shape[1] // 4) :]
    infinite = close[np.isinf(close)]
    if infinite.size:
        trend = Trend.UP if infinite[-1] > 0 else Trend.DOWN
        return _nowhere(Limit(trend), steps)
    if not np.isfinite(close).any():
        return None
    values = np.where(np.isfinite(samples.value), samples.value, np.nan)
    value = _limits.limit(steps, values, eps, spacing=spacing, flat=False)
    start = here
    if not _starts(here, value, eps):
        start = value.value
    slope = _limits.slope(steps, values, start, eps, spacing=spacing)
    if slope.finite:  # the place that is meant may lie between two floats
        value = value._replace(error=value.error + spacing * abs(slope.value))
    slopes, curvatures = (
        _limits.limit(steps, sequence, eps, spacing=spacing)
        for sequence in (samples.slope, samples.curvature)
    )
    return Side(
        value=value,
        slope=slope,
        slopes=slopes,
        curvature=_limits.slope(steps, values, start, eps, spacing=spacing, order=2),
        curvatures=curvatures,
        nearest=_nearest(steps[0], values[0]),
        steps=steps[0],
        quotients=(values[0] - start) / steps[0],
    )


def _starts(here: float, value: Limit, eps: float) -> bool:
    """Whether the quotients may start from the value at the point itself."""
    if not np.isfinite(here):
        return False
    slack = 3 * value.error + 4 * eps * abs(here)
    return not value.finite or abs(here - value.value) <= slack


def _nowhere(value: Limit, steps: np.ndarray) -> Side:
    nothing, row = Limit(Trend.UNKNOWN), np.full_like(steps[0], np.nan)
    nearest = _nearest(steps[0], row)
    return Side(value, nothing, nothing, nothing, nothing, nearest, steps[0], row)


def _nearest(steps: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """The smallest step with a value, that value, and that of the next step."""
    known = np.flatnonzero(np.isfinite(values))
    if known.size < 2:
        return (np.nan, np.nan, np.nan)
    last, before = known[-1], known[-2]
    return (float(steps[last]), float(values[last]), float(values[before]))


def _mirrored(side: Side) -> Side:
    """The left side, with its slopes turned to the direction of the axis."""
    opposite = {Trend.UP: Trend.DOWN, Trend.DOWN: Trend.UP}
    trend, value, error = side.slope
    turned = Limit(opposite.get(trend, trend), -value, error)
    return side._replace(slope=turned, quotients=-side.quotients)
