"""Every way in which a run can end, reached on purpose."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc.minimization import Status, minimize
from jaxcalc.optimizers import newton


def parabola(x):
    return x**2


def ended(solution):
    return Status(int(solution.status))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_converged_at_the_default_tolerance_of_the_dtype(dtype):
    solution = minimize(parabola, dtype(5.0), optax.sgd(0.1))
    bound = np.sqrt(np.finfo(dtype).eps)
    assert ended(solution) == Status.CONVERGED
    assert solution.grad_norm <= bound < solution.trace.grad_norm[solution.steps - 1]
    assert solution.converged


def test_max_steps_when_the_steps_run_out():
    solution = minimize(parabola, 5.0, optax.sgd(0.1), max_steps=7)
    assert ended(solution) == Status.MAX_STEPS
    assert solution.steps == 7


def test_converged_goes_before_max_steps():
    solution = minimize(parabola, 5.0, newton(), max_steps=1)
    assert ended(solution) == Status.CONVERGED
    assert solution.steps == 1


@pytest.mark.slow  # for the default compiler options: others round to a zero gradient
def test_stalled_where_32_bits_can_not_reach_the_tolerance():
    def loss(x):  # the gradient rounds to multiples of 1e3 times 1.2e-7
        return jnp.sum((1e3 * x - 333.3) ** 2) / 2e3

    for optimizer in (optax.sgd(3e-4), newton()):
        solution = minimize(
            loss, np.float32(3.0), optimizer, tol=1e-9, max_steps=20_000
        )
        assert ended(solution) == Status.STALLED
        close(solution.params, np.float32(0.3333))


def test_stalled_where_the_rate_is_too_small_to_move():
    solution = minimize(parabola, 5.0, optax.sgd(1e-18), max_steps=1000)
    assert ended(solution) == Status.STALLED
    assert solution.steps < 50
    close(solution.params, 5.0)


def test_a_pause_is_no_stall():
    # The schedule takes no step for five, then goes on.
    rates = optax.piecewise_constant_schedule(0.0, {})
    waits = optax.join_schedules([rates, optax.constant_schedule(0.1)], [5])
    solution = minimize(parabola, 5.0, optax.sgd(waits))
    assert ended(solution) == Status.CONVERGED


def test_nonfinite_when_a_run_diverges():
    solution = minimize(lambda x: x**4, 5.0, optax.sgd(0.1))
    assert ended(solution) == Status.NONFINITE
    last = int(solution.steps)
    assert np.isfinite(solution.trace.value[:last]).all()
    assert not np.isfinite(solution.trace.value[last])
    assert np.isnan(solution.trace.step_norm[last:]).all()


@pytest.mark.parametrize("optimizer", [optax.sgd(0.1), newton()], ids=["sgd", "newton"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_at_the_very_start(optimizer, bad):
    solution = jax.jit(lambda x: minimize(parabola, x, optimizer))(bad)
    assert ended(solution) == Status.NONFINITE
    assert solution.steps == 0


def test_nonfinite_when_only_the_gradient_is():
    solution = minimize(jnp.sqrt, 0.0, optax.sgd(0.1))
    assert ended(solution) == Status.NONFINITE
    assert solution.value == 0


def test_one_nan_among_many_parameters_is_seen():
    start = {"a": jnp.array([1.0, jnp.nan]), "b": jnp.ones(3)}
    solution = jax.jit(lambda p: minimize(optax.tree.norm, p, optax.sgd(0.1)))(start)
    assert ended(solution) == Status.NONFINITE
    with pytest.raises(ValueError, match=r"`params\['a'\]` must be finite, got 1 of 2"):
        minimize(optax.tree.norm, start, optax.sgd(0.1))


@pytest.mark.parametrize(
    "dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64]
)
@pytest.mark.parametrize("optimizer", [optax.sgd(0.1), newton()], ids=["sgd", "newton"])
def test_unbounded_where_the_loss_falls_for_ever(dtype, optimizer):
    solution = minimize(lambda x: -(x**2), dtype(1.0), optimizer)
    assert ended(solution) == Status.UNBOUNDED
    assert solution.value < 0


def test_a_low_minimum_is_not_unbounded():
    def loss(x):
        return x**2 - 1e20

    assert ended(minimize(loss, 5.0, optax.sgd(0.1))) == Status.CONVERGED


def test_newton_says_so_when_no_step_is_acceptable():
    # The gradient points the wrong way: whatever is tried, the loss rises.
    @jax.custom_vjp
    def loss(x):
        return jnp.sum(x**2)

    loss.defvjp(lambda x: (loss(x), x), lambda x, g: (-2 * g * x,))
    solution = minimize(
        loss, jnp.ones(2), newton(), hessian_fn=lambda _: 2 * jnp.eye(2)
    )
    assert ended(solution) == Status.STALLED
    assert solution.steps <= 1
    close(solution.params, np.ones(2))


def test_every_status_has_a_sentence_and_a_remedy():
    for status in Status:
        assert status.describe.endswith(".")
        assert status.remedy.endswith(".")
    solutions = jax.vmap(lambda x: minimize(parabola, x, optax.sgd(0.1)))(
        jnp.array([0.0, 1.0, jnp.nan])
    )
    assert solutions.describe() == "3 runs: 2 CONVERGED, 1 NONFINITE"
