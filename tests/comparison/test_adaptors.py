"""Other packages' solvers do what they do alone, and are judged by the same rules."""

import importlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from scipy import optimize

from jaxcalc import newton, problems
from jaxcalc.comparison import Comparison, adaptors
from jaxcalc.comparison.adaptors._scipy_calls import MINIMIZE, PRODUCTS
from jaxcalc.minimization import Status
from jaxcalc.problems import Problem

DENSE = {"dogleg", "trust-exact"}
# Methods that take no trial which is not lower.
MONOTONE = ["BFGS", "L-BFGS-B", "trust-exact"]


def bowl(x):
    return jnp.sum(jnp.arange(1.0, 1 + x.size) * x**2) + jnp.sum(x**4)


def a_problem(loss=bowl, start=(1.0, -2.0, 0.5), **more):
    def init(key):
        return jnp.array(start)

    return Problem(name="planted", loss=loss, init=init, **more)


def last(counts, runs):
    return counts[runs.steps, np.arange(len(runs.steps))]


def work(runs, lane=0):
    counted = {kind: int(last(n, runs)[lane]) for kind, n in runs.work.items()}
    return {kind: count for kind, count in counted.items() if count}


def judged_truly(runs, problem, tol):
    """Whether CONVERGED is said where the gradient is small, and only there."""
    _, unravel = ravel_pytree(problem.start(0))
    for params, status in zip(runs.params, runs.status):
        grad = jax.grad(problem.loss)(unravel(jnp.asarray(params)), *problem.args)
        norm = np.abs(ravel_pytree(grad)[0]).max()
        assert (status == Status.CONVERGED) == (norm <= tol)


# SciPy


@pytest.mark.parametrize("method", [m for m in MINIMIZE if m != "TNC"])
def test_scipy_takes_the_steps_and_evaluations_that_it_takes_alone(method):
    problem = problems.rosenbrock(3)
    start, most = np.asarray(problem.start(1)), 12
    counts = {"hess": 0, "hessp": 0}
    value_and_grad = jax.jit(jax.value_and_grad(problem.loss))
    hessian = jax.jit(jax.hessian(problem.loss))

    def counted(kind, *given):
        counts[kind] += 1
        matrix = np.asarray(hessian(given[0]))
        return matrix if kind == "hess" else matrix @ given[1]

    kind = "hess" if method in DENSE else "hessp" if method in PRODUCTS else None
    options = {"gtol": 1e-12} if "gtol" in MINIMIZE[method] else {}
    alone = optimize.minimize(
        lambda x: tuple(map(np.asarray, value_and_grad(x))),
        start,
        jac=True,
        method=method,
        options={"maxiter": most, **options},
        **({kind: partial(counted, kind)} if kind else {}),
    )
    # trust-constr counts its start as an iteration.
    own = most - (method == "trust-constr")
    runs = adaptors.scipy(method).run(problem, [1], own, 1e-12)
    assert runs.steps[0] == alone.nit - (method == "trust-constr")
    assert work(runs)["gradients"] == alone.nfev
    np.testing.assert_allclose(runs.params[0], alone.x, rtol=1e-6)
    np.testing.assert_allclose(runs.final_value[0], alone.fun, rtol=1e-6)
    expected = {"hess": "hessians", "hessp": "hvps"}
    if kind:
        assert work(runs)[expected[kind]] == counts[kind]


@pytest.mark.parametrize("method", MINIMIZE)
def test_every_method_of_scipy_finds_the_bottom_of_a_bowl(method):
    problem = a_problem()
    runs = adaptors.scipy(method).run(problem, [0, 1], 300, 1e-6)
    judged_truly(runs, problem, 1e-6)
    assert runs.final_value.max() < 1e-8
    assert (runs.phase, runs.problem) == ("evaluation", "planted")
    assert method in runs.optimizer
    assert 0 < runs.seconds_per_step_low <= runs.seconds_per_step
    assert runs.seconds_per_step <= runs.seconds_per_step_high < 1


