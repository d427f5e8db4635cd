"""The loop records what a plain optax loop would, step by step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc.minimization import Status, minimize
from jaxcalc.optimizers import newton, scale_by_newton

STEPS = 12
OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.05, momentum=0.9),
    "nesterov": optax.sgd(0.05, momentum=0.9, nesterov=True),
    "rmsprop": optax.rmsprop(0.05),
    "adam": optax.adam(0.3),
    "adamw": optax.adamw(0.3, weight_decay=0.1),
    "lion": optax.lion(0.1),
    "clipped": optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.3)),
    "schedule": optax.sgd(optax.cosine_decay_schedule(0.2, STEPS)),
    "lbfgs": optax.lbfgs(),
    "backtracking": optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20)
    ),
    "stored gradient": optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20, store_grad=True)
    ),
    "newton": newton(),
    "newton with zoom": optax.chain(
        scale_by_newton(), optax.scale(-1.0), optax.scale_by_zoom_linesearch(10)
    ),
}


def wavy(params):
    """Not convex, not quadratic, with parameters in a dictionary."""
    w, b = params["w"], params["b"]
    return jnp.sum(jnp.cosh(w - 1.0)) + b**4 / 4 - b**2 / 2 + 0.3 * b * w[0]


def start(dtype=float):
    return {"w": jnp.asarray([2.5, -1.0], dtype), "b": jnp.asarray(0.4, dtype)}


def largest(tree):
    return max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(tree))


def by_hand(loss, params, optimizer, steps):
    """What a user's own loop over optax's protocol does."""
    optimizer = optax.with_extra_args_support(optimizer)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(
            grad, state, params, value=value, grad=grad, value_fn=loss
        )
        return optax.apply_updates(params, updates), state, value, grad

    values, grad_norms, step_norms = [], [], []
    state = optimizer.init(params)
    for _ in range(steps + 1):
        new, state, value, grad = step(params, state)
        moved = jax.tree.map(lambda a, b: a - b, new, params)
        values.append(float(value))
        grad_norms.append(largest(grad))
        step_norms.append(largest(moved))
        last, params = params, new
    return last, values, grad_norms, [*step_norms[:-1], np.nan]


def test_gradient_descent_on_a_parabola_follows_its_closed_form():
    solution = minimize(lambda x: x**2, 5.0, optax.sgd(0.1), max_steps=20, tol=0.0)
    points = 5 * 0.8 ** np.arange(21)
    close(solution.trace.value, points**2)
    close(solution.trace.grad_norm, 2 * points)
    close(solution.trace.step_norm[:-1], 0.2 * points[:-1])
    close(solution.params, points[20])
    fifth = minimize(lambda x: x**2, 5.0, optax.sgd(0.1), max_steps=5)
    close(fifth.params, 1.6384)


# The protocol is the same for all: a few stand for the rest, which CI runs too.
QUICK = {"adam", "clipped", "backtracking", "newton"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in OPTIMIZERS
    ],
)
def test_every_optimizer_takes_the_steps_of_a_plain_loop(name):
    optimizer = OPTIMIZERS[name]
    solution = minimize(wavy, start(), optimizer, max_steps=STEPS, tol=1e-9)
    assert solution.steps == STEPS or solution.converged
    last, *columns = by_hand(wavy, start(), optimizer, int(solution.steps))
    for trace, column in zip(solution.trace, columns, strict=False):
        close(trace[: len(column)], column)
    jax.tree.map(close, solution.params, last)
    close(solution.value, columns[0][-1])
    close(solution.grad_norm, columns[1][-1])


@pytest.mark.parametrize(
    "name", [pytest.param("adam", marks=pytest.mark.slow), "newton"]
)
def test_32_bit_parameters_stay_so_in_a_64_bit_process(name):
    optimizer = OPTIMIZERS[name]
    solution = minimize(wavy, start(np.float32), optimizer, max_steps=4, tol=0.0)
    wide = minimize(wavy, start(), optimizer, max_steps=4, tol=0.0)
    assert all(leaf.dtype == "float32" for leaf in jax.tree.leaves(solution.params))
    assert solution.value.dtype == solution.trace.step_norm.dtype == "float32"
    close(solution.trace.value, wide.trace.value.astype(np.float32))


@pytest.mark.parametrize("name", ["sgd", "newton"])
def test_parameters_of_mixed_precision_keep_their_dtypes(name):
    mixed = {"w": start(np.float32)["w"], "b": start()["b"]}
    solution = minimize(wavy, mixed, OPTIMIZERS[name], max_steps=200)
    assert solution.params["w"].dtype == "float32"
    assert solution.params["b"].dtype == "float64"
    close(jax.grad(wavy)(solution.params)["w"], jnp.zeros(2, np.float32))


def test_data_of_higher_precision_does_not_change_the_parameters_dtype():
    def loss(w, X):
        return jnp.mean((X @ w - 1.0) ** 2)

    X = np.eye(3)
    for optimizer in (optax.sgd(0.5), newton()):
        solution = minimize(loss, jnp.zeros(3, np.float32), optimizer, args=(X,))
        assert solution.params.dtype == "float32"
        close(solution.params, np.ones(3, np.float32))


@pytest.mark.parametrize(
    "params",
    [
        2.0,
        np.float32(2.0),
        (jnp.ones(2), jnp.ones(())),
        {"a": [jnp.ones((2, 1)), {"b": jnp.ones(3)}], "c": None},
        [np.ones(2), jnp.zeros((0, 3))],
    ],
    ids=["number", "numpy scalar", "tuple", "nested", "an empty leaf"],
)
def test_structure_shapes_and_dtypes_of_parameters_are_kept(params):
    def loss(params):
        return sum(jnp.sum((leaf - 3.0) ** 2) for leaf in jax.tree.leaves(params))

    solution = minimize(loss, params, optax.sgd(0.5))
    assert jax.tree.structure(solution.params) == jax.tree.structure(params)
    for before, after in zip(
        jax.tree.leaves(params), jax.tree.leaves(solution.params), strict=True
    ):
        assert (after.shape, after.dtype) == (np.shape(before), jnp.result_type(before))
        close(after, np.full(np.shape(before), 3.0))


def test_what_was_not_reached_is_nan_and_counted_minus_one():
    solution = minimize(wavy, start(), OPTIMIZERS["newton"], max_steps=30)
    steps, trace = int(solution.steps), solution.trace
    assert solution.status == Status.CONVERGED
    assert 0 < steps < 30
    assert trace.length == steps + 1
    for column in trace[:3]:
        assert column.shape == (31,)
        assert np.isnan(column[steps + 1 :]).all()
    assert np.isfinite(trace.value[: steps + 1]).all()
    assert np.isfinite(trace.step_norm[:steps]).all()
    assert np.isnan(trace.step_norm[steps])
    assert (trace.work.gradients[steps + 1 :] == -1).all()
    assert (np.diff(trace.work.gradients[: steps + 1]) >= 1).all()


@pytest.mark.parametrize(
    "name", ["sgd", pytest.param("newton", marks=pytest.mark.slow)]
)
def test_no_steps_measure_the_start_and_leave_it(name):
    solution = minimize(wavy, start(), OPTIMIZERS[name], max_steps=0)
    assert solution.status == Status.MAX_STEPS
    assert solution.trace.value.shape == (1,)
    assert solution.work.gradients == 1
    jax.tree.map(close, solution.params, start())
    close(solution.value, wavy(start()))
    close(solution.grad_norm, largest(jax.grad(wavy)(start())))


def test_a_start_at_the_minimum_takes_no_step():
    solution = minimize(lambda x: x**2, 0.0, optax.sgd(0.1), max_steps=0, tol=0.0)
    assert solution.status == Status.CONVERGED
    assert solution.steps == 0


def test_a_constant_loss_is_at_its_minimum_everywhere():
    assert minimize(lambda _: 3.0, 1.0, optax.sgd(0.1)).status == Status.CONVERGED


def test_tol_bounds_the_largest_entry_of_the_gradient():
    def loss(x):
        return jnp.sum(x**2) / 2

    solution = minimize(loss, jnp.array([1.0, 0.5]), optax.sgd(0.5), tol=0.1)
    # The largest entry halves at each step: 1, 1/2, 1/4, 1/8, 1/16.
    assert solution.steps == 4
    traced = jax.jit(
        lambda tol: minimize(loss, jnp.array([1.0, 0.5]), optax.sgd(0.5), tol=tol)
    )
    assert traced(0.1).steps == 4
    assert traced(0.2).steps == 3
    exactly = minimize(loss, jnp.array([1.0, 0.5]), optax.sgd(1.0), tol=0.0)
    assert (exactly.status, exactly.steps) == (Status.CONVERGED, 1)


def test_observe_sees_every_point():
    solution = minimize(
        lambda x, c: jnp.sum((x - c) ** 2),
        jnp.zeros(2),
        optax.sgd(0.25),
        args=(jnp.array([1.0, 2.0]),),
        max_steps=4,
        observe=lambda x, c: {"point": x, "gap": jnp.max(c - x), "n": jnp.int32(7)},
    )
    half = 1 - 0.5 ** np.arange(5)
    close(solution.trace.observed["point"], half[:, None] * [1.0, 2.0])
    close(solution.trace.observed["gap"], 2 * (1 - half))
    assert (solution.trace.observed["n"] == 7).all()


@pytest.mark.parametrize(
    "name", ["sgd", pytest.param("lbfgs", marks=pytest.mark.slow), "backtracking"]
)
def test_other_functions_of_the_problem_are_passed_to_any_optimizer(name):
    solution = minimize(
        lambda x, c: jnp.sum((x - c) ** 2),
        jnp.zeros(2),
        optax.with_extra_args_support(OPTIMIZERS[name]),
        args=(jnp.ones(2),),
        hessian_fn=lambda *_: 2 * jnp.eye(2),
        residual_fn=lambda x, c: x - c,
    )
    close(solution.params, np.ones(2), atol=1e-6)


def test_a_long_trace_is_whole_across_the_blocks_it_is_written_in():
    # 63 rows of eight bytes fill a block for these sizes; 512 for two parameters.
    for n, steps in ((1, 1500), (3, 200)):
        solution = minimize(
            lambda x: jnp.sum(x**2) / 2,
            jnp.ones(n),
            optax.sgd(1e-3),
            max_steps=steps,
            observe=lambda x: x,
        )
        shrunk = (1 - 1e-3) ** np.arange(steps + 1)
        close(solution.trace.grad_norm, shrunk)
        close(solution.trace.observed, np.tile(shrunk[:, None], n))


@pytest.mark.slow
def test_the_trace_belongs_to_the_points_even_where_a_search_fails():
    # The logarithm is not a number for x < 0, where a full step from 0.1 leads.
    def loss(x):
        return x - 0.3 * jnp.log(x)

    searches = (
        optax.scale_by_zoom_linesearch(4),
        optax.scale_by_backtracking_linesearch(3, store_grad=True),
        optax.scale_by_backtracking_linesearch(3),
    )
    for search in searches:
        solution = minimize(
            loss,
            2.0,
            optax.chain(optax.sgd(30.0), search),
            max_steps=15,
            observe=lambda x: (x, loss(x), jnp.abs(jax.grad(loss)(x))),
        )
        points, values, grads = solution.trace.observed
        close(solution.trace.value, values)
        close(solution.trace.grad_norm, grads)
        close(solution.params, points[int(solution.steps)])


def test_random_numbers_of_an_optimizer_are_its_own_state():
    noisy = functools.partial(optax.noisy_sgd, 0.1, eta=0.01)
    first = minimize(wavy, start(), noisy(key=jax.random.key(3)), max_steps=5)
    _, values, _, _ = by_hand(wavy, start(), noisy(key=3), 5)
    close(first.trace.value, values)


def test_describe_says_how_it_ended_and_what_to_try():
    solution = minimize(wavy, start(), OPTIMIZERS["sgd"], max_steps=1)
    assert solution.describe().startswith("MAX_STEPS after 1 steps at value ")
    assert Status.MAX_STEPS.remedy in solution.describe()
    assert not solution.converged
