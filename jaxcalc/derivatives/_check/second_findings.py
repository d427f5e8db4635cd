"""Findings about the second derivative."""

import jax
import numpy as np

from jaxcalc.derivatives._check import causes
from jaxcalc.derivatives._check.directions import (
    Look,
    leaf_ends,
)
from jaxcalc.derivatives._check.places import index_of, paths
from jaxcalc.derivatives._check.probe import Probe
from jaxcalc.derivatives._check.second import Second
from jaxcalc.derivatives.report import (
    Cause,
    DerivativeFinding,
    Entry,
)

_MOST_ENTRIES = 40


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
            index=index_of(p, shape),
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
