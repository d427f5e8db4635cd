"""Search spaces: every optimizer gets as many trials, and the best one is run."""

import numpy as np
import optax
import pytest
from closeness import close
from comparison.conftest import valley_loss, valley_start

from jaxcalc.comparison import choice, compare, log_uniform, search, uniform
from jaxcalc.comparison.protocol import best_trial, planned_trials
from jaxcalc.minimization import minimize
from jaxcalc.problems import Problem


def test_one_parameter_is_divided_evenly_with_its_ends():
    trials = search(optax.sgd, learning_rate=log_uniform(1e-3, 10.0)).trials(5)
    close([t["learning_rate"] for t in trials], [1e-3, 1e-2, 0.1, 1.0, 10.0])


def test_several_parameters_fill_their_box():
    space = search(
        optax.sgd, learning_rate=log_uniform(1e-4, 1.0), momentum=uniform(-1.0, 1.0)
    )
    rates, momenta = np.array([list(t.values()) for t in space.trials(64)]).T
    # A low-discrepancy set: each quarter of each axis holds a quarter of the points.
    assert np.histogram(np.log10(rates), 4, (-4, 0))[0].tolist() == [16] * 4
    counts = np.histogram(momenta, 4, (-1, 1))[0]
    assert np.ptp(counts) <= 2
    assert abs(np.corrcoef(np.log(rates), momenta)[0, 1]) < 0.1
    assert space.trials(64) == space.trials(64)


def test_a_choice_takes_each_value_as_often():
    space = search(optax.adam, learning_rate=choice(0.1, 0.2, 0.3, 0.4))
    values = [trial["learning_rate"] for trial in space.trials(8)]
    assert {v: values.count(v) for v in set(values)} == {0.1: 2, 0.2: 2, 0.3: 2, 0.4: 2}


def test_everybody_has_as_many_trials():
    optimizers = {
        "adam": optax.adam,
        "momentum": search(optax.sgd, learning_rate=log_uniform(0.1, 1.0)),
        "lbfgs": optax.lbfgs(),
    }
    for rates, trials, count in ((None, None, 12), (None, 5, 5), ([0.1, 0.2], None, 2)):
        planned = planned_trials(rates, trials, optimizers)
        assert {name: len(t) for name, t in planned.items()} == {
            "adam": count,
            "momentum": count,
        }
    with pytest.raises(ValueError, match="adam has 2, `trials` is 3"):
        planned_trials([0.1, 0.2], 3, optimizers)


def test_the_best_setting_is_run_as_minimize_would():
    valley = Problem(name="valley", loss=valley_loss, init=valley_start)
    space = search(
        optax.sgd, learning_rate=log_uniform(1e-3, 0.1), momentum=uniform(0.0, 0.9)
    )
    tuning, evaluation = compare(
        valley, {"heavy ball": space}, trials=4, seeds=1, tuning_seeds=2, max_steps=20
    ).runs
    assert {len(values) for values in tuning.settings.values()} == {8}
    best = best_trial(tuning)
    assert {name: v[0] for name, v in evaluation.settings.items()} == best
    assert best in space.trials(4)
    close(evaluation.rates, best["learning_rate"])
    alone = minimize(valley_loss, valley.start(0), optax.sgd(**best), max_steps=20)
    close(evaluation.value[:, 0], alone.trace.value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("error", "says", "wrong"),
    [
        (ValueError, "`low` must be below `high`", lambda: log_uniform(1.0, 0.1)),
        (
            ValueError,
            "`low` must be finite and pos",
            lambda: log_uniform(0.0, 1.0),
        ),
        (ValueError, "`high` must be finite", lambda: uniform(0.0, np.inf)),
        (ValueError, "at least one number", choice),
        (ValueError, "`search` needs a range", lambda: search(optax.sgd)),
        (TypeError, "`rate` must be a range", lambda: search(optax.sgd, rate=0.1)),
        (TypeError, "`make` must be a function", lambda: search(3, a=choice(1.0))),
    ],
)
def test_a_wrong_space_is_named(error, says, wrong):
    with pytest.raises(error, match=says):
        wrong()
