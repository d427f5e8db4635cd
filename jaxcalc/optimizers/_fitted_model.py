r"""The model of a sum of squares at a point: the Jacobian, or the Hessian of the loss.

The model $c \|r + J s\|^2$ leaves out $r_i \nabla^2 r_i$. It can't tell a saddle point
from a minimum, as $J^\top J$ has no negative eigenvalue, and where the residual stays
large it is a poor model near the minimum. So where the gradient vanishes, or falls
slowly near a minimum, the Hessian of the loss itself is asked: it decides `convex`, and
is the model from there on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc import _trees
from jaxcalc._work import Work
from jaxcalc.curvature.hessian import columns
from jaxcalc.optimizers._damping import Damping, Hold
from jaxcalc.optimizers._residuals import (
    column_norms,
    decompose,
    jacobian,
    minimum_norm,
)

# The cosine between residual and Jacobian below which a minimum is near, and the factor
# by which the gradient then has to fall, or the Hessian is asked.
_NEAR, _SLOW = 0.1, 0.2
# A tenth of the start: a first step that is too long may end in another valley.
# From a start near zero, a hundredth of what the residual would allow.
_FIRST, _START = 0.1, 0.01
# How fast the scale of a parameter may shrink. Moré's never does, so that one far point
# with a steep residual holds a parameter back for ever after.
_FADING = 0.9
# Where the model foretold a step as well as this, scales may shrink.
_GOOD = 0.75


class LeastSquaresState(NamedTuple):
    r"""What the next step needs.

    Attributes:
        value: The loss at the point it stands on.
        grad: Its gradient.
        squares: The sum of the squares of the residual.
        weight: Twice the constant $c$ of the loss; NaN while it is not known.
        highest: The largest value or gradient met.
        hold: What holds steps back.
        scales: Lengths of the Jacobian's columns, the largest met; zero where none was.
        metric: What the parameters are multiplied by in the model.
        eigenvalues: Of the model's curvature.
        eigenvectors: Of the model's curvature, as columns.
        slopes: The gradient in that basis.
        looked: Whether all this is known.
        exact: Whether the curvature is that of the loss, not of the residual alone.
        examined: Whether the Hessian was asked at this point.
        useless: Whether it was asked near here, and could not take over.
        due: Whether it is to be asked next.
        convex: Whether it was asked where there is nothing more to gain, and had no
            negative eigenvalue beyond rounding.
        matched: Whether the loss has been a constant times the sum of squares.
        orthogonal: Whether the residual is orthogonal to the columns of the Jacobian.
        offset: What the model can still take off the residual, as a part of it.
        stalled: Whether the last trial was rejected and within rounding.
        work: What it has evaluated.
    """

    value: Float[Array, ""]
    grad: PyTree
    squares: Float[Array, ""]
    weight: Float[Array, ""]
    highest: Float[Array, ""]
    hold: Hold
    scales: Float[Array, " n"]
    metric: Float[Array, " n"]
    eigenvalues: Float[Array, " n"]
    eigenvectors: Float[Array, "n n"]
    slopes: Float[Array, " n"]
    looked: Bool[Array, ""]
    exact: Bool[Array, ""]
    examined: Bool[Array, ""]
    useless: Bool[Array, ""]
    due: Bool[Array, ""]
    convex: Bool[Array, ""]
    matched: Bool[Array, ""]
    orthogonal: Bool[Array, ""]
    offset: Float[Array, ""]
    stalled: Bool[Array, ""]
    work: Work


class Method(NamedTuple):
    """What tells one method from the other.

    Attributes:
        name: Of the optimizer, for errors.
        damping: How steps are held back.
        bound: The first bound, where the caller chose one.
        cosine: Of the angle between residual and Jacobian that counts as a right one.
        least: Whether a Jacobian without full rank asks for the step of least norm.
        residual_fn: The caller's residual.
        hessian_fn: The caller's curvature, for losses that are no sum of squares.
        bend: Of the residual along a step, the longest acceleration that is trusted;
            None not to use any.
    """

    name: str
    damping: Damping
    bound: float | None
    cosine: float | None
    least: bool
    residual_fn: Callable[[PyTree], Any] | None = None
    hessian_fn: Callable[[PyTree], Any] | None = None
    bend: float | None = None


class Functions(NamedTuple):
    """The caller's functions, of flat parameters."""

    loss: Callable[[Array], tuple[Array, Array]]  # value and gradient
    residual: Callable[[Array], Array] | None
    curvature: Callable[[Array], Array] | None  # a matrix


class Point(NamedTuple):
    """What is known of a point that is planned from.

    Attributes:
        at: The point.
        residual: The residual there; empty without one.
        push: The product with the Jacobian.
        grad: The gradient of the loss.
        curve: The derivative of value and gradient, for the Hessian.
        ratio: Of the actual to the predicted decrease on the way here.
    """

    at: Float[Array, " n"]
    residual: Float[Array, " m"]
    push: Callable[[Array], Array] | None
    grad: Float[Array, " n"]
    curve: Callable[[Array], tuple[Array, Array]]
    ratio: Float[Array, ""]


