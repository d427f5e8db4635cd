"""A time budget, a share of the work, Ctrl-C: what is there is kept, the rest named."""

import os
import signal

import numpy as np
import optax
import pytest
from comparison.equality import assert_equal

from jaxcalc.comparison import compare, contest
from jaxcalc.comparison.stopping import Stop, Stopped
from jaxcalc.optimizers import newton

OPTIMIZERS = {"sgd": optax.sgd, "newton": newton()}
SETTINGS = {"rates": (0.01, 0.1), "seeds": 1, "tuning_seeds": 1, "max_steps": 10}
EVERYTHING = {("sgd", "tuning"), ("sgd", "evaluation"), ("newton", "evaluation")}


@pytest.fixture(autouse=True)
def interruptible():
    """Ctrl-C as in a terminal; a shell's background jobs are deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_time_that_is_up_leaves_the_rest_unfinished(valley):
    comparison = compare(valley, OPTIMIZERS, **SETTINGS, time_budget=1e-6)
    assert comparison.runs == ()
    assert {place[1:] for place in comparison.unfinished} == EVERYTHING


def test_what_was_finished_in_time_is_returned(valley, monkeypatch):
    asked = []

    def slow(self, *_):
        asked.append(self)
        if len(asked) > 2:
            raise Stopped

    monkeypatch.setattr(Stop, "check", slow)
    comparison = compare(valley, OPTIMIZERS, **SETTINGS)
    assert [(r.optimizer, r.phase) for r in comparison.runs] == [("sgd", "tuning")]
    assert {place[1:] for place in comparison.unfinished} == EVERYTHING - {
        ("sgd", "tuning")
    }


def test_shares_come_together_in_the_store(valley, bowl, tmp_path):
    problems = [valley, bowl]
    whole = compare(problems, OPTIMIZERS, **SETTINGS)
    parts = [
        compare(problems, OPTIMIZERS, **SETTINGS, store=tmp_path, share=(k, 3))
        for k in range(3)
    ]
    places = [{(r.problem, r.optimizer, r.phase) for r in p.runs} for p in parts]
    assert sum(map(len, places)) == len(whole.runs)
    for own, part in zip(places, parts, strict=True):
        assert own.isdisjoint(part.unfinished)
        assert len(own) + len(part.unfinished) == len(whole.runs)
    merged = compare(problems, OPTIMIZERS, **SETTINGS, store=tmp_path)
    assert merged.unfinished == ()
    assert_equal(merged, whole, timings=False)


def test_ctrl_c_ends_between_two_chunks(valley, tmp_path, monkeypatch):
    whole = compare(valley, OPTIMIZERS, **SETTINGS)
    pressed = []
    run_grid = contest.run_grid

    def press(grid, *rest):
        if grid.place[1:] == ("sgd", "evaluation") and not pressed:
            pressed.append(grid)
            os.kill(os.getpid(), signal.SIGINT)
        return run_grid(grid, *rest)

    monkeypatch.setattr(contest, "run_grid", press)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        compare(valley, OPTIMIZERS, **SETTINGS, store=tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    assert len(list(tmp_path.glob("runs/*/*.parquet"))) == 1
    again = compare(valley, OPTIMIZERS, **SETTINGS, store=tmp_path)
    assert_equal(again, whole, timings=False)


def press_twice():
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()


def test_a_second_ctrl_c_ends_at_once():
    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_a_callers_own_handler_is_left_alone():
    def own(*_):
        heard.append(True)

    heard = []
    before = signal.signal(signal.SIGINT, own)
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert heard
            assert not stop.asked
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        ("must be a pair", {"share": 3}),
        ("index 2 of 2 shares: the last is 1", {"share": (2, 2)}),
        ("`share` must be", {"share": (-1, 2)}),
        ("needs a `store`", {"share": (0, 2), "store": None}),
        ("`time_budget`", {"time_budget": 0}),
        ("`trials`", {"trials": 0, "rates": None}),
    ],
)
def test_what_is_wrong_is_named(valley, tmp_path, says, wrong):
    with pytest.raises(ValueError, match=says):
        compare(valley, OPTIMIZERS, **{**SETTINGS, "store": tmp_path, **wrong})


def test_steps_are_timed_in_turns(valley):
    runs = compare(valley, {"newton": newton()}, seeds=1, max_steps=10).runs[0]
    assert 0 <= runs.seconds_per_step_low <= runs.seconds_per_step
    assert runs.seconds_per_step <= runs.seconds_per_step_high < 0.01
    assert np.isfinite(runs.peak_bytes)
    assert runs.gradient_flops > 0
