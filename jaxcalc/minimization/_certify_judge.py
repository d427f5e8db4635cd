"""From the derivatives around a point to a verdict."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import PyTree

from jaxcalc.minimization._certify_around import Around, look_around, step_down
from jaxcalc.minimization._certify_flat import refine
from jaxcalc.minimization._certify_record import Certificate, Verdict
from jaxcalc.minimization._certify_scale import Curvature, curvature
from jaxcalc.minimization._certify_tools import TOGETHER, Evaluation, Tools


class _Critical(NamedTuple):
    """How a gradient compares with the curvature."""

    small: bool
    step: np.ndarray  # Newton's, to where the gradient vanishes
    gain: float  # what that step would gain
    tolerance: np.ndarray  # the gradient that counts as zero, in units of the loss


class _Spectrum(NamedTuple):
    """Eigenvalues of the scaled Hessian with all their errors."""

    values: np.ndarray
    error: float
    plain_error: float
    moved: float  # how much the curvature changes up to the critical point


def judge(tools: Tools) -> Certificate:
    """Say what a point is.

    Args:
        tools: The loss at the point and around it.

    Returns:
        The certificate.
    """
    here = tools.evaluate(tools.x)
    if not here.finite:
        what = "Hessian" if np.isfinite([here.value, *here.grad]).all() else "gradient"
        said = f"The loss or its {what} is infinite or NaN here."
        return _certificate(tools, here, None, Verdict.UNDECIDED, said)
    curved = curvature(tools, here)
    if not np.isfinite(curved.values).all():
        said = "The Hessian is infinite or NaN here."
        return _certificate(tools, here, None, Verdict.UNDECIDED, said)
    critical = _critical(tools, here, curved)
    around = look_around(tools, here, curved, critical.tolerance)
    if not around.finite:
        said = (
            f"Within {around.distance:.1g} of here the loss or its gradient becomes "
            "infinite or NaN: the Hessian says nothing of that side."
        )
        return _certificate(tools, here, curved, Verdict.UNDECIDED, said)
    if around.jump > 0 or around.drop > 0:
        return _certificate(
            tools,
            here,
            curved,
            Verdict.UNDECIDED,
            _kink(around),
            is_minimum=None if around.lower is None else False,
            direction=around.lower,
        )
    if not critical.small:
        return _not_critical(tools, here, curved, critical)
    spectrum = _spectrum(tools, here, curved, critical)
    return _by_curvature(tools, here, curved, critical, spectrum)


def _kink(around: Around) -> str:
    if around.drop > 0:
        return (
            f"Within {around.distance:.1g} of here the loss jumps down by "
            f"{around.drop:.2g}: its derivatives say nothing of that."
        )
    beside = (
        "it does not clearly fall to any side that was tried"
        if around.lower is None
        else "it falls to one side at least"
    )
    return (
        f"Within {around.distance:.1g} of here the gradient jumps by "
        f"{around.jump:.2g}, so that the Hessian says nothing of the loss; {beside}. "
        "See jaxcalc.differentiability."
    )


def _critical(tools: Tools, here: Evaluation, curved: Curvature) -> _Critical:
    """Whether the gradient vanishes, on the scale of the curvature."""
    # Entry by entry |g_i| <= sqrt(eps) sum_j |H_ij| l_j: a change of the parameters by
    # that part of their size explains it; or the rounding of a sum of such squares.
    root = tools.eps**0.5
    grad = here.grad / curved.scales
    rounded = 10 * tools.eps * abs(here.value) ** 0.5
    tolerance = root * curved.reach + rounded
    if curved.ends is None:
        slopes = curved.vectors.T @ grad
        known = np.abs(curved.values) > curved.rounding
        inverse = np.where(known, 1 / np.where(known, curved.values, 1.0), 0.0)
        step = -(curved.vectors @ (inverse * slopes)) / curved.scales
        left = curved.vectors @ np.where(known, 0.0, slopes)
        floor = np.maximum(np.abs(curved.values), curved.rounding)
        steep = np.where(slopes == 0, 0.0, 1 / np.where(floor > 0, floor, np.inf))
        gain = float(np.sum(slopes**2 * steep) / 2)
        if np.any((slopes != 0) & (floor == 0)):
            gain = np.inf
    else:
        scaled = tools.newton(curved.scales, -grad)
        scaled = np.where(np.isfinite(scaled), scaled, 0.0)
        step, gain = scaled / curved.scales, abs(float(grad @ scaled)) / 2
        many = np.resize(step, (TOGETHER, len(step)))
        left = grad + tools.products(tools.x, many)[0] / curved.scales
    # Runs stop on the scale of the loss, whatever the curvature. Then a Newton step
    # says how far they had to go; and where next to nothing is left to gain beside
    # the loss, it may be longer, or the gradient be judged by its largest entry.
    farthest = float(np.max(np.abs(step) / curved.lengths))
    together = np.max(np.abs(here.grad)) <= root * np.max(curved.reach * curved.scales)
    near = together or farthest <= tools.eps**0.25
    slight = farthest <= tools.eps**0.375
    slight |= near and gain <= root * abs(here.value)
    # What no step explains is a slope along directions without curvature.
    explained = np.all(np.abs(left) <= tolerance)
    small = np.all(np.abs(grad) <= tolerance) or (explained and slight)
    return _Critical(bool(small), step, gain, tolerance * curved.scales)


def _not_critical(
    tools: Tools, here: Evaluation, curved: Curvature, critical: _Critical
) -> Certificate:
    there = tools.evaluate(tools.x + critical.step)
    before = np.max(np.abs(here.grad) / curved.scales)
    calm = there.finite and np.max(np.abs(there.grad) / curved.scales) <= before / 10
    length = float(np.max(np.abs(critical.step)))
    verdict = Verdict.NOT_CRITICAL
    if calm:
        said = (
            f"A Newton step of {length:.2g} would lower the gradient by a factor of "
            "ten or more: a critical point lies about there."
        )
    elif critical.gain <= tools.eps * abs(here.value):
        verdict = Verdict.UNDECIDED
        said = (
            "What is left to gain is below the rounding of the loss, yet the gradient "
            "is not small beside the curvature, and a Newton step does not lower it: "
            "as on a plateau or a tail, where there is no minimum."
        )
    else:
        said = (
            f"A Newton step of {length:.2g} leads to no critical point: there may be "
            "none near."
        )
    unknown = None if verdict is Verdict.UNDECIDED else False
    return _certificate(
        tools,
        here,
        curved,
        verdict,
        said,
        step=critical.step,
        is_minimum=unknown,
    )


def _spectrum(
    tools: Tools, here: Evaluation, curved: Curvature, critical: _Critical
) -> _Spectrum:
    """Bound what rounding, and the way to the critical point, do to the eigenvalues."""
    # The Hessian is compared with those at the critical point, as far as a Newton step
    # tells where that is, a few rounding units to either side.
    rng = np.random.default_rng(1)
    signs = rng.choice([-1.0, 1.0], len(tools.x))
    beside = 4 * tools.eps * curved.lengths * signs
    scaled = plain = 0.0
    for side in (beside, -beside):
        by = _difference(tools, here, curved, tools.x + critical.step + side)
        scaled, plain = max(scaled, by[0]), max(plain, by[1])
    return _Spectrum(
        curved.values,
        curved.rounding + 2 * scaled,
        curved.plain_error + 2 * plain,
        scaled,
    )


def _difference(
    tools: Tools, here: Evaluation, curved: Curvature, there: np.ndarray
) -> tuple[float, float]:
    """How far apart two Hessians are, scaled and not; infinite if one is not finite."""
    if here.hessian is None:
        ends = (curved.vectors / curved.scales[:, None]).T
        vectors = np.resize(ends, (TOGETHER, len(tools.x)))
        moved = tools.products(there, vectors) - tools.products(tools.x, vectors)
        by = float(np.max(np.abs(np.sum(moved * vectors, axis=1))))
        by = by if np.isfinite(by) else np.inf
        return by, by * float(np.max(curved.scales)) ** 2
    other = tools.evaluate(there)
    if not other.finite or other.hessian is None:
        return np.inf, np.inf
    moved = other.hessian - here.hessian
    scaled = moved / curved.scales / curved.scales[:, None]
    return float(np.linalg.norm(scaled, 2)), float(np.linalg.norm(moved, 2))


def _by_curvature(
    tools: Tools,
    here: Evaluation,
    curved: Curvature,
    critical: _Critical,
    spectrum: _Spectrum,
) -> Certificate:
    values, error = spectrum.values, spectrum.error
    told: dict[str, Any] = {"step": critical.step, "spectrum": spectrum}
    up, down = values[-1] > error, values[0] < -error
    said = _rests_on(curved, critical, spectrum)
    if values[0] > error:
        told |= {"is_minimum": True}
        return _certificate(tools, here, curved, Verdict.MINIMUM, said, **told)
    if down:
        lowest = curved.vectors[:, 0] / curved.scales
        down_there = step_down(tools, here, lowest, curved.lengths)
        told |= {"is_minimum": False, "direction": down_there}
        verdict = Verdict.SADDLE if up else Verdict.FLAT
        if values[-1] < -error:
            verdict = Verdict.MAXIMUM
        if verdict is Verdict.FLAT:
            said += " One direction at least curves downwards: this is no minimum."
        return _certificate(tools, here, curved, verdict, said, **told)
    if not np.isfinite(error):
        said = "A few rounding units from here the Hessian is infinite or NaN."
        return _certificate(tools, here, curved, Verdict.UNDECIDED, said, **told)
    flat = np.abs(values) <= error
    refined = refine(tools, here, curved, flat, error)
    told |= {"is_minimum": refined.is_minimum, "direction": refined.lower}
    # A curvature that vanishes by rounding is one thing, one that can't be told
    # because the critical point lies too far away is another.
    vanishes = values[0] <= curved.rounding or refined.is_minimum is not None
    verdict = Verdict.FLAT if vanishes else Verdict.UNDECIDED
    said = f"{said} {refined.sentence}"
    return _certificate(tools, here, curved, verdict, said, **told)


def _rests_on(curved: Curvature, critical: _Critical, spectrum: _Spectrum) -> str:
    said = (
        "In the natural scale of the parameters the eigenvalues of the Hessian lie "
        f"from {curved.values[0]:.3g} to {curved.values[-1]:.3g}, with an error of up "
        f"to {spectrum.error:.1g}."
    )
    length = float(np.max(np.abs(critical.step)))
    if length > 0:
        said += f" The critical point itself lies about {length:.1g} away."
    if curved.ends is None:
        return said
    ended = "" if curved.ends.converged else ", which have not converged"
    return (
        f"{said} Of these the extreme ones alone were looked for, by Lanczos "
        f"iterations from a random start ({curved.ends.products} products{ended}): "
        "negative "
        "curvature that is found is certain; that there is none is no proof, it rests "
        "on the start not being almost orthogonal to it."
    )


def _certificate(
    tools: Tools,
    here: Evaluation,
    curved: Curvature | None,
    verdict: Verdict,
    reason: str,
    *,
    step: np.ndarray | None = None,
    spectrum: _Spectrum | None = None,
    is_minimum: bool | None = None,
    direction: np.ndarray | None = None,
) -> Certificate:
    nothing = (np.nan, np.nan)
    scaled_error = plain_error = np.inf
    if curved is not None:
        scaled_error, plain_error = curved.rounding, curved.plain_error
    if spectrum is not None:
        scaled_error, plain_error = spectrum.error, spectrum.plain_error
    ends = nothing
    if curved is not None:
        ends = (float(curved.values[0]), float(curved.values[-1]))
    moved: PyTree = None if direction is None else tools.tree(direction)
    return Certificate(
        verdict=verdict,
        reason=reason,
        is_minimum=is_minimum,
        value=here.value,
        grad_norm=float(np.max(np.abs(here.grad))),
        distance=np.nan if step is None else float(np.max(np.abs(step))),
        eigenvalues=nothing if curved is None else curved.plain,
        error=plain_error,
        scaled_eigenvalues=ends,
        scaled_error=scaled_error,
        direction=moved,
        complete=curved is not None and curved.ends is None,
    )
