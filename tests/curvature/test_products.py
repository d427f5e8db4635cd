"""Products with the Hessian and the Gauss-Newton matrix, against the dense ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close
from jax.flatten_util import ravel_pytree

from jaxcalc import losses
from jaxcalc.curvature import gauss_newton_hessian, ggn_vp, hvp


def network(params, X):
    return jnp.tanh(X @ params["w"] + params["b"]) @ params["v"]


def logits_and_params(params, X, y):
    return network(params, X), params


def penalized(outputs, X, y):
    logits, params = outputs
    return losses.softmax_cross_entropy(logits, y) + 0.1 * jnp.sum(params["w"] ** 2)


def loss(params, X, y):
    return penalized(logits_and_params(params, X, y), X, y)


def data(dtype=float):
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    params["v"] = rng.normal(size=(4, 3))
    params = jax.tree.map(lambda a: jnp.asarray(a, dtype), params)
    X, y = jnp.asarray(rng.normal(size=(7, 3)), dtype), jnp.arange(7) % 3
    tangent = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), params)
    return params, tangent, X, y


def dense(function, params, *args):
    """The Hessian of a function of a tree, by `jax.hessian` of the raveled one."""
    flat, unravel = ravel_pytree(params)
    hessian = jax.jit(jax.hessian(lambda x, *args: function(unravel(x), *args)))
    return np.asarray(hessian(flat, *args))


@pytest.mark.parametrize(
    "dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)]
)
def test_the_product_is_that_of_the_dense_hessian(dtype):
    params, tangent, X, y = data(dtype)
    product = hvp(loss, params, X, y)(tangent)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(product))
    expected = dense(loss, params, X, y) @ ravel_pytree(tangent)[0]
    close(ravel_pytree(product)[0], expected)


@pytest.mark.parametrize(
    "dtype", [pytest.param(jnp.float32, marks=pytest.mark.slow), jnp.float64]
)
def test_gauss_newton_is_the_hessian_without_the_curvature_of_the_model(dtype):
    params, tangent, X, y = data(dtype)
    flat, unravel = ravel_pytree(params)

    def outputs(x):
        return ravel_pytree(logits_and_params(unravel(x), X, y))[0]

    _, split = ravel_pytree(logits_and_params(params, X, y))
    J = np.asarray(jax.jit(jax.jacobian(outputs))(flat))
    H = dense(lambda o: penalized(split(o), X, y), outputs(flat))
    product = ggn_vp(logits_and_params, penalized, params, X, y)(tangent)
    close(ravel_pytree(product)[0], J.T @ (H @ (J @ ravel_pytree(tangent)[0])))


@pytest.mark.slow
def test_gauss_newton_is_the_hessian_of_a_model_linear_in_its_parameters():
    _, _, X, y = data()
    params = losses.init_linear(jax.random.key(0), 3, 3)
    tangent = losses.init_linear(jax.random.key(1), 3, 3)

    def model(params, X, y):
        return losses.linear(params, X)

    def output_loss(logits, X, y):
        return losses.softmax_cross_entropy(logits, y)

    curvature = gauss_newton_hessian(model, output_loss)(params, X, y)
    exact = hvp(lambda *a: output_loss(model(*a), *a[1:]), params, X, y)
    jax.tree.map(close, curvature(tangent), exact(tangent))


def test_a_bare_scalar_works_under_every_transformation():
    def product(x):
        return hvp(lambda t, a: a * t**3, x, 2.0)(1.0)

    assert product(2.0).shape == ()
    close(product(2.0), 24.0)
    close(jax.jit(product)(2.0), 24.0)
    close(jax.vmap(product)(jnp.arange(3.0)), [0.0, 12.0, 24.0])
    close(jax.grad(product)(2.0), 12.0)
    close(ggn_vp(jnp.exp, jnp.square, 1.0)(1.0), 2 * np.exp(2.0))


def flops(function, *args):
    cost = jax.jit(function).lower(*args).compile().cost_analysis()
    assert cost is not None
    return cost["flops"]


def test_a_product_costs_at_most_three_gradients():
    params, tangent, X, y = data()
    X = jnp.tile(X, (100, 1))
    y = jnp.tile(y, 100)
    gradient = flops(jax.grad(loss), params, X, y)
    product = flops(lambda p, v, X, y: hvp(loss, p, X, y)(v), params, tangent, X, y)
    assert 1 < product / gradient <= 3


@pytest.mark.slow
def test_a_second_product_compiles_nothing():
    params, tangent, X, y = data()
    compiled = 0

    def listen(event, *_, **__):
        nonlocal compiled
        compiled += event == "/jax/core/compile/backend_compile_duration"

    def multiply():
        hvp(loss, params, X, y)(tangent)
        hvp(lambda *a: 2 * loss(*a), params, X, y)(tangent)

    multiply()
    jax.monitoring.register_event_duration_secs_listener(listen)
    multiply()
    jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == 0


BAD = {
    "vector": (lambda: hvp(lambda x: x, jnp.ones(2)), TypeError, "`loss`.*scalar"),
    "integers": (lambda: hvp(jnp.sum, jnp.arange(3)), TypeError, "params.*floating"),
    "nothing": (lambda: hvp(jnp.sum, {}), ValueError, "params"),
    "structure": (
        lambda: hvp(lambda x: x["a"] ** 2, {"a": 1.0})(1.0),
        ValueError,
        "`tangent`.*structure",
    ),
    "shape": (
        lambda: hvp(jnp.sum, jnp.ones(2))(jnp.ones(3)),
        ValueError,
        r"`tangent`.*shape \(2,\)",
    ),
    "complex": (
        lambda: hvp(jnp.sum, jnp.ones(2))(1j * jnp.ones(2)),
        TypeError,
        "`tangent`.*real",
    ),
    "outputs": (
        lambda: ggn_vp(lambda x: (x, 1), jnp.sum, 1.0),
        TypeError,
        r"model\(params\)\[1\].*floating",
    ),
    "output loss": (
        lambda: ggn_vp(lambda x: jnp.stack([x, x]), lambda o: o, 1.0),
        TypeError,
        "`output_loss`.*scalar",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
