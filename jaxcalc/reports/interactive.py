"""What the page needs to draw by itself: traces, medians, costs and looks, as JSON.

Numbers have four digits, which is what a screen can show; costs are exact, since shares
are counted from them. Missing is `null`, and a run that failed has the cost -1.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxcalc.comparison import Comparison, Runs, profiles
from jaxcalc.reports import _files, _frame, downsampling, series

CURVES = 13_000
"""Points of medians in one page, all together."""
POINTS = 30_000
"""Points of single runs in one page, all together."""

_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "<": "triangle-left",
    ">": "triangle-right",
    "X": "x",
    "p": "pentagon",
    "h": "hexagon",
    "d": "diamond-tall",
}


def payload(comparison: Comparison, accuracy: float) -> dict[str, Any]:
    """Everything that the page draws from.

    Args:
        comparison: What was run.
        accuracy: The target that profiles start with.

    Returns:
        Plain lists, numbers, texts and None, for `dumps`.
    """
    names = _files.slugs(comparison.problems)
    runs = comparison.select(phase="evaluation")
    lanes = sum(len(run.seeds) for run in runs)
    most = _within(POINTS, lanes, 24, 300)
    return {
        "optimizers": _optimizers(comparison),
        "problems": [_problem(comparison, p, slug) for p, slug in names.items()],
        "curves": _curves(comparison, runs),
        "runs": [_lanes(comparison, run, most) for run in runs],
        "rates": _rates(comparison),
        "costs": _costs(comparison),
        "accuracy": profiles.ACCURACIES.index(accuracy),
    }


def sentence(comparison: Comparison) -> str:
    """How traces were thinned, in words.

    Args:
        comparison: What was run.

    Returns:
        A sentence or two.
    """
    runs = comparison.select(phase="evaluation")
    points = sum(int((run.steps + 1).sum()) for run in runs)
    most = _within(POINTS, sum(len(run.seeds) for run in runs), 24, 300)
    if all(int(run.steps.max(initial=0)) + 1 <= most for run in runs):
        return f"The figures draw all {points:,} points of the evaluation runs."
    return (
        f"The evaluation runs have {points:,} points. In the page each run keeps about "
        f"{most} of its own at most: the axis is cut into stretches, evenly and evenly "
        "in its logarithm, and each stretch keeps its lowest and its highest point; "
        "the first, the last and the last finite point of a run are always kept, and "
        "none is averaged. Medians and quartiles are taken of all points, and then "
        "thinned in the same way. The data files have everything."
    )


def dumps(data: Any) -> str:
    """JSON that can stand in a page: short, and without an angle bracket.

    Args:
        data: What `payload` returned.

    Returns:
        Text.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _within(total: int, parts: int, least: int, largest: int) -> int:
    """A fair share of a total, within limits."""
    return int(np.clip(total // max(parts, 1), least, largest))


def _number(value: float, digits: int = 4) -> float | int | None:
    """A number with few digits; None for what is not finite."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e6 else short


def _row(values: Iterable[float], digits: int = 4) -> list[float | int | None]:
    return [_number(float(value), digits) for value in values]


def _optimizers(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "light": look.light,
            "dark": look.dark,
            "dash": [round(1.8 * part, 1) for part in look.dash[1]],
            "symbol": _SYMBOLS[look.marker],
        }
        for name, look in _frame.looks_of(comparison).items()
    ]


def _problem(comparison: Comparison, problem: str, slug: str) -> dict[str, Any]:
    return {
        "name": problem,
        "title": _frame.title_of(comparison, problem),
        "id": slug,
        "reference": _number(comparison.reference(problem), 17),
        "gap": _frame.ylabel(comparison, problem, "gap"),
        "floors": [
            _number(series.rounding(comparison, problem, "gap")),
            _number(series.rounding(comparison, problem, "grad_norm")),
        ],
    }


def _place(comparison: Comparison, run: Runs) -> dict[str, int]:
    return {
        "p": comparison.problems.index(run.problem),
        "o": comparison.optimizers.index(run.optimizer),
    }


def _affine(counts: np.ndarray) -> list[float | int | None] | None:
    """Start and slope of work that grows by the same amount every step."""
    finite = counts[np.isfinite(counts)]
    if finite.size < 2:
        return [*_row(finite, 12), 0] if finite.size else [None, None]
    steps = np.diff(counts, axis=0)
    steps = steps[np.isfinite(steps)]
    if np.ptp(counts[0]) > 0 or np.ptp(steps) > 1e-9 * max(abs(steps.max()), 1e-300):
        return None
    return _row([counts[0, 0], steps[0]], 12)


def _curves(comparison: Comparison, runs: tuple[Runs, ...]) -> list[dict[str, Any]]:
    """Medians and quartiles against steps, and against work where that differs."""
    most = _within(CURVES, len(runs), 40, 300)
    return [_of_one(comparison, run, most) for run in runs]


def _of_one(comparison: Comparison, run: Runs, most: int) -> dict[str, Any]:
    line = _affine(run.gradient_equivalents)
    diverged = int(run.diverged.sum())
    found = _place(comparison, run) | {"work": line, "diverged": diverged}
    found["seconds"] = _number(run.seconds_per_step)
    found["flops"] = _number(run.gradient_flops)
    found["steps"] = _thin(comparison, run, "steps", most)
    if line is None:
        found["by_work"] = _thin(comparison, run, "work", most)
    return found


def _thin(
    comparison: Comparison, run: Runs, x: series.XAxis, most: int
) -> dict[str, Any] | None:
    """Quartiles of the gap and of the gradient at the same few places."""
    reference = comparison.reference(run.problem)
    gap = series.curve(run, x, "gap", reference)
    grad = series.curve(run, x, "grad_norm", reference)
    if gap is None or grad is None:
        return None
    seen = np.stack([gap.middle, gap.low, gap.high, grad.middle])
    at = downsampling.kept(gap.x, seen, most)
    answer: dict[str, Any] = {"x": _row(gap.x[at], 7)}
    for name, one in (("gap", gap), ("grad", grad)):
        bands = [one.middle[at]]
        if len(run.seeds) > 1:
            bands += [one.low[at], one.high[at]]
        answer[name] = [_row(band) for band in bands]
    return answer


def _lanes(comparison: Comparison, run: Runs, most: int) -> dict[str, Any]:
    """Every run by itself, with some of its points."""
    reference = comparison.reference(run.problem)
    work = run.gradient_equivalents
    line = _affine(work)
    lanes = []
    for lane, steps in enumerate(run.steps):
        gap = run.value[: steps + 1, lane].astype(float) - reference
        grad = run.grad_norm[: steps + 1, lane].astype(float)
        at = downsampling.kept(np.arange(steps + 1), np.stack([gap, grad]), most)
        one: dict[str, Any] = {
            "seed": int(run.seeds[lane]),
            "status": int(run.status[lane]),
            "k": at.tolist(),
            "gap": _row(gap[at]),
            "grad": _row(grad[at]),
        }
        if line is None:
            one["work"] = _row(work[at, lane], 7)
        lanes.append(one)
    return _place(comparison, run) | {"lanes": lanes}


def _rates(comparison: Comparison) -> list[dict[str, Any]]:
    """Final gaps over learning rates, where several were tried."""
    found = []
    for p, problem in enumerate(comparison.problems):
        for o, optimizer in enumerate(comparison.optimizers):
            rates = series.rates(comparison, problem, optimizer)
            if rates is None:
                continue
            found.append(
                {
                    "p": p,
                    "o": o,
                    "tried": _row(rates.tried),
                    "gap": [_row(e) for e in (rates.middle, rates.low, rates.high)],
                    "failed": _row(rates.failed),
                    "chosen": _number(rates.chosen),
                }
            )
    return found


def _costs(comparison: Comparison) -> dict[str, Any]:
    """What each run spent to each target; the page multiplies to get the measures."""
    shape = len(comparison.problems), len(comparison.optimizers)
    seconds, flops = np.full((2, *shape), np.nan)
    for run in comparison.select(phase="evaluation"):
        at = tuple(_place(comparison, run).values())
        seconds[at], flops[at] = run.seconds_per_step, run.gradient_flops
    steps, work = (
        [profiles.costs(comparison, measure, aim).values for aim in profiles.ACCURACIES]
        for measure in ("steps", "gradient_equivalents")
    )
    return {
        "accuracies": list(profiles.ACCURACIES),
        "steps": [_spent(one) for one in steps],
        "work": [_spent(one) for one in work],
        "seconds": [_row(row, 17) for row in seconds],
        "flops": [_row(row, 17) for row in flops],
    }


def _spent(values: np.ndarray) -> list[Any]:
    """Costs as nested lists, [problem][seed][optimizer]; -1 for failures."""
    coded = np.where(np.isposinf(values), -1.0, values)
    return [[_row(row, 17) for row in seeds] for seeds in coded]
