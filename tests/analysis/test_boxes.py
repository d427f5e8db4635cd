"""What `critical_points` and `classify` say, against algebra done by hand."""

import itertools
import json

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from closeness import close

from jaxcalc.analysis import PointKind, classify, critical_points
from jaxcalc.analysis._boxes_matrices import eigenvalues, krawczyk, points
from jaxcalc.analysis.intervals import Interval
from jaxcalc.analysis.records import Evidence

SQUARE = [-1.0, -2.0], [2.0, 1.0]


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def camel(x):
    a, b = x
    return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2


def styblinski_tang(x):
    return jnp.sum(x**4 - 16 * x**2 + 5 * x) / 2


def monkey(x):
    return x[0] ** 3 - 3 * x[0] * x[1] ** 2


def circle(x):
    return (x @ x - 1) ** 2


def places(found):
    return np.array([p.x for p in found.points])


def counts(found):
    return len(found.minima), len(found.saddles), len(found.maxima)


def matched(found, expected, atol):
    """Every expected point is the nearest one of exactly one that was found."""
    expected = np.asarray(expected)
    distance = np.abs(places(found)[:, None] - expected[None]).max(2)
    assert sorted(np.argmin(distance, axis=0)) == list(range(len(expected)))
    assert distance.min(0).max() < atol


def test_himmelblau_has_nine_points_and_no_other():
    found = critical_points(himmelblau, [-6.0, -6.0], [6.0, 6.0])
    assert counts(found) == (4, 4, 1)
    assert found.evidence is Evidence.PROVED
    assert found.smooth
    assert found.regions == ()
    assert all(p.evidence is Evidence.PROVED for p in found.points)
    # Gauss-free: y from the first equation of the gradient, then a polynomial in x.
    for point in found.points:
        a, b = point.x
        slope = [
            4 * a * (a**2 + b - 11) + 2 * (a + b**2 - 7),
            2 * (a**2 + b - 11) + 4 * b * (a + b**2 - 7),
        ]
        assert np.abs(slope).max() < 1e-11
        assert point.error < 1e-13
    assert [p.value for p in found.minima] == pytest.approx([0] * 4, abs=1e-25)
    assert any(np.abs(p.x - [3, 2]).max() <= p.error for p in found.minima)


def test_the_camel_has_fifteen_points_by_the_roots_of_a_polynomial():
    found = critical_points(camel, [-3.0, -2.0], [3.0, 2.0])
    # df/db = a - 8 b + 16 b^3 gives a; df/da is then a polynomial in b.
    b = np.polynomial.Polynomial([0, 1])
    a = 8 * b - 16 * b**3
    roots = (8 * a - 8.4 * a**3 + 2 * a**5 + b).roots()
    real = roots[np.abs(roots.imag) < 1e-9].real
    expected = np.stack([a(real), real], axis=1)
    inside = (np.abs(expected) < [3, 2]).all(1)
    assert inside.sum() == 15
    matched(found, expected[inside], 1e-8)  # roots of degree 15 lose digits
    assert counts(found) == (6, 7, 2)
    assert found.evidence is Evidence.PROVED


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_styblinski_tang_has_all_combinations_of_three_roots(size):
    found = critical_points(styblinski_tang, [-5.0] * size, [5.0] * size)
    roots = np.sort(np.roots([4, 0, -32, 5]).real)
    matched(found, list(itertools.product(roots, repeat=size)), 1e-13)
    assert found.evidence is Evidence.PROVED
    curvature = 6 * roots**2 - 16
    for point in found.points:
        which = [int(np.argmin(np.abs(roots - v))) for v in point.x]
        assert point.index == sum(k == 1 for k in which)
        close(point.eigenvalues, np.sort(curvature[which]))


