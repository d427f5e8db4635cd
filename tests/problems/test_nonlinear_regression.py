"""Fits of curves against closed forms, SciPy and NIST's certified values."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from closeness import close

from jaxcalc import problems
from jaxcalc.problems import nist, nonlinear_regression

EXAMPLES = ("exponential_decay", "rational_peak", "gaussian_peaks")


@functools.cache
def build(name):
    return problems.get(name)


@functools.cache
def compiled(name):
    """The residuals and their Jacobian as NumPy functions of a point."""
    problem = build(name)
    r, J = jax.jit(problem.residual), jax.jit(jax.jacfwd(problem.residual))
    return (
        lambda b: np.array(r(jnp.asarray(b, float), *problem.args)),
        lambda b: np.array(J(jnp.asarray(b, float), *problem.args)),
    )


def fit(name, start, method="lm"):
    r, J = compiled(name)
    scale = 1.0 if method == "lm" else "jac"
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    found = scipy.optimize.least_squares(
        r, start, J, method=method, x_scale=scale, max_nfev=2000, **tight
    )
    return 2 * found.cost, found.x


@pytest.mark.parametrize("method", ["lm", "trf"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_solved_from_its_start_to_the_parameters_that_made_it(
    name, method
):
    problem = build(name)
    value, b = fit(name, problem.standard_start, method)
    close(value, problem.minimum, rtol=1e-12, atol=0)
    close(b, problem.minimizers[0], rtol=1e-7, atol=0)


@pytest.mark.parametrize(
    ("name", "noise"), list(zip(EXAMPLES, (0.02, 0.01, 0.05), strict=True))
)
def test_an_examples_noise_is_orthogonal_to_its_derivatives(name, noise):
    problem, (r, J) = build(name), compiled(name)
    (truth,) = problem.minimizers
    residual, jacobian = r(truth), J(truth)
    close(problem.minimum, len(residual) * noise**2, rtol=1e-13, atol=0)
    bound = np.linalg.norm(residual) * np.linalg.norm(jacobian, axis=0)
    assert np.all(np.abs(residual @ jacobian) <= 1e-13 * bound)
    # A best fit, not a point of rest: the Hessian of the squares is positive there.
    H = jax.jit(jax.hessian(problem.loss))(jnp.asarray(truth), *problem.args)
    assert np.all(np.linalg.eigvalsh(H) > 0)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.slow
def test_no_fit_from_other_starts_is_better_than_the_recorded_one(name):
    problem, generator = build(name), np.random.default_rng(0)
    values = []
    for _ in range(15):
        start = problem.standard_start + generator.normal(size=problem.size)
        try:
            values.append(fit(name, start)[0])
        except ValueError:  # SciPy refuses a start where the residuals overflow.
            continue
    assert len(values) > 10
    assert min(values) >= problem.minimum * (1 - 1e-10)


def numpys_models():
    exp = np.exp
    return {
        "exponential_decay": lambda b, x: b[0] + b[1] * exp(-b[2] * x),
        "rational_peak": lambda b, x: (
            np.polyval(b[2::-1], x) / np.polyval([b[4], b[3], 1], x)
        ),
        "gaussian_peaks": lambda b, x: (
            b[0] * exp(-b[1] * x)
            + b[2] * exp(-((x - b[3]) ** 2) / b[4] ** 2)
            + b[5] * exp(-((x - b[6]) ** 2) / b[7] ** 2)
        ),
        "nist_boxbod": lambda b, x: b[0] * (1 - exp(-b[1] * x)),
        "nist_eckerle4": lambda b, x: (
            b[0] / b[1] * exp(-0.5 * ((x - b[2]) / b[1]) ** 2)
        ),
        "nist_thurber": lambda b, x: (
            np.polyval(b[3::-1], x) / np.polyval([*b[:3:-1], 1], x)
        ),
    }


@pytest.mark.parametrize("name", numpys_models())
def test_models_are_their_formulas_in_numpy(name):
    problem, model = build(name), numpys_models()[name]
    x, y = map(np.asarray, problem.args)
    b = np.asarray(problem.minimizers[0]) * 1.01
    r, _ = compiled(name)
    close(r(b), model(b, x) - y, rtol=0, atol=1e-13 * np.max(np.abs(y)))
    loss = jax.jit(problem.loss)(jnp.asarray(b), *problem.args)
    close(loss, np.sum((model(b, x) - y) ** 2), rtol=1e-11)


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", problems.nist_names())
def test_nists_certified_parameters_come_out_of_its_data(name, start):
    problem = nist(name, start)
    value, b = fit(f"nist_{name}", problem.standard_start, "trf")
    # Sums of squares are certified to eleven digits; the last one may be rounded.
    close(value, problem.minimum, rtol=1e-10, atol=0)
    close(b, problem.minimizers[0], rtol=1e-6, atol=0)
    # At the certified parameters themselves the sum is the certified one.
    at_certified = np.sum(compiled(f"nist_{name}")[0](problem.minimizers[0]) ** 2)
    close(at_certified, problem.minimum, rtol=1e-10, atol=0)


def test_nists_fits_that_are_problems_of_the_other_set_agree_with_it():
    # Certified: MGH09, MGH10 and MGH17.
    for number, squares, parameters in [
        (15, 3.0750560385e-4, (0.19280693458, 0.19128232873, 0.12305650693)),
        (10, 8.7945855171e1, (5.6096364710e-3, 6.1813463463e3, 3.4522363462e2)),
        (17, 5.4648946975e-5, (0.37541005211, 1.9358469127, -1.4646871366)),
    ]:
        problem = problems.more_garbow_hillstrom(number)
        close(problem.minimum, squares, rtol=2e-11, atol=0)
        close(problem.minimizers[0][:3], parameters, rtol=1e-10, atol=0)


def decay(params, x):
    return params["size"] * jnp.exp(-x * params["rate"][0])


def plane(b, x):
    return x @ b


X, Y = np.arange(5.0), np.array([4.0, 2.5, 1.4, 0.9, 0.6])
START = {"size": 3.0, "rate": np.array([0.5])}


def test_parameters_may_be_any_pytree_and_the_loss_is_the_sum_of_squares():
    problem = nonlinear_regression("mine", decay, X, Y, START)
    assert problem.size == 2
    assert problem.title == "mine"
    params = {"size": jnp.asarray(4.0), "rate": jnp.asarray([0.5])}
    expected = 4 * np.exp(-X / 2) - Y
    close(problem.residual(params, *problem.args), expected, rtol=1e-14)
    close(problem.loss(params, *problem.args), expected @ expected, rtol=1e-14)
    assert problem.standard_start["size"] == 3
    drawn = problem.start(0)
    assert jax.tree.structure(drawn) == jax.tree.structure(START)
    assert 2.7 <= drawn["size"] <= 3.3
    assert drawn["size"] != 3


def test_a_linear_model_of_several_inputs_has_numpys_solution():
    X = np.random.default_rng(0).normal(size=(20, 3))
    y = np.random.default_rng(1).normal(size=20)
    b, squares, *_ = np.linalg.lstsq(X, y)
    problem = nonlinear_regression("plane", plane, X, y, np.zeros(3), minimizers=[b])
    close(problem.loss(b, *problem.args), squares[0], rtol=1e-13)
    gradient = jax.grad(problem.loss)(jnp.asarray(b), *problem.args)
    close(gradient, np.zeros(3), rtol=0, atol=1e-13)


def test_problems_with_the_same_model_share_their_functions():
    first = nonlinear_regression("first", decay, X, Y, START)
    second = nonlinear_regression("second", decay, X[:4], 2 * Y[:4], START)
    assert first.loss is second.loss
    assert first.residual is second.residual
    assert first.init is second.init
    assert nist("thurber").loss is nist("thurber", 2).loss
    assert nist("misra1a").loss is nist("boxbod").loss


@pytest.mark.parametrize("name", ["nist_thurber", "nist_rat43", "nist_lanczos3"])
def test_a_fit_works_in_float32_under_jit_and_vmap(name):
    r, _ = compiled(name)
    points = np.stack([build(name).start(seed) for seed in range(3)])
    with jax.enable_x64(False):
        problem = problems.get(name)
        assert problem.start(0).dtype == problem.args[0].dtype == jnp.float32
        both = jax.vmap(jax.value_and_grad(problem.loss), in_axes=(0, None, None))
        values, slopes = jax.jit(both)(jnp.asarray(points), *problem.args)
        assert values.dtype == slopes.dtype == jnp.float32
    close(values, [np.sum(r(b) ** 2) for b in points], rtol=1e-3, atol=1e-6)
    assert np.all(np.isfinite(slopes))


def test_observations_that_cannot_be_fitted_are_refused(unchecked):
    def make(model=decay, x=X, y=Y, start=START):
        return nonlinear_regression("mine", model, x, y, start)

    for options, message in [
        ({"y": Y[:4]}, r"problem 'mine': `x` and `y`.*got \(5,\) and \(4,\)"),
        ({"x": X[:, None], "y": Y[:, None]}, r"got \(5, 1\) and \(5, 1\)"),
        ({"x": [], "y": []}, r"got \(0,\) and \(0,\)"),
        ({"y": np.append(Y[:4], np.inf)}, "`y` must be finite"),
        ({"x": np.full(5, np.nan)}, "`x` must be finite"),
        ({"start": START | {"size": np.inf}}, "`start` must be finite"),
        ({"start": {}}, "`start` must be finite numbers"),
        (
            {"model": lambda b, x: x[1:] * b["size"]},
            r"must have the shape of `y`, \(5,\), got",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            make(**options)
    with pytest.raises(TypeError, match="`model` must be a function, got 3"):
        make(model=3)


def test_an_unknown_fit_or_start_is_refused():
    with pytest.raises(ValueError, match=r"unknown fit 'bird'.*'boxbod'"):
        nist("bird")
    with pytest.raises(ValueError, match="`start` must be 1 or 2, got 3"):
        nist("boxbod", start=3)


def test_the_registry_knows_nists_fits_by_name():
    for name in problems.nist_names():
        problem = problems.get(f"nist_{name}", start=2)
        assert problem.name == f"nist_{name}_start_2"
        assert problems.get(f"nist_{name}").name == f"nist_{name}" in problems.names()
        assert problem.title != problems.get(f"nist_{name}").title
