"""From what was measured to findings and the report."""

from typing import Any

import jax
import numpy as np

from jaxcalc.derivatives._check import causes
from jaxcalc.derivatives._check.directions import (
    SHORTER,
    Known,
    Look,
    leaf_ends,
    lengths,
)
from jaxcalc.derivatives._check.locate import Place
from jaxcalc.derivatives._check.nonfinite import origin
from jaxcalc.derivatives._check.paths import Way
from jaxcalc.derivatives._check.probe import Probe
from jaxcalc.derivatives._check.second import Second
from jaxcalc.derivatives.report import (
    Cause,
    DerivativeFinding,
    DerivativeReport,
    DirectionCheck,
    Entry,
    LeafCheck,
    Verdict,
)

_MOST_ENTRIES = 40
_TRAP = (
    " A `jnp.where` hides it in the value but not in the derivative: the branch that "
    "is not taken still gets a cotangent of zero, and zero times infinity is NaN."
)
_TRAP_REMEDY = (
    "Make the operation safe before the `where`: replace its input by a harmless one "
    "(a first `where`), then choose the result (a second `where`)."
)


def paths(tree: Any) -> list[str]:
    """Paths of the leaves, written as the caller would write them."""
    found = jax.tree.leaves_with_path(tree)
    return ["x" + jax.tree_util.keystr(path) for path, _ in found]


def random_finding(value: float, again: float) -> DerivativeFinding:
    """Two evaluations at one point differ."""
    return DerivativeFinding(
        cause="not deterministic",
        sentence=f"Two evaluations at the same point give {value:.17g} and "
        f"{again:.17g}.",
        remedy="Pass random numbers in (a jax.random key in `args`), and keep no state "
        "between calls. Nothing else was checked.",
    )


def jit_finding(value: float, compiled: float) -> DerivativeFinding:
    """The compiled function is another function."""
    return DerivativeFinding(
        cause="differs under jit",
        sentence=f"The value is {value:.9g} when called and {compiled:.9g} when "
        "compiled with jax.jit.",
        remedy="Look for Python state or NumPy random numbers that are frozen while "
        "tracing, and for tests on whether a value is traced.",
    )


def primal_finding(value: float, differentiated: float) -> DerivativeFinding:
    """A rule returns another value than the function it belongs to."""
    return DerivativeFinding(
        cause="value differs under differentiation",
        sentence=f"The value is {value:.9g}, but {differentiated:.9g} while it is "
        "differentiated.",
        remedy="A custom rule returns another value than its function: let the rule "
        "call the function itself.",
    )


def not_finite(
    probe: Probe, first: Any, gradient: np.ndarray
) -> list[DerivativeFinding]:
    """Entries of gradient or product that are NaN or infinite.

    Args:
        probe: The function at its point.
        first: What automatic differentiation answered.
        gradient: The gradient in the caller's precision.

    Returns:
        One finding for each leaf that has such entries.
    """
    bad = ~np.isfinite(gradient) | ~np.isfinite(first.known.gradient)
    if bad.any():
        only_native = np.all(np.isfinite(first.known.gradient))
        point, data = (
            (probe.x, probe.args) if only_native else (probe.point, probe.data)
        )
        with probe.working():
            source = origin(probe.f, (point, *data), jax.grad(probe.f))
        wide = " in the parameters' own precision" if only_native else ""
        return _nonfinite_findings(probe, bad, gradient, source, "gradient", wide)
    products = first.products
    if products is None or np.all(np.isfinite(products)):
        return []
    bad = ~np.all(np.isfinite(products), axis=0)

    def product(x: Any, *args: Any) -> Any:
        ones = jax.tree.map(jax.numpy.ones_like, x)
        return jax.jvp(jax.grad(lambda p: probe.f(p, *args)), (x,), (ones,))[1]

    with probe.working():
        source = origin(probe.f, (probe.point, *probe.data), product)
    what = "second derivative"
    return _nonfinite_findings(probe, bad, products[1], source, what, "")


