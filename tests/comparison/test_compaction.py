"""Lanes that have ended stop costing, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc.comparison import compaction, compare, runner
from jaxcalc.comparison.compaction import going_on, next_gathering
from jaxcalc.problems import Problem


def test_ranks_close_ever_more_seldom():
    assert [next_gathering(r) for r in (0, 63, 64, 200, 256)] == [64, 64, 128, 256, 512]


def test_only_those_that_go_on_are_advanced():
    steps = np.array([5, 64, 70, 3, 64, 9, 63, 64])
    # Before the first gathering nobody knows who will end.
    assert going_on(steps, 63, 1000, 1e12) is None
    # Four have reached point 64, and half of eight is four.
    np.testing.assert_array_equal(going_on(steps, 64, 1000, 1e12), [1, 2, 4, 7])
    # Not for next to nothing, not at the end of a run, not where the cost is unknown.
    assert going_on(steps, 64, 1000, 1.0) is None
    assert going_on(steps, 64, 64, 1e7) is None
    assert going_on(steps, 64, 1000, float("nan")) is None


def test_widths_are_halves_of_halves():
    steps = np.array([200, 0, 0, 0, 200, 0, 200, 0])
    chosen = going_on(steps, 128, 1000, 1e12)
    # Three go on in a rank of four: one that has ended stands in.
    assert len(chosen) == 4
    assert {0, 4, 6} < set(chosen.tolist())


def test_who_goes_on_depends_on_gatherings_only():
    # A run that is taken up again amid a chunk knows more than at its beginning.
    before = np.array([64, 64, 64, 64, 10, 10, 10, 10])
    later = np.array([90, 70, 64, 100, 10, 10, 10, 10])
    for steps in (before, later):
        np.testing.assert_array_equal(going_on(steps, 100, 999, 1e12), [0, 1, 2, 3])


def rippled(x, a):
    return jnp.sum((x - 1) ** 2) / 2 + 1e-3 * jnp.sum(jnp.cos(a * x))


@pytest.fixture(scope="module")
def slow_and_fast():
    """Rates at which runs end after some 20 steps, and some at which none does."""
    problem = Problem(
        name="rippled",
        loss=rippled,
        init=lambda key: jax.random.normal(key, (3,)),
        args=(jnp.asarray(2.0),),
    )
    rates = [0.5, 0.6, 0.7, 1e-3]
    return problem, {"rates": rates, "seeds": 1, "tuning_seeds": 2, "max_steps": 300}


def test_the_numbers_stay_the_same(slow_and_fast, monkeypatch):
    problem, settings = slow_and_fast
    monkeypatch.setattr(compaction, "_WORTH_OPERATIONS", np.inf)
    plain = compare(problem, {"sgd": optax.sgd}, **settings)
    widths = []

    def watched(steps, *rest):
        chosen = going_on(steps, *rest)
        widths.append(len(steps) if chosen is None else len(chosen))
        return chosen

    monkeypatch.setattr(compaction, "_WORTH_OPERATIONS", 1.0)
    monkeypatch.setattr(runner, "going_on", watched)
    narrow = compare(problem, {"sgd": optax.sgd}, **settings)
    assert widths[0] == 8
    assert widths[-1] == 2
    for a, b in zip(plain.runs, narrow.runs, strict=True):
        for name in ("status", "steps", "value", "grad_norm", "step_norm", "params"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
