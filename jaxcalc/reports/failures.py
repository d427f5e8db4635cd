"""Runs that did not converge: how each ended, why, what to try, and how it went."""

from typing import Any

import numpy as np

from jaxcalc.comparison import Comparison, Runs
from jaxcalc.minimization import Status
from jaxcalc.reports import _frame, _numbers, downsampling, series, tables
from jaxcalc.reports.prose import plural

_ORDER = (
    Status.NONFINITE,
    Status.UNBOUNDED,
    Status.MAX_STEPS,
    Status.STALLED,
    Status.RUNNING,
)
_POINTS, _WIDTH, _HEIGHT = 18, 96, 24
_MOST = 1000  # runs that are listed one by one; their groups are all there


def groups(comparison: Comparison) -> list[dict[str, Any]]:
    """Evaluation runs that did not converge, by how they ended.

    Args:
        comparison: What was run.

    Returns:
        For each status its words, why and what to try, and the runs of each optimizer
        on each problem with their settings, their last values and a small trace.
    """
    left = _MOST
    found = []
    for status in _ORDER:
        who = []
        for run in comparison.select(phase="evaluation"):
            lanes = np.flatnonzero(run.status == status)
            if lanes.size:
                who.append(_group(comparison, run, lanes[: max(left, 0)], lanes.size))
                left -= lanes.size
        if who:
            total = sum(one["count"] for one in who)
            found.append(
                {
                    "words": tables.WORDS[status],
                    "why": status.describe,
                    "remedy": status.remedy,
                    "total": plural(total, "run"),
                    "who": who,
                }
            )
    return found


def tuning(comparison: Comparison) -> str:
    """What became of the tuning runs, which are not listed.

    Args:
        comparison: What was run.

    Returns:
        A sentence; empty without tuning runs.
    """
    runs = comparison.select(phase="tuning")
    total = sum(len(run.status) for run in runs)
    if not total:
        return ""
    bad = sum(int(run.diverged.sum()) for run in runs)
    return (
        f"Of {plural(total, 'tuning run')}, {bad:,} diverged; the figures of learning "
        "rates show which. They are not listed here."
    )


def _group(
    comparison: Comparison, run: Runs, lanes: np.ndarray, count: int
) -> dict[str, Any]:
    reference = comparison.reference(run.problem)
    floor = series.rounding(comparison, run.problem)
    return {
        "problem": _frame.title_of(comparison, run.problem),
        "optimizer": run.optimizer,
        "count": count,
        "of": len(run.status),
        "settings": _settings(run, lanes),
        "left_out": count - lanes.size,
        "runs": [_one(run, int(lane), reference, floor) for lane in lanes],
    }


def _settings(run: Runs, lanes: np.ndarray) -> list[tuple[str, str]]:
    """Hyperparameters of these lanes; those of one optimizer mostly share them."""
    given = run.settings or {"learning_rate": run.rates}
    found = []
    for name, values in given.items():
        own = np.unique(values[lanes][np.isfinite(values[lanes])])
        if own.size:
            shown = ", ".join(_numbers.number(float(value), 3) for value in own[:8])
            shown += ", …" if own.size > 8 else ""
            found.append((name.replace("_", " "), shown))
    return found


def _one(run: Runs, lane: int, reference: float, floor: float) -> dict[str, Any]:
    """What there is to say of one run."""
    end = int(run.steps[lane])
    value = np.asarray(run.value[: end + 1, lane], float)
    grad = np.asarray(run.grad_norm[: end + 1, lane], float)
    finite = np.flatnonzero(np.isfinite(value))
    last = int(finite[-1]) if finite.size else None
    return {
        "seed": int(run.seeds[lane]),
        "steps": f"{end:,}",
        "start": _shown(value[0]),
        "lowest": _shown(value[finite].min()) if finite.size else "none",
        "last": _shown(value[-1]),
        "finite": ""
        if last is None or last == end
        else f"{_shown(value[last])} at step {last:,}",
        "grad": _shown(grad[-1]),
        "trace": _trace(value - reference, floor),
        "diverged": bool(run.diverged[lane]),
    }


def _shown(value: float) -> str:
    """A value, also where it is none."""
    if np.isnan(value):
        return "NaN"
    return _numbers.number(float(value), 3) if np.isfinite(value) else "infinite"


def _trace(gap: np.ndarray, floor: float) -> str:
    """The gap over steps as points of a polyline, its logarithm upwards."""
    finite = np.flatnonzero(np.isfinite(gap))
    if finite.size < 2:
        return ""
    height = np.log10(np.maximum(gap[finite], floor))
    at = downsampling.kept(finite, height, _POINTS)
    span = height.max() - height.min() or 1.0
    x = finite[at] / max(gap.size - 1, 1) * _WIDTH
    y = (height.max() - height[at]) / span * _HEIGHT
    return " ".join(f"{a:.0f},{b:.0f}" for a, b in zip(x, y, strict=True))
