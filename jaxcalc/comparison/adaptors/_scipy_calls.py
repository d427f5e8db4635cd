"""How SciPy's methods are called, and what they call, counted."""

import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from jaxcalc.comparison.adaptors._courses import Course
from jaxcalc.comparison.adaptors._flat import Flat, warm
from jaxcalc.comparison.adaptors.external import package

_EPS = float(np.finfo(np.float64).eps)
_MANY = 2**31 - 1
_OURS = "tol"  # stands for the comparison's tolerance
PRODUCTS = {"Newton-CG", "trust-constr", "trust-krylov", "trust-ncg"}
_DENSE = {"dogleg", "trust-exact"}
# What ends a run is our tolerance on the gradient; a solver's other criteria are set so
# that they end it only where nothing more can be gained.
MINIMIZE: dict[str, dict[str, Any]] = {
    "BFGS": {"gtol": _OURS},
    "CG": {"gtol": _OURS},
    "L-BFGS-B": {"gtol": _OURS, "ftol": 0.0, "maxfun": _MANY},
    "Newton-CG": {"xtol": 0.0},
    "SLSQP": {"ftol": float(np.finfo(np.float64).tiny)},
    "TNC": {"gtol": 0.0, "ftol": 0.0, "xtol": 0.0, "maxfun": _MANY},
    "dogleg": {"gtol": _OURS},
    "trust-constr": {"gtol": _OURS, "xtol": _EPS},
    "trust-exact": {"gtol": _OURS},
    "trust-krylov": {"gtol": _OURS},
    "trust-ncg": {"gtol": _OURS},
}
LEAST_SQUARES: dict[str, dict[str, Any]] = {
    "lm": {"ftol": _EPS, "xtol": _EPS, "gtol": _EPS},
    "trf": {"ftol": None, "xtol": _EPS, "gtol": None},
    "dogbox": {"ftol": None, "xtol": _EPS, "gtol": None},
}


class Solver(NamedTuple):
    """One of SciPy's methods, with the user's options."""

    method: str
    dense: bool
    options: dict[str, Any]

    @property
    def fits(self) -> bool:
        """Whether it is for sums of squares."""
        return self.method in LEAST_SQUARES


class Watch:
    """Counts what a solver evaluates, and ends it where its course is over."""

    def __init__(self, flat: Flat, max_steps: int, course: Course | None = None):
        self._flat, self._left, self._course = flat, max_steps, course
        self.counts: Counter[str] = Counter()
        self.met_nonfinite = False
        self.last = np.zeros(0)  # the latest iterate

    def value_and_grad(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        value, grad = self._flat.value_and_grad(x)
        self._seen("gradients", value, grad)
        return float(value), grad

    def hessian(self, x: np.ndarray) -> np.ndarray:
        return self._seen("hessians", self._flat.hessian(x))

    def product(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return self._seen("hvps", self._flat.product(x, p))

    def residual(self, x: np.ndarray) -> np.ndarray:
        return self._seen("residuals", self._flat.residual(x))

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        return self._seen("jacobians", self._flat.jacobian(x))

    def arrive(self, x: np.ndarray) -> None:
        """What SciPy calls at every iterate."""
        self._left -= 1
        self.last = np.array(x)
        if self._course is not None:
            self._course.add(x, self.counts)
        if self._left <= 0 or (self._course is not None and self._course.is_over):
            raise StopIteration

    def _seen(self, kind: str, *found: Any) -> Any:
        self.counts[kind] += 1
        # Timed runs are repeated, and their numbers known.
        if self._course is not None:
            self.met_nonfinite |= not all(np.isfinite(f).all() for f in found)
        return found[0]


def call(
    solver: Solver, watch: Watch, start: np.ndarray, tol: float, *, quiet: bool = True
) -> np.ndarray:
    """Run one of SciPy's methods.

    Args:
        solver: The method.
        watch: Evaluates, counts, and ends the run.
        start: Where it starts.
        tol: The comparison's tolerance.
        quiet: Whether to keep its warnings from people.

    Returns:
        The point that it returns.
    """
    start = np.asarray(start, np.float64)
    run = _fit if solver.fits else _minimize
    with warnings.catch_warnings(), np.errstate(all="ignore" if quiet else "warn"):
        warnings.simplefilter("ignore" if quiet else "error")
        try:
            return run(solver, watch, start, tol)
        except StopIteration:  # which "lm" and "TNC" let through
            return watch.last


def _minimize(
    solver: Solver, watch: Watch, start: np.ndarray, tol: float
) -> np.ndarray:
    method = solver.method
    second: dict[str, Any] = {}
    if method in _DENSE or solver.dense:
        second = {"hess": watch.hessian}
    elif method in PRODUCTS:
        second = {"hessp": watch.product}
    usual = {k: tol if v == _OURS else v for k, v in MINIMIZE[method].items()}
    options = {**usual, **solver.options}
    if method != "TNC":
        options["maxiter"] = _MANY
    begun = method != "trust-constr"

    def callback(x: np.ndarray, *more: Any) -> None:
        nonlocal begun
        del more
        if begun:
            watch.arrive(x)
        begun = True  # trust-constr begins at its start

    return (
        package("scipy.optimize", "SciPy")
        .minimize(
            watch.value_and_grad,
            start,
            jac=True,
            method=method,
            callback=callback,
            options=options,
            **second,
        )
        .x
    )


def _fit(solver: Solver, watch: Watch, start: np.ndarray, tol: float) -> np.ndarray:
    del tol  # theirs is on angles, or on half of our gradient; the watch ends the run
    options: dict[str, Any] = {
        **LEAST_SQUARES[solver.method],
        **solver.options,
        "max_nfev": _MANY,
    }
    if solver.method == "lm":
        return _fit_by_minpack(watch, start, options)
    return (
        package("scipy.optimize", "SciPy")
        .least_squares(
            watch.residual,
            start,
            jac=watch.jacobian,
            method=solver.method,
            callback=watch.arrive,
            **options,
        )
        .x
    )


def _fit_by_minpack(
    watch: Watch, start: np.ndarray, options: dict[str, Any]
) -> np.ndarray:
    """MINPACK knows no callback, but asks for a Jacobian at each point it accepts."""
    last = start

    def jacobian(x: np.ndarray) -> np.ndarray:
        nonlocal last
        found = watch.jacobian(x)
        if not np.array_equal(x, last):
            last = np.array(x)
            watch.arrive(last)
        return found

    return (
        package("scipy.optimize", "SciPy")
        .least_squares(watch.residual, start, jac=jacobian, method="lm", **options)
        .x
    )


def warm_up(solver: Solver, flat: Flat, start: np.ndarray) -> float:
    if solver.fits:
        functions = [(flat.residual, start), (flat.jacobian, start)]
    elif solver.method in _DENSE or solver.dense:
        functions = [(flat.hessian, start)]
    elif solver.method in PRODUCTS:
        functions = [(flat.product, start, start)]
    else:
        functions = []
    everything = [(flat.value_and_grad, start), *functions]
    return sum(warm(function, *points) for function, *points in everything)
