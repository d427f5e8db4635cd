"""From findings and evidence to the report."""

from typing import Any

import jax
import numpy as np

from jaxcalc.derivatives._check.directions import (
    SHORTER,
    Known,
    Look,
    leaf_ends,
    lengths,
)
from jaxcalc.derivatives._check.nonfinite import origin
from jaxcalc.derivatives._check.places import paths
from jaxcalc.derivatives._check.probe import Probe
from jaxcalc.derivatives._check.second import Second
from jaxcalc.derivatives.report import (
    DerivativeFinding,
    DerivativeReport,
    DirectionCheck,
    LeafCheck,
    Verdict,
)


def unusable_report(
    f: Any, x: Any, args: tuple[Any, ...], value: float, order: int
) -> DerivativeReport:
    """The report on a function whose value is not finite."""
    source = origin(f, (x, *args), f)
    made = f" {source.site} made it." if source else ""
    finding = DerivativeFinding(
        cause="value not finite",
        source=str(source.site) if source else "",
        sentence=f"The value is {value}: there is nothing to differentiate.{made}",
        remedy="Check at a point inside the function's domain.",
    )
    verdicts: dict[str, Verdict] = {"reverse": "not checked", "forward": "not checked"}
    return DerivativeReport(
        value=value,
        order=order,
        precision="nothing",
        verdicts=verdicts,
        leaves=(),
        findings=(finding,),
        cost={"values": 2, "gradients": 0, "forward": 0},
    )


def report(
    probe: Probe,
    known: Known,
    order: int,
    findings: list[DerivativeFinding],
    looks: list[Look],
    notes: list[str],
    value: float,
    second: Second | None = None,
) -> DerivativeReport:
    """Put everything together.

    Args:
        probe: The function at its point.
        known: What automatic differentiation says.
        order: 1 or 2.
        findings: What is wrong.
        looks: The evidence along directions.
        notes: What is worth knowing.
        value: The function's value.
        second: What was measured of the second order.

    Returns:
        The report.
    """
    missing = probe.plan.missing
    notes = notes + [
        f"{mode.capitalize()} mode is not available ({why})."
        for mode, why in missing.items()
        if mode != "second" or ("reverse" not in missing and order == 2)
    ]
    verdicts = _verdicts(probe, findings, looks, second, order)
    return DerivativeReport(
        value=value,
        order=order,
        precision="float64" if known.eps < 1e-12 else "float32 or coarser",
        verdicts=verdicts,
        leaves=_leaves(probe, known, findings, looks, verdicts),
        findings=tuple(findings),
        directions=tuple(map(_direction, looks)),
        notes=tuple(notes),
        cost={key: probe.cost[key] for key in ("values", "gradients", "forward")},
    )


def _verdicts(probe, findings, looks, second, order) -> dict[str, Verdict]:
    missing = probe.plan.missing
    told = any(item.resolved for item in looks)
    default: Verdict = "agree" if told else "cannot tell" if looks else "not checked"
    verdicts: dict[str, Verdict] = {}
    for mode in ("reverse", "forward"):
        blamed = [f for f in findings if f.mode in (mode, "both") and _is_first(f)]
        verdicts[mode] = "disagree" if blamed else default
        if mode in missing:
            verdicts[mode] = "not available"
    if order == 2:
        verdicts["second"] = "not checked"
        if "second" in missing:
            verdicts["second"] = "not available"
        elif second is not None:
            blamed = [f for f in findings if not _is_first(f)]
            told = second.resolved.any()
            agrees: Verdict = "agree" if told else "cannot tell"
            verdicts["second"] = "disagree" if blamed else agrees
    return verdicts


def _is_first(finding: DerivativeFinding) -> bool:
    return not (
        finding.cause in ("wrong second derivative", "asymmetric Hessian")
        or "second derivative" in finding.sentence
    )


def _leaves(probe, known, findings, looks, verdicts):
    starts = np.concatenate([[0], leaf_ends(probe)])
    even = lengths(probe)[1] / max(SHORTER)
    seen = [item.tolerance for item in looks[1::2] if np.isfinite(item.tolerance)]
    limit = max(seen, default=np.inf)
    found = []
    for i, (path, leaf) in enumerate(
        zip(paths(probe.x), jax.tree.leaves(probe.x), strict=True)
    ):
        part = slice(starts[i], starts[i + 1])
        empty = starts[i] == starts[i + 1]
        own = dict(verdicts)
        for mode, verdict in verdicts.items():
            blamed = [
                f
                for f in findings
                if f.leaf in (path, "")
                and (_is_first(f) == (mode != "second"))
                and (f.mode in (mode, "both") or mode == "second")
            ]
            if verdict == "disagree" and not blamed:
                own[mode] = "agree"
            if empty:
                own[mode] = "not checked"
        found.append(
            LeafCheck(
                path=path,
                shape=tuple(leaf.shape),
                dtype=str(leaf.dtype),
                gradient=float(np.max(np.abs(known.gradient[part]), initial=0.0)),
                verdicts=own,
                visible=float("nan") if empty else limit / float(even[starts[i]]),
            )
        )
    return tuple(found)


def _direction(item: Look) -> DirectionCheck:
    slope = item.slopes.slope
    return DirectionCheck(
        steps=tuple(map(float, item.slopes.steps)),
        quotients=tuple(map(float, item.slopes.quotients)),
        difference=float(slope.value),
        error=float(slope.error),
        reverse=item.reverse,
        forward=item.forward,
    )
