"""Sentences about a comparison, written from its data."""

import math
from collections.abc import Sequence

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