@pytest.mark.parametrize("method", MONOTONE)
def test_traces_fall_and_end_where_the_run_ends(method):
    runs = adaptors.scipy(method).run(problems.rosenbrock(2), [0, 3], 60, 1e-8)
    for lane, steps in enumerate(runs.steps):
        value = runs.value[: steps + 1, lane]
        # Wolfe's conditions and accepted trials alike; the last digits may round.
        assert np.all(np.diff(value) <= 1e-14 * np.abs(value[:-1]))
        assert np.all(np.isnan(runs.value[steps + 1 :, lane]))
        assert np.isnan(runs.step_norm[steps, lane])
        assert np.all(runs.step_norm[:steps, lane] >= 0)
        for counts in runs.work.values():
            assert np.all(np.diff(counts[: steps + 1, lane]) >= 0)
            assert np.all(counts[steps + 1 :, lane] == -1)
        moved = np.abs(np.diff(runs.path[: steps + 1, lane], axis=0)).max(1)
        np.testing.assert_array_equal(moved, runs.step_norm[:steps, lane])
        np.testing.assert_array_equal(runs.path[steps, lane], runs.params[lane])


@pytest.mark.parametrize(
    "method", ["lm", "trf", pytest.param("dogbox", marks=pytest.mark.slow)]
)
def test_fits_take_the_evaluations_that_they_take_alone(method):
    problem = problems.exponential_decay()
    start, unravel = ravel_pytree(problem.start(0))
    calls = {"residuals": 0, "jacobians": 0}

    def residual(x):
        return problem.residual(unravel(x), *problem.args)

    compiled = {
        "residuals": jax.jit(residual),
        "jacobians": jax.jit(jax.jacfwd(residual)),
    }

    def counted(kind, x):
        calls[kind] += 1
        return np.asarray(compiled[kind](x))

    eps = float(np.finfo(float).eps)
    tolerances = {"ftol": eps, "xtol": eps, "gtol": eps}
    if method != "lm":
        tolerances = {"ftol": None, "xtol": eps, "gtol": None}
    alone = optimize.least_squares(
        partial(counted, "residuals"),
        np.asarray(start),
        jac=partial(counted, "jacobians"),
        method=method,
        **tolerances,
    )
    runs = adaptors.scipy(method).run(problem, [0], 500, 0.0)
    assert work(runs) == calls
    # Theirs is half of the sum of squares.
    np.testing.assert_allclose(runs.final_value[0], 2 * alone.cost, rtol=1e-12)
    np.testing.assert_allclose(runs.params[0], alone.x, rtol=1e-8)
    stopped = adaptors.scipy(method).run(problem, [0, 1], 500, 1e-6)
    judged_truly(stopped, problem, 1e-6)
    assert np.all(stopped.status == Status.CONVERGED)
    assert stopped.steps[0] <= runs.steps[0]
    assert adaptors.scipy(method).run(problem, [0], 2, 0.0).steps[0] == 2


def test_a_success_that_scipy_claims_far_away_is_none():
    problem = problems.rosenbrock(2)
    start = np.asarray(problem.start(0))
    claimed = optimize.minimize(
        jax.jit(problem.loss), start, jac=jax.jit(jax.grad(problem.loss)), tol=1e6
    )
    assert claimed.success
    runs = adaptors.scipy("BFGS", gtol=1e6).run(problem, [0], 100, 1e-6)
    assert runs.status[0] == Status.STALLED
    assert runs.grad_norm[runs.steps[0], 0] > 1e-3


def test_a_solver_that_raises_at_a_hessian_ends_its_lane_alone():
    def hessian(x):
        return jnp.where(x[0] > 0, jnp.nan, 1.0) * jnp.diag(2.0 + 12 * x**2)

    def init(key):
        return jnp.where(jax.random.bernoulli(key), 1.0, -1.0) * jnp.ones(2)

    def loss(x):
        return jnp.sum(x**2 + x**4)

    problem = Problem(name="hole", loss=loss, init=init, hessian=hessian)
    signs = [float(problem.start(seed)[0]) for seed in range(6)]
    assert {-1.0, 1.0} == set(signs)
    with pytest.raises(ValueError, match="inf"):
        optimize.minimize(
            loss,
            np.ones(2),
            jac=jax.grad(loss),
            hess=lambda x: np.asarray(hessian(x)),
            method="trust-exact",
        )
    runs = adaptors.scipy("trust-exact").run(problem, list(range(6)), 50, 1e-6)
    failed = runs.status == Status.NONFINITE
    assert np.all(failed[np.array(signs) > 0])
    assert np.all(runs.status[np.array(signs) < 0] != Status.RUNNING)


