"""Many starts: the same ends as one by one, whatever lies side by side."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

import jaxcalc.minimization.many as many_module
from jaxcalc import Status, minimize, minimize_many, newton, problems, trust_region
from jaxcalc.minimization.solutions import typical_size

HIMMELBLAU = problems.himmelblau()
STARTS = jax.random.uniform(jax.random.key(0), (60, 2), minval=-5.0, maxval=5.0)
DESCENT = optax.sgd(0.01)


@pytest.fixture(scope="module")
def descent():
    return minimize_many(HIMMELBLAU.loss, STARTS, DESCENT, lanes=7, max_steps=300)


@pytest.fixture(scope="module")
def alone():
    run = jax.jit(lambda x: minimize(HIMMELBLAU.loss, x, DESCENT, max_steps=300))
    return [run(x) for x in STARTS]


def test_each_end_is_that_of_a_run_of_its_own(descent, alone):
    np.testing.assert_array_equal(descent.steps, [s.steps for s in alone])
    np.testing.assert_array_equal(descent.status, [s.status for s in alone])
    np.testing.assert_array_equal(descent.work.gradients, descent.steps + 1)
    close(descent.params, np.stack([s.params for s in alone]))
    close(descent.value, np.stack([s.value for s in alone]), atol=1e-12)


@pytest.mark.parametrize("lanes", [1, 64, None])
def test_how_many_lie_side_by_side_changes_nothing(descent, lanes):
    other = minimize_many(HIMMELBLAU.loss, STARTS, DESCENT, lanes=lanes, max_steps=300)
    np.testing.assert_array_equal(other.steps, descent.steps)
    close(other.params, descent.params)


def test_a_small_budget_of_memory_changes_nothing(descent):
    other = minimize_many(
        HIMMELBLAU.loss, STARTS, DESCENT, lanes=4, max_steps=300, memory=4000
    )
    np.testing.assert_array_equal(other.steps, descent.steps)
    close(other.params, descent.params)


def test_the_four_minima_are_found_and_counted(descent):
    found = {tuple(np.round(m.params, 4)) for m in descent.minima}
    known = {tuple(np.round(m, 4)) for m in HIMMELBLAU.minimizers}
    assert found == known
    assert sum(m.reached for m in descent.minima) == len(STARTS)
    assert descent.best.value == descent.value.min()
    close(descent.params[descent.best.run], descent.best.params)
    assert "60 CONVERGED" in descent.describe()
    assert "4 distinct ends" in descent.describe()


def test_a_minimum_at_zero_is_one_minimum():
    # Ends lie at 1e-9 and at -1e-9: only the starts tell that this is next to nothing.
    starts = {"a": jnp.linspace(-3.0, 3.0, 20), "b": 1e-6 * jnp.ones((20, 2))}
    many = minimize_many(
        lambda p: p["a"] ** 2 + jnp.sum(p["b"] ** 2), starts, optax.sgd(0.1)
    )
    assert [m.reached for m in many.minima] == [20]


@pytest.mark.slow
def test_minima_of_very_small_parameters_are_told_apart():
    many = minimize_many(
        lambda x: ((1e6 * x) ** 2 - 1) ** 2,
        1e-6 * jnp.array([-1.3, -0.7, 0.8, 1.1, 1.2]),
        trust_region(),
    )
    assert [m.reached for m in many.minima] in ([2, 3], [3, 2])
    close(sorted(1e6 * m.params for m in many.minima), [-1.0, 1.0])


def test_the_typical_size_is_the_median_of_what_is_finite():
    rows = np.array([[1.0, -2.0, np.nan], [3.0, np.inf, np.nan], [-2.0, 5.0, np.nan]])
    np.testing.assert_array_equal(typical_size(rows), [2.0, 2.0, 0.0])
    np.testing.assert_array_equal(typical_size(np.array([4.0, -1.0, 9.0])), 4.0)


@pytest.mark.slow
@pytest.mark.parametrize("make", [newton, trust_region, optax.lbfgs])
@pytest.mark.parametrize("lanes", [1, 5])
def test_optimizers_that_count_their_work_count_it_here_too(make, lanes):
    problem = problems.rosenbrock(4)
    starts = jax.random.uniform(jax.random.key(1), (12, 4), minval=-2.0, maxval=2.0)
    many = minimize_many(problem.loss, starts, make(), lanes=lanes)
    for k, start in enumerate(starts):
        one = minimize(problem.loss, start, make())
        assert many.steps[k] == one.steps
        assert many.work.gradients[k] == one.work.gradients
        assert many.work.hessians[k] == one.work.hessians
        close(many.params[k], one.params)


def test_a_run_that_fails_leaves_the_others_alone():
    starts = jnp.array([2.0, jnp.nan, 0.5, -1.0])  # of x - log x
    many = minimize_many(
        lambda x: x - jnp.log(x), starts, optax.sgd(0.2), lanes=2, max_steps=500
    )
    assert [Status(int(s)) for s in many.status] == [
        Status.CONVERGED,
        Status.NONFINITE,
        Status.CONVERGED,
        Status.NONFINITE,
    ]
    close(many.params[[0, 2]], np.ones(2), rtol=1e-6)
    assert len(many.minima) == 1
    assert many.minima[0].reached == 2


def test_what_is_being_traced_is_refused():
    def inside(starts):
        return minimize_many(HIMMELBLAU.loss, starts, DESCENT).value

    with pytest.raises(TypeError, match="`starts` and `args` must be known numbers"):
        jax.jit(inside)(STARTS)


def test_lanes_are_as_many_as_caches_and_memory_hold():
    cpu, wide = (many_module._usual_lanes((100, 50), 2**28, p) for p in ("cpu", "gpu"))
    assert (cpu, wide) == (many_module._MOST_LANES, many_module._MOST_ON_ACCELERATORS)
    # An array of 140 KB on the way leaves room for one lane in a cache.
    assert many_module._usual_lanes((8000, 140_000), 2**28, "cpu") == 1
    assert many_module._usual_lanes((100, 50), 4000, "cpu") == 4
    assert many_module._usual_lanes((100, 50), 10, "cpu") == 1


def test_none_came_to_rest_is_said():
    many = minimize_many(lambda x: jnp.sum(x), jnp.ones((3, 2)), optax.sgd(0.1))
    assert many.best is None
    assert "None came to rest" in many.describe()


def test_starts_may_be_trees_and_data_is_passed():
    starts = {"a": jnp.linspace(-1, 1, 5), "b": jnp.ones((5, 2))}

    def loss(p, target):
        return (p["a"] - target) ** 2 + jnp.sum((p["b"] - p["a"]) ** 2)

    many = minimize_many(loss, starts, newton(), args=(jnp.asarray(3.0),))
    assert many.converged.all()
    close(many.params["b"], np.full((5, 2), 3.0))


@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        (r"`starts` must have one leading axis", {"starts": jnp.asarray(1.0)}),
        (
            r"`starts` must have one leading axis",
            {"starts": {"a": jnp.ones(3), "b": jnp.ones(4)}},
        ),
        (r"`starts` holds no numbers", {"starts": jnp.ones((0, 2))}),
        (r"`memory` of 10 bytes does not suffice", {"memory": 10}),
        (r"`memory` must be at least 1", {"memory": 0}),
        (r"`lanes` must be at least 1", {"lanes": -2}),
    ],
)
def test_bad_input_is_named(says, wrong):
    given = {"starts": jnp.ones((3, 2)), **wrong}
    with pytest.raises(ValueError, match=says):
        minimize_many(lambda x: jnp.sum(x**2), optimizer=DESCENT, **given)


OVER_DEVICES = """
import jax, numpy as np, optax
jax.config.update("jax_enable_x64", True)
from jaxcalc import minimize_many, problems
assert jax.device_count() == 8
starts = jax.random.uniform(jax.random.key(0), (60, 2), minval=-5.0, maxval=5.0)
many = minimize_many(
    problems.himmelblau().loss, starts, optax.sgd(0.01), lanes=3, max_steps=300
)
np.savez("ends.npz", params=many.params, steps=many.steps)
"""


@pytest.mark.slow
def test_eight_devices_find_the_same(descent, tmp_path):
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "PYTHONPATH": root}
    subprocess.run(
        [sys.executable, "-c", OVER_DEVICES], cwd=tmp_path, env=env, check=True
    )
    ends = np.load(tmp_path / "ends.npz")
    np.testing.assert_array_equal(ends["steps"], descent.steps)
    close(ends["params"], descent.params)