class _Outlook(NamedTuple):
    """Whether a minimum is near, and whether it may be reached."""

    near: Bool[Array, ""]
    there: Bool[Array, ""]


def plan(
    method: Method,
    old: LeastSquaresState,
    state: LeastSquaresState,
    point: Point,
    functions: Functions,
) -> LeastSquaresState:
    """The state with the model at a point, by the residual or by the Hessian.

    Args:
        method: The method.
        old: The state at the point before.
        state: The same with the new value and gradient.
        point: The new point.
        functions: The caller's.

    Returns:
        The state.
    """
    fitted = functions.residual is not None
    build = _by_residual if fitted else _by_curvature
    state, outlook = build(method, state, point, functions)
    eps = jnp.finfo(state.value.dtype).eps
    steepest = jnp.max(jnp.abs(point.grad))
    highest = jnp.maximum(old.highest, jnp.maximum(jnp.abs(state.value), steepest))
    highest = jnp.where(jnp.isfinite(highest), highest, old.highest)
    there = outlook.there
    spent = old.due | ~state.matched | (not fitted)
    if fitted:
        # No sum of squares is below zero: this is all that is left to gain.
        nothing = jnp.abs(state.value) <= eps**1.5 * highest
        there, spent = there | nothing, spent | nothing
    else:
        there = steepest <= 100 * eps**0.5 * jnp.minimum(highest, 1.0)
    fell = jnp.linalg.norm(state.slopes) <= _SLOW * jnp.linalg.norm(old.slopes)
    slow = outlook.near & (~fell & ~old.useless | old.exact) & old.looked
    asked = old.due | there | slow | ~state.matched
    no = jnp.asarray(False)
    state = lax.cond(
        asked,
        lambda: _by_hessian(state, point),
        lambda: state._replace(exact=no, examined=no, convex=no),
    )
    useless = outlook.near & (old.useless | (state.examined & ~state.exact))
    tells = state.offset <= _limit(method, eps)
    state = state._replace(
        highest=highest,
        useless=useless,
        convex=state.convex & (spent | tells),
        orthogonal=state.orthogonal & tells,
    )
    # A radius that has shrunk to nothing is no use for leaving a saddle point.
    anew = jnp.isnan(state.hold.bound) | (old.due & ~state.convex)
    first = method.damping.first(state.eigenvalues, reach(state, point.at))
    if method.bound is not None:
        first = jnp.asarray(method.bound, first.dtype)
    bound = jnp.where(anew, first, state.hold.bound)
    return state._replace(hold=state.hold._replace(bound=bound))


def reach(state: LeastSquaresState, at: Float[Array, " n"]) -> Float[Array, ""]:
    """How far a first step may go, in scaled parameters.

    Args:
        state: The state.
        at: Where it stands.

    Returns:
        A tenth of the point's size, or a thousandth of the residual's if that is more:
        they have the same unit.
    """
    size = jnp.linalg.norm(state.metric * at)
    misfit = jnp.sqrt(jnp.abs(state.squares))
    size = jnp.maximum(size, _START * jnp.where(jnp.isfinite(misfit), misfit, 0.0))
    return _FIRST * jnp.where(size > 0, size, 1.0)


def _limit(method: Method, eps: Any) -> Any:
    return eps**0.5 if method.cosine is None else method.cosine


def _by_residual(
    method: Method, state: LeastSquaresState, point: Point, functions: Functions
) -> tuple[LeastSquaresState, _Outlook]:
    """The model of Gauss and Newton."""
    del functions
    assert point.push is not None  # for the type checker
    matrix = jacobian(point.push, point.at, point.residual)
    finite = jnp.all(jnp.isfinite(matrix))
    matrix = jnp.where(finite, matrix, 0.0)
    norms = column_norms(matrix)
    scales = jnp.where(point.ratio >= _GOOD, _FADING, 1.0) * state.scales
    scales = jnp.maximum(scales, norms)
    metric = _usual(scales)
    if method.least:
        found, metric = minimum_norm(matrix, metric, point.residual)
    else:
        found = decompose(matrix / metric, point.residual)
    weight, matched = _weigh(state, point, matrix, metric)
    weighed = jnp.where(weight > 0, weight, 1.0)
    size = jnp.sqrt(state.squares)
    unit = jnp.where(size > 0, size, 1.0)
    cosine = jnp.max(jnp.abs(point.grad / _usual(norms))) / (weighed * unit)
    limit = _limit(method, jnp.finfo(unit.dtype).eps)
    state = state._replace(
        weight=weight,
        scales=scales,
        metric=metric,
        eigenvalues=weighed * found.singular**2,
        eigenvectors=found.vectors,
        slopes=weighed * found.singular * found.along,
        matched=state.matched & matched & finite,
        orthogonal=(cosine <= limit) & state.matched & matched & finite,
        offset=jnp.linalg.norm(found.along) / unit,
        work=state.work.plus(Work.of(jacobians=1)),
    )
    # With room to spare: rounding may keep the cosine above its limit.
    return state, _Outlook(cosine <= _NEAR, cosine <= 10 * limit)


