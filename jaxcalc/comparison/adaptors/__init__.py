"""Other packages' solvers in a comparison: SciPy's, optimistix's, scikit-learn's.

They are compared, not wrapped: each runs its own loop, with its own line searches, and
what it evaluates is counted where it calls. Points, values and gradients are then
judged by the rules of the comparison, whatever a solver says of itself.

    compare(problem, {"newton": newton(), "SciPy BFGS": adaptors.scipy("BFGS")})
"""

from jaxcalc.comparison.adaptors.external import External
from jaxcalc.comparison.adaptors.optimistix_ import optimistix
from jaxcalc.comparison.adaptors.scipy_ import scipy
from jaxcalc.comparison.adaptors.sklearn_ import sklearn

__all__ = ["External", "optimistix", "scipy", "sklearn"]
