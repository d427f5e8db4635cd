"""Derivatives by differences, against SymPy and closed forms."""

import warnings

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy
from closeness import close

from jaxcalc.derivatives import (
    complex_step,
    difference_quotient,
    numerical_derivative,
)

X = sympy.symbols("x")
SMOOTH = [
    "sin(x)", "cos(3*x)", "exp(x)", "exp(-x**2)", "log(x)", "sqrt(x)", "x**3-2*x",
    "1/x", "tanh(x)", "atan(x)", "x*sin(x)", "exp(sin(x))", "1/(1+x**2)",
    "log(1+exp(x))", "x**7", "(x**2+1)**3", "sin(x**2)", "x*log(x)", "sinh(x)",
    "cosh(x/3)", "x**Rational(5,2)", "erf(x)", "1/(1+exp(-x))", "exp(-1/x)",
    "cos(x)/x", "asinh(x)", "exp(x)*cos(5*x)", "x**x", "sqrt(1+x**2)", "tan(x/4)",
    "sin(100*x)", "x+1000", "x**2/1000000+1", "exp(-50*(x-1)**2)",
    "1/(x**2+Rational(1,10000))", "x**10-x**9", "(1+x)-1+x**2", "tanh(50*(x-1))",
    "x**Rational(1,3)", "(exp(x)-1)/x", "(1-cos(x))/x**2", "acos(x/1000)",
]  # fmt: skip


def compare(order, dtype, scales, expressions=SMOOTH):
    """True derivatives, estimates and stated errors, in float64."""
    rng = np.random.default_rng(order)
    rows = []
    for expression in expressions:
        exact = sympy.sympify(expression)
        f = sympy.lambdify(X, exact, [{"erf": jax.scipy.special.erf}, "jax"])
        derivative = sympy.lambdify(X, sympy.diff(exact, X, order), "mpmath")
        points = np.concatenate([s * rng.uniform(0.3, 1.3, 6) for s in scales])
        points = points.astype(dtype)
        with mpmath.workdps(40):
            truth = [float(derivative(mpmath.mpf(float(p)))) for p in points]
        value, error = numerical_derivative(f, points, order)
        rows.append(np.array([truth, value, error], np.float64))
    return np.concatenate(rows, axis=1)


@pytest.mark.parametrize(
    ("order", "dtype", "scales"),
    [(1, "float64", (1.0, 1e-3)), (2, "float64", (1.0,)), (1, "float32", (1.0,))]
    + [
        pytest.param(order, dtype, scales, marks=pytest.mark.slow)
        for order in (1, 2, 3, 4)
        for dtype in ("float64", "float32")
        for scales in [(0.1, 1.0, 5.0)]
        if (order, dtype) < (3, "float64") or dtype == "float64"
    ],
)
def test_the_true_error_is_within_the_stated_error(order, dtype, scales):
    truth, value, error = compare(order, dtype, scales)
    covered = np.abs(value - truth) <= error
    assert np.mean(covered) >= 0.97
    assert np.mean(np.isfinite(error)) > 0.99


def test_first_derivatives_have_ten_digits():
    truth, value, error = compare(1, "float64", (1.0,))
    assert np.median(np.abs(value / truth - 1)) < 1e-12
    assert np.median(error / np.abs(truth)) < 1e-10


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (lambda x: jnp.sin(x), 1e6, np.cos(1e6)),
        (lambda x: jnp.sin(1e8 * x), 0.0, 1e8),
        (lambda x: jnp.tanh(1e8 * (x - 0.3)), 0.3, 1e8),
        (lambda x: jnp.log(x), 1e-8, 1e8),
        (lambda x: jnp.log(x), 1e-12, 1e12),
        (lambda x: jnp.exp(x / 1e6), 1.0, np.exp(1e-6) / 1e6),
        (lambda x: 1e-30 * x**2, 3.0, 6e-30),
        (lambda x: 1e30 * jnp.cos(x), 1.0, -1e30 * np.sin(1)),
        (lambda x: (1 + x) - 1, 0.0, 1.0),
        (lambda x: jnp.abs(x - 1e-9), 0.0, -1.0),
        (lambda x: jnp.maximum(x, 0.0) ** 1.5, 0.0, 0.0),
        (lambda x: 0 * x + 7.0, 2.0, 0.0),
        (jnp.floor, 0.3, 0.0),
        (lambda x: jnp.sqrt(x), 1e-10, 5e4),
    ],
)
def test_odd_scales_are_found_by_the_ladder_itself(f, x, slope):
    value, error = numerical_derivative(f, x)
    assert abs(value - slope) <= error
    assert error <= 1e-3 * abs(slope) + 1e-5


