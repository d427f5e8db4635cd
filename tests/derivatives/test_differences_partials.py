"""Derivatives of many variables by differences, and Taylor polynomials."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from closeness import close

from jaxcalc.derivatives import (
    directional_derivative,
    numerical_gradient,
    numerical_hessian,
    partial_derivative,
    taylor_polynomial,
)

A = np.random.default_rng(0).normal(size=(5, 3))


def quadratic(p):
    return p[0] ** 2 + 3 * p[0] * p[1] + p[1] ** 2


def network(p, A):
    return jnp.sum(jnp.tanh(A @ p["w"] + p["b"]) ** 2) + jnp.exp(p["b"])


def params(dtype=np.float64):
    return {"w": jnp.asarray([0.3, -0.8, 1.5], dtype), "b": jnp.asarray(0.1, dtype)}


def within(estimate, truth):
    def check(value, error, expected):
        assert value.shape == expected.shape
        assert value.dtype == expected.dtype
        assert np.all(np.abs(value - expected) <= error)

    jax.tree.map(check, estimate.value, estimate.error, truth)


def largest(tree):
    return max(float(jnp.max(leaf)) for leaf in jax.tree.leaves(tree))


def test_partials_of_the_quadratic_at_2_3_are_13_and_12():
    estimate = numerical_gradient(quadratic, jnp.array([2.0, 3.0]))
    within(estimate, jnp.array([13.0, 12.0]))
    assert largest(estimate.error) < 1e-10
    for coordinate, truth in ((0, 13.0), (1, 12.0), ((0, 1), 3.0), ((0, 0), 2.0)):
        estimate = partial_derivative(quadratic, jnp.array([2.0, 3.0]), coordinate)
        within(estimate, jnp.asarray(truth))
        assert estimate.error < 1e-9


@pytest.mark.parametrize(
    "dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64]
)
def test_gradient_and_hessian_of_a_tree_are_those_of_autodiff(dtype):
    a = jnp.asarray(A, dtype)
    gradient = numerical_gradient(network, params(dtype), a)
    within(gradient, jax.grad(network)(params(dtype), a))
    hessian = numerical_hessian(network, params(dtype), a)
    within(hessian, jax.hessian(network)(params(dtype), a))
    assert largest(gradient.error) < {np.float32: 1e-3, np.float64: 1e-10}[dtype]
    assert largest(hessian.error) < {np.float32: 0.05, np.float64: 1e-7}[dtype]


def test_coordinates_of_very_different_sizes_each_get_their_step():
    scales = jnp.array([1.0, 1e6, 1e-6])
    p = scales * jnp.array([0.5, 0.7, 0.9])

    def f(p):
        return jnp.sum(jnp.sin(p / scales)) + jnp.prod(p / scales)

    within(numerical_gradient(f, p), jax.grad(f)(p))
    error = numerical_gradient(f, p).error * scales
    assert np.all(np.asarray(error) < 1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_directional_derivatives_are_those_along_the_line(order):
    direction = {"w": jnp.array([1.0, -2.0, 0.5]), "b": jnp.asarray(3.0)}

    def along(t):
        return network(jax.tree.map(lambda x, v: x + t * v, params(), direction), A)

    truth = along
    for _ in range(order):
        truth = jax.grad(truth)
    estimate = directional_derivative(network, params(), direction, A, order=order)
    within(estimate, truth(0.0))


def test_bad_directions_and_coordinates_are_named():
    p = jnp.ones(2)
    with pytest.raises(ValueError, match="not zero"):
        directional_derivative(quadratic, p, jnp.zeros(2))
    with pytest.raises(ValueError, match="structure"):
        directional_derivative(quadratic, p, jnp.ones(3))
    with pytest.raises(ValueError, match="coordinate"):
        partial_derivative(quadratic, p, 2)
    with pytest.raises(ValueError, match="order"):
        partial_derivative(quadratic, p, 0, order=5)
    with pytest.raises(TypeError, match="floating"):
        numerical_gradient(quadratic, jnp.array([1, 2]))
    with pytest.raises(TypeError, match="scalar"):
        numerical_hessian(lambda p: p, p)


X = sympy.symbols("x")


@pytest.mark.parametrize("expression", ["exp(x)*sin(x)", "atan(x)", "log(1+x**2)"])
@pytest.mark.parametrize("method", [None, "nested"])
def test_taylor_coefficients_are_those_of_sympy(expression, method):
    exact = sympy.sympify(expression)
    f = sympy.lambdify(X, exact, "jax")
    polynomial = taylor_polynomial(f, 0.7, 6, method=method)
    truth = [float(sympy.diff(exact, X, k).subs(X, 0.7)) for k in range(7)]
    close(polynomial.derivatives, truth, rtol=1e-10)
    assert polynomial.method == ("nested" if method or "atan" in expression else "jet")
    close(polynomial(0.71), float(exact.subs(X, 0.71)), rtol=1e-11)


def test_jet_and_nesting_agree_along_a_line_through_a_tree():
    direction = jax.tree.map(jnp.ones_like, params())
    by_jet, nested = (
        taylor_polynomial(
            network, params(), 4, direction=direction, method=method, args=(A,)
        )
        for method in ("jet", "nested")
    )
    close(by_jet.coefficients, nested.coefficients, rtol=1e-9)
    assert by_jet.degree == 4


def test_a_taylor_polynomial_of_a_cubic_is_the_cubic():
    polynomial = taylor_polynomial(lambda x: x**3 - 2 * x, 1.0, 5)
    x = np.linspace(-3, 3, 7)
    close(polynomial(x), x**3 - 2 * x)
    assert str(polynomial) == "-1 +1 (x - 1) +3 (x - 1)^2 +1 (x - 1)^3"
    assert taylor_polynomial(jnp.cos, 0.0, 0).coefficients == (1.0,)


def test_taylor_names_bad_input():
    with pytest.raises(TypeError, match="floating"):
        taylor_polynomial(jnp.sin, 1, 2)
    with pytest.raises(ValueError, match="degree"):
        taylor_polynomial(jnp.sin, 1.0, -1)
    with pytest.raises(ValueError, match="direction"):
        taylor_polynomial(quadratic, jnp.ones(2), 2)
    with pytest.raises(ValueError, match="jet cannot"):
        taylor_polynomial(jnp.arctan, 1.0, 2, method="jet")
