"""Parameters spread over eight devices, as a process of its own."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxcalc.curvature import eigenpairs, ggn_vp, hvp


def model(params, X):
    return jnp.tanh(X @ params["w"]) @ params["v"]


def output_loss(outputs, X):
    return jnp.mean(outputs**2)


def loss(params, X):
    return output_loss(model(params, X), X)


def main():
    """Compare products and eigenvalues with those on one device."""
    assert jax.device_count() == 8
    mesh = jax.make_mesh((8,), ("model",), axis_types=(AxisType.Auto,))
    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "w": jax.random.normal(keys[0], (6, 16)),
        "v": jax.random.normal(keys[1], (16,)),
    }
    X = jax.random.normal(keys[2], (20, 6))
    where = {"w": PartitionSpec(None, "model"), "v": PartitionSpec("model")}
    shardings = {key: NamedSharding(mesh, spec) for key, spec in where.items()}
    spread = jax.device_put(params, shardings)
    for name, make in (
        ("hvp", lambda p: hvp(loss, p, X)),
        ("ggn", lambda p: ggn_vp(model, output_loss, p, X)),
    ):
        alone, product = make(params)(params), make(spread)(spread)
        for key, leaf in product.items():
            np.testing.assert_allclose(leaf, alone[key], rtol=1e-4, atol=1e-5)
            assert leaf.sharding.is_equivalent_to(spread[key].sharding, leaf.ndim), name
    alone = eigenpairs(hvp(loss, params, X), params, 2)
    found = eigenpairs(hvp(loss, spread, X), spread, 2)
    np.testing.assert_allclose(found.values, alone.values, rtol=1e-3)
    for key, leaf in found.vectors.items():
        assert not leaf.sharding.is_fully_replicated, key
    print("the same")


if __name__ == "__main__":
    main()
