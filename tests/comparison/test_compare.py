"""A comparison's runs are those that `minimize` would make one by one."""

import importlib.metadata
import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close
from comparison.conftest import RATES, SETTINGS, optimizers

from jaxcalc.comparison import compare
from jaxcalc.minimization import Status, minimize
from jaxcalc.optimizers import newton
from jaxcalc.problems import Problem


def raveled(params):
    return jax.flatten_util.ravel_pytree(params)[0]


def alone(problem, optimizer, seed, **options):
    return minimize(
        problem.loss,
        problem.start(seed),
        optimizer,
        args=problem.args,
        max_steps=SETTINGS["max_steps"],
        **options,
    )


@pytest.mark.parametrize(
    "name",
    ["adam", *(pytest.param(n, marks=pytest.mark.slow) for n in ("sgd", "newton"))],
)
def test_every_lane_is_the_run_of_its_rate_and_seed(compared, bowl, name):
    make = optimizers()[name]
    for runs in compared.select("bowl", name):
        for lane in (0, -1):
            rate = runs.rates[lane]
            optimizer = make if name == "newton" else make(rate)
            solution = alone(bowl, optimizer, int(runs.seeds[lane]))
            assert runs.status[lane] == solution.status
            assert runs.steps[lane] == solution.steps
            close(runs.value[:, lane], solution.trace.value)
            close(runs.grad_norm[:, lane], solution.trace.grad_norm)
            close(runs.step_norm[:, lane], solution.trace.step_norm)
            close(runs.params[lane], raveled(solution.params))
            for kind, counts in runs.work.items():
                wanted = getattr(solution.trace.work, kind)
                np.testing.assert_array_equal(counts[:, lane], wanted)


def test_lbfgs_is_tuned_and_run_like_any_other(valley):
    (tuned, chosen) = compare(
        valley,
        {"lbfgs": optax.lbfgs},
        rates=(0.5, 1.0),
        seeds=1,
        tuning_seeds=1,
        max_steps=30,
    ).runs
    solution = alone(valley, optax.lbfgs(0.5), 1)
    close(tuned.value[:, 0], solution.trace.value)
    np.testing.assert_array_equal(
        tuned.work["gradients"][:, 0], solution.trace.work.gradients
    )
    assert chosen.rates[0] in {0.5, 1.0}


def test_points_are_kept_where_they_can_be_drawn(compared):
    for runs in compared.select("valley"):
        last = runs.path[runs.steps, np.arange(len(runs.steps))]
        np.testing.assert_array_equal(last, runs.params)
        value = jax.vmap(jax.vmap(lambda x: (1 - x[0]) ** 2))(runs.path)
        assert (np.isnan(value) == np.isnan(runs.value)).all()
    assert all(runs.path is None for runs in compared.select("bowl"))


def test_every_rate_is_tuned_on_its_own_seeds_and_one_is_run_on_others(compared):
    for name in ("adam", "sgd"):
        tuning, evaluation = compared.select("bowl", name)
        assert (tuning.phase, evaluation.phase) == ("tuning", "evaluation")
        lanes = sorted(zip(tuning.rates, tuning.seeds, strict=True))
        assert lanes == [(rate, seed) for rate in RATES for seed in (2, 3, 4)]
        assert evaluation.seeds.tolist() == [0, 1]
        assert len(set(evaluation.rates)) == 1


def test_what_has_no_rate_takes_part_untuned(compared):
    (runs,) = compared.select("bowl", "newton")
    assert runs.phase == "evaluation"
    assert np.isnan(runs.rates).all()
    assert (runs.status == Status.CONVERGED).all()


def test_a_seed_gives_every_optimizer_the_same_start(compared, bowl):
    firsts = [r.value[0] for r in compared.select("bowl", phase="evaluation")]
    for first in firsts:
        close(first, [bowl.loss(bowl.start(seed), *bowl.args) for seed in (0, 1)])


def test_divergence_is_a_status_and_stops_nobody(compared):
    tuning = compared.select("valley", "sgd", "tuning")[0]
    fast = tuning.rates == RATES[-1]
    assert tuning.diverged[fast].any()
    assert set(tuning.status[fast]) <= {Status.NONFINITE, Status.MAX_STEPS}
    assert not tuning.diverged[tuning.rates == RATES[0]].any()


def test_32_bit_problems_run_in_32_bits(valley):
    narrow = valley.astype(np.float32)
    comparison = compare(narrow, {"sgd": optax.sgd(0.05)}, seeds=2, max_steps=10)
    (runs,) = comparison.runs
    assert runs.value.dtype == runs.params.dtype == runs.path.dtype == "float32"
    solution = alone(valley, optax.sgd(0.05), 0)
    close(runs.value[:, 0], solution.trace.value[:11].astype(np.float32))


