"""How the eigenvalues of a Hessian are distributed, by Lanczos quadrature."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.curvature import vectors
from jaxcalc.curvature.products import Matvec, hvp


class SpectralDensity(NamedTuple):
    r"""A distribution of eigenvalues; it integrates to one.

    Attributes:
        grid: Where the density is given, in the units of the eigenvalues.
        density: Share of the eigenvalues per unit, averaged over the probes.
        error: Its standard error over the probes.
        width: Standard deviation of the Gaussian kernel.
        nodes: Ritz values of each probe.
        weights: Their weights; those of a probe add up to one.
    """

    grid: Float[Array, " g"]
    density: Float[Array, " g"]
    error: Float[Array, " g"]
    width: Float[Array, ""]
    nodes: Float[Array, "p m"]
    weights: Float[Array, "p m"]

    def mean(self, function: Callable[[Array], Array]) -> tuple[Array, Array]:
        r"""Mean of a function over the eigenvalues, $\frac{1}{n} \sum_i g(\lambda_i)$.

        Exact for polynomials but for the choice of probes; for the trace of a smooth
        function of the Hessian multiply it by the number of parameters. A function that
        jumps where many eigenvalues are is off by more than its standard error, as the
        nodes there stand for many: the share of negative eigenvalues of a network that
        has most of them near zero can't be had this way.

        Args:
            function: A function of arrays, elementwise; for example `jnp.square`, or
                `lambda t: t > 1.0` for the share of eigenvalues above one, where there
                are few.

        Returns:
            The mean over the probes, and its standard error.
        """
        return _over_probes(jnp.sum(self.weights * function(self.nodes), axis=-1))


def spectral_density(
    loss: Callable[..., Any],
    params: PyTree,
    *args: Any,
    probes: int = 10,
    steps: int = 60,
    width: float | None = None,
    grid: Float[Array, " g"] | int = 500,
    key: PRNGKeyArray | None = None,
) -> SpectralDensity:
    r"""Density of the eigenvalues of the Hessian of a loss.

    $$\rho(t) = \frac{1}{n} \sum_i \phi_\sigma(t - \lambda_i) \approx
    \frac{1}{p} \sum_l \sum_j w_{lj}\, \phi_\sigma(t - \theta_{lj})$$

    Each probe is a vector of random signs, from which the Lanczos method makes a Gauss
    quadrature rule of `steps` nodes: it is exact for polynomials up to degree
    `2 * steps - 1`, and finds what lies apart from the bulk. The basis is
    orthogonalized in full, so no eigenvalue is seen twice. It takes `probes * steps`
    products.

    An eigenvalue has the weight of one parameter in $n$, on average: a probe may see
    an outlier with several times as much or nearly nothing, which `error` shows.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.
        probes: How many random vectors; at least 2, or there is no error to state.
        steps: Products for each probe; fewer where there are fewer parameters.
        width: Standard deviation of the kernel, in the units of the eigenvalues; by
            default a hundredth of the spread of the Ritz values.
        grid: How many points, from three widths below the smallest Ritz value to three
            above the largest, or the points themselves.
        key: A `jax.random` key; `jax.random.key(0)` by default.

    Returns:
        The density with its standard error, and the nodes and weights it is made of.

    Raises:
        TypeError: `params` are not floating, or the loss is not a floating scalar.
        ValueError: `probes`, `steps`, `width` or `grid` is out of range.

    References:
        Ubaru, Chen and Saad (2017), Fast estimation of tr(f(A)) via stochastic Lanczos
        quadrature, SIAM Journal on Matrix Analysis and Applications 38(4).
        Ghorbani, Krishnan and Xiao (2019), An investigation into neural net
        optimization via Hessian eigenvalue density, ICML.
    """
    params = _checks.floating_params("params", params)
    options = _options(params, probes, steps, width, grid)
    key = jax.random.key(0) if key is None else key
    *static, width, points = options
    return _programs.compiled(_of_loss, loss, *static)(params, args, width, points, key)


def operator_density(
    matvec: Matvec,
    like: PyTree,
    *,
    probes: int = 10,
    steps: int = 60,
    width: float | None = None,
    grid: Float[Array, " g"] | int = 500,
    key: PRNGKeyArray | None = None,
) -> SpectralDensity:
    """Density of the eigenvalues of a symmetric operator, see `spectral_density`.

    Args:
        matvec: The product, for example `jaxcalc.curvature.ggn_vp(...)`.
        like: A tree of arrays like its tangents.
        probes: See `spectral_density`.
        steps: See `spectral_density`.
        width: See `spectral_density`.
        grid: See `spectral_density`.
        key: See `spectral_density`.

    Returns:
        The density.

    Raises:
        TypeError: `like` is not floating.
        ValueError: `probes`, `steps`, `width` or `grid` is out of range.
    """
    like = _checks.floating_params("like", like)
    *static, width, points = _options(like, probes, steps, width, grid)
    key = jax.random.key(0) if key is None else key
    if not isinstance(matvec, Partial):
        run = _programs.compiled(_of_one, matvec, *static)
        return run(like, width, points, key)
    return _programs.compiled(_of_any, *static)(matvec, like, width, points, key)


def _options(like: PyTree, probes: Any, steps: Any, width: Any, grid: Any) -> tuple:
    n = sum(leaf.size for leaf in jax.tree.leaves(like))
    probes = _checks.positive_int("probes", probes, minimum=2)
    steps = min(_checks.positive_int("steps", steps), n)
    if width is not None:
        width = _checks.positive_float("width", width)
    count, points = None, None
    if np.ndim(grid) == 0:
        count = _checks.positive_int("grid", grid, minimum=2)
    else:
        points = jnp.asarray(grid, vectors.small_dtype(like))
        if points.ndim != 1:
            raise ValueError(f"`grid` must be a vector of points, got {points.shape}")
    return vectors.joinable(like), probes, steps, count, width, points


def _of_loss(loss: Callable[..., Any], *static: Any) -> Callable[..., SpectralDensity]:
    of_any = _of_any(*static)

    def run(params: PyTree, args: tuple[Any, ...], *inputs: Any) -> SpectralDensity:
        return of_any(hvp(loss, params, *args), params, *inputs)

    return run


def _of_one(matvec: Matvec, *static: Any) -> Callable[..., SpectralDensity]:
    return Partial(_of_any(*static), matvec)


def _of_any(
    joined: bool, probes: int, steps: int, count: int | None
) -> Callable[..., SpectralDensity]:
    def run(
        matvec: Matvec, like: PyTree, width: Any, points: Any, key: PRNGKeyArray
    ) -> SpectralDensity:
        if joined:
            matvec, like, _ = vectors.join(matvec, like)

        def rule(key: PRNGKeyArray) -> tuple[Array, Array]:
            return _quadrature(matvec, like, steps, key)

        with jax.default_matmul_precision("highest"):
            # One after the other: for networks that is faster than all at once, and
            # takes the memory of one.
            nodes, weights = lax.map(rule, jax.random.split(key, probes))
        low, high = jnp.min(nodes), jnp.max(nodes)
        if width is None:
            spread = jnp.maximum(high - low, 1e-3 * jnp.maximum(jnp.abs(high), -low))
            width = jnp.where(spread > 0, spread / 100, 1.0)
        width = jnp.asarray(width, nodes.dtype)
        grid = points
        if count is not None:
            grid = jnp.linspace(low - 3 * width, high + 3 * width, count)

        def smooth(nodes: Array, weights: Array) -> Array:
            kernel = jax.scipy.stats.norm.pdf(grid[:, None], nodes, width)
            return jnp.sum(kernel * weights, axis=1)

        densities = lax.map(lambda rule: smooth(*rule), (nodes, weights))
        density, error = _over_probes(densities)
        return SpectralDensity(grid, density, error, width, nodes, weights)

    return run


def _quadrature(
    matvec: Matvec, like: PyTree, steps: int, key: PRNGKeyArray
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Nodes and weights of the Gauss rule that belongs to one random vector."""
    dtype = vectors.small_dtype(like)
    empty = jax.tree.map(lambda x: jnp.zeros((steps, *x.shape), x.dtype), like)
    first = vectors.signs_like(key, like)

    def extend(j: Array, carry: tuple) -> tuple:
        basis, projected, vector = carry
        basis = vectors.put(basis, j, vector)
        product = matvec(vector)
        column = vectors.coordinates(basis, product)
        projected = projected.at[:, j].set(column).at[j, :].set(column)
        # Where the space is exhausted a random vector follows. It is coupled to
        # nothing before it, so its nodes get no weight.
        vector = vectors.next_direction(product, basis, jax.random.fold_in(key, j))
        return basis, projected, vector

    start = vectors.scaled(first, 1 / vectors.norm(first))
    carry = (empty, jnp.zeros((steps, steps), dtype), start)
    _, projected, _ = lax.fori_loop(0, steps, extend, carry)
    finite = jnp.all(jnp.isfinite(projected))
    # eigh of a matrix that is not finite may not return at all.
    nodes, rotation = jnp.linalg.eigh(jnp.where(finite, projected, 0.0))
    return jnp.where(finite, nodes, jnp.nan), rotation[0] ** 2


def _over_probes(samples: Array) -> tuple[Array, Array]:
    error = jnp.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
    return jnp.mean(samples, axis=0), error
