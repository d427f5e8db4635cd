"""Curvature at scale: products, spectra and traces of Hessians."""

from jaxcalc.curvature.dense import block_hessians, dense_hessian, hessian_diagonal
from jaxcalc.curvature.density import (
    SpectralDensity,
    operator_density,
    spectral_density,
)
from jaxcalc.curvature.estimators import (
    Estimate,
    estimate_diagonal,
    frobenius_norm,
    trace,
)
from jaxcalc.curvature.fisher import empirical_fisher_vp, fisher_vp
from jaxcalc.curvature.hessian import as_matrix, as_product
from jaxcalc.curvature.lanczos import eigenpairs
from jaxcalc.curvature.products import gauss_newton_hessian, ggn_vp, hvp
from jaxcalc.curvature.spectrum import Spectrum, layer_spectra, spectrum
from jaxcalc.curvature.thick_restart import Eigenpairs

__all__ = [
    "Eigenpairs",
    "Estimate",
    "SpectralDensity",
    "Spectrum",
    "as_matrix",
    "as_product",
    "block_hessians",
    "dense_hessian",
    "eigenpairs",
    "empirical_fisher_vp",
    "estimate_diagonal",
    "fisher_vp",
    "frobenius_norm",
    "gauss_newton_hessian",
    "ggn_vp",
    "hessian_diagonal",
    "hvp",
    "layer_spectra",
    "operator_density",
    "spectral_density",
    "spectrum",
    "trace",
]
