"""What the figure of one problem shows here, in sentences written from its data."""

from collections.abc import Sequence

import numpy as np

from jaxcalc.comparison import Comparison
from jaxcalc.reports import series
from jaxcalc.reports._numbers import number
from jaxcalc.reports.prose import listed, plural
from jaxcalc.reports.tables import Row


def convergence(rows: Sequence[Row]) -> str:
    """What the figure of convergence shows.

    Args:
        rows: The rows of one problem.

    Returns:
        A sentence; empty without rows.
    """
    if not rows:
        return ""
    there = sum(row.reached * 2 > row.runs for row in rows)
    said = (
        f"Here {there} of {plural(len(rows), 'optimizer')} came down to "
        f"{number(rows[0].accuracy)} of the starting gap in most of their runs"
    )
    ended = [row for row in rows if np.isfinite(row.gap)]
    if not ended:
        return f"{said}, and all diverged."
    best, worst = (f(ended, key=lambda row: row.gap) for f in (min, max))
    if best.gap <= best.rounding:
        low = [row.optimizer for row in ended if row.gap <= row.rounding]
        lowest = f"down to the rounding of the loss went {_short(low)}"
    else:
        lowest = f"lowest, at {number(best.gap)}, ended {best.optimizer}"
    if worst is best or worst.gap <= worst.rounding:
        return f"{said}; {lowest}."
    return (
        f"{said}; {lowest}, highest of those that did not diverge "
        f"{worst.optimizer}, at {number(worst.gap)}."
    )


def _short(names: Sequence[str]) -> str:
    return listed(names) if len(names) < 5 else plural(len(names), "optimizer")


def rates(comparison: Comparison, problem: str) -> str:
    """What the figure of learning rates shows.

    Args:
        comparison: What was run.
        problem: The problem's name.

    Returns:
        A sentence or two; empty where no rate was tried.
    """
    floor = series.rounding(comparison, problem)
    wide: dict[str, tuple[int, int]] = {}
    lost = []
    for name in comparison.optimizers:
        found = series.rates(comparison, problem, name)
        if found is None or found.tried.size < 2:
            continue
        gaps = np.maximum(found.middle, floor)
        best = gaps.min()
        if np.isfinite(best):
            wide[name] = (int(np.sum(gaps <= 10 * best)), found.tried.size)
        if found.failed[-1] >= 0.5:
            lost.append(name)
    if not wide:
        return "Here every rate diverged." if lost else ""
    most = max(wide.values(), key=lambda pair: pair[0] / pair[1])
    easy = [name for name, pair in wide.items() if pair == most]
    verb = "ends" if len(easy) == 1 else "end"
    said = (
        f"Here {_short(easy)} {verb} within ten times of the best gap at {most[0]} of "
        f"{plural(most[1], 'rate')}"
    )
    if not lost:
        return f"{said}; nobody diverges at the largest rate."
    verb = "diverges" if len(lost) == 1 else "diverge"
    return f"{said}; {_short(lost)} {verb} at the largest rate."


def paths(comparison: Comparison, problem: str) -> str:
    """What the figure of paths shows: the shortest and the longest way.

    Args:
        comparison: What was run.
        problem: The problem's name.

    Returns:
        A sentence; empty where fewer than two paths arrive.
    """
    lengths = {}
    for run in comparison.select(problem, phase="evaluation"):
        if run.path is None:
            continue
        steps = np.linalg.norm(np.diff(run.path, axis=0), axis=-1)
        own = np.nansum(steps, axis=0)[~run.diverged]
        if own.size and np.isfinite(own).any():
            lengths[run.optimizer] = float(np.median(own[np.isfinite(own)]))
    if len(lengths) < 2:
        return ""
    short, long = (f(lengths, key=lambda n: lengths[n]) for f in (min, max))
    return (
        f"Over all starts the shortest way is that of {short} (median length "
        f"{number(lengths[short])}), the longest that of {long} "
        f"({number(lengths[long])})."
    )
