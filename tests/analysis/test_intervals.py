"""Bounds hold the exact values, whatever the rounding."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special

from jaxcalc.analysis.intervals import (
    Interval,
    UnknownPrimitiveError,
    interval_function,
)

mpmath.mp.prec = 200

# The function in JAX, the exact one, and where to try it.
UNARY = {
    "exp": (jnp.exp, mpmath.exp, -30.0, 30.0),
    "exp2": (jnp.exp2, lambda t: mpmath.mpf(2) ** t, -30.0, 30.0),
    "expm1": (jnp.expm1, mpmath.expm1, -3.0, 3.0),
    "log": (jnp.log, mpmath.log, 1e-6, 50.0),
    "log1p": (jnp.log1p, mpmath.log1p, -0.99, 5.0),
    "sqrt": (jnp.sqrt, mpmath.sqrt, 0.0, 9.0),
    "rsqrt": (jax.lax.rsqrt, lambda t: 1 / mpmath.sqrt(t), 1e-3, 9.0),
    "cbrt": (jnp.cbrt, lambda t: mpmath.sign(t) * mpmath.cbrt(abs(t)), -8.0, 8.0),
    "sin": (jnp.sin, mpmath.sin, -20.0, 20.0),
    "cos": (jnp.cos, mpmath.cos, -20.0, 20.0),
    "tan": (jnp.tan, mpmath.tan, -1.5, 1.5),
    "asin": (jnp.arcsin, mpmath.asin, -1.0, 1.0),
    "acos": (jnp.arccos, mpmath.acos, -1.0, 1.0),
    "atan": (jnp.arctan, mpmath.atan, -9.0, 9.0),
    "sinh": (jnp.sinh, mpmath.sinh, -9.0, 9.0),
    "cosh": (jnp.cosh, mpmath.cosh, -9.0, 9.0),
    "tanh": (jnp.tanh, mpmath.tanh, -9.0, 9.0),
    "asinh": (jnp.arcsinh, mpmath.asinh, -9.0, 9.0),
    "acosh": (jnp.arccosh, mpmath.acosh, 1.0, 9.0),
    "atanh": (jnp.arctanh, mpmath.atanh, -0.999, 0.999),
    "logistic": (jax.nn.sigmoid, lambda t: 1 / (1 + mpmath.exp(-t)), -40.0, 40.0),
    "erf": (jax.scipy.special.erf, mpmath.erf, -4.0, 4.0),
    "erfc": (jax.scipy.special.erfc, mpmath.erfc, -3.0, 9.0),
    "erf_inv": (jax.scipy.special.erfinv, mpmath.erfinv, -0.99, 0.99),
    "abs": (jnp.abs, abs, -2.0, 2.0),
    "sign": (jnp.sign, mpmath.sign, -2.0, 2.0),
    "floor": (jnp.floor, mpmath.floor, -4.0, 4.0),
    "cube": (lambda x: x**3, lambda t: t**3, -4.0, 4.0),
    "sixth": (lambda x: x**6, lambda t: t**6, -4.0, 4.0),
    "inverse square": (lambda x: x**-2, lambda t: t**-2, 0.1, 4.0),
    "real power": (lambda x: x**2.5, lambda t: t ** mpmath.mpf(2.5), 0.0, 4.0),
    "remainder": (lambda x: jax.lax.rem(x, 0.7), lambda t: math.fmod(t, 0.7), -3, 3),
}


def boxes(low, high, count=120, seed=0):
    """Boxes of all sizes, down to a single point."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform(low, high, count)
    size = (high - low) * 10 ** rng.uniform(-17, 0, count)
    size[:10] = 0
    return np.clip(middle - size, low, high), np.clip(middle + size, low, high)


@functools.cache
def of(f):
    return interval_function(f, 0.0)


