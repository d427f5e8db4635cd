"""Fair, batched comparisons of optimizers."""

from jaxcalc.comparison import profiles
from jaxcalc.comparison.compare import compare
from jaxcalc.comparison.results import Comparison, Runs
from jaxcalc.comparison.saved import load
from jaxcalc.comparison.search import choice, log_uniform, search, uniform

__all__ = [
    "Comparison",
    "Runs",
    "choice",
    "compare",
    "load",
    "log_uniform",
    "profiles",
    "search",
    "uniform",
]
