"""Cubic regularization with a dense Hessian: its subproblem, and what it solves."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc import Status, minimize
from jaxcalc.optimizers import cubic
from jaxcalc.optimizers._subproblem import solve_cubic

OPTIMIZER = cubic()
solve = jax.jit(solve_cubic)
CASES = {
    "convex, little weight": ([1.0, 2.0, 3.0], [0.1, -0.2, 0.3], 1e-3),
    "convex, much weight": ([1.0, 2.0, 3.0], [5.0, -2.0, 3.0], 1e3),
    "indefinite": ([-1.0, 0.5, 2.0], [0.3, 1.0, -1.0], 2.0),
    "hard case": ([-1.0, 0.5, 2.0], [0.0, 0.1, -0.1], 0.5),
    "nearly hard": ([-1.0, 0.5, 2.0], [1e-13, 0.1, -0.1], 0.5),
    "saddle point": ([-1.0, 0.5, 2.0], [0.0, 0.0, 0.0], 0.7),
    "no curvature": ([0.0, 0.0, 0.0], [1.0, 2.0, -2.0], 0.5),
    "singular": ([0.0, 1.0, 2.0], [1.0, 0.1, 0.1], 1.0),
    "wide range": ([1e-8, 1.0, 1e8], [1.0, 1.0, 1.0], 1e-2),
    "minimum": ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 1.0),
}


def model(values, slopes, weight, c):
    """The cubic model at one or many points."""
    penalty = weight / 3 * np.linalg.norm(c, axis=-1) ** 3
    return c @ slopes + 0.5 * c**2 @ values + penalty


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_no_point_is_lower_than_the_step(case):
    values, slopes, weight = np.asarray(case[0]), np.asarray(case[1]), case[2]
    step = solve(values, slopes, weight)
    c = np.asarray(step.coefficients)
    lowest = model(values, slopes, weight, c)
    close(step.decrease, -lowest)
    # The slow way: clouds of all sizes around the origin and around the step.
    rng = np.random.default_rng(0)
    size = max(np.linalg.norm(c), 1e-3)
    cloud = rng.normal(size=(40_000, 3)) * size * 10 ** rng.uniform(-3, 1, (40_000, 1))
    for center in (np.zeros(3), c):
        tried = model(values, slopes, weight, center + cloud)
        assert lowest <= tried.min() + 1e-7 * abs(lowest)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_multiplier_is_the_weight_times_the_length(case):
    values, slopes, weight = np.asarray(case[0]), np.asarray(case[1]), case[2]
    c = np.asarray(solve(values, slopes, weight).coefficients)
    multiplier = weight * np.linalg.norm(c)
    scale = max(1.0, np.abs(slopes).max())
    close((values + multiplier) * c / scale, -slopes / scale, atol=1e-6)
    assert multiplier >= -values[0] - 1e-6


def test_the_weight_grows_where_the_model_was_wrong():
    def loss(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    optimizer = cubic(weight=1e-6)
    x = jnp.array([-1.2, 1.0])
    state = optimizer.init(x)

    @jax.jit
    def update(grad: Any, state: Any, x: Any, value: Any) -> Any:
        return optimizer.update(grad, state, x, value=value, value_fn=loss)

    value, grad = jax.value_and_grad(loss)(x)
    rejected = 0
    for _ in range(20):
        before = state
        updates, state = update(grad, state, x, value)
        if float(jnp.max(jnp.abs(updates))) == 0:
            rejected += 1
            assert state.bound > before.bound
        else:
            x = optax.apply_updates(x, updates)
            assert float(loss(x)) < float(value)
            value, grad = state.value, state.grad
    assert rejected > 0
    assert state.work.hessians == 21 - rejected  # and the start


def test_it_leaves_a_saddle_point():
    solution = minimize(
        lambda p: p[0] ** 2 - p[1] ** 2 + p[1] ** 4 / 4, jnp.zeros(2), OPTIMIZER
    )
    assert solution.status == Status.CONVERGED
    close(jnp.abs(solution.params), [0, np.sqrt(2)])


def test_a_wall_of_nan_is_respected():
    solution = minimize(lambda x: x - jnp.log(x), 1e-3, cubic(weight=1e-9))
    assert solution.status == Status.CONVERGED
    close(solution.params, 1.0)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="weight"):
        cubic(weight=0.0)
    with pytest.raises(ValueError, match=r"cubic needs .*value_fn=loss"):
        OPTIMIZER.update(jnp.ones(2), OPTIMIZER.init(jnp.ones(2)), jnp.ones(2))
