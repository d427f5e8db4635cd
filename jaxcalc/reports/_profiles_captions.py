"""Sentences under the figures over all problems: how to read them, what they show."""

from collections.abc import Iterable, Sequence

import numpy as np

from jaxcalc.comparison import Comparison
from jaxcalc.comparison import profiles as numbers
from jaxcalc.comparison.profiles import ACCURACIES, Costs, Measure, Profile
from jaxcalc.reports._numbers import count, duration, number
from jaxcalc.reports.prose import listed, plural

WORDS: dict[str, str] = {
    "steps": "steps",
    "gradient_equivalents": "gradient evaluations",
    "simplex_gradients": "simplex gradients",
    "flops": "floating-point operations",
    "seconds": "seconds",
}
"""What runs are charged with, as people call it."""

_MOST = 3  # warnings under a figure


def performance_caption(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracy: float = 1e-5,
    *,
    subset: Sequence[str] | None = None,
) -> list[str]:
    """What to say under a performance profile.

    Args:
        comparison: What was run.
        measure: What runs are charged with.
        accuracy: The target.
        subset: Optimizers that are shown; None for all.

    Returns:
        Sentences: how to read it, what it shows here, and what not to read into it.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    spent = numbers.costs(comparison, measure, accuracy).subset(subset)
    found = numbers.performance_profile(spent)
    said = [
        "The height of a line at x is the share of the runs that the optimizer solved "
        f"with at most x times the {WORDS[measure]} of whoever was cheapest on that "
        "run; the higher the better. At the left edge it says how often the optimizer "
        "was the cheapest, at the right how often it got there at all.",
        *_common(spent, found),
    ]
    if not found.pairs or not found.share.max() > 0:
        return [*said, "Nobody reached the target." if found.pairs else _EMPTY]
    said.append(f"Cheapest most often: {_lead(found, 1.0)}.")
    within = _lead(found, 2.0)
    said.append(f"Within twice the least cost most often: {within}.")
    said.append(f"Solved most in the end: {_lead(found, np.inf)}.")
    warnings = numbers.ranking_warnings(spent)
    said += warnings[:_MOST]
    if len(warnings) > _MOST:
        more = len(warnings) - _MOST
        said.append(f"{plural(more, 'more warning')} of this kind can be given.")
    elif not warnings and len(found.optimizers) > 2:
        said.append(
            "No order of two here is turned around in the profile of these two alone, "
            "and the lead does not hang on any single optimizer or problem."
        )
    return said


def data_caption(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracy: float = 1e-5,
    *,
    subset: Sequence[str] | None = None,
) -> list[str]:
    """What to say under a data profile.

    Args:
        comparison: What was run.
        measure: What runs are charged with.
        accuracy: The target.
        subset: Optimizers that are shown; None for all.

    Returns:
        Sentences: how to read it, and what it shows here.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    spent = numbers.costs(comparison, measure, accuracy).subset(subset)
    found = numbers.data_profile(spent)
    unit = (
        " A simplex gradient is what n + 1 values cost, n being the number of "
        "parameters."
        if measure == "simplex_gradients"
        else ""
    )
    said = [
        "The height of a line at x is the share of the runs that the optimizer solved "
        f"with at most x {WORDS[measure]}; the higher the better. A line does not "
        f"depend on who else is shown.{unit}",
        *_common(spent, found),
    ]
    if not found.pairs or not found.share.max() > 0:
        return [*said, "Nobody reached the target." if found.pairs else _EMPTY]
    said.append(f"Solved most in the end: {_lead(found, np.inf)}.")
    half = {
        name: float(found.x[share >= 0.5][0])
        for name, share in zip(found.optimizers, found.share, strict=True)
        if share[-1] >= 0.5
    }
    if half:
        first = min(half, key=lambda name: half[name])
        said.append(
            f"The first to solve half of the runs is {first}, with "
            f"{_amount(half[first], measure)}."
        )
    never = [name for name in found.optimizers if name not in half]
    if never and half:
        said.append(f"{listed(never)} did not solve half of the runs.")
    return said


