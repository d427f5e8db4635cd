"""What a function does: on an interval, in a box, and around a point."""

from jaxcalc.analysis.attribution import (
    IntegratedGradients,
    SmoothGradient,
    gradient_times_input,
    integrated_gradients,
    smooth_gradient,
)
from jaxcalc.analysis.gradient_flow import (
    FlowHistory,
    GradientFlow,
    LayerNorms,
    flow_history,
    gradient_flow,
    layer_norms,
    observe_flow,
)
from jaxcalc.analysis.importance import Importance, importance
from jaxcalc.analysis.one_variable import study
from jaxcalc.analysis.results import Study
from jaxcalc.analysis.sensitivity import Sensitivity, sensitivity

__all__ = [
    "FlowHistory",
    "GradientFlow",
    "Importance",
    "IntegratedGradients",
    "LayerNorms",
    "Sensitivity",
    "SmoothGradient",
    "Study",
    "flow_history",
    "gradient_flow",
    "gradient_times_input",
    "importance",
    "integrated_gradients",
    "layer_norms",
    "observe_flow",
    "sensitivity",
    "smooth_gradient",
    "study",
]
