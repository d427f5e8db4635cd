r"""Extreme eigenvalues of a symmetric operator, by the thick-restart Lanczos method.

Only products $v \mapsto H v$ are needed. From products with an orthonormal basis $V$ of
trees come $T = V^\top H V$, its eigenpairs $(\theta, s)$, and the Ritz pairs
$(\theta, V s)$. What this implementation does that the textbook one does not:

- The products $H V$ are kept beside the basis. Residuals are computed from them, not
  inferred from the recurrence, so they hold whatever rounding or restarts did.
- The basis is orthogonalized in full, twice. There are no ghosts, copies of eigenvalues
  that are already found.
- One starting vector sees one direction of an eigenspace. When all pairs have
  converged, the search begins again with a vector orthogonal to them, and ends if that
  finds nothing further out: eigenvalues are found as often as they are repeated.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from jaxcalc import _trees
from jaxcalc.curvature import vectors
from jaxcalc.curvature.products import Matvec

_LEAST_BASIS = 20
# So few parameters that the whole space is spanned: exact after as many products.
_FEW = 64


class Eigenpairs(NamedTuple):
    """Approximate eigenpairs of a symmetric operator.

    Each interval `values[i]` ± `residuals[i]` holds an eigenvalue: what was computed is
    exact for an operator that is no further away than that.
    """

    values: Float[Array, " k"]
    vectors: PyTree
    residuals: Float[Array, " k"]
    converged: Bool[Array, ""]
    products: Int[Array, ""]


class _State(NamedTuple):
    basis: PyTree
    image: PyTree
    following: PyTree
    kept: Int[Array, ""]
    theta: Float[Array, " m"]
    rotation: Float[Array, "m m"]
    residuals: Float[Array, " k"]
    fresh: Bool[Array, ""]
    done: Bool[Array, ""]
    products: Int[Array, ""]


class _Plan(NamedTuple):
    """What is known before any number is: sizes, and which Ritz pairs to take."""

    size: int
    full: bool
    wanted: tuple[int, ...]
    order: tuple[int, ...]
    unique: int
    repeated: bool


def search(
    matvec: Matvec,
    like: PyTree,
    tol: Any,
    max_products: Any,
    key: PRNGKeyArray,
    *,
    k: int,
    which: str,
    repeated: bool,
    joined: bool,
) -> Eigenpairs:
    """What `eigenpairs` compiles, for callers that compile more around it.

    Args:
        matvec: See `eigenpairs`, as all others.
        like: Parameters with strongly typed leaves.
        tol: Relative bound on the residuals.
        max_products: When to end.
        key: A key.
        k: How many.
        which: Which.
        repeated: Whether to look again.
        joined: Whether to join the leaves of a vector to one array.

    Returns:
        The eigenpairs.
    """
    split = None
    if joined:
        matvec, like, split = vectors.join(matvec, like)
    n = sum(leaf.size for leaf in jax.tree.leaves(like))
    plan = _plan(n, k, which, repeated)
    with jax.default_matmul_precision("highest"):
        state = _start(plan, like)
        cycle = _cycle(plan, matvec, tol, key)

        def unfinished(state: _State) -> Array:
            return ~state.done & (state.products < max_products)

        state = lax.while_loop(unfinished, cycle, state)
        wanted = np.asarray(plan.wanted)
        found = vectors.combine(state.rotation[:, wanted], state.basis)
        found = jax.vmap(split)(found) if split else found
        good = jnp.all(state.residuals <= tol * jnp.max(jnp.abs(state.theta)))
        # A product is rounded, and so are residuals that are computed from it.
        eps = float(jnp.finfo(_trees.dtype(like)).eps)
        rounding = max(4, n**0.5) * eps * jnp.max(jnp.abs(state.theta))
        bounds = state.residuals + rounding
        return Eigenpairs(state.theta[wanted], found, bounds, good, state.products)


def _plan(n: int, k: int, which: str, repeated: bool) -> _Plan:
    unique = min(2 * k, n) if which == "both" else k
    size = n if n <= _FEW else min(n, max(2 * unique + 2, _LEAST_BASIS))
    top = [size - 1 - i for i in range(size)]
    bottom = top[::-1]
    both = [i for pair in zip(top, bottom, strict=True) for i in pair]
    order = {"top": top, "bottom": bottom, "both": list(dict.fromkeys(both))}[which]
    # Half of what is not wanted is kept beside it: the pairs that are next in line
    # speed up the others, and each cycle still adds some directions.
    keep = min(unique + (size - unique) // 2, size - 1)
    wanted = {"top": top[:k], "bottom": bottom[:k][::-1]}.get(
        which, top[:k] + bottom[:k][::-1]
    )
    full = size == n
    return _Plan(
        size, full, tuple(wanted), tuple(order[:keep]), unique, repeated and not full
    )


def _start(plan: _Plan, like: PyTree) -> _State:
    m, dtype = plan.size, vectors.small_dtype(like)
    empty = jax.tree.map(lambda x: jnp.zeros((m, *x.shape), x.dtype), like)
    return _State(
        basis=empty,
        image=empty,
        following=jax.tree.map(jnp.zeros_like, like),
        kept=jnp.asarray(0),
        theta=jnp.zeros(m, dtype),
        rotation=jnp.eye(m, dtype=dtype),
        residuals=jnp.full(len(plan.wanted), jnp.inf, dtype),
        fresh=jnp.asarray(False),
        done=jnp.asarray(False),
        products=jnp.asarray(0),
    )


def _cycle(
    plan: _Plan, matvec: Matvec, tol: Any, key: PRNGKeyArray
) -> Callable[[_State], _State]:
    """One restart: rotate, extend the basis to its full size, and judge."""
    order, wanted = np.asarray(plan.order, int), np.asarray(plan.wanted)

    def cycle(state: _State) -> _State:
        # After convergence the wanted pairs alone are kept; before, the pairs next in
        # line as well.
        kept = jnp.where(state.fresh, plan.unique, state.kept)
        columns = state.rotation[:, order] * (np.arange(len(order)) < kept)
        chosen = jnp.zeros_like(state.rotation).at[:, : len(order)].set(columns)
        basis = vectors.combine(chosen, state.basis)
        image = vectors.combine(chosen, state.image)

        def extend(j: Array, carry: tuple[PyTree, PyTree, PyTree]) -> Any:
            basis, image, vector = carry
            seed = jax.random.fold_in(key, state.products + j)
            vector = vectors.next_direction(vector, basis, seed)
            product = matvec(vector)
            basis = vectors.put(basis, j, vector)
            return basis, vectors.put(image, j, product), product

        carry = (basis, image, state.following)
        basis, image, _ = lax.fori_loop(kept, plan.size, extend, carry)
        projected = vectors.gram(basis, image)
        finite = jnp.all(jnp.isfinite(projected))
        # eigh of a matrix that is not finite may not return at all.
        projected = jnp.where(finite, (projected + projected.T) / 2, 0.0)
        theta, rotation = jnp.linalg.eigh(projected)
        theta = jnp.where(finite, theta, jnp.nan)
        off = _deviations(theta[wanted], rotation[:, wanted], basis, image)
        residuals = vectors.norms(off)
        largest = jnp.max(jnp.abs(theta))
        settled = jnp.all(residuals <= tol * largest)
        # All residuals of a Krylov space are parallel, and lead on. Zero makes the next
        # direction a random one, which knows nothing of those before.
        worst = jnp.where(settled, 0, 1) * jax.nn.one_hot(
            jnp.argmax(residuals), len(wanted), dtype=residuals.dtype
        )
        # What a fresh start has not pushed inwards are the pairs there are.
        moved = jnp.abs(theta[wanted] - state.theta[wanted]) > tol * largest
        confirmed = state.fresh & ~jnp.any(moved) if plan.repeated else True
        return _State(
            basis=basis,
            image=image,
            following=vectors.combine(worst, off),
            kept=jnp.asarray(len(order)),
            theta=theta,
            rotation=rotation,
            residuals=residuals,
            fresh=settled,
            done=settled & confirmed | ~finite | plan.full,
            products=state.products + plan.size - kept,
        )

    return cycle


def _deviations(theta: Array, rotation: Array, basis: PyTree, image: PyTree) -> PyTree:
    r"""The vectors $H v - \theta v$ of Ritz pairs, stacked."""
    found = vectors.combine(rotation, basis)
    product = vectors.combine(rotation, image)

    def off(p: Array, v: Array) -> Array:
        return p - theta.astype(v.dtype).reshape(-1, *(1,) * (v.ndim - 1)) * v

    return jax.tree.map(off, product, found)
