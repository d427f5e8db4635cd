"""Densities of eigenvalues, against those of spectra that are known."""

import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.curvature import hvp, operator_density, spectral_density

N = 120
VALUES = np.concatenate([np.linspace(-1, 2, N - 3), [6.0, 7.0, 7.5]])


def quadratic(x, A):
    return 0.5 * jnp.vdot(x, A @ x)


def rotated():
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(N, N)))
    return jnp.asarray((Q * VALUES) @ Q.T)


@pytest.fixture(scope="module")
def density():
    return spectral_density(
        quadratic, jnp.ones(N), rotated(), probes=20, steps=20, width=0.3
    )


def test_it_is_the_smoothed_density_of_the_eigenvalues(density):
    kernel = np.exp(-0.5 * ((np.asarray(density.grid)[:, None] - VALUES) / 0.3) ** 2)
    exact = kernel.mean(1) / (0.3 * np.sqrt(2 * np.pi))
    off = np.abs(np.asarray(density.density) - exact)
    error = np.asarray(density.error)
    # Within four standard errors, with a hundredth of the peak for the quadrature.
    assert np.all(off <= 4 * error + 0.01 * exact.max())
    assert np.all(error <= 0.2 * exact.max())


def test_it_integrates_to_one(density):
    area = np.trapezoid(density.density, density.grid)
    close(area, 1.0, atol=3e-3)  # three widths hold all but 2.7 thousandths
    close(np.sum(density.weights, axis=1), np.ones(20))


def test_its_nodes_lie_within_the_spectrum(density):
    assert float(np.min(density.nodes)) >= VALUES.min() - 1e-9
    assert float(np.max(density.nodes)) <= VALUES.max() + 1e-9


@pytest.mark.parametrize("power", [1, 2, 3])
def test_means_of_powers_are_those_of_the_eigenvalues(density, power):
    mean, error = density.mean(lambda t: t**power)
    assert abs(float(mean) - np.mean(VALUES**power)) <= 4 * float(error)
    assert float(error) < 0.2 * np.mean(np.abs(VALUES) ** power)


@pytest.mark.slow
def test_a_rule_of_m_nodes_is_exact_for_polynomials(density):
    # For the probe itself: zᵀ A³ z / n, up to degree 2m − 1.
    few = spectral_density(quadratic, jnp.ones(N), rotated(), probes=20, steps=2)
    thrice = np.sum(few.weights * few.nodes**3, axis=1)
    many = np.sum(density.weights * density.nodes**3, axis=1)
    close(thrice, many)


@pytest.mark.slow
def test_a_space_that_is_exhausted_early_gets_no_spurious_nodes():
    A = jnp.diag(jnp.asarray([5.0] + [1.0] * 19))  # two distinct eigenvalues
    found = operator_density(hvp(quadratic, jnp.ones(20), A), jnp.ones(20), steps=10)
    weights, nodes = np.asarray(found.weights), np.asarray(found.nodes)
    near = np.minimum(np.abs(nodes - 5), np.abs(nodes - 1)) < 1e-6
    assert np.all(weights[~near] < 1e-12)
    mean, error = found.mean(lambda t: t)
    close(mean, 24 / 20)
    close(error, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_plain_function_and_own_points_do(dtype):
    points = jnp.linspace(0, 4, 9, dtype=dtype)
    found = operator_density(lambda v: 2 * v, jnp.ones(5, dtype), grid=points)
    assert found.density.dtype == dtype
    close(found.grid, points)
    assert int(np.argmax(found.density)) == 4
    assert found.nodes.shape == (10, 5)


X = jnp.ones(3)
BAD = {
    "probes": (lambda: spectral_density(jnp.sum, X, probes=1), ValueError, "`probes`"),
    "steps": (lambda: spectral_density(jnp.sum, X, steps=0), ValueError, "`steps`"),
    "width": (lambda: spectral_density(jnp.sum, X, width=0.0), ValueError, "`width`"),
    "grid": (lambda: spectral_density(jnp.sum, X, grid=1), ValueError, "`grid`"),
    "loss": (lambda: spectral_density(jnp.sin, X), TypeError, "`loss`.*scalar"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
