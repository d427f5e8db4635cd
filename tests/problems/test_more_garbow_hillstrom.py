"""The test set of Moré, Garbow and Hillstrom against what is published of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from closeness import close

from jaxcalc import problems
from jaxcalc.problems import more_garbow_hillstrom

ALL = range(1, 36)
# A third of them stands for all where each has to be compiled.
SOME = [pytest.param(n, marks=[] if n % 3 == 0 else [pytest.mark.slow]) for n in ALL]
# Number: n, m and the minimum as the paper prints it, cut off after these digits.
# Where sizes are free these are the default ones.
PAPER = {
    1: (2, 2, "0"),
    2: (2, 2, "0"),
    3: (2, 2, "0"),
    4: (2, 3, "0"),
    5: (2, 3, "0"),
    6: (2, 10, "124.362"),
    7: (3, 3, "0"),
    8: (3, 15, "8.21487e-3"),
    9: (3, 15, "1.12793e-8"),
    10: (3, 16, "87.9458"),
    11: (3, 99, "0"),
    12: (3, 10, "0"),
    13: (4, 4, "0"),
    14: (4, 6, "0"),
    15: (4, 11, "3.07505e-4"),
    16: (4, 20, "85822.2"),
    17: (5, 33, "5.46489e-5"),
    18: (6, 13, "0"),
    19: (11, 65, "4.01377e-2"),
    20: (6, 31, "2.28767e-3"),
    21: (10, 10, "0"),
    22: (12, 12, "0"),
    23: (10, 11, "7.08765e-5"),
    24: (10, 20, "2.93660e-4"),
    25: (10, 12, "0"),
    26: (10, 10, "0"),
    27: (10, 10, "0"),
    28: (10, 10, "0"),
    29: (10, 10, "0"),
    30: (10, 10, "0"),
    31: (10, 10, "0"),
    32: (10, 20, "10"),
    33: (10, 20, "4.63414"),
    34: (10, 20, "6.13513"),
    35: (8, 8, "3.51687e-3"),
}
# Where least squares from the standard start end in another minimum than the lowest.
ELSEWHERE = {2: 48.9842, 26: 2.79506e-5}


@functools.cache
def build(number, **options):
    return more_garbow_hillstrom(number, **options)


@functools.cache
def compiled(number, **options):
    """The residuals and their Jacobian as NumPy functions of a point."""
    problem = build(number, **options)
    r, J = jax.jit(problem.residual), jax.jit(jax.jacfwd(problem.residual))
    return (
        lambda x: np.array(r(jnp.asarray(x, float), *problem.args)),
        lambda x: np.array(J(jnp.asarray(x, float), *problem.args)),
    )


def descend(number, start=None, method="lm", **options):
    """The lowest value that SciPy's least squares reach."""
    r, J = compiled(number, **options)
    start = build(number, **options).standard_start if start is None else start
    scale = 1.0 if method == "lm" else "jac"
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    found = scipy.optimize.least_squares(
        r, start, J, method=method, x_scale=scale, max_nfev=2000, **tight
    )
    return 2 * found.cost, found.x


def times_start(number, factor, **options):
    start = build(number, **options).standard_start * factor
    # The paper's rule for a start at zero.
    return start if factor == 1 or np.any(start) else np.full_like(start, factor)


@pytest.mark.parametrize("number", ALL)
def test_sizes_and_minima_are_the_papers(number):
    problem, (n, m, printed) = build(number), PAPER[number]
    r, _ = compiled(number)
    assert (problem.size, problem.standard_start.shape) == (n, (n,))
    assert r(problem.standard_start).shape == (m,)
    digits = len(printed.split("e")[0].replace(".", "").lstrip("0"))
    # The paper cuts digits off, or rounds them: within one of the last.
    close(problem.minimum, float(printed), rtol=10.0 ** (1 - max(digits, 1)), atol=0)


