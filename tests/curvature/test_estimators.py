"""Traces, norms and diagonals from random signs, against the matrices themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.curvature import estimate_diagonal, frobenius_norm, hvp, trace

RNG = np.random.default_rng(0)
N = 40
G = RNG.normal(size=(N, N))
A = G + G.T + 6 * np.diag(np.arange(N))


def multiply(A, v):
    return A @ v


def product(A, dtype=float):
    return jax.tree_util.Partial(multiply, jnp.asarray(A, dtype))


@pytest.mark.parametrize(
    "dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)]
)
def test_the_trace_is_within_its_error(dtype):
    found = trace(product(A, dtype), jnp.ones(N, dtype), tol=0.01)
    assert found.value.dtype == dtype
    assert abs(float(found.value) - np.trace(A)) <= 4 * float(found.error)
    assert float(found.error) <= 0.01 * float(found.value)
    assert 10 <= int(found.probes) <= 100


@pytest.mark.slow
def test_standard_errors_are_those_of_repeated_estimates():
    keys = jax.random.split(jax.random.key(1), 200)

    def one(key):
        return trace(product(A), jnp.ones(N), tol=0.0, max_probes=20, key=key)

    found = jax.jit(jax.vmap(one))(keys)
    spread = float(np.std(found.value))
    theory = np.sqrt(2 * np.sum((A - np.diag(np.diag(A))) ** 2) / 20)
    close(spread, theory, rtol=0.2)  # 200 repeats know it to 5%
    close(np.sqrt(np.mean(np.square(found.error))), theory, rtol=0.1)
    close(np.mean(found.value), np.trace(A), atol=4 * theory / np.sqrt(200))


@pytest.mark.slow
def test_the_trace_of_a_diagonal_is_exact():
    found = trace(lambda v: jnp.arange(5.0) * v, jnp.ones(5))
    close(found.value, 10.0)
    close(found.error, 0.0)
    assert int(found.probes) == 10


@pytest.mark.slow
def test_a_sketch_takes_out_what_dominates():
    u = RNG.normal(size=(N, 3))
    spiked = 100 * u @ u.T + 0.01 * A
    plain = trace(product(spiked), jnp.ones(N), tol=1e-3)
    better = trace(product(spiked), jnp.ones(N), tol=1e-3, sketch=6)
    assert int(plain.probes) == 100
    assert int(better.probes) == 10
    assert float(better.error) < 0.1 * float(plain.error)
    assert abs(float(better.value) - np.trace(spiked)) <= 4 * float(better.error)


@pytest.mark.slow
def test_a_sketch_of_everything_is_exact():
    found = trace(product(A), jnp.ones(N), sketch=N)
    close(found.value, np.trace(A))


@pytest.mark.slow
def test_the_norm_is_within_its_error():
    found = frobenius_norm(product(A), jnp.ones(N), tol=0.01, max_probes=1000)
    assert abs(float(found.value) - np.linalg.norm(A)) <= 4 * float(found.error)
    assert float(found.error) <= 0.01 * float(found.value)


@pytest.mark.slow
def test_the_diagonal_is_within_its_errors():
    def loss(params, A):
        x = jnp.concatenate([params["a"], params["b"].ravel()])
        return 0.5 * x @ A @ x

    params = {"a": jnp.ones(10), "b": jnp.ones((10, 3))}
    found = estimate_diagonal(
        hvp(loss, params, jnp.asarray(A)), params, tol=0.02, max_probes=1000
    )
    assert found.value["b"].shape == (10, 3)
    value = np.concatenate([np.ravel(found.value[k]) for k in "ab"])
    error = np.concatenate([np.ravel(found.error[k]) for k in "ab"])
    assert np.all(np.abs(value - np.diag(A)) <= 5 * error)
    assert np.linalg.norm(error) <= 0.02 * np.linalg.norm(value)


@pytest.mark.slow
def test_a_trace_that_cancels_uses_its_budget_and_says_so():
    found = trace(product(G + G.T - np.diag(np.diag(2 * G))), jnp.ones(N))
    assert int(found.probes) == 100
    assert abs(float(found.value)) <= 4 * float(found.error)


X = jnp.ones(3)
BAD = {
    "tol": (lambda: trace(jnp.sin, X, tol=-1.0), ValueError, "`tol`"),
    "probes": (lambda: trace(jnp.sin, X, max_probes=1), ValueError, "`max_probes`"),
    "sketch": (lambda: trace(jnp.sin, X, sketch=4), ValueError, "`sketch`.*most 3"),
    "like": (lambda: frobenius_norm(jnp.sin, jnp.arange(3)), TypeError, "`like`"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
