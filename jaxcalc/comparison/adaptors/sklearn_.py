"""scikit-learn's logistic regressions in a comparison."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jaxcalc import _checks
from jaxcalc.comparison.adaptors._courses import Course, as_runs, measure
from jaxcalc.comparison.adaptors._flat import flat_point, flatten, warm
from jaxcalc.comparison.adaptors.external import (
    External,
    needs_batches,
    package,
    titled,
)
from jaxcalc.comparison.results import Runs
from jaxcalc.problems import Problem
from jaxcalc.problems.classification import (
    logistic_regression_loss,
    softmax_regression_loss,
)

# Those that minimize the smooth loss, by whole passes over the data.
_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky")
# What each method of scikit-learn's loss evaluates.
_EVALUATES = {
    "loss": ("values",),
    "loss_gradient": ("gradients",),
    "gradient": ("gradients",),
    "gradient_hessian": ("gradients", "hessians"),
    "gradient_hessian_product": ("gradients",),
}
# Stands for no penalty at all, in every version.
_NO_PENALTY = 1e300


def sklearn(solver: str, *, every: bool | None = None) -> External:
    r"""One of the solvers of scikit-learn's `LogisticRegression`, in a comparison.

    For `jaxcalc.problems` whose loss is `logistic_regression_loss` or
    `softmax_regression_loss`. scikit-learn weighs the sum of the losses against the
    penalty; with $C = 1 / (n \lambda)$ it minimizes the very same loss. Where the
    penalty is on the intercepts too, they are the weights of a feature that is one.

    scikit-learn keeps its iterates to itself. A trace is made by fitting anew with
    `max_iter` 1, 2, 3, ...; without that it has the start and the end, and nothing
    between them. The tolerance is the comparison's, on the gradient's largest entry.
    Evaluations are counted as methods of scikit-learn's loss are called. A step's
    seconds are those of a fit, less those of a fit without iterations, by iterations.

    scikit-learn is given the data, and its start, in float64.

    Args:
        solver: "lbfgs", "newton-cg" or "newton-cholesky".
        every: Whether to fit anew for each step. By default for the Newton methods,
            which need few.

    Returns:
        The entry.

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: The solver is unknown, or minimizes another loss.
    """
    package("sklearn.linear_model", "scikit-learn")
    _checks.known("smooth solver of scikit-learn", solver, _SOLVERS)
    every = solver != "lbfgs" if every is None else every
    label = titled("scikit-learn", solver, "scikit-learn")
    return External(
        label=label,
        digest=f"{label} every={every}",
        run=partial(_run, solver, every, label),
        supports=_supports,
    )


def _supports(problem: Problem) -> str:
    if problem.loss not in (logistic_regression_loss, softmax_regression_loss):
        return (
            "scikit-learn's LogisticRegression minimizes the logistic or softmax loss "
            f"of a linear model, and {problem.name} has another loss"
        )
    classes = len(np.unique(problem.args[1]))
    expected = _classes(problem)
    if classes != expected:
        return (
            f"scikit-learn finds {classes} classes in the labels of {problem.name}, "
            f"which has weights for {expected}"
        )
    if problem.loss is softmax_regression_loss and classes < 3:
        return "scikit-learn gives two classes one vector of weights, not two"
    return needs_batches(problem)


def _classes(problem: Problem) -> int:
    if problem.loss is logistic_regression_loss:
        return 2
    return problem.size // (problem.args[0].shape[1] + 1)


class _Data(NamedTuple):
    """A problem as scikit-learn takes it."""

    X: np.ndarray
    y: np.ndarray
    C: float
    fit_intercept: bool
    classes: int


def _data(problem: Problem) -> _Data:
    X, y, ridge = (np.asarray(array) for array in problem.args)
    X = np.asarray(X, np.float64)
    binary = problem.loss is logistic_regression_loss
    if not binary:
        X = np.column_stack([np.ones(len(X)), X])
    C = 1 / (len(X) * float(ridge)) if ridge else _NO_PENALTY
    return _Data(X, y, C, binary, _classes(problem))


def _fit(
    data: _Data, solver: str, start: np.ndarray, tol: float, max_iter: int
) -> tuple[np.ndarray, int]:
    """Fit from a start; the point where it ends, and after how many iterations."""
    model = package("sklearn.linear_model", "scikit-learn").LogisticRegression(
        C=data.C,
        fit_intercept=data.fit_intercept,
        solver=solver,
        tol=tol,
        max_iter=max_iter,
        warm_start=True,
    )
    start = np.asarray(start, np.float64)
    if data.fit_intercept:  # the intercept comes first, by the alphabet
        model.coef_, model.intercept_ = start[None, 1:], start[:1]
    else:
        model.coef_ = start.reshape(-1, data.classes).T.copy()
        model.intercept_ = np.zeros(data.classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.X, data.y)
    if data.fit_intercept:
        point = np.concatenate([model.intercept_, model.coef_[0]])
    else:
        point = model.coef_.T.ravel()
    return point, int(np.max(model.n_iter_))


def _run(
    solver: str,
    every: bool,
    label: str,
    problem: Problem,
    seeds: Sequence[int],
    max_steps: int,
    tol: float,
) -> Runs:
    reason = _supports(problem)
    if reason:
        raise ValueError(reason)
    tol = float(tol) or float(np.finfo(np.float64).tiny)  # it takes no zero
    flat, data = flatten(problem), _data(problem)
    starts = [flat_point(problem.start(seed)) for seed in seeds]
    warm(flat.value_and_grad, starts[0])
    courses = []
    for start in starts:
        course = Course(flat, start, tol, max_steps)
        course.work[0] = {"gradients": 1}
        _record(course, partial(_fit, data, solver, start, tol), every, max_steps)
        courses.append(course)

    def seconds(lane: int, max_iter: int) -> float:
        begin = time.perf_counter()
        _fit(data, solver, starts[lane], tol, max_iter)
        return time.perf_counter() - begin

    idle = float(np.median([seconds(0, 0) for _ in range(3)]))
    timing = measure(
        0.0, courses, lambda lane: seconds(lane, courses[lane].steps) - idle
    )
    return as_runs(label, problem, seeds, max_steps, courses, timing)


def _record(
    course: Course, fit: Callable[[int], Any], every: bool, max_steps: int
) -> None:
    """Write down a fit: each of its iterations, or where it ends."""
    if course.is_over:
        return
    try:
        counts: Counter[str] = Counter()
        with _counting(counts):
            end, steps = fit(max_steps)
        for k in range(1, steps if every else 1):
            before: Counter[str] = Counter()
            with _counting(before):
                point, _ = fit(k)
            course.add(point, before, k)
            if course.is_over:
                return
        if steps:
            course.add(end, counts, steps)
    except (ArithmeticError, ValueError):
        course.gave_up = True


@contextmanager
def _counting(counts: Counter[str]) -> Iterator[None]:
    """Count what scikit-learn evaluates, while this lasts."""
    kind = package("sklearn.linear_model._linear_loss", "scikit-learn").LinearModelLoss
    known = {name: getattr(kind, name) for name in _EVALUATES}
    depth = 0

    def watched(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal depth
            if not depth:
                counts.update(_EVALUATES[name])
            depth += 1
            try:
                found = known[name](*args, **options)
            finally:
                depth -= 1
            if name != "gradient_hessian_product":
                return found
            gradient, product = found
            return gradient, _counted(product, counts)

        return call

    try:
        for name in known:
            setattr(kind, name, watched(name))
        yield
    finally:
        for name, function in known.items():
            setattr(kind, name, function)


def _counted(product: Callable[..., Any], counts: Counter[str]) -> Callable[..., Any]:
    def call(vector: np.ndarray) -> np.ndarray:
        counts["hvps"] += 1
        return product(vector)

    return call
