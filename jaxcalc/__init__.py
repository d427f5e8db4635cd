"""Differential calculus for machine learning, as pure JAX functions."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxcalc import problems, sharding
from jaxcalc.comparison import Comparison, compare, load
from jaxcalc.minimization import Solution, Status, minimize, minimize_many
from jaxcalc.optimizers import (
    cubic,
    gauss_newton,
    levenberg_marquardt,
    newton,
    newton_cg,
    trust_region,
    trust_region_cg,
)
from jaxcalc.problems import Problem

if TYPE_CHECKING:
    from jaxcalc.analysis import (
        classify,
        convexity,
        critical_points,
        gradient_flow,
        sensitivity,
        study,
    )
    from jaxcalc.curvature import spectrum
    from jaxcalc.derivatives import check_derivatives, differentiability
    from jaxcalc.minimization import certify

__all__ = [
    "Comparison",
    "Problem",
    "Solution",
    "Status",
    "certify",
    "check_derivatives",
    "classify",
    "compare",
    "convexity",
    "critical_points",
    "cubic",
    "differentiability",
    "gauss_newton",
    "gradient_flow",
    "levenberg_marquardt",
    "load",
    "minimize",
    "minimize_many",
    "newton",
    "newton_cg",
    "problems",
    "sensitivity",
    "sharding",
    "spectrum",
    "study",
    "trust_region",
    "trust_region_cg",
]

# Imported when they are first used: whoever fits a model need not wait for them.
_LATER = {
    "certify": "jaxcalc.minimization",
    "check_derivatives": "jaxcalc.derivatives",
    "classify": "jaxcalc.analysis",
    "convexity": "jaxcalc.analysis",
    "critical_points": "jaxcalc.analysis",
    "differentiability": "jaxcalc.derivatives",
    "gradient_flow": "jaxcalc.analysis",
    "sensitivity": "jaxcalc.analysis",
    "spectrum": "jaxcalc.curvature",
    "study": "jaxcalc.analysis",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'jaxcalc' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