@pytest.mark.slow
def test_a_quadratic_of_six_variables_is_proved():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a, b = (a + a.T) / 2, rng.normal(size=6)

    def quadratic(x, a, b):
        return x @ a @ x / 2 - b @ x

    found = critical_points(quadratic, [-20.0] * 6, [20.0] * 6, a, b)
    (point,) = found.points
    close(point.x, np.linalg.solve(a, b), rtol=1e-12)
    close(point.eigenvalues, np.linalg.eigvalsh(a), rtol=1e-12)
    assert point.index == (np.linalg.eigvalsh(a) < 0).sum()
    assert found.evidence is Evidence.PROVED


def test_a_monkey_saddle_is_degenerate_and_its_place_is_left_open():
    found = critical_points(monkey, *SQUARE)
    (point,) = found.points
    assert point.kind is PointKind.DEGENERATE
    assert "higher and lower" in point.note
    assert np.linalg.norm(point.x) <= point.error < 1e-4
    assert found.evidence is Evidence.UNRESOLVED
    (region,) = found.regions
    assert np.abs([region.low, region.high]).max() < 1e-4


def test_a_circle_of_critical_points_is_one_flat_point():
    found = critical_points(circle, [-2.0, -2.0], [2.0, 2.0], max_boxes=3000)
    kinds = [p.kind for p in found.points]
    assert kinds == [PointKind.FLAT, PointKind.MAXIMUM]
    assert found.points[0].x @ found.points[0].x == pytest.approx(1)
    assert found.points[1].evidence is Evidence.PROVED
    assert found.evidence is Evidence.UNRESOLVED
    (region,) = found.regions
    close(region.low, [-1, -1], atol=0.05)  # boxes have a width
    assert region.share < 0.05


def test_without_a_proof_the_circle_is_not_counted_either():
    found = critical_points(circle, [-2.0, -2.0], [2.0, 2.0], max_boxes=0)
    assert [p.kind for p in found.points] == [PointKind.FLAT, PointKind.MAXIMUM]
    assert found.evidence is Evidence.UNRESOLVED


def test_that_there_is_none_is_proved():
    found = critical_points(lambda x: jnp.exp(x[0]) + x[1], *SQUARE)
    assert found.points == ()
    assert found.evidence is Evidence.PROVED
    assert "0 critical points; it is proved" in str(found)


@pytest.mark.slow
def test_kinks_are_not_counted_and_said():
    found = critical_points(lambda x: jnp.abs(x[0]) + x[1] ** 2, *SQUARE)
    assert found.points == ()
    assert not found.smooth
    assert found.evidence is Evidence.UNRESOLVED
    (region,) = found.regions
    assert not region.smooth
    assert np.abs([region.low, region.high]).max() < 1e-4


@pytest.mark.slow
def test_where_there_is_no_value_there_is_no_point():
    found = critical_points(lambda x: jnp.log(x[0]) - x[0] + x[1] ** 2, *SQUARE)
    (point,) = found.points
    close(point.x, [1, 0], atol=1e-14)
    assert point.kind is PointKind.SADDLE
    assert not found.smooth


@pytest.mark.slow
def test_a_function_that_is_nowhere_defined_has_none():
    found = critical_points(lambda x: jnp.log(-1 - x[0] ** 2) * x[1], *SQUARE)
    assert found.points == ()


@pytest.mark.slow
def test_a_constant_is_flat_all_over():
    found = critical_points(lambda x: 0 * x[0] + 3.0, *SQUARE)
    assert [p.kind for p in found.points] == [PointKind.FLAT]
    assert found.evidence is Evidence.UNRESOLVED
    assert found.regions[0].share == pytest.approx(1)


@pytest.mark.slow
def test_a_point_at_the_corner_is_flagged():
    found = critical_points(lambda x: x @ x, [0.0, 0.0], [1.0, 1.0])
    (point,) = found.points
    assert point.boundary
    assert "on the boundary" in str(found)
    inside = critical_points(lambda x: x @ x, [-1.0, -1.0], [1.0, 1.0])
    assert not inside.points[0].boundary
    outside = critical_points(lambda x: x @ x, [1e-9, 1e-9], [1.0, 1.0])
    assert outside.points == ()
    assert outside.evidence is Evidence.PROVED


