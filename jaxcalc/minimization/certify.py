"""Say whether a point is a minimum, and what it is if it is none."""

from collections.abc import Callable
from typing import Any

import jax
from jax.core import Tracer
from jaxtyping import PyTree

from jaxcalc import _checks
from jaxcalc.minimization._certify_judge import judge
from jaxcalc.minimization._certify_record import Certificate, Verdict
from jaxcalc.minimization._certify_tools import tools

__all__ = ["Certificate", "Verdict", "certify"]


def certify(loss: Callable[..., Any], params: PyTree, *args: Any) -> Certificate:
    r"""Say what a point is: a minimum, a saddle, a maximum, or none of them.

    $$\nabla f(x) \approx 0, \qquad
      \lambda_{\min}\left(D^{-1} \nabla^2 f(x)\, D^{-1}\right) > \tau$$

    The scales $D$ bring every parameter to a curvature of about one, so that sizes that
    differ by a million do not make a minimum flat; signs of eigenvalues do not depend
    on them (Sylvester). The bound $\tau$ covers rounding, and the change of the Hessian
    on the way to the critical point, where a Newton step says it is.

    Where curvature vanishes, third and fourth derivatives along those directions say
    what they can: $x^4$ has a minimum, $x^3$ has none, and neither has the monkey
    saddle $x^3 - 3xy^2$. Where the gradient jumps, or the loss is not defined on every
    side, as seen along a few random directions, derivatives at the point say nothing,
    and the verdict is "undecided".

    A statement about this point and its close vicinity, in floating-point arithmetic;
    no proof: for that see interval arithmetic in `jaxcalc.analysis`. With up to 500
    parameters the Hessian is formed and all its eigenvalues are computed. With more,
    Lanczos iterations find the extreme ones: negative curvature that they find is
    certain, but that there is none is only likely. Vectors pass through the memory of
    one host.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.

    Returns:
        The verdict and what it rests on; `print` it. Where it is no minimum,
        `direction` leads to a lower point beside it.

    Raises:
        TypeError: `params` are not floating, the loss is not a floating scalar, or
            values are not known because something is being traced.
        ValueError: `params` is empty, or not finite.

    References:
        Nocedal and Wright (2006), Numerical Optimization, section 2.1, for the
        conditions. Kuczynski and Wozniakowski (1992), Estimating the largest eigenvalue
        by the power and Lanczos algorithms with a random start, SIAM Journal on Matrix
        Analysis and Applications 13(4), for why a random start rarely fails.
    """
    params = _checks.floating_params("params", params)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((params, args))):
        raise TypeError(
            "`certify` looks at values and can't be traced: call it outside of jax.jit "
            "and jax.vmap, on what they return"
        )
    _checks.finite("params", params)
    return judge(tools(loss, params, args))
