"""What a function does: on an interval, in a box, and around a point."""

from jaxcalc.analysis._boxes_classify import classify
from jaxcalc.analysis._boxes_records import (
    BoxPoint,
    Classification,
    CriticalPoints,
    PointKind,
)
from jaxcalc.analysis._convexity_records import BoxConvexity
from jaxcalc.analysis.attribution import (
    IntegratedGradients,
    SmoothGradient,
    gradient_times_input,
    integrated_gradients,
    smooth_gradient,
)
from jaxcalc.analysis.boxes import critical_points
from jaxcalc.analysis.convexity import convexity
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
    "BoxConvexity",
    "BoxPoint",
    "Classification",
    "CriticalPoints",
    "FlowHistory",
    "GradientFlow",
    "Importance",
    "IntegratedGradients",
    "LayerNorms",
    "PointKind",
    "Sensitivity",
    "SmoothGradient",
    "Study",
    "classify",
    "convexity",
    "critical_points",
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
