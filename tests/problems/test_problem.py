"""The record of a problem."""

import jax
import jax.numpy as jnp
import pytest

from jaxcalc.problems import Problem


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
