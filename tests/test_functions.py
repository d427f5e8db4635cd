"""Activations: values and two derivatives in both tails, limits, kinks, dtypes."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from closeness import close

from jaxcalc import functions

# The textbook forms, in as many digits as the tails need.
EXACT = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "selu": lambda x: SCALE * (x if x > 0 else ALPHA * mpmath.expm1(x)),
    "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "gelu_tanh": lambda x: (
        x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + CUBE * x**3)))
    ),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
}
CUBE, SCALE, ALPHA = (
    mpmath.mpf(number) for number in (0.044715, 1.0507009873554805, 1.6732632423543772)
)
# How far into the tails the values are normal numbers, halved.
DEEPEST = {
    "float32": {"gelu": 6.0, "gelu_tanh": 4.0, "mish": 20.0},
    "float64": {"gelu": 18.0, "gelu_tanh": 7.0, "mish": 170.0},
}
USUAL = {"float32": 40.0, "float64": 340.0}
ALL = functions.activations()


@functools.cache
def derivatives(dtype):
    """Points, and value and two derivatives at them, for every activation with a form.

    One compiled program for all: `{name: (points, (3, points))}`.
    """
    points = {}
    for name in EXACT:
        deepest = DEEPEST[dtype].get(name, USUAL[dtype])
        side = np.concatenate([[1e-3, 0.5, 1.7, 6.0], [deepest / 2, deepest]])
        points[name] = np.concatenate([-side, side]).astype(dtype)

    def three(f, x):
        first = jax.grad(f)
        return jnp.stack([jax.vmap(g)(x) for g in (f, first, jax.grad(first))])

    @jax.jit
    def run(points):
        return {name: three(ALL[name].function, x) for name, x in points.items()}

    return points, run(points)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_value_and_two_derivatives_keep_their_relative_accuracy(name, dtype):
    points, found = derivatives(dtype)
    assert found[name].dtype == dtype
    for order in range(3):
        with mpmath.workdps(400):
            want = np.array(
                [
                    float(mpmath.diff(EXACT[name], mpmath.mpf(float(x)), order))
                    for x in points[name]
                ]
            )
        # Cancellation at a root of the derivative is relative to its neighbourhood,
        # and exp(-x²/2) multiplies a rounding by x²/2.
        eps = float(jnp.finfo(dtype).eps)
        near = 1e-3 * np.abs(want[np.abs(points[name]) <= 1.7]).max() * eps
        rtol = 200 * eps
        close(np.asarray(found[name][order], float), want, rtol=rtol, atol=near)


def test_automatic_derivatives_of_the_usual_forms_are_lost_where_these_are_not():
    # What the module is for; if this fails, JAX has mended its own.
    for name, theirs in (("sigmoid", jax.nn.sigmoid), ("tanh", jnp.tanh)):
        slope = jax.grad(ALL[name].function)(jnp.float32(20.0))
        assert jax.grad(theirs)(jnp.float32(20.0)) == 0
        close(slope, float(mpmath.diff(EXACT[name], 20)), atol=0)


@jax.jit
def values_and_slopes(x):
    """Of every activation at every point."""
    return {
        name: jax.vmap(jax.value_and_grad(one.function))(x) for name, one in ALL.items()
    }


@functools.cache
def on_the_line():
    """Far out, at NaN, and on both sides of every half: `(points, answers)`."""
    at = np.arange(-8.0, 8.5, 0.5)
    x = np.concatenate([[-200.0, 200.0, -np.inf, np.inf, np.nan], at - 1e-9, at + 1e-9])
    return at, values_and_slopes(x)


@pytest.mark.parametrize("name", ALL)
def test_limits_are_those_of_the_registry(name):
    one = ALL[name]
    values, _ = on_the_line()[1][name]
    for value, limit in zip(values[:2], (one.left, one.right)):
        if math.isinf(limit):
            assert np.sign(value) == np.sign(limit)
            assert abs(value) >= 0.01 * 200
        else:
            close(value, limit, rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_the_slope_jumps_at_the_kinks_and_nowhere_else(name):
    at, found = on_the_line()
    below, above = np.split(np.asarray(found[name][1])[5:], 2)
    kinks = at[np.abs(above - below) > 1e-6].tolist()
    assert kinks == list(ALL[name].kinks)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "elu", "selu"])
def test_infinite_numbers_give_the_limits_and_no_nan(name):
    values, slopes = (a[2:4] for a in on_the_line()[1][name])
    close(values, [ALL[name].left, ALL[name].right])
    assert np.all(np.isfinite(slopes))
    assert slopes[0] == 0


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (3, "float64"),
        (0.5, "float64"),
        (np.float16(0.5), "float16"),
        (np.ones((2, 0), np.float32), "float32"),
        (np.int32(2), "float64"),
    ],
)
def test_numbers_of_any_kind_and_shape_are_taken(name, x, dtype):
    out = jax.eval_shape(ALL[name].function, x)
    assert out.shape == np.shape(x)
    assert out.dtype == dtype


def test_a_nan_stays_one():
    for name, (values, _) in on_the_line()[1].items():
        assert np.isnan(values[4]), name


@pytest.mark.slow
def test_forward_over_reverse_and_reverse_over_forward_agree():
    f = functions.mish  # made of three of the others

    @jax.jit
    def both(x):
        return jax.jacfwd(jax.grad(f))(x), jax.grad(jax.jacfwd(f))(x)

    close(*jax.vmap(both)(jnp.linspace(-5, 5, 7)))