# MINPACK's own test results print the norm of the residuals at the starts; all data of
# a problem enter it. Where 9 and 12 stand it is Watson's dimension, or Chebyquad's.
@pytest.mark.parametrize(
    ("number", "options", "norms"),
    [
        (1, {}, (24.2**0.5, 1795769**0.5, 11 * 169000121**0.5)),
        (2, {}, (20.0124960961895, 12432.833948863, 11426454.595762)),
        (6, {}, (64.5856498144943,)),
        (7, {}, (50, 102.95630140987, 991.261822123701)),
        (8, {}, (6.45613629515967, 36.1418531596785, 384.114678637399)),
        (10, {}, (41153.4665543031, 4168216.89130846)),
        (12, {}, (32.1115837449572,)),
        (13, {}, (14.6628782986152, 1270.9838708654, 126887.90328475)),
        (15, {}, (0.0728915102882945, 2.97937007555202, 29.9590617016037)),
        (16, {}, (2815.43839161816, 555073.354173069, 61211252.2338581)),
        (17, {}, (0.937564021037838,)),
        (19, {}, (1.44686540984712,)),
        (20, {}, (5.47722557505166, 6433.12578950026, 674256.040605213)),
        (20, {"dimension": 9}, (5.47722557505166, 12088.127069307, 1269109.29043834)),
        (20, {"dimension": 12}, (5.47722557505166, 19220.7589790951, 2018918.04462367)),
        (27, {}, (16.5302162063499, 9765624.00089211)),
        (27, {"dimension": 40}, (128.026364472323,)),
        (32, {"dimension": 5, "terms": 10}, (5.0,)),
        (32, {"dimension": 5, "terms": 50}, (8.06225774829855,)),
        (33, {"dimension": 5, "terms": 10}, (291.521868819476,)),
        (33, {"dimension": 5, "terms": 50}, (3101.60039334535,)),
        (35, {}, (0.196513862833975,)),
        (35, {"dimension": 9}, (0.16994993465202,)),
        (35, {"dimension": 10}, (0.183747831178711,)),
        (35, {"dimension": 1, "terms": 8}, (1.88623796907732, 5383344372.34005)),
    ],
)
def test_residuals_at_the_starts_have_the_norms_that_minpack_prints(
    number, options, norms
):
    r, _ = compiled(number, **options)
    for norm, factor in zip(norms, (1, 10, 100)):
        x = times_start(number, factor, **options)
        close(np.linalg.norm(r(x)), norm, rtol=1e-13, atol=0)


# Algorithm 566's values at the standard start, of which three digits are known.
@pytest.mark.parametrize(
    ("number", "dimension", "value"),
    [
        (3, None, 1.14),
        (4, None, 1e12),
        (5, None, 14.2),
        (9, None, 3.89e-6),
        (11, None, 12.1),
        (14, None, 1.92e4),
        (18, None, 0.779),
        (21, 40, 484),
        (22, 60, 3.23e3),
        (23, 60, 5.45e9),
        (24, 65, 2.87e5),
        (25, 40, 9.39e10),
        (26, 40, 2.01e-3),
        (35, 50, 1.39e-2),
    ],
)
def test_values_at_the_start_are_those_of_algorithm_566(number, dimension, value):
    options = {"dimension": dimension} if dimension else {}
    r, _ = compiled(number, **options)
    actual = np.sum(r(build(number, **options).standard_start) ** 2)
    # 215 * 15 = 3225 is printed as 3.23e3: half a unit of the third digit, included.
    close(actual, value, rtol=5.01e-3, atol=0)


@pytest.mark.parametrize("method", ["lm", "trf"])
@pytest.mark.parametrize("number", ALL)
def test_least_squares_from_the_standard_start_reach_the_papers_minimum(number, method):
    value, _ = descend(number, method=method)
    problem = build(number)
    if number in ELSEWHERE:
        (expected,) = (m for m in problem.local_minima if abs(m / value - 1) < 1e-3)
        close(expected, ELSEWHERE[number], rtol=1e-5, atol=0)
    else:
        expected = problem.minimum
    # A degenerate minimum (Powell's) is approached forever: 1e-10 of the start's value.
    close(value, expected, rtol=1e-9, atol=1e-18)


