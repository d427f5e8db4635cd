"""Numbers behind a picture: medians and quartiles of runs that end at different times.

A run that ended well holds its last point from there on. A run that diverged counts
as infinite from its end on, so that a median is never flattered by what it lost.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxcalc import _checks
from jaxcalc.comparison import Comparison, Runs

XAxis = Literal["steps", "work", "seconds"]
YAxis = Literal["gap", "value", "grad_norm"]


@dataclass(frozen=True)
class Curve:
    """Median and quartiles over lanes; infinite where so many lanes have diverged.

    Attributes:
        x: Where any lane has a point, increasing.
        low: Lower quartiles.
        middle: Medians.
        high: Upper quartiles.
    """

    x: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray


def quantile(values: np.ndarray, q: float) -> np.ndarray:
    """Quantile along the last axis, interpolated as NumPy does, but with infinities.

    NumPy answers NaN between two infinities and between a number and an infinity;
    here the first is infinite and so is the second.

    Args:
        values: Numbers without NaN, shape `(..., n)` with at least one entry.
        q: Between 0 and 1.

    Returns:
        The quantiles, shape `(...)`.
    """
    ordered = np.sort(values, axis=-1)
    place = q * (values.shape[-1] - 1)
    below, share = int(place), place - int(place)
    low = ordered[..., below]
    high = ordered[..., min(below + 1, values.shape[-1] - 1)]
    if share == 0:
        return low
    between = np.isfinite(low) & np.isfinite(high)
    step = np.where(between, high, 0) - np.where(between, low, 0)
    return np.where(between, low + share * step, high)


def rounding(comparison: Comparison, problem: str, y: YAxis = "gap") -> float:
    """The smallest difference worth drawing: what rounding leaves of the loss.

    One machine epsilon of the coarsest dtype, times the reference value or the
    typical start, whichever is larger. It is common to all optimizers.

    Args:
        comparison: What was run.
        problem: The problem's name.
        y: "gap" or "grad_norm".

    Returns:
        A positive number.
    """
    runs = comparison.select(problem)
    eps = max((np.finfo(run.value.dtype).eps for run in runs), default=2.2e-16)
    reference = comparison.reference(problem) if y == "gap" else 0.0
    starts = [
        (run.value[0] - reference if y == "gap" else run.grad_norm[0]) for run in runs
    ]
    start = np.concatenate(starts) if starts else np.ones(1)
    start = np.abs(start[np.isfinite(start)])
    scale = max(abs(reference), float(np.median(start)) if start.size else 0.0)
    return float(eps * scale) if np.isfinite(scale) and scale > 0 else float(eps)


def curve(run: Runs, x: XAxis, y: YAxis, reference: float) -> Curve | None:
    """Median and quartiles of a run's lanes against steps, work or time.

    Args:
        run: Lanes of one optimizer on one problem.
        x: What to count along the way.
        y: What to follow; "gap" is the value above `reference`.
        reference: The value that counts as solved.

    Returns:
        The curve; None where `x` was not measured.
    """
    along = abscissa(run, x)
    if not np.isfinite(along[0]).any():
        return None
    trace = run.grad_norm if y == "grad_norm" else run.value
    trace = np.where(np.isfinite(trace), trace, np.inf)
    if y == "gap":
        trace = trace - reference
    grid = np.unique(along[np.isfinite(along)])
    seen = np.empty((grid.size, trace.shape[1]))
    for lane, (steps, bad) in enumerate(zip(run.steps, run.diverged, strict=True)):
        reached = along[: steps + 1, lane]
        at = np.searchsorted(reached, grid, side="right") - 1
        seen[:, lane] = trace[np.maximum(at, 0), lane]
        if bad:
            seen[grid >= reached[-1], lane] = np.inf
    low, middle, high = (quantile(seen, q) for q in (0.25, 0.5, 0.75))
    return Curve(grid, low, middle, high)


def abscissa(run: Runs, x: XAxis) -> np.ndarray:
    """Steps, gradient-equivalents or seconds at every point of a trace.

    Args:
        run: Lanes of one optimizer on one problem.
        x: What to count.

    Returns:
        Counts, shape `(max_steps + 1, lanes)`; NaN beyond a lane's end.

    Raises:
        ValueError: There is no such axis.
    """
    _checks.known("x axis", x, ("steps", "work", "seconds"))
    if x == "work":
        return run.gradient_equivalents
    steps = np.arange(len(run.value), dtype=float)[:, None]
    count = np.where(steps <= run.steps, steps, np.nan)
    return count * run.seconds_per_step if x == "seconds" else count


def thinned(found: Curve, position: np.ndarray, bins: int = 100) -> Curve:
    """Leave out what a picture cannot show, and no extreme.

    Args:
        found: A curve.
        position: Where each of its points lies along the axis as it is drawn.
        bins: Stretches of the axis; each keeps its ends and its extremes.

    Returns:
        A curve of some of the points.
    """
    if found.x.size <= 2 * bins:
        return found
    span = position[-1] - position[0]
    place = np.minimum((position - position[0]) / span * bins, bins - 1).astype(int)
    keep = {0, found.x.size - 1}
    for part in np.split(np.arange(found.x.size), np.flatnonzero(np.diff(place)) + 1):
        keep |= {part[0], part[-1]}
        keep |= {part[found.middle[part].argmin()], part[found.middle[part].argmax()]}
        keep |= {part[found.low[part].argmin()], part[found.high[part].argmax()]}
    kept = np.array(sorted(keep))
    return Curve(found.x[kept], found.low[kept], found.middle[kept], found.high[kept])


def final_gap(run: Runs, reference: float) -> np.ndarray:
    """What is left above the reference at each lane's end; infinite if it diverged.

    Args:
        run: Lanes of one optimizer on one problem.
        reference: The value that counts as solved.

    Returns:
        Gaps, shape `(lanes,)`.
    """
    last = np.asarray(run.final_value, float)
    fine = np.isfinite(last) & ~run.diverged
    return np.where(fine, np.where(fine, last, 0.0) - reference, np.inf)


def first_reach(
    run: Runs, x: XAxis, reference: float, accuracy: float, smallest: float
) -> np.ndarray:
    """What each lane spent until its gap fell to a fraction of what it started with.

    Args:
        run: Lanes of one optimizer on one problem.
        x: What to count.
        reference: The value that counts as solved.
        accuracy: The fraction of the starting gap.
        smallest: A gap that always counts as reached, for rounding.

    Returns:
        Counts, shape `(lanes,)`; infinite for lanes that never reached it or diverged,
        NaN where `x` was not measured.
    """
    gap = np.where(np.isfinite(run.value), run.value, np.inf) - reference
    with np.errstate(invalid="ignore"):
        there = np.isfinite(gap) & (gap <= np.maximum(accuracy * gap[0], smallest))
    first = there.argmax(axis=0)
    spent = abscissa(run, x)[first, np.arange(gap.shape[1])]
    return np.where(there.any(axis=0) & ~run.diverged, spent, np.inf)


@dataclass(frozen=True)
class Rates:
    """Final gaps of one optimizer over the learning rates that were tried.

    Attributes:
        tried: Rates, increasing; empty for an optimizer without one.
        low: Lower quartiles over seeds, one for each rate; one in all without rates.
        middle: Medians.
        high: Upper quartiles.
        failed: Share of the seeds that diverged.
        chosen: The rate that was evaluated; NaN if none was.
    """

    tried: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    failed: np.ndarray
    chosen: float


def rates(comparison: Comparison, problem: str, optimizer: str) -> Rates | None:
    """Final gaps over the tuning seeds at every learning rate.

    Without tuning runs the evaluation runs stand in: those of an optimizer that has
    no learning rate, or of one that was given a single one.

    Args:
        comparison: What was run.
        problem: The problem's name.
        optimizer: The optimizer's name.

    Returns:
        The gaps; None if the optimizer did not run on the problem.
    """
    tuning = comparison.select(problem, optimizer, "tuning")
    evaluation = comparison.select(problem, optimizer, "evaluation")
    runs = tuning or evaluation
    if not runs:
        return None
    reference = comparison.reference(problem)
    gaps = np.concatenate([final_gap(run, reference) for run in runs])
    lanes = np.concatenate([run.rates for run in runs])
    tried = np.unique(lanes[np.isfinite(lanes)])
    parts = [gaps[lanes == rate] for rate in tried] or [gaps]
    low, middle, high = (
        np.array([quantile(part, q) for part in parts]) for q in (0.25, 0.5, 0.75)
    )
    failed = np.array([np.mean(np.isinf(part)) for part in parts])
    if not tried.size:
        failed = np.zeros(0)
    return Rates(tried, low, middle, high, failed, chosen_rate(evaluation))


def chosen_rate(evaluation: tuple[Runs, ...]) -> float:
    """The learning rate of evaluation runs.

    Args:
        evaluation: Runs of one optimizer on one problem.

    Returns:
        The rate; NaN if there is none.
    """
    found = [rate for run in evaluation for rate in run.rates if np.isfinite(rate)]
    return float(found[0]) if found else float("nan")