@pytest.mark.parametrize("name", UNARY)
def test_elementary_functions_are_enclosed(name):
    f, exact, low, high = UNARY[name]
    lo, hi = boxes(low, high)
    found = of(f)((lo, hi))
    rng = np.random.default_rng(1)
    inside = lo + (hi - lo) * rng.uniform(size=(6, lo.size))
    for points in (lo, hi, *np.clip(inside, lo, hi)):
        for k, t in enumerate(points):
            value = exact(mpmath.mpf(t))
            assert found.lo[k] <= value <= found.hi[k], (name, lo[k], hi[k], t)


@pytest.mark.parametrize("name", UNARY)
def test_bounds_of_points_are_sharp(name):
    f, _, low, high = UNARY[name]
    points, _ = boxes(low, high)
    found = of(f)((points, points))
    assert np.all(found.hi - found.lo <= 1e-11 * (1 + np.abs(found.lo)))


def test_sums_and_products_are_rounded_outward():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, 500)) * 10.0 ** rng.integers(-200, 200, (2, 500))
    for f, exact in (
        (lambda a, b: a + b, lambda a, b: a + b),
        (lambda a, b: a - b, lambda a, b: a - b),
        (lambda a, b: a * b, lambda a, b: a * b),
        (lambda a, b: a / b, lambda a, b: a / b),
    ):
        found = interval_function(f, 0.0, 0.0)((x[0], x[0]), (x[1], x[1]))
        for a, b, lo, hi in zip(*x, found.lo, found.hi):
            assert lo <= exact(mpmath.mpf(a), mpmath.mpf(b)) <= hi


def test_exact_sums_are_not_widened():
    found = of(lambda x: 3.0 + x - 1.0)((np.array([0.5]), np.array([0.5])))
    assert found.lo[0] == found.hi[0] == 2.5


def test_an_even_power_is_not_negative():
    found = of(lambda x: 12 * x**2)((np.array([-1.0]), np.array([2.0])))
    assert found.lo[0] == 0.0


FUNCTIONS = {
    "wave": (lambda x: jnp.sin(x) + jnp.sin(10 * x / 3), -10, 10),
    "rational": (lambda x: (x**2 - 1) / (x**2 + 1), -3, 3),
    "gelu": (jax.nn.gelu, -4, 4),
    "exact gelu": (lambda x: jax.nn.gelu(x, approximate=False), -4, 4),
    "softplus": (jax.nn.softplus, -4, 4),
    "silu": (jax.nn.silu, -4, 4),
    "elu": (jax.nn.elu, -4, 4),
    "relu": (jax.nn.relu, -4, 4),
    "clip": (lambda x: x * jnp.clip(x, -1, 1), -4, 4),
    "corner": (lambda x: jnp.abs(x**2 - 1), -2, 2),
    "pieces": (lambda x: jnp.where(x > 0.3, x**2, jnp.sin(x)), -2, 2),
    "self power": (lambda x: x**x, 0.1, 3),
    "norm": (lambda x: jnp.linalg.norm(jnp.stack([x, x + 1, 2 - x])), -2, 2),
    "logsumexp": (lambda x: jax.nn.logsumexp(jnp.stack([x, 2 * x, 1 - x])), -2, 2),
    "softmax": (lambda x: jax.nn.softmax(jnp.stack([x, 2 * x, 1 - x]))[1], -2, 2),
    "product": (lambda x: jnp.prod(jnp.stack([x, x - 1, x + 2])), -2, 2),
    "cumulative": (lambda x: jnp.cumsum(jnp.stack([x, x**2, x**3]))[2], -2, 2),
    "Horner": (
        lambda x: jax.lax.scan(
            lambda c, a: (c * x + a, c), 0.0 * x, jnp.asarray([1.0, -3, -9, 5])
        )[0],
        -3,
        5,
    ),
    "loop": (lambda x: jax.lax.fori_loop(0, 3, lambda _, c: jnp.sin(c), x), -3, 3),
    "branch": (lambda x: jax.lax.cond(x > 0, jnp.sin, lambda t: t**2, x), -2, 2),
    "matmul": (
        lambda x: jnp.sum(jnp.tanh(jnp.arange(6.0).reshape(2, 3) @ jnp.full(3, x))),
        -1,
        1,
    ),
    "indexing": (lambda x: jnp.stack([x, x**2])[1] * jnp.full(3, x)[-1], -2, 2),
    "arctan2": (lambda x: jnp.arctan2(jnp.sin(x), 2 + jnp.cos(x)), -4, 4),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(x) * x), -4, 4),
    "hidden": (lambda x: x * jax.lax.stop_gradient(x), -4, 4),
}


