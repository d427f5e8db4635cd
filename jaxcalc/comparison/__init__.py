"""Fair, batched comparisons of optimizers."""

from jaxcalc.comparison import profiles
from jaxcalc.comparison.compare import compare
from jaxcalc.comparison.results import Comparison, Runs
from jaxcalc.comparison.saved import load

__all__ = ["Comparison", "Runs", "compare", "load", "profiles"]
