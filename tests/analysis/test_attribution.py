"""Attributions: they add up, or it is said that they don't."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc import losses
from jaxcalc.analysis import _sensitivity_path as path
from jaxcalc.analysis.attribution import (
    gradient_times_input,
    integrated_gradients,
    smooth_gradient,
)


def linear(x, w):
    return x["a"] @ w + 3 * x["b"]


INPUTS = {"a": jnp.array([1.0, -2.0]), "b": jnp.asarray(0.5)}
WEIGHTS = jnp.array([0.7, 0.1])


def network(x, params):
    return losses.mlp(params, x[None], activation=jax.nn.relu)[0, 0]


@pytest.fixture(scope="module")
def relu_network():
    rng = np.random.default_rng(1)
    return [
        {
            "w": jnp.asarray(rng.normal(size=(d, k)) * np.sqrt(2 / d)),
            "b": jnp.asarray(0.5 * rng.normal(size=k)),  # kinks away from the origin
        }
        for d, k in ((4, 12), (12, 12), (12, 1))
    ]


def test_the_rules_are_gauss_legendre_and_exact_to_degree_22():
    nodes, weights = np.polynomial.legendre.leggauss(7)
    used = path.GAUSS > 0
    close(path.NODES[used], (1 + nodes) / 2, rtol=1e-14)
    close(path.GAUSS[used], weights / 2, rtol=1e-14)
    powers = np.arange(23)
    moments = path.KRONROD @ path.NODES[:, None] ** powers
    close(moments, 1 / (1 + powers), rtol=1e-14)


def test_a_linear_model_is_attributed_exactly_by_both():
    baseline = {"a": jnp.array([0.5, 0.5]), "b": jnp.asarray(-1.0)}
    want = {"a": WEIGHTS * np.array([0.5, -2.5]), "b": 4.5}
    found = integrated_gradients(linear, INPUTS, WEIGHTS, baseline=baseline)
    times = gradient_times_input(linear, INPUTS, WEIGHTS, baseline=baseline)
    for one in (found.attribution, times):
        close(one["a"], want["a"], rtol=1e-12)
        close(one["b"], want["b"], rtol=1e-12)
    assert found.converged
    assert found.panels == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_of_powers_is_shared_by_its_exponents(dtype):
    # Along the line from 0 the integral of x_i ∂_i f is (exponent / degree) f(x).
    found = integrated_gradients(
        lambda x: x[0] ** 3 * x[1] ** 2 * x[2], jnp.asarray([1.0, 2.0, -3.0], dtype)
    )
    close(found.attribution, np.asarray([-6.0, -4.0, -2.0], dtype))
    assert found.attribution.dtype == dtype
    assert found.converged


def test_a_network_with_kinks_adds_up_and_agrees_with_the_slow_way(relu_network):
    x = jnp.array([2.0, -3.0, 1.0, 4.0])
    found = integrated_gradients(network, x, relu_network, tol=1e-6, max_panels=3000)
    assert found.converged
    assert found.panels > 20
    assert abs(found.gap) < 1e-5
    close(found.gap, found.attribution.sum() - (found.value - found.baseline_value))
    points = (np.arange(100_000) + 0.5) / 100_000
    slopes = jax.vmap(jax.grad(network), (0, None))(points[:, None] * x, relu_network)
    # The midpoint rule is off by a step at each of some twenty kinks.
    close(found.attribution, x * slopes.mean(axis=0), atol=2e-4, rtol=0)


def test_errors_that_cancel_in_the_sum_are_seen():
    # At any nodes the two slopes cancel, so completeness holds for wrong attributions.
    found = integrated_gradients(
        lambda x: jnp.abs(x[0] - 0.3) - jnp.abs(x[1] - 0.3), jnp.ones(2)
    )
    close(found.attribution, [0.4, -0.4], atol=1e-4)
    assert found.panels > 10


def test_a_jump_can_not_be_attributed_and_the_gap_says_how_much():
    found = integrated_gradients(
        lambda x: jnp.where(x[0] > 0.3, 5.0, 0.0) + x[1], jnp.ones(2)
    )
    close(found.gap, -5.0)
    assert not found.converged
    assert found.panels < 100


@pytest.mark.slow
def test_too_few_panels_end_unconverged_and_a_nan_too(relu_network):
    x = jnp.array([2.0, -3.0, 1.0, 4.0])
    found = integrated_gradients(network, x, relu_network, tol=1e-9, max_panels=3)
    assert not found.converged
    broken = integrated_gradients(lambda x: jnp.log(x[0] - 2), jnp.ones(2))
    assert not broken.converged
    assert np.isnan(broken.gap)


@pytest.mark.slow
def test_the_baseline_itself_gets_nothing():
    found = integrated_gradients(linear, INPUTS, WEIGHTS, baseline=INPUTS)
    assert found.gap == 0
    assert np.all(found.attribution["a"] == 0)
    assert found.converged


def test_a_saturated_unit_is_invisible_to_first_order_alone():
    def saturated(x):
        return 1 - jax.nn.relu(1 - x)

    assert gradient_times_input(saturated, 2.0) == 0
    # Off by the tolerance of 1e-4.
    close(integrated_gradients(saturated, 2.0).attribution, 1.0, rtol=1e-3)


@pytest.mark.slow
def test_it_works_under_vmap():
    x = jnp.array([[1.0, 2.0], [0.3, -1.0]])
    found = jax.vmap(lambda x: integrated_gradients(lambda x: x[0] * x[1], x))(x)
    close(found.attribution, np.prod(x, axis=1)[:, None] * np.full(2, 0.5))


@pytest.mark.slow
def test_smoothing_a_corner_gives_the_normal_distribution():
    # E sign(x + σ z) = 2 Φ(x/σ) - 1 = erf(x / (σ √2)).
    found = smooth_gradient(jnp.abs, 0.3, deviation=0.5, samples=4000)
    want = jax.scipy.special.erf(0.3 / (0.5 * np.sqrt(2)))
    assert abs(found.mean - want) < 4 * found.standard_error
    close(found.standard_error, np.sqrt((1 - want**2) / 4000), rtol=0.05)  # sampling


def test_smoothing_with_a_scale_for_each_input_and_without_noise():
    def f(x):
        return x["a"] @ x["a"] + x["b"] ** 3

    scale = {"a": jnp.zeros(2), "b": jnp.asarray(0.1)}
    found = smooth_gradient(f, INPUTS, deviation=scale, samples=500)
    close(found.mean["a"], 2 * INPUTS["a"])
    assert np.all(found.standard_error["a"] == 0)
    want = 3 * (0.25 + 0.01)  # E 3 (x + z)²
    assert abs(found.mean["b"] - want) < 4 * found.standard_error["b"]
    assert found.standard_error["b"] > 0
    again = smooth_gradient(f, INPUTS, deviation=scale, samples=500)
    assert again.mean["b"] == found.mean["b"]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: gradient_times_input(jnp.sum, jnp.arange(3)), TypeError, "`x`"),
        (lambda: gradient_times_input(jnp.exp, jnp.ones(2)), TypeError, "`model`"),
        (
            lambda: integrated_gradients(jnp.sum, jnp.ones(2), baseline=jnp.ones(3)),
            ValueError,
            r"`baseline`.*\(2,\).*\(3,\)",
        ),
        (
            lambda: integrated_gradients(jnp.sum, jnp.ones(2), tol=-1.0),
            ValueError,
            "`tol`",
        ),
        (
            lambda: integrated_gradients(jnp.sum, jnp.ones(2), max_panels=0),
            ValueError,
            "`max_panels`",
        ),
        (
            lambda: smooth_gradient(jnp.sum, jnp.ones(2), deviation=-0.1),
            ValueError,
            "`deviation`",
        ),
        (
            lambda: smooth_gradient(jnp.sum, jnp.ones(2), deviation=jnp.ones(3)),
            ValueError,
            "`deviation`",
        ),
        (
            lambda: smooth_gradient(jnp.sum, jnp.ones(2), deviation=1.0, samples=1),
            ValueError,
            "`samples`",
        ),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
