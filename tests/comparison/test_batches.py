"""Minibatches belong to a run's seed; what is reported is the loss over all data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc import problems, trust_region
from jaxcalc.comparison import compare
from jaxcalc.problems import Problem
from jaxcalc.problems.batches import draw_batch

ROWS, SIZE, STEPS = 10, 4, 7


def loss(w, X, y, ridge):
    return jnp.mean((X @ w - y) ** 2) + ridge * jnp.sum(w**2)


def start(key):
    return jax.random.normal(key, (3,))


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(1)
    data = (rng.normal(size=(ROWS, 3)), rng.normal(size=ROWS), np.asarray(0.1))
    return Problem(name="regression", loss=loss, init=start, args=data)


def test_an_epoch_sees_every_row_once_and_no_row_twice():
    rows = jnp.arange(12.0)[:, None]
    for epoch in range(2):
        seen = [
            draw_batch(4, jax.random.key(3), jnp.int32(3 * epoch + k), rows)[0]
            for k in range(3)
        ]
        assert sorted(np.concatenate(seen)[:, 0]) == list(range(12))


def test_what_has_no_rows_stays_whole(regression):
    X, y, ridge = draw_batch(4, jax.random.key(0), jnp.int32(0), *regression.args)
    assert (X.shape, y.shape, ridge.shape) == ((4, 3), (4,), ())
    index = [int(np.flatnonzero((regression.args[0] == row).all(1))[0]) for row in X]
    np.testing.assert_array_equal(y, regression.args[1][index])


def test_runs_are_those_of_a_plain_loop(regression):
    batched = regression.in_batches(SIZE)
    (runs,) = compare(batched, {"sgd": optax.sgd(0.05)}, seeds=2, max_steps=STEPS).runs
    for lane, seed in enumerate(runs.seeds):
        w = batched.start(int(seed))
        for step in range(STEPS + 1):
            close(runs.value[step, lane], loss(w, *regression.args))
            whole = jax.grad(loss)(w, *regression.args)
            close(runs.grad_norm[step, lane], jnp.max(jnp.abs(whole)))
            data = draw_batch(
                SIZE, jax.random.key(seed), jnp.int32(step), *regression.args
            )
            w = w - 0.05 * jax.grad(loss)(w, *data)
    assert runs.seconds_per_step >= 0


def test_a_batch_costs_its_share_of_a_gradient(regression):
    (whole,) = compare(regression, {"sgd": optax.sgd(0.05)}, seeds=1, max_steps=2).runs
    (part,) = compare(
        regression.in_batches(2), {"sgd": optax.sgd(0.05)}, seeds=1, max_steps=2
    ).runs
    assert part.gradient_flops == whole.gradient_flops
    # The penalty does not shrink with the batch.
    assert 0.2 < part.cost["gradients"] < 0.5
    assert whole.cost["gradients"] == 1


def test_who_keeps_what_it_knows_of_a_point_does_not_take_part(regression):
    optimizers = {"trust": trust_region(), "sgd": optax.sgd(0.1)}
    batched = regression.in_batches(4)
    found = compare([regression, batched], optimizers, seeds=1, max_steps=2)
    ran = [(run.problem, run.optimizer) for run in found.runs]
    assert ran == [("regression", "trust")] + [
        (name, "sgd") for name in ("regression", "regression_batch_4")
    ]
    reasons = found.protocol["unsupported"]
    assert list(reasons) == ["trust"]
    assert "last point" in reasons["trust"]["regression_batch_4"]
    assert found.unfinished == ()


@pytest.mark.usefixtures("unchecked")
def test_a_wrong_size_is_named(regression):
    with pytest.raises(ValueError, match="`size` must be at most the 10 rows"):
        regression.in_batches(11)
    with pytest.raises(ValueError, match="`size`"):
        regression.in_batches(0)
    with pytest.raises(ValueError, match="batches need data"):
        problems.rosenbrock(2).in_batches(1)


def test_metrics_are_measured_on_what_was_held_out():
    problem = problems.breast_cancer(validation=0.25)
    learn, judge = len(problem.args[0]), len(problem.validation[0])
    assert (learn, judge) == (427, 142)
    assert not set(map(tuple, np.asarray(problem.args[0]))) & set(
        map(tuple, np.asarray(problem.validation[0]))
    )
    close(jnp.mean(problem.args[0], 0), np.zeros(30), atol=1e-12)
    (runs,) = compare(problem, {"sgd": optax.sgd(0.5)}, seeds=2, max_steps=30).runs
    X, y, _ = problem.validation
    for lane, point in enumerate(runs.params):
        b, w = point[0], point[1:]  # in alphabetical order
        right = np.mean(np.sign(X @ w + b) == y)
        close(runs.metrics["accuracy"][lane], right)
    assert (runs.metrics["accuracy"] > 0.9).all()


def test_what_is_explained_is_one_less_the_loss_of_standardized_targets():
    problem = problems.diabetes()
    (runs,) = compare(problem, {"sgd": optax.sgd(0.05)}, seeds=1, max_steps=50).runs
    close(runs.metrics["R²"], 1 - runs.final_value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_wrong_share_is_named(share):
    with pytest.raises(ValueError, match="`validation`"):
        problems.breast_cancer(validation=share)
