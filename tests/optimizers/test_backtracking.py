"""Every accepted step decreases the loss, or the gradient where the loss can't say."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc.minimization import Status, minimize
from jaxcalc.optimizers import newton, scale_by_backtracking

C = 1e-4
EPS = np.finfo(float).eps
DESCENT = optax.chain(optax.scale(-1.0), scale_by_backtracking(C))
STEEP = optax.chain(optax.scale(-100.0), scale_by_backtracking(C))


def random_function(x, key):
    """A random sum of waves in a bowl."""
    w, phase = jax.random.normal(key, (2, 5, 3))
    return jnp.sum(jnp.sin(w @ x + phase[:, 0])) + jnp.sum(x**4) / 100


def search(f, x, step, **options):
    @jax.jit
    def update(x, step):
        transformation = scale_by_backtracking(**options)
        value, grad = jax.value_and_grad(f)(x)
        return transformation.update(
            step, transformation.init(x), x, value=value, grad=grad, value_fn=f
        )

    return update(x, step)


@pytest.mark.parametrize(
    "optimizer",
    [pytest.param(DESCENT, marks=pytest.mark.slow), STEEP],
    ids=["descent", "steep"],
)
@pytest.mark.slow
def test_every_accepted_step_decreases_the_loss_enough(optimizer):
    def solve(seed):
        key = jax.random.key(seed)
        return minimize(
            random_function,
            jax.random.normal(jax.random.fold_in(key, 1), (3,)),
            optimizer,
            args=(key,),
            max_steps=60,
            observe=lambda x, key: (x, jax.grad(random_function)(x, key)),
        )

    solutions = jax.vmap(solve)(jnp.arange(30))
    points, grads = map(np.asarray, solutions.trace.observed)
    values = np.asarray(solutions.trace.value)
    taken = np.arange(60) < np.asarray(solutions.steps)[:, None]
    slopes = np.sum(np.diff(points, axis=1) * grads[:, :-1], -1)
    falls = np.diff(values, axis=1)
    enough = falls <= C * slopes
    # Where the difference has lost its digits the gradient decides.
    level = np.abs(falls) <= EPS ** (2 / 3) * np.abs(values[:, :-1])
    shrunk = np.diff(solutions.trace.grad_norm, axis=1) < 0
    assert taken.sum() > 300
    assert (enough | (level & shrunk))[taken].all()
    assert (enough & ~level)[taken].mean() > 0.5
    assert (slopes[taken] < 0).all()


def test_a_step_that_decreases_enough_is_taken_in_full():
    x = jnp.array([1.0, -2.0])
    updates, state = search(lambda x: jnp.sum(x**2), x, -0.4 * x)
    np.testing.assert_array_equal(updates, -0.4 * x)
    assert state.work.gradients == 1
    close(state.value, 0.36 * 5)
    close(state.grad, 2 * 0.6 * x)
    assert not state.stalled


def test_a_parabola_tells_how_much_shorter():
    # Along -20x the parabola's lowest point is a twentieth of the step, and no scale
    # is shortened to less than a tenth at once: 1, 1/10, then its half at most.
    x = jnp.array([1.0])
    updates, state = search(lambda x: jnp.sum(x**2), x, -20.0 * x)
    close(updates, -1.0)
    assert state.work.gradients == 3


@pytest.mark.parametrize(
    "step", [1.0, 0.0, np.nan, -np.inf], ids=["uphill", "nowhere", "nan", "infinite"]
)
def test_no_step_is_taken_where_none_is_acceptable(step):
    x = jnp.array([1.0])
    updates, state = search(lambda x: jnp.sum(x**2), x, jnp.array([step]))
    close(optax.apply_updates(x, updates), x)
    assert state.stalled
    close(state.value, 1.0)
    close(state.grad, [2.0])


def test_trials_are_bounded():
    # The slope promises a descent that the values never deliver.
    @jax.custom_vjp
    def liar(x):
        return jnp.sum(x**2)

    liar.defvjp(lambda x: (liar(x), x), lambda x, g: (-2 * g * x,))
    x = jnp.array([1.0])
    updates, state = search(liar, x, jnp.array([1.0]), max_trials=7)
    assert state.stalled
    assert state.work.gradients == 7
    close(updates, 0.0)


def test_steps_to_where_the_loss_is_not_finite_are_shortened():
    def loss(x):
        return jnp.sum(x - jnp.log(x))

    updates, state = search(loss, jnp.array([3.0]), jnp.array([-50.0]))
    assert np.isfinite(state.value)
    assert not state.stalled
    assert 0 < 3.0 + updates[0] < 3.0


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e6, 1e10])
def test_a_large_constant_keeps_nobody_from_the_minimum(offset):
    def loss(x, offset):
        return 10 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + offset

    start, options = np.array([-1.2, 1.0]), {"max_steps": 60, "tol": 1e-10}
    solution = minimize(loss, start, newton(), args=(offset,), **options)
    assert Status(int(solution.status)) == Status.CONVERGED
    close(solution.params, np.ones(2))


def test_in_32_bits_the_floor_of_the_gradient_is_reached_too():
    def loss(x):
        return jnp.sum((x - 1.0) ** 4 / 4 + (x - 1.0) ** 2) + 1e4

    solution = minimize(
        loss, np.array([3.0, -2.0], np.float32), newton(), max_steps=60, tol=1e-6
    )
    assert Status(int(solution.status)) == Status.CONVERGED
    close(solution.params, np.ones(2, np.float32))


@pytest.mark.parametrize("decrease", [0.0, -1.0, 0.5, np.nan])
def test_a_fraction_out_of_range_is_refused(decrease):
    with pytest.raises(ValueError, match="`decrease` must be"):
        scale_by_backtracking(decrease)


def test_no_trials_at_all_are_refused():
    with pytest.raises(ValueError, match="`max_trials` must be at least 1"):
        scale_by_backtracking(max_trials=0)