@pytest.mark.slow
def test_units_of_the_variables_do_not_matter():
    scale = jnp.array([1e-6, 1e5])
    found = critical_points(
        lambda x, s: himmelblau(x / s), -6 * scale, 6 * scale, scale
    )
    assert counts(found) == (4, 4, 1)
    assert found.evidence is Evidence.PROVED


@pytest.mark.slow
def test_points_a_thousandth_apart_are_told_apart():
    def wells(x):
        return (x[0] ** 2 - 1e-6 / 4) ** 2 * 1e6 + x[1] ** 2

    found = critical_points(wells, *SQUARE)
    assert counts(found) == (2, 1, 0)
    matched(found, [[-5e-4, 0], [0, 0], [5e-4, 0]], 1e-12)


@pytest.mark.slow
def test_twenty_variables_end_in_bounded_time_without_a_claim():
    def waves(x):
        return jnp.sum(x**2) + jnp.cos(jnp.sum(x))

    found = critical_points(waves, [-1.0] * 20, [2.0] * 20)
    # sum x = s with 2 s = 20 sin s, and all numbers equal
    s = np.array([p.x.sum() for p in found.points])
    close(2 * s, 20 * np.sin(s), atol=1e-10)
    assert len(found) == 7
    assert found.evidence is Evidence.UNRESOLVED
    assert "…" in str(found)


@pytest.mark.slow
def test_a_primitive_without_a_rule_leaves_numbers():
    def special(x):
        return jax.scipy.special.gammaln(x[0]) + x[1] ** 2

    found = critical_points(special, [0.5, -2.0], [3.0, 1.0])
    if not found.unknown:
        pytest.fail("there is a rule for this by now: find another function")
    (point,) = found.points
    close(point.x, [1.4616321449683623, 0], atol=1e-7)  # OEIS A030169
    assert (point.evidence, found.evidence) == (Evidence.NUMERICAL,) * 2
    assert "no interval rule" in str(found)


@pytest.mark.slow
def test_a_wrong_derivative_proves_nothing():
    @jax.custom_jvp
    def wrong(x):
        return x**2

    wrong.defjvp(lambda p, t: (wrong(p[0]), (2 * p[0] + 1) * t[0]))
    found = critical_points(lambda x: wrong(x[0]) + x[1] ** 2, *SQUARE)
    assert found.evidence is not Evidence.PROVED
    assert all(p.evidence is not Evidence.PROVED for p in found.points)
    assert any("check_derivatives" in note for note in found.notes)


@pytest.mark.slow
def test_any_tree_and_a_number_will_do():
    def tree(p, shift):
        return (p["a"] - shift) ** 2 - jnp.sum(p["b"] ** 2)

    lower = {"a": -1.0, "b": np.array([[-1.0, -2.0]])}
    upper = {"a": 2.0, "b": np.array([[1.0, 1.5]])}
    found = critical_points(tree, lower, upper, 0.5)
    (point,) = found.points
    assert point.index == 2
    assert float(point.x["a"]) == 0.5
    assert point.x["b"].shape == (1, 2)
    one = critical_points(jnp.cos, 1.0, 7.0)
    close([float(p.x) for p in one.points], [np.pi, 2 * np.pi], rtol=1e-15)
    assert [p.kind for p in one.points] == [PointKind.MINIMUM, PointKind.MAXIMUM]


@pytest.mark.slow
def test_reverse_mode_rules_and_single_precision_will_do():
    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, t: (2 * x * t,))
    data = jnp.float32(0.25)
    with jax.enable_x64(False):
        found = critical_points(
            lambda x, d: square(x[0] - d) + x[1] ** 2, *SQUARE, data
        )
    (point,) = found.points
    assert point.x.tolist() == [0.25, 0]
    assert found.evidence is Evidence.PROVED


