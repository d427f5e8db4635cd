"""Summary tables of a comparison, for people: rows, Markdown, LaTeX."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxcalc import _checks
from jaxcalc.comparison import Comparison, Runs
from jaxcalc.minimization import Status
from jaxcalc.reports import _numbers, series

WORDS = {
    Status.RUNNING: "still running",
    Status.CONVERGED: "converged",
    Status.STALLED: "stalled at rounding",
    Status.MAX_STEPS: "ran out of steps",
    Status.NONFINITE: "became non-finite",
    Status.UNBOUNDED: "fell without bound",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One optimizer on one problem, over its evaluation seeds.

    A run reaches the target when its gap is at most `accuracy` times the gap it started
    with, or at most the rounding of the loss. `steps`, `work` and `seconds` are medians
    until then, in which a run that never got there counts as infinite; so they are
    infinite where half of the runs did not.

    Attributes:
        problem: The problem's name.
        optimizer: The optimizer's name.
        rate: The chosen learning rate; NaN where there is none.
        accuracy: The target, the same for all optimizers on a problem.
        runs: How many runs there are.
        reached: How many of them reached the target.
        steps: Steps to the target.
        work: Gradient-equivalents to the target.
        seconds: Seconds of one unbatched run to the target; NaN if not measured.
        gap: Median gap at the end; infinite where half of the runs diverged.
        rounding: The smallest gap that means anything, as in `series.rounding`.
        grad_norm: Median of the gradient's largest entry at the end.
        ended: How many runs ended with which status.
        diverged: How many runs diverged, by any of the ways to do so.
        settings: The other hyperparameters that were chosen, by name.
        metrics: Medians of what the problem measures beside the loss, by name; NaN
            where a run has none.
    """

    problem: str
    optimizer: str
    rate: float
    accuracy: float
    runs: int
    reached: int
    steps: float
    work: float
    seconds: float
    gap: float
    rounding: float
    grad_norm: float
    ended: dict[Status, int]
    diverged: int
    settings: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def has_rate(self) -> bool:
        """Whether a learning rate was given or chosen."""
        return math.isfinite(self.rate)

    @property
    def words(self) -> str:
        """How the runs ended, in words."""
        if len(self.ended) == 1:
            ((status, count),) = self.ended.items()
            return ("all " if count > 1 else "") + WORDS[status]
        return ", ".join(f"{n} {WORDS[status]}" for status, n in self.ended.items())


ACCURACIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Targets, from which `summary` takes the strictest that serves to compare."""


def summary(
    comparison: Comparison,
    problem: str | None = None,
    *,
    accuracy: float | None = None,
) -> list[Row]:
    """One row for each problem and optimizer, in the order of the comparison.

    Args:
        comparison: What was run.
        problem: A problem's name, or None for all.
        accuracy: The target: this fraction of a run's starting gap to
            `Comparison.reference`. By default, for each problem, the strictest of
            `ACCURACIES` that half of the optimizers reach in half of their runs, or
            else the mildest.

    Returns:
        The rows; an optimizer without evaluation runs has none.

    Raises:
        ValueError: The problem is unknown, or `accuracy` is not positive.
    """
    if accuracy is not None:
        _checks.positive_float("accuracy", accuracy)
    if problem is not None:
        _checks.known("problem", problem, comparison.problems)
    found = []
    for name in comparison.problems if problem is None else (problem,):
        runs = comparison.select(name, phase="evaluation")
        aim = _common_accuracy(comparison, runs) if accuracy is None else accuracy
        found += [_row(comparison, run, aim) for run in runs]
    return found


def _common_accuracy(comparison: Comparison, runs: Sequence[Runs]) -> float:
    """The strictest target that half of the optimizers reach in half of their runs."""
    for accuracy in ACCURACIES:
        spent = [_spent(comparison, run, "steps", accuracy) for run in runs]
        there = [np.isfinite(series.quantile(steps, 0.5)) for steps in spent]
        if sum(there) * 2 >= len(runs):
            return accuracy
    return ACCURACIES[-1]


def _spent(
    comparison: Comparison, run: Runs, x: series.XAxis, accuracy: float
) -> np.ndarray:
    """What each lane of a run spent to reach the target."""
    reference = comparison.reference(run.problem)
    smallest = series.rounding(comparison, run.problem)
    return series.first_reach(run, x, reference, accuracy, smallest)


def _row(comparison: Comparison, run: Runs, accuracy: float) -> Row:
    """Medians of one optimizer's evaluation runs on one problem."""
    reference = comparison.reference(run.problem)

    def spent(x: series.XAxis) -> np.ndarray:
        return _spent(comparison, run, x, accuracy)

    def median(values: np.ndarray) -> float:
        if np.isnan(values).any():
            return math.nan
        return float(series.quantile(values, 0.5))

    last = run.grad_norm[run.steps, np.arange(len(run.steps))]
    last = np.where(np.isfinite(last), last, np.inf)
    counts = Counter(Status(int(s)) for s in run.status)
    return Row(
        problem=run.problem,
        optimizer=run.optimizer,
        rate=series.chosen_rate((run,)),
        accuracy=accuracy,
        runs=len(run.steps),
        reached=int(np.isfinite(spent("steps")).sum()),
        steps=median(spent("steps")),
        work=median(spent("work")),
        seconds=median(spent("seconds")),
        gap=float(series.quantile(series.final_gap(run, reference), 0.5)),
        rounding=series.rounding(comparison, run.problem),
        grad_norm=float(series.quantile(last, 0.5)),
        ended={status: counts[status] for status in Status if counts[status]},
        diverged=int(run.diverged.sum()),
        settings=_chosen(run),
        metrics={name: median(np.asarray(v)) for name, v in run.metrics.items()},
    )