def test_a_second_comparison_compiles_nothing(valley, caplog):
    def again(name):
        problem = Problem(name=name, loss=valley.loss, init=valley.init)
        settings = {**SETTINGS, "rates": (0.01, 0.1), "max_steps": 5}
        with jax.log_compiles(), caplog.at_level(logging.WARNING):
            caplog.clear()
            return compare(problem, optimizers(), **settings)

    first = again("first")
    assert any("Finished XLA compilation" in message for message in caplog.messages)
    second = again("second")
    assert not any("Finished XLA compilation" in message for message in caplog.messages)
    for a, b in zip(first.runs, second.runs, strict=True):
        np.testing.assert_array_equal(a.value, b.value)


def test_starts_may_be_numbers_and_random_keys_part_of_the_state():
    problem = Problem(name="number", loss=lambda x: x**2, init=lambda _: 3.0)
    noisy = optax.noisy_sgd(0.1, eta=0.01, key=jax.random.key(1))
    comparison = compare(problem, {"noisy": noisy}, seeds=1, max_steps=5)
    solution = minimize(problem.loss, 3.0, noisy, max_steps=5)
    close(comparison.runs[0].value[:, 0], solution.trace.value)


def test_what_was_run_and_on_what_is_said(compared):
    assert compared.problems == ("bowl", "valley")
    assert compared.optimizers == ("adam", "sgd", "newton")
    assert compared.titles == {"bowl": "bowl", "valley": "Valley"}
    assert compared.minimum == {"valley": 0.0}
    assert compared.sources == {"valley": "made up"}
    assert compared.environment["jax"] == importlib.metadata.version("jax")
    listed = ", ".join(f"{rate:.4g}" for rate in RATES)
    assert compared.protocol["spaces"]["sgd"] == {"learning_rate": f"one of {listed}"}
    assert compared.protocol["trials"] == len(RATES)
    assert compared.unfinished == ()
    assert compared.protocol["tuning_seeds"] == [2, 3, 4]


def test_seconds_are_measured_for_runs_that_are_judged(compared):
    for runs in compared.select(phase="evaluation"):
        assert runs.seconds_per_step >= 0
        assert runs.run_seconds > 0
        assert runs.compile_seconds > 0
    for runs in compared.select(phase="tuning"):
        assert np.isnan(runs.seconds_per_step)


def test_work_is_counted_in_gradients(compared):
    (runs,) = compared.select("bowl", "newton")
    total = runs.work["gradients"] + runs.cost["hessians"] * runs.work["hessians"]
    reached = np.isfinite(runs.value)
    close(runs.gradient_equivalents[reached], total[reached])
    assert np.isnan(runs.gradient_equivalents[~reached]).all()


def test_a_reference_is_the_known_minimum_or_the_lowest_value_seen(compared):
    assert compared.reference("valley") == 0.0
    lowest = min(np.nanmin(runs.value) for runs in compared.select("bowl"))
    assert compared.reference("bowl") == lowest
    assert np.isnan(compared.reference("unheard of"))


def test_comparisons_under_the_same_rules_are_joined(valley):
    settings = {"seeds": 1, "max_steps": 3}
    other = Problem(name="other", loss=valley.loss, init=valley.init)
    one, two = (
        compare(p, {"sgd": optax.sgd(0.1)}, **settings) for p in (valley, other)
    )
    both = one.joined(two)
    assert both.problems == ("valley", "other")
    assert both.protocol["problems"] == ["valley", "other"]
    assert both.minimum == {"valley": 0.0}
    with pytest.raises(ValueError, match="valley"):
        one.joined(one)
    shorter = compare(other, {"sgd": optax.sgd(0.1)}, seeds=1, max_steps=2)
    with pytest.raises(ValueError, match="max_steps"):
        one.joined(shorter)


def test_a_progress_bar_is_shown_when_asked_for(valley, capfd):
    settings = {"seeds": 1, "max_steps": 3}
    compare(valley, {"sgd": optax.sgd(0.1)}, progress=False, **settings)
    assert capfd.readouterr().err == ""
    compare(valley, {"sgd": optax.sgd(0.1)}, progress=True, **settings)
    assert "valley · sgd · evaluation" in capfd.readouterr().err


def test_a_hessian_of_the_problem_is_what_newton_uses():
    def hessian(x, scale):
        return 2 * scale * jnp.eye(2)

    problem = Problem(
        name="own",
        loss=lambda x, scale: scale * jnp.sum(x**2),
        init=lambda key: jax.random.normal(key, (2,)),
        args=(jnp.asarray(3.0),),
        hessian=hessian,
    )
    comparison = compare(problem, {"newton": newton()}, seeds=1, max_steps=5)
    assert comparison.runs[0].steps[0] == 1
