"""The Fisher information, against expectations over the targets that a model draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.curvature import as_matrix, empirical_fisher_vp, fisher_vp

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(4, 2)))
PARAMS = jnp.asarray(RNG.normal(size=(2, 3)))


def model(params, X):
    return jnp.tanh(X @ params)


def expected_outer_products(log_likelihood, draws):
    """Mean over examples of E[g gᵀ], the draws with their probabilities listed."""

    @jax.jit
    def log_p_and_gradient(params, row, y):
        def log_p(params):
            return log_likelihood(y, model(params, row[None])[0])

        return jax.value_and_grad(log_p)(params)

    total = np.zeros((PARAMS.size, PARAMS.size))
    for row in np.asarray(X):
        for y in draws:
            log_p, gradient = log_p_and_gradient(PARAMS, row, y)
            total += np.exp(log_p) * np.outer(gradient, gradient)
    return total / len(X)


def test_the_categorical_fisher_is_the_expected_outer_product_of_gradients():
    exact = expected_outer_products(lambda y, z: jax.nn.log_softmax(z)[y], range(3))
    close(as_matrix(fisher_vp(model, "categorical", PARAMS, X), PARAMS), exact)


@pytest.mark.slow
def test_the_bernoulli_fisher_is_the_expected_outer_product_of_gradients():
    draws = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3)
    exact = expected_outer_products(
        lambda y, z: jnp.sum(y * z - jnp.logaddexp(0, z)), draws
    )
    close(as_matrix(fisher_vp(model, "bernoulli", PARAMS, X), PARAMS), exact)


def jacobian():
    return np.asarray(jax.jacobian(model)(PARAMS, X)).reshape(12, 6)


@pytest.mark.slow
def test_the_gaussian_and_poisson_fisher_weigh_the_jacobian_by_the_variance():
    J, z = jacobian(), np.ravel(model(PARAMS, X))
    gaussian = as_matrix(fisher_vp(model, "gaussian", PARAMS, X), PARAMS)
    close(gaussian, J.T @ J / 4)
    poisson = as_matrix(fisher_vp(model, "poisson", PARAMS, X), PARAMS)
    close(poisson, J.T @ np.diag(np.exp(z)) @ J / 4)


@pytest.mark.slow
def test_the_information_can_be_a_function():
    own = fisher_vp(model, lambda _, t: 3 * t, PARAMS, X)
    J = jacobian()
    close(as_matrix(own, PARAMS), 3 * J.T @ J)


@pytest.mark.slow
def test_the_empirical_fisher_is_the_mean_outer_product_of_gradients():
    def losses(params, X):
        return jnp.sum(model(params, X) ** 2, axis=1)

    G = np.asarray(jax.jacobian(losses)(PARAMS, X)).reshape(4, 6)
    close(as_matrix(empirical_fisher_vp(losses, PARAMS, X), PARAMS), G.T @ G / 4)


@pytest.mark.slow
def test_saturated_logits_keep_their_digits():
    z = jnp.array([[0.0, -50.0]])  # p = (1 - e⁻⁵⁰, e⁻⁵⁰), nearly
    small = np.exp(-50.0)
    exact = small * np.array([[1, -1], [-1, 1]])
    matrix = as_matrix(fisher_vp(lambda x: x, "categorical", z), z)
    close(np.asarray(matrix) / small, exact / small)
    one = as_matrix(fisher_vp(lambda x: x, "bernoulli", 50.0), 50.0)
    close(np.asarray(one) / small, [[1.0]])


BAD = {
    "name": (
        lambda: fisher_vp(model, "normal", PARAMS, X),
        ValueError,
        "distribution 'normal'.*gaussian",
    ),
    "tree": (
        lambda: fisher_vp(lambda x: (x, x), "gaussian", 1.0),
        TypeError,
        "`model` must return one array",
    ),
    "scalar": (
        lambda: fisher_vp(lambda x: x, "categorical", 1.0),
        ValueError,
        "logits of all classes",
    ),
    "losses": (
        lambda: empirical_fisher_vp(model, PARAMS, X),
        ValueError,
        r"`example_losses`.*\(4, 3\)",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
