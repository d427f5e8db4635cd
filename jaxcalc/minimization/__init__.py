"""The minimization loop, how it ends, and what it records."""

from jaxcalc.minimization.certify import Certificate, Verdict, certify
from jaxcalc.minimization.many import minimize_many
from jaxcalc.minimization.minimize import minimize
from jaxcalc.minimization.solution import Solution, Status, Trace, Work
from jaxcalc.minimization.solutions import ManySolutions, Minimum

__all__ = [
    "Certificate",
    "ManySolutions",
    "Minimum",
    "Solution",
    "Status",
    "Trace",
    "Verdict",
    "Work",
    "certify",
    "minimize",
    "minimize_many",
]
