"""Problems with data, starts and known minima."""

from jaxcalc.problems.problem import Problem

__all__ = ["Problem"]
