"""What every run spent until it reached a target: the array behind all profiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxcalc import _checks
from jaxcalc.comparison.results import Comparison, Runs

Measure = Literal[
    "steps", "gradient_equivalents", "simplex_gradients", "flops", "seconds"
]
MEASURES: tuple[Measure, ...] = (
    "steps",
    "gradient_equivalents",
    "simplex_gradients",
    "flops",
    "seconds",
)
"""What a run can be charged with."""

ACCURACIES = (1e-1, 1e-3, 1e-5, 1e-7)
"""The targets of Moré and Wild, from mild to strict."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Costs:
    """What each run spent to reach its target.

    Anything with costs can be put here by hand, and profiled.

    Attributes:
        problems: Names of the problems.
        seeds: Seeds, of all problems together.
        optimizers: Names of the optimizers.
        values: What was spent, shape `(problems, seeds, optimizers)`, zero or more;
            infinite where the target was not reached, NaN where there was no run or
            nothing was measured.
        measure: In what.
        accuracy: The target: this fraction of the gap that a run started with.
    """

    problems: tuple[str, ...]
    seeds: tuple[int, ...]
    optimizers: tuple[str, ...]
    values: np.ndarray
    measure: str = "cost"
    accuracy: float = float("nan")

    def __post_init__(self):
        for name in ("problems", "seeds", "optimizers"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"`{name}` holds an entry twice: {given}")
        shape = (len(self.problems), len(self.seeds), len(self.optimizers))
        if np.shape(self.values) != shape:
            raise ValueError(
                f"`values` must have shape {shape}, one entry for each problem, seed "
                f"and optimizer, got {np.shape(self.values)}"
            )
        if np.any(np.asarray(self.values) < 0):
            raise ValueError("`values` must be zero or more: nothing costs less")

    def subset(self, optimizers: Sequence[str] | None) -> "Costs":
        """The costs of some of the optimizers.

        Args:
            optimizers: Their names, in any order; None for all.

        Returns:
            Costs with these optimizers in this order.

        Raises:
            TypeError: `optimizers` is a single text.
            ValueError: A name is unknown or occurs twice, or there is none.
        """
        if optimizers is None:
            return self
        if isinstance(optimizers, str):
            raise TypeError(f"`subset` must be several names: write [{optimizers!r}]")
        for name in optimizers:
            _checks.known("optimizer in `subset`", name, self.optimizers)
        if not optimizers:
            raise ValueError("`subset` is empty: name at least one optimizer")
        places = [self.optimizers.index(name) for name in optimizers]
        return Costs(
            problems=self.problems,
            seeds=self.seeds,
            optimizers=tuple(optimizers),
            values=self.values[:, :, places],
            measure=self.measure,
            accuracy=self.accuracy,
        )

    def without(self, problem: str) -> "Costs":
        """The costs on the other problems.

        Args:
            problem: The name of the one to leave out.

        Returns:
            Costs without it.

        Raises:
            ValueError: There is no such problem.
        """
        place = self.problems.index(_checks.known("problem", problem, self.problems))
        return Costs(
            problems=self.problems[:place] + self.problems[place + 1 :],
            seeds=self.seeds,
            optimizers=self.optimizers,
            values=np.delete(self.values, place, axis=0),
            measure=self.measure,
            accuracy=self.accuracy,
        )


