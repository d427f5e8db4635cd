"""Derivatives one can trust: limits, differences, and where there is none."""

from jaxcalc.derivatives._kinds import Kind
from jaxcalc.derivatives.breaks import Breaks, find_breaks
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
from jaxcalc.derivatives.smoothness import Differentiability, differentiability
from jaxcalc.derivatives.taylor import Taylor, taylor_polynomial

__all__ = [
    "Breaks",
    "DerivativeError",
    "DerivativeFinding",
    "DerivativeReport",
    "Differentiability",
    "Estimate",
    "Kind",
    "LimitTable",
    "Line",
    "Taylor",
    "check_derivatives",
    "complex_step",
    "difference_quotient",
    "differentiability",
    "directional_derivative",
    "find_breaks",
    "limit_table",
    "numerical_derivative",
    "numerical_gradient",
    "numerical_hessian",
    "partial_derivative",
    "secant_line",
    "tangent_line",
    "taylor_polynomial",
]
