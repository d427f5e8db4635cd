"""Second-order optimizers in optax's protocol."""

from jaxcalc.optimizers.backtracking import scale_by_backtracking
from jaxcalc.optimizers.cubic import cubic
from jaxcalc.optimizers.newton import newton, scale_by_newton
from jaxcalc.optimizers.trust_region import trust_region

__all__ = [
    "cubic",
    "newton",
    "scale_by_backtracking",
    "scale_by_newton",
    "trust_region",
]