def test_the_answer_is_a_table_and_json():
    found = critical_points(monkey, *SQUARE)
    read = json.loads(found.to_json())
    assert read["points"][0]["kind"] == "degenerate"
    assert read["evidence"] == "unresolved"
    assert "degenerate" in str(found)
    assert found.to_markdown().startswith("| x |")


@pytest.mark.parametrize(
    ("lower", "upper", "error", "message"),
    [
        ([0.0, -np.inf], [1.0, 1.0], ValueError, "`lower` must be finite"),
        ([0.0, 0.0], [1.0, np.nan], ValueError, "`upper` must be finite"),
        ([0.0, 1.0], [1.0, 1.0], ValueError, "`lower` must be below `upper`"),
        ([2.0, 0.0], [1.0, 1.0], ValueError, "`lower` must be below `upper`"),
        ([0.0, 0.0], [1.0, 1.0, 1.0], ValueError, "the shape of `lower`"),
        ([0.0, 0.0], {"a": 1.0}, TypeError, "the structure of `lower`"),
        ([], [], ValueError, "holds no numbers"),
        (["a"], [1.0], TypeError, "`lower` must be made of real numbers"),
        ([-1e308], [1e308], ValueError, "too far apart"),
    ],
)
def test_bad_bounds_are_named(lower, upper, error, message):
    with pytest.raises(error, match=message):
        critical_points(himmelblau, lower, upper)


def test_bad_functions_are_named():
    def raises(x):
        raise RuntimeError(f"no such luck {x.shape}")

    with pytest.raises(TypeError, match=r"`f` must take a point.*no such luck"):
        critical_points(raises, *SQUARE)
    with pytest.raises(TypeError, match=r"`f` must return a scalar, got shape \(2,\)"):
        critical_points(lambda x: x, *SQUARE)
    jaxtyping.config.update("jaxtyping_disable", True)  # as users run it
    try:
        with pytest.raises(TypeError, match="`f` must be a function"):
            critical_points(3.0, *SQUARE)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    with pytest.raises(ValueError, match="`max_boxes` must be at least 0"):
        critical_points(himmelblau, *SQUARE, max_boxes=-1)


def test_krawczyk_holds_the_root_of_a_linear_field():
    # g(x) = A x - b with an exact matrix: the operator is the solution itself.
    a, b = np.array([[[2.0, 1.0], [1.0, 3.0]]]), np.array([[1.0, 2.0]])
    lo, hi = np.array([[-4.0, -4.0]]), np.array([[4.0, 4.0]])
    center = np.zeros((1, 2))
    moved, mean = krawczyk(lo, hi, points(-b), center, points(a))
    root = np.linalg.solve(a[0], b[0])
    assert (moved.lo[0] <= root).all()
    assert (root <= moved.hi[0]).all()
    assert (moved.hi - moved.lo).max() < 1e-13
    close(mean.hi[0], [4 * 3 - 1, 4 * 4 - 2])


def test_bounds_of_eigenvalues_hold_those_of_every_matrix_inside():
    rng = np.random.default_rng(1)
    center = rng.normal(size=(40, 3, 3))
    center = center + np.swapaxes(center, 1, 2)
    radius = 0.2 * rng.random((40, 3, 3))
    radius = radius + np.swapaxes(radius, 1, 2)
    h = Interval(center - radius, center + radius, np.ones(center.shape, bool))
    known = eigenvalues(h)
    seen_low, seen_high = np.full(40, np.inf), np.full(40, -np.inf)
    for _ in range(200):
        inside = center + radius * np.sign(rng.normal(size=(40, 3, 3)))
        inside = np.tril(inside) + np.swapaxes(np.tril(inside, -1), 1, 2)
        values = np.linalg.eigvalsh(inside)
        assert (values[:, 0] >= known.low).all()
        assert (values[:, -1] <= known.high).all()
        assert (known.below <= (values < 0).sum(1)).all()
        assert (known.above <= (values > 0).sum(1)).all()
        seen_low = np.minimum(seen_low, values[:, 0])
        seen_high = np.maximum(seen_high, values[:, -1])
    assert np.median(seen_low - known.low) < 0.5  # and they are not idle
    sharp = Interval(center - radius / 20, center + radius / 20, h.regular)
    known = eigenvalues(sharp)
    assert (known.below + known.above == 3).mean() > 0.5


