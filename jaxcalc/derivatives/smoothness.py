r"""Can this function be differentiated here? And if not, what is in the way?

The function is sampled on both sides of the point, at steps from 64 times its scale
down to the rounding of the point. The limits of the values, of the slopes and of the
curvatures are taken on each side (`jaxcalc.derivatives.ladder` has the method and its
errors) and compared:

| kind | values | one-sided slopes |
|---|---|---|
| smooth | continuous | equal; the second derivative is continuous too |
| C1, not C2 | continuous | equal; the second derivative jumps, grows or oscillates |
| differentiable, not C1 | continuous | equal; the slopes nearby oscillate |
| corner | continuous | differ, at least one is finite |
| cusp | continuous | infinite, of opposite signs |
| vertical tangent | continuous | infinite, of one sign |
| jump | limits differ | |
| hole | limits agree, the value is another one or is missing | |
| infinite discontinuity | grow without bound | |
| oscillation | have no limit, or | have no limit |
| not defined | none close by | |

"Smooth" says that no break up to the second derivative can be seen: one that is smaller
than the rounding of the values cannot. Where the samples do not decide, the kind is
"cannot tell". At the end of a domain the one side decides.
"""

import dataclasses
import html
import json
import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jaxcalc import _checks
from jaxcalc.derivatives import _points, _sides
from jaxcalc.derivatives._kinds import (
    Kind,
    best_curvature,
    best_slope,
    kind_of,
)
from jaxcalc.derivatives._limits import Limit, Trend
from jaxcalc.derivatives._sides import Pair, Samples, Side


@dataclasses.dataclass(frozen=True, kw_only=True)
class Differentiability:
    """What was found at a point; `str` gives a table.

    Attributes:
        kind: The kind of the point.
        x: The point; for a tree of parameters, zero: the place on the line through it.
        value: The function's value there; may be NaN or infinite.
        left_value: Limit of the values from the left; NaN where there is none.
        right_value: The same from the right.
        left_slope: Slope from the left; infinite, or NaN where there is none.
        right_slope: The same from the right.
        left_slope_error: How far the slope may be off.
        right_slope_error: The same on the right.
        left_curvature: Second derivative from the left, NaN where it was not found.
        right_curvature: The same from the right.
        subdifferential: Clarke's: the interval between the one-sided slopes at a
            corner, one point where the function is C1; None where the function is not
            Lipschitz, or where it was not found.
        autodiff: What `jax.grad` answers here; NaN where it fails.
        sentence: What was found, in words, and what automatic differentiation does.
        evidence: Rows of step, quotient from the left and from the right.
        along: For a tree of parameters: the answers along each direction.
    """

    kind: Kind
    x: float
    value: float
    left_value: float
    right_value: float
    left_slope: float
    right_slope: float
    left_slope_error: float
    right_slope_error: float
    left_curvature: float
    right_curvature: float
    subdifferential: tuple[float, float] | None
    autodiff: float
    sentence: str
    evidence: tuple[tuple[float, float, float], ...] = ()
    along: "tuple[Differentiability, ...]" = ()

    @property
    def differentiable(self) -> bool:
        """Whether a finite derivative was found."""
        return self.kind in {Kind.SMOOTH, Kind.C1_NOT_C2, Kind.DIFFERENTIABLE}

    def rows(self) -> list[tuple[str, str, str]]:
        """The table of both sides: name, left, right."""

        def slope(value: float, error: float) -> str:
            known = math.isfinite(value)
            return f"{value:.10g} ± {error:.1e}" if known else f"{value:g}"

        return [
            ("limit", f"{self.left_value:.10g}", f"{self.right_value:.10g}"),
            (
                "slope",
                slope(self.left_slope, self.left_slope_error),
                slope(self.right_slope, self.right_slope_error),
            ),
            ("curvature", f"{self.left_curvature:.6g}", f"{self.right_curvature:.6g}"),
        ]

    def __str__(self) -> str:
        lines = [f"{self.kind.value} at x = {self.x:.10g}, f(x) = {self.value:.10g}"]
        lines.append(f"{'':10} {'left':>26} {'right':>26}")
        lines += [f"{name:10} {a:>26} {b:>26}" for name, a, b in self.rows()]
        lines.append(self.sentence)
        lines += [f"  along {k}: {one.sentence}" for k, one in enumerate(self.along)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th>{name}</th><td>{a}</td><td>{b}</td></tr>"
            for name, a, b in self.rows()
        )
        return (
            f"<p><b>{self.kind.value}</b> at x = {self.x:.10g}. "
            f"{html.escape(self.sentence)}</p><table><tr><th></th><th>left</th>"
            f"<th>right</th></tr>{cells}</table>"
        )

    def to_json(self) -> str:
        """Everything as a JSON object; NaN and infinities become strings."""
        return json.dumps(_plain(dataclasses.asdict(self)))


