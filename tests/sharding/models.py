"""A small network, with sizes by which its arrays can be told apart."""

import jax.numpy as jnp
import numpy as np

SIZES = {"rows": 4096, "inputs": 14, "hidden": 22, "outputs": 6}


def network(seed):
    """Parameters and data: `(params, (x, y))`, as NumPy arrays."""
    rng = np.random.default_rng(seed)
    n, d, h, k = SIZES.values()
    x, true = rng.normal(size=(n, d)), rng.normal(size=(d, k))
    y = np.tanh(x @ true) + 0.1 * rng.normal(size=(n, k))
    params = {
        "w": rng.normal(size=(d, h)) / d**0.5,
        "b": np.zeros(h),
        "v": rng.normal(size=(h, k)) / h**0.5,
    }
    return params, (x, y)


def network_loss(params, x, y):
    """Mean squares, and a small penalty that makes minima isolated."""
    hidden = jnp.tanh(x @ params["w"] + params["b"])
    penalty = sum(jnp.sum(leaf**2) for leaf in params.values())
    return jnp.mean((hidden @ params["v"] - y) ** 2) + 1e-3 * penalty
