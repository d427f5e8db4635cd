"""The method of Levenberg and Marquardt for nonlinear least squares."""

from collections.abc import Callable
from typing import Any

import optax
from jaxtyping import PyTree

from jaxcalc import _checks
from jaxcalc.optimizers import _damping
from jaxcalc.optimizers._least_squares import Method, checked_cosine, optimizer

_DAMPINGS = {"more": _damping.more, "nielsen": _damping.nielsen}
# Transtrum and Sethna (2012), section 4: the longest acceleration that is trusted.
_TRUSTED = 0.75


def levenberg_marquardt(
    residual_fn: Callable[[PyTree], Any] | None = None,
    *,
    damping: str = "more",
    radius: float | None = None,
    penalty: float | None = None,
    geodesic: bool = False,
    cosine: float | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Nonlinear least squares, by linearized residuals within a trust region.

    $$s_k = \arg\min_{\|D_k s\| \le \Delta_k} \|r_k + J_k s\|^2
      \quad\Longleftrightarrow\quad
      (J_k^\top J_k + \mu_k D_k^2)\, s_k = -J_k^\top r_k$$

    For losses $c \|r(x)\|^2$ with any constant $c > 0$, which is found by itself:
    `minimize(loss, start, levenberg_marquardt(), residual_fn=residual)`. A loss whose
    gradient is not that of such a sum is noticed, and minimized by its own Hessian from
    there on, as `trust_region` does; the residual is then of no use.

    The scaled Jacobian is reduced by a QR factorization, and its singular values serve
    every damping that is tried at a point: a rejected step is a zero update, and the
    next one costs one residual. No normal equations are formed. Parameters of very
    different sizes need no rescaling: $D$ holds the lengths of the Jacobian's columns,
    which shrink by no more than a tenth in a step that the model foretold.

    $J^\top J$ has no negative eigenvalues, so a saddle point looks like a minimum to
    it. Where the gradient vanishes, the Hessian of the loss decides; negative curvature
    is followed. Where a large residual makes the method slow near a minimum, that
    Hessian takes the place of $J^\top J$.

    A run ends as converged, under the default tolerance of `minimize`, where the
    residual is orthogonal to each column of the Jacobian (MINPACK's test), and to all
    of them together: the parameters are right to `cosine` of their standard errors.

    Memory is $m n$ and time about $2 m n^2 + 20 n^3$ for each accepted step, with $m$
    residuals and $n$ parameters, beside $\min(m, n)$ products with the Jacobian.

    Args:
        residual_fn: `residual_fn(params)`, an array with an entry for each observation,
            or a tree of arrays. One that is passed to `update` goes first.
        damping: "more" keeps a radius $\Delta$; "nielsen" keeps the penalty $\mu$, and
            moves it smoothly with the ratio of actual to predicted decrease.
        radius: The first radius, in scaled parameters, which have the units of the
            residual; by default a tenth of the size of the scaled start, or a
            thousandth of the residual's if that is larger.
        penalty: The first penalty, in units of loss, for "nielsen"; by default a
            thousandth of the largest eigenvalue.
        geodesic: Whether to correct each step by half the acceleration that keeps it on
            a geodesic, for one more second derivative of the residual along the step;
            it helps in narrow curved valleys.
        cosine: Of the angle that counts as a right one; by default the square root of
            the dtype's rounding unit, 1.5e-8 in float64 and 3.5e-4 in float32.

    Returns:
        An optimizer that takes `value`, `grad`, `value_fn` and `residual_fn` by
        keyword.

    Raises:
        TypeError: `residual_fn` is not a function, or a number is not one.
        ValueError: `damping` is not known, `radius` or `penalty` is not positive or
            belongs to the other damping, or `cosine` is not between 0 and 1.

    References:
        Moré (1978), The Levenberg-Marquardt algorithm: implementation and theory.
        Nielsen (1999), Damping parameter in Marquardt's method. Transtrum and Sethna
        (2012), Improvements to the Levenberg-Marquardt algorithm for nonlinear
        least-squares minimization. Bates and Watts (1981), A relative offset
        orthogonality convergence criterion for nonlinear least squares. Dennis, Gay and
        Welsch (1981), An adaptive nonlinear least-squares algorithm, for the part of
        the Hessian that Gauss-Newton leaves out.
    """
    way = _DAMPINGS[_checks.known("damping", damping, _DAMPINGS)]
    others = {"radius": ("more", radius), "penalty": ("nielsen", penalty)}
    for name, (owner, number) in others.items():
        if number is not None and owner != damping:
            raise ValueError(
                f"`{name}` belongs to damping={owner!r}, got damping={damping!r}"
            )
    if radius is not None:
        radius = _checks.positive_float("radius", radius)
    if penalty is not None:
        penalty = _checks.positive_float("penalty", penalty)
    if residual_fn is not None and not callable(residual_fn):
        raise TypeError(f"`residual_fn` must be a function, got {residual_fn!r}")
    return optimizer(
        Method(
            name="levenberg_marquardt",
            damping=way,
            bound=radius if damping == "more" else penalty,
            cosine=checked_cosine(cosine),
            least=False,
            residual_fn=residual_fn,
            bend=_TRUSTED if geodesic else None,
        )
    )
