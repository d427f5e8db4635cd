"""The course of a check: what is evaluated, in which order, and what follows."""

from dataclasses import replace

import numpy as np

from jaxcalc.derivatives._check import directions, second_findings, summary
from jaxcalc.derivatives._check import findings as findings_of
from jaxcalc.derivatives._check.directions import Known, Look, look
from jaxcalc.derivatives._check.locate import locate
from jaxcalc.derivatives._check.probe import ROWS, Probe, first_line, probe
from jaxcalc.derivatives._check.second import check_second
from jaxcalc.derivatives.report import DerivativeFinding, DerivativeReport

_FAITHFUL = 1e-2  # how far the float64 function may be from the float32 one
_BROKEN = 2e-2  # how far a float32 gradient may be from the float64 one


def examine(
    given: Probe, value: float, again: float, order: int, rng: np.random.Generator
) -> DerivativeReport:
    """Check a function whose value is finite.

    Args:
        given: The function at its point.
        value: Its value, without `jit`.
        again: The same, computed a second time.
        order: 1 or 2.
        rng: Draws the directions.

    Returns:
        The report.
    """
    one, rows, first = _first_pass(given, order, rng)
    one.cost["values"] += 2
    findings: list[DerivativeFinding] = []
    notes: list[str] = []
    scale = abs(value) + _norm(first.known.slope * one.flat)
    if abs(again - value) > 64 * one.native_eps * scale:
        findings.append(findings_of.random_finding(value, again))
        return summary.report(one, first.known, order, findings, [], notes, value)
    if one.plan.wide and not abs(first.value - value) <= _FAITHFUL * scale:
        notes.append("In float64 the function has another value; float32 is used.")
        narrow = probe(given.f, given.x, given.args, wide=False)
        one, rows, first = _first_pass(narrow, order, rng)
    center = float(one.values(rows, np.zeros(1, int), np.zeros(1))[0])
    known = first.known._replace(center=center)
    findings += _values_agree(one, value, center, first.value, scale)
    gradient = _native_gradient(one, known, value, scale, rows, findings, notes)
    findings += findings_of.not_finite(one, first, gradient)
    looks = _looks(one, known, rows)
    looks = _settle_doubts(one, known, rows, looks, rng)
    doubtful = None
    if any(item.suspicious for item in looks):
        doubtful = next(item for item in looks if item.suspicious)
        places = locate(one, known, doubtful, rng)
        findings += findings_of.first_order(one, places, doubtful)
    findings += findings_of.structural_cuts(one, known, findings)
    if not findings:
        findings += findings_of.unresolved(known, looks)
    second = None
    # Where the first derivative is wrong or open, the second has nothing to stand on.
    firm = doubtful is None and any(item.resolved for item in looks)
    if order == 2 and first.products is not None and firm and known.allowed.any():
        second = _second(one, known, rows, looks, first.products)
        findings += second_findings.second_order(one, second, looks)
    return summary.report(
        one, known, order, findings, looks, notes, value, second=second
    )


class _First:
    """What automatic differentiation answers at the point."""

    def __init__(self, known: Known, value: float, products: np.ndarray | None):
        self.known = known
        self.value = value
        self.products = products


def _first_pass(
    one: Probe, order: int, rng: np.random.Generator
) -> tuple[Probe, np.ndarray, "_First"]:
    """Draw directions, and differentiate once in every mode there is."""
    rows = directions.draw(one, rng)
    missing = one.plan.missing
    value, gradient, products = np.nan, None, None
    if order == 2 and "second" not in missing:
        try:
            value, gradient, products = one.second(rows[:2])
        except Exception as error:  # only a function that cannot be traced comes here
            missing["second"] = first_line(error)
    if gradient is None and "reverse" not in missing:
        try:
            value, gradient = one.reverse()
        except Exception as error:
            missing["reverse"] = first_line(error)
    if "forward" not in missing and not one.plan.traceable:
        try:
            one.forward(rows)
        except Exception as error:
            missing["forward"] = first_line(error)
    reverse = gradient is not None
    if gradient is None:
        gradient = np.zeros(rows.shape[1])
    allowed = np.isfinite(gradient)
    known = Known(
        value, gradient, reverse, "forward" not in missing, one.plan.eps, allowed
    )
    return one, rows, _First(known, value, products)


