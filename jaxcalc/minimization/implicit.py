r"""Derivatives of a minimum, from the equation that it solves and not from the loop.

$$\nabla_x f(x^\star, a) = 0 \quad\Longrightarrow\quad
  \frac{dx^\star}{da} = -H^{-1} \frac{\partial^2 f}{\partial x\,\partial a}, \qquad
  \frac{df^\star}{da} = \frac{\partial f}{\partial a}$$

References:
    Krantz and Parks (2002), The Implicit Function Theorem. Blondel et al. (2022),
    Efficient and modular implicit differentiation, NeurIPS.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.flatten_util import ravel_pytree
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc import _trees
from jaxcalc.curvature.hessian import columns
from jaxcalc.minimization.solution import Solution, Status

# Up to here the Hessian is formed, which tells directions without curvature apart; from
# here on conjugate gradients multiply by it.
_DENSE = 300
_MOST_PRODUCTS = 5000

Run = Callable[[PyTree, PyTree, PyTree], Solution]


def differentiable(run: Run, loss: Callable[[PyTree, PyTree], Any]) -> Run:
    """Give a minimization the derivatives of the minimum that it finds.

    Nothing is added to a run that is not differentiated. Forward and reverse mode work,
    and so do derivatives of derivatives. See `jaxcalc.minimize` for what they mean.

    Args:
        run: `run(params, fixed, data)`, with whatever else it needs in `fixed`.
        loss: `loss(params, data)`, the function whose minimum it finds.

    Returns:
        The same function. Its value and parameters have a derivative with respect to
        `data`; everything else has none.
    """

    @jax.custom_jvp
    def solve(params: PyTree, fixed: PyTree, data: PyTree) -> Solution:
        return run(params, fixed, data)

    def rule(primals: tuple, tangents: tuple) -> tuple[Solution, Solution]:
        # Anew, and not `solve`: a cycle of both would keep what is traced alive.
        solution = differentiable(run, loss)(*primals)
        still = jax.tree.map(_no_tangent, solution)
        data, treedef = jax.tree.flatten(primals[2])
        given = jax.tree.leaves(tangents[2], is_leaf=_is_zero)
        moving = [i for i, tangent in enumerate(given) if not _is_zero(tangent)]
        if not moving:
            return solution, still

        def moved(x: PyTree, parts: list[Array]) -> Any:
            leaves = list(data)
            for i, part in zip(moving, parts, strict=True):
                leaves[i] = part
            return jnp.asarray(loss(x, jax.tree.unflatten(treedef, leaves)))

        parts, changes = [data[i] for i in moving], [given[i] for i in moving]
        value, params = _derivatives(moved, solution, parts, changes)
        return solution, still._replace(value=value, params=params)

    solve.defjvp(rule, symbolic_zeros=True)
    return solve


def _derivatives(
    moved: Callable[[PyTree, list[Array]], Any],
    solution: Solution,
    parts: list[Array],
    changes: list[Array],
) -> tuple[Array, PyTree]:
    """Tangents of the value and of the parameters of a solution."""
    point = solution.params
    with jax.default_matmul_precision("highest"):

        def gradient(x: PyTree, parts: list[Array]) -> tuple[Any, PyTree]:
            return jax.value_and_grad(moved)(x, parts)

        _, (value, push) = jax.jvp(lambda p: gradient(point, p), (parts,), (changes,))
        _, product = jax.linearize(lambda x: gradient(x, parts)[1], point)

        def pull(direction: PyTree) -> list[Array]:
            return jax.vjp(lambda p: gradient(point, p)[1], parts)[1](direction)[0]

        size = sum(leaf.size for leaf in jax.tree.leaves(point))
        solver = _dense_solver if size <= _DENSE else _iterative_solver
        solve, exists = solver(product, point, pull)
        step = lax.custom_linear_solve(product, push, solve, symmetric=True)
    # A product, so that it is linear in the tangents: reverse mode transposes it.
    known = _at_minimum(solution) & exists
    factor = jnp.where(known, -1.0, jnp.nan)
    value = value.astype(solution.value.dtype) * -factor.astype(solution.value.dtype)
    return value, jax.tree.map(lambda s: s * factor.astype(s.dtype), step)


def _at_minimum(solution: Solution) -> Bool[Array, ""]:
    """Whether a run converged, or stalled where the default `tol` would have done."""
    kinds = (solution.value.dtype, _trees.dtype(solution.params))
    eps = max(float(jnp.finfo(kind).eps) for kind in kinds)
    trace = solution.trace
    scale = jnp.nanmax(jnp.maximum(jnp.abs(trace.value), trace.grad_norm))
    small = solution.grad_norm <= eps**0.5 * jnp.minimum(scale, 1.0)
    stalled = (solution.status == Status.STALLED) & small
    return (solution.status == Status.CONVERGED) | stalled


def _dense_solver(
    product: Callable[[PyTree], PyTree],
    point: PyTree,
    pull: Callable[[PyTree], list[Array]],
) -> tuple[Callable[..., PyTree], Bool[Array, ""]]:
    """Solve in the eigenbasis of the scaled Hessian; whether that is a derivative."""
    # Parameters are scaled to a curvature of one, so that those of very different sizes
    # are no reason to call a direction flat. Flat directions are left out: of all the
    # answers that is the shortest.
    _, unravel = ravel_pytree(point)
    hessian = lax.stop_gradient(columns(product, point))
    hessian = (hessian + hessian.T) / 2
    finite = jnp.all(jnp.isfinite(hessian))
    hessian = jnp.where(finite, hessian, 0.0)  # LAPACK may not return otherwise
    n, eps = len(hessian), jnp.finfo(hessian.dtype).eps
    scales = jnp.sqrt(jnp.abs(jnp.diagonal(hessian)))
    largest = jnp.max(scales)
    scales = jnp.where(scales > eps * largest, scales, largest)
    scales = jnp.where(scales > 0, scales, 1.0)
    values, vectors = jnp.linalg.eigh(hessian / scales[:, None] / scales)
    flat = jnp.abs(values) <= 10 * n * eps * jnp.max(jnp.abs(values))
    inverses = jnp.where(flat, 0.0, 1 / jnp.where(flat, 1.0, values))

    def solve(_: Any, tangent: PyTree) -> PyTree:
        right, _ = ravel_pytree(tangent)
        inner = inverses * ((right / scales) @ vectors)
        return unravel(((vectors @ inner) / scales).astype(right.dtype))

    def pushed() -> Bool[Array, ""]:
        """Whether the data push along a flat direction: no minimum follows then."""
        weights = jax.random.normal(jax.random.key(0), values.shape, values.dtype)

        def reach(part: Array) -> Float[Array, " k"]:
            pulled = pull(unravel((vectors @ (weights * part)) / scales))
            return jnp.stack([_trees.max_abs(leaf) for leaf in pulled if leaf.size])

        along, all_ways = reach(flat.astype(values.dtype)), reach(jnp.ones_like(values))
        return jnp.any(along > eps**0.5 * all_ways)

    pushes = lax.cond(jnp.any(flat), pushed, lambda: jnp.asarray(False))
    return solve, finite & ~lax.stop_gradient(pushes)


def _iterative_solver(
    product: Callable[[PyTree], PyTree], point: PyTree, _: Any
) -> tuple[Callable[..., PyTree], Bool[Array, ""]]:
    """Solve by conjugate gradients; NaN where they do not get there."""
    eps = float(jnp.finfo(_trees.dtype(point)).eps)
    size = sum(leaf.size for leaf in jax.tree.leaves(point))
    most = min(10 * size, _MOST_PRODUCTS)

    def norm(tree: PyTree) -> Float[Array, ""]:
        return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))

    def solve(matvec: Any, right: PyTree) -> PyTree:
        found, _ = cg(matvec, right, tol=eps ** (2 / 3), maxiter=most)
        left = norm(jax.tree.map(jnp.subtract, right, matvec(found)))
        solved = left <= eps**0.5 * norm(right)
        return jax.tree.map(lambda x: jnp.where(solved, x, jnp.nan), found)

    del product
    return solve, jnp.asarray(True)


def _is_zero(tangent: Any) -> bool:
    nowhere = getattr(tangent, "dtype", None) == jax.dtypes.float0
    return isinstance(tangent, SymbolicZero) or nowhere


def _no_tangent(leaf: Array) -> Any:
    if jnp.issubdtype(leaf.dtype, jnp.inexact):
        return jnp.zeros_like(leaf)
    return np.zeros(leaf.shape, jax.dtypes.float0)
