"""No optimizer of the package claims a success that isn't one."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optimizers.registry import GENERAL

from jaxcalc import Status, minimize


def ended(solution):
    return Status(int(solution.status))


def valleys(x):
    """Minima of -1 at (0, ±√2), a saddle point of 0 between them."""
    return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4


every = pytest.mark.parametrize("optimizer", GENERAL.values(), ids=GENERAL)
pytestmark = pytest.mark.slow


@every
@pytest.mark.parametrize("start", [(0.0, 0.0), (1.0, 0.0), (1.0, 1e-12)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_saddle_point_is_left(optimizer, start, dtype):
    solution = minimize(valleys, jnp.asarray(start, dtype), optimizer, max_steps=200)
    assert ended(solution) == Status.CONVERGED
    np.testing.assert_allclose(solution.value, -1, atol=1e-5)


@every
def test_a_maximum_is_left(optimizer):
    solution = minimize(lambda x: jnp.sum(jnp.cos(x)), jnp.zeros(2), optimizer)
    assert ended(solution) == Status.CONVERGED
    np.testing.assert_allclose(solution.value, -2, atol=1e-6)


@every
def test_a_saddle_in_many_dimensions_is_left(optimizer):
    # One direction of forty falls, and the start has no part along it.
    curvature = jnp.linspace(1.0, 30.0, 40).at[17].set(-0.5)

    def loss(x):
        return 0.5 * curvature @ x**2 + 0.25 * x[17] ** 4

    start = jnp.ones(40).at[17].set(0.0)
    solution = minimize(loss, start, optimizer, max_steps=300)
    assert ended(solution) == Status.CONVERGED
    np.testing.assert_allclose(solution.value, -(0.5**2) / 4, rtol=1e-6)


@every
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_what_falls_without_bound_is_no_success(optimizer, dtype):
    start = jnp.asarray([1.0, 0.5], dtype)
    solution = minimize(lambda x: -jnp.sum(x**2), start, optimizer)
    assert ended(solution) in (Status.UNBOUNDED, Status.NONFINITE)
    solution = minimize(lambda x: jnp.sum(x), start, optimizer)
    assert ended(solution) in (Status.UNBOUNDED, Status.MAX_STEPS, Status.NONFINITE)


@every
def test_an_infimum_at_infinity_is_approached_and_nothing_else_is_said(optimizer):
    solution = minimize(lambda x: jnp.sum(jnp.exp(-x)), jnp.zeros(2), optimizer)
    if ended(solution) == Status.CONVERGED:  # which says that the gradient is small
        assert solution.grad_norm <= 1.5e-8
        assert solution.value <= 1e-7


@every
def test_a_wall_of_nan_is_respected(optimizer):
    solution = minimize(lambda x: jnp.sum(x - jnp.log(x)), jnp.full(2, 20.0), optimizer)
    assert ended(solution) == Status.CONVERGED
    np.testing.assert_allclose(solution.params, 1, rtol=1e-6)


@every
def test_a_kink_is_no_minimum_of_vanishing_gradient(optimizer):
    solution = minimize(
        lambda x: jnp.sum(jnp.abs(x)), jnp.array([1.0, -0.3]), optimizer, max_steps=200
    )
    assert ended(solution) != Status.CONVERGED


@every
def test_a_jump_in_the_gradient_is_no_false_minimum(optimizer):
    # The slope is -1 on the left and 3 on the right: the minimum is at the kink.
    def loss(x):
        return jnp.sum(jnp.where(x < 1, 1 - x, 3 * (x - 1)) + 0.05 * (x - 1) ** 2)

    solution = minimize(loss, jnp.array([0.2, 5.0]), optimizer, max_steps=200)
    if ended(solution) == Status.CONVERGED:
        np.testing.assert_allclose(solution.params, 1, atol=1e-6)


@every
def test_success_is_what_the_gradient_says(optimizer):
    def loss(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    solution = minimize(loss, jnp.array([-1.2, 1.0, 0.3, 2.0]), optimizer, tol=1e-9)
    assert ended(solution) == Status.CONVERGED
    grad = 2 * np.asarray(optax.tree.zeros_like(solution.params))
    x = np.asarray(solution.params)
    grad[:-1] += -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    grad[1:] += 200 * (x[1:] - x[:-1] ** 2)
    assert np.abs(grad).max() <= 1e-8