def success_caption(
    comparison: Comparison,
    accuracies: Iterable[float] = ACCURACIES,
    *,
    subset: Sequence[str] | None = None,
    level: float = 0.95,
) -> list[str]:
    """What to say under the shares of runs that reach their targets.

    Args:
        comparison: What was run.
        accuracies: The targets.
        subset: Optimizers that are shown; None for all.
        level: The intervals' coverage.

    Returns:
        Sentences: how to read it, and what it shows here.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    found = numbers.success(comparison, accuracies, subset=subset, level=level)
    said = [
        "A dot is the share of an optimizer's runs that came down to the fraction of "
        "the starting gap that stands above the panel, at whatever cost; the bar is "
        f"Wilson's {100 * level:.0f}% interval, which takes runs to be independent.",
    ]
    for place, accuracy in enumerate(found.accuracies):
        reached, runs = found.reached[place], found.runs
        if not reached.any():
            said.append(f"Nobody reached {number(accuracy)}.")
            continue
        rate = np.nan_to_num(found.rate[place], nan=-1.0)
        best = np.flatnonzero(rate == rate.max())
        names = listed([found.optimizers[k] for k in best])
        k = int(best[0])
        each = " each" if len(best) > 1 and len(set(runs[best].tolist())) == 1 else ""
        how = f"in {reached[k]} of {plural(int(runs[k]), 'run')}{each}"
        if len(best) > 1 and not each:
            how = f"in {rate[k]:.0%} of their runs"
        said.append(f"Most often down to {number(accuracy)}: {names}, {how}.")
    return said


def wins_caption(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracy: float = 1e-5,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 1000,
    level: float = 0.9,
) -> list[str]:
    """What to say under the matrix of odds.

    Args:
        comparison: What was run.
        measure: What runs are charged with.
        accuracy: The target.
        subset: Optimizers that are shown; None for all.
        resamples: Bootstrap resamples.
        level: The share of the resamples within an interval.

    Returns:
        Sentences: how to read it, and what it shows here.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    spent = numbers.costs(comparison, measure, accuracy)
    found = numbers.wins(spent, subset=subset, resamples=resamples, level=level)
    said = [
        "A cell says in how many of a hundred runs the optimizer of the row reached "
        f"{number(accuracy)} of the starting gap with fewer {WORDS[measure]} than that "
        "of the column, from the same start; ties count half. Below it stands the "
        f"{100 * level:.0f}% interval from resampling problems and seeds; bold where "
        "it leaves 50 out. Runs in which both failed are not counted."
    ]
    if not found.decided.any():
        return [*said, "Here no two optimizers can be told apart: nobody got there."]
    names = found.optimizers
    always = [
        name
        for k, name in enumerate(names)
        if len(names) > 1 and np.all(np.delete(found.low[k], k) > 0.5)
    ]
    said += [f"{name} beats every other one beyond chance." for name in always]
    if not always and len(names) > 1:
        said.append("Nobody beats every other one beyond chance.")
    upper = np.triu_indices(len(names), 1)
    unsure = (found.low[upper] <= 0.5) & (found.high[upper] >= 0.5)
    if unsure.any():
        said.append(
            f"{plural(int(unsure.sum()), 'pair')} of {unsure.size} can't be told "
            "apart from these runs."
        )
    lost = found.both_failed[upper]
    if lost.any():
        k = int(lost.argmax())
        a, b = names[upper[0][k]], names[upper[1][k]]
        said.append(f"Both failed most often: {a} and {b}, in {lost[k]} runs.")
    return said


_EMPTY = "There is no run that all of them made and that was measured."


def _amount(value: float, measure: Measure) -> str:
    """A cost with its unit."""
    if measure == "seconds":
        return duration(value)
    shown = count(value) if 1 <= value < 1e6 else number(value)
    return f"{shown} {WORDS[measure]}"


def _common(spent: Costs, found: Profile) -> list[str]:
    """What counts as solved, and what is counted."""
    ran = np.logical_not(np.isnan(spent.values).any(axis=2))
    problems = sum(bool(row.any()) for row in ran)
    said = [
        f"Solved is a run whose gap fell to {number(found.accuracy)} of where it "
        "started, or to the rounding of the loss. Shares are of "
        f"{plural(found.pairs, 'run')} on {plural(problems, 'problem')}."
    ]
    if found.left_out:
        verb = "is" if found.left_out == 1 else "are"
        said.append(
            f"{plural(found.left_out, 'more run')} that not all of these optimizers "
            f"made, or was measured on, {verb} left out."
        )
    return said


def _lead(found: Profile, x: float) -> str:
    """Who has solved most within a limit, and how much."""
    names = found.leaders(x)
    return (
        f"{listed(names)}, {found.at(x).max():.0%} of the runs" if names else "nobody"
    )
