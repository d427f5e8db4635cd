"""Cubic regularization in both forms."""

import jax.numpy as jnp
import pytest
from closeness import close

from jaxcalc import Status, minimize
from jaxcalc.optimizers import cubic
from jaxcalc.problems import more_garbow_hillstrom

OPTIMIZER = cubic()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 36))
def test_the_dense_form_solves_the_problems_of_more_garbow_and_hillstrom(number):
    problem = more_garbow_hillstrom(number)
    solution = minimize(
        problem.loss,
        problem.standard_start,
        OPTIMIZER,
        args=problem.args,
        max_steps=1500,
        tol=1e-8,
    )
    assert Status(int(solution.status)) in {Status.CONVERGED, Status.STALLED}
    value = float(solution.value)
    published = (problem.minimum, *problem.local_minima)
    assert any(abs(value - m) <= 1e-5 * abs(m) + 1e-10 for m in published)


@pytest.mark.slow
def test_over_the_whole_space_both_forms_take_the_same_steps():
    def loss(x):
        return jnp.sum((x[1:] - x[:-1] ** 2) ** 2) + jnp.sum((x - 1) ** 2)

    start = jnp.array([-1.2, 1.0, 0.5])
    dense = minimize(loss, start, cubic(weight=3.0, scaled=False))
    # With a residual of a billionth the space is always the whole.
    krylov = minimize(loss, start, cubic(weight=3.0, form="krylov", forcing=1e-9))
    assert dense.steps == krylov.steps
    close(krylov.trace.value[: int(dense.steps)], dense.trace.value[: int(dense.steps)])
