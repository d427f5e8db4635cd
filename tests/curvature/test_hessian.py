"""Hessians as matrices and as products, in every form that a `hessian_fn` may give."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close
from jax.flatten_util import ravel_pytree

from jaxcalc.curvature import (
    as_matrix,
    as_product,
    block_hessians,
    dense_hessian,
    hessian_diagonal,
    hvp,
    layer_spectra,
)

PARAMS = {"a": jnp.array([0.3, -0.2]), "b": jnp.array([[0.5], [1.0]]), "c": 0.7}
DATA = jnp.array([1.0, 2.0, -1.0, 0.5, 3.0])
SIZES = (2, 2, 1)


def loss(params, weights):
    x, _ = ravel_pytree(params)
    return jnp.sum(jnp.exp(jnp.sin(weights * x))) + jnp.prod(x) * x[0]


@functools.cache
def tree():
    return jax.jit(jax.hessian(loss))(PARAMS, DATA)


@functools.cache
def expected():
    """Second derivatives by SymPy, at the same point."""
    import sympy

    x = sympy.symbols("x:5")
    f = sum(sympy.exp(sympy.sin(float(w) * v)) for w, v in zip(DATA, x, strict=True))
    f += sympy.prod(x) * x[0]
    at = np.asarray(ravel_pytree(PARAMS)[0]).tolist()
    return np.asarray(sympy.lambdify(x, sympy.hessian(f, x))(*at), float)


FORMS = {
    "matrix": lambda params: jnp.asarray(expected(), params["a"].dtype),
    "tree": lambda _: tree(),
    "product": lambda params: hvp(loss, params, DATA.astype(params["a"].dtype)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize(
    "dtype", [pytest.param(jnp.float32, marks=pytest.mark.slow), jnp.float64]
)
def test_every_form_is_the_same_matrix_and_the_same_product(form, dtype):
    params = jax.tree.map(lambda a: jnp.asarray(a, dtype), PARAMS)
    matrix = as_matrix(form(params), params)
    assert matrix.dtype == dtype
    close(matrix, expected())
    tangent = jax.tree.map(jnp.ones_like, params)
    product = as_product(form(params), params)(tangent)
    assert jax.tree.structure(product) == jax.tree.structure(params)
    assert jax.tree.leaves(product)[0].dtype == dtype
    close(ravel_pytree(product)[0], expected().sum(1))


@pytest.mark.parametrize(
    "memory", [pytest.param(1, marks=pytest.mark.slow), 1000, 2**26]
)
def test_the_dense_hessian_does_not_depend_on_the_memory(memory):
    close(dense_hessian(loss, PARAMS, DATA, memory=memory), expected())


def test_the_diagonal_is_that_of_the_hessian():
    diagonal = hessian_diagonal(loss, PARAMS, DATA, memory=700)
    assert diagonal["b"].shape == (2, 1)
    close(ravel_pytree(diagonal)[0], np.diag(expected()))


@pytest.mark.slow
def test_the_blocks_are_those_of_the_hessian():
    blocks = block_hessians(loss, PARAMS, DATA)
    ends = np.cumsum((0, *SIZES))
    for name, begin, end in zip("abc", ends, ends[1:], strict=False):
        close(blocks[name], expected()[begin:end, begin:end])


@pytest.mark.slow
def test_a_number_has_a_hessian_of_one_entry():
    close(dense_hessian(jnp.exp, 1.0), [[np.e]])
    close(hessian_diagonal(jnp.exp, 1.0), np.e)
    close(block_hessians(jnp.exp, 1.0), [[np.e]])
    for form in (jnp.asarray(3.0), jnp.asarray([[3.0]]), lambda v: 3 * v):
        close(as_matrix(form, 1.0), [[3.0]])
        close(as_product(form, 1.0)(2.0), 6.0)


@pytest.mark.slow
def test_leaves_without_numbers_are_left_out():
    def square(params):
        return jnp.sum(params["a"] ** 2)

    params = {"a": jnp.ones(2), "b": jnp.ones((0, 3))}
    close(dense_hessian(square, params), 2 * np.eye(2))
    assert hessian_diagonal(square, params)["b"].shape == (0, 3)
    assert block_hessians(square, params)["b"].shape == (0, 0)
    layers = layer_spectra(square, params)
    assert layers["b"] is None
    close(layers["a"].largest, 2.0)


@pytest.mark.slow
def test_less_memory_is_less_memory():
    def deep(x, A):
        return jnp.sum(jnp.tanh(jnp.tanh(A @ x) @ x))

    def temporary(memory):
        run = jax.jit(functools.partial(dense_hessian, deep, memory=memory))
        analysis = run.lower(jnp.ones((10, 10)), jnp.ones((500, 10))).compile()
        analysis = analysis.memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    little, much = temporary(2**18), temporary(2**30)
    assert 4 * little < much


@pytest.mark.slow
def test_it_works_inside_jit():
    curvature = jax.jit(lambda p, w: as_matrix(hvp(loss, p, w), p))(PARAMS, DATA)
    close(curvature, expected())


X = jnp.ones(3)
SKEW = jnp.array([[1.0, 2, 3], [0, 1, 0], [0, 0, 1]])
BAD = {
    "wide": (lambda: as_matrix(jnp.ones((3, 4)), X), ValueError, "`hessian_fn`.*3, 3"),
    "raveled": (lambda: as_product(jnp.ones(9), X), ValueError, "`hessian_fn`.*3, 3"),
    "blocks": (
        lambda: as_matrix({"a": jnp.ones((3, 3))}, {"a": X, "b": X}),
        ValueError,
        "`hessian_fn`.*6, 6",
    ),
    "asymmetric": (lambda: as_matrix(SKEW, X), ValueError, "`hessian_fn`.*symmetric"),
    "asymmetric product": (
        lambda: as_matrix(lambda v: SKEW @ v, X),
        ValueError,
        "`hessian_fn`.*symmetric",
    ),
    "complex": (lambda: as_matrix(1j * jnp.eye(3), X), TypeError, "`hessian_fn`.*real"),
    "product": (
        lambda: as_product(jnp.sum, X)(X),
        ValueError,
        r"`hessian_fn\(params\)\(tangent\)`.*shape",
    ),
    "tangent": (lambda: as_product(jnp.eye(3), X)(1.0), ValueError, "`tangent`"),
    "memory": (lambda: dense_hessian(jnp.sum, X, memory=0), ValueError, "`memory`"),
    "loss": (lambda: dense_hessian(jnp.sin, X), TypeError, "`loss`.*scalar"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_asymmetry_within_rounding_is_let_through():
    noise = 1e-5 * jnp.triu(jnp.ones((3, 3)), 1)
    as_matrix(jnp.eye(3) + noise, X)
    jax.jit(as_matrix)(SKEW, X)  # values are not known while tracing
