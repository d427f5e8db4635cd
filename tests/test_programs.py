"""Equal functions share one program; a program never outlives what it was made of."""

import functools
import gc
import types
import weakref
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc import _programs
from jaxcalc.minimization import minimize
from jaxcalc.optimizers import newton, scale_by_newton

SCALE = 1.0
TABLE = {"scale": 1.0}


class Box:
    scale = 1.0

    def times(self, x):
        return self.scale * x


BOX = Box()


class Color(Enum):
    RED = 1


class Pair(NamedTuple):
    a: float
    b: float


@dataclass(frozen=True)
class Record:
    scale: float


def helper(x):
    return SCALE * x


def times(f):
    """What the tests compile: `f`, counted and called."""
    return lambda x: f(x)


def run(f, x=1.0):
    return float(_programs.compiled(times, f)(jnp.asarray(x)))


OPTIMIZERS = {
    "sgd": lambda rate: optax.sgd(rate, momentum=0.9),
    "adam": optax.adam,
    "schedule": lambda rate: optax.sgd(optax.cosine_decay_schedule(rate, 10)),
    "chain": lambda rate: optax.chain(optax.clip(1.0), optax.lion(rate)),
    "lbfgs": optax.lbfgs,
    "injected": lambda rate: optax.inject_hyperparams(optax.adam)(rate),
    "newton": newton,
    "own Hessian": lambda rate: optax.chain(
        scale_by_newton(lambda x: rate * jnp.eye(len(x))), optax.scale(-1.0)
    ),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_made_anew_are_equal_where_their_rates_are(make):
    first, again, other = map(_programs.fingerprint, (make(0.1), make(0.1), make(0.2)))
    assert first == again
    assert hash(first) == hash(again)
    assert first != other


def test_a_rate_that_is_a_jax_array_is_compared_by_identity():
    rate = jnp.asarray(0.1)
    first = optax.sgd(rate)
    assert _programs.fingerprint(first) == _programs.fingerprint(first)
    other = optax.sgd(jnp.asarray(0.1))
    assert _programs.fingerprint(first) != _programs.fingerprint(other)


def test_functions_made_anew_share_a_program():
    def make(scale, power=2):
        array, pair = np.arange(3.0), Pair(1.0, 2.0)

        def inner(x):
            return x**power

        return lambda x: scale * inner(x) + array.sum() + pair.b + np.pi

    def program(f):
        return _programs.compiled(times, f)

    assert program(make(2.0)) is program(make(2.0))
    assert program(make(2.0)) is not program(make(2))
    assert program(make(0.0)) is not program(make(-0.0))
    assert program(make(2.0)) is not program(make(2.0, power=3))
    assert program(functools.partial(pow, 2)) is program(functools.partial(pow, 2))
    assert program(functools.partial(pow, 2)) is not program(functools.partial(pow, 3))


def test_a_second_minimization_in_a_loop_compiles_nothing():
    def once(rate):
        return minimize(lambda x: (x - 1.0) ** 2, 0.0, optax.adam(rate), max_steps=3)

    first = once(0.1).params
    with jax.no_tracing():
        np.testing.assert_array_equal(once(0.1).params, first)
    assert once(0.2).params != first


def with_closure(scale):
    return lambda x: scale * x


def with_default(scale):
    return lambda x, c=scale: c * x


def with_array(scale):
    array = np.array([scale])
    return lambda x: array[0] * x


def with_list(scale):
    held = [scale]
    return lambda x: held[0] * x


def with_dict(scale):
    held = {"scale": scale}
    return lambda x: held["scale"] * x


def with_partial(scale):
    return functools.partial(lambda c, x: c * x, scale)


def with_record(scale):
    record = Record(scale)
    return lambda x: record.scale * x


def with_attribute(scale):
    def f(x):
        return f.scale * x

    f.scale = scale
    return f


def with_object(scale):
    held = types.SimpleNamespace(scale=scale)
    return lambda x: held.scale * x


def with_method(scale):
    box = Box()
    box.scale = scale
    return box.times


def with_module(scale):
    module = types.ModuleType("made_up")
    module.scale = scale
    return lambda x: module.scale * x


def with_local_class(scale):
    class Local:
        value = scale

    return lambda x: Local.value * x


def with_inner_function(scale):
    def inner(x):
        return scale * x

    return lambda x: inner(x)


def with_array_of_jax(scale):
    array = jnp.asarray(scale)
    return lambda x: array * x


MAKERS = [value for name, value in list(globals().items()) if name.startswith("with_")]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_whatever_a_function_sees_is_seen(make):
    assert [run(make(scale)) for scale in (1.0, 3.0, 1.0)] == [1.0, 3.0, 1.0]


def by_global():
    return lambda x: SCALE * x


def by_helper():
    return lambda x: helper(x)


def by_helper_itself():
    return helper


def by_table():
    return lambda x: TABLE["scale"] * x


def by_class():
    return lambda x: Box.scale * x


def by_object():
    return lambda x: BOX.times(x)


READERS = [value for name, value in list(globals().items()) if name.startswith("by_")]


@pytest.mark.parametrize("make", READERS, ids=lambda make: make.__name__)
def test_a_change_of_the_world_is_seen(make, monkeypatch):
    assert run(make()) == 1.0
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    monkeypatch.setitem(TABLE, "scale", 3.0)
    monkeypatch.setattr(Box, "scale", 3.0)
    assert run(make()) == 3.0


def test_an_array_that_was_written_to_is_seen_by_the_same_function():
    data = np.array([1.0])

    def loss(x):
        return jnp.sum((x - data) ** 2)

    close(minimize(loss, jnp.zeros(1), optax.sgd(0.5)).params, [1.0])
    data[0] = 3.0
    close(minimize(loss, jnp.zeros(1), optax.sgd(0.5)).params, [3.0])


def test_a_program_traced_late_sees_the_latest_of_equal_functions():
    def losses(values):
        for value in values:
            yield lambda x: jnp.sum(value * x)

    def total(f, n):
        return float(_programs.compiled(times, f)(jnp.ones(n)))

    # The generator's variable moves on to 2, under the feet of the first function.
    assert [total(f, 1) for f in losses([1.0, 2.0])] == [1.0, 2.0]
    # This one is equal to the first, and has a new shape.
    assert [total(f, 3) for f in losses([1.0])] == [3.0]


def test_a_function_that_sees_itself_has_a_fingerprint():
    def make():
        def factorial(n):
            return 1 if n < 2 else n * factorial(n - 1)

        return factorial

    assert _programs.fingerprint(make()) == _programs.fingerprint(make())
    circle = []
    circle.append(circle)
    assert _programs.fingerprint(circle) == _programs.fingerprint(circle)
    assert _programs.fingerprint(Color.RED) == _programs.fingerprint(Color.RED)
    assert _programs.fingerprint(np.float32(1)) != _programs.fingerprint(np.float64(1))


@pytest.mark.parametrize("make", [with_closure, with_object])
def test_functions_of_an_outer_trace_are_not_kept(make):
    def outer(scale):
        return _programs.compiled(times, make(scale))(jnp.asarray(2.0))

    before = len(_programs._PROGRAMS)
    with jax.checking_leaks():
        assert jax.jit(outer)(3.0) == 6.0
        close(jax.vmap(outer)(jnp.arange(3.0)), [0.0, 2.0, 4.0])
        assert jax.grad(outer)(3.0) == 2.0
    assert len(_programs._PROGRAMS) == before


def test_one_function_with_a_new_tracer_in_it_is_traced_anew():
    held = types.SimpleNamespace()

    def loss(x):
        return (x - held.center) ** 2

    def solve(center):
        held.center = center
        return minimize(loss, 0.0, optax.sgd(0.5), max_steps=3).params

    close(jax.jit(solve)(3.0), 3.0)
    close(jax.vmap(solve)(jnp.arange(3.0)), np.arange(3.0))


def test_rates_may_be_traced():
    def last(rate):
        return minimize(jnp.square, 1.0, optax.sgd(rate), max_steps=1, tol=0.0).params

    with jax.checking_leaks():
        close(jax.jit(last)(0.25), 0.5)
        close(jax.vmap(last)(jnp.array([0.0, 0.25, 0.5])), [1.0, 0.5, 0.0])


def test_memory_is_bounded(monkeypatch):
    programs = {}
    monkeypatch.setattr(_programs, "_PROGRAMS", programs)
    for scale in range(3 * _programs._MOST // 2):
        _programs.compiled(times, with_closure(scale))
    assert len(programs) == _programs._MOST
    first = with_object(1.0)
    gone = weakref.ref(first)
    _programs.compiled(times, first)
    del first
    programs.clear()
    gc.collect()
    assert gone() is None
