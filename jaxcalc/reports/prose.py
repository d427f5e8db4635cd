"""Sentences about a comparison, written from its data."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcalc.comparison import Comparison, Runs
from jaxcalc.minimization import Status
from jaxcalc.reports import tables
from jaxcalc.reports._numbers import count, duration, number
from jaxcalc.reports.tables import Row


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: a, b and c.

    Args:
        words: Any number of words.

    Returns:
        Text; empty without words.
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def plural(number_of: int, word: str) -> str:
    """A count with its word.

    Args:
        number_of: How many.
        word: What, in the singular.

    Returns:
        Text such as "1 seed" or "8 seeds".
    """
    return f"{number_of:,} {word}" + ("" if number_of == 1 else "s")


def verdict(rows: Sequence[Row]) -> list[str]:
    """What happened on one problem: who was first, who was not, who failed.

    Args:
        rows: The rows of one problem.

    Returns:
        Sentences; one that says so where there is nothing to tell.
    """
    if not rows:
        return ["There are no evaluation runs."]
    there = [row for row in rows if math.isfinite(row.work)]
    said = []
    if there:
        said += _winners(sorted(there, key=lambda row: row.work))
    else:
        said.append(f"No optimizer {_aim(rows[0])} in half of its runs.")
    lost = [row for row in rows if row.diverged]
    for row in lost:
        how = "in every run" if row.diverged == row.runs else ""
        how = how or f"in {row.diverged} of {plural(row.runs, 'run')}"
        said.append(f"{row.optimizer} diverged {how}.")
    slow = [r.optimizer for r in rows if not math.isfinite(r.work) and not r.diverged]
    if slow and there:
        said.append(f"{listed(slow)} did not get there in half of the runs.")
    if not there or rows[0].accuracy > tables.ACCURACIES[0]:
        said += _lowest(rows)
    return said


def _lowest(rows: Sequence[Row]) -> list[str]:
    """Who came nearest to the reference, if anybody did."""
    down = [row.optimizer for row in rows if row.gap < row.rounding]
    if down:
        return [f"In the end {listed(down)} came down to the rounding of the loss."]
    best = min(rows, key=lambda row: row.gap)
    if math.isinf(best.gap):
        return []
    return [f"In the end {best.optimizer} came nearest, to {number(best.gap)}."]


def _aim(row: Row) -> str:
    """The target, in words."""
    return f"brought the gap down to {number(row.accuracy)} of its start"


def _winners(ranked: Sequence[Row]) -> list[str]:
    """Who reached the target with the least work, who came next, who was quickest."""
    first = ranked[0]
    time = f" and {duration(first.seconds)}" if math.isfinite(first.seconds) else ""
    steps = f"{count(first.steps)} step" + ("" if first.steps == 1 else "s")
    said = [
        f"{first.optimizer} {_aim(first)} with the least work: {_gradients(first)}, in "
        f"{steps}{time}."
    ]
    if len(ranked) > 1:
        second = ranked[1]
        ratio = second.work / first.work if first.work > 0 else math.nan
        more = f", {number(ratio)} times as much" if ratio > 1.05 else ""
        said.append(f"Next came {second.optimizer} with {_gradients(second)}{more}.")
    timed = [row for row in ranked if math.isfinite(row.seconds)]
    quick = min(timed, key=lambda row: row.seconds, default=first)
    if quick is not first:
        said.append(
            f"By the clock {quick.optimizer} was first, at {duration(quick.seconds)}."
        )
    return said


def _gradients(row: Row) -> str:
    """Work to the target, in words."""
    return f"{count(row.work)} gradient" + ("" if row.work == 1 else "s")


def protocol(comparison: Comparison) -> list[str]:
    """How the comparison was made, in words; taken from the runs themselves.

    Args:
        comparison: What was run.

    Returns:
        Sentences.
    """
    evaluation = comparison.select(phase="evaluation")
    tuning = comparison.select(phase="tuning")
    problems, optimizers = len(comparison.problems), len(comparison.optimizers)
    said = [
        f"{plural(optimizers, 'optimizer')} on {plural(problems, 'problem')}; every "
        "optimizer starts from the same points."
    ]
    if tuning:
        rates = _distinct(tuning, "rates")
        each = max(np.unique(run.rates).size for run in tuning)
        said.append(
            f"Learning rates were tuned on each problem: {plural(each, 'rate')} for "
            f"each optimizer, between {number(rates[0])} and {number(rates[-1])}, each "
            f"tried on {plural(len(_distinct(tuning, 'seeds')), 'tuning seed')}."
        )
        rule = comparison.protocol.get("rule")
        if isinstance(rule, str):
            said.append(f"The rule of choice: {rule}")
    if evaluation:
        seeds = plural(len(_distinct(evaluation, "seeds")), "evaluation seed")
        tail = (
            ", none of which was used for tuning" if _apart(tuning, evaluation) else ""
        )
        said.append(f"What is shown are runs from {seeds}{tail}.")
    untuned = _without(comparison, rate=False)
    if untuned:
        said.append(
            f"{listed(untuned)} took part untuned: without a learning rate to choose."
        )
    given = _without(comparison, rate=True)
    if given:
        said.append(f"The learning rate of {listed(given)} was given, not tuned.")
    dtypes = sorted({str(run.value.dtype) for run in comparison.runs})
    if comparison.runs:
        steps = comparison.protocol.get("max_steps")
        longest = max(len(run.value) - 1 for run in comparison.runs)
        most = f"{steps:,}" if isinstance(steps, int) else f"{longest:,}"
        said.append(f"A run has at most {most} steps, in {listed(dtypes)}.")
    said.append(
        "Gaps are measured from the known minimum, or else from the lowest value that "
        "any run of any optimizer has seen: one reference for all."
    )
    return said


def _without(comparison: Comparison, *, rate: bool) -> list[str]:
    """Optimizers that were not tuned: without a rate, or with a single one."""
    return [
        name
        for name in comparison.optimizers
        if not comparison.select(optimizer=name, phase="tuning")
        and rate
        == np.isfinite([r.rates[0] for r in comparison.select(optimizer=name)]).any()
    ]


def _distinct(runs: Sequence[Runs], field: str) -> np.ndarray:
    """The different finite entries of a field over all lanes."""
    values = np.unique(np.concatenate([getattr(run, field) for run in runs]))
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _apart(tuning: Sequence[Runs], evaluation: Sequence[Runs]) -> bool:
    """Whether no seed serves both to tune and to evaluate."""
    if not tuning:
        return False
    shared = np.intersect1d(_distinct(tuning, "seeds"), _distinct(evaluation, "seeds"))
    return not shared.size


def failures(rows: Sequence[Row], titles: dict[str, str]) -> list[dict[str, Any]]:
    """Runs that did not converge, by how they ended, with why and what to try.

    Args:
        rows: Rows of any problems.
        titles: What people call the problems.

    Returns:
        For each status: its words, why and what to try, and by problem who ended so.
    """
    found = []
    for status in Status:
        who: dict[str, list[str]] = {}
        for row in rows:
            if status in row.ended:
                title = titles.get(row.problem) or row.problem
                counted = f"{row.optimizer} ({row.ended[status]} of {row.runs})"
                who.setdefault(title, []).append(counted)
        if who and status != Status.CONVERGED:
            found.append(
                {
                    "words": tables.WORDS[status],
                    "why": f"{status.describe} {status.remedy}",
                    "who": {title: listed(names) for title, names in who.items()},
                }
            )
    return found
