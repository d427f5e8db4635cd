"""Eigenvalues of small matrices, and pivots, beside LAPACK's and NumPy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.optimizers._symmetric import eigh, factored

batched = jax.jit(jax.vmap(eigh))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_eigenpairs_are_lapacks(n, dtype):
    rng = np.random.default_rng(n)
    matrices = rng.normal(size=(300, n, n)) * 10 ** rng.uniform(-3, 3, (300, n, 1))
    matrices += matrices.transpose(0, 2, 1)
    matrices[::7] = np.diag(np.arange(n) % 2)
    matrices[1::7] = -np.ones((n, n))
    matrices[2::7] *= 1e-12
    matrices[3::7] = 0
    matrices = matrices.astype(dtype)
    values, vectors = map(np.asarray, batched(jnp.asarray(matrices)))
    size = np.abs(matrices).max((1, 2)) + np.finfo(dtype).tiny
    tol = 20 * np.finfo(dtype).eps
    right = np.linalg.eigvalsh(matrices.astype(np.float64))
    assert np.all(np.diff(values, axis=1) >= 0)
    assert (np.abs(values - right).max(1) / size).max() < tol
    back = np.einsum("bij,bj,bkj->bik", vectors, values, vectors)
    assert (np.abs(back - matrices).max((1, 2)) / size).max() < tol
    gram = np.einsum("bji,bjk->bik", vectors, vectors)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(n), gram.shape), atol=tol)


def test_the_pivot_tells_what_is_positive_definite():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    positive = root @ root.T
    factor, pivot = factored(jnp.asarray(positive))
    right = np.linalg.cholesky(positive)
    np.testing.assert_allclose(factor, right, rtol=1e-9)
    np.testing.assert_allclose(pivot, np.diagonal(right).min() ** 2, rtol=1e-9)
    lowest = np.linalg.eigvalsh(positive)[0]
    assert factored(jnp.asarray(positive - 0.9 * lowest * np.eye(6)))[1] > 0
    for shift in (1.1 * lowest, 1e3):
        assert np.isnan(factored(jnp.asarray(positive - shift * np.eye(6)))[1])
