"""Whether a function of several variables is convex in a box, with proof or witness."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcalc import _checks
from jaxcalc.analysis._boxes_checks import bounds, derivatives_doubtful
from jaxcalc.analysis._boxes_field import Field
from jaxcalc.analysis._convexity_proof import Bounds, eigenvalue_bounds
from jaxcalc.analysis._convexity_records import BoxConvexity, Verdict, Witness
from jaxcalc.analysis._convexity_witness import curved, sampled
from jaxcalc.analysis.records import Evidence

_WORK = 100_000  # numbers of Hessians that intervals may enclose, at most


def convexity(
    f: Callable[..., Any],
    lower: Any,
    upper: Any,
    *args: Any,
    max_boxes: int | None = None,
) -> BoxConvexity:
    r"""Find out whether a function is convex, or concave, in a box.

    $$f \text{ convex} \iff \lambda_{\min}(\nabla^2 f(x)) \ge 0 \text{ for all } x$$

    for a function with two derivatives. Interval arithmetic bounds the eigenvalues of
    the Hessian over parts of the box, by Gershgorin's discs and by Weyl's inequality,
    and divides the parts that are not decided. Against convexity speaks a point and a
    direction along which the function bends down, or a chord that lies below the
    function; both are verified with intervals where there are rules for them.

    The answer may be None. A function whose Hessian is singular inside of the box, as
    that of log-sum-exp, is often convex by a hair that no interval can show; the bound
    then says by how much it may fail. Nor is a function proved to be convex that has
    kinks, or whose formula has a maximum, as those of `jnp.logaddexp` and
    `jax.nn.logsumexp` have: write it with `jnp.log1p` and `jnp.exp` where they are
    safe. Costs up to a second for the first call, most of it compiling.

    Args:
        f: A function `f(x, *args) -> scalar`, written with `jax.numpy`.
        lower: Lower corner of the box, in the structure of `x`; finite.
        upper: Upper corner, above the lower one in every number.
        *args: Data handed on to `f`.
        max_boxes: How many boxes interval arithmetic may look at; 0 for no proof. By
            default 25,000 for two variables, less for more.

    Returns:
        Two answers, for convex and for concave, each with proof or witness.

    Raises:
        TypeError: `f` cannot be traced, or does not return a floating scalar; a bound
            is not made of numbers.
        ValueError: The bounds are not finite, not in order, or not of one shape.

    References:
        Boyd and Vandenberghe (2004), Convex Optimization, section 3.1.
        Adjiman, Dallwig, Floudas and Neumaier (1998), A global optimization method,
        alphaBB, section 3.
    """
    low, high, form = bounds(lower, upper)
    if max_boxes is None:
        max_boxes = _WORK // form.size**2
    max_boxes = _checks.positive_int("max_boxes", max_boxes, minimum=0)
    with jax.enable_x64(True):
        field = Field(f, form, args)
        field.trusted = not derivatives_doubtful(field, low, high - low)
        return _convexity(field, low, high, max_boxes)


def _convexity(
    field: Field, low: np.ndarray, high: np.ndarray, budget: int
) -> BoxConvexity:
    seen = sampled(field, low, high)
    found = {sign: curved(field, low, high, seen, sign) for sign in (1, -1)}
    limits = None
    # What is known to fail for both needs no proof.
    if budget and field.provable and not all(found.values()):
        open_signs = [sign for sign, witness in found.items() if witness is None]
        limits = eigenvalue_bounds(
            field, low, high, (seen.least, seen.most), open_signs, budget
        )
    verdicts = {
        sign: _verdict(field, sign, found[sign], limits, seen.undefined)
        for sign in (1, -1)
    }
    return BoxConvexity(
        lower=field.form.fold(low),
        upper=field.form.fold(high),
        convex=verdicts[1],
        concave=verdicts[-1],
        boxes=limits.boxes if limits else 0,
        unknown=field.unknown,
    )


def _verdict(
    field: Field,
    sign: int,
    found: tuple[Witness, bool] | None,
    limits: Bounds | None,
    undefined: np.ndarray | None,
) -> Verdict:
    bound = -sign * np.inf
    if limits is not None:
        bound = limits.low if sign > 0 else limits.high
    if undefined is not None:
        place = Witness(
            x=field.form.fold(undefined),
            direction=field.form.fold(np.zeros(field.size)),
            curvature=np.nan,
            gap=np.nan,
        )
        reason = "the function has no value"
        return Verdict(
            holds=False,
            evidence=Evidence.NUMERICAL,
            bound=bound,
            strong=False,
            witness=place,
            reason=reason,
        )
    if found is not None:
        witness, sure = found
        return Verdict(
            holds=False,
            evidence=Evidence.PROVED if sure else Evidence.NUMERICAL,
            bound=bound,
            strong=False,
            witness=witness,
            reason=_against(witness, sign),
        )
    if limits is not None and sign * bound >= 0:
        end = "no eigenvalue of the Hessian is "
        end += f"{'below' if sign > 0 else 'above'} {bound:.6g}"
        return Verdict(
            holds=True,
            evidence=Evidence.PROVED,
            bound=bound,
            strong=sign * bound > 0,
            witness=None,
            reason=end,
        )
    return Verdict(
        holds=None,
        evidence=Evidence.UNRESOLVED,
        bound=bound,
        strong=False,
        witness=None,
        reason=_open(field, limits, sign, bound),
    )


def _against(witness: Witness, sign: int) -> str:
    if np.isnan(witness.gap):
        way = "down" if sign > 0 else "up"
        return f"it bends {way} ({witness.curvature:.4g} along a direction)"
    way = "above" if sign > 0 else "below"
    return f"it lies {abs(witness.gap):.3g} {way} the middle of a chord"


def _open(field: Field, limits: Bounds | None, sign: int, bound: float) -> str:
    if field.unknown:
        return f"there is no interval rule for {', '.join(field.unknown)}"
    if not field.trusted:
        return "values and derivatives do not agree: ask check_derivatives"
    if limits is None:
        return "no proof was asked for, and nothing was found against it"
    if not np.isfinite(bound):
        return "the function can not be shown to be smooth: look for max, abs, where"
    way = "below" if sign > 0 else "above"
    return f"no eigenvalue of the Hessian is {way} {bound:.3g}, nothing else is known"
