"""Whether the order in a profile is that of the optimizers, or of the set shown."""

import itertools
from collections.abc import Sequence

import numpy as np

from jaxcalc import _checks
from jaxcalc.comparison._profiles_costs import Costs
from jaxcalc.comparison._profiles_shares import common, ratios, shares


def ranking_warnings(
    costs: Costs,
    *,
    subset: Sequence[str] | None = None,
    alpha: float = 2.0,
    margin: float = 0.05,
) -> tuple[str, ...]:
    r"""Say where the order in a performance profile is owed to who or what takes part.

    A ratio is taken to the best of the set, so a third optimizer can turn the order of
    two others around. Three things are looked for:

    - two optimizers that stand the other way round in the profile of the two alone, at
      some $\alpha$, by more than `margin` in both;
    - an optimizer without which another one leads: somebody else than before, or, when
      the leader is left out, somebody else than the second;
    - a problem without which another one leads.

    Who leads has solved the most runs within `alpha` times the least cost. Where
    several are level, a change is one after which none of them leads.

    Args:
        costs: What each run spent.
        subset: Optimizers of the profile, in any order; None for all.
        alpha: Where the lead is read off, at least 1.
        margin: How much of the runs a reversal must concern.

    Returns:
        Sentences for people; none where the order can be trusted that far.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: A name is unknown, or an option is out of range.

    References:
        Gould and Scott (2016), A note on performance profiles for benchmarking
        software, ACM Transactions on Mathematical Software 43(2).
    """
    chosen = costs.subset(subset)
    if _checks.positive_float("alpha", alpha) < 1:
        raise ValueError(f"`alpha` must be at least 1, got {alpha!r}")
    margin = _checks.positive_float("margin", margin, zero=True)
    if len(chosen.optimizers) < 2 or not common(chosen.values).any():
        return ()
    return (
        *_reversals(chosen, margin),
        *_without_an_optimizer(chosen, alpha),
        *_without_a_problem(chosen, alpha),
    )


def _reversals(chosen: Costs, margin: float) -> list[str]:
    """Pairs that stand the other way round when they are alone."""
    if len(chosen.optimizers) < 3:
        return []
    limits = ratios(chosen.values[common(chosen.values)])
    said = []
    for pair in itertools.combinations(range(len(chosen.optimizers)), 2):
        spent = chosen.values[:, :, pair]
        alone = ratios(spent[common(spent)])
        both = np.concatenate([limits[:, pair].ravel(), alone.ravel()])
        x = np.unique(both[np.isfinite(both)])
        whole, two = shares(limits[:, pair], x), shares(alone, x)
        ahead, apart = whole[0] - whole[1], two[0] - two[1]
        turned = np.where(ahead * apart < 0, np.minimum(abs(ahead), abs(apart)), 0.0)
        if x.size and turned.max() > margin:
            at = int(turned.argmax())
            names = [chosen.optimizers[k] for k in pair]
            said.append(_reversal(names, x[at], whole[:, at], two[:, at]))
    return said


def _reversal(
    names: Sequence[str], alpha: float, whole: np.ndarray, alone: np.ndarray
) -> str:
    first, second = names
    within = "at" if alpha == 1 else f"within {alpha:.3g} times"
    return (
        f"The order of {first} and {second} depends on who else takes part: {within} "
        f"the least cost of all, {first} solves {whole[0]:.0%} of the runs and "
        f"{second} {whole[1]:.0%}; {within} the least of these two alone, {first} "
        f"solves {alone[0]:.0%} and {second} {alone[1]:.0%}."
    )


def _ranks(chosen: Costs, alpha: float) -> np.ndarray:
    """Share of the runs that each optimizer solves within `alpha`."""
    limits = ratios(chosen.values[common(chosen.values)])
    return np.nan_to_num(shares(limits, np.array([alpha]))[:, 0])


def _leaders(chosen: Costs, alpha: float, but: str = "") -> tuple[str, ...]:
    """Who solves most within `alpha`, `but` one; none if nobody solves anything."""
    found = dict(zip(chosen.optimizers, _ranks(chosen, alpha), strict=True))
    found.pop(but, None)
    best = max(found.values(), default=0.0)
    return tuple(name for name, share in found.items() if share == best > 0)


def _without_an_optimizer(chosen: Costs, alpha: float) -> list[str]:
    """Changes of the lead when one optimizer is left out."""
    if len(chosen.optimizers) < 3:
        return []
    lead = _leaders(chosen, alpha)
    changes: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name in chosen.optimizers:
        rest = [other for other in chosen.optimizers if other != name]
        before = _leaders(chosen, alpha, but=name)
        after = _leaders(chosen.subset(rest), alpha)
        if before and after and not set(before) & set(after):
            changes.setdefault((before, after), []).append(name)
    return [
        _change(f"without {_either(names)}", alpha, before, after, names == [*lead])
        for (before, after), names in changes.items()
    ]


def _without_a_problem(chosen: Costs, alpha: float) -> list[str]:
    """Changes of the lead when one problem is left out."""
    if len(chosen.problems) < 2:
        return []
    before = _leaders(chosen, alpha)
    changes: dict[tuple[str, ...], list[str]] = {}
    for problem in chosen.problems:
        after = _leaders(chosen.without(problem), alpha)
        if before and after and not set(before) & set(after):
            changes.setdefault(after, []).append(problem)
    return [
        _change(f"without the problem {_either(names)}", alpha, before, after, False)
        for after, names in changes.items()
    ]


def _change(
    when: str,
    alpha: float,
    before: Sequence[str],
    after: Sequence[str],
    succession: bool,
) -> str:
    place = "comes second" if succession else "leads"
    if len(before) > 1:
        place = place.replace("comes", "come").replace("leads", "lead")
    return (
        f"Within {alpha:.3g} times the least cost {_all(before)} {place}, but {when} "
        f"{_all(after)} lead{'' if len(after) > 1 else 's'}."
    )


def _either(names: Sequence[str]) -> str:
    return _listed(names, "or")


def _all(names: Sequence[str]) -> str:
    return _listed(names, "and")


def _listed(names: Sequence[str], word: str) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
