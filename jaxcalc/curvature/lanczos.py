"""Extreme eigenvalues of a symmetric operator, with error bounds."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import PRNGKeyArray, PyTree

from jaxcalc import _checks, _programs, _trees
from jaxcalc.curvature import vectors
from jaxcalc.curvature.products import Matvec
from jaxcalc.curvature.thick_restart import Eigenpairs, search

WHICH = ("top", "bottom", "both")


def eigenpairs(
    matvec: Matvec,
    like: PyTree,
    k: int = 1,
    which: str = "top",
    *,
    tol: float | None = None,
    max_products: int = 1000,
    repeated: bool = True,
    key: PRNGKeyArray | None = None,
) -> Eigenpairs:
    r"""The largest or smallest eigenvalues of a symmetric operator, with bounds.

    $$H v_i \approx \theta_i v_i, \qquad
    \min_\lambda |\lambda - \theta_i| \le \|H v_i - \theta_i v_i\| = r_i$$

    The search ends when every residual $r_i$ is below `tol` times the largest
    eigenvalue seen. An operator that is not symmetric keeps its residuals high.
    Eigenvalues that lie close together, as the smallest ones of a network often do,
    take long: see `converged`. With probability one no extreme eigenvalue is missed in
    exact arithmetic; here one that is very close to another may be.

    Memory is about $4 k + 4$ vectors like the parameters (twice that for `"both"`), at
    least 40. Works under `jit` and `vmap`.

    Args:
        matvec: The product with the operator, `matvec(tangent) -> tangent`. Those that
            `jaxcalc.curvature.hvp` and its like return share one compiled program; for
            any other function it is compiled once for the function.
        like: A tree of arrays as those that are multiplied, for example the parameters.
        k: How many eigenpairs, at each end for `"both"`.
        which: `"top"` for the largest, `"bottom"` for the smallest, or `"both"`.
        tol: Bound on the residuals, relative to the largest eigenvalue by absolute
            value; by default the square root of the dtype's rounding unit.
        max_products: Products after which the search ends at the next restart.
        repeated: Whether to look for further eigenvalues once all have converged, which
            takes 10 to 20 products more. Without it a repeated eigenvalue may be
            reported once.
        key: A `jax.random` key for the starting vector; `jax.random.key(0)` by default.

    Returns:
        `values` from the largest to the smallest (the `k` top ones, then the `k` bottom
        ones for `"both"`), unit `vectors` stacked along a new first axis, `residuals`,
        whether all of them `converged`, and how many `products` that took.

    Raises:
        TypeError: `like` is not floating, or an option has the wrong type.
        ValueError: `k` is smaller than 1 or larger than the number of parameters, or
            another option is out of range.

    References:
        Wu and Simon (2000), Thick-restart Lanczos method for large symmetric eigenvalue
        problems, SIAM Journal on Matrix Analysis and Applications 22(2). Parlett
        (1998), The Symmetric Eigenvalue Problem, section 4.5 for the bound, 6.9 for
        orthogonalizing twice.
    """
    like = _checks.floating_params("like", like)
    n = sum(leaf.size for leaf in jax.tree.leaves(like))
    k, which = check_count(k, n), _checks.known("which", which, WHICH)
    options = (k, which, repeated, vectors.joinable(like))
    max_products = _checks.positive_int("max_products", max_products)
    tol = tolerance(tol, like)
    key = jax.random.key(0) if key is None else key
    if isinstance(matvec, Partial):
        run = _programs.compiled(_search_for_any, *options)
        return run(matvec, like, tol, max_products, key)
    run = _programs.compiled(_search_for_one, matvec, *options)
    return run(like, tol, max_products, key)


def check_count(k: Any, n: int) -> int:
    """Return how many eigenvalues are asked for, if there are as many.

    Args:
        k: What the caller passed.
        n: The number of parameters.

    Returns:
        The number as an int.

    Raises:
        ValueError: It is not between 1 and `n`.
    """
    k = _checks.positive_int("k", k)
    if k > n:
        raise ValueError(f"`k` must be at most {n}, the number of parameters, got {k}")
    return k


def tolerance(tol: float | None, like: PyTree) -> float:
    """The relative bound on residuals.

    Args:
        tol: What the caller passed; None for the default of the dtype.
        like: The parameters.

    Returns:
        The bound.
    """
    if tol is None:
        return float(jnp.finfo(_trees.dtype(like)).eps) ** 0.5
    return _checks.positive_float("tol", tol)


def _search_for_any(
    k: int, which: str, repeated: bool, joined: bool
) -> Callable[..., Eigenpairs]:
    options = {"k": k, "which": which, "repeated": repeated, "joined": joined}

    def run(matvec: Matvec, *inputs: Any) -> Eigenpairs:
        return search(matvec, *inputs, **options)

    return run


def _search_for_one(matvec: Matvec, *options: Any) -> Callable[..., Eigenpairs]:
    return functools.partial(_search_for_any(*options), matvec)