@pytest.mark.parametrize(
    ("number", "dimension", "printed"),
    [
        (20, 9, 1.39976e-6),
        (20, 12, 4.72238e-10),
        (23, 4, 2.24997e-5),
        (24, 4, 9.37629e-6),
        (35, 1, 0),
        (35, 7, 0),
        (35, 9, 0),
        # The lowest is not the paper's, and the paper's is where the start leads.
        (35, 10, 6.50395e-3),
    ],
)
def test_minima_in_other_dimensions_are_the_papers(number, dimension, printed):
    problem = build(number, dimension=dimension)
    value, _ = descend(number, dimension=dimension)
    ends = np.array([problem.minimum, *problem.local_minima])
    nearest = ends[np.argmin(np.abs(ends - value))]
    # Watson's residuals cancel to 1e-5 of their terms in 12 dimensions.
    close(value, nearest, rtol=1e-8, atol=1e-20)
    close(nearest, printed, rtol=1e-5, atol=0)


def test_chebyquad_in_10_dimensions_goes_below_the_papers_minimum():
    problem = build(35, dimension=10)
    start = np.array([0.03, 0.16, 0.2, 0.38, 0.39, 0.53, 0.64, 0.71, 0.83, 0.93])
    value, x = descend(35, start, dimension=10)
    close(value, problem.minimum, rtol=1e-12, atol=0)
    close(np.sort(x), problem.minimizers[0], rtol=0, atol=1e-7)
    assert value < min(problem.local_minima)


WITH_MINIMIZERS = [
    *((number, {}) for number in ALL if build(number).minimizers),
    (20, {"dimension": 9}),
    # slow: ten digits of 4.7e-10 are those of the default compiler options
    pytest.param(20, {"dimension": 12}, marks=[pytest.mark.slow]),
    (23, {"dimension": 4}),
    (24, {"dimension": 4}),
    (35, {"dimension": 10}),
]


@pytest.mark.parametrize(("number", "options"), WITH_MINIMIZERS)
def test_minimizers_reach_the_minimum_and_the_gradient_vanishes_there(number, options):
    problem, (r, J) = build(number, **options), compiled(number, **options)
    for point in problem.minimizers:
        assert point.shape == (problem.size,)
        residual, jacobian = r(point), J(point)
        close(np.sum(residual**2), problem.minimum, rtol=1e-10, atol=1e-28)
        # Each term of the gradient cancels to what rounding a residual leaves of it;
        # the residuals' own terms are of order one.
        terms = np.abs(jacobian) * np.maximum(np.abs(residual), 1e-3)[:, None]
        assert np.all(np.abs(residual @ jacobian) <= 1e-10 * terms.sum(0))


@pytest.mark.parametrize("number", SOME)
def test_derivatives_are_those_of_differences(number):
    r, J = compiled(number)
    problem = build(number)
    x = np.asarray(problem.start(7))
    jacobian = J(x)
    for j, size in enumerate(np.where(x == 0, 1, np.abs(x))):
        h = 1e-3 * size * np.eye(x.size)[j]
        # Five points: the error is h^4 of a fifth derivative.
        slope = 8 * (r(x + h) - r(x - h)) - (r(x + 2 * h) - r(x - 2 * h))
        scale = np.max(np.abs(jacobian[:, j]))
        # Jennrich's and Meyer's exponents move by one percent at a step of 1e-3.
        close(slope / (12e-3 * size), jacobian[:, j], rtol=1e-6, atol=1e-6 * scale)
    gradient = jax.jit(jax.grad(problem.loss))(jnp.asarray(x), *problem.args)
    expected = 2 * r(x) @ jacobian
    close(gradient, expected, rtol=1e-10, atol=1e-12 * np.max(np.abs(expected)))


