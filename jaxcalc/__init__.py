"""Differential calculus for machine learning, as pure JAX functions."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxcalc import problems
from jaxcalc.comparison import Comparison, compare, load
from jaxcalc.minimization import Solution, Status, minimize
from jaxcalc.optimizers import newton, trust_region
from jaxcalc.problems import Problem

if TYPE_CHECKING:
    from jaxcalc.derivatives import check_derivatives, differentiability

__all__ = [
    "Comparison",
    "Problem",
    "Solution",
    "Status",
    "check_derivatives",
    "compare",
    "differentiability",
    "load",
    "minimize",
    "newton",
    "problems",
    "trust_region",
]

# Imported when they are first used: whoever fits a model need not wait for them.
_LATER = {
    "check_derivatives": "jaxcalc.derivatives",
    "differentiability": "jaxcalc.derivatives",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'jaxcalc' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
