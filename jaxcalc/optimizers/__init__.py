"""Second-order optimizers in optax's protocol."""

from jaxcalc.optimizers.backtracking import scale_by_backtracking
from jaxcalc.optimizers.cubic import cubic
from jaxcalc.optimizers.gauss_newton import gauss_newton
from jaxcalc.optimizers.levenberg_marquardt import levenberg_marquardt
from jaxcalc.optimizers.newton import newton, scale_by_newton
from jaxcalc.optimizers.newton_cg import newton_cg
from jaxcalc.optimizers.trust_region import trust_region
from jaxcalc.optimizers.trust_region_cg import trust_region_cg

__all__ = [
    "cubic",
    "gauss_newton",
    "levenberg_marquardt",
    "newton",
    "newton_cg",
    "scale_by_backtracking",
    "scale_by_newton",
    "trust_region",
    "trust_region_cg",
]
