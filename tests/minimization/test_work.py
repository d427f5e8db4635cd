"""Work is what a counter inside the loss counts."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc.minimization import Work, minimize
from jaxcalc.optimizers import newton, scale_by_newton

SEARCHES = {
    "zoom": optax.scale_by_zoom_linesearch(15),
    "backtracking": optax.scale_by_backtracking_linesearch(20),
}
OPTIMIZERS = {
    "sgd": optax.sgd(1e-3),
    "lbfgs": optax.lbfgs(),
    "wrapped lbfgs": optax.apply_if_finite(optax.lbfgs(), 3),
    "newton": newton(),
    "newton in full steps": newton(linesearch=None),
    "newton with zoom": optax.chain(
        scale_by_newton(), optax.scale(-1.0), SEARCHES["zoom"]
    ),
    "backtracking": optax.chain(optax.sgd(1.0), SEARCHES["backtracking"]),
}
START = np.array([-1.2, 1.0])


def banana(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.fixture(scope="module")
def counted():
    """A loss and a Hessian that count their evaluations, and the counter."""
    counter = Counter()

    def tick(kind):
        jax.debug.callback(lambda: counter.update([kind]))

    @jax.custom_vjp
    def loss(x):
        tick("values")
        return banana(x)

    def forward(x):
        tick("gradients")
        return jax.vjp(banana, x)

    def hessian_fn(x):
        tick("hessians")
        return jax.hessian(banana)(x)

    loss.defvjp(forward, lambda pullback, g: pullback(g))
    return loss, hessian_fn, counter


SLOW = {"lbfgs", "wrapped lbfgs", "newton in full steps", "newton with zoom"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in OPTIMIZERS],
)
def test_work_is_what_was_evaluated(counted, name):
    loss, hessian_fn, counter = counted
    counter.clear()
    optimizer = OPTIMIZERS[name]

    @jax.jit  # where nothing is evaluated to see whether the Hessian is symmetric
    def run(x):
        return minimize(loss, x, optimizer, max_steps=12, hessian_fn=hessian_fn)

    solution = jax.block_until_ready(run(START))
    jax.effects_barrier()
    work = {kind: int(n) for kind, n in solution.work._asdict().items() if n}
    assert work == dict(counter)


def test_work_is_cumulative_and_measured_before_each_step():
    long = minimize(banana, START, OPTIMIZERS["backtracking"], max_steps=8)
    short = minimize(banana, START, OPTIMIZERS["backtracking"], max_steps=3)
    assert short.work.gradients == long.trace.work.gradients[3]
    assert short.work.values == long.trace.work.values[3] > 3


def test_one_gradient_a_step_where_an_optimizer_only_takes_gradients():
    solution = minimize(banana, START, optax.sgd(1e-3), max_steps=5)
    work = solution.trace.work
    np.testing.assert_array_equal(work.gradients, np.arange(1, 7))
    for kind in set(Work._fields) - {"gradients"}:
        np.testing.assert_array_equal(getattr(work, kind), 0)


@pytest.mark.slow
def test_work_of_a_batch_is_that_of_each_run():
    starts = jnp.stack([START, 0 * START, 2 * START])
    both = jax.vmap(lambda x: minimize(banana, x, newton(), max_steps=40))(starts)
    for lane, start in enumerate(starts):
        alone = minimize(banana, start, newton(), max_steps=40)
        assert both.work.gradients[lane] == alone.work.gradients
        assert both.work.hessians[lane] == alone.work.hessians == alone.steps


def test_work_adds_up_by_kind():
    total = Work.of(gradients=2, hessians=1).plus(Work.of(gradients=3))
    assert [int(n) for n in total] == [0, 5, 0, 1, 0, 0]
    with pytest.raises(TypeError, match="gradient"):
        Work.of(gradient=1)
