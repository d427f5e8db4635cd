r"""Trace, Frobenius norm and diagonal of an operator, from products with random signs.

For signs $z$, independent and +1 or -1 with equal chance, $E[z z^\top] = I$; so

$$E[z^\top H z] = \mathrm{tr}\,H, \qquad E\|H z\|^2 = \|H\|_F^2, \qquad
E[z \odot H z] = \mathrm{diag}\,H$$

Each estimate comes with its standard error over the probes. It goes on until that is
small enough beside the estimate, or the probes are used up.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.curvature import vectors
from jaxcalc.curvature.products import Matvec

# With fewer the standard error itself is not known to a factor of two, and a search
# that stops when it looks small would stop where it is so by chance.
_FEWEST = 10


class Estimate(NamedTuple):
    """A mean over random probes, its standard error, and how many there were."""

    value: Any
    error: Any
    probes: Int[Array, ""]


def trace(
    matvec: Matvec,
    like: PyTree,
    *,
    tol: float = 0.05,
    max_probes: int = 100,
    sketch: int = 0,
    key: PRNGKeyArray | None = None,
) -> Estimate:
    r"""Trace of a symmetric operator: Hutchinson's estimator, or Hutch++.

    $$\mathrm{tr}\,H = E[z^\top H z], \qquad \mathrm{Var} = 2 \|H - D\|_F^2, \quad
    D = \mathrm{diag}\,H$$

    Exact from any probe where $H$ is diagonal. Where a few eigenvalues dominate, as in
    the Hessian of a network, a sketch takes them out: with an orthonormal basis $Q$ of
    the range of $H S$, $S$ random, $\mathrm{tr}\,Q^\top H Q$ is computed as it is, and
    only what is orthogonal to $Q$ is estimated.

    Where the trace nearly cancels, no relative error is reached: the probes run out,
    and the error says so.

    Args:
        matvec: The product, for example `jaxcalc.curvature.hvp(loss, params, *args)`.
        like: A tree of arrays like its tangents, for example the parameters.
        tol: The standard error, relative to the estimate, at which to stop.
        max_probes: At how many probes to stop in any case; at least 2.
        sketch: Columns of $S$, each of which costs two products and two vectors of
            memory; 0 for Hutchinson's estimator, 10 takes out the outliers of a
            classifier.
        key: A `jax.random` key; `jax.random.key(0)` by default.

    Returns:
        The estimate, its standard error, and the count of probes (products, beside
        those of the sketch).

    Raises:
        TypeError: `like` is not floating.
        ValueError: `tol`, `max_probes` or `sketch` is out of range.

    References:
        Hutchinson (1990), A stochastic estimator of the trace of the influence matrix,
        Communications in Statistics 19(2). Meyer et al. (2021), Hutch++: optimal
        stochastic trace estimation, SOSA.
    """
    like = _checks.floating_params("like", like)
    sketch = _checks.positive_int("sketch", sketch, minimum=0)
    n = sum(leaf.size for leaf in jax.tree.leaves(like))
    if sketch > n:
        raise ValueError(f"`sketch` must be at most {n}, the parameters, got {sketch}")
    return _run(_trace, (sketch,), matvec, like, tol, max_probes, key)


def frobenius_norm(
    matvec: Matvec,
    like: PyTree,
    *,
    tol: float = 0.05,
    max_probes: int = 100,
    key: PRNGKeyArray | None = None,
) -> Estimate:
    r"""Frobenius norm of an operator, the root of the sum of its squared eigenvalues.

    $$\|H\|_F^2 = E\|H z\|^2$$

    Args:
        matvec: The product.
        like: A tree of arrays like its tangents.
        tol: The standard error, relative to the estimate, at which to stop.
        max_probes: At how many probes to stop in any case; at least 2.
        key: A `jax.random` key; `jax.random.key(0)` by default.

    Returns:
        The estimate, its standard error to first order, and the count of probes.

    Raises:
        TypeError: `like` is not floating.
        ValueError: `tol` or `max_probes` is out of range.
    """
    like = _checks.floating_params("like", like)
    return _run(_frobenius_norm, (), matvec, like, tol, max_probes, key)


def estimate_diagonal(
    matvec: Matvec,
    like: PyTree,
    *,
    tol: float = 0.05,
    max_probes: int = 100,
    key: PRNGKeyArray | None = None,
) -> Estimate:
    r"""Diagonal of a symmetric operator, entry by entry.

    $$d = E[z \odot H z], \qquad \mathrm{Var}\,d_i = \sum_{j \ne i} H_{ij}^2$$

    Good where the diagonal dominates its rows. It takes many probes where it does not;
    `jaxcalc.curvature.hessian_diagonal` is exact.

    Args:
        matvec: The product.
        like: A tree of arrays like its tangents.
        tol: The length of all standard errors, relative to that of the diagonal, at
            which to stop.
        max_probes: At how many probes to stop in any case; at least 2.
        key: A `jax.random` key; `jax.random.key(0)` by default.

    Returns:
        A tree of estimates, a tree of their standard errors, and the count of probes.

    Raises:
        TypeError: `like` is not floating.
        ValueError: `tol` or `max_probes` is out of range.

    References:
        Bekas, Kokiopoulou and Saad (2007), An estimator for the diagonal of a matrix,
        Applied Numerical Mathematics 57.
    """
    like = _checks.floating_params("like", like)
    return _run(_diagonal, (), matvec, like, tol, max_probes, key)


def _run(
    build: Callable[..., Callable[..., Estimate]],
    options: tuple[Any, ...],
    matvec: Matvec,
    like: PyTree,
    tol: Any,
    max_probes: Any,
    key: Any,
) -> Estimate:
    tol = _checks.positive_float("tol", tol, zero=True)
    max_probes = _checks.positive_int("max_probes", max_probes, minimum=2)
    key = jax.random.key(0) if key is None else key
    inputs = (like, tol, max_probes, key)
    if isinstance(matvec, Partial):
        return _programs.compiled(build, *options)(matvec, *inputs)
    return _programs.compiled(_for_one, build, matvec, *options)(*inputs)


def _for_one(
    build: Callable[..., Callable[..., Estimate]], matvec: Matvec, *options: Any
) -> Callable[..., Estimate]:
    return Partial(build(*options), matvec)


def _trace(sketch: int) -> Callable[..., Estimate]:
    def run(
        matvec: Matvec, like: PyTree, tol: Any, most: Any, key: PRNGKeyArray
    ) -> Estimate:
        known = jnp.zeros((), vectors.small_dtype(like))
        basis = None
        if sketch:
            basis = _range(matvec, like, sketch, jax.random.fold_in(key, 2**31))
            image = lax.map(matvec, basis)
            known = jnp.trace(vectors.gram(basis, image))

        def sample(key: PRNGKeyArray) -> Array:
            z = vectors.signs_like(key, like)
            if basis is not None:
                along = vectors.combine(vectors.coordinates(basis, z), basis)
                z = vectors.minus(z, along)
            return vectors.dot(z, matvec(z))

        return _mean(sample, key, tol, most, known)

    return run


def _frobenius_norm() -> Callable[..., Estimate]:
    def run(
        matvec: Matvec, like: PyTree, tol: Any, most: Any, key: PRNGKeyArray
    ) -> Estimate:
        def sample(key: PRNGKeyArray) -> Array:
            product = matvec(vectors.signs_like(key, like))
            return vectors.norm(product) ** 2

        # The relative error of a root is half that of what is under it.
        square, error, probes = _mean(sample, key, 2 * tol, most)
        value = jnp.sqrt(square)
        positive = jnp.where(value > 0, value, 1)
        return Estimate(value, error / (2 * positive), probes)

    return run


def _diagonal() -> Callable[..., Estimate]:
    def run(
        matvec: Matvec, like: PyTree, tol: Any, most: Any, key: PRNGKeyArray
    ) -> Estimate:
        def sample(key: PRNGKeyArray) -> PyTree:
            z = vectors.signs_like(key, like)
            return jax.tree.map(jnp.multiply, z, matvec(z))

        return _mean(sample, key, tol, most)

    return run


def _range(matvec: Matvec, like: PyTree, size: int, key: PRNGKeyArray) -> PyTree:
    """An orthonormal basis of the range of a random sketch of the operator."""
    empty = jax.tree.map(lambda x: jnp.zeros((size, *x.shape), x.dtype), like)

    def extend(j: Array, basis: PyTree) -> PyTree:
        draw, other = jax.random.split(jax.random.fold_in(key, j))
        product = matvec(vectors.signs_like(draw, like))
        return vectors.put(basis, j, vectors.next_direction(product, basis, other))

    return lax.fori_loop(0, size, extend, empty)


def _mean(
    sample: Callable[[PRNGKeyArray], PyTree],
    key: PRNGKeyArray,
    tol: Any,
    most: Any,
    known: Array | float = 0.0,
) -> Estimate:
    """Mean of samples plus what is known, until its error is small beside it."""

    def error_of(squares: PyTree, count: Array) -> PyTree:
        variance_of_mean = jnp.maximum(count * (count - 1), 1)
        return jax.tree.map(
            lambda s: jnp.sqrt(s / variance_of_mean.astype(s.dtype)), squares
        )

    def unfinished(state: tuple[PyTree, PyTree, Array]) -> Array:
        mean, squares, count = state
        total = jax.tree.map(lambda m: m + known, mean)
        small = vectors.norm(error_of(squares, count)) <= tol * vectors.norm(total)
        return (count < most) & ((count < _FEWEST) | ~small)

    def add(state: tuple[PyTree, PyTree, Array]) -> tuple[PyTree, PyTree, Array]:
        # Welford (1962), Technometrics 4(3): no difference of large sums of squares.
        mean, squares, count = state
        new = sample(jax.random.fold_in(key, count))
        count = count + 1
        before = vectors.minus(new, mean)
        mean = jax.tree.map(lambda m, d: m + d / count.astype(m.dtype), mean, before)
        after = vectors.minus(new, mean)
        squares = jax.tree.map(lambda s, a, b: s + a * b, squares, before, after)
        return mean, squares, count

    with jax.default_matmul_precision("highest"):
        shapes = jax.eval_shape(sample, key)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        state = (zeros, zeros, jnp.asarray(0))
        mean, squares, count = lax.while_loop(unfinished, add, state)
    value = jax.tree.map(lambda m: m + known, mean)
    return Estimate(value, error_of(squares, count), count)