def differentiability(
    f: Callable[..., Any],
    x: PyTree,
    *,
    directions: Sequence[PyTree] | None = None,
    samples: int = 3,
    seed: int = 0,
    args: tuple[Any, ...] = (),
) -> Differentiability:
    """Tell what kind of point `x` is for `f`.

    Works outside `jit`. The samples, a few hundred values with their derivatives, are
    one compiled call, shared by all points of one dtype.

    Args:
        f: A function `f(x, *args) -> scalar`, written with `jax.numpy`.
        x: The point: a float, or a tree of floating arrays, which is looked at along
            lines through it.
        directions: The directions of these lines, trees like `x`; by default random.
        samples: How many random directions.
        seed: Their seed.
        args: Data handed on to `f`.

    Returns:
        The kind, both one-sided limits and slopes, and the evidence. For a tree, those
        of its worst direction, with all of them in `along`.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar.
        ValueError: `x` is not finite, or a direction is unlike `x`.

    References:
        Clarke (1983), Optimization and Nonsmooth Analysis, chapter 2.
    """
    scalar = jax.tree.structure(x) == jax.tree.structure(0) and jnp.shape(x) == ()
    if directions is None and scalar:
        return _one_variable(f, x, args)
    x = _checks.floating_params("x", x)
    jax.tree.map(_points.concrete, x)
    _checks.scalar_loss("f", jax.eval_shape(f, x, *args))
    if directions is None:
        directions = _random(x, _checks.positive_int("samples", samples), seed)
    along = tuple(_along(f, x, v, args) for v in directions)
    order = list(Kind)
    worst = max(along, key=lambda one: order.index(one.kind))
    sentence = f"Along {len(along)} directions, the worst: {worst.sentence}"
    return dataclasses.replace(worst, along=along, sentence=sentence)


def _one_variable(
    f: Callable[..., Any], x: Any, args: tuple[Any, ...]
) -> Differentiability:
    x = _points.concrete(_points.point("x", x))
    _finite(x)
    _points.check_scalar_function(f, x, args)
    sample = _sides.sampler(f, x, args)
    eps = float(jnp.finfo(x.dtype).eps)
    with np.errstate(all="ignore"):
        return _judged(float(x), eps, *_sides.sides(sample, np.asarray(x), eps))


def _along(
    f: Callable[..., Any], x: PyTree, v: PyTree, args: tuple[Any, ...]
) -> Differentiability:
    v = _checks.floating_params("directions", v)
    if jax.tree.map(jnp.shape, v) != jax.tree.map(jnp.shape, x):
        raise ValueError("each of `directions` must have the shapes of `x`")
    sizes = [
        (float(jnp.max(jnp.abs(a))), float(jnp.max(jnp.abs(b))))
        for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(v), strict=True)
    ]
    if not all(math.isfinite(a) and math.isfinite(b) for a, b in sizes):
        raise ValueError("`x` and `directions` must be finite")
    if not any(b for _, b in sizes):
        raise ValueError("each of `directions` must be other than zero")
    dtype = max((a.dtype for a in jax.tree.leaves(x)), key=lambda d: jnp.finfo(d).eps)
    eps = float(jnp.finfo(dtype).eps)
    sample = _sides.sampler(
        _sides.line(f), jnp.zeros((), dtype), (x, v, *args), wide=True
    )
    # Steps below this are mostly rounding of x + t v.
    coarse = 64 * eps * max(a / b for a, b in sizes if b > 0)
    zero = np.zeros((), dtype)
    with np.errstate(all="ignore"):
        return _judged(0.0, eps, *_sides.sides(sample, zero, eps, coarse=coarse))


def _random(x: PyTree, samples: int, seed: int) -> list[PyTree]:
    leaves, structure = jax.tree.flatten(x)
    found = []
    for key in jax.random.split(jax.random.key(seed), samples):
        keys = jax.random.split(key, len(leaves))
        normal = [
            jax.random.normal(k, leaf.shape, leaf.dtype)
            for k, leaf in zip(keys, leaves, strict=True)
        ]
        found.append(structure.unflatten(normal))
    return found


def _finite(x: Any) -> None:
    if not bool(jnp.isfinite(x)):
        raise ValueError(f"`x` must be finite, got {x}")