def _chosen(run: Runs) -> dict[str, float]:
    """Hyperparameters beside the learning rate that all lanes of a run share."""
    return {
        name: float(values[0])
        for name, values in run.settings.items()
        if name != "learning_rate"
        and len(values)
        and np.isfinite(values[0])
        and np.all(values == values[0])
    }


HEADINGS = (
    "optimizer",
    "learning rate",
    "reached",
    "steps",
    "gradients",
    "time",
    "final gap",
    "gradient norm",
    "how the runs ended",
)


def metrics(rows: Sequence[Row]) -> tuple[str, ...]:
    """Names of what any of the rows measured beside the loss.

    Args:
        rows: What `summary` returned.

    Returns:
        Names in the order in which they occur.
    """
    return tuple(dict.fromkeys(name for row in rows for name in row.metrics))


def headings(rows: Sequence[Row]) -> tuple[str, ...]:
    """What stands above the columns: `HEADINGS`, and the metrics before the last.

    Args:
        rows: What `summary` returned.

    Returns:
        Texts.
    """
    own = [name.replace("_", " ") for name in metrics(rows)]
    first = "settings" if any(row.settings for row in rows) else HEADINGS[1]
    return (HEADINGS[0], first, *HEADINGS[2:-1], *own, HEADINGS[-1])


def sort_keys(row: Row, names: Sequence[str] = ()) -> tuple[float | None, ...]:
    """What each cell of a row is sorted by; None for text, and for what is missing.

    Args:
        row: A row of `summary`.
        names: The metrics that have a column.

    Returns:
        Numbers, one for each cell.
    """
    found = (
        row.rate,
        row.reached / row.runs if row.runs else math.nan,
        row.steps,
        row.work,
        row.seconds,
        row.gap,
        row.grad_norm,
        *(row.metrics.get(name, math.nan) for name in names),
    )
    return (None, *(v if math.isfinite(v) else None for v in found), None)


def _settings(row: Row) -> str:
    """The chosen hyperparameters; the learning rate without its name."""
    rate = [_numbers.number(row.rate)] if row.has_rate else []
    others = [
        f"{name.replace('_', ' ')} {_numbers.number(value)}"
        for name, value in row.settings.items()
    ]
    return ", ".join(rate + others) or "untuned"


def cells(row: Row, names: Sequence[str] = ()) -> tuple[str, ...]:
    """A row as text, one entry under each of `headings`.

    Args:
        row: A row of `summary`.
        names: The metrics that have a column, before the last.

    Returns:
        The texts.
    """
    return (
        row.optimizer,
        _settings(row),
        f"{row.reached} of {row.runs}",
        _numbers.count(row.steps),
        _numbers.count(row.work),
        _numbers.duration(row.seconds),
        _gap(row),
        _numbers.number(row.grad_norm),
        *(_numbers.number(row.metrics.get(name, math.nan), 3) for name in names),
        row.words,
    )


def _gap(row: Row) -> str:
    """The gap at the end, as far as it means anything."""
    if math.isinf(row.gap):
        return "diverged"
    if row.gap < row.rounding:
        return f"< {_numbers.number(row.rounding)}"
    return _numbers.number(row.gap)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table.

    Args:
        rows: What `summary` returned.

    Returns:
        Text that ends in a newline.
    """
    names = metrics(rows)
    head = ("problem", *map(_in_markdown, headings(rows)))
    body = [
        [_in_markdown(c) for c in (row.problem, *cells(row, names))] for row in rows
    ]
    sides = [":--", ":--", *["--:"] * (len(head) - 3), ":--"]
    lines = [head, sides, *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(rows: Sequence[Row]) -> str:
    r"""The rows as a LaTeX table, for `\usepackage{booktabs}`.

    Args:
        rows: What `summary` returned.

    Returns:
        A `tabular` environment that ends in a newline.
    """
    names, above = metrics(rows), headings(rows)
    columns = "ll" + "r" * (len(above) - 2) + "l"
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(map(_in_latex, ("problem", *above))) + r" \\", r"\midrule"]
    before = rows[0].problem if rows else ""
    for row in rows:
        if row.problem != before:
            lines.append(r"\midrule")
        before = row.problem
        shown = " & ".join(_in_latex(c) for c in (row.problem, *cells(row, names)))
        lines.append(shown + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _in_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;")
    return "".join("\\" + c if c in "\\`*_[]|~#" else c for c in line)


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "—": "---",
    "×": r"$\times$",
    "µ": r"$\mu$",
} | {c: "\\" + c for c in "&%$#_{}"}
_LOWERED = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))


def _in_latex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    out, power = [], ""
    for c in " ".join(text.split()) + "\n":
        if c in _LOWERED:
            power += _LOWERED[c]
            continue
        if power:
            out.append(f"$^{{{power}}}$")
            power = ""
        out.append(_LATEX.get(c, c))
    return "".join(out).rstrip("\n")
