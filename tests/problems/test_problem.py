"""The record of a problem."""

import jax
import jax.numpy as jnp
import pytest

from jaxcalc.problems import Problem, _data
from jaxcalc.problems.problem import sum_of_squares


def draw(key):
    return {"w": jax.random.normal(key, (2, 3)), "b": jnp.zeros(())}


def test_the_size_counts_every_number_without_drawing_one():
    assert Problem(name="mine", loss=jnp.sum, init=draw).size == 7


def test_a_start_belongs_to_its_seed():
    problem = Problem(name="mine", loss=jnp.sum, init=draw)
    expected = draw(jax.random.key(5))
    assert jax.tree.all(
        jax.tree.map(lambda a, b: jnp.all(a == b), problem.start(5), expected)
    )


@pytest.mark.parametrize("name", ["", "  "])
def test_a_problem_needs_a_name(name):
    with pytest.raises(ValueError, match="`name` must be a non-empty string"):
        Problem(name=name, loss=jnp.sum, init=draw)


def test_data_are_a_tuple(unchecked):
    with pytest.raises(TypeError, match=r"write args=\(data,\)"):
        Problem(name="mine", loss=jnp.sum, init=draw, args=[1.0])


def test_a_loss_and_a_start_are_functions(unchecked):
    with pytest.raises(TypeError, match="`init` must be a function"):
        Problem(name="mine", loss=jnp.sum, init=jnp.zeros(3))
    with pytest.raises(TypeError, match="`loss` must be a function"):
        Problem(name="mine", loss=3.0, init=draw)
    with pytest.raises(TypeError, match="`residual` must be a function or None"):
        Problem(name="mine", loss=jnp.sum, init=draw, residual=3.0)


def residual(params, y):
    return params["w"] @ jnp.arange(3.0) + params["b"] - y


def test_a_loss_of_residuals_is_the_sum_of_their_squares_and_always_the_same():
    loss = sum_of_squares(residual)
    assert loss is sum_of_squares(residual)
    params = {"w": jnp.ones((2, 3)), "b": jnp.asarray(1.0)}
    # 0 + 1 + 2 + 1 - y = (3, -1)
    assert loss(params, jnp.array([1.0, 5.0])) == 9 + 1


def test_starts_near_a_point_keep_its_structure_and_move_each_number_by_its_size():
    centre = {"w": [[1e6, -1e-6]], "b": 0.0}
    init = _data.near({"w": jnp.array(centre["w"]), "b": 0.0})
    assert init is _data.near({"w": jnp.array(centre["w"]), "b": 0.0})
    draws = [init(jax.random.key(seed)) for seed in range(20)]
    for name, sizes in {"w": [[1e6, 1e-6]], "b": 1.0}.items():
        moves = (jnp.stack([d[name] for d in draws]) - jnp.array(centre[name])) / (
            jnp.array(sizes)
        )
        assert jnp.all(jnp.abs(moves) <= 0.1 + 1e-9)
        assert jnp.all(jnp.ptp(moves, axis=0) > 0.1)