def _nonfinite_findings(probe, bad, numbers, source, what, wide):
    found = []
    starts = np.concatenate([[0], leaf_ends(probe)])
    shapes = [leaf.shape for leaf in jax.tree.leaves(probe.x)]
    for i, path in enumerate(paths(probe.x)):
        here = np.flatnonzero(bad[starts[i] : starts[i + 1]])
        if not len(here):
            continue
        part = numbers[starts[i] : starts[i + 1]]
        entries = tuple(
            Entry(
                index=_index(p, shapes[i]),
                automatic=float(part[p]),
                difference=float("nan"),
                error=float("inf"),
            )
            for p in here[:_MOST_ENTRIES]
        )
        made = f" {source.site} made the first one." if source else ""
        trap = source is not None and source.trap
        found.append(
            DerivativeFinding(
                cause="not finite",
                mode="reverse",
                leaf=path,
                entries=entries,
                source=str(source.site) if source else "",
                sentence=f"The value is finite, but {len(here)} of {len(part)} entries "
                f"of the {what} are NaN or infinite{wide}, the first at "
                f"{list(entries[0].index)}.{made}{_TRAP if trap else ''}",
                remedy=_TRAP_REMEDY
                if trap
                else "Keep away from the point where that operation's derivative is "
                "infinite, or write it in a form that is smooth there.",
            )
        )
    return found


def first_order(
    probe: Probe, places: list[Place], doubtful: Look
) -> list[DerivativeFinding]:
    """Findings for the places where slopes disagree.

    Args:
        probe: The function at its point.
        places: What bisection found; empty where the fault shows in no leaf alone.
        doubtful: The direction that gave rise to it.

    Returns:
        One finding for each leaf and cause.
    """
    names = paths(probe.x)
    shapes = [leaf.shape for leaf in jax.tree.leaves(probe.x)]
    if not places:
        whole = Place(0, doubtful, (), np.nan, False)
        return [_finding("", (), whole, probe, Way())]
    found = []
    for place in places:
        way, shape = probe.way(place.leaf), shapes[place.leaf]
        found += _of_place(names[place.leaf], shape, place, probe, way)
    return found


def _of_place(path, shape, place, probe, way):
    groups: dict[str, list[Any]] = {}
    for position, one in place.singles:
        groups.setdefault(_kind(one), []).append((position, one))
    if not groups:
        return [_finding(path, shape, place, probe, way)]
    found = []
    for singles in groups.values():
        part = Place(
            place.leaf,
            singles[0][1],
            tuple(singles),
            place.share * len(singles) / len(place.singles),
            place.complete,
        )
        found.append(_finding(path, shape, part, probe, way))
    return found


def _kind(one: Look) -> str:
    if one.jump:
        return "jump"
    return "kink" if one.kink else "wrong"


def _mode(one: Look) -> str:
    reverse, forward = one.wrong("reverse"), one.wrong("forward")
    if reverse and (forward or np.isnan(one.forward)):
        return "reverse" if np.isnan(one.forward) else "both"
    return "reverse" if reverse else "forward"


def _finding(path, shape, place, probe, way):
    one = place.whole
    mode = _mode(one)
    entries = causes.entries_of(place, shape, mode)
    kind = _kind(one)
    if kind == "jump":
        return causes.jump_finding(path, entries, one)
    if kind == "kink":
        return causes.kink_finding(path, entries, one)
    stops = [site for site in way.named_cuts if site.name == "stop_gradient"]
    sites = [*stops, *sorted(way.rules)]
    rule = causes.guilty_rule(probe, sites, one)
    return causes.wrong_finding(path, place, entries, mode, rule, way)


def structural_cuts(
    probe: Probe, known: Known, findings: list[DerivativeFinding]
) -> list[DerivativeFinding]:
    """Leaves whose every way to the value is cut, though nothing disagreed.

    Args:
        probe: The function at its point.
        known: What automatic differentiation says.
        findings: What was found before.

    Returns:
        One finding for each such leaf.
    """
    found = []
    blamed = {finding.leaf for finding in findings}
    starts = np.concatenate([[0], leaf_ends(probe)])
    for i, path in enumerate(paths(probe.x)):
        part = known.gradient[starts[i] : starts[i + 1]]
        if path in blamed or not len(part) or part.any() or not known.reverse:
            continue
        way = probe.way(i)
        if way.depends and not way.live and way.cuts:
            found.append(causes.cut_finding(path, way.named_cuts[0]))
    return found


def unresolved(known: Known, looks: list[Look]) -> list[DerivativeFinding]:
    """A finding if no direction could be resolved, or no mode exists."""
    if not known.reverse and not known.forward:
        return [
            DerivativeFinding(
                cause="no derivative",
                sentence="Neither reverse nor forward mode can differentiate this.",
                remedy="Write it with jax.numpy, or give it a custom derivative rule.",
            )
        ]
    if any(item.resolved or item.suspicious for item in looks):
        return []
    return [
        DerivativeFinding(
            cause="cannot tell",
            sentence="The differences settle on no slope along any direction: the "
            "function is noisier than its dtype explains, or changes faster than the "
            "smallest step.",
            remedy="Compute in float64, take the noise out of the function, or check "
            "at a point of another scale.",
        )
    ]


