"""The compiled parts of `importance`: all gradients, the bootstrap, the shuffles."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from jaxcalc.analysis import _sensitivity_path as _path

# Examples, or resamples, worked on at the same time: they stay in cache.
_BATCH = 32


def local(model: Callable[..., Any]) -> Callable[..., tuple[Array, Array, Array]]:
    """The program for what each example says.

    Args:
        model: `model(params, X) -> (n,)`.

    Returns:
        `run(params, X, baseline, tol, most)`, which gives gradients and integrated
        gradients, shape `(n, d)`, and whether the latter converged, shape `(n,)`.
    """

    def run(params: PyTree, X: Array, baseline: Array, tol: Array, most: Array) -> Any:
        def f(x: Array) -> Array:
            return model(params, x[None])[0]

        def one(x: Array) -> tuple[Array, Array, Array]:
            path = _path.integrate(f, baseline, x, tol, most)
            return jax.grad(f)(x), path.integral, path.converged

        return jax.lax.map(one, X, batch_size=_batch(len(X)))

    return run


def resampled_means(bootstraps: int) -> Callable[..., Array]:
    """The program that draws examples with replacement and averages them.

    Args:
        bootstraps: How many times.

    Returns:
        `run(values, key)`: means of `(n, m)` values, shape `(bootstraps, m)`.
    """

    def run(values: Array, key: Array) -> Array:
        def one(key: Array) -> Array:
            chosen = _resample(key, len(values))
            often = jnp.zeros(len(values), values.dtype).at[chosen].add(1)
            return jnp.matmul(often, values, precision="highest") / len(values)

        keys = jax.random.split(key, bootstraps)
        return jax.lax.map(one, keys, batch_size=_batch(bootstraps))

    return run


def shuffled(
    model: Callable[..., Any], loss: Callable[..., Any], bootstraps: int, repeats: int
) -> Callable[..., tuple[Array, Array, Array]]:
    """The program for permutation importance.

    Args:
        model: `model(params, X) -> (n,)`.
        loss: `loss(predictions, y) -> scalar`.
        bootstraps: How many resamples of the examples.
        repeats: How many shuffles of each feature.

    Returns:
        `run(params, X, y, key, boot_key)`: the loss, each feature's importance, shape
        `(d,)`, and those of the resamples, shape `(d, bootstraps)`.
    """

    def run(params: PyTree, X: Array, y: Array, key: Array, boot_key: Array) -> Any:
        n, d = X.shape
        plain = model(params, X)
        value = loss(plain, y)
        keys = jax.random.split(boot_key, bootstraps)

        def feature(j: Array) -> tuple[Array, Array]:
            column = X[:, j]

            def shuffle(key: Array) -> Array:
                mixed = jax.random.permutation(key, column)
                return model(params, X.at[:, j].set(mixed))

            shuffles = jax.random.split(jax.random.fold_in(key, j), repeats)
            outputs = jax.lax.map(shuffle, shuffles)
            worse = jax.vmap(lambda p: loss(p, y))(outputs)

            # The same resamples for every feature, so that features can be compared.
            def again(key: Array) -> Array:
                chosen = _resample(key, n)
                mixed = jax.vmap(lambda p: loss(p[chosen], y[chosen]))(outputs)
                return jnp.mean(mixed) - loss(plain[chosen], y[chosen])

            drawn = jax.lax.map(again, keys, batch_size=_batch(bootstraps))
            return jnp.mean(worse) - value, drawn

        found, drawn = jax.lax.map(feature, jnp.arange(d))
        return value, found, drawn

    return run


def _batch(count: int) -> int:
    """A batch without a remainder, which would be compiled a second time."""
    most = min(_BATCH, count)
    even = [size for size in range(most // 4 + 1, most + 1) if count % size == 0]
    return max(even, default=most)


def _resample(key: Array, n: int) -> Array:
    return jax.random.randint(key, (n,), 0, n)
