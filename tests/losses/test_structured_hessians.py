"""Hessians from structure against `jax.hessian` of the loss, the slow way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close
from jax.flatten_util import ravel_pytree

from jaxcalc import losses
from jaxcalc.losses import hessians

N, D, K = 20, 4, 3
rng = np.random.default_rng(0)
X = jnp.asarray(rng.normal(size=(N, D)))
NUMBERS = jnp.asarray(rng.normal(size=N))
SIGNS = jnp.asarray(rng.choice([-1.0, 1.0], N))
CLASSES = jnp.asarray(rng.integers(0, K, N))

CASES = {
    "linear": (losses.linear_hessian, losses.mean_squared_error, NUMBERS, None),
    "logistic": (losses.logistic_hessian, losses.logistic_loss, SIGNS, None),
    "softmax": (losses.softmax_hessian, losses.softmax_cross_entropy, CLASSES, K),
}


@functools.partial(jax.jit, static_argnums=0)
def slow_hessian(loss, params, X, y):
    flat, unravel = ravel_pytree(params)
    return jax.hessian(lambda flat: loss(losses.linear(unravel(flat), X), y))(flat)


def floats(tree, dtype):
    return jax.tree.map(lambda a: a.astype(dtype) if a.dtype.kind == "f" else a, tree)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_structured_hessian_is_that_of_the_loss(case, scale, dtype):
    hessian, loss, y, outputs = case
    params = losses.init_linear(jax.random.key(1), D, outputs, scale=scale)
    params, data, targets = floats((params, X, y), dtype)
    actual = jax.jit(hessian)(params, data)
    assert actual.dtype == dtype
    expected = slow_hessian(loss, params, data, targets)
    # Sums of 20 terms of the largest entry's size.
    atol = 30 * np.finfo(dtype).eps * np.max(np.abs(expected))
    close(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_structured_hessians_are_batched_by_vmap(case):
    hessian, _, _, outputs = case
    keys = jax.random.split(jax.random.key(2), 3)
    lanes = jax.vmap(lambda key: losses.init_linear(key, D, outputs))(keys)
    batched = jax.jit(jax.vmap(hessian, in_axes=(0, None)))(lanes, X)
    for i in range(3):
        lane = jax.tree.map(lambda leaf: leaf[i], lanes)
        close(batched[i], jax.jit(hessian)(lane, X), rtol=0, atol=1e-14)


def test_a_large_softmax_hessian_takes_less_memory_and_is_the_same(monkeypatch):
    params = losses.init_linear(jax.random.key(3), D, K, scale=1.0)
    at_once = jax.jit(losses.softmax_hessian)(params, X)
    monkeypatch.setattr(hessians, "_MOST_PRODUCTS", 0)
    piecewise = jax.jit(lambda params: losses.softmax_hessian(params, X))(params)
    close(piecewise, at_once, rtol=0, atol=1e-14)


def test_a_decided_softmax_hessian_keeps_its_relative_accuracy():
    # One example, one feature, logits (50, 0, 0): p is (1 - 2e, e, e), e = e^-50.
    params = {"w": jnp.array([[50.0, 0.0, 0.0]]), "b": jnp.zeros(3)}
    H = jax.jit(losses.softmax_hessian)(params, jnp.ones((1, 1)))[:3, :3]
    e = np.exp(-50)
    expected = e * np.array([[2, -1, -1], [-1, 1, -e], [-1, -e, 1]])
    close(H, expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("logit", [40.0, -40.0, 700.0])
def test_a_decided_logistic_hessian_keeps_its_relative_accuracy(logit):
    params = {"w": jnp.zeros(1), "b": jnp.array(logit)}
    H = jax.jit(losses.logistic_hessian)(params, jnp.ones((1, 1)))
    close(H, np.full((2, 2), np.exp(-abs(logit))), rtol=1e-13, atol=0)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_feature_more_or_less_is_named(case):
    hessian, _, _, outputs = case
    params = losses.init_linear(jax.random.key(4), D + 1, outputs)
    with pytest.raises(ValueError, match=r"`X` has shape \(20, 4\)"):
        hessian(params, X)
