"""Models against NumPy, and the statistics of their starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from closeness import close

from jaxcalc import losses

X = np.random.default_rng(0).normal(size=(5, 3))


def test_a_line_is_slope_times_x_plus_intercept():
    params = {"m": jnp.array(0.6), "b": jnp.array(2.2)}
    close(losses.line(params, jnp.arange(1.0, 6.0)), [2.8, 3.4, 4.0, 4.6, 5.2])


@pytest.mark.parametrize("outputs", [None, 4])
def test_a_linear_model_is_numpys_product(outputs):
    params = losses.init_linear(jax.random.key(0), 3, outputs, scale=1.0)
    actual = jax.jit(losses.linear)(params, jnp.asarray(X))
    close(actual, X @ np.asarray(params["w"]) + np.asarray(params["b"]), rtol=1e-14)


def test_logistic_regression_gives_probabilities():
    params = {"w": jnp.array([1.0, -2.0, 0.5]), "b": jnp.array(0.3)}
    expected = scipy.special.expit(X @ np.array([1.0, -2.0, 0.5]) + 0.3)
    close(losses.logistic(params, jnp.asarray(X)), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("activation", "oracle"),
    [(jnp.tanh, np.tanh), (jax.nn.relu, lambda h: np.maximum(h, 0))],
)
def test_a_multilayer_perceptron_has_activations_only_between_layers(
    activation, oracle
):
    params = losses.init_mlp(jax.random.key(1), (3, 4, 6, 2))
    (w0, b0), (w1, b1), (w2, b2) = [(np.asarray(p["w"]), p["b"]) for p in params]
    expected = oracle(oracle(X @ w0 + b0) @ w1 + b1) @ w2 + b2
    model = jax.jit(lambda p, X: losses.mlp(p, X, activation=activation))
    close(model(params, jnp.asarray(X)), expected, rtol=1e-13)


def test_a_perceptron_of_one_layer_is_a_linear_model():
    (layer,) = losses.init_mlp(jax.random.key(2), (3, 2))
    features = jnp.asarray(X)
    close(losses.mlp([layer], features), losses.linear(layer, features), rtol=0)


@pytest.mark.parametrize(
    ("scaling", "variance"), [("glorot", 2 / (300 + 200)), ("he", 2 / 300)]
)
def test_weights_start_with_the_variance_of_their_scaling(scaling, variance):
    (layer,) = losses.init_mlp(jax.random.key(3), (300, 200), scaling=scaling)
    # 60,000 normal numbers: the sample variance deviates by 0.6% (one sigma).
    close(np.var(layer["w"]), variance, rtol=0.03, atol=0)
    assert not np.any(layer["b"])


def test_layers_start_independently():
    first, second = losses.init_mlp(jax.random.key(4), (5, 5, 5))
    assert np.max(np.abs(first["w"] - second["w"])) > 0.1


@pytest.mark.parametrize("x64", [False, True])
def test_starts_follow_the_default_dtype(x64):
    with jax.enable_x64(x64):
        key = jax.random.key(0)
        trees = (
            jax.eval_shape(lambda key: losses.init_linear(key, 2, 3), key),
            jax.eval_shape(lambda key: losses.init_mlp(key, (2, 3, 1)), key),
        )
        expected = jnp.zeros(()).dtype
    assert {leaf.dtype for leaf in jax.tree.leaves(trees)} == {expected}


def test_a_linear_start_has_the_scale_it_is_asked_for():
    w = losses.init_linear(jax.random.key(0), 10_000, scale=0.5)["w"]
    close(np.std(w), 0.5, rtol=0.03, atol=0)
    assert losses.init_linear(jax.random.key(0), 2, scale=0.0)["w"].tolist() == [0, 0]


LAYER = {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.linear(LAYER, jnp.ones((5, 4))), r"`X` has shape \(5, 4\)"),
        (lambda: losses.linear(LAYER, jnp.ones(3)), r"`X` has shape \(3,\)"),
        (lambda: losses.linear({"w": jnp.ones(3)}, jnp.ones((5, 3))), "'b'"),
        (lambda: losses.linear(jnp.ones(3), jnp.ones((5, 3))), "must be a dict"),
        (
            lambda: losses.linear({**LAYER, "b": jnp.ones(3)}, jnp.ones((5, 3))),
            r"\(d, k\) with \(k,\)",
        ),
        (lambda: losses.line({"w": 1.0}, jnp.ones(3)), "slope 'm'"),
        (lambda: losses.mlp([], jnp.ones((5, 3))), "list of layers"),
        (lambda: losses.mlp([LAYER, LAYER], jnp.ones((5, 3))), "outputs of layer 0"),
        (
            lambda: losses.mlp(
                [{"w": jnp.ones(3), "b": jnp.ones(())}], jnp.ones((5, 3))
            ),
            r"`params\[0\]`",
        ),
        (lambda: losses.init_mlp(jax.random.key(0), (3,)), "at least two widths"),
        (lambda: losses.init_mlp(jax.random.key(0), (3, 0)), "at least 1"),
        (
            lambda: losses.init_mlp(jax.random.key(0), (3, 2), scaling="xavier"),
            "unknown scaling 'xavier'; there are 'glorot', 'he'",
        ),
        (lambda: losses.init_linear(jax.random.key(0), 0), "`features`"),
        (lambda: losses.init_linear(jax.random.key(0), 2, scale=-1.0), "`scale`"),
    ],
)
def test_what_does_not_fit_is_named(call, message, unchecked):
    with pytest.raises(ValueError, match=message):
        call()
