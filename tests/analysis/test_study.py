"""What `study` says, against calculus done by hand."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close
from scipy import optimize

from jaxcalc.analysis import Study, study
from jaxcalc.analysis.records import Evidence, Kind


def kinds(found):
    return [(p.x, p.kind) for p in found.critical_points]


def inside(found):
    return found.critical_points[1:-1]


def words(pieces):
    return [piece.what for piece in pieces]


def ends(pieces):
    return [pieces[0].low, *(piece.high for piece in pieces)]


def wave(x):
    return jnp.sin(x) + jnp.sin(10 * x / 3)


@pytest.fixture(scope="module")
def cubic():
    return study(lambda x: x**3 - 3 * x**2 - 9 * x + 5, -3, 5)


def test_a_cubic_turns_at_minus_one_and_three(cubic):
    assert kinds(cubic) == [
        (-3, Kind.END),
        (-1, Kind.MAXIMUM),
        (3, Kind.MINIMUM),
        (5, Kind.END),
    ]
    assert [p.value for p in cubic.critical_points] == [-22, 10, -22, 10]
    assert [p.curvature for p in inside(cubic)] == [-12, 12]
    assert cubic.proved
    assert all(p.evidence is Evidence.PROVED for p in cubic.critical_points)
    assert all(p.error < 1e-14 for p in cubic.critical_points)


def test_a_cubic_rises_falls_and_rises(cubic):
    assert words(cubic.monotone) == ["increasing", "decreasing", "increasing"]
    assert ends(cubic.monotone) == [-3, -1, 3, 5]
    assert all(piece.evidence is Evidence.PROVED for piece in cubic.monotone)


def test_a_cubic_bends_once(cubic):
    (point,) = cubic.inflections
    assert point.x == 1
    assert point.change == "concave to convex"
    assert words(cubic.curvature) == ["concave", "convex"]
    assert cubic.convex.holds is False
    assert cubic.convex.evidence is Evidence.PROVED
    assert 6 * cubic.convex.x - 6 < 0
    assert 6 * cubic.concave.x - 6 > 0


def test_ties_share_the_global_extremes(cubic):
    least = [p.x for p in cubic.critical_points if p.global_minimum]
    most = [p.x for p in cubic.critical_points if p.global_maximum]
    assert (least, most) == ([-3, 3], [-1, 5])
    assert (cubic.minimum.value, cubic.maximum.value) == (-22, 10)


@pytest.mark.parametrize(
    ("coefficients", "turns"),
    [((1, -6, 9, 0), (1, 3)), ((1, -1, -5, 2), (-1, 5 / 3))],
)
def test_other_cubics(coefficients, turns):
    found = study(lambda x: jnp.polyval(jnp.asarray(coefficients, float), x), -3, 5)
    assert [p.kind for p in inside(found)] == [Kind.MAXIMUM, Kind.MINIMUM]
    close([p.x for p in inside(found)], turns, rtol=1e-15)
    assert found.proved


def test_every_turn_of_a_wave_is_proved():
    found = study(wave, -10, 10)
    assert found.proved
    assert len(found.critical_points) == 24
    assert all(p.evidence is Evidence.PROVED for p in found.critical_points)

    def slope(t):
        return np.cos(t) + 10 / 3 * np.cos(10 * t / 3)

    x = np.linspace(-10, 10, 20_001)
    cells = np.flatnonzero(slope(x[1:]) * slope(x[:-1]) < 0)
    roots = [optimize.brentq(slope, x[k], x[k + 1]) for k in cells]
    close([p.x for p in inside(found)], roots, atol=1e-11)
    assert len(found.inflections) == 21
    assert [p.x for p in found.critical_points if p.global_minimum] == [
        pytest.approx(-7.998128889, abs=1e-8)
    ]
    assert found.minimum.value == pytest.approx(-1.988699759)


def test_turns_a_thousandth_apart_are_told_apart():
    found = study(lambda x: x**3 / 3 - 2.001 * x**2 / 2 + 1.001 * x, -10, 10)
    assert [p.kind for p in inside(found)] == [Kind.MAXIMUM, Kind.MINIMUM]
    close([p.x for p in inside(found)], [1, 1.001], rtol=1e-10)
    assert found.proved


def test_the_first_derivative_that_does_not_vanish_decides():
    (fourth,) = inside(study(lambda x: x**4, -1, 1))
    assert (fourth.x, fourth.kind, fourth.order) == (0, Kind.MINIMUM, 4)
    assert fourth.evidence is Evidence.NUMERICAL
    found = study(lambda x: x**5, -1, 2)
    (fifth,) = inside(found)
    assert (fifth.x, fifth.kind, fifth.order) == (0, Kind.INFLECTION, 5)
    assert words(found.monotone) == ["increasing"]
    assert [i.x for i in found.inflections] == [0]
    (upside_down,) = inside(study(lambda x: -(x**4), -1, 2))
    assert upside_down.kind is Kind.MAXIMUM


def test_a_fourth_power_is_convex_without_inflection():
    found = study(lambda x: x**4, -1, 1)
    assert found.convex.holds is True
    assert found.inflections == ()
    assert words(found.curvature) == ["convex"]


def test_a_multiple_root_blurred_by_rounding_is_one_point():
    found = study(lambda x: x**4 - 4 * x**3 + 6 * x**2 - 4 * x + 1, -3, 3)
    (point,) = inside(found)
    assert point.kind is Kind.MINIMUM
    assert point.low <= 1 <= point.high
    assert point.high - point.low < 1e-3
    assert not found.proved


def test_corners_are_found_with_their_kinds():
    (corner,) = inside(study(jnp.abs, -1, 2))
    assert (corner.x, corner.kind) == (0, Kind.CORNER_MINIMUM)
    assert math.isnan(corner.slope)
    found = study(lambda x: jnp.abs(x**2 - 1), -2, 2)
    assert kinds(found)[1:-1] == [
        (-1, Kind.CORNER_MINIMUM),
        (0, Kind.MAXIMUM),
        (1, Kind.CORNER_MINIMUM),
    ]
    assert words(found.curvature) == ["convex", "concave", "convex"]
    (top,) = inside(study(lambda x: 1 - jnp.abs(x), -1, 1))
    assert top.kind is Kind.CORNER_MAXIMUM


def test_a_kink_may_make_a_function_convex_or_not():
    assert study(jnp.abs, -1, 2).convex.holds is True
    hill = study(lambda x: -jnp.abs(x), -1, 2)
    assert hill.convex.holds is False
    assert hill.convex.x == 0
    assert hill.concave.holds is True


def test_a_flat_valley_is_one_point():
    found = study(lambda x: jnp.exp(-1 / x**2), -1, 1)
    (point,) = inside(found)
    assert (point.x, point.kind) == (0, Kind.MINIMUM)
    assert point.global_minimum
    assert point.evidence is Evidence.UNRESOLVED
    close([i.x for i in found.inflections], [-math.sqrt(2 / 3), math.sqrt(2 / 3)])
    assert words(found.curvature) == ["concave", "convex", "concave"]


@pytest.mark.parametrize(
    ("f", "a", "b", "x", "low", "high"),
    [
        (lambda x: 1 / (x - 0.3) ** 2, -1, 2, 0.3, None, math.inf),
        (jnp.tan, 0, 4, math.pi / 2, -math.inf, math.inf),
    ],
)
def test_a_pole_divides_the_interval(f, a, b, x, low, high):
    found = study(f, a, b)
    (pole,) = inside(found)
    assert pole.kind is Kind.BREAK
    assert pole.nature == "infinite discontinuity"
    assert pole.x == pytest.approx(x, abs=1e-12)
    assert found.maximum.value == high
    assert not found.maximum.attained
    assert low is None or found.minimum.value == low
    assert found.convex.holds is False


def test_a_jump_divides_the_interval():
    found = study(lambda x: jnp.where(x > 0.3, x - 1, x), -0.5, 1)
    (jump,) = inside(found)
    assert (jump.x, jump.kind, jump.nature) == (0.3, Kind.BREAK, "jump")
    assert words(found.monotone) == ["increasing", "increasing"]
    assert found.minimum.value == pytest.approx(-0.7, abs=1e-12)
    assert not found.minimum.attained
    assert (found.maximum.value, found.maximum.attained) == (0.3, True)


@pytest.mark.parametrize("f", [lambda x: 0 * x + 2, lambda _: 2.0])
def test_a_constant_is_flat(f):
    found = study(f, 0, 1)
    (flat,) = inside(found)
    assert (flat.kind, flat.low, flat.high) == (Kind.FLAT, 0, 1)
    assert flat.evidence is Evidence.PROVED
    assert words(found.monotone) == ["constant"]
    assert words(found.curvature) == ["straight"]
    assert found.proved
    assert found.convex.holds
    assert found.concave.holds
    assert all(p.global_minimum and p.global_maximum for p in found.critical_points)


def test_a_line_has_no_inner_points():
    found = study(lambda x: 3 * x + 1, 0, 1)
    assert inside(found) == ()
    assert found.inflections == ()
    assert found.convex.holds
    assert found.concave.holds


def test_a_flat_stretch_ends_at_its_corner():
    found = study(jax.nn.relu, -1, 1)
    flat, corner = inside(found)
    assert (flat.kind, flat.low, flat.high) == (Kind.FLAT, -1, 0)
    assert (corner.kind, corner.x) == (Kind.CORNER, 0)
    assert words(found.monotone) == ["constant", "increasing"]
    dead = study(lambda x: jnp.maximum(jnp.abs(x) - 1, 0.0), -2, 2)
    assert [(p.kind, p.low, p.high) for p in inside(dead)][1] == (Kind.FLAT, -1, 1)
    assert words(dead.monotone) == ["decreasing", "constant", "increasing"]


def test_a_step_is_not_one_flat_stretch():
    found = study(lambda x: jnp.where(x > 0.25, 1.0, 0.0), -1, 1)
    assert [p.kind for p in inside(found)] == [Kind.FLAT, Kind.BREAK, Kind.FLAT]
    assert ends(found.monotone) == [-1, 0.25, 1]


@pytest.mark.parametrize(
    ("f", "a", "b", "edges", "kind"),
    [
        (jnp.log, -1, 1, (0,), Kind.BREAK),
        pytest.param(jnp.sqrt, -1, 1, (0,), Kind.END, marks=pytest.mark.slow),
        (jnp.arcsin, -2, 2, (-1, 1), Kind.END),
    ],
)
def test_a_function_may_end_inside_of_the_interval(f, a, b, edges, kind):
    found = study(f, a, b)
    assert [(p.x, p.kind) for p in inside(found)] == [(x, kind) for x in edges]
    gone = [piece for piece in found.monotone if piece.what == "undefined"]
    assert gone[0].low == a
    assert gone[0].high == edges[0]
    assert "increasing" in words(found.monotone)
    assert found.convex.holds is False


def test_a_function_without_values_says_so():
    found = study(lambda x: jnp.log(-1 - x**2), -1, 1)
    assert words(found.monotone) == ["undefined"]
    assert found.minimum is None
    assert found.convex.holds is False
    assert "f has no values" in str(found)


def test_what_has_no_rule_is_found_but_not_proved():
    def parabola(x):
        start = (x, 0)
        once = jax.lax.while_loop(
            lambda c: c[1] < 1, lambda c: (c[0] * (x - 0.6), c[1] + 1), start
        )
        return once[0]

    found = study(parabola, 0, 4)
    (point,) = inside(found)
    assert point.x == pytest.approx(0.3, abs=1e-15)
    assert (point.kind, point.evidence) == (Kind.MINIMUM, Evidence.NUMERICAL)
    assert not found.proved
    assert found.unknown == ("while",)
    assert "no interval rule for while" in str(found)


@pytest.mark.slow
def test_the_gamma_function_turns_where_tables_say():
    found = study(jax.lax.lgamma, 0.5, 4)
    (point,) = inside(found)
    assert point.x == pytest.approx(1.4616321449683623, abs=1e-12)
    assert "lgamma" in found.unknown


@pytest.mark.slow
def test_a_wave_too_fast_to_follow_is_unresolved():
    found = study(lambda x: jnp.sin(1e6 * x), 0, 1)
    assert inside(found) == ()
    assert words(found.monotone) == ["unresolved"]
    assert found.undecided == ((0, 1),)
    assert found.minimum.evidence is Evidence.UNRESOLVED
    assert not any(p.global_minimum for p in found.critical_points)
    assert "at most" in str(found)


def test_hundreds_of_turns_are_proved_one_by_one():
    found = study(lambda x: jnp.sin(1000 * x), 0, 1)
    turns = (np.arange(318) + 0.5) * np.pi / 1000
    close([p.x for p in inside(found)], turns, rtol=1e-14)
    assert found.proved


@pytest.mark.slow
def test_rounding_does_not_make_a_cluster_of_one_maximum():
    found = study(jnp.sinc, -1.2, 1.2)
    (top,) = inside(found)
    assert (top.x, top.kind) == (0, Kind.MAXIMUM)
    assert top.low <= 0 <= top.high
    assert words(found.curvature) == ["convex", "concave", "convex"]


def test_values_that_overflow_are_no_end_of_the_domain():
    found = study(jnp.exp, -800, 800)
    assert words(found.monotone) == ["increasing"]
    assert found.maximum.value == math.inf


def test_a_wrong_derivative_proves_nothing():
    found = study(lambda x: x * jax.lax.stop_gradient(x), -1, 1)
    assert not found.proved
    assert found.convex.holds is None
    assert "check_derivatives" in str(found)


def test_a_derivative_that_is_nowhere_is_not_proved_anything():
    @jax.custom_jvp
    def f(x):
        return x**2

    f.defjvp(lambda x, t: (f(*x), t[0] * jnp.nan))
    found = study(f, -1, 2)
    assert not found.proved
    assert "undefined" not in words(found.monotone)
    assert found.minimum.evidence is Evidence.UNRESOLVED


def test_the_custom_rules_of_reverse_mode_are_taken():
    @jax.custom_vjp
    def f(x):
        return x**2

    f.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))
    found = study(f, -1, 2)
    assert kinds(found)[1] == (0, Kind.MINIMUM)
    assert found.proved


def test_data_comes_in_as_an_argument():
    first = study(lambda x, c: (x - c) ** 2, 0, 2, args=(jnp.asarray(0.5),))
    other = study(lambda x, c: (x - c) ** 2, 0, 2, args=(jnp.asarray(1.5),))
    assert (first.minima, other.minima) == ((0.5,), (1.5,))


def test_32_bit_programs_get_the_same_answer():
    with jax.enable_x64(False):
        found = study(wave, -10, 10)
    assert found == study(wave, -10, 10)


def test_a_study_prints_and_becomes_json(cubic):
    assert isinstance(cubic, Study)
    text = str(cubic)
    for part in ("all critical points proved", "local maximum", "increasing: [-3, -1]"):
        assert part in text
    assert "| 3 | " in cubic.to_markdown()
    held = json.loads(cubic.to_json())
    assert held["critical_points"][1]["kind"] == "local maximum"
    assert held["critical_points"][1]["x"] == -1
    pole = json.loads(study(lambda x: 1 / x, -1, 2).to_json())
    assert pole["minimum"]["value"] == "-inf"


@pytest.mark.parametrize(
    ("a", "b", "error", "said"),
    [
        (0, math.inf, ValueError, "`b` must be finite"),
        (math.nan, 1, ValueError, "`a` must be finite"),
        (1, 1, ValueError, "`a` must be smaller"),
        (2, 1, ValueError, "`a` must be smaller"),
        (-1e308, 1e308, ValueError, "too far apart"),
        ("left", 1, TypeError, "parameter 'a'|`a` must be a real number"),
        (0, None, TypeError, "parameter 'b'|`b` must be a real number"),
    ],
)
def test_bad_ends_are_refused(a, b, error, said):
    with pytest.raises(error, match=said):
        study(jnp.sin, a, b)


def raises(x):
    raise KeyError("missing")


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (3.0, "parameter 'f'|`f` must be a function"),
        (lambda x: jnp.stack([x, x]), "`f` must return a scalar"),
        (lambda x: {"y": x}, "`f` must return a scalar"),
        (lambda x: jnp.sum(x) > 0, "floating"),
        (lambda: 1.0, "`f` must take a number"),
        (lambda x: x if x > 0 else -x, "jnp.where"),
        (raises, "KeyError"),
        (lambda x: math.sin(x), "jax.numpy"),
    ],
)
def test_bad_functions_are_refused(f, said):
    with pytest.raises(TypeError, match=said):
        study(f, 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_polynomials_turn_where_numpy_says(seed):
    rng = np.random.default_rng(seed)
    roots = np.sort(rng.uniform(-2, 2, 4))
    slope = np.poly(roots)
    value = np.polyint(slope)
    found = study(lambda x: jnp.polyval(jnp.asarray(value), x), -2.5, 2.5)
    assert found.proved
    close([p.x for p in inside(found)], roots, atol=1e-9)
    expected = [Kind.MAXIMUM, Kind.MINIMUM] * 2
    assert [p.kind for p in inside(found)] == expected


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_scales_do_not_matter(scale):
    found = study(lambda x: jnp.sin(x / scale), -5 * scale, 5 * scale)
    assert found.proved
    turns = np.array([-3, -1, 1, 3]) * np.pi / 2
    close(np.array([p.x for p in inside(found)]) / scale, turns, rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_small_and_large_values_do_not_matter(scale):
    found = study(lambda x: scale * (x**3 - x), -2, 2)
    assert [p.kind for p in inside(found)] == [Kind.MAXIMUM, Kind.MINIMUM]
    assert found.proved
