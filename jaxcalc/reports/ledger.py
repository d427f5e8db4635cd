"""What everything cost: evaluations, operations, seconds and memory, in one table."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxcalc.comparison import Comparison, Runs
from jaxcalc.reports import _frame, _numbers
from jaxcalc.reports.prose import listed, plural


class Cell(NamedTuple):
    """An entry of a table: what is read, and what is sorted by (None comes last)."""

    text: str
    value: float | None


class Ledger(NamedTuple):
    """The table.

    Attributes:
        headings: Names of the columns after problem and optimizer.
        rows: For each record the title of its problem, its optimizer and its cells.
    """

    headings: tuple[str, ...]
    rows: list[tuple[str, str, list[Cell]]]


_KINDS = {
    "values": "values",
    "gradients": "gradients",
    "hvps": "Hessian-vector products",
    "hessians": "Hessians",
    "residuals": "residuals",
    "jacobians": "Jacobians",
}


def table(comparison: Comparison) -> Ledger:
    """Costs of the evaluation runs of each optimizer on each problem.

    Args:
        comparison: What was run.

    Returns:
        Headings and rows; counts and operations are medians over the runs, seconds are
        those of the whole batch. Kinds that nobody used have no column.
    """
    runs = comparison.select(phase="evaluation")
    columns = _columns(runs)
    rows = [
        (
            _frame.title_of(comparison, run.problem),
            run.optimizer,
            [make(run) for make in columns.values()],
        )
        for run in runs
    ]
    return Ledger(tuple(columns), rows)


def alarms(comparison: Comparison) -> list[str]:
    """What should not have happened: programs that were compiled twice.

    Args:
        comparison: What was run.

    Returns:
        Sentences; none if all is well.
    """
    twice = [run for run in comparison.runs if run.recompiled]
    if not twice:
        return []
    who = list(dict.fromkeys(f"{run.optimizer} on {run.problem}" for run in twice))
    if len(who) > 6:
        who = [*who[:6], f"{len(who) - 6} more"]
    times = sum(run.recompiled for run in twice)
    return [
        f"Alarm: something that had been compiled was compiled again, "
        f"{plural(times, 'time')}: {listed(who)}. The seconds spent compiling are too "
        "high."
    ]


def totals(comparison: Comparison) -> str:
    """Where the seconds of the whole comparison went, tuning included.

    Args:
        comparison: What was run.

    Returns:
        A sentence; empty if nothing was measured.
    """
    words = {"trace": "tracing", "compile": "compiling", "run": "running"}
    words["transfer"] = "copying results"
    spent = {}
    for name, word in words.items():
        each = np.array([getattr(run, f"{name}_seconds") for run in comparison.runs])
        if np.isfinite(each).any():
            spent[word] = float(np.nansum(each))
    if not spent:
        return ""
    parts = [f"{_numbers.duration(value)} {word}" for word, value in spent.items()]
    return f"All runs together, tuning included, spent {listed(parts)}."


def _columns(runs: tuple[Runs, ...]) -> dict[str, Callable[[Runs], Cell]]:
    """Headings, and what stands under them."""
    found: dict[str, Callable[[Runs], Cell]] = {}
    for kind, words in _KINDS.items():
        if kind in {"values", "gradients", "hvps", "hessians"} or _used(runs, kind):
            found[words] = lambda run, kind=kind: _counted(run, kind)
    found["gradient-equivalents"] = lambda run: _amount(_total(run))
    found["FLOPs"] = lambda run: _amount(_total(run) * run.gradient_flops)
    for name, words in (
        ("trace_seconds", "tracing"),
        ("compile_seconds", "compiling"),
        ("run_seconds", "running"),
        ("transfer_seconds", "copying"),
    ):
        found[words] = lambda run, name=name: _time(getattr(run, name))
    found["peak memory"] = lambda run: _bytes(run.peak_bytes)
    found["time of a step (quartiles)"] = _step
    found["compiled again"] = lambda run: Cell(
        f"{run.recompiled} times" if run.recompiled else "no", float(run.recompiled)
    )
    return found


def _used(runs: tuple[Runs, ...], kind: str) -> bool:
    return any(np.any(run.work.get(kind, np.zeros(1)) > 0) for run in runs)


def _at_end(trace: np.ndarray, run: Runs) -> float:
    """The median over lanes of a cumulative trace's last entry."""
    if not len(run.steps):
        return float("nan")
    return float(np.median(trace[run.steps, np.arange(len(run.steps))]))


def _counted(run: Runs, kind: str) -> Cell:
    if kind not in run.work:
        return Cell("0", 0.0)
    value = _at_end(run.work[kind], run)
    return Cell(_numbers.count(value), value)


def _total(run: Runs) -> float:
    return _at_end(run.gradient_equivalents, run)


def _amount(value: float) -> Cell:
    if not np.isfinite(value):
        return Cell("—", None)
    text = _numbers.count(value) if value < 99_999.5 else _numbers.number(value, 3)
    return Cell(text, value)


def _time(value: float) -> Cell:
    return Cell(_numbers.duration(value), value if np.isfinite(value) else None)


def _bytes(value: float) -> Cell:
    if not np.isfinite(value):
        return Cell("—", None)
    size, unit = value, "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return Cell(f"{_numbers.number(size, 3)}\N{NO-BREAK SPACE}{unit}", value)


def _step(run: Runs) -> Cell:
    """Seconds of one step, with the quartiles of the rounds."""
    value = run.seconds_per_step
    if not np.isfinite(value):
        return Cell("—", None)
    low, high = run.seconds_per_step_low, run.seconds_per_step_high
    text = _numbers.duration(value)
    if np.isfinite(low) and np.isfinite(high):
        text += f" ({_numbers.duration(low)} to {_numbers.duration(high)})"
    return Cell(text, value)


def as_dict(found: Ledger) -> dict[str, Any]:
    """The table for a template.

    Args:
        found: What `table` returned.

    Returns:
        Headings and rows by name.
    """
    return found._asdict()