@pytest.mark.parametrize(
    ("loss", "status", "steps"),
    [
        (lambda x: jnp.sum(jnp.log(-(x**2))), Status.NONFINITE, 0),
        (lambda x: jnp.sum(x) * 0.0, Status.CONVERGED, 0),
        (lambda x: -jnp.sum(x**4), Status.UNBOUNDED, None),
        (lambda x: jnp.sum(jnp.cosh(x)), Status.MAX_STEPS, 2),
    ],
)
def test_other_ends_have_their_names(loss, status, steps):
    runs = adaptors.scipy("L-BFGS-B").run(a_problem(loss), [0], 2 if steps else 50, 0.0)
    assert runs.status[0] == status
    assert steps is None or runs.steps[0] == steps


def test_trees_of_parameters_come_back_in_the_order_of_ravel_pytree():
    runs = adaptors.scipy("BFGS").run(problems.five_points(), [0], 100, 1e-9)
    np.testing.assert_allclose(runs.params[0], [2.2, 0.6], atol=1e-8)  # b, then m


def test_problems_in_float32_are_evaluated_and_judged_in_float32():
    problem = problems.rosenbrock(2).astype(jnp.float32)
    runs = adaptors.scipy("trust-exact").run(problem, [0, 1], 100, 1e-3)
    assert runs.value.dtype == runs.params.dtype == np.float32
    judged_truly(runs, problem, 1e-3)
    assert np.all(runs.status == Status.CONVERGED)


def test_dense_hessians_can_be_passed_to_methods_that_multiply():
    entry = adaptors.scipy("trust-ncg", dense=True)
    runs = entry.run(a_problem(), [0], 100, 1e-8)
    assert set(work(runs)) == {"gradients", "hessians"}
    assert entry.digest != adaptors.scipy("trust-ncg").digest


def test_a_digest_tells_solvers_and_options_apart():
    entries = [
        adaptors.scipy("L-BFGS-B"),
        adaptors.scipy("L-BFGS-B", maxcor=5),
        adaptors.scipy("L-BFGS-B", maxcor=20),
        adaptors.scipy("BFGS"),
        adaptors.sklearn("lbfgs"),
        adaptors.sklearn("lbfgs", every=True),
    ]
    assert len({entry.digest for entry in entries}) == len(entries)
    assert adaptors.scipy("l-bfgs-b", maxcor=5).digest == entries[1].digest


@pytest.mark.parametrize(
    ("method", "options", "error", "said"),
    [
        ("Nelder", {}, ValueError, "'L-BFGS-B'.*'trust-exact'.*'lm'"),
        ("BFGS", {"maxcor": 5}, ValueError, "refuses maxcor=5"),
        ("BFGS", {"c1": 2.0}, ValueError, "refuses c1=2.0"),
        ("BFGS", {"maxiter": 5}, ValueError, "`maxiter` is not for BFGS"),
        ("trf", {"loss": "huber"}, ValueError, "would change the loss"),
        ("lm", {"gtol": 1e-20}, ValueError, "refuses gtol=1e-20"),
        ("CG", {"norm": [1]}, TypeError, "`norm` must be a plain value"),
        ("BFGS", {"dense": True}, ValueError, "`dense` is for Newton-CG"),
    ],
)
def test_what_scipy_can_not_do_is_refused_at_once(method, options, error, said):
    with pytest.raises(error, match=said):
        adaptors.scipy(method, **options)


def test_a_problem_that_a_solver_can_not_run_on_is_told_why():
    tall = a_problem(residual=lambda x: x[:2])
    entry = adaptors.scipy("lm")
    assert "2 for 3" in entry.supports(tall)
    assert "has no `residual`" in entry.supports(a_problem())
    assert adaptors.scipy("trf").supports(tall) == ""
    with pytest.raises(ValueError, match="has no `residual`"):
        entry.run(a_problem(), [0], 10, 1e-6)
    batches = problems.breast_cancer().in_batches(32)
    for one in (adaptors.scipy("BFGS"), entry, adaptors.sklearn("lbfgs")):
        assert "draws a batch" in one.supports(batches)


