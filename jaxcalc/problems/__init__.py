"""Problems with data, starts and known minima."""

import functools
from collections.abc import Callable
from typing import Any

from jaxcalc import _checks
from jaxcalc.problems.analytic import (
    beale,
    himmelblau,
    powell_singular,
    quadratic,
    rosenbrock,
)
from jaxcalc.problems.classification import breast_cancer, digits_softmax
from jaxcalc.problems.mgh import FACTORIES, more_garbow_hillstrom
from jaxcalc.problems.network import digits_network
from jaxcalc.problems.nist import nist, nist_names
from jaxcalc.problems.nonlinear_regression import (
    exponential_decay,
    gaussian_peaks,
    nonlinear_regression,
    rational_peak,
)
from jaxcalc.problems.problem import Problem
from jaxcalc.problems.regression import diabetes, five_points

__all__ = [
    "Problem",
    "beale",
    "breast_cancer",
    "diabetes",
    "digits_network",
    "digits_softmax",
    "exponential_decay",
    "five_points",
    "gaussian_peaks",
    "get",
    "himmelblau",
    "more_garbow_hillstrom",
    "names",
    "nist",
    "nist_names",
    "nonlinear_regression",
    "powell_singular",
    "quadratic",
    "rational_peak",
    "rosenbrock",
]

_FACTORIES: dict[str, Callable[..., Problem]] = {
    factory.__name__: factory
    for factory in (
        beale,
        breast_cancer,
        diabetes,
        digits_network,
        digits_softmax,
        exponential_decay,
        five_points,
        gaussian_peaks,
        himmelblau,
        powell_singular,
        quadratic,
        rational_peak,
        rosenbrock,
    )
}
_FACTORIES |= {f"mgh_{factory.__name__}": factory for factory in FACTORIES}
_FACTORIES |= {f"nist_{name}": functools.partial(nist, name) for name in nist_names()}


def names() -> tuple[str, ...]:
    """Names of all problems in the library.

    Returns:
        The names, sorted.
    """
    return tuple(sorted(_FACTORIES))


def get(name: str, **options: Any) -> Problem:
    """Build a problem by its name.

    Args:
        name: One of `names()`.
        **options: What the problem's factory takes, for example `dimension=10`.

    Returns:
        The problem.

    Raises:
        ValueError: The name is unknown; the message lists the known ones.
        TypeError: The problem has no such option.
    """
    return _FACTORIES[_checks.known("problem", name, names())](**options)
