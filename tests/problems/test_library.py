"""Single problems against what is known of them."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import sympy
from closeness import close
from jax.flatten_util import ravel_pytree
from sklearn import linear_model

from jaxcalc import problems
from jaxcalc.problems import _data


def derivatives(problem, point):
    f = lambda x: problem.loss(x, *problem.args)  # noqa: E731
    both = jax.jit(lambda x: (f(x), jax.grad(f)(x), jax.hessian(f)(x)))
    return both(jnp.asarray(point, float))


def sympy_derivatives(expression, symbols, point):
    at = dict(zip(symbols, map(sympy.Rational, point), strict=True))
    slope = [expression.diff(s) for s in symbols]
    H = sympy.hessian(expression, symbols).subs(at)
    return (
        float(expression.subs(at)),
        np.array([s.subs(at) for s in slope], float),
        np.array(H.tolist(), float),
    )


@pytest.mark.parametrize("dimension", [2, 3, 10])
def test_rosenbrock_is_scipys(dimension):
    point = np.random.default_rng(dimension).uniform(-2, 2, dimension)
    value, slope, H = derivatives(problems.rosenbrock(dimension), point)
    close(value, scipy.optimize.rosen(point), rtol=1e-13)
    close(slope, scipy.optimize.rosen_der(point), rtol=1e-12)
    close(H, scipy.optimize.rosen_hess(point), rtol=1e-12)


@pytest.mark.parametrize("dimension", [4, 10])
def test_rosenbrock_has_a_second_minimum_from_dimension_4_on(dimension):
    x = np.ones(dimension)
    x[0] = -1
    found = scipy.optimize.minimize(
        scipy.optimize.rosen,
        x,
        jac=scipy.optimize.rosen_der,
        hess=scipy.optimize.rosen_hess,
        method="trust-exact",
        options={"initial_trust_radius": 0.01, "max_trust_radius": 0.1, "gtol": 1e-9},
    )
    value, slope, H = derivatives(problems.rosenbrock(dimension), found.x)
    assert 3.5 < value < 4
    close(slope, np.zeros(dimension), rtol=0, atol=1e-7)
    assert np.all(np.linalg.eigvalsh(H) > 0)


def test_beale_is_its_formula():
    x, y = sympy.symbols("x y")
    targets = map(sympy.Rational, ("1.5", "2.25", "2.625"))
    f = sum((t - x * (1 - y**i)) ** 2 for i, t in enumerate(targets, 1))
    expected = sympy_derivatives(f, (x, y), ("1.25", "-0.5"))
    for actual, e in zip(derivatives(problems.beale(), (1.25, -0.5)), expected):
        close(actual, e, rtol=1e-13)


def test_beale_has_a_saddle_at_0_1():
    _, slope, H = derivatives(problems.beale(), (0, 1))
    assert not np.any(slope)
    assert np.prod(np.linalg.eigvalsh(H)) < 0


def test_beales_valley_sinks_to_infinity_where_x_is_negative():
    along = lambda x: problems.beale().loss(jnp.array([x, 1 - 0.991 / x]))  # noqa: E731
    values = [along(x) for x in (-3.0, -10.0, -100.0, -1e4)]
    assert np.all(np.diff(values) < 0)
    close(values[-1], 0.452, rtol=1e-3)


def test_himmelblau_is_its_formula():
    x, y = sympy.symbols("x y")
    f = (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
    expected = sympy_derivatives(f, (x, y), ("-1.5", "2.25"))
    for actual, e in zip(derivatives(problems.himmelblau(), (-1.5, 2.25)), expected):
        close(actual, e, rtol=1e-13)


def test_himmelblau_has_four_minima_at_the_roots_of_both_squares():
    problem = problems.himmelblau()
    assert len(problem.minimizers) == 4
    for x, y in problem.minimizers:
        root = scipy.optimize.fsolve(
            lambda p: (p[0] ** 2 + p[1] - 11, p[0] + p[1] ** 2 - 7),
            np.round((x, y), 2),
            xtol=1e-12,
        )
        close((x, y), root, rtol=1e-12)
        assert np.all(np.linalg.eigvalsh(derivatives(problem, (x, y))[2]) > 0)


def test_powell_is_its_formula_and_singular_at_the_minimizer():
    a, b, c, d = sympy.symbols("a b c d")
    f = (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4
    problem, start = problems.powell_singular(), (3, -1, 0, 1)
    expected = sympy_derivatives(f, (a, b, c, d), map(str, start))
    assert expected[0] == 215
    for actual, e in zip(derivatives(problem, start), expected):
        close(actual, e, rtol=1e-13)
    assert np.linalg.matrix_rank(derivatives(problem, np.zeros(4))[2]) == 2


@pytest.mark.parametrize(("dimension", "condition"), [(10, 100.0), (5, 1e6), (3, 1.0)])
def test_the_quadratic_has_the_condition_number_it_is_asked_for(dimension, condition):
    problem = problems.quadratic(dimension, condition)
    value, _, H = derivatives(problem, np.ones(dimension))
    close(np.linalg.eigvalsh(H), np.geomspace(1, condition, dimension), rtol=1e-9)
    close(value, np.sum(H) / 2, rtol=1e-9)
    if condition > 1:
        assert np.max(np.abs(H - np.diag(np.diag(H)))) > 0.1, "axes are not special"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: problems.rosenbrock(1), "`dimension` must be at least 2"),
        (lambda: problems.quadratic(1), "`dimension` must be at least 2"),
        (lambda: problems.quadratic(condition=0.5), "`condition` must be at least 1"),
        (lambda: problems.quadratic(condition=np.nan), "`condition`"),
        (lambda: problems.breast_cancer(ridge=-1.0), "`ridge`"),
        (lambda: problems.diabetes(ridge=np.inf), "`ridge`"),
        (lambda: problems.digits_softmax(ridge=-1.0), "`ridge`"),
        (lambda: problems.digits_network(hidden=0), "`hidden`"),
    ],
)
def test_options_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_five_points_are_fitted_by_polyfit():
    problem = problems.five_points()
    x, y = map(np.asarray, problem.args)
    m, b = np.polyfit(x, y, 1)
    close(problem.minimizers[0], (b, m), rtol=1e-14)
    close(problem.minimum, np.mean((m * x + b - y) ** 2), rtol=1e-14)
    flat, _ = ravel_pytree({"m": m, "b": b})
    close(flat, problem.minimizers[0], rtol=1e-14)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_diabetes_is_sklearns_ridge_regression(ridge):
    problem = problems.diabetes(ridge)
    X, y, _ = map(np.asarray, problem.args)
    # scikit-learn's penalty stands beside the sum of squares, ours beside their mean.
    model = linear_model.Ridge(alpha=ridge * len(y) / 2, solver="svd").fit(X, y)
    close(problem.minimizers[0], [model.intercept_, *model.coef_], rtol=1e-12)
    if not ridge:
        close(problem.minimum, 1 - model.score(X, y), rtol=1e-13)


def test_the_hessian_of_diabetes_has_condition_number_470():
    problem = problems.diabetes()
    H = jax.jit(problem.hessian)(problem.start(0), *problem.args)
    close(np.linalg.cond(H), 470, rtol=0.01)


def test_a_plane_separates_breast_cancer():
    X, y, _ = map(np.asarray, problems.breast_cancer().args)
    margins = -y[:, None] * np.column_stack([X, np.ones(len(y))])
    found = scipy.optimize.linprog(
        np.zeros(31), A_ub=margins, b_ub=-np.ones(len(y)), bounds=(None, None)
    )
    assert found.status == 0, "a feasible plane with margin 1"


def test_breast_cancer_is_sklearns_logistic_regression():
    problem = problems.breast_cancer(ridge=1e-2)
    X, y, ridge = map(np.asarray, problem.args)
    model = linear_model.LogisticRegression(
        C=1 / (len(y) * ridge), solver="newton-cholesky", tol=1e-12
    ).fit(X, y)
    params = {"w": jnp.asarray(model.coef_[0]), "b": jnp.asarray(model.intercept_[0])}
    gradient = jax.jit(jax.grad(problem.loss))(params, *problem.args)
    close(ravel_pytree(gradient)[0], np.zeros(31), rtol=0, atol=1e-8)
    assert (y == 1).sum() == 357
    assert (y == -1).sum() == 212


def test_the_penalty_on_everything_makes_digits_softmax_have_one_minimizer():
    problem = problems.digits_softmax(ridge=1.0)
    X, y, ridge = map(np.asarray, problem.args)
    # scikit-learn does not penalize an intercept, but it does a column of ones.
    model = linear_model.LogisticRegression(
        C=1 / (len(y) * ridge), fit_intercept=False, tol=1e-9, max_iter=1000
    ).fit(np.column_stack([np.ones(len(y)), X]), y)
    W = jnp.asarray(model.coef_.T)
    gradient = jax.jit(jax.grad(problem.loss))({"b": W[0], "w": W[1:]}, *problem.args)
    close(ravel_pytree(gradient)[0], np.zeros(650), rtol=0, atol=1e-8)
    # Of all points with the same probabilities, this is the one nearest to zero.
    close(np.sum(W, axis=1), np.zeros(65), rtol=0, atol=1e-8)


def test_without_a_penalty_the_softmax_hessian_is_singular():
    problem = problems.digits_softmax(ridge=0.0)
    flat = jnp.tile(jnp.arange(65.0)[:, None], 10).ravel()
    H = jax.jit(problem.hessian)(problem.start(0), *problem.args)
    close(H @ flat, np.zeros(650), rtol=0, atol=1e-11)


def test_the_network_penalizes_weights_but_not_biases():
    free, held = problems.digits_network(ridge=0.0), problems.digits_network(ridge=0.5)
    params = free.start(0)
    params[0]["b"] = params[0]["b"] + 1
    losses = [jax.jit(p.loss)(params, *p.args) for p in (free, held)]
    squares = sum(np.sum(np.square(layer["w"])) for layer in params)
    close(losses[1] - losses[0], 0.25 * squares, rtol=1e-13)


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "digits_softmax"])
def test_features_are_standardized_and_constant_ones_are_zero(name):
    X = np.asarray(problems.get(name).args[0])
    close(X.mean(axis=0), np.zeros(X.shape[1]), rtol=0, atol=1e-14)
    constant = np.ptp(X, axis=0) == 0
    close(X.std(axis=0), np.where(constant, 0, 1), rtol=0, atol=1e-13)
    assert not np.any(X[:, constant])
    assert constant.sum() == (3 if name == "digits_softmax" else 0)


def test_a_constant_that_rounds_is_standardized_to_zero():
    X = np.column_stack([np.full(10, 0.1), np.arange(10.0)])
    assert not np.any(_data.standardized(X)[:, 0])


def test_a_start_does_not_share_its_data_with_scikit_learns_arrays():
    X, _ = _data.load("digits")
    with pytest.raises(ValueError, match="read-only"):
        X[0, 0] = 1


@pytest.mark.parametrize(
    ("X", "y", "classes", "message"),
    [
        (np.ones((3, 2)), np.ones(4), 0, "3 rows of features but 4 targets"),
        (np.ones(3), np.ones(3), 0, r"shapes \(n, d\) and \(n,\)"),
        (np.ones((0, 2)), np.ones(0), 0, r"got \(0, 2\)"),
        (np.array([[1.0, np.nan]]), np.ones(1), 0, "1 features are NaN"),
        (np.ones((2, 1)), np.array([np.inf, 0]), 0, "1 targets are NaN or infinite"),
        (np.ones((3, 1)), np.array([0, 1, 1]), 3, r"3 classes.*\{0: 1, 1: 2\}"),
    ],
)
def test_data_that_cannot_be_learnt_from_name_the_problem(X, y, classes, message):
    with pytest.raises(ValueError, match=f"problem 'mine': .*{message}"):
        _data.check("mine", X, y, classes=classes)


def test_without_scikit_learn_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxcalc\[experiments\]'"):
        _data.load.__wrapped__("digits")


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_diabetes_residuals_solve_to_its_minimizer(ridge):
    problem = problems.diabetes(ridge=ridge)
    flat, unravel = ravel_pytree(problem.start(0))
    r = jax.jit(lambda x: problem.residual(unravel(x), *problem.args))
    J = jax.jit(jax.jacfwd(r))(flat)
    step, *_ = np.linalg.lstsq(J, -r(flat))
    close(flat + step, problem.minimizers[0], rtol=1e-10, atol=1e-12)
