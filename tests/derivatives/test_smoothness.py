"""Kinds of points, against what a textbook says of each function."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.derivatives import Kind, differentiability, find_breaks

K, w = Kind, jnp.where


def wave(p):
    """x**p sin(1/x), zero at zero."""

    def f(x):
        s = w(x == 0, 1.0, x)
        return w(x == 0, 0.0, s**p * jnp.sin(1 / s))

    return f


TABLE = [
    ("x^2", lambda x: x * x, 0.0, K.SMOOTH),
    ("sin", jnp.sin, 1.0, K.SMOOTH),
    ("exp", jnp.exp, 0.0, K.SMOOTH),
    ("cos@0", jnp.cos, 0.0, K.SMOOTH),
    ("const", lambda x: 0 * x + 3, 1.0, K.SMOOTH),
    ("linear", lambda x: 3 * x + 1, 0.7, K.SMOOTH),
    ("tanh", jnp.tanh, 0.5, K.SMOOTH),
    ("sigmoid", jax.nn.sigmoid, 0.0, K.SMOOTH),
    ("softplus", jax.nn.softplus, 0.0, K.SMOOTH),
    ("gelu", jax.nn.gelu, 0.0, K.SMOOTH),
    ("silu", jax.nn.silu, 0.0, K.SMOOTH),
    ("mish", jax.nn.mish, 0.0, K.SMOOTH),
    ("log@1e-8", jnp.log, 1e-8, K.SMOOTH),
    ("sin@1e6", jnp.sin, 1e6, K.SMOOTH),
    ("x^3", lambda x: x**3, 0.0, K.SMOOTH),
    ("|x|^3", lambda x: jnp.abs(x) ** 3, 0.0, K.SMOOTH),
    ("x^4@1", lambda x: x**4 - x, 1.0, K.SMOOTH),
    (
        "exp(-1/x2)",
        lambda x: w(x == 0, 0.0, jnp.exp(-1 / w(x == 0, 1.0, x) ** 2)),
        0.0,
        K.SMOOTH,
    ),
    ("steep tanh", lambda x: jnp.tanh(1e8 * x), 0.0, K.SMOOTH),
    ("steep tanh .3", lambda x: jnp.tanh(1e6 * (x - 0.3)), 0.3, K.SMOOTH),
    ("sin 1e4 x", lambda x: jnp.sin(1e4 * x), 0.3, K.SMOOTH),
    ("runge", lambda x: 1 / (1 + 25 * x * x), 0.0, K.SMOOTH),
    ("relu@1", jax.nn.relu, 1.0, K.SMOOTH),
    ("near kink", lambda x: jnp.abs(x - 1e-6), 0.0, K.SMOOTH),
    ("x^7/3", lambda x: jnp.abs(x) ** (7 / 3), 0.0, K.SMOOTH),
    ("relu^2", lambda x: jax.nn.relu(x) ** 2, 0.0, K.C1_NOT_C2),
    ("x|x|", lambda x: x * jnp.abs(x), 0.0, K.C1_NOT_C2),
    ("elu", jax.nn.elu, 0.0, K.C1_NOT_C2),
    (
        "huber",
        lambda x: w(jnp.abs(x) <= 1, 0.5 * x * x, jnp.abs(x) - 0.5),
        1.0,
        K.C1_NOT_C2,
    ),
    ("softsign", jax.nn.soft_sign, 0.0, K.C1_NOT_C2),
    ("celu2", lambda x: jax.nn.celu(x, 2.0), 0.0, K.C1_NOT_C2),
    ("|x|^1.5", lambda x: jnp.abs(x) ** 1.5, 0.0, K.C1_NOT_C2),
    ("x^1.5 edge", lambda x: x**1.5, 0.0, K.C1_NOT_C2),
    (
        "smoothstep",
        lambda x: (lambda t: t * t * (3 - 2 * t))(jnp.clip(x, 0, 1)),
        0.0,
        K.C1_NOT_C2,
    ),
    ("x^3 sin1/x", wave(3), 0.0, K.C1_NOT_C2),
    (
        "sin+relu2",
        lambda x: jnp.sin(x) + 1e-3 * jax.nn.relu(x - 1) ** 2,
        1.0,
        K.C1_NOT_C2,
    ),
    ("x^2 sin1/x", wave(2), 0.0, K.DIFFERENTIABLE),
    ("relu", jax.nn.relu, 0.0, K.CORNER),
    ("abs", jnp.abs, 0.0, K.CORNER),
    ("leaky", jax.nn.leaky_relu, 0.0, K.CORNER),
    ("max(x,2-x)", lambda x: jnp.maximum(x, 2 - x), 1.0, K.CORNER),
    ("clip", lambda x: jnp.clip(x, -1, 1), 1.0, K.CORNER),
    ("relu6", jax.nn.relu6, 6.0, K.CORNER),
    ("hard_swish", jax.nn.hard_swish, -3.0, K.CORNER),
    ("hard_tanh", jax.nn.hard_tanh, 1.0, K.CORNER),
    ("selu", jax.nn.selu, 0.0, K.CORNER),
    ("abs@1e6", lambda x: jnp.abs(x - 1e6), 1e6, K.CORNER),
    ("tiny kink", lambda x: jnp.sin(x) + 1e-6 * jnp.abs(x - 1), 1.0, K.CORNER),
    ("steep kink", lambda x: 1e8 * jnp.abs(x - 0.3), 0.3, K.CORNER),
    ("abs sin", lambda x: jnp.abs(jnp.sin(x)), 0.0, K.CORNER),
    ("exp|x|", lambda x: jnp.exp(-jnp.abs(x)), 0.0, K.CORNER),
    ("tri", lambda x: jnp.abs(x - jnp.round(x)), 0.5, K.CORNER),
    ("sqrt relu", lambda x: jnp.sqrt(jax.nn.relu(x)), 0.0, K.CORNER),
    ("cbrt", jnp.cbrt, 0.0, K.VERTICAL_TANGENT),
    ("sqrt", jnp.sqrt, 0.0, K.VERTICAL_TANGENT),
    ("sgn sqrt", lambda x: jnp.sign(x) * jnp.sqrt(jnp.abs(x)), 0.0, K.VERTICAL_TANGENT),
    ("cbrt@1", lambda x: jnp.cbrt(x - 1) + 5, 1.0, K.VERTICAL_TANGENT),
    ("asin@1", jnp.arcsin, 1.0, K.VERTICAL_TANGENT),
    (
        "x log|x|",
        lambda x: w(x == 0, 0.0, x * jnp.log(jnp.abs(w(x == 0, 1.0, x)))),
        0.0,
        K.VERTICAL_TANGENT,
    ),
    ("x^2/3", lambda x: jnp.cbrt(x) ** 2, 0.0, K.CUSP),
    ("sqrt|x|", lambda x: jnp.sqrt(jnp.abs(x)), 0.0, K.CUSP),
    ("1-sqrt|x-2|", lambda x: 1 - jnp.sqrt(jnp.abs(x - 2)), 2.0, K.CUSP),
    ("sign", jnp.sign, 0.0, K.JUMP),
    ("heaviside", lambda x: jnp.heaviside(x, 0.5), 0.0, K.JUMP),
    ("floor", jnp.floor, 2.0, K.JUMP),
    ("round", jnp.round, 0.5, K.JUMP),
    ("where jump", lambda x: w(x > 0, x + 1, x), 0.0, K.JUMP),
    ("floor 1e6", jnp.floor, 1e6, K.JUMP),
    ("mod", lambda x: jnp.mod(x, 1.0), 3.0, K.JUMP),
    ("tiny jump", lambda x: jnp.sin(x) + 1e-9 * (x > 1), 1.0, K.JUMP),
    ("atan1/x", lambda x: jnp.arctan(1 / x), 0.0, K.JUMP),
    ("sinc", lambda x: jnp.sin(x) / x, 0.0, K.HOLE),
    ("(x2-1)/(x-1)", lambda x: (x * x - 1) / (x - 1), 1.0, K.HOLE),
    ("wrong value", lambda x: w(x == 0, 5.0, x), 0.0, K.HOLE),
    ("(1-cos)/x2", lambda x: (1 - jnp.cos(x)) / x**2, 0.0, K.HOLE),
    ("expm1/x", lambda x: jnp.expm1(x) / x, 0.0, K.HOLE),
    ("xlogx edge", lambda x: x * jnp.log(x), 0.0, K.HOLE),
    ("1/x", lambda x: 1 / x, 0.0, K.INFINITE),
    ("1/x2", lambda x: 1 / x**2, 0.0, K.INFINITE),
    ("log", jnp.log, 0.0, K.INFINITE),
    ("tan", lambda x: 1 / (x - 0.3), 0.3, K.INFINITE),
    ("log|x|", lambda x: jnp.log(jnp.abs(x - 1)), 1.0, K.INFINITE),
    ("1/sqrt", jax.lax.rsqrt, 0.0, K.INFINITE),
    ("sin1/x", lambda x: jnp.sin(1 / x), 0.0, K.OSCILLATION),
    ("xsin1/x", wave(1), 0.0, K.OSCILLATION),
    ("cos2pi/x", lambda x: jnp.cos(2 * jnp.pi / x), 0.0, K.OSCILLATION),
    ("1/x sin", wave(-1), 0.0, K.OSCILLATION),
    (
        "sqrt sin",
        lambda x: w(x == 0, 0.0, jnp.sqrt(jnp.abs(x)) * jnp.sin(1 / w(x == 0, 1.0, x))),
        0.0,
        K.OSCILLATION,
    ),
    ("sin1/(x-.3)", lambda x: jnp.sin(1 / (x - 0.3)), 0.3, K.OSCILLATION),
    ("log@-1", jnp.log, -1.0, K.NOT_DEFINED),
    ("sqrt@-2", jnp.sqrt, -2.0, K.NOT_DEFINED),
    ("asin@2", jnp.arcsin, 2.0, K.NOT_DEFINED),
]

# What float32 cannot show: breaks below the rounding of the values.
INVISIBLE = {"tiny kink", "tiny jump"}


# Half of the table by default; together with the rest it takes a minute.
EVERY = [
    pytest.param(*row, id=row[0], marks=[pytest.mark.slow] if i % 2 else [])
    for i, row in enumerate(TABLE)
]


@pytest.mark.parametrize(("name", "f", "x", "kind"), EVERY)
def test_every_function_of_the_table_has_its_kind(name, f, x, kind):
    found = differentiability(f, x)
    assert found.kind is kind, str(found)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "f", "x", "kind"), TABLE, ids=[t[0] for t in TABLE])
def test_in_single_precision_no_kind_is_wrong(name, f, x, kind):
    found = differentiability(f, np.float32(x))
    invisible = name in INVISIBLE and found.kind is Kind.SMOOTH
    assert invisible or found.kind in {kind, Kind.UNDECIDED}, str(found)


@pytest.mark.slow
@pytest.mark.parametrize("place", [1e-8, 0.3, 1e6])
@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (lambda u: jnp.sin(u) + 3, K.SMOOTH),
        (lambda u: jnp.tanh(1e5 * u), K.SMOOTH),
        (lambda u: 1e4 * jnp.exp(-u * u), K.SMOOTH),
        (lambda u: jnp.maximum(u, jnp.sin(u)), K.SMOOTH),
        (lambda u: jax.nn.relu(u) ** 2 + u, K.C1_NOT_C2),
        (jax.nn.elu, K.C1_NOT_C2),
        (lambda u: jnp.abs(u) + u * u, K.CORNER),
        (lambda u: 1e8 * jnp.abs(u) + 3, K.CORNER),
        (lambda u: jnp.cos(u) + 1e-6 * jax.nn.relu(u), K.CORNER),
        (lambda u: w(u < 0, -2 * u, jnp.sqrt(jax.nn.relu(u))), K.CORNER),
        (lambda u: 2 + jnp.sqrt(jnp.abs(u)), K.CUSP),
        (lambda u: 7 - 3 * jnp.cbrt(u), K.VERTICAL_TANGENT),
        (lambda u: u + 1.0 * (u >= 0), K.JUMP),
        (lambda u: jnp.arctan(1 / u), K.JUMP),
        (lambda u: 1 / (1 + jnp.exp(1 / u)), K.JUMP),
        (lambda u: jnp.sin(u) / u, K.HOLE),
        (lambda u: w(u == 0, -1.0, u * u), K.HOLE),
        (lambda u: -1 / u**2, K.INFINITE),
        (lambda u: jnp.log(jnp.abs(u)), K.INFINITE),
        (lambda u: jnp.sin(1 / u), K.OSCILLATION),
        (lambda u: jnp.sqrt(-u * u - 1), K.NOT_DEFINED),
        # Rounding makes a mess of this one close to its hole.
        (lambda u: (jnp.exp(u) - 1 - u) / u**2, K.HOLE),
        (lambda u: jnp.sin(u) + 1e-7 * jnp.sin(1e12 * u * u + u), K.SMOOTH),
    ],
)
def test_kinds_do_not_depend_on_where_the_point_is(f, kind, place):
    found = differentiability(lambda x: f(x - place), place)
    assert found.kind in {kind, Kind.UNDECIDED}, str(found)


@pytest.mark.parametrize("place", [0.0, -2.5, 1e6])
def test_a_wave_of_the_logarithm_has_no_limit_and_none_is_claimed(place):
    found = differentiability(lambda x: jnp.sin(jnp.log(jnp.abs(x - place))), place)
    assert found.kind in {Kind.OSCILLATION, Kind.UNDECIDED}


@pytest.mark.parametrize(
    "f",
    [jax.nn.gelu, lambda u: jnp.maximum(u, u * u), jnp.sin, lambda u: jnp.tan(u) / u],
)
def test_where_the_floats_lie_coarsely_nothing_false_is_claimed(f):
    found = differentiability(lambda x: f(x - 1e6), np.float32(1e6))
    truth = differentiability(f, 0.0)
    assert found.kind in {truth.kind, Kind.UNDECIDED}


def test_a_corner_gives_both_slopes_and_the_subdifferential():
    found = differentiability(lambda x: jnp.maximum(-2 * x, x**2 + x), 0.0)
    close(found.left_slope, -2.0)
    close(found.right_slope, 1.0)
    close(found.subdifferential, (-2.0, 1.0))
    assert found.left_slope_error < 1e-9
    assert not found.differentiable
    assert "inside the subdifferential" in found.sentence


@pytest.mark.parametrize(
    ("f", "x", "answer"),
    [
        (jnp.abs, 0.0, 1.0),
        (jax.nn.relu, 0.0, 0.0),
        (jnp.sqrt, 0.0, np.inf),
        (lambda x: jnp.maximum(x, -x), 0.0, 0.0),
        (lambda x: jnp.clip(x, -1.0, 1.0), 1.0, 0.5),
        (jnp.floor, 2.0, 0.0),
        (jnp.cbrt, 0.0, np.inf),
    ],
)
def test_what_autodiff_answers_is_told(f, x, answer):
    assert differentiability(f, x).autodiff == answer


def test_a_wrong_rule_is_called_wrong_and_the_point_smooth():
    @jax.custom_jvp
    def wrong(x):
        return jnp.sin(x)

    wrong.defjvp(lambda p, t: (jnp.sin(p[0]), 1.1 * jnp.cos(p[0]) * t[0]))
    found = differentiability(wrong, 0.5)
    assert found.kind is Kind.SMOOTH
    assert "wrong" in found.sentence
    close(found.left_slope, np.cos(0.5))


def test_slopes_and_curvatures_of_a_smooth_point_are_those_of_calculus():
    found = differentiability(jnp.exp, 1.0)
    for slope, error in (
        (found.left_slope, found.left_slope_error),
        (found.right_slope, found.right_slope_error),
    ):
        assert abs(slope - np.e) <= error
    close((found.left_curvature, found.right_curvature), np.e)
    close(found.subdifferential, (np.e, np.e))


def test_a_function_without_derivatives_rules_is_judged_by_its_values():
    def outside(x):
        shape = jax.ShapeDtypeStruct((), x.dtype)
        return jax.pure_callback(
            lambda t: np.abs(t), shape, x, vmap_method="broadcast_all"
        )

    assert differentiability(outside, 0.0).kind is Kind.CORNER


@pytest.mark.slow
def test_a_network_of_relus_has_a_corner_where_a_unit_switches():
    weights = {"a": jnp.array([[1.0, -1.0], [2.0, 0.5]]), "b": jnp.array([0.0, 1.0])}

    def loss(p, x):
        return jnp.sum(jax.nn.relu(p["a"] @ x + p["b"]) ** 1) ** 2

    at_switch = jnp.array([1.0, 1.0])  # the first unit is at zero
    found = differentiability(loss, weights, args=(at_switch,))
    assert found.kind is Kind.CORNER
    assert len(found.along) == 3
    away = differentiability(loss, weights, args=(jnp.array([2.0, 1.0]),))
    assert away.kind is Kind.SMOOTH
    only_b = {"a": jnp.zeros((2, 2)), "b": jnp.array([0.0, 1.0])}
    chosen = differentiability(loss, weights, directions=[only_b], args=(at_switch,))
    assert chosen.kind is Kind.SMOOTH


def test_a_result_reads_as_table_html_and_json():
    found = differentiability(jnp.sqrt, 0.0)
    assert "vertical tangent at x = 0" in str(found)
    assert "<table>" in found._repr_html_()
    record = json.loads(found.to_json())
    assert record["kind"] == "vertical tangent"
    assert record["right_slope"] == "inf"
    assert len(found.evidence) > 5


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: differentiability(jnp.sin, 1), TypeError, "floating"),
        (lambda: differentiability(jnp.sin, np.inf), ValueError, "finite"),
        (lambda: differentiability(jnp.sin, jnp.ones(2)), TypeError, "scalar"),
        (lambda: differentiability(lambda x: (x,), 1.0), TypeError, "scalar"),
        (
            lambda: differentiability(jnp.sum, jnp.ones(2), directions=[jnp.ones(3)]),
            ValueError,
            "directions",
        ),
        (
            lambda: differentiability(jnp.sum, jnp.ones(2), directions=[jnp.zeros(2)]),
            ValueError,
            "zero",
        ),
        (lambda: find_breaks(jnp.sin, 0.0, np.inf), ValueError, "finite"),
        (lambda: find_breaks(jnp.sin, 1.0, 0.0), ValueError, "smaller"),
        (lambda: find_breaks(jnp.sin, 1.0, 1.0), ValueError, "smaller"),
        (lambda: find_breaks(lambda x: (x,), 0.0, 1.0), TypeError, "scalar"),
        (lambda: find_breaks(jnp.sin, 0.0, 1.0, scan=2), ValueError, "scan"),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
