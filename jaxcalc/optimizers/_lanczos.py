r"""Methods that minimize their model over a Krylov space, to the end.

An orthonormal basis $Q$ of the space and the projected Hessian $Q^\top H Q$ reduce the
model to a small one, which the solvers of the dense methods solve in its eigenbasis. A
rejected step costs no products: the same small model is solved with another bound.

The basis is orthogonalized in full, twice, and the projected Hessian is taken from all
inner products, not from the recurrence. So rounding brings no copies of eigenvalues,
and the space can go on with a random vector, as the lookout for negative curvature
does. With a preconditioner $P$ the basis is orthonormal in the norm of $P^{-1}$.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxcalc.curvature.products import Matvec
from jaxcalc.curvature.vectors import (
    combine,
    coordinates,
    dot,
    minus,
    norm,
    put,
    scaled,
    small_dtype,
)
from jaxcalc.optimizers._krylov import LOOKOUT
from jaxcalc.optimizers._matrix_free import (
    Method,
    Outcome,
    Place,
    Planned,
    Trial,
    steepness,
)
from jaxcalc.optimizers._operators import scattered_like, size_of
from jaxcalc.optimizers._pace import Forcing, next_forcing
from jaxcalc.optimizers._subproblem import Step
from jaxcalc.optimizers._trial import Verdict

# The basis is kept: so many vectors like the parameters.
_VECTORS = 50

Solve = Callable[[Array, Array, Array], Step]


class SpacePlan(NamedTuple):
    """A model in a Krylov space.

    Attributes:
        basis: Stacked vectors.
        eigenvalues: Of the projected Hessian.
        eigenvectors: Of the projected Hessian, as columns.
        slope: Norm of the gradient, which is along the first vector of the basis.
        bound: What holds steps back: a radius, or the weight of a penalty.
        forcing: What the accuracy of the next step depends on.
    """

    basis: PyTree
    eigenvalues: Float[Array, " k"]
    eigenvectors: Float[Array, "k k"]
    slope: Float[Array, ""]
    bound: Float[Array, ""]
    forcing: Forcing


class _Space(NamedTuple):
    """A Krylov space that grows."""

    basis: PyTree
    duals: PyTree  # products of the basis with M; None where that is the identity
    projected: Float[Array, "k k"]
    following: PyTree  # what the next vector is made of, before the preconditioner
    length: Float[Array, ""]  # of that
    eigenvalues: Float[Array, " k"]
    eigenvectors: Float[Array, "k k"]
    bound: Float[Array, ""]
    spanned: Int[Array, ""]
    cap: Int[Array, ""]
    check: Int[Array, ""]  # count at which the model is solved next
    looking: Bool[Array, ""]  # beyond what the gradient leads to
    going: Bool[Array, ""]


def method(
    *,
    name: str,
    solve: Solve,
    first: Callable[[Array, Array], Array],
    adapt: Callable[[Array, Verdict, Array, Array], Array],
    bound: float | None,
    forcing: float,
    most: int | None,
    hessian_fn: Callable[[PyTree], Any] | None,
    preconditioner: Callable[[PyTree], Matvec] | None,
) -> Method:
    """A method that minimizes its model over a Krylov space.

    Args:
        name: Of the optimizer, for errors.
        solve: Minimizer of the model, from eigenvalues, slopes and bound.
        first: The first bound, from the length of a first step and the gradient's norm.
        adapt: The next bound, from this one, the verdict, the length of the step and
            the decrease that was predicted.
        bound: The first bound, where the caller chose one.
        forcing: The largest relative residual.
        most: The most products that follow the gradient.
        hessian_fn: The caller's curvature.
        preconditioner: The caller's preconditioner.

    Returns:
        The method.
    """

    def init(params: PyTree) -> SpacePlan:
        dtype = small_dtype(params)
        k = _room(params, most)
        return SpacePlan(
            basis=_empty(params, k),
            eigenvalues=jnp.zeros(k, dtype),
            eigenvectors=jnp.zeros((k, k), dtype),
            slope=jnp.zeros((), dtype),
            bound=jnp.asarray(jnp.nan if bound is None else bound, dtype),
            forcing=Forcing.start(forcing, dtype),
        )

    def propose(plan: SpacePlan) -> Trial:
        slopes = plan.slope * plan.eigenvectors[0]
        model = solve(plan.eigenvalues, slopes, plan.bound)
        step = combine(plan.eigenvectors @ model.coefficients, plan.basis)
        return Trial(step, model.decrease, jnp.linalg.norm(model.coefficients))

    def learn(plan: SpacePlan, trial: Trial, outcome: Outcome) -> SpacePlan:
        new = adapt(plan.bound, outcome.verdict, trial.length, trial.predicted)
        return plan._replace(bound=jnp.where(trial.length > 0, new, plan.bound))

    def replan(plan: SpacePlan, place: Place) -> Planned:
        slope = steepness(place)
        rate = next_forcing(plan.forcing, slope)
        space = _explore(plan, place, slope, rate.now, solve, first, most)
        largest = jnp.max(jnp.abs(space.projected))
        noise = 10 * len(space.projected) * jnp.finfo(slope.dtype).eps * largest
        new = SpacePlan(
            basis=space.basis,
            eigenvalues=space.eigenvalues,
            eigenvectors=space.eigenvectors,
            slope=slope,
            bound=space.bound,
            forcing=rate,
        )
        return Planned(new, space.eigenvalues[0] < -noise, space.spanned)

    return Method(name, init, propose, learn, replan, hessian_fn, preconditioner)


def _room(params: PyTree, most: int | None) -> int:
    return min((most or _VECTORS) + LOOKOUT, size_of(params))


def _empty(params: PyTree, count: int) -> PyTree:
    return jax.tree.map(lambda p: jnp.zeros((count, *p.shape), p.dtype), params)


def _explore(
    plan: SpacePlan,
    place: Place,
    slope: Float[Array, ""],
    tolerance: Float[Array, ""],
    solve: Solve,
    first: Callable[[Array, Array], Array],
    most: int | None,
) -> _Space:
    """The space that the gradient and the lookout lead to."""
    n, k = size_of(place.params), _room(place.params, most)
    dtype = plan.slope.dtype
    eps = jnp.finfo(dtype).eps
    apply = place.precondition or (lambda r: r)
    # In the norm of the preconditioner the parameters are as long as if they lay along
    # the preconditioned gradient.
    unit = slope / norm(apply(place.grad))
    size = norm(place.params) * jnp.where(jnp.isfinite(unit), unit, 1.0)

    def seek(space: _Space) -> _Space:
        seed = place.seed + space.spanned
        vector = _orthogonal(space, scattered_like(seed, place.grad))
        length = jnp.sqrt(dot(vector, apply(vector)))
        going = (space.spanned < k) & (length > 0)
        return space._replace(
            following=vector,
            length=length,
            cap=jnp.minimum(space.spanned + LOOKOUT, k),
            check=jnp.minimum(space.spanned + LOOKOUT, k),
            looking=jnp.asarray(True),
            going=going,
        )

    def model(space: _Space) -> tuple[Array, Array, Step]:
        # What is not spanned yet is far above, and has no slope.
        inside = jnp.arange(k) < space.spanned
        finite = jnp.all(jnp.isfinite(space.projected))
        # eigh of a matrix that is not finite may not return at all.
        projected = jnp.where(finite, space.projected, 0.0)
        above = 2 * jnp.max(jnp.abs(projected))
        above = jnp.where(above > 0, above, 1.0)
        projected += jnp.diag(jnp.where(inside, 0.0, above))
        values, vectors = jnp.linalg.eigh(projected)
        return values, vectors, solve(values, slope * vectors[0], space.bound)

    def judge(space: _Space) -> _Space:
        values, vectors, step = model(space)
        space = space._replace(
            eigenvalues=values,
            eigenvectors=vectors,
            check=space.spanned + 1 + space.spanned // 4,
        )
        last = (vectors @ step.coefficients)[space.spanned - 1]
        goal = jnp.maximum(tolerance, 10 * eps) * slope
        exact = space.length * jnp.abs(last) <= goal
        ended = exact | ~space.going | (space.spanned >= space.cap)
        largest = jnp.max(jnp.abs(space.projected))
        convex = values[0] >= -10 * k * eps * largest
        # The space of a gradient may end before the whole space does.
        seeks = ended & place.lookout & ~space.looking & convex & (space.spanned < n)
        seeks |= space.looking & ~space.going & (space.spanned < space.cap)
        space = space._replace(going=~ended)
        return lax.cond(seeks, seek, lambda space: space, space)

    def extend(space: _Space) -> _Space:
        inverse = 1 / space.length
        dual = scaled(space.following, inverse)
        vector = apply(dual)
        basis = put(space.basis, space.spanned, vector)
        duals = space.duals
        if duals is not None:
            duals = put(duals, space.spanned, dual)
        image = place.product(vector)
        row = coordinates(basis, image)
        projected = space.projected.at[space.spanned].set(row)
        projected = projected.at[:, space.spanned].set(row)
        space = space._replace(basis=basis, duals=duals)
        rest = _orthogonal(space, image)
        length = jnp.sqrt(jnp.maximum(dot(rest, apply(rest)), 0.0))
        largest = jnp.max(jnp.abs(projected))
        cauchy = slope / jnp.abs(row[0])
        start = jnp.maximum(0.1 * size, jnp.where(cauchy < jnp.inf, cauchy, 0.0))
        start = first(jnp.where(start > 0, start, 1.0), slope)
        space = space._replace(
            projected=projected,
            following=rest,
            length=length,
            bound=jnp.where(jnp.isnan(space.bound), start, space.bound),
            spanned=space.spanned + 1,
            going=length > 10 * eps * largest,
        )
        due = (
            (space.spanned >= space.check) | ~space.going | (space.spanned >= space.cap)
        )
        return lax.cond(due, judge, lambda space: space, space)

    zero = jnp.zeros((), jnp.int32)
    space = _Space(
        basis=_empty(place.params, k),
        duals=None if place.precondition is None else _empty(place.params, k),
        projected=jnp.zeros((k, k), dtype),
        following=place.grad,
        length=slope,
        eigenvalues=jnp.zeros(k, dtype),
        eigenvectors=jnp.eye(k, dtype=dtype),
        bound=plan.bound,
        spanned=zero,
        cap=zero + min(most or _VECTORS, n),
        check=zero + 1,
        looking=jnp.asarray(False),
        going=place.active & (slope > 0),
    )
    seeks = place.active & ~(slope > 0) & place.lookout
    space = lax.cond(seeks, seek, lambda space: space, space)
    return lax.while_loop(lambda space: space.going, extend, space)


def _orthogonal(space: _Space, vector: PyTree) -> PyTree:
    """What is left of a dual vector beside the space."""
    duals = space.basis if space.duals is None else space.duals
    for _ in range(2):
        vector = minus(vector, combine(coordinates(space.basis, vector), duals))
    return vector
