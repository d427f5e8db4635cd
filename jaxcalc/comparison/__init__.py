"""Fair, batched comparisons of optimizers."""

from jaxcalc.comparison.results import Comparison, Runs

__all__ = ["Comparison", "Runs"]
