"""What holds for every problem of the library."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close
from jax.flatten_util import ravel_pytree

from jaxcalc import problems

# The test set of Moré, Garbow and Hillstrom and NIST's fits have files of their own.
NAMES = tuple(n for n in problems.names() if not n.startswith(("mgh_", "nist_")))
SIZES = {
    "beale": 2,
    "breast_cancer": 31,
    "diabetes": 11,
    "digits_network": 2410,
    "digits_softmax": 650,
    "exponential_decay": 3,
    "five_points": 2,
    "gaussian_peaks": 8,
    "himmelblau": 2,
    "powell_singular": 4,
    "quadratic": 10,
    "rational_peak": 5,
    "rosenbrock": 2,
}


@functools.cache
def build(name):
    return problems.get(name)


@functools.cache
def value_and_grad(name):
    """Loss and flat gradient at a flat point, compiled once for each problem."""
    problem = build(name)
    _, unravel = ravel_pytree(problem.start(0))

    def at(flat, args):
        value, gradient = jax.value_and_grad(problem.loss)(unravel(flat), *args)
        return value, ravel_pytree(gradient)[0]

    return jax.jit(at)


def test_every_problem_has_its_size_in_the_list():
    assert {name: build(name).size for name in NAMES} == SIZES
    assert list(NAMES) == sorted(NAMES)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown problem 'rosen'.*'rosenbrock'"):
        problems.get("rosen")


def test_options_reach_the_factory():
    assert problems.get("rosenbrock", dimension=5).size == 5
    with pytest.raises(TypeError, match="hidden"):
        problems.get("beale", hidden=3)


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_says_what_it_is_and_where_it_comes_from(name):
    problem = build(name)
    assert problem.name == name
    assert problem.title
    assert problem.source
    assert getattr(problems, name)().name == name


def test_names_and_titles_differ():
    several = [build(name) for name in NAMES] + [
        problems.rosenbrock(10),
        problems.rosenbrock(3),
        problems.quadratic(20),
        problems.quadratic(condition=20.0),
        problems.quadratic(20, 1e4),
        problems.diabetes(ridge=0.1),
        problems.breast_cancer(ridge=1e-3),
        problems.breast_cancer(ridge=0.0),
        problems.digits_softmax(ridge=1.0000001e-3),
        problems.digits_network(hidden=16),
        problems.digits_network(hidden=16, ridge=0.0),
    ]
    assert len({problem.name for problem in several}) == len(several)
    # They name files, also where capitals don't count.
    assert all(re.fullmatch(r"[a-z0-9_.+-]+", problem.name) for problem in several)
    assert len({problem.title for problem in several[: len(NAMES) + 3]}) > len(NAMES)


def test_options_that_differ_from_their_defaults_are_in_the_name():
    assert problems.rosenbrock(10).name == "rosenbrock_10"
    assert problems.quadratic(3, 1e4).name == "quadratic_3_condition_10000"
    assert problems.breast_cancer(1e-3).name == "breast_cancer_ridge_0.001"
    assert problems.digits_network(hidden=8).name == "digits_network_hidden_8"


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_everything_is_in_the_default_dtype(name, x64):
    with jax.enable_x64(x64):
        problem, default = problems.get(name), jnp.zeros(()).dtype
        params = jax.eval_shape(problem.init, jax.random.key(0))
        kinds = {leaf.dtype for leaf in jax.tree.leaves((params, problem.args))}
        assert kinds <= {default, jnp.arange(1).dtype}
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {default}
        value = jax.eval_shape(problem.loss, params, *problem.args)
        assert (value.shape, value.dtype) == ((), default)
        if problem.hessian is not None:
            H = jax.eval_shape(problem.hessian, params, *problem.args)
            assert (H.shape, H.dtype) == ((problem.size, problem.size), default)


@pytest.mark.parametrize("name", NAMES)
def test_starts_repeat_for_equal_seeds_and_differ_for_others(name):
    starts = [ravel_pytree(build(name).start(seed))[0] for seed in (0, 0, 1)]
    close(starts[0], starts[1], rtol=0, atol=0)
    assert np.all(starts[0] != starts[2]) or name == "digits_network"
    assert np.any(starts[0] != starts[2])


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_and_its_gradient_are_finite_at_a_start(name):
    problem = build(name)
    flat, _ = ravel_pytree(problem.start(3))
    value, gradient = value_and_grad(name)(flat, problem.args)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient != 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_vanishes_at_each_minimizer_and_the_value_is_the_minimum(name):
    problem = build(name)
    assert (problem.minimum is None) == (not problem.minimizers)
    for point in problem.minimizers:
        assert point.shape == (problem.size,)
        value, gradient = value_and_grad(name)(jnp.asarray(point), problem.args)
        # Coordinates have 16 digits, and curvature is at most a few hundred.
        close(value, problem.minimum, rtol=1e-14, atol=1e-13)
        close(gradient, np.zeros(problem.size), rtol=0, atol=1e-12)


@pytest.mark.slow  # six digits in 32 bits are those of the default compiler options
@pytest.mark.parametrize("name", [n for n in NAMES if build(n).minimizers])
def test_the_minimum_is_reached_in_float32_too(name):
    with jax.enable_x64(False):
        problem = problems.get(name)
        _, unravel = ravel_pytree(problem.start(0))
        for point in problem.minimizers:
            params = unravel(jnp.asarray(point, jnp.float32))
            value = jax.jit(problem.loss)(params, *problem.args)
            # Rounding a coordinate of Himmelblau's costs 1e-12 of its square.
            close(value, problem.minimum, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("name", [n for n in NAMES if build(n).minimizers])
def test_no_start_is_below_the_minimum(name):
    problem = build(name)
    for seed in range(20):
        flat, _ = ravel_pytree(problem.start(seed))
        assert value_and_grad(name)(flat, problem.args)[0] > problem.minimum


@pytest.mark.parametrize("name", [n for n in NAMES if build(n).box])
def test_starts_and_minimizers_lie_in_the_box(name):
    problem = build(name)
    lower, upper = problem.box
    assert lower.shape == upper.shape == (problem.size,)
    starts = [np.asarray(ravel_pytree(problem.start(s))[0]) for s in range(50)]
    for point in (*problem.minimizers, *starts):
        assert np.all((lower <= point) & (point <= upper))
    # Spread over it: fifty uniform numbers leave a gap of a fifth nowhere.
    spread = np.ptp(starts, axis=0) / (upper - lower)
    assert np.all(spread > 0.8)


@pytest.mark.parametrize("name", [n for n in NAMES if build(n).hessian])
def test_the_hessian_is_the_derivative_of_the_gradient(name):
    problem = build(name)
    params = problem.start(1)
    flat, unravel = ravel_pytree(params)

    @jax.jit
    def both(flat, v, args):
        grad = lambda flat: value_and_grad(name)(flat, args)[1]  # noqa: E731
        H = problem.hessian(unravel(flat), *args)
        return H, jax.jvp(grad, (flat,), (v,))[1]

    for seed in range(5):
        v = jax.random.normal(jax.random.key(seed), flat.shape)
        H, expected = both(flat, v, problem.args)
        close(H @ v, expected, rtol=0, atol=1e-13 * np.max(np.abs(expected)))
    close(H, H.T, rtol=0, atol=1e-15 * np.max(np.abs(H)))


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_give_the_identical_functions(name):
    # Compiled programs are kept by the identity of the functions in them.
    first, second = problems.get(name), problems.get(name)
    assert first.loss is second.loss
    assert first.hessian is second.hessian
    assert first.init is second.init


@pytest.mark.parametrize("name", NAMES)
def test_all_data_are_arguments(name):
    problem = build(name)
    closed = jax.make_jaxpr(problem.loss)(problem.start(0), *problem.args)
    assert all(np.size(constant) <= 1 for constant in closed.consts)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(problem.args))


@pytest.mark.parametrize("name", [n for n in NAMES if build(n).residual])
def test_the_squares_of_the_residuals_add_up_to_the_loss(name):
    problem = build(name)
    params = problem.start(2)
    r = jax.jit(problem.residual)(params, *problem.args)
    assert r.ndim == 1
    assert r.dtype == jnp.float64
    close(jnp.sum(r**2), jax.jit(problem.loss)(params, *problem.args), rtol=1e-14)