def wood(x):
    a, b, c, d = x
    return (
        100 * (b - a**2) ** 2
        + (1 - a) ** 2
        + 90 * (d - c**2) ** 2
        + (1 - c) ** 2
        + 10 * (b + d - 2) ** 2
        + 0.1 * (b - d) ** 2
    )


def biggs(x):
    total = 0.0
    for i in range(1, 14):
        t = i / 10
        y = np.exp(-t) - 5 * np.exp(-i) + 3 * np.exp(-4 * t)
        total += (
            x[2] * np.exp(-t * x[0])
            - x[3] * np.exp(-t * x[1])
            + x[5] * np.exp(-t * x[4])
            - y
        ) ** 2
    return total


def penalty_2(x):
    n, total = len(x), (x[0] - 0.2) ** 2
    for i in range(2, n + 1):
        y = np.exp(i / 10) + np.exp((i - 1) / 10)
        total += 1e-5 * (np.exp(x[i - 1] / 10) + np.exp(x[i - 2] / 10) - y) ** 2
    for i in range(n + 1, 2 * n):
        total += 1e-5 * (np.exp(x[i - n] / 10) - np.exp(-0.1)) ** 2
    return total + (sum((n - j) * x[j] ** 2 for j in range(n)) - 1) ** 2


def trigonometric(x):
    n = len(x)
    terms = [
        n - np.sum(np.cos(x)) + i * (1 - np.cos(v)) - np.sin(v)
        for i, v in enumerate(x, 1)
    ]
    return np.sum(np.square(terms))


def integral_equation(x):
    n, total = len(x), 0.0
    t = np.arange(1, n + 1) / (n + 1)
    for i in range(n):
        r = x[i]
        for j in range(n):
            kernel = min(t[i], t[j]) * (1 - max(t[i], t[j]))
            r += kernel * (x[j] + t[j] + 1) ** 3 / (2 * (n + 1))
        total += r**2
    return total


def broyden_banded(x):
    n, total = len(x), 0.0
    for i in range(n):
        band = [j for j in range(max(0, i - 5), min(n - 1, i + 1) + 1) if j != i]
        r = x[i] * (2 + 5 * x[i] ** 2) + 1 - sum(x[j] * (1 + x[j]) for j in band)
        total += r**2
    return total


def chebyquad(x):
    total = 0.0
    for i in range(1, len(x) + 1):
        polynomial = np.polynomial.Chebyshev.basis(i, domain=[0, 1])
        antiderivative = polynomial.integ()
        total += (polynomial(x).mean() - antiderivative(1) + antiderivative(0)) ** 2
    return total


def boundary_value(x):
    n = len(x)
    t, u = np.arange(1, n + 1) / (n + 1), np.concatenate([[0], x, [0]])
    second = np.diff(u, 2) * (n + 1) ** 2
    return np.sum(((x + t + 1) ** 3 / 2 - second) ** 2) / (n + 1) ** 4


def broyden_tridiagonal(x):
    n = len(x)
    A = 3 * np.eye(n) - np.eye(n, k=-1) - 2 * np.eye(n, k=1)
    return np.sum((A @ x - 2 * x**2 + 1) ** 2)


@pytest.mark.parametrize(
    ("number", "formula"),
    [
        (14, wood),
        (18, biggs),
        (24, penalty_2),
        (26, trigonometric),
        (28, boundary_value),
        (29, integral_equation),
        (30, broyden_tridiagonal),
        (31, broyden_banded),
        (35, chebyquad),
    ],
)
def test_losses_are_their_formulas_written_out(number, formula):
    problem = build(number)
    loss = jax.jit(problem.loss)
    for seed in range(3):
        x = problem.start(seed)
        close(loss(x, *problem.args), formula(np.asarray(x)), rtol=1e-11, atol=0)