def test_classify_knows_a_minimum_in_single_precision():
    def rosenbrock(x):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    found = classify(rosenbrock, jnp.ones(2, jnp.float32))
    assert (found.kind, found.index) == (PointKind.MINIMUM, 0)
    assert found.evidence is Evidence.PROVED
    close(found.eigenvalues, np.linalg.eigvalsh([[802, -400], [-400, 200]]))
    near = classify(rosenbrock, jnp.array([1.0, 1.0 + 1e-6], jnp.float32))
    assert near.kind is PointKind.MINIMUM
    assert near.error >= 9e-7  # the float next to 1 + 1e-6
    far = classify(rosenbrock, jnp.array([1.0, 1.1]))
    assert far.kind is PointKind.NOT_CRITICAL
    assert "a step of Newton's" in str(far)


def test_classify_tells_a_computed_root_by_its_dtype():
    def well(x):
        return (x**2 - 2.0) ** 2

    for dtype in (jnp.float32, jnp.float64):
        found = classify(well, jnp.asarray(np.sqrt(2.0), dtype))
        assert found.kind is PointKind.MINIMUM
        assert found.error >= abs(float(jnp.asarray(np.sqrt(2.0), dtype)) - np.sqrt(2))
    single = float(jnp.float32(np.sqrt(2.0)))  # off by 2e-8, less than a double is
    assert classify(well, single).kind is PointKind.MINIMUM
    assert classify(well, np.sqrt(2.0) + 1e-5).kind is PointKind.NOT_CRITICAL


@pytest.mark.parametrize(
    ("f", "kind", "index"),
    [
        (lambda x: -(x @ x), PointKind.MAXIMUM, 2),
        (lambda x: x[0] ** 2 - x[1] ** 2, PointKind.SADDLE, 1),
        (lambda x: x[0] ** 4 + x[1] ** 2, PointKind.DEGENERATE, None),
        (monkey, PointKind.DEGENERATE, None),
        (lambda x: 0 * x[0], PointKind.FLAT, None),
        (lambda x: x[0], PointKind.NOT_CRITICAL, None),
        (lambda x: jnp.abs(x[0]) + x[1] ** 2, PointKind.UNDECIDED, None),
        (lambda x: jnp.sqrt(x[0] + x[1]), PointKind.UNDECIDED, None),
    ],
    ids=["hill", "pass", "quartic", "monkey", "flat", "slope", "kink", "pole"],
)
@pytest.mark.slow
def test_classify_at_the_origin(f, kind, index):
    found = classify(f, jnp.zeros(2))
    assert (found.kind, found.index) == (kind, index)
    assert json.loads(found.to_json())["kind"] == kind.value


@pytest.mark.slow
def test_classify_takes_any_tree():
    found = classify(
        lambda p, s: s * p["a"] ** 2 - jnp.sum(p["b"] ** 2),
        {"a": 0.0, "b": jnp.zeros((2, 1))},
        jnp.float32(1.0),
    )
    assert (found.kind, found.index) == (PointKind.SADDLE, 2)
    assert found.x["b"].shape == (2, 1)
    close(found.eigenvalues, [-2, -2, 2])


def test_classify_refuses_what_is_no_point():
    with pytest.raises(TypeError, match="`x` must be floating"):
        classify(monkey, jnp.arange(2))
    with pytest.raises(ValueError, match="`x` must be finite"):
        classify(monkey, jnp.array([0.0, jnp.nan]))
    with pytest.raises(ValueError, match="at most 500 numbers"):
        classify(lambda x: x @ x, jnp.zeros(501))
