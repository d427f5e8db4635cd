"""Pure losses, the models under them, and the dense Hessians they have in closed form.

A loss takes what a model put out (predictions, logits) and the targets, and returns
their mean over the examples. A model is a function of a parameter pytree and data.
"""

from jaxcalc.losses.classification import (
    hinge_loss,
    hinge_subgradient,
    logistic_loss,
    softmax_cross_entropy,
)
from jaxcalc.losses.hessians import linear_hessian, logistic_hessian, softmax_hessian
from jaxcalc.losses.models import (
    init_linear,
    init_mlp,
    line,
    linear,
    logistic,
    mlp,
)
from jaxcalc.losses.products import softmax_hessian_product
from jaxcalc.losses.regression import huber_loss, mean_squared_error, ridge_penalty

__all__ = [
    "hinge_loss",
    "hinge_subgradient",
    "huber_loss",
    "init_linear",
    "init_mlp",
    "line",
    "linear",
    "linear_hessian",
    "logistic",
    "logistic_hessian",
    "logistic_loss",
    "mean_squared_error",
    "mlp",
    "ridge_penalty",
    "softmax_cross_entropy",
    "softmax_hessian",
    "softmax_hessian_product",
]
