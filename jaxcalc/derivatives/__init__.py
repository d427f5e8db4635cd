"""Derivatives one can trust: limits, differences, and where there is none."""

from jaxcalc.derivatives.checking import check_derivatives
from jaxcalc.derivatives.differences import (
    complex_step,
    difference_quotient,
    numerical_derivative,
)
from jaxcalc.derivatives.ladder import Estimate
from jaxcalc.derivatives.lines import (
    LimitTable,
    Line,
    limit_table,
    secant_line,
    tangent_line,
)
from jaxcalc.derivatives.partials import (
    directional_derivative,
    numerical_gradient,
    numerical_hessian,
    partial_derivative,
)
from jaxcalc.derivatives.report import (
    DerivativeError,
    DerivativeFinding,
    DerivativeReport,
)
from jaxcalc.derivatives.taylor import Taylor, taylor_polynomial

__all__ = [
    "DerivativeError",
    "DerivativeFinding",
    "DerivativeReport",
    "Estimate",
    "LimitTable",
    "Line",
    "Taylor",
    "check_derivatives",
    "complex_step",
    "difference_quotient",
    "directional_derivative",
    "limit_table",
    "numerical_derivative",
    "numerical_gradient",
    "numerical_hessian",
    "partial_derivative",
    "secant_line",
    "tangent_line",
    "taylor_polynomial",
]