QUICK = ("gelu", "softplus", "clip", "corner", "pieces", "norm", "branch", "hidden")
LONG = [pytest.param(n, marks=pytest.mark.slow) for n in FUNCTIONS if n not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *LONG])
def test_derivatives_are_enclosed(name):
    f, low, high = FUNCTIONS[name]
    first = jax.grad(f)

    def both(x):
        return f(x), first(x), jax.grad(first)(x)

    found = interval_function(both, 0.0)
    assert found.unknown == ()
    lo, hi = boxes(low, high, count=60)
    bounds = found((lo, hi))
    points = lo + (hi - lo) * np.linspace(0, 1, 7)[:, None]
    values = jax.jit(jax.vmap(jax.vmap(both)))(np.clip(points, lo, hi))
    for each, value in zip(bounds, values):
        slack = 1e-13 * np.max(np.abs(value))  # the rounding of JAX itself
        assert np.all(each.lo - slack <= value), name
        assert np.all(value <= each.hi + slack), name


def test_boxes_shrink_to_the_values():
    wave, *_ = FUNCTIONS["wave"]
    x = np.linspace(-10, 10, 50)
    found = of(wave)((x - 1e-7, x + 1e-7))
    assert np.max(found.hi - found.lo) < 1e-5
    assert found.regular.all()


def test_a_function_of_an_array_has_an_interval_gradient():
    def loss(x, A):
        return jnp.sum((A @ x - 1) ** 2) + x[0] * jnp.exp(x[1])

    A = np.random.default_rng(3).normal(size=(4, 3))
    F = interval_function(lambda x: jax.grad(loss)(x, A), np.zeros(3))
    assert F.unknown == ()
    lo = np.random.default_rng(4).normal(size=(20, 3))
    hi = lo + 0.1
    found = F((lo, hi))
    assert found.lo.shape == (20, 3)
    for t in (0.0, 0.3, 1.0):
        x = lo + t * 0.1
        value = 2 * (x @ A.T - 1) @ A
        value[:, 0] += np.exp(x[:, 1])
        value[:, 1] += x[:, 0] * np.exp(x[:, 1])
        assert np.all(found.lo <= value + 1e-12)
        assert np.all(value - 1e-12 <= found.hi)


@pytest.mark.slow
def test_a_function_of_an_array_has_an_interval_hessian():
    def loss(x, A):
        return jnp.sum((A @ x - 1) ** 2) + x[0] * jnp.exp(x[1])

    A = np.random.default_rng(3).normal(size=(4, 3))
    lo = np.random.default_rng(4).normal(size=(20, 3))
    hi = lo + 0.1
    H = interval_function(lambda x: jax.hessian(loss)(x, A), np.zeros(3))
    assert H.unknown == ()
    exact = jax.vmap(jax.hessian(loss), (0, None))(lo, A)
    second = H((lo, hi))
    assert np.all((second.lo <= exact + 1e-12) & (exact - 1e-12 <= second.hi))


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (jnp.abs, 0.0),
        (jnp.sign, 0.0),
        (jax.nn.relu, 0.0),
        (lambda x: jnp.where(x > 0.5, 1.0, 0.0), 0.5),
        (lambda x: 1 / x, 0.0),
        (jnp.tan, np.pi / 2),
        (jnp.log, 0.0),
        (jnp.sqrt, 0.0),
        (jnp.cbrt, 0.0),
        (jnp.floor, 1.0),
        (lambda x: x**0.5, 0.0),
        (lambda x: jnp.maximum(x, 1 - x), 0.5),
    ],
)
def test_a_box_that_reaches_a_break_is_not_regular(f, at):
    lo = np.array([at - 0.1, at - 0.1, at, at + 0.1])
    across, left, right, beyond = of(f)((lo, lo + np.array([0.2, 0.1, 0.1, 0.1])))[2]
    assert not across
    assert not (left and right)  # neighbours share their end: one of them holds it
    assert beyond


