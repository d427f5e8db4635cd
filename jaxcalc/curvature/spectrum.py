"""Both ends of the Hessian's spectrum, of all parameters and of each layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.curvature import lanczos, vectors
from jaxcalc.curvature.dense import loss_of_leaf
from jaxcalc.curvature.products import hvp
from jaxcalc.curvature.thick_restart import Eigenpairs, search

_K = 10


class Spectrum(NamedTuple):
    """The largest and the smallest eigenvalues of a Hessian.

    Attributes:
        top: The largest, from the largest on, with their error bounds and vectors.
        bottom: The smallest, down to the smallest.
        condition: Largest over smallest eigenvalue; infinite unless the smallest is
            positive beyond its error.
        products: How many products with the Hessian it took.
    """

    top: Eigenpairs
    bottom: Eigenpairs
    condition: Float[Array, ""]
    products: Int[Array, ""]

    @property
    def largest(self) -> Float[Array, ""]:
        """The largest eigenvalue."""
        return self.top.values[..., 0]

    @property
    def smallest(self) -> Float[Array, ""]:
        """The smallest eigenvalue, the most negative if there are negative ones."""
        return self.bottom.values[..., -1]

    @property
    def converged(self) -> Array:
        """Whether all eigenpairs at both ends have converged."""
        return self.top.converged & self.bottom.converged

    def describe(self) -> str:
        """What was found, in a few lines for people.

        Returns:
            Eigenvalues with their error bounds.
        """
        lines = [f"Eigenvalues of the Hessian, from {int(self.products)} products:"]
        for name, end in (("top", self.top), ("bottom", self.bottom)):
            pairs = zip(end.values, end.residuals, strict=True)
            shown = ", ".join(f"{v:.6g} ± {r:.1g}" for v, r in pairs)
            note = "" if bool(end.converged) else " (not converged)"
            lines.append(f"  {name}{note}: {shown}")
        return "\n".join([*lines, f"  condition number: {float(self.condition):.4g}"])


def spectrum(
    loss: Callable[..., Any],
    params: PyTree,
    *args: Any,
    k: int | None = None,
    tol: float | None = None,
    max_products: int = 1000,
    repeated: bool = True,
    key: PRNGKeyArray | None = None,
) -> Spectrum:
    r"""Largest and smallest eigenvalues of the Hessian of a loss, with error bounds.

    $$\nabla^2 f(x)\,v_i \approx \theta_i v_i, \qquad
    \min_\lambda |\lambda - \theta_i| \le r_i$$

    From Hessian-vector products alone, by the thick-restart Lanczos method of
    `jaxcalc.curvature.eigenpairs`: some dozens of products, each for the price of two
    gradients. The small eigenvalues of a trained network lie close together; where the
    budget ends before they are told apart, `bottom.converged` is False, and the
    residuals say how far off they may be.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.
        k: How many at each end; by default 10, or all where there are fewer.
        tol: Bound on the residuals, relative to the largest eigenvalue by absolute
            value; by default the square root of the dtype's rounding unit.
        max_products: Products after which the search ends at the next restart.
        repeated: Whether to look for further copies once all have converged.
        key: A `jax.random` key for the starting vector.

    Returns:
        Both ends, the condition number, and the count of products.

    Raises:
        TypeError: `params` are not floating, or the loss is not a floating scalar.
        ValueError: `k` is smaller than 1 or larger than the number of parameters, or
            another option is out of range.
    """
    params = _checks.floating_params("params", params)
    n = sum(leaf.size for leaf in jax.tree.leaves(params))
    k = min(_K, n) if k is None else lanczos.check_count(k, n)
    joined = vectors.joinable(params)
    inputs = _inputs(params, tol, max_products, key)
    return _programs.compiled(_whole, loss, k, repeated, joined)(params, args, *inputs)


def layer_spectra(
    loss: Callable[..., Any],
    params: PyTree,
    *args: Any,
    k: int = 1,
    tol: float | None = None,
    max_products: int = 1000,
    repeated: bool = True,
    key: PRNGKeyArray | None = None,
) -> PyTree:
    r"""Both ends of the spectrum of the Hessian of each leaf, the others held.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.
        k: How many at each end; fewer where a leaf is smaller.
        tol: See `spectrum`.
        max_products: See `spectrum`; for each leaf.
        repeated: See `spectrum`.
        key: See `spectrum`.

    Returns:
        A tree of the structure of `params` with a `Spectrum` for each leaf, None for
        one without numbers.

    Raises:
        TypeError: `params` are not floating, or the loss is not a floating scalar.
        ValueError: `k` is smaller than 1, or another option is out of range.
    """
    params = _checks.floating_params("params", params)
    k = _checks.positive_int("k", k)
    joined = vectors.joinable(params)
    inputs = _inputs(params, tol, max_products, key)
    return _programs.compiled(_layers, loss, k, repeated, joined)(params, args, *inputs)


def _inputs(params: PyTree, tol: Any, max_products: Any, key: Any) -> tuple:
    max_products = _checks.positive_int("max_products", max_products)
    key = jax.random.key(0) if key is None else key
    return lanczos.tolerance(tol, params), max_products, key


def _whole(
    loss: Callable[..., Any], k: int, repeated: bool, joined: bool
) -> Callable[..., Spectrum]:
    def run(params: PyTree, args: tuple[Any, ...], tol: Any, *inputs: Any) -> Spectrum:
        matvec = hvp(loss, params, *args)
        pairs = search(
            matvec,
            params,
            tol,
            *inputs,
            k=k,
            which="both",
            repeated=repeated,
            joined=joined,
        )
        return _split(pairs, k, tol)

    return run


def _layers(
    loss: Callable[..., Any], k: int, repeated: bool, joined: bool
) -> Callable[..., PyTree]:
    def run(params: PyTree, args: tuple[Any, ...], *inputs: Any) -> PyTree:
        leaves, structure = jax.tree.flatten(params)
        found = []
        for index, leaf in enumerate(leaves):
            if not leaf.size:
                found.append(None)
                continue
            of_leaf, count = loss_of_leaf(loss, index), min(k, leaf.size)
            run_one = _whole(of_leaf, count, repeated, joined)
            found.append(run_one(leaf, (params, *args), *inputs))
        return jax.tree.unflatten(structure, found)

    return run


def _split(pairs: Eigenpairs, k: int, tol: Any) -> Spectrum:
    scale = jnp.max(jnp.abs(pairs.values))

    def end(part: slice) -> Eigenpairs:
        residuals = pairs.residuals[part]
        return Eigenpairs(
            values=pairs.values[part],
            vectors=jax.tree.map(lambda v: v[part], pairs.vectors),
            residuals=residuals,
            converged=jnp.all(residuals <= tol * scale),
            products=pairs.products,
        )

    top, bottom = end(slice(k)), end(slice(k, None))
    smallest, off = bottom.values[-1], bottom.residuals[-1]
    positive = smallest > off
    ratio = top.values[0] / jnp.where(positive, smallest, 1)
    known = jnp.isfinite(smallest)
    condition = jnp.where(positive, ratio, jnp.where(known, jnp.inf, jnp.nan))
    return Spectrum(top, bottom, condition, pairs.products)