def second_order(
    probe: Probe, second: Second, looks: list[Look]
) -> list[DerivativeFinding]:
    """Findings about Hessian-vector products.

    Args:
        probe: The function at its point.
        second: What was measured.
        looks: The directions of the products.

    Returns:
        One finding for each leaf, and one for the Hessian as a whole.
    """
    found: list[DerivativeFinding] = []
    starts = np.concatenate([[0], leaf_ends(probe)])
    shapes = [leaf.shape for leaf in jax.tree.leaves(probe.x)]
    for i, path in enumerate(paths(probe.x)):
        part = slice(starts[i], starts[i + 1])
        masks: dict[Cause, np.ndarray] = {
            "wrong second derivative": second.wrong,
            "kink": second.kink,
        }
        for cause, mask in masks.items():
            here = np.flatnonzero(mask[part])
            if len(here):
                entries = _second_entries(second, here, starts[i], shapes[i])
                rule = _second_rule(probe, second, looks, i)
                found.append(_second_finding(path, entries, cause, len(here), rule))
    if found:
        return found
    leaf = paths(probe.x)[0] if len(shapes) == 1 else ""
    if second.asymmetric:
        found.append(_asymmetry_finding(leaf, second.asymmetry))
    elif second.curvature is not None:
        found.append(_curvature_finding(leaf, *second.curvature))
    return found


def _second_entries(second, here, start, shape):
    return tuple(
        Entry(
            index=_index(p, shape),
            automatic=float(second.product[start + p]),
            difference=float(second.difference[start + p]),
            error=float(second.error[start + p]),
        )
        for p in here[:_MOST_ENTRIES]
    )


def _second_rule(probe, second, looks, leaf):
    way = probe.way(leaf)
    stops = [site for site in way.named_cuts if site.name == "stop_gradient"]
    for one in looks[:2]:
        tolerance = 2 * second.error + 1e-6 * np.abs(second.difference)

        def right(product: np.ndarray, tolerance: np.ndarray = tolerance) -> bool:
            gap = np.abs(product - second.difference)
            return bool(np.all(gap[second.wrong] <= tolerance[second.wrong]))

        rule = causes.guilty_rule(
            probe,
            [*stops, *sorted(way.rules)],
            one,
            product=second.product,
            right=right,
        )
        if rule is not None:
            return rule
    return None


def _second_finding(path, entries, cause: Cause, count, rule):
    e = entries[0]
    if cause == "kink":
        return DerivativeFinding(
            cause="kink",
            leaf=path,
            mode="both",
            entries=entries,
            sentence=f"The gradient has a kink at this very point, in {count} entries, "
            f"the first at {list(e.index)}: there is no second derivative.",
            remedy="Check with order=1, or at another point.",
        )
    factor = causes.constant_factor(entries)
    times = f" It is {factor:.6g} times the true one." if factor is not None else ""
    by = f" The rule of {rule} is responsible." if rule else ""
    return DerivativeFinding(
        cause=cause,
        leaf=path,
        mode="both",
        entries=entries,
        factor=factor,
        source=str(rule) if rule else "",
        sentence=f"{count} entries of a Hessian-vector product disagree with "
        f"differences of the gradient; at {list(e.index)} automatic differentiation "
        f"says {e.automatic:.6g}, the differences {e.difference:.6g} ± {e.error:.1g}."
        f"{times}{by}",
        remedy=f"Make the rule of `{rule.name}` differentiable in its turn."
        if rule
        else "Look for a custom rule that is not itself differentiable, a "
        "`stop_gradient` inside it, or a `jnp.where` that freezes a branch.",
    )


def _curvature_finding(leaf: str, product: float, difference: float, error: float):
    return DerivativeFinding(
        cause="wrong second derivative",
        mode="both",
        leaf=leaf,
        sentence="Along a random direction the second derivative is "
        f"{product:.6g} by automatic differentiation, but the values bend by "
        f"{difference:.6g} ± {error:.1g}: the gradient is right at this point and "
        "changes wrongly around it.",
        remedy="Look for a `jnp.where` that freezes a branch at this point, a gradient "
        "that was computed once and stored, or a rule that does not follow its input.",
    )


def _asymmetry_finding(leaf: str, asymmetry: float):
    return DerivativeFinding(
        cause="asymmetric Hessian",
        mode="both",
        leaf=leaf,
        sentence=f"u·Hv and v·Hu differ by {asymmetry:.1e} of their size: the gradient "
        "is not that of any function.",
        remedy="Look for a custom rule that is wrong away from this point.",
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


def _index(position: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(position), shape))
