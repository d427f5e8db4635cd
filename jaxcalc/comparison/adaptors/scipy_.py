"""SciPy's solvers in a comparison."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc import _checks
from jaxcalc.comparison.adaptors._courses import Course, as_runs, measure
from jaxcalc.comparison.adaptors._flat import Flat, flat_point, flatten
from jaxcalc.comparison.adaptors._scipy_calls import (
    LEAST_SQUARES,
    MINIMIZE,
    PRODUCTS,
    Solver,
    Watch,
    call,
    warm_up,
)
from jaxcalc.comparison.adaptors.external import (
    External,
    needs_batches,
    package,
    titled,
)
from jaxcalc.comparison.results import Runs
from jaxcalc.problems import Problem
from jaxcalc.problems.problem import sum_of_squares

# These are for the comparison to set, or would change the loss.
_RESERVED = {"callback", "disp", "iprint", "maxfev", "maxfun", "maxiter", "max_nfev"}
_RESERVED |= {"args", "bounds", "constraints", "fun", "hess", "hessp", "jac", "loss"}
_RESERVED |= {"f_scale", "return_all", "tol", "verbose", "workers", "x0"}


def scipy(method: str, *, dense: bool = False, **options: Any) -> External:
    """One of SciPy's solvers, as an entry of a comparison.

    The methods of `scipy.optimize.minimize` that use gradients: value and gradient are
    evaluated together, Hessians or products with them where a method uses them. Those
    of `scipy.optimize.least_squares`, for problems that have a `residual`: "lm",
    "trf", "dogbox". Every function is compiled, and warm when it is timed.

    A run ends at the first iterate whose gradient's infinity norm is within the
    comparison's tolerance, or where the solver itself gives up; its other criteria are
    set to what rounding allows, unless `options` says otherwise. What it says of its
    success does not count. A step is an iteration, as SciPy's `callback` sees it; a
    rejected trial of a trust region is a step of length zero. The iterates of "lm" are
    the points at which it asks for a Jacobian.

    SciPy computes in float64. Problems in another dtype are evaluated in theirs, at
    the point rounded to it.

    Args:
        method: A method of `minimize` or `least_squares`, as SciPy writes it.
        dense: Whether to pass the whole Hessian to methods that can do with products.
        **options: The method's own, for example `maxcor=20`.

    Returns:
        The entry.

    Raises:
        ImportError: SciPy is not installed.
        TypeError: An option is not a number, a text, a boolean or None.
        ValueError: The method is unknown, or it refuses an option.
    """
    package("scipy.optimize", "SciPy")
    known = [*MINIMIZE, *LEAST_SQUARES]
    written = {name.lower(): name for name in known}
    method = written.get(str(method).lower(), method)
    _checks.known("method of SciPy", method, known)
    if dense and method not in PRODUCTS:
        raise ValueError(f"`dense` is for {', '.join(sorted(PRODUCTS))}, not {method}")
    _check_options(method, options)
    solver = Solver(method, dense, dict(sorted(options.items())))
    label = titled("scipy", method, "SciPy") + (" (dense)" if dense else "")
    return External(
        label=label,
        digest=f"{label} {solver.options!r}",
        run=partial(_run, solver, label),
        supports=partial(_supports, solver),
    )


def _check_options(method: str, options: dict[str, Any]) -> None:
    """Try them on a bowl of two variables: what SciPy refuses, it refuses there."""
    if not options:
        return
    for name, value in options.items():
        if name in _RESERVED:
            raise ValueError(
                f"`{name}` is not for {method} to choose here: the comparison sets it, "
                "or it would change the loss"
            )
        if not isinstance(value, str | bool | int | float | None):
            raise TypeError(f"`{name}` must be a plain value, got {value!r}")

    problem = Problem(
        name="bowl",
        loss=sum_of_squares(_bowl),
        init=_start_of_bowl,
        residual=_bowl,
    )
    watch = Watch(flatten(problem), 3)
    solver = Solver(method, False, options)
    try:
        call(solver, watch, np.ones(2), 1e-6, quiet=False)
    except (TypeError, ValueError, Warning) as error:
        listed = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise ValueError(
            f"SciPy's {method} refuses {listed or 'it'}: {error}"
        ) from error


def _bowl(x: jax.Array) -> jax.Array:
    return 1.5 * x


def _start_of_bowl(key: jax.Array) -> jax.Array:
    del key
    return jnp.ones(2)


def _supports(solver: Solver, problem: Problem) -> str:
    if not solver.fits or problem.draw is not None:
        return needs_batches(problem)
    if problem.residual is None:
        return (
            f"SciPy's {solver.method} is for sums of squares, and {problem.name} "
            "has no `residual`"
        )
    start = jax.eval_shape(problem.init, jax.random.key(0))
    rows = jax.eval_shape(problem.residual, start, *problem.args).size
    if solver.method == "lm" and rows < problem.size:
        return (
            f"SciPy's lm needs at least as many residuals as parameters, and "
            f"{problem.name} has {rows} for {problem.size}"
        )
    return ""


def _run(
    solver: Solver,
    label: str,
    problem: Problem,
    seeds: Sequence[int],
    max_steps: int,
    tol: float,
) -> Runs:
    reason = _supports(solver, problem)
    if reason:
        raise ValueError(reason)
    flat, tol = flatten(problem), float(tol)
    starts = [flat_point(problem.start(seed)) for seed in seeds]
    compiling = warm_up(solver, flat, starts[0])
    courses = [_recorded(solver, flat, x, tol, max_steps) for x in starts]

    def again(lane: int) -> float:
        watch = Watch(flat, courses[lane].steps)
        begin = time.perf_counter()
        call(solver, watch, starts[lane], tol)
        return time.perf_counter() - begin

    timing = measure(compiling, courses, again)
    return as_runs(label, problem, seeds, max_steps, courses, timing)


def _recorded(
    solver: Solver, flat: Flat, start: np.ndarray, tol: float, max_steps: int
) -> Course:
    course = Course(flat, start, tol, max_steps)
    first = ("residuals", "jacobians") if solver.fits else ("gradients",)
    course.work[0] = dict.fromkeys(first, 1)
    if course.is_over:
        return course
    watch = Watch(flat, max_steps, course)
    try:
        course.finish(call(solver, watch, start, tol), watch.counts)
    except (ArithmeticError, ValueError):
        # Where every number was finite the solver has merely come to its end.
        course.gave_up = watch.met_nonfinite
        course.work[-1] = dict(watch.counts)
    return course
