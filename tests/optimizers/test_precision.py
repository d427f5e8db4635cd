"""Every optimizer goes down to what rounding allows, and stops there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimizers.registry import GENERAL

from jaxcalc import Status, minimize, problems

CASES = {
    "rosenbrock": (problems.rosenbrock(2), [-1.2, 1.0]),
    "rosenbrock 6": (problems.rosenbrock(6), [-1.2, 1.0] * 3),
    "beale": (problems.beale(), [1.0, 1.0]),
    "quadratic": (problems.quadratic(dimension=5, condition=100.0), [1.0] * 5),
}


def floor(problem, params, dtype):
    """The gradient that one rounding of the parameters makes, in float64."""
    x = jnp.asarray(params, np.float64)
    args = jax.tree.map(lambda a: jnp.asarray(a, np.float64), problem.args)
    hessian = np.asarray(jax.hessian(problem.loss)(x, *args))
    size = jnp.maximum(jnp.abs(x), 1.0)  # as large as the starts
    return np.finfo(dtype).eps * (np.abs(hessian) @ size).max()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("optimizer", GENERAL.values(), ids=GENERAL)
def test_it_stops_at_the_floor_of_rounding(optimizer, case, dtype):
    problem, start = case
    problem = problem.astype(dtype)
    solution = minimize(
        problem.loss,
        jnp.asarray(start, dtype),
        optimizer,
        args=problem.args,
        max_steps=1000,
        tol=0.0,
    )
    # A tolerance of zero asks for more than there is.
    assert Status(int(solution.status)) in (Status.CONVERGED, Status.STALLED)
    x = jnp.asarray(solution.params, np.float64)
    args = jax.tree.map(lambda a: jnp.asarray(a, np.float64), problem.args)
    grad = np.abs(np.asarray(jax.grad(problem.loss)(x, *args))).max()
    assert grad <= 100 * floor(problem, x, dtype)