def _by_curvature(
    method: Method, state: LeastSquaresState, point: Point, functions: Functions
) -> tuple[LeastSquaresState, _Outlook]:
    """The model with the caller's curvature."""
    del method
    assert functions.curvature is not None  # for the type checker
    matrix = functions.curvature(point.at)
    finite = jnp.all(jnp.isfinite(matrix))
    matrix = jnp.where(finite, (matrix + matrix.T) / 2, 0.0)
    metric = _usual(jnp.sqrt(jnp.abs(jnp.diagonal(matrix))))
    scaled = (*_eigenbasis(matrix, metric, point.grad)[:3], metric)
    # Where there is a choice, the shortest step is that of the parameters as they are.
    plain = jnp.ones_like(metric)
    values, vectors, slopes, metric = lax.cond(
        jnp.any(scaled[0] == 0),
        lambda: (*_eigenbasis(matrix, plain, point.grad)[:3], plain),
        lambda: scaled,
    )
    no = jnp.asarray(False)
    state = state._replace(
        metric=metric,
        eigenvalues=values,
        eigenvectors=vectors,
        slopes=slopes,
        work=state.work.plus(Work.of(hessians=1)),
    )
    return state, _Outlook(no, no)


def _by_hessian(state: LeastSquaresState, point: Point) -> LeastSquaresState:
    """The same, knowing the Hessian, which is the model where it is of use."""
    n, eps = point.at.size, jnp.finfo(point.at.dtype).eps
    matrix = columns(lambda v: point.curve(v)[1], point.at)
    matrix = (matrix + matrix.T) / 2
    finite = jnp.all(jnp.isfinite(matrix))
    matrix = jnp.where(finite, matrix, 0.0)
    values, vectors, slopes, least = _eigenbasis(matrix, state.metric, point.grad)
    largest = jnp.max(jnp.abs(values))
    convex = least >= -10 * n * eps * largest
    # Small eigenvalues drown in the rounding of the large ones; those of the Jacobian
    # are known to twice as many digits.
    resolved = least > 1000 * n * eps * largest
    exact = finite & (resolved | ~convex | ~state.matched)
    model = (values, vectors, slopes)
    decrement = jnp.sum(slopes**2 / jnp.where(resolved, values, 1.0))
    decrement /= jnp.where(state.squares > 0, state.weight * state.squares, 1.0)
    # What is left to gain, by a model that leaves nothing out.
    offset = jnp.where(resolved & finite, jnp.sqrt(decrement), state.offset)
    kept = (state.eigenvalues, state.eigenvectors, state.slopes)
    values, vectors, slopes = _trees.where(exact, model, kept)
    return state._replace(
        eigenvalues=values,
        eigenvectors=vectors,
        slopes=slopes,
        exact=exact,
        examined=jnp.asarray(True),
        offset=offset,
        convex=convex & finite,
        work=state.work.plus(Work.of(hessians=1)),
    )


def _eigenbasis(
    matrix: Float[Array, "n n"], metric: Float[Array, " n"], grad: Float[Array, " n"]
) -> tuple[Array, Array, Array, Array]:
    """Eigenvalues, zero if within rounding, their vectors, slopes, and the least."""
    values, vectors = jnp.linalg.eigh(matrix / metric[:, None] / metric)
    noise = grad.size * jnp.finfo(grad.dtype).eps * jnp.max(jnp.abs(values))
    seen = jnp.where(jnp.abs(values) > noise, values, 0.0)
    return seen, vectors, (grad / metric) @ vectors, values[0]


def _weigh(
    state: LeastSquaresState,
    point: Point,
    matrix: Float[Array, "m n"],
    metric: Float[Array, " n"],
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """Twice the constant of the loss, and whether its gradient agrees with that."""
    eps = jnp.finfo(state.value.dtype).eps
    size = jnp.sqrt(state.squares)
    unit = jnp.where(size > 0, size, 1.0)
    ours = ((point.residual / unit) @ matrix) / metric
    theirs = point.grad / unit / metric
    steep = ours @ ours
    # From the gradient, which a constant added to the loss leaves as it is; but where
    # the gradient vanishes, from the value.
    by_slope = (ours @ theirs) / jnp.where(steep > 0, steep, 1.0)
    by_value = 2 * state.value / state.squares
    found = jnp.where(steep > eps, by_slope, by_value)
    weight = jnp.where(jnp.isnan(state.weight), found, state.weight)
    apart = jnp.max(jnp.abs(theirs - weight * ours))
    matched = (apart <= 10 * eps**0.5 * weight) & (weight > 0)
    return weight, jnp.where(size > 0, matched, jnp.max(jnp.abs(theirs)) == 0)


def _usual(scales: Float[Array, " n"]) -> Float[Array, " n"]:
    """Scales, 1 or the largest where nothing is known."""
    largest = jnp.max(scales)
    usual = jnp.where(largest > 0, largest, 1.0)
    return jnp.where(scales > 0, scales, usual)
