"""Extreme eigenvalues, against spectra that are given and against LAPACK."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.curvature import Spectrum, eigenpairs, hvp, layer_spectra, spectrum

N = 90  # more than are spanned in full
K = 5


def quadratic(x, values):
    return 0.5 * jnp.sum(values * x**2)


def with_rest(*outer):
    return np.concatenate([outer, np.linspace(-1, 1, N - len(outer))])


SPECTRA = {
    "distinct": np.arange(N) - 30.0,
    "clustered": with_rest(*(5 + 1e-7 * np.arange(4)), *(-3 - 1e-7 * np.arange(4))),
    "repeated": with_rest(5, 5, 5, 4, 4, -3, -3, -3, -3),
    "zero": np.zeros(N),
    "identity": np.ones(N),
    "rank one": np.eye(N)[0] * 7,
    "huge": (np.arange(N) - 30.0) * 1e150,
    "tiny": (np.arange(N) - 30.0) * 1e-200,
}


def rotated(values, seed=0):
    """A symmetric matrix with the given eigenvalues."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(len(values), len(values))))
    return (Q * values) @ Q.T


def multiply(A, v):
    return {"a": A @ v["a"]}


def ends(values, which, k=K):
    falling = np.sort(values)[::-1]
    top, bottom = falling[:k], falling[-k:]
    return {"top": top, "bottom": bottom, "both": np.r_[top, bottom]}[which]


slow = functools.partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize("which", [slow("top"), slow("bottom"), "both"])
@pytest.mark.parametrize("name", SPECTRA)
def test_eigenvalues_are_found_as_often_as_they_occur(name, which):
    values = SPECTRA[name]
    product = hvp(quadratic, jnp.ones(N), jnp.asarray(values))
    found = eigenpairs(product, jnp.ones(N), K, which)
    scale = np.abs(values).max()
    assert bool(found.converged)
    error = np.abs(np.asarray(found.values) - ends(values, which))
    assert np.all(error <= 1e-7 * scale)
    V = np.asarray(found.vectors)
    close(V @ V.T, np.eye(len(V)), atol=1e-6)  # clustered vectors are told apart less
    off = np.linalg.norm(V * values - V * np.asarray(found.values)[:, None], axis=1)
    assert np.all(off <= np.asarray(found.residuals))


@pytest.mark.parametrize("dtype", [slow(jnp.float32), slow(jnp.float64)])
def test_bounds_hold_for_a_dense_matrix(dtype):
    A = rotated(SPECTRA["distinct"]).astype(dtype)
    product = jax.tree_util.Partial(multiply, jnp.asarray(A))
    found = eigenpairs(product, {"a": jnp.ones(N, dtype)}, K, "both", tol=1e-3)
    assert found.values.dtype == found.vectors["a"].dtype == dtype
    exact = np.linalg.eigvalsh(np.asarray(A, float))
    bounds = np.asarray(found.residuals, float)
    assert np.all(np.abs(np.asarray(found.values) - ends(exact, "both")) <= bounds)
    assert np.max(bounds) <= 2e-3 * np.abs(exact).max()


@pytest.mark.slow
def test_few_parameters_are_exact_whatever_their_conditioning():
    values = jnp.logspace(-12, 3, 40)
    found = eigenpairs(hvp(quadratic, jnp.ones(40), values), jnp.ones(40), 3, "bottom")
    assert int(found.products) == 40
    assert np.all(np.abs(found.values - values[:3][::-1]) <= found.residuals)


@pytest.mark.slow
def test_a_budget_that_runs_out_is_admitted():
    product = hvp(quadratic, jnp.ones(N), jnp.asarray(SPECTRA["distinct"]))
    found = eigenpairs(product, jnp.ones(N), K, max_products=20, tol=1e-12)
    assert not bool(found.converged)
    assert int(found.products) == 20
    distances = np.abs(np.asarray(found.values)[:, None] - SPECTRA["distinct"])
    assert np.all(distances.min(1) <= np.asarray(found.residuals))


@pytest.mark.slow
def test_what_is_not_finite_or_not_symmetric_does_not_converge():
    nan = eigenpairs(lambda v: v * jnp.nan, jnp.ones(N), 2)
    assert not bool(nan.converged)
    assert np.all(np.isnan(nan.values))
    shift = eigenpairs(lambda v: jnp.roll(v, 1), jnp.ones(N), 2, max_products=200)
    assert not bool(shift.converged)
    assert np.all(np.asarray(shift.residuals) > 1e-3)


@pytest.mark.slow
def test_it_works_inside_jit_and_vmap():
    def largest(values):
        product = hvp(quadratic, jnp.ones(N), values)
        return eigenpairs(product, jnp.ones(N), tol=1e-6).values[0]

    batch = jnp.stack([jnp.arange(N) - 80.0, jnp.asarray(SPECTRA["repeated"])])
    close(jax.jit(jax.vmap(largest))(batch), [9.0, 5.0])


