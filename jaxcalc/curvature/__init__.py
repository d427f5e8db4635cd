"""Curvature at scale: products, spectra and traces of Hessians."""

from jaxcalc.curvature.dense import block_hessians, dense_hessian, hessian_diagonal
from jaxcalc.curvature.hessian import as_matrix, as_product
from jaxcalc.curvature.products import gauss_newton_hessian, ggn_vp, hvp

__all__ = [
    "as_matrix",
    "as_product",
    "block_hessians",
    "dense_hessian",
    "gauss_newton_hessian",
    "ggn_vp",
    "hessian_diagonal",
    "hvp",
]
