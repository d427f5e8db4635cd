"""Gauss-Newton: its step, its line search, and losses that are no sum of squares."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc import Status, minimize
from jaxcalc.curvature import gauss_newton_hessian
from jaxcalc.optimizers import gauss_newton

OPTIMIZER = gauss_newton()
SLOW = pytest.mark.slow
RNG = np.random.default_rng(1)
A, Y = RNG.normal(size=(20, 4)), RNG.normal(size=20)


def linear(x, a, y):
    return a @ x - y


def squares(x, a, y):
    return 0.5 * jnp.sum(linear(x, a, y) ** 2)


def rosenbrock(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def of_rosenbrock(x):
    return jnp.sum(rosenbrock(x) ** 2)


@SLOW
@pytest.mark.parametrize("columns", [(0, 1, 2, 3), (0, 1, 0, 3), (0, 0, 0, 0)], ids=str)
def test_one_step_is_the_shortest_solution_of_a_linear_problem(columns):
    a = A[:, columns]
    solution = minimize(
        squares, jnp.zeros(4), OPTIMIZER, args=(a, Y), residual_fn=linear
    )
    assert solution.status == Status.CONVERGED
    assert solution.steps == 1
    close(solution.params, np.linalg.lstsq(a, Y)[0])


@SLOW
def test_one_step_is_the_shortest_solution_of_too_few_equations():
    a, y = A[:3], Y[:3]
    solution = minimize(
        squares, jnp.zeros(4), OPTIMIZER, args=(a, y), residual_fn=linear
    )
    close(solution.params, np.linalg.pinv(a) @ y)


@SLOW
def test_columns_a_million_times_apart_lose_no_digits():
    a = A * np.array([1e-6, 1.0, 1e6, 1e3])
    solution = minimize(
        squares, jnp.zeros(4), OPTIMIZER, args=(a, Y), residual_fn=linear
    )
    assert solution.steps == 1
    close(a @ solution.params, A @ np.linalg.lstsq(A, Y)[0], rtol=1e-9, atol=1e-9)


def test_rejected_steps_are_zero_updates_that_grow_shorter():
    x = jnp.array([3.0])

    def residual(x):
        return jnp.arctan(x)

    def loss(x):
        return jnp.sum(residual(x) ** 2)

    state = OPTIMIZER.init(x)
    update = jax.jit(
        functools.partial(OPTIMIZER.update, value_fn=loss, residual_fn=residual)
    )
    # The full step leads from 3 to -9.5, where the loss is higher.
    updates, state = update(x, state, x, value=loss(x))
    assert float(updates[0]) == 0
    assert 0 < float(state.hold.bound) < 1
    jacobians = int(state.work.jacobians)
    for _ in range(10):
        updates, state = update(x, state, x, value=loss(x))
        if float(updates[0]) != 0:
            break
        assert int(state.work.jacobians) == jacobians
    assert float(loss(x + updates)) < float(loss(x))
    assert float(state.hold.bound) == 1


@SLOW
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_it_solves_rosenbrock(dtype):
    start = jnp.asarray([-1.2, 1.0], dtype)
    solution = minimize(of_rosenbrock, start, OPTIMIZER, residual_fn=rosenbrock)
    assert solution.status == Status.CONVERGED
    close(solution.params, jnp.ones(2, dtype))


@SLOW
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_maximum_where_the_jacobian_vanishes_is_left(dtype):
    solution = minimize(
        lambda x: jnp.sum((x**2 - 1) ** 2),
        jnp.zeros((), dtype),
        OPTIMIZER,
        residual_fn=lambda x: x[None] ** 2 - 1,
    )
    assert solution.status == Status.CONVERGED
    close(jnp.abs(solution.params), jnp.ones((), dtype))


X = jnp.asarray(RNG.normal(size=(30, 3)))
LABELS = jnp.asarray(RNG.integers(0, 3, size=30))
COUNTS = jnp.asarray(RNG.poisson(2.0, size=30), float)


def softmax(logits):
    every = jax.scipy.special.logsumexp(logits, axis=1)
    return jnp.mean(every - logits[jnp.arange(30), LABELS])


def poisson(logits):
    return jnp.mean(jnp.exp(logits) - COUNTS * logits)


def newton_step(loss, params, ridge):
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    gradient = jax.grad(lambda x: loss(unravel(x)))(flat)
    hessian = jax.hessian(lambda x: loss(unravel(x)))(flat)
    return unravel(-np.linalg.pinv(hessian, rcond=ridge) @ gradient)


@SLOW
@pytest.mark.parametrize(
    ("output_loss", "shape"),
    [(poisson, (3,)), (softmax, (3, 3))],
    ids=["poisson", "softmax"],
)
def test_for_linear_models_the_generalized_step_is_newtons(output_loss, shape):
    # Softmax does not feel a number added to all scores: its Hessian is singular.
    def model(w):
        return X @ w

    def loss(w):
        return output_loss(model(w))

    start = jnp.asarray(0.1 * RNG.normal(size=shape))
    hessian_fn = gauss_newton_hessian(model, output_loss)
    run = functools.partial(minimize, loss, start, OPTIMIZER, hessian_fn=hessian_fn)
    step = run(max_steps=1).params - start
    close(step, newton_step(loss, start, 1e-12))
    solution = run()
    assert solution.status == Status.CONVERGED
    close(jax.grad(loss)(solution.params), jnp.zeros(shape))
    assert solution.steps < 12


@SLOW
def test_a_curved_model_of_counts_is_fitted():
    def model(p):
        return jnp.tanh(X @ p["w"]) * p["a"]

    def loss(p):
        return poisson(model(p)) + 0.01 * optax.tree.norm(p, squared=True)

    def penalized(outputs):
        logits, p = outputs
        return poisson(logits) + 0.01 * optax.tree.norm(p, squared=True)

    hessian_fn = gauss_newton_hessian(lambda p: (model(p), p), penalized)
    start = {"w": jnp.full(3, 0.1), "a": jnp.asarray(0.5)}
    solution = minimize(loss, start, OPTIMIZER, hessian_fn=hessian_fn)
    assert solution.status == Status.CONVERGED
    for leaf in jax.tree.leaves(jax.grad(loss)(solution.params)):
        close(leaf, np.zeros(leaf.shape))


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match="hessian_fn"):
        gauss_newton(hessian_fn=np.eye(2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="residual_fn"):
        gauss_newton(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cosine"):
        gauss_newton(cosine=1.0)
    with pytest.raises(ValueError, match="residual_fn"):
        minimize(of_rosenbrock, jnp.zeros(2), OPTIMIZER)
