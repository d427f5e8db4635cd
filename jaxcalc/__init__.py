"""Differential calculus for machine learning, as pure JAX functions."""

from jaxcalc import problems
from jaxcalc.comparison import Comparison, compare, load
from jaxcalc.minimization import Solution, Status, minimize
from jaxcalc.optimizers import newton, trust_region
from jaxcalc.problems import Problem

__all__ = [
    "Comparison",
    "Problem",
    "Solution",
    "Status",
    "compare",
    "load",
    "minimize",
    "newton",
    "problems",
    "trust_region",
]