def test_noise_widens_the_error_instead_of_spoiling_it():
    def noisy(x):
        return jnp.sin(x) + 1e-6 * jnp.sin(1e9 * x * x + 1e7)

    # Noise of 1e-6 at every step that is not tiny.
    points = np.linspace(0.5, 1.5, 20).astype(np.float32)
    value, error = numerical_derivative(lambda x: jnp.sin(x), points)
    assert np.all(np.abs(value - np.cos(points)) <= error)
    value, error = numerical_derivative(noisy, np.linspace(0.5, 1.5, 20))
    slope = np.cos(np.linspace(0.5, 1.5, 20))
    seen = np.abs(np.asarray(value) - slope) <= np.asarray(error)
    small = np.abs(np.asarray(value)) > 10  # the slope of what was called noise
    assert np.all(seen | small)


def test_a_single_precision_step_inside_is_noticed():
    def f(x):
        return jnp.sin(x.astype(jnp.float32)).astype(jnp.float64)

    points = np.linspace(0.5, 1.5, 20)
    value, error = numerical_derivative(f, points)
    truth = np.cos(points)
    assert np.all(np.abs(value - truth) <= error)


def test_at_a_kink_the_error_covers_both_slopes():
    value, error = numerical_derivative(jnp.abs, jnp.zeros(()))
    close(value, 0.0)
    close(error, 1.0)


@pytest.mark.parametrize("f", [jnp.sign, jnp.cbrt, lambda x: jnp.sqrt(jnp.abs(x))])
def test_the_error_is_infinite_where_quotients_grow_without_bound(f):
    assert np.isinf(numerical_derivative(f, 0.0).error)


def test_one_side_is_used_where_the_domain_ends():
    value, error = numerical_derivative(lambda x: x * jnp.sqrt(x) + x, 0.0)
    assert abs(value - 1) <= error < 1e-3
    value, error = numerical_derivative(lambda x: jnp.sqrt(1 - x) ** 3 + 2 * x, 1.0)
    assert abs(value - 2) <= error < 1e-3


@pytest.mark.parametrize(("side", "slope"), [("right", 1.0), ("left", -1.0)])
def test_one_sided_slopes_of_the_absolute_value(side, slope):
    value, error = numerical_derivative(lambda x: jnp.abs(x) + x**2, 0.0, side=side)
    assert abs(value - slope) <= error < 1e-10


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_one_sided_derivatives_of_the_exponential(order):
    for side in ("right", "left"):
        value, error = numerical_derivative(jnp.exp, 0.5, order, side=side)
        assert abs(value - np.exp(0.5)) <= error < 1e-2


def test_outside_of_the_domain_nothing_is_claimed():
    value, error = numerical_derivative(jnp.log, jnp.array([-1.0, 1.0]))
    assert np.isnan(value[0])
    assert np.isinf(error[0])
    close(value[1], 1.0)


def test_a_hole_has_no_derivative():
    value, error = numerical_derivative(lambda x: jnp.sin(x) / x, 0.0)
    assert np.isnan(value)
    assert np.isinf(error)
    error = numerical_derivative(lambda x: jnp.where(x == 0, 5.0, x), 0.0).error
    assert np.isinf(error)


