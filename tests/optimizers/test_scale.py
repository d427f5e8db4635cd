"""Neither the size of a loss nor that of its parameters changes what is found."""

import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc import Status, minimize, optimizers

# In float64 the digits of the loss are the same at any power of two.
DENSE = {"trust_region": optimizers.trust_region(), "cubic": optimizers.cubic()}


def banana(x, size, offset):
    return size * (100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + offset)


@pytest.mark.parametrize("optimizer", DENSE.values(), ids=DENSE)
def test_the_size_of_the_loss_changes_no_step(optimizer):
    steps = set()
    for size in (2.0**-60, 1.0, 2.0**60):
        args = (jnp.asarray(size), jnp.asarray(1.0))
        solution = minimize(banana, jnp.array([-1.2, 1.0]), optimizer, args=args)
        assert solution.status == Status.CONVERGED
        close(solution.params, np.ones(2))
        steps.add(int(solution.steps))
    assert max(steps) - min(steps) <= 3  # the last ones, which the tolerance decides


@pytest.mark.parametrize("optimizer", DENSE.values(), ids=DENSE)
def test_the_sizes_of_the_parameters_change_no_step(optimizer):
    def loss(x, sizes):
        return banana(x * sizes, 1.0, 0.0)

    values = []
    for sizes in (jnp.ones(2), jnp.array([2.0**-20, 2.0**20])):
        start = jnp.array([-1.2, 1.0]) / sizes
        solution = minimize(loss, start, optimizer, args=(sizes,), max_steps=60)
        close(solution.params * sizes, np.ones(2), rtol=1e-6)
        values.append(solution.trace.value[:15])
    close(values[1], values[0])


def test_a_tiny_loss_has_not_converged_where_it_starts():
    args = (jnp.asarray(1e-12), jnp.asarray(0.0))
    start = jnp.array([-1.2, 1.0])
    solution = minimize(banana, start, DENSE["trust_region"], args=args)
    assert solution.steps > 10
    close(solution.params, np.ones(2))


def test_nothing_is_left_to_gain_where_it_would_be_lost_in_rounding():
    # The gradient's own rounding is far above the usual tolerance.
    args = (jnp.asarray(1e15), jnp.asarray(1.0))
    solution = minimize(
        banana, jnp.array([-1.2, 1.0]), DENSE["trust_region"], args=args
    )
    assert solution.status == Status.CONVERGED
    close(solution.params, np.ones(2))


def test_where_a_gain_would_be_lost_in_rounding_but_the_slope_is_large_it_stalls():
    args = (jnp.asarray(1.0, jnp.float32), jnp.asarray(1e6, jnp.float32))
    start = jnp.array([-1.2, 1.0], jnp.float32)
    solution = minimize(banana, start, DENSE["trust_region"], args=args)
    off = float(jnp.max(jnp.abs(solution.params - 1)))
    assert solution.status == Status.STALLED or off < 1e-2
