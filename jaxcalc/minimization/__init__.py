"""The minimization loop, how it ends, and what it records."""

from jaxcalc.minimization.many import minimize_many
from jaxcalc.minimization.minimize import minimize
from jaxcalc.minimization.solution import Solution, Status, Trace, Work
from jaxcalc.minimization.solutions import ManySolutions, Minimum

__all__ = [
    "ManySolutions",
    "Minimum",
    "Solution",
    "Status",
    "Trace",
    "Work",
    "minimize",
    "minimize_many",
]