@pytest.mark.parametrize(
    ("number", "angle"), [(7, a) for a in (-80, -10, 0, 45, 90, 135, 180, 225, 260)]
)
def test_the_helical_valleys_angle_is_the_papers(number, angle):
    # arctan(x2 / x1) / 2π, plus one half where x1 < 0: from -90 to 270 degrees.
    x = 2 * np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), 0])
    r, _ = compiled(number)
    close(r(x)[0], -100 * angle / 360, rtol=1e-13, atol=1e-13)


def test_a_negative_zero_does_not_turn_the_helical_valleys_start():
    r, _ = compiled(7)
    close(r([-1.0, -0.0, 0.0]), r([-1.0, 0.0, 0.0]), rtol=0, atol=0)


def test_limits_at_infinity_are_approached_and_not_reached():
    far = 1e8
    for number, x in [
        (5, (-far, 1 + 0.991071428571429 / far)),
        (6, (-far, -far)),
        (6, (-far, 0.33148527792223215)),
        (8, (0.840666666666667, -far, -far)),
        (
            15,
            (0.02209593573016863 * far, -14.07588340060331, -far, -0.6238013410 * far),
        ),
        (19, (0.91703842, 6.5, 6.5, 7, 0.13275478, 30, 50, 70, 20, 45, 55)),
    ]:
        value = np.sum(compiled(number)[0](np.array(x)) ** 2)
        nearest = min(build(number).local_minima, key=lambda m: abs(m - value))
        close(value, nearest, rtol=1e-6, atol=0)


def test_biggs_second_minimum_has_two_equal_rates():
    rate, fast = 1.7114159947195875, 17.683198180949066
    x = [rate, rate, 2.326287321837785 + 1, 1, fast, -5.186561551993452]
    r, J = compiled(18)
    close(np.sum(r(x) ** 2), build(18).local_minima[0], rtol=1e-13, atol=0)
    close(r(x) @ J(x), np.zeros(6), rtol=0, atol=1e-15)
    # The next limit is the fit of one exponential to all residuals but the first two.
    t = np.arange(3, 14) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    fit = scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * t) - y, (2, 2), method="lm", ftol=1e-15
    )
    close(2 * fit.cost, build(18).local_minima[1], rtol=1e-10, atol=0)


@pytest.mark.parametrize("index", range(3))
def test_the_trigonometric_problem_has_three_more_minima(index):
    # In each, a few variables are larger than the others.
    start = np.full(10, 0.06)
    start[[6, 7, 8, 9]] = ((0.21, 0.16, 0.085, 0.09), (0.07,) * 4, (0.08,) * 4)[index]
    start[[5, 4]] = ((0.067, 0.064), (0.26, 0.06), (0.075, 0.275))[index]
    value, x = descend(26, start)
    close(value, build(26).local_minima[index], rtol=1e-10, atol=0)
    # By differences of the exact gradient, to 1e-9; the smallest eigenvalue is 7e-4.
    r, J = compiled(26)
    gradient = lambda x: 2 * r(x) @ J(x)  # noqa: E731
    # The descent ends where the value no longer falls: sqrt(eps * 3e-5) at most.
    close(gradient(x), np.zeros(10), rtol=0, atol=1e-9)
    steps = 1e-5 * np.eye(10)
    H = np.array([(gradient(x + h) - gradient(x - h)) / 2e-5 for h in steps])
    assert np.all(np.linalg.eigvalsh((H + H.T) / 2) > 1e-4)


def test_browns_minima_are_the_roots_of_a_polynomial():
    r, J = compiled(27)
    roots = np.roots([10, -11, *[0] * 8, 1])
    real = roots[np.abs(roots.imag) < 1e-9].real
    assert len(real) == 2
    for c in real:
        close(r([*[c] * 9, c**-9.0]), np.zeros(10), rtol=0, atol=1e-12)
    x = np.array([*[0.0] * 9, 11])
    close(np.sum(r(x) ** 2), 1, rtol=0, atol=0)
    close(r(x) @ J(x), np.zeros(10), rtol=0, atol=0)