def test_beyond_the_domain_there_are_no_values():
    for f in (jnp.log, jnp.sqrt, lambda x: x**0.5, lambda x: jnp.arcsin(x - 3)):
        found = of(f)((np.array([-2.0]), np.array([-1.0])))
        assert np.isnan(found.lo[0])
        assert not found.regular[0]


def test_a_choice_that_is_decided_ignores_the_other_branch():
    def f(x):
        return jnp.where(x > 1, jnp.log(x), x**2)

    found = of(f)((np.array([-2.0, 2.0, 0.5]), np.array([-1.0, 3.0, 1.5])))
    assert found.regular.tolist() == [True, True, False]
    assert found.lo[0] <= 1 <= 4 <= found.hi[0]
    assert found.hi[0] < 4.01
    assert found.lo[2] <= 0


def test_infinite_constants_and_zeros_do_no_harm():
    def f(x):
        return jnp.max(jnp.stack([x, x + 1]), initial=-jnp.inf) + 0.0 * x

    found = of(f)((np.array([1.0]), np.array([2.0])))
    assert found.lo[0] <= 2
    assert 3 <= found.hi[0] < 3.1
    huge = of(lambda x: x * x * x)((np.array([1e200]), np.array([1e300])))
    assert huge.lo[0] > 0
    assert huge.hi[0] == np.inf
    assert not np.isnan(of(lambda x: jnp.exp(x) - jnp.exp(x))((huge.lo, huge.hi)).lo)


def test_what_has_no_rule_is_named():
    found = interval_function(lambda x: jax.lax.lgamma(x) + jax.lax.digamma(x), 0.0)
    assert found.unknown == ("lgamma", "digamma")
    with pytest.raises(UnknownPrimitiveError, match="lgamma, digamma"):
        found((np.zeros(1), np.ones(1)))


def test_bad_boxes_are_refused():
    found = interval_function(jnp.sum, np.zeros(2))
    for box, words in (
        ((np.zeros(2), np.ones(2)), "shape"),
        ((np.zeros((1, 2)), np.ones((2, 2))), "shape"),
        ((np.ones((1, 2)), np.zeros((1, 2))), "not above"),
        ((np.full((1, 2), np.nan), np.zeros((1, 2))), "not above"),
    ):
        with pytest.raises(ValueError, match=words):
            found(box)
    with pytest.raises(ValueError, match="1 arguments, got 2"):
        found((np.zeros((1, 2)),) * 2, (np.zeros((1, 2)),) * 2)
    with pytest.raises(TypeError, match="examples"):
        interval_function(jnp.sin)


def test_constants_and_structures_come_back_for_each_box():
    found = interval_function(lambda x: {"c": 2.0, "x": x}, 0.0)
    both = found((np.zeros(3), np.ones(3)))
    assert isinstance(both["c"], Interval)
    assert both["c"].lo.shape == both["x"].lo.shape == (3,)


def test_64_bit_floats_are_traced_whatever_the_setting():
    with jax.enable_x64(False):
        found = interval_function(jnp.sin, 0.0)((np.ones(1), np.ones(1)))
    assert found.lo[0] <= scipy.special.sindg(180 / np.pi) <= found.hi[0]
    assert found.hi[0] - found.lo[0] < 1e-14
