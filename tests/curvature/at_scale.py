"""A million parameters, as a process of its own: prints its peak of memory in bytes."""

import resource
import sys

import jax
import jax.numpy as jnp

from jaxcalc.curvature import hvp, spectral_density, spectrum, trace


def loss(params, X, y):
    hidden = jnp.tanh(X @ params["w"])
    return jnp.mean((jnp.tanh(hidden @ params["u"]) @ params["v"] - y) ** 2)


def main():
    """Look at the curvature of a network with 1,001,000 parameters."""
    keys = jax.random.split(jax.random.key(0), 5)
    params = {
        "w": jax.random.normal(keys[0], (100, 900)) / 10,
        "u": jax.random.normal(keys[1], (900, 1011)) / 30,
        "v": jax.random.normal(keys[2], (1011, 1)) / 30,
    }
    X, y = jax.random.normal(keys[3], (200, 100)), jax.random.normal(keys[4], (200, 1))
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    found = spectrum(loss, params, X, y, k=3, tol=1e-3, max_products=300)
    assert bool(found.top.converged)
    product = hvp(loss, params, X, y)
    vector = jax.tree.map(lambda v: v[0], found.top.vectors)
    off = jax.tree.map(lambda a, b: a - found.largest * b, product(vector), vector)
    residual = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(off)) ** 0.5
    assert residual <= 1.01 * float(found.top.residuals[0])
    estimate = trace(product, params, max_probes=20)
    density = spectral_density(loss, params, X, y, probes=2, steps=30)
    mean, error = density.mean(lambda t: t)
    both = (float(error) * size) ** 2 + float(estimate.error) ** 2
    assert abs(float(mean) * size - float(estimate.value)) <= 5 * both**0.5
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(size, peak if sys.platform == "darwin" else 1024 * peak)


if __name__ == "__main__":
    main()
