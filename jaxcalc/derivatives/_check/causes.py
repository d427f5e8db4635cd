"""From a fault that was located to what it is and what to do about it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcalc.derivatives._check.directions import Look
from jaxcalc.derivatives._check.interpret import Site, inner_call, interpret, site
from jaxcalc.derivatives._check.locate import Place
from jaxcalc.derivatives._check.paths import Way
from jaxcalc.derivatives._check.probe import Probe
from jaxcalc.derivatives.report import DerivativeFinding, Entry

_MOST_ENTRIES = 40
_CUT_REMEDY = (
    "Gradient descent will not move what lies behind it. Replace it by a smooth "
    "operation, or give it a surrogate derivative on purpose and exclude it here."
)


def entries_of(place: Place, shape: tuple[int, ...], mode: str) -> tuple[Entry, ...]:
    """The evidence for the coordinates of one place.

    Args:
        place: Where something is wrong.
        shape: Shape of its leaf.
        mode: The mode whose answers are shown.

    Returns:
        One entry for each coordinate that was found, at most a few dozen.
    """
    found = []
    for position, one in place.singles[:_MOST_ENTRIES]:
        length = float(np.max(one.row))
        slope, kink = one.slopes.slope, float(one.slopes.kink.value)
        automatic = one.forward if mode == "forward" else one.reverse
        index = tuple(int(i) for i in np.unravel_index(position, shape))
        sides = {}
        if one.kink and np.isfinite(kink):
            sides = {
                "left": (float(slope.value) - kink) / length,
                "right": (float(slope.value) + kink) / length,
            }
        found.append(
            Entry(
                index=index,
                automatic=automatic / length,
                difference=float(slope.value) / length,
                error=float(slope.error) / length,
                **sides,
            )
        )
    return tuple(found)


def constant_factor(entries: tuple[Entry, ...]) -> float | None:
    """Automatic divided by true derivative, if it is the same in all entries.

    Args:
        entries: Coordinates that are wrong.

    Returns:
        The factor, or None if there is none.
    """
    solid = [e for e in entries if abs(e.difference) > 20 * e.error]
    if not solid or len(solid) < len(entries):
        return None
    ratios = np.array([e.automatic / e.difference for e in solid])
    errors = np.array([abs(e.error / e.difference) for e in solid])
    middle = float(np.median(ratios))
    slack = (3 * errors + 1e-7) * max(abs(middle), 1.0)
    return middle if np.all(np.abs(ratios - middle) <= slack) else None


def common_factor(samples: tuple[Look, ...], mode: str) -> float | None:
    """The same from whole directions, where no single coordinate shows it.

    Args:
        samples: Directions in one leaf.
        mode: The mode that is wrong.

    Returns:
        The factor, or None if it is not the same along all of them.
    """
    entries = tuple(
        Entry(
            index=(),
            automatic=one.forward if mode == "forward" else one.reverse,
            difference=float(one.slopes.slope.value),
            error=float(one.slopes.slope.error),
        )
        for one in samples
    )
    return constant_factor(entries)


def permuted(entries: tuple[Entry, ...]) -> bool:
    """Whether the right numbers stand in the wrong places.

    Args:
        entries: All coordinates of a leaf that are wrong.

    Returns:
        Whether the sorted answers agree.
    """
    if len(entries) < 2:
        return False
    automatic = np.sort([e.automatic for e in entries])
    difference = np.sort([e.difference for e in entries])
    error = 3 * max(e.error for e in entries) + 1e-7 * np.max(np.abs(difference))
    return bool(np.all(np.abs(automatic - difference) <= error))


def guilty_rule(
    probe: Probe,
    sites: list[Site],
    one: Look,
    *,
    product: np.ndarray | None = None,
    right: Callable[[Any], bool] | None = None,
) -> Site | None:
    """The custom rule or `stop_gradient` without which the derivative would be right.

    Each is replaced by the operations it stands for, and the derivative taken again.

    Args:
        probe: The function at its point.
        sites: Rules on the way.
        one: A direction along which the derivative is wrong.
        product: Unused for first derivatives; the direction of a second derivative.
        right: Tells whether a slope (or product) is right; by default, whether it
            agrees with the differences along `one`.

    Returns:
        The rule, or None if no single one explains the fault.
    """
    if probe.plan.program is None:
        return None
    value, tolerance = float(one.slopes.slope.value), one.tolerance

    def agrees(slope: Any) -> bool:
        return bool(abs(float(slope) - value) <= tolerance)

    accept = right or agrees
    for candidate in sites:
        try:
            answer = _without(probe, candidate, one.row, second=product is not None)
            if accept(answer):
                return candidate
        except Exception:  # a diagnosis must never replace the verdict it explains
            continue
    return None


def _without(probe: Probe, rule: Site, row: np.ndarray, second: bool) -> Any:
    program = probe.plan.program

    def visit(eqn: Any, values: list[Any], around: str) -> list[Any] | None:
        name = eqn.primitive.name
        if name == "stop_gradient" and site(eqn, around) == rule:
            return values
        if name.startswith("custom_") and site(eqn, around) == rule:
            call = inner_call(eqn)
            if call is not None:
                return interpret(*call, values, visit, unroll=False)
        return None

    def f(point: Any) -> Any:
        inputs = jax.tree.leaves((point, probe.data))
        return interpret(program.jaxpr, program.consts, inputs, visit, unroll=False)[0]

    with probe.working():
        direction = jax.tree.map(lambda leaf: leaf[0], probe.tree(row[None]))
        if second:
            product = jax.jvp(jax.grad(f), (probe.point,), (direction,))[1]
            leaves = [np.asarray(leaf, float) for leaf in jax.tree.leaves(product)]
            return np.concatenate([leaf.ravel() for leaf in leaves])
        try:
            gradient = jax.tree.leaves(jax.grad(f)(probe.point))
            parts = zip(gradient, jax.tree.leaves(direction), strict=True)
            return sum(float(np.sum(np.asarray(g, float) * d)) for g, d in parts)
        except Exception:  # no reverse mode through a loop, say
            return jax.jvp(f, (probe.point,), (direction,))[1]


def kink_finding(path: str, entries: tuple[Entry, ...], whole: Look):
    """A kink at this very point, with the slopes from both sides."""
    if entries and entries[0].left is not None:
        e = entries[0]
        sides = (
            f"at {list(e.index)} the slope is {e.left:.6g} from the left and "
            f"{e.right:.6g} from the right, and automatic differentiation says "
            f"{e.automatic:.6g}"
        )
    else:
        slope, kink = float(whole.slopes.slope.value), float(whole.slopes.kink.value)
        sides = (
            f"along a random direction the slope is {slope - kink:.6g} from one side "
            f"and {slope + kink:.6g} from the other"
        )
    return DerivativeFinding(
        cause="kink",
        leaf=path,
        mode="both",
        entries=entries,
        sentence=f"The function has a kink at this very point: {sides}.",
        remedy="There is no derivative here. Check at another point, or use a smooth "
        "form (softplus for relu, logsumexp for max, sqrt(x² + c) for abs).",
    )


def jump_finding(path: str, entries: tuple[Entry, ...], whole: Look):
    """A jump of the value at this very point."""
    gap = float(whole.slopes.jump)
    return DerivativeFinding(
        cause="jump",
        leaf=path,
        mode="both",
        entries=entries,
        sentence=f"The value jumps by about {2 * gap:.4g} at this very point, so it "
        "has no derivative here.",
        remedy="Look for a comparison, a rounding or an index that changes here; "
        "check at another point, or make the function continuous.",
    )


def wrong_finding(
    path: str,
    place: Place,
    entries: tuple[Entry, ...],
    mode: str,
    rule: Site | None,
    way: Way,
) -> DerivativeFinding:
    """A derivative that contradicts the differences, as precisely as can be told.

    Args:
        path: The leaf's path.
        place: Where it is.
        entries: The coordinates that show it.
        mode: "reverse", "forward" or "both".
        rule: The custom rule that is responsible, if one is.
        way: How the value depends on the leaf.

    Returns:
        The finding.
    """
    cut = _cut_by(entries, rule, way)
    if cut is not None:
        return cut_finding(path, cut, entries=entries, mode=mode)
    factor = constant_factor(entries) if entries else common_factor(place.samples, mode)
    what = _how_wrong(place, entries, factor)
    by = f" The rule of {rule} is responsible: without it, the derivative is right."
    return DerivativeFinding(
        cause="wrong derivative",
        leaf=path,
        mode=mode,
        entries=entries,
        factor=factor,
        source=str(rule) if rule else "",
        sentence=f"{_where(place, entries)} {what}{by if rule else ''}",
        remedy=_remedy(rule, way, factor),
    )


def cut_finding(
    path: str, cut: Site, *, entries: tuple[Entry, ...] = (), mode: str = "both"
) -> DerivativeFinding:
    """A gradient that an operation cuts to zero.

    Args:
        path: The leaf's path.
        cut: The operation.
        entries: Coordinates that show it.
        mode: The mode that is concerned.

    Returns:
        The finding.
    """
    seen = ""
    if entries:
        e = entries[0]
        seen = (
            f" At {list(e.index)} automatic differentiation says {e.automatic:.6g}, "
            f"the differences {e.difference:.6g} ± {e.error:.1g}."
        )
    cast = " (a cast to integers)" if cut.name == "convert_element_type" else ""
    return DerivativeFinding(
        cause="gradient cut to zero",
        leaf=path,
        mode=mode,
        entries=entries,
        source=str(cut),
        sentence=f"{cut}{cast} passes no derivative on.{seen}",
        remedy=_CUT_REMEDY,
    )


def _cut_by(entries: tuple[Entry, ...], rule: Site | None, way: Way) -> Site | None:
    if rule is not None and rule.name == "stop_gradient":
        return rule
    silent = entries and all(
        abs(e.automatic) < 1e-6 * abs(e.difference) for e in entries
    )
    if rule is None and silent and way.cuts:
        return way.named_cuts[0]
    return None


def _where(place: Place, entries: tuple[Entry, ...]) -> str:
    if not entries:
        return "The whole leaf, along a random direction:"
    if place.complete and place.share < 1:
        listed = ", ".join(str(list(e.index)) for e in entries[:5])
        more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
        noun = "Entry" if len(entries) == 1 else "Entries"
        return f"{noun} {listed}{more}:"
    if place.share == 1:
        return "Every entry:"
    return f"About {place.share:.0%} of the entries, {list(entries[0].index)} say:"


def _how_wrong(place: Place, entries: tuple[Entry, ...], factor: float | None) -> str:
    if not entries:
        slope, automatic = place.whole.slopes.slope, place.whole.reverse
        if np.isnan(automatic):
            automatic = place.whole.forward
        times = f", {factor:.8g} times as much" if factor is not None else ""
        return (
            f"automatic differentiation says {automatic:.9g}{times}, the differences "
            f"{float(slope.value):.9g} ± {float(slope.error):.1g}."
        )
    e = entries[0]
    numbers = (
        f"automatic differentiation says {e.automatic:.6g}, the differences "
        f"{e.difference:.6g} ± {e.error:.1g}"
    )
    if factor is not None and abs(factor + 1) < 1e-5:
        return f"the sign is wrong ({numbers})."
    if place.complete and permuted(entries):
        return f"the right numbers stand in the wrong places ({numbers})."
    if factor is not None and abs(factor) < 1e-6:
        return f"it is zero and should not be ({numbers})."
    if factor is not None:
        return f"it is {factor:.6g} times the true derivative ({numbers})."
    return f"{numbers}."


def _remedy(rule: Site | None, way: Way, factor: float | None) -> str:
    if rule is not None:
        return f"Correct the derivative rule of `{rule.name}`."
    if way.rules:
        names = ", ".join(sorted({f"`{r.name}`" for r in way.rules})[:5])
        return f"Custom derivative rules on the way: {names}; test each one alone."
    if factor is not None and abs(factor) < 1e-6:
        return "Look for what hides the dependence from automatic differentiation."
    return "Look for a rule, a callback or a cached value that hides a dependence."
