"""Newton's method leaves saddle points: it does not report them as minima."""

import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc import Status, minimize, newton


def saddle(p):
    """x² - y² + y⁴/4: a saddle at the origin, minima -1 at (0, ±√2)."""
    return p[0] ** 2 - p[1] ** 2 + p[1] ** 4 / 4


def high_dimensional(x):
    """A saddle at zero with as many directions down as up; lowest -5/4."""
    return jnp.sum(x[:5] ** 2) - jnp.sum(x[5:] ** 2) + jnp.sum(x**4)


OPTIMIZER = newton()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("start", [(0.0, 0.0), (1.0, 0.0), (0.0, 1e-12), (3.0, 1e-5)])
def test_it_leaves_a_saddle_from_the_saddle_and_from_its_stable_axis(start, dtype):
    solution = minimize(saddle, jnp.asarray(start, dtype), OPTIMIZER)
    assert solution.status == Status.CONVERGED
    close(jnp.abs(solution.params), jnp.asarray([0, np.sqrt(2)], dtype))


def test_it_leaves_along_every_direction_of_negative_curvature():
    solution = minimize(high_dimensional, jnp.zeros(10), OPTIMIZER)
    assert solution.status == Status.CONVERGED
    close(solution.value, -1.25)


def test_it_leaves_a_maximum():
    solution = minimize(jnp.cos, 0.0, OPTIMIZER)
    assert solution.status == Status.CONVERGED
    close(abs(float(solution.params)), np.pi)


def test_a_maximum_without_a_minimum_is_unbounded_not_converged():
    assert minimize(lambda x: -(x**2), 0.0, OPTIMIZER).status == Status.UNBOUNDED


def test_told_to_stop_there_it_stops():
    start = jnp.array([1.0, 0.0])
    solution = minimize(saddle, start, newton(escape=False))
    assert solution.status == Status.CONVERGED
    close(solution.params, jnp.zeros(2))


@pytest.mark.parametrize(
    ("loss", "start"),
    [
        (lambda x: x**2, 0.0),
        (lambda x: x**4, 0.0),
        (lambda x: 0 * x + 3.0, 1.0),
        (lambda x: (x[0] + x[1]) ** 2, jnp.array([1.0, -1.0])),
    ],
    ids=["regular", "degenerate", "constant", "valley"],
)
def test_a_start_on_a_minimum_is_recognized_by_one_hessian(loss, start):
    solution = minimize(loss, start, OPTIMIZER)
    assert solution.status == Status.CONVERGED
    assert solution.work.hessians == 1
    close(solution.params, start)