def _judged(
    x: float,
    eps: float,
    here: Samples,
    sides: Pair,
    blurred: Pair | None,
) -> Differentiability:
    left, right = sides
    value, automatic = float(here.value[0]), float(here.slope[0])
    kind, reason = kind_of(here, eps, left, right)
    if blurred is not None and not _resolved(kind, x, eps, here, sides, blurred):
        kind = Kind.UNDECIDED
        reason = "The floats around this point lie too coarsely to tell."
    slopes = [best_slope(side) for side in (left, right)]
    return Differentiability(
        kind=kind,
        x=x,
        value=value,
        left_value=_number(left.value if left else None),
        right_value=_number(right.value if right else None),
        left_slope=_number(slopes[0]),
        right_slope=_number(slopes[1]),
        left_slope_error=slopes[0].error if slopes[0] else math.inf,
        right_slope_error=slopes[1].error if slopes[1] else math.inf,
        left_curvature=_number(best_curvature(left)),
        right_curvature=_number(best_curvature(right)),
        subdifferential=_subdifferential(kind, slopes),
        autodiff=automatic,
        sentence=f"{reason} {_autodiff_says(kind, automatic, slopes)}",
        evidence=_evidence(left, right),
    )


def _resolved(
    kind: Kind, x: float, eps: float, here: Samples, sides: Pair, blurred: Pair
) -> bool:
    """Whether a kind can be believed where the floats lie coarsely."""
    # What is another kind when seen from a little farther is not resolved.
    if kind_of(here, eps, *blurred)[0] is not kind:
        return False
    slopes = [s for s in map(best_slope, sides) if s is not None and s.finite]
    automatic = float(here.slope[0])
    if kind in {Kind.SMOOTH, Kind.C1_NOT_C2} and math.isfinite(automatic):
        return _is_slope(automatic, slopes)
    # Where not even a thousand floats lie in a unit, a wave of that size looks like
    # much else.
    very_coarse = eps * abs(x) > 1e-3
    if kind is Kind.INFINITE and very_coarse:
        return bool(np.isinf(here.value[0]))
    return not (kind is Kind.OSCILLATION and very_coarse)


def _is_slope(automatic: float, slopes: list[Limit]) -> bool:
    error = sum(s.error for s in slopes) + 1e-6 * abs(automatic)
    return any(abs(automatic - s.value) <= 3 * error for s in slopes)


def _number(limit: Limit | None) -> float:
    if limit is None:
        return math.nan
    if limit.infinite:
        return math.inf if limit.trend is Trend.UP else -math.inf
    return limit.value if limit.finite else math.nan


def _subdifferential(
    kind: Kind, slopes: list[Limit | None]
) -> tuple[float, float] | None:
    known = [s.value for s in slopes if s is not None and s.finite]
    if kind in {Kind.SMOOTH, Kind.C1_NOT_C2} and known:
        middle = sum(known) / len(known)
        return (middle, middle)
    if kind is Kind.CORNER and len(known) == 2:
        return (min(known), max(known))
    return None


def _autodiff_says(kind: Kind, automatic: float, slopes: list[Limit | None]) -> str:
    """What `jax.grad` answers, and whether that is a slope."""
    answer = f"Automatic differentiation answers {automatic:.6g}"
    known = [s for s in slopes if s is not None and s.finite]
    if math.isnan(automatic):
        return answer + "."
    if kind in {Kind.SMOOTH, Kind.C1_NOT_C2, Kind.DIFFERENTIABLE} and known:
        right = _is_slope(automatic, known)
        return answer + (", the slope." if right else ", which is wrong.")
    if kind is Kind.CORNER and len(known) == 2:
        low, high = sorted(s.value for s in known)
        slack = 3 * (known[0].error + known[1].error)
        inside = low - slack <= automatic <= high + slack
        return answer + (
            ", inside the subdifferential." if inside else ", which is no subgradient."
        )
    if kind is Kind.UNDECIDED:
        return answer + "."
    return answer + (", which is no derivative." if math.isfinite(automatic) else ".")


def _evidence(
    left: Side | None, right: Side | None
) -> tuple[tuple[float, float, float], ...]:
    steps = next((s.steps for s in (left, right) if s is not None), np.zeros(0))
    columns = [s.quotients if s else np.full_like(steps, np.nan) for s in (left, right)]
    rows = zip(steps[::4], columns[0][::4], columns[1][::4], strict=True)
    return tuple((float(h), float(a), float(b)) for h, a, b in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