@pytest.mark.parametrize("number", [32, 33, 34])
@pytest.mark.parametrize(("n", "m"), [(5, 10), (5, 50), (3, 3)])
def test_linear_minima_are_those_of_numpys_least_squares(number, n, m):
    problem = build(number, dimension=n, terms=m)
    (A,) = (np.asarray(a) for a in problem.args)
    x, *_ = np.linalg.lstsq(A, np.ones(m), rcond=1e-12)
    close(np.sum((A @ x - 1) ** 2), problem.minimum, rtol=1e-12, atol=1e-25)
    close(x, problem.minimizers[0], rtol=1e-10, atol=1e-14)


def test_penalty_1_is_lowest_at_equal_numbers_in_any_dimension():
    for n in (1, 2, 4, 33):
        problem = build(23, dimension=n)
        value, x = descend(23, dimension=n)
        close(value, problem.minimum, rtol=1e-12, atol=0)
        close(x, problem.minimizers[0], rtol=1e-6, atol=0)


@pytest.mark.parametrize("number", SOME)
def test_a_problem_works_in_float32_under_jit_and_vmap(number):
    # Shapes, dtypes and values of the whole batch against float64 point by point.
    problem = build(number)
    r, _ = compiled(number)
    points = jnp.stack([problem.start(seed) for seed in range(3)])
    with jax.enable_x64(False):
        single = more_garbow_hillstrom(number)
        starts = jnp.asarray(np.asarray(points), jnp.float32)
        axes = (0, *(None for _ in single.args))
        both = jax.jit(jax.vmap(jax.value_and_grad(single.loss), in_axes=axes))
        values, slopes = both(starts, *single.args)
        assert values.dtype == slopes.dtype == single.start(0).dtype == jnp.float32
        assert {a.dtype for a in single.args} <= {np.dtype(np.float32)}
    assert np.all(np.isfinite(slopes))
    size = np.array([np.sum(r(x) ** 2) for x in points])
    close(values, size, rtol=1e-3, atol=1e-9)


def test_starts_stay_within_a_tenth_of_the_standard_start():
    for number in ALL:
        problem = build(number)
        centre = problem.standard_start
        reach = 0.1 * np.where(centre == 0, 1, np.abs(centre))
        moves = [(np.asarray(problem.start(s)) - centre) / reach for s in range(3)]
        assert np.max(np.abs(moves)) <= 1 + 1e-12
        assert np.max(np.abs(moves)) > 0.3


def test_the_standard_start_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        build(1).standard_start[0] = 3


def test_a_program_is_shared_by_all_dimensions_and_the_linear_problems():
    assert build(20).loss is build(20, dimension=9).loss
    assert build(32).loss is build(33).loss is build(34).loss
    assert build(1).loss is build(21).loss
    first, second = more_garbow_hillstrom(8), more_garbow_hillstrom(8)
    assert (first.loss, first.init) == (second.loss, second.init)
    assert first.residual is second.residual


@pytest.mark.parametrize("number", ALL)
def test_all_data_are_arguments(number):
    problem = build(number)
    closed = jax.make_jaxpr(problem.loss)(problem.start(0), *problem.args)
    assert all(np.size(constant) <= 1 for constant in closed.consts)


def test_the_set_is_in_the_papers_order_and_each_has_a_name():
    everything = more_garbow_hillstrom()
    assert len(everything) == 35
    for number, problem in enumerate(everything, 1):
        assert problem.name == build(number).name
        assert problem.title.startswith(f"MGH {number}: ")
        assert problem.source.endswith(f"problem {number}")
        assert more_garbow_hillstrom(problem.name).name == problem.name
        assert problems.get(problem.name).name == problem.name
    assert len({p.name for p in everything} & set(problems.names())) == 35
    assert len({p.title for p in everything}) == 35


