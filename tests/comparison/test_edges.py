"""Dtypes, arguments and seeds at the edge of what `compare` takes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc.comparison import compare
from jaxcalc.comparison.stopping import Stop, Stopped
from jaxcalc.problems import Problem


def parabola(x, scale):
    return scale * jnp.sum(x**2)


def ones(key):
    del key
    return jnp.ones(2)


def narrow_start(key):
    return jax.random.normal(key, (3,), jnp.bfloat16)


def test_half_done_runs_of_bfloat16_are_taken_up(tmp_path, monkeypatch):
    problem = Problem(
        name="narrow", loss=parabola, init=narrow_start, args=(jnp.bfloat16(0.5),)
    )
    settings = {"seeds": 1, "max_steps": 300, "tol": 0.0}
    whole = compare(problem, {"sgd": optax.sgd(0.02)}, **settings)
    asked = []

    def in_the_middle(self):
        asked.append(self)
        if len(asked) == 3:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Stop, "check", in_the_middle)
        part = compare(problem, {"sgd": optax.sgd(0.02)}, **settings, store=tmp_path)
    assert part.unfinished
    again = compare(problem, {"sgd": optax.sgd(0.02)}, **settings, store=tmp_path)
    for name in ("value", "params"):
        one, other = getattr(again.runs[0], name), getattr(whole.runs[0], name)
        assert one.dtype == other.dtype == jnp.bfloat16
        np.testing.assert_array_equal(one.astype(float), other.astype(float))


def test_data_may_be_a_number_and_seeds_an_array():
    problem = Problem(name="number", loss=parabola, init=ones, args=(0.5,))
    (runs,) = compare(
        problem, {"sgd": optax.sgd(1.0)}, seeds=np.arange(2), max_steps=2
    ).runs
    np.testing.assert_array_equal(runs.value[:, 0], [1.0, 0.0, np.nan])
    assert runs.seeds.tolist() == [0, 1]
    with pytest.raises(ValueError, match="2\\*\\*32"):
        compare(problem, {"sgd": optax.sgd(1.0)}, seeds=[2**32], max_steps=2)


def test_what_was_compiled_is_paid_for_once():
    problem = Problem(name="paid", loss=lambda x: jnp.sum(jnp.cosh(x)), init=ones)
    first, second = (
        compare(problem, {"sgd": optax.sgd(0.1)}, seeds=1, max_steps=3).runs[0]
        for _ in range(2)
    )
    assert first.compile_seconds > 0
    assert second.compile_seconds == second.trace_seconds == 0
    assert first.recompiled == second.recompiled == 0


def test_falling_without_end_is_ranked_without_a_warning():
    problem = Problem(name="abyss", loss=lambda x: jnp.sum(x) * 1e30, init=ones)
    (tuning, _) = compare(
        problem, {"sgd": optax.sgd}, rates=[1.0, 2.0], seeds=2, max_steps=3
    ).runs
    assert tuning.status.max() > 0


def test_what_an_optimizer_raises_says_which_one_it_was():
    def update(updates, state, params=None):
        del params
        return updates + jnp.ones(3), state

    broken = optax.GradientTransformation(lambda _: (), update)
    problem = Problem(name="flat", loss=lambda x: jnp.sum(x**2), init=ones)
    with pytest.raises(TypeError, match="incompatible shapes") as raised:
        compare(problem, {"fine": optax.sgd(0.1), "broken": broken}, max_steps=2)
    assert raised.value.__notes__[-1] == (
        "`compare` was at the optimizer 'broken' on 'flat'."
    )