def _values_agree(one, value, center, differentiated, scale):
    """The value by `jit`, and the value that differentiation carries along."""
    findings = []
    slack = np.sqrt(one.native_eps) * scale
    if not one.plan.wide and one.plan.traceable and not abs(center - value) <= slack:
        findings.append(findings_of.jit_finding(value, center))
    slack = np.sqrt(one.plan.eps) * (scale + abs(center))
    if not np.isnan(differentiated) and not abs(differentiated - center) <= slack:
        findings.append(findings_of.primal_finding(center, differentiated))
    return findings


def _native_gradient(one, known, value, scale, rows, findings, notes):
    """The gradient in the caller's precision, where that is not the one worked in."""
    if not one.plan.wide or not known.reverse:
        return known.gradient
    compiled, gradient = one.native()
    if not abs(compiled - value) <= np.sqrt(one.native_eps) * scale:
        findings.append(findings_of.jit_finding(value, compiled))
    allowed = known.allowed & np.isfinite(gradient)
    row = np.where(allowed, rows[1], 0.0)
    exact, coarse = (
        np.where(allowed, known.gradient, 0.0),
        np.where(allowed, gradient, 0.0),
    )
    if _norm((exact - coarse) * row) <= _BROKEN * _norm(exact * row):
        return gradient
    notes.append(
        "The float32 gradient differs from the float64 one by "
        f"{_norm((exact - coarse) * row) / (_norm(exact * row) + 1e-300):.0%}: "
        "rounding inside the function is amplified."
    )
    return gradient


def _looks(one: Probe, known: Known, rows: np.ndarray) -> list[Look]:
    """Two directions over all scales, then two more where those have settled."""
    rows = np.where(known.allowed, rows, 0.0)
    forward = one.forward(rows) if known.forward else np.full(ROWS, np.nan)
    wide = look(one, known, rows[:2], directions.wide_steps(known), forward=forward[:2])
    guides = [item if item.resolved else wide[1 - i] for i, item in enumerate(wide)]
    steps = np.stack([directions.narrow_steps(item) for item in guides])
    noise = np.array([item.slopes.noise for item in guides])
    return wide + look(one, known, rows[2:], steps, forward=forward[2:], noise=noise)


def _settle_doubts(one, known, rows, looks, rng):
    """Look again, with more steps, at what is suspicious or open."""
    suspicious = [i for i, item in enumerate(looks) if item.suspicious]
    if not suspicious:
        if any(item.resolved for item in looks):
            return looks
        suspicious = list(range(ROWS))
        rows = np.concatenate([rows, np.abs(rows[:2]), -np.abs(rows[:2])])
    rows = np.where(known.allowed, rows, 0.0)
    steps = directions.far_steps(known)
    signs = rng.choice([-1.0, 1.0], size=rows.shape)
    settled = list(looks)
    if len(rows) > ROWS:
        return look(one, known, rows, steps)
    again = look(one, known, rows[suspicious], steps)
    fresh = look(one, known, (signs * np.abs(rows))[suspicious], steps)
    for i, item, other in zip(suspicious, again, fresh, strict=True):
        certain = item.suspicious and other.suspicious
        settled[i] = item if certain or not item.suspicious else _open(item)
    return settled


def _open(item: Look) -> Look:
    """A direction about which nothing is claimed."""
    nothing = item.slopes.slope._replace(error=np.asarray(np.inf))
    still = item.slopes.kink._replace(error=np.asarray(np.inf))
    slopes = item.slopes._replace(slope=nothing, kink=still, jump=np.asarray(0.0))
    return replace(item, slopes=slopes)


def _second(one, known, rows, looks, products):
    allowed = known.allowed & np.all(np.isfinite(products), axis=0)
    if not allowed.all():
        # One bad coordinate spoils the whole product: leave it out and ask again.
        rows = np.where(known.allowed, rows, 0.0)
        products = one.second(rows[:2])[2]
    return check_second(one, known, looks[:2], products)


def _norm(vector: np.ndarray) -> float:
    return float(np.linalg.norm(np.where(np.isfinite(vector), vector, 0.0)))
