"""The minimization loop, how it ends, and what it records."""

from jaxcalc.minimization.minimize import minimize
from jaxcalc.minimization.solution import Solution, Status, Trace, Work

__all__ = ["Solution", "Status", "Trace", "Work", "minimize"]
