"""Products from structure against the dense Hessian, and where it hurts."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from closeness import close
from jax.flatten_util import ravel_pytree

from jaxcalc import losses

rng = np.random.default_rng(0)
X = jnp.asarray(rng.normal(size=(20, 4)))
PARAMS = {"w": jnp.asarray(rng.normal(size=(4, 3))), "b": jnp.array([0.3, -1.0, 0.0])}
TANGENT = {"w": jnp.asarray(rng.normal(size=(4, 3))), "b": jnp.array([1.0, 2.0, -1.0])}


@jax.jit
def multiplied(params, X, tangent):
    return losses.softmax_hessian_product(params, X)(tangent)


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0])
def test_products_are_those_of_the_dense_hessian(scale):
    params = jax.tree.map(lambda leaf: scale * leaf, PARAMS)
    dense = losses.softmax_hessian(params, X)
    expected = dense @ ravel_pytree(TANGENT)[0]
    close(ravel_pytree(multiplied(params, X, TANGENT))[0], expected)


def test_no_digits_are_lost_where_one_class_is_nearly_certain():
    params = {"w": jnp.zeros((1, 2)), "b": jnp.array([30.0, 0.0])}
    tangent = {"w": jnp.zeros((1, 2)), "b": jnp.array([1.0, 3.0])}
    with mpmath.workdps(50):
        p = 1 / (1 + mpmath.exp(-30))
        expected = float(p * (1 - p) * (1 - 3))
    product = multiplied(params, jnp.ones((1, 1)), tangent)
    close(product["b"] / expected, [1.0, -1.0], rtol=1e-12, atol=0)


def test_lanes_multiply_alone():
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), TANGENT)
    batch = jax.vmap(losses.softmax_hessian_product(PARAMS, X))(twice)
    once = multiplied(PARAMS, X, TANGENT)
    close(batch["w"][1], 2 * once["w"])
    close(batch["b"][0], once["b"])


def test_a_tangent_of_the_wrong_shape_is_named():
    with pytest.raises(ValueError, match="tangent"):
        losses.softmax_hessian_product(PARAMS, X)({"w": jnp.ones(3), "b": jnp.ones(2)})