def costs(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracy: float = 1e-5,
) -> Costs:
    r"""What every evaluation run spent to reach the target.

    $$t = \min\{\text{work}_k : f(x_k) - f_\ast \le
    \max(\tau\,(f(x_0) - f_\ast),\ \varepsilon)\}$$

    The reference $f_\ast$ is `Comparison.reference`, one for all optimizers, and
    $f(x_0)$ the start that all optimizers share, so the target of a problem and seed is
    one number. It is never finer than $\varepsilon$, the rounding of the loss (see
    `rounding`): who is down there has arrived. A run that ended non-finite, or above
    its start, has failed, though it may have passed the target on the way.

    Args:
        comparison: What was run.
        measure: "steps"; "gradient_equivalents", where an evaluation counts what it
            costs in gradients; "simplex_gradients", the same in units of n + 1 values,
            n being the number of parameters; "flops"; or "seconds", which is steps
            times `seconds_per_step`.
        accuracy: The fraction $\tau$ of the starting gap that may be left.

    Returns:
        Costs; infinite where a run failed or was cut off before its target.

    Raises:
        TypeError: `accuracy` is not a number.
        ValueError: The measure is unknown, `accuracy` is not positive, or an optimizer
            has two evaluation runs from one seed.

    References:
        Moré and Wild (2009), Benchmarking derivative-free optimization algorithms, SIAM
        Journal on Optimization 20(1), equation 2.1.
    """
    _checks.known("measure", measure, MEASURES)
    accuracy = _checks.positive_float("accuracy", accuracy)
    runs = comparison.select(phase="evaluation")
    seeds = sorted({int(seed) for run in runs for seed in run.seeds})
    problems, optimizers = comparison.problems, comparison.optimizers
    values = np.full((len(problems), len(seeds), len(optimizers)), np.nan)
    column = {seed: place for place, seed in enumerate(seeds)}
    for row, problem in enumerate(problems):
        here = [run for run in runs if run.problem == problem]
        reference = comparison.reference(problem)
        targets = _targets(here, reference, accuracy, rounding(comparison, problem))
        unit = _unit(here) if measure == "simplex_gradients" else 1.0
        for run in here:
            lanes = [column[int(seed)] for seed in run.seeds]
            place = optimizers.index(run.optimizer)
            _refuse_twice(run, values[row, lanes, place])
            aims = np.array([targets[int(seed)] for seed in run.seeds])
            spent = _spent(run, measure, run.value - reference, aims)
            values[row, lanes, place] = spent / unit
    return Costs(
        problems=problems,
        seeds=tuple(seeds),
        optimizers=optimizers,
        values=values,
        measure=measure,
        accuracy=accuracy,
    )


def rounding(comparison: Comparison, problem: str) -> float:
    """The smallest gap that means anything: what rounding leaves of the loss.

    One machine epsilon of the coarsest dtype, times the reference value or the typical
    starting gap, whichever is larger; common to all optimizers.

    Args:
        comparison: What was run.
        problem: The problem's name.

    Returns:
        A positive number.
    """
    runs = comparison.select(problem)
    reference = comparison.reference(problem)
    eps = max((float(np.finfo(run.value.dtype).eps) for run in runs), default=2.2e-16)
    starts = np.concatenate([run.value[0] for run in runs] or [np.ones(0)])
    gaps = np.abs(starts.astype(float) - reference)
    gaps = gaps[np.isfinite(gaps)]
    scale = max(abs(reference), float(np.median(gaps)) if gaps.size else 0.0)
    return eps * scale if np.isfinite(scale) and scale > 0 else eps


def _targets(
    runs: Sequence[Runs], reference: float, accuracy: float, smallest: float
) -> dict[int, float]:
    """The gap that counts as reached, by seed: one for all optimizers."""
    starts: dict[int, float] = {}
    for run in runs:
        for seed, value in zip(run.seeds.tolist(), run.value[0], strict=True):
            if not np.isfinite(starts.get(seed, np.nan)):
                starts[seed] = float(value)
    return {
        seed: max(accuracy * (start - reference), smallest)
        if np.isfinite(start)
        else np.nan
        for seed, start in starts.items()
    }


def _spent(
    run: Runs, measure: Measure, gaps: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """What each lane spent; infinite if it failed, NaN if it was not measured."""
    lanes = np.arange(len(run.steps))
    along = _along(run, measure)
    there = np.isfinite(gaps) & (gaps <= targets)
    spent = along[there.argmax(axis=0), lanes]
    spent = np.where(there.any(axis=0) & ~run.diverged, spent, np.inf)
    # Who was not measured is not compared: not where it failed either.
    return np.where(np.isnan(along[0]), np.nan, spent)


def _along(run: Runs, measure: Measure) -> np.ndarray:
    """Cumulative cost at every point of a trace; NaN where it was not measured."""
    if measure in {"gradient_equivalents", "simplex_gradients"}:
        return run.gradient_equivalents
    if measure == "flops":
        return run.flops
    steps = np.arange(len(run.value), dtype=float)[:, None]
    count = np.where(steps <= run.steps, steps, np.nan)
    return count * run.seconds_per_step if measure == "seconds" else count


def _unit(runs: Sequence[Runs]) -> float:
    """The cost of n + 1 values in gradients: the same for all runs of a problem."""
    # Only where values were evaluated was their cost counted; elsewhere it is nominal.
    counted = [run for run in runs if np.any(run.work.get("values", np.zeros(1)) > 0)]
    first = (counted or list(runs))[0]
    return (first.params.shape[1] + 1) * first.cost.get("values", 0.5)


def _refuse_twice(run: Runs, before: np.ndarray) -> None:
    if len(set(run.seeds.tolist())) < len(run.seeds) or not np.isnan(before).all():
        raise ValueError(
            f"{run.optimizer} has two evaluation runs from one seed on {run.problem}: "
            "a profile needs one run for each problem, seed and optimizer"
        )
