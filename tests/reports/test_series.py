"""Medians, quartiles and targets against hand-computed ones."""

import numpy as np
import pytest
from closeness import close
from reports.synthetic_comparisons import comparison, decay, runs

from jaxcalc.minimization import Status
from jaxcalc.reports import series

ENDED, FAILED = Status.CONVERGED, Status.NONFINITE


@pytest.mark.parametrize("q", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
def test_quantiles_are_numpys_where_all_is_finite(n, q):
    values = np.random.default_rng(n).normal(size=(5, n))
    close(series.quantile(values, q), np.quantile(values, q, axis=-1), rtol=1e-12)


def test_a_quantile_that_leans_on_an_infinity_is_infinite():
    values = np.array([1.0, 2.0, np.inf, np.inf])
    assert series.quantile(values, 0.25) == 1.75
    assert series.quantile(values, 0.5) == np.inf
    assert series.quantile(np.full(4, np.inf), 0.5) == np.inf


def test_lanes_that_converged_hold_their_last_value():
    run = runs([[8.0, 4.0, 2.0, 1.0], [8.0, 0.5], [8.0, 6.0, 3.0]])
    curve = series.curve(run, "steps", "value", 0.0)
    close(curve.x, [0, 1, 2, 3])
    close(curve.middle, [8, 4, 2, 1])
    close(curve.low, [8, 2.25, 1.25, 0.75])
    close(curve.high, [8, 5, 2.5, 2])


def test_lanes_that_diverged_count_as_infinite_from_their_end_on():
    run = runs(
        [[8.0, 4.0, 2.0, 1.0], [8.0, 9.0, 30.0], [8.0, np.inf]],
        status=[ENDED, FAILED, FAILED],
    )
    curve = series.curve(run, "steps", "value", 0.0)
    close(curve.middle, [8, 9, np.inf, np.inf])


def test_a_run_that_ends_above_its_start_counts_as_infinite_too():
    run = runs([[1.0, 2.0, 3.0]], status=[Status.MAX_STEPS])
    close(series.curve(run, "steps", "value", 0.0).middle, [1, 2, np.inf])


def test_work_is_a_step_function_on_the_union_of_the_lanes_grids():
    run = runs([[8.0, 4.0, 2.0], [8.0, 1.0]], gradients=[[1, 3, 5], [1, 4]])
    curve = series.curve(run, "work", "value", 0.0)
    close(curve.x, [1, 3, 4, 5])
    close(curve.middle, [8, 6, 2.5, 1.5])


def test_seconds_are_steps_times_their_measured_time():
    run = runs([[8.0, 4.0, 2.0]], seconds=0.25)
    close(series.curve(run, "seconds", "value", 0.0).x, [0, 0.25, 0.5])
    blind = runs([[8.0, 4.0]], seconds=float("nan"))
    assert series.curve(blind, "seconds", "value", 0.0) is None


def test_gaps_are_measured_from_the_reference():
    run = runs([[8.0, 4.0]])
    close(series.curve(run, "steps", "gap", 3.0).middle, [5, 1])
    close(series.curve(run, "steps", "grad_norm", 3.0).middle, np.sqrt([8, 4]))


def test_thinning_keeps_the_ends_and_every_extreme():
    x = np.arange(50_000.0)
    wave = np.sin(x / 7) + 2
    wave[[777, 31_415]] = [50.0, -50.0]
    full = series.Curve(x, wave - 1, wave, wave + 1)
    thin = series.thinned(full, x / x[-1], bins=100)
    assert thin.x.size <= 800
    assert {0, 777, 31_415, x[-1]} <= set(thin.x)
    assert set(zip(thin.x, thin.middle)) <= set(zip(x, wave))
    for edge in ("low", "middle", "high"):
        for part in np.array_split(np.arange(x.size), 10):
            inside = (thin.x >= part[0]) & (thin.x <= part[-1])
            for extreme in (np.min, np.max):
                kept = extreme(getattr(thin, edge)[inside])
                close(kept, extreme(getattr(full, edge)[part]), rtol=0.02)


def test_short_curves_are_not_thinned():
    x = np.arange(200.0)
    full = series.Curve(x, x, x, x)
    assert series.thinned(full, x / x[-1]) is full


def test_targets_are_reached_at_the_first_point_below_them():
    run = runs(
        [decay(8.0, 0.5, 6), decay(8.0, 0.25, 6), [8.0, 7.0], [8.0, 0.01, 99.0]],
        status=[ENDED, ENDED, Status.MAX_STEPS, FAILED],
    )
    # An eighth of 8 is 1: after three halvings, and after two quarterings (0.5).
    spent = series.first_reach(run, "steps", 0.0, 1 / 8, 0.0)
    close(spent, [3, 2, np.inf, np.inf])
    close(series.first_reach(run, "work", 0.0, 1 / 8, 0.0), [4, 3, np.inf, np.inf])
    # What lies below rounding counts as reached, however small the start was.
    close(series.first_reach(run, "steps", 0.0, 1 / 8, 4.0)[:2], [1, 1])


def test_a_start_that_is_not_finite_reaches_nothing():
    run = runs([[np.inf, np.inf]], status=[FAILED])
    assert np.isinf(series.first_reach(run, "steps", 0.0, 1e-6, 0.0)).all()


def test_rounding_follows_the_reference_and_the_start():
    eps = np.finfo(float).eps
    small = comparison(runs([[8.0, 4.0]] * 3))
    close(series.rounding(small, "bowl"), 8 * eps)
    large = comparison(runs([[1008.0, 1004.0]] * 3), minimum={"bowl": 1000.0})
    close(series.rounding(large, "bowl"), 1000 * eps)
    flat = comparison(runs([[0.0]]))
    assert series.rounding(flat, "bowl") == eps


def test_rates_collect_the_tuning_seeds_of_each_rate():
    tuning = runs(
        [[8.0, 4.0], [8.0, 2.0], [8.0, 1.0], [8.0, 99.0], [8.0, 0.5], [8.0, 99.0]],
        phase="tuning",
        rates=[0.1, 0.1, 1.0, 1.0, 1.0, 0.1],
        status=[ENDED, ENDED, ENDED, FAILED, ENDED, FAILED],
    )
    chosen = runs([[8.0, 0.1]], rates=[1.0])
    found = series.rates(comparison(tuning, chosen), "bowl", "sgd")
    close(found.tried, [0.1, 1.0])
    close(found.middle, [4.0, 1.0])
    close(found.low, [3.0, 0.75])
    close(found.high, [np.inf, np.inf])
    close(found.failed, [1 / 3, 1 / 3])
    assert found.chosen == 1.0
    assert series.rates(comparison(chosen), "bowl", "adam") is None