def test_sizes_that_differ_from_their_defaults_are_in_the_name():
    assert build(20, dimension=9).name == "mgh_watson_9"
    assert build(12, terms=20).name == "mgh_box_3d_terms_20"
    assert build(35, dimension=5, terms=9).name == "mgh_chebyquad_5_terms_9"
    assert more_garbow_hillstrom("watson", dimension=9).size == 9
    assert problems.get("mgh_watson", dimension=12).size == 12


def test_where_a_minimum_is_not_known_none_is_given():
    assert build(20, dimension=7).minimum is None
    assert build(6, terms=20).minimum is None
    assert build(35, dimension=5, terms=9).minimum is None


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        (0, {}, "`which` must be at least 1"),
        (36, {}, "from 1 to 35, got 36"),
        ("bird", {}, "unknown problem 'bird'.*'bard'"),
        (20, {"dimension": 32}, "`dimension` must be at most 31, got 32"),
        (21, {"dimension": 5}, "`dimension` must be a multiple of 2, got 5"),
        (22, {"dimension": 6}, "`dimension` must be a multiple of 4, got 6"),
        (11, {"terms": 101}, "`terms` must be at most 100, got 101"),
        (12, {"terms": 2}, "`terms` must be at least 3, got 2"),
        (34, {"dimension": 2}, "`dimension` must be at least 3, got 2"),
    ],
)
def test_a_size_that_does_not_exist_is_refused(which, options, message):
    with pytest.raises(ValueError, match=message):
        more_garbow_hillstrom(which, **options)


def test_options_need_a_problem_that_has_them():
    with pytest.raises(TypeError, match="need one problem"):
        more_garbow_hillstrom(None, dimension=5)
    with pytest.raises(TypeError, match="dimension"):
        more_garbow_hillstrom(1, dimension=5)


def test_gulfs_derivatives_are_finite_where_a_residual_has_a_corner():
    # With 100 terms the last observation stands where the power's base is zero.
    problem = build(11, terms=100)
    x = jnp.asarray(problem.minimizers[0])
    assert np.all(np.isfinite(jax.jacfwd(problem.residual)(x, *problem.args)))


def test_woods_saddle_is_where_it_is_said_to_be():
    loss = build(14).loss
    both = jax.jit(lambda x: (jax.grad(loss)(x), jax.hessian(loss)(x)))
    x = jnp.array([-0.968, 0.947, -0.970, 0.951])
    for _ in range(6):
        slope, H = both(x)
        step = np.linalg.solve(H, slope)
        x = x - step
    close(step, np.zeros(4), rtol=0, atol=1e-12)
    close(x, [-0.968, 0.947, -0.970, 0.951], rtol=0, atol=6e-4)
    close(loss(x), 7.877, rtol=0, atol=5e-4)
    assert np.sum(np.linalg.eigvalsh(H) < 0) == 1


@pytest.mark.parametrize(
    ("number", "options", "condition"),
    [
        (10, {}, 1e16),
        (20, {}, 9e4),
        (20, {"dimension": 9}, 2e9),
        (20, {"dimension": 12}, 7e13),
        (23, {}, 2e4),
        (24, {}, 2e6),
    ],
)
def test_hessians_at_the_minimizers_are_as_badly_conditioned_as_is_said(
    number, options, condition
):
    problem = build(number, **options)
    x = problem.minimizers[0]
    H = jax.jit(jax.hessian(problem.loss))(jnp.asarray(x), *problem.args)
    eigenvalues = np.linalg.eigvalsh(H)
    # Docstrings give one digit. Beyond 1e15 the smallest eigenvalue keeps none of H's,
    # so it comes from the Jacobian's singular values: here the residual is small.
    if condition > 1e12:
        eigenvalues = np.linalg.svd(compiled(number, **options)[1](x))[1][::-1] ** 2
    ratio = eigenvalues[-1] / eigenvalues[0]
    assert 0.7 * condition < ratio < 1.4 * condition