def test_the_complex_step_is_exact_to_rounding():
    points = np.linspace(0.1, 2.0, 9)
    value, error = complex_step(lambda x: jnp.exp(x) * jnp.sin(x), points)
    truth = np.exp(points) * (np.sin(points) + np.cos(points))
    assert np.all(np.abs(value - truth) <= error)
    assert np.all(error < 1e-13)
    by_name = numerical_derivative(jnp.sin, 1.0, method="complex")
    assert abs(by_name.value - np.cos(1)) <= by_name.error < 1e-14


@pytest.mark.parametrize(
    "f", [jnp.abs, lambda x: jnp.real(x) ** 2, lambda x: x * jnp.conj(x)]
)
def test_the_complex_step_is_refused_where_it_would_be_wrong(f):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a discarded imaginary part
        with pytest.raises(ValueError, match="complex"):
            complex_step(lambda x: jnp.real(f(x)) + 0 * x.real, 1.0)


@pytest.mark.parametrize("kind", ["forward", "backward", "central"])
def test_quotients_of_a_square_are_exact(kind):
    shift = {"forward": 0.25, "backward": -0.25, "central": 0.0}[kind]
    x = jnp.array([-1.0, 0.0, 2.0])
    close(
        difference_quotient(lambda t: t * t, x, 0.25, kind), 2 * x + shift, rtol=1e-14
    )


def test_quotients_can_be_jitted_and_take_data():
    quotient = jax.jit(
        lambda x, a: difference_quotient(lambda t, a: a * t, x, 0.1, args=(a,))
    )
    close(quotient(1.0, 3.0), 3.0)


def test_a_second_call_compiles_nothing():
    def f(x):
        calls.append(x)
        return jnp.sin(x)

    calls = []
    numerical_derivative(f, jnp.ones(3))
    first = len(calls)
    numerical_derivative(f, 2 * jnp.ones(3))
    assert len(calls) == first + 1  # the check of the arguments alone


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: numerical_derivative(jnp.sin, 1), TypeError, "`x` must be floating"),
        (lambda: numerical_derivative(jnp.sin, 1.0, 5), ValueError, "order"),
        (lambda: numerical_derivative(jnp.sin, 1.0, 0), ValueError, "order"),
        (lambda: numerical_derivative(jnp.sin, 1.0, rungs=3), ValueError, "rungs"),
        (lambda: numerical_derivative(lambda x: (x, x), 1.0), TypeError, "scalar"),
        (
            lambda: numerical_derivative(lambda x: x * jnp.ones(2), 1.0),
            TypeError,
            "shape",
        ),
        (lambda: numerical_derivative(lambda x: x > 0, 1.0), TypeError, "floating"),
        (
            lambda: numerical_derivative(lambda x: x if x > 0 else 0.0, 1.0),
            TypeError,
            "jnp.where",
        ),
        (
            lambda: jax.jit(lambda x: numerical_derivative(jnp.sin, x))(1.0),
            TypeError,
            "outside jit",
        ),
        (lambda: difference_quotient(jnp.sin, 1.0, 0.0), ValueError, "not zero"),
        (lambda: difference_quotient(jnp.sin, 1.0, np.inf), ValueError, "finite"),
        (lambda: difference_quotient(jnp.sin, 1.0, 1e-20), ValueError, "x \\+ h = x"),
        (lambda: difference_quotient(jnp.sin, 1, 0.1), TypeError, "floating"),
        (lambda: complex_step(jnp.floor, 1.5), ValueError, "complex"),
        (
            lambda: numerical_derivative(jnp.sin, 1.0, 2, method="complex"),
            ValueError,
            "order 1",
        ),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [1, 2])
def test_points_beside_powers_of_two_are_as_good_as_others(dtype, order):
    # There x + h is off the grid of the floats on one side.
    powers = dtype(2.0) ** np.arange(-18, 18, 3).astype(dtype)
    points = np.concatenate([powers, -powers])
    points = np.concatenate([points, np.nextafter(points, dtype(0))])
    value, error = numerical_derivative(jnp.sin, points, order)
    truth = np.sin(points.astype(np.float64) + order * np.pi / 2)
    assert np.all(np.abs(value - truth) <= error + 4 * np.finfo(float).eps * 2.0**18)
