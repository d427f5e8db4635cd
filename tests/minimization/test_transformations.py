"""`minimize` is a function like any other under jit and vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc.minimization import Status, minimize
from jaxcalc.optimizers import newton

STARTS = np.array([[-1.2, 1.0], [0.5, 0.5], [2.0, -1.0], [1.0, 1.0]])
OPTIMIZERS = {
    "sgd": optax.sgd(1e-3),
    "newton": newton(),
    "search": optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20, store_grad=True)
    ),
}


def banana(x, scale=100.0):
    return scale * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize(
    "name", [pytest.param("search", marks=pytest.mark.slow), "sgd", "newton"]
)
def test_each_lane_of_a_batch_is_its_own_run(name):
    def solve(x):
        return minimize(banana, x, OPTIMIZERS[name], max_steps=40)

    batch = jax.jit(jax.vmap(solve))(STARTS)
    for lane, start in enumerate(STARTS):
        alone = solve(start)
        assert batch.status[lane] == alone.status
        assert batch.steps[lane] == alone.steps
        close(batch.trace.value[lane], alone.trace.value)
        close(batch.trace.step_norm[lane], alone.trace.step_norm)
        close(batch.params[lane], alone.params)
        for counted, wanted in zip(batch.work, alone.work, strict=True):
            assert counted[lane] == wanted
    assert len(set(batch.steps.tolist())) > 1 or name == "sgd"


@pytest.mark.slow
def test_jit_and_vmap_in_any_order_give_the_same():
    def solve(x):
        return minimize(banana, x, optax.sgd(1e-3), max_steps=20)

    eager = jax.vmap(solve)(STARTS)
    for other in (jax.vmap(jax.jit(solve))(STARTS), jax.jit(jax.vmap(solve))(STARTS)):
        jax.tree.map(close, other, eager)


def test_data_may_be_batched_and_traced():
    def solve(target):
        return minimize(
            lambda x, t: jnp.sum((x - t) ** 2), jnp.zeros(2), newton(), args=(target,)
        ).params

    targets = np.arange(6.0).reshape(3, 2)
    close(jax.vmap(solve)(targets), targets)
    close(jax.jit(solve)(targets[0]), targets[0])


@pytest.mark.slow
def test_a_loss_may_close_over_what_is_traced_outside():
    def solve(target, rate):
        return minimize(
            lambda x: jnp.sum((x - target) ** 2), jnp.zeros(2), optax.sgd(rate)
        ).params

    targets = np.arange(6.0).reshape(3, 2)
    with jax.checking_leaks():
        close(jax.jit(solve)(targets[0], 0.3), targets[0])
        found = jax.vmap(solve)(targets, jnp.array([0.2, 0.3, 0.4]))
    close(found, targets, atol=1e-7)


def test_tolerances_may_be_batched():
    def steps(tol):
        return minimize(jnp.square, 1.0, optax.sgd(0.25), tol=tol).steps

    # The gradient halves: 2, 1, 1/2, 1/4, ...
    counted = jax.vmap(steps)(jnp.array([2.0, 1.0, 0.5, 0.1]))
    np.testing.assert_array_equal(counted, [0, 1, 2, 5])


def test_lanes_that_fail_leave_the_others_alone():
    def solve(x):
        return minimize(lambda x: x**4 / 4 - x**2, x, optax.sgd(0.1))

    solutions = jax.vmap(solve)(jnp.array([1.0, jnp.nan, 50.0, -1.0]))
    ended = [Status(int(status)).name for status in solutions.status]
    assert ended == ["CONVERGED", "NONFINITE", "NONFINITE", "CONVERGED"]
    close(solutions.params[jnp.array([0, 3])], np.sqrt(2) * np.array([1, -1]))


def test_a_second_call_traces_nothing():
    def once(x):
        return minimize(banana, x, newton(), args=(10.0,), max_steps=30)

    once(STARTS[0])
    with jax.no_tracing():
        once(STARTS[1])