@pytest.mark.parametrize("make", [adaptors.scipy, adaptors.sklearn])
def test_a_package_that_is_missing_is_named_with_its_remedy(make, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'jaxcalc\[adaptors\]'"):
        make("lbfgs")


def test_runs_stand_in_a_comparison_beside_others():
    run = adaptors.scipy("BFGS").run(problems.breast_cancer(), [0, 1], 40, 1e-4)
    comparison = Comparison(runs=(run,), protocol={}, environment={})
    table = comparison.table()
    assert table.num_rows == int(np.sum(run.steps + 1))
    assert np.all(run.gradient_equivalents[0] == 1)
    assert np.all(run.metrics["accuracy"] > 0.9)


# scikit-learn


@pytest.mark.parametrize(
    "solver",
    ["lbfgs", "newton-cg", pytest.param("newton-cholesky", marks=pytest.mark.slow)],
)
def test_scikit_learn_minimizes_the_same_loss(solver):
    problem = problems.breast_cancer(ridge=1e-2)
    entry = adaptors.sklearn(solver, every=solver == "newton-cg")
    assert entry.supports(problem) == ""
    runs = entry.run(problem, [0, 1], 200, 1e-7)
    judged_truly(runs, problem, 1e-7)
    assert np.all(runs.status == Status.CONVERGED)
    best = adaptors.scipy("trust-exact").run(problem, [0], 100, 1e-10)
    np.testing.assert_allclose(runs.final_value, best.final_value[0], rtol=1e-10)
    np.testing.assert_allclose(runs.params[0], best.params[0], atol=1e-5)
    start = [ravel_pytree(problem.start(seed))[0] for seed in (0, 1)]
    values = [problem.loss(problem.start(seed), *problem.args) for seed in (0, 1)]
    np.testing.assert_allclose(runs.value[0], values)
    assert len(start[0]) == runs.params.shape[1]
    between = runs.value[1 : runs.steps[0], 0]
    assert np.all(np.isnan(between)) != (solver == "newton-cg")


def test_scikit_learn_evaluates_a_hessian_for_each_newton_step():
    problem = problems.breast_cancer()
    runs = adaptors.sklearn("newton-cholesky").run(problem, [0], 50, 1e-6)
    steps = runs.steps[0]
    np.testing.assert_array_equal(
        runs.work["hessians"][: steps + 1, 0], np.arange(steps + 1)
    )
    cg = adaptors.sklearn("newton-cg").run(problem, [0], 50, 1e-6)
    assert work(cg)["hvps"] >= cg.steps[0]
    assert np.all(np.diff(cg.value[: cg.steps[0] + 1, 0]) < 0)


@pytest.mark.slow
@pytest.mark.parametrize("ridge", [1e-3, 1e-1])
def test_scikit_learn_fits_softmax_with_a_penalty_on_everything(ridge):
    problem = problems.digits_softmax(ridge=ridge)
    best = adaptors.scipy("trust-ncg").run(problem, [0], 100, 1e-9).final_value[0]
    for solver in ("lbfgs", "newton-cg"):
        entry = adaptors.sklearn(solver, every=False)
        runs = entry.run(problem, [0], 300, 1e-7)
        np.testing.assert_allclose(runs.final_value[0], best, rtol=1e-9)
        judged_truly(runs, problem, 1e-7)


def test_scikit_learn_says_what_it_can_not_fit():
    entry = adaptors.sklearn("newton-cholesky")
    assert "another loss" in entry.supports(problems.rosenbrock(2))
    X, y, ridge = problems.breast_cancer().args
    lonely = problems.breast_cancer()
    lonely = Problem(
        name="lonely",
        loss=lonely.loss,
        init=lonely.init,
        args=(X, jnp.ones_like(y), ridge),
    )
    assert "1 classes" in entry.supports(lonely)
    with pytest.raises(ValueError, match="another loss"):
        entry.run(problems.rosenbrock(2), [0], 10, 1e-6)
    with pytest.raises(ValueError, match="'newton-cholesky'"):
        adaptors.sklearn("liblinear")


# optimistix


@pytest.fixture(scope="module")
def optx():
    return importlib.import_module("optimistix")


def free_of_args(loss):
    def function(y, args):
        return loss(y)

    return function


def test_optimistix_goes_where_it_goes_alone(optx):
    solver = optx.BFGS(rtol=1e-7, atol=1e-7)
    problem = problems.rosenbrock(2)
    alone = optx.minimise(
        free_of_args(problem.loss), solver, problem.start(0), max_steps=500
    )
    runs = adaptors.optimistix(solver).run(problem, [0], 500, 0.0)
    # Its first step looks at the start.
    assert runs.steps[0] == int(alone.stats["num_steps"]) - 1
    np.testing.assert_allclose(runs.params[0], alone.value, rtol=1e-12)
    counted = work(runs)
    assert counted["values"] + counted["gradients"] == alone.stats["num_steps"]
    assert counted["gradients"] == int(alone.state.num_accepted_steps)
    rejected = runs.step_norm[: runs.steps[0], 0] == 0
    assert rejected.sum() == counted["values"]
    stopped = adaptors.optimistix(optx.BFGS).run(problem, [0, 1], 500, 1e-5)
    judged_truly(stopped, problem, 1e-5)
    assert np.all(stopped.status == Status.CONVERGED)
    assert stopped.seconds_per_step > 0


def test_a_success_that_optimistix_claims_far_away_is_none(optx):
    problem = problems.rosenbrock(2)
    solver = optx.GradientDescent(1e-4, rtol=10.0, atol=1e6)
    claimed = optx.minimise(free_of_args(problem.loss), solver, problem.start(0))
    assert claimed.result == optx.RESULTS.successful
    runs = adaptors.optimistix(solver).run(problem, [0], 100, 1e-6)
    assert runs.status[0] == Status.STALLED
    assert work(runs)["gradients"] == runs.steps[0] + 1


@pytest.mark.slow
def test_optimistix_fits_residuals(optx):
    problem = problems.exponential_decay()
    entry = adaptors.optimistix(optx.LevenbergMarquardt)
    runs = entry.run(problem, [0], 200, 1e-7)
    best = adaptors.scipy("lm").run(problem, [0], 200, 1e-9)
    assert runs.status[0] == Status.CONVERGED
    np.testing.assert_allclose(runs.final_value, best.final_value, rtol=1e-10)
    assert work(runs)["residuals"] == runs.steps[0] + 1
    assert work(runs)["jacobians"] <= runs.steps[0] + 1
    assert "has no `residual`" in entry.supports(problems.rosenbrock(2))


@pytest.mark.slow
def test_optimistix_counts_what_optax_evaluates_within_a_step(optx):
    problem = problems.rosenbrock(2)
    entry = adaptors.optimistix(optx.OptaxMinimiser(optax.lbfgs(), 1e-12, 1e-12))
    runs = entry.run(problem, [0], 100, 1e-6)
    calls = []

    def seen(x):
        jax.debug.callback(calls.append, x[0])
        return problem.loss(x)

    # Every evaluation of the loss passes here, within and outside of line searches.
    optimizer, x = optax.lbfgs(), problem.start(0)
    state, value_and_grad = optimizer.init(x), jax.value_and_grad(seen)
    for _ in range(runs.steps[0]):
        value, grad = value_and_grad(x)
        updates, state = optimizer.update(
            grad, state, x, value=value, grad=grad, value_fn=seen
        )
        x = optax.apply_updates(x, updates)
    jax.effects_barrier()
    assert work(runs) == {"gradients": len(calls) + 1}
    nelder = adaptors.optimistix(optx.NelderMead).run(problem, [0], 300, 1e-4)
    assert set(work(nelder)) == {"values"}
    judged_truly(nelder, problem, 1e-4)


def test_optimistix_refuses_what_it_can_not_compare(optx):
    lineax = importlib.import_module("lineax")
    with pytest.raises(TypeError, match="must be a minimiser"):
        adaptors.optimistix(optx.Newton(rtol=1e-6, atol=1e-6))
    with pytest.raises(TypeError, match="must be a minimiser"):
        adaptors.optimistix("BFGS")
    iterative = optx.GaussNewton(1e-6, 1e-6, linear_solver=lineax.CG(1e-6, 1e-6))
    with pytest.raises(ValueError, match="by CG"):
        adaptors.optimistix(iterative)
    with pytest.raises(ValueError, match="twice"):
        adaptors.optimistix(optx.OptaxMinimiser(newton(), 1e-6, 1e-6))
    slow, fast = (
        adaptors.optimistix(optx.OptaxMinimiser(optax.sgd(rate), 1e-6, 1e-6))
        for rate in (0.1, 0.2)
    )
    assert slow.digest != fast.digest
