"""Findings about the value and the first derivative."""

from typing import Any

import jax
import numpy as np

from jaxcalc.derivatives._check import causes
from jaxcalc.derivatives._check.directions import (
    Known,
    Look,
    leaf_ends,
)
from jaxcalc.derivatives._check.locate import Place
from jaxcalc.derivatives._check.nonfinite import origin
from jaxcalc.derivatives._check.paths import Way
from jaxcalc.derivatives._check.places import index_of, paths
from jaxcalc.derivatives._check.probe import Probe
from jaxcalc.derivatives.report import (
    DerivativeFinding,
    Entry,
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
                index=index_of(p, shapes[i]),
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