@pytest.mark.slow
def test_equal_losses_share_one_program():
    compiled = 0

    def listen(event, *_, **__):
        nonlocal compiled
        compiled += event == "/jax/core/compile/backend_compile_duration"

    def search(scale):
        values = scale * jnp.asarray(SPECTRA["distinct"])
        return eigenpairs(hvp(quadratic, jnp.ones(N), values), jnp.ones(N), K).values

    search(1.0)
    jax.monitoring.register_event_duration_secs_listener(listen)
    search(2.0)
    jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == 0


def network(params, X, y):
    hidden = jnp.tanh(X @ params["w"] + params["b"])
    return jnp.mean((hidden @ params["v"] - y) ** 2)


@functools.cache
def fitted(inputs=6, hidden=10, dtype=float):
    rng = np.random.default_rng(3)
    params = {"w": rng.normal(size=(inputs, hidden)) / 2, "b": rng.normal(size=hidden)}
    params["v"] = rng.normal(size=hidden)
    X = rng.normal(size=(50, inputs))
    data = (params, X, np.sin(X[:, 0]))
    return jax.tree.map(lambda a: jnp.asarray(a, dtype), data)


def blocks(params, X, y):
    """The Hessian and its diagonal blocks, by `jax.hessian`."""
    tree = jax.jit(jax.hessian(network))(params, X, y)
    sizes = {name: leaf.size for name, leaf in params.items()}
    parts = {
        (a, b): np.asarray(tree[a][b]).reshape(sizes[a], sizes[b])
        for a in params
        for b in params
    }
    names = sorted(params)
    whole = np.block([[parts[a, b] for b in names] for a in names])
    return whole, {name: parts[name, name] for name in params}


@pytest.mark.slow
def test_the_spectrum_of_a_network_is_that_of_its_dense_hessian():
    data = fitted()
    whole, _ = blocks(*data)
    exact = np.linalg.eigvalsh(whole)[::-1]
    found = spectrum(network, *data, k=4)
    assert bool(found.converged)
    close(found.top.values, exact[:4])
    close(found.bottom.values, exact[-4:])
    assert float(found.largest) == float(found.top.values[0])
    assert float(found.smallest) == float(found.bottom.values[-1])
    assert np.isinf(found.condition)  # it has negative eigenvalues
    said = found.describe()
    assert f"{float(found.largest):.6g}" in said
    assert "not converged" not in said


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_thousand_parameters_agree_with_lapack(dtype):
    data = fitted(28, 33, dtype)
    whole, parts = blocks(*fitted(28, 33))
    exact = np.linalg.eigvalsh(whole)[::-1]
    found = spectrum(network, *data, k=10, max_products=3000)
    assert bool(found.converged)
    bounds = np.asarray(found.top.residuals, float)
    slack = 1e-5 * exact[0] if dtype == jnp.float32 else 0  # of the dtype's Hessian
    assert np.all(np.abs(np.asarray(found.top.values) - exact[:10]) <= bounds + slack)
    off = np.abs(np.asarray(found.bottom.values) - exact[-10:])
    assert np.all(off <= np.asarray(found.bottom.residuals) + slack)
    layers = layer_spectra(network, *data)
    for name, block in parts.items():
        values = np.linalg.eigvalsh(block)
        got = [float(layers[name].smallest), float(layers[name].largest)]
        close(got, values[[0, -1]], atol=1e-3 * exact[0])


@pytest.mark.slow
def test_every_layer_has_its_own_spectrum():
    def loss(params):
        return quadratic(params["a"], jnp.array([1.0, 4.0])) + params["b"] ** 2

    layers = layer_spectra(loss, {"a": jnp.ones(2), "b": 1.0}, k=2)
    assert isinstance(layers["b"], Spectrum)
    close(layers["a"].top.values, [4.0, 1.0])
    close(layers["a"].condition, 4.0)
    close(layers["b"].largest, 2.0)


def test_a_number_has_one_eigenvalue():
    found = spectrum(jnp.exp, 1.0)
    close(found.top.values, [np.e])
    close(found.condition, 1.0)
    assert found.top.vectors.shape == (1,)


X = jnp.ones(3)
BAD = {
    "k zero": (lambda: spectrum(jnp.sum, X, k=0), ValueError, "`k`.*at least 1"),
    "k large": (lambda: spectrum(jnp.sum, X, k=4), ValueError, "`k`.*at most 3"),
    "pairs": (lambda: eigenpairs(jnp.sin, X, 4), ValueError, "`k`.*at most 3"),
    "which": (lambda: eigenpairs(jnp.sin, X, 1, "left"), ValueError, "which 'left'"),
    "tol": (lambda: eigenpairs(jnp.sin, X, tol=-1.0), ValueError, "`tol`"),
    "budget": (lambda: spectrum(jnp.sum, X, max_products=0), ValueError, "max_prod"),
    "vector": (lambda: spectrum(jnp.sin, X), TypeError, "`loss`.*scalar"),
    "integers": (lambda: spectrum(jnp.sum, jnp.arange(3)), TypeError, "params"),
    "layers": (lambda: layer_spectra(jnp.sum, X, k=0), ValueError, "`k`"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
