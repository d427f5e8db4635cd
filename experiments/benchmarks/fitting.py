"""Levenberg-Marquardt beside SciPy's MINPACK, on certified fits."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from scipy.optimize import least_squares

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import levenberg_marquardt, minimize
from jaxcalc.problems import Problem, nist

NAMES = ("misra1a", "rat43", "eckerle4", "lanczos3", "thurber")


def ours(problem: Problem) -> Callable[[], Any]:
    """`minimize` to its default tolerance."""
    optimizer = levenberg_marquardt()
    return lambda: minimize(
        problem.loss,
        problem.standard_start,
        optimizer,
        args=problem.args,
        residual_fn=problem.residual,
    )


def minpack(problem: Problem) -> Callable[[], Any]:
    """The same with compiled residuals and Jacobians, called back from MINPACK."""
    assert problem.residual is not None
    residual = jax.jit(problem.residual)
    derivative = jax.jit(jax.jacfwd(problem.residual))
    # SciPy's types know only the names of its own differences.
    jacobian: Any = lambda b: np.asarray(derivative(b, *problem.args))  # noqa: E731
    return lambda: least_squares(
        lambda b: np.asarray(residual(b, *problem.args)),
        problem.standard_start,
        jacobian,
        method="lm",
        x_scale="jac",
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-8,
    )


def main(limit: float) -> None:
    """Both from the nearer start, which leads both to the certified parameters."""
    for name in NAMES:
        problem = nist(name, start=2)
        ways = {"jaxcalc": ours(problem), "MINPACK": minpack(problem)}
        seconds, answers = interleaved(ways, calls=5)
        certified = problem.minimizers[0]
        for answer in (answers["jaxcalc"].params, answers["MINPACK"].x):
            np.testing.assert_allclose(answer, certified, rtol=1e-5)
        report(f"{name}: fit / MINPACK", seconds, "jaxcalc", "MINPACK", limit)


if __name__ == "__main__":
    main(limit=2)
