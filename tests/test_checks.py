"""Errors name the argument, what was given and what to do; trees are measured."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxcalc import _checks, _trees


@pytest.fixture(autouse=True)
def unchecked():
    """Run as users do: without the type checks of the tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("value", [1, np.int32(1), jnp.asarray(1), np.array(1)])
def test_integers_of_any_kind_are_integers(value):
    number = _checks.positive_int("n", value)
    assert type(number) is int
    assert number == 1


@pytest.mark.parametrize("value", [1.0, "1", None, True, [1], np.array([1, 2]), 1j])
def test_what_is_no_integer_is_refused_by_name(value):
    with pytest.raises(TypeError, match="`count`"):
        _checks.positive_int("count", value)


def test_integers_below_the_minimum_are_refused():
    assert _checks.positive_int("n", 0, minimum=0) == 0
    with pytest.raises(ValueError, match="`n` must be at least 3, got 2"):
        _checks.positive_int("n", 2, minimum=3)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, -np.inf, 0.0, -1])
def test_numbers_that_are_not_positive_are_refused(value):
    with pytest.raises(ValueError, match="`rate` must be finite and positive"):
        _checks.positive_float("rate", value)


@pytest.mark.parametrize("value", ["fast", None, [1.0, 2.0], 1j, np.ones(2)])
def test_what_is_no_number_is_refused_by_name(value):
    with pytest.raises(TypeError, match="`rate` must be a real number"):
        _checks.positive_float("rate", value)


def test_zero_is_accepted_where_it_is_said():
    assert _checks.positive_float("tol", 0, zero=True) == 0.0
    assert _checks.positive_float("tol", np.float32(0.5)) == 0.5


def test_unknown_names_list_the_known_ones():
    assert _checks.known("color", "red", ["red", "blue"]) == "red"
    with pytest.raises(ValueError, match="unknown color 'green'; there are 'red', 'b"):
        _checks.known("color", "green", iter(["red", "blue"]))


@pytest.mark.parametrize("params", [{}, [], (), None, np.zeros(0), {"a": jnp.ones(0)}])
def test_parameters_that_hold_nothing_are_refused(params):
    with pytest.raises(ValueError, match="`params` holds no numbers"):
        _checks.floating_params("params", params)


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        (1, "int"),
        (True, "bool"),
        (1j, "complex"),
        (np.arange(3), "int64"),
        (jax.random.key(0), "key"),
        ("one", "must be an array, got 'one'"),
        (object(), "must be an array"),
    ],
)
def test_parameters_that_are_not_floating_are_refused_by_their_place(leaf, said):
    params = {"w": [1.0, leaf]}
    with pytest.raises(TypeError, match=rf"`params\['w'\]\[1\]`.*{said}"):
        _checks.floating_params("params", params)


def test_parameters_become_strongly_typed_arrays():
    params = {"a": 1.0, "b": np.float32(2.0), "c": jnp.ones(2, jnp.bfloat16)}
    checked = _checks.floating_params("params", params)
    assert [leaf.dtype.name for leaf in checked.values()] == [
        "float64",
        "float32",
        "bfloat16",
    ]
    assert not any(leaf.weak_type for leaf in checked.values())
    weak = jnp.asarray(1.0)
    assert not _checks.floating_params("params", weak).weak_type
    strong = jnp.ones(3)
    assert _checks.floating_params("params", strong) is strong


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (jnp.ones(3), r"shape \(3,\).*jnp\.mean"),
        (jnp.ones((1, 1)), r"shape \(1, 1\)"),
        ((jnp.ones(()), {"aux": 1}), "without auxiliary values"),
        (None, "must return a scalar"),
        (jnp.asarray(1), "floating scalar, got int"),
        (jnp.asarray(1j), "floating scalar, got complex"),
    ],
)
def test_losses_that_are_no_scalars_are_refused(value, said):
    with pytest.raises(TypeError, match=f"`loss`.*{said}"):
        _checks.scalar_loss("loss", value)


def test_scalars_pass():
    for value in (1.0, np.float32(1), jnp.ones(()), jax.ShapeDtypeStruct((), "f2")):
        _checks.scalar_loss("loss", value)


def test_the_largest_entry_of_a_tree():
    tree = {"a": jnp.array([1.0, -5.0]), "b": (jnp.asarray(3.0), jnp.zeros((0, 2)))}
    assert _trees.max_abs(tree) == 5.0
    assert np.isnan(_trees.max_abs({**tree, "c": jnp.array([jnp.nan, 9.0])}))
    assert _trees.max_abs({"a": jnp.array([-jnp.inf, 1.0])}) == jnp.inf


def test_a_choice_between_trees_keeps_nan_out():
    one, other = {"a": jnp.ones(2)}, {"a": jnp.full(2, jnp.nan)}
    np.testing.assert_array_equal(_trees.where(jnp.asarray(True), one, other)["a"], 1)


def test_the_dtype_of_a_tree_is_the_promoted_one():
    narrow, wide = jnp.ones(2, np.float32), jnp.ones(())
    assert _trees.dtype([narrow, narrow]) == np.float32
    assert _trees.dtype({"a": narrow, "b": wide}) == np.float64
