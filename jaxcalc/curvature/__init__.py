"""Curvature at scale: products, spectra and traces of Hessians."""

from jaxcalc.curvature.products import gauss_newton_hessian, ggn_vp, hvp

__all__ = ["gauss_newton_hessian", "ggn_vp", "hvp"]
