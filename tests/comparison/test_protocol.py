"""The rules of a comparison, on tables made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc.comparison import arguments, compare, protocol
from jaxcalc.comparison.costs import evaluation_costs
from jaxcalc.comparison.results import Runs
from jaxcalc.minimization import Status, Work
from jaxcalc.problems import Problem

C, M, X, U = Status.CONVERGED, Status.MAX_STEPS, Status.NONFINITE, Status.UNBOUNDED


def tuned(*lanes):
    """Runs from (rate, status, steps, last value), all beginning at 10."""
    rates, status, steps, last = map(np.asarray, zip(*lanes, strict=True))
    value = np.full((12, len(lanes)), np.nan)
    value[0] = 10.0
    value[steps, np.arange(len(lanes))] = last
    return Runs(
        problem="p",
        optimizer="o",
        phase="tuning",
        rates=rates,
        seeds=np.arange(len(lanes)),
        status=status,
        steps=steps,
        value=value,
        grad_norm=value,
        step_norm=value,
        work={},
        cost={},
        path=None,
        params=value.T,
        settings={"learning_rate": rates},
    )


@pytest.mark.parametrize(
    ("best", "lanes"),
    [
        # The fewest steps, where all converge.
        (0.1, [(0.01, C, 9, 0.0), (0.1, C, 3, 0.0), (1.0, C, 5, 0.0)]),
        # The lowest end, where none converges.
        (0.1, [(0.01, M, 11, 3.0), (0.1, M, 11, 1.0), (1.0, M, 11, 2.0)]),
        # A run that ends non-finite weighs more than any speed.
        (
            0.01,
            [(0.01, M, 11, 9.0), (0.01, M, 11, 9.0), (1.0, C, 1, 0.0), (1.0, X, 2, 0)],
        ),
        # So does one that ends above its start.
        (0.01, [(0.01, M, 11, 9.0), (1.0, M, 11, 11.0)]),
        # A NaN in a run that says otherwise is no success.
        (0.01, [(0.01, M, 11, 9.0), (1.0, M, 11, np.nan)]),
        # Where all diverge, those with the fewest failures are compared.
        (0.1, [(0.1, M, 11, 2.0), (0.1, X, 1, np.inf), (1.0, X, 1, 0), (1.0, X, 1, 0)]),
        # The median run: one slow run of three does not decide.
        (
            1.0,
            [(0.1, C, 5, 0.0)] * 3 + [(1.0, C, 2, 0), (1.0, C, 3, 0), (1.0, M, 11, 1)],
        ),
        # A median run that does not converge loses to one that does.
        (
            0.1,
            [(0.1, C, 9, 0.5)] * 3 + [(1.0, C, 1, 0), (1.0, M, 11, 0), (1.0, M, 11, 0)],
        ),
        # The smallest of those that do equally well.
        (0.01, [(1.0, C, 3, 0.0), (0.01, C, 3, 0.0), (0.1, C, 3, 0.0)]),
        # Falling without bound is as low as it gets; beside a plain run it is no NaN.
        (1.0, [(0.1, M, 11, 1.0), (1.0, U, 3, -np.inf)]),
        (1.0, [(0.1, X, 1, 0), (0.1, X, 1, 0), (1.0, U, 3, -np.inf), (1.0, X, 1, 0)]),
    ],
)
def test_the_rule_chooses(best, lanes):
    assert protocol.best_trial(tuned(*lanes)) == {"learning_rate": best}


def test_the_chosen_rate_is_the_best_of_the_tuning_runs(compared):
    for problem in compared.problems:
        for name in ("adam", "sgd"):
            tuning, evaluation = compared.select(problem, name)
            best = protocol.best_trial(tuning)["learning_rate"]
            assert set(evaluation.rates) == {best}


@pytest.mark.usefixtures("unchecked")
def test_default_rates_and_seeds():
    assert len(protocol.DEFAULT_RATES) == 12
    close(np.diff(np.log10(protocol.DEFAULT_RATES)), 0.5)
    assert arguments.checked_seeds("seeds", 3, 0) == (0, 1, 2)
    assert arguments.checked_seeds("seeds", np.int64(2), 5) == (5, 6)
    assert arguments.checked_seeds("seeds", range(4, 6), 0) == (4, 5)


def test_every_optimizer_has_the_same_budget():
    rates = {"a": [0.3, 0.1], "b": (1.0, 2.0)}
    optimizers = {"a": optax.sgd, "b": optax.adam, "c": optax.lbfgs()}

    def planned(rates):
        trials = protocol.planned_trials(rates, None, optimizers)
        return {n: [trial["learning_rate"] for trial in t] for n, t in trials.items()}

    assert planned(rates) == {"a": [0.1, 0.3], "b": [1.0, 2.0]}
    assert planned(iter([0.1, 0.2])) == {"a": [0.1, 0.2], "b": [0.1, 0.2]}


def a_problem(**fields):
    made = {"name": "p", "loss": lambda x: jnp.sum(x**2), "init": lambda _: jnp.ones(2)}
    return Problem(**{**made, **fields})


SGD = {"sgd": optax.sgd}
TWO = {"sgd": optax.sgd, "adam": optax.adam}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("error", "says", "wrong"),
    [
        (TypeError, "`problems` must be several", {"problems": None}),
        (TypeError, r"`problems`.*problems\.get", {"problems": "beale"}),
        (ValueError, "`problems` is empty", {"problems": []}),
        (ValueError, "`problems` holds 'p' twice", {"problems": [a_problem()] * 2}),
        (
            TypeError,
            r"p\.init.*must be floating",
            {"problems": a_problem(init=lambda _: jnp.arange(2))},
        ),
        (
            ValueError,
            r"p\.init.*holds no numbers",
            {"problems": a_problem(init=lambda _: {})},
        ),
        (
            TypeError,
            r"`loss` must return a scalar, got shape \(2,\)",
            {"problems": a_problem(loss=lambda x: x)},
        ),
        (
            TypeError,
            "`loss` must return a scalar.*auxiliary",
            {"problems": a_problem(loss=lambda x: (jnp.sum(x), x))},
        ),
        (
            TypeError,
            "shape",
            {"problems": a_problem(loss=lambda x, A: A @ x, args=(np.ones((3, 3)),))},
        ),
        (TypeError, "`optimizers` must map names", {"optimizers": [optax.sgd]}),
        (ValueError, "`optimizers` is empty", {"optimizers": {}}),
        (TypeError, "name must be a string, got 3", {"optimizers": {3: optax.sgd}}),
        (TypeError, "name must be a string, got ' '", {"optimizers": {" ": optax.sgd}}),
        (TypeError, r"`optimizers\['a'\]` must", {"optimizers": {"a": 0.1}}),
        (
            TypeError,
            r"`optimizers\['a'\]` must",
            {"optimizers": {"a": lambda rate: 3}},  # noqa: ARG005
        ),
        (TypeError, "`rates` must be several", {"rates": 0.1}),
        (TypeError, "`rates` must be a real number", {"rates": ["fast"]}),
        (ValueError, "`rates` is empty for sgd", {"rates": []}),
        (ValueError, "`rates` must be finite and positive", {"rates": [-0.1]}),
        (ValueError, "`rates` must be finite and positive", {"rates": [0.0]}),
        (ValueError, "`rates` must be finite and positive", {"rates": [np.nan]}),
        (ValueError, "`rates of sgd` holds 0.1 twice", {"rates": [0.1, 0.1]}),
        (ValueError, "unknown.*'sdg'; there are 'sgd'", {"rates": {"sdg": [0.1]}}),
        (ValueError, "`rates` has no entry for sgd", {"rates": {}}),
        (
            ValueError,
            "sgd has 1, adam has 2",
            {"optimizers": TWO, "rates": {"sgd": [0.1], "adam": [0.1, 0.2]}},
        ),
        (TypeError, "`seeds` must be several", {"seeds": 2.5}),
        (TypeError, "`seeds` must be an integer", {"seeds": True}),
        (TypeError, "`seeds` must be an integer", {"seeds": [0.5]}),
        (ValueError, "`seeds` must be at least 1", {"seeds": 0}),
        (ValueError, "`seeds` must be at least 0", {"seeds": [-1]}),
        (ValueError, "`seeds` is empty", {"seeds": []}),
        (ValueError, "`seeds` holds 1 twice", {"seeds": [1, 1]}),
        (ValueError, r"share \[1\]", {"seeds": 2, "tuning_seeds": [1, 2]}),
        (ValueError, "`max_steps` must be at least 1", {"max_steps": 0}),
        (TypeError, "`max_steps` must be an integer", {"max_steps": 1.5}),
        (ValueError, "`tol` must be finite", {"tol": -1.0}),
        (ValueError, "`tol` must be finite", {"tol": np.nan}),
    ],
)
def test_bad_input_is_named(error, says, wrong):
    given = {"problems": a_problem(), "optimizers": SGD, **wrong}
    with pytest.raises(error, match=says):
        compare(given.pop("problems"), given.pop("optimizers"), **given)


@pytest.fixture(scope="module")
def quadratic():
    def loss(x, A):
        return x @ A @ x / 2

    def init(key):
        return jax.random.normal(key, (6,))

    A = np.diag(np.arange(1.0, 7.0))
    return Problem(name="quadratic", loss=loss, init=init, args=(A,))


def test_costs_follow_the_operations_of_a_quadratic(quadratic):
    # A value takes two matrix products, one with a vector and one of vectors; the
    # gradient two products with the matrix more. The Hessian is at most six gradients,
    # and its factorization 6³/3 operations.
    costs = evaluation_costs(quadratic, set(Work._fields))
    assert set(costs) == set(Work._fields)
    assert costs["gradients"] == 1
    assert 0.2 < costs["values"] < 0.7
    assert 1 < costs["hessians"] < 4 * 6
    assert all(cost > 0 for cost in costs.values())


def test_a_hessian_in_closed_form_costs_less(quadratic):
    import dataclasses

    own = dataclasses.replace(quadratic, hessian=lambda x, A: A + 0 * x)
    plain = evaluation_costs(quadratic, {"hessians"})["hessians"]
    assert 0 < evaluation_costs(own, {"hessians"})["hessians"] < plain


def test_costs_fall_back_where_nothing_is_counted():
    constant = a_problem(loss=lambda _: jnp.zeros(()))
    costs = evaluation_costs(constant, set(Work._fields))
    assert all(np.isfinite(cost) and cost > 0 for cost in costs.values())
