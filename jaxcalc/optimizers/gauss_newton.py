"""The method of Gauss and Newton, with a line search."""

from collections.abc import Callable
from typing import Any

import optax
from jaxtyping import PyTree

from jaxcalc.optimizers import _damping
from jaxcalc.optimizers._least_squares import Method, checked_cosine, optimizer


def gauss_newton(
    residual_fn: Callable[[PyTree], Any] | None = None,
    *,
    hessian_fn: Callable[[PyTree], Any] | None = None,
    cosine: float | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Nonlinear least squares, by full steps to the minimum of linearized residuals.

    $$s_k = -t_k\, J_k^+ r_k, \qquad J_k^+ \text{ the pseudoinverse, by QR and SVD}$$

    The step is that of least norm where the Jacobian has not full rank. It is taken if
    the loss falls by a ten-thousandth of what the model predicts; otherwise the update
    is zero, and the next trial is shorter, at the price of one residual.

    Fast where residuals are small or nearly linear. Far from the solution, and where
    the Jacobian is close to losing rank, steps are long and the search shortens them
    many times: `levenberg_marquardt` is the safer choice. The constant of the loss,
    losses that are no sum of squares, saddle points, slow ends and the test of
    convergence are treated as there.

    For other losses of a model's outputs, `output_loss(model(params))`, pass the
    generalized Gauss-Newton matrix in place of a residual:
    `minimize(loss, start, gauss_newton(), hessian_fn=gauss_newton_hessian(model,
    output_loss))`, see `jaxcalc.curvature.gauss_newton_hessian`. The step is then
    $-t G^+ g$; for models that are linear in their parameters it is Newton's.

    Args:
        residual_fn: `residual_fn(params)`, an array with an entry for each observation,
            or a tree of arrays. One that is passed to `update` goes first.
        hessian_fn: `hessian_fn(params)`, the curvature for a loss without residual: a
            matrix, a tree, or a function that multiplies a tangent, positive
            semidefinite. One that is passed to `update` goes first; none is used where
            there is a residual.
        cosine: See `levenberg_marquardt`.

    Returns:
        An optimizer that takes `value`, `grad`, `value_fn` and `residual_fn` or
        `hessian_fn` by keyword.

    Raises:
        TypeError: `residual_fn` or `hessian_fn` is not a function.
        ValueError: `cosine` is not between 0 and 1.

    References:
        Nocedal and Wright (2006), Numerical Optimization, section 10.3. Schraudolph
        (2002), Fast curvature matrix-vector products for second-order gradient descent.
    """
    for name, given in {"residual_fn": residual_fn, "hessian_fn": hessian_fn}.items():
        if given is not None and not callable(given):
            raise TypeError(f"`{name}` must be a function, got {given!r}")
    return optimizer(
        Method(
            name="gauss_newton",
            damping=_damping.line_search,
            bound=None,
            cosine=checked_cosine(cosine),
            least=True,
            residual_fn=residual_fn,
            hessian_fn=hessian_fn,
        )
    )
