"""From what a solver did to `Runs`, judged by the rules of the comparison."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxcalc.comparison.adaptors._flat import Flat
from jaxcalc.comparison.costs import evaluation_costs, gradient_flops
from jaxcalc.comparison.measures import final_metrics
from jaxcalc.comparison.results import Runs
from jaxcalc.minimization import Status, Work
from jaxcalc.problems import Problem

# Points are recorded for problems whose paths can be drawn.
_DRAWABLE = 2
# Every lane is timed this often, in turns, unless fewer turns take that long.
_ROUNDS, _ENOUGH_SECONDS = 5, 3.0


class Course:
    """What one run did, written down while it goes on.

    Points are evaluated here to be judged. These evaluations are not the solver's, so
    they are neither counted nor timed.
    """

    def __init__(self, flat: Flat, start: np.ndarray, tol: float, max_steps: int):
        self._flat, self._tol, self._max_steps = flat, tol, max_steps
        self.points: list[np.ndarray] = []
        self.rows: list[int] = []
        self.values: list[float] = []
        self.grad_norms: list[float] = []
        self.work: list[dict[str, int]] = []
        # Whether the solver gave up on a number that is not finite.
        self.gave_up = False
        self.add(start, {})

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self.rows[-1]

    def add(
        self, point: np.ndarray, work: Mapping[str, int], row: int | None = None
    ) -> None:
        """Write down a point.

        Args:
            point: The point, flat.
            work: Cumulative evaluations when it was reached.
            row: After how many steps; by default one after the last point.
        """
        point = np.array(point, self._flat.dtype)
        value, grad = self._flat.value_and_grad(point)
        self.points.append(point)
        self.rows.append(row if row is not None else len(self.rows))
        self.values.append(float(value))
        self.grad_norms.append(float(np.abs(grad).max()))
        self.work.append(dict(work))

    def finish(self, point: np.ndarray, work: Mapping[str, int]) -> None:
        """Write down what the solver returned, and all that it has evaluated.

        Args:
            point: The point that it returned.
            work: All evaluations.
        """
        same = np.array_equal(
            np.asarray(point, self._flat.dtype), self.points[-1], equal_nan=True
        )
        if not same:
            row = min(self.steps + 1, self._max_steps)
            if row == self.steps:
                for kept in (self.points, self.rows, self.values, self.grad_norms):
                    kept.pop()
                self.work.pop()
            self.add(point, work, row)
        self.work[-1] = dict(work)

    @property
    def status(self) -> Status:
        """How it stands, by its last point and not by what the solver says."""
        value, norm = self.values[-1], self.grad_norms[-1]
        eps = float(np.finfo(self._flat.dtype).eps)
        # The rules of `minimize`, but for curvature, of which nothing is known here.
        if value < -(1 + abs(self.values[0])) / eps**2:
            return Status.UNBOUNDED
        if not (np.isfinite(value) and np.isfinite(norm)):
            return Status.NONFINITE
        if norm <= self._tol:
            return Status.CONVERGED
        if self.gave_up:
            return Status.NONFINITE
        return Status.MAX_STEPS if self.steps >= self._max_steps else Status.STALLED

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do, whatever the solver thinks."""
        return self.status != Status.STALLED


class Timing(NamedTuple):
    """Seconds measured by a clock.

    Attributes:
        compiling: Spent tracing and compiling.
        running: Of all lanes together.
        low: Of one step, the lower quartile.
        middle: The median.
        high: The upper quartile.
    """

    compiling: float
    running: float
    low: float
    middle: float
    high: float


def measure(
    compiling: float, courses: Sequence[Course], run: Callable[[int], float]
) -> Timing:
    """Time solvers that are warm, lane by lane in turns.

    Args:
        compiling: Seconds spent tracing and compiling.
        courses: What each lane does.
        run: Does the same as the lane of an index again, and returns its seconds.

    Returns:
        The seconds; NaN for a step if none was taken, or none took any time.
    """
    moving = [lane for lane, course in enumerate(courses) if course.steps]
    rounds: list[list[float]] = []
    while len(rounds) < _ROUNDS and sum(map(sum, rounds)) < _ENOUGH_SECONDS:
        rounds.append([run(lane) for lane in moving])
        if not moving:
            break
    # What a clock can't tell from nothing is left out.
    samples = [
        seconds / courses[lane].steps
        for taken in rounds
        for lane, seconds in zip(moving, taken, strict=True)
        if seconds > 0
    ]
    quartiles = np.quantile(samples, [0.25, 0.5, 0.75]) if samples else [np.nan] * 3
    return Timing(compiling, max(0.0, sum(rounds[0])), *map(float, quartiles))


def as_runs(
    label: str,
    problem: Problem,
    seeds: Sequence[int],
    max_steps: int,
    courses: Sequence[Course],
    timing: Timing,
) -> Runs:
    """The record of what solvers did.

    Args:
        label: The optimizer's name.
        problem: The problem.
        seeds: Seed of each lane.
        max_steps: Steps after which a run ends.
        courses: What each lane did.
        timing: Seconds measured.

    Returns:
        Evaluation runs.
    """
    length, dtype = max_steps + 1, courses[0].points[0].dtype
    work = {kind: _counts(courses, kind, length) for kind in Work._fields}
    kinds = {kind for kind, counts in work.items() if counts.max() > 0}
    params = np.stack([course.points[-1] for course in courses])
    drawn = [c.points for c in courses] if problem.size <= _DRAWABLE else None
    return Runs(
        problem=problem.name,
        optimizer=label,
        phase="evaluation",
        rates=np.full(len(courses), np.nan),
        seeds=np.asarray(seeds),
        status=np.array([course.status for course in courses], np.int32),
        steps=np.array([course.steps for course in courses], np.int32),
        value=_trace(courses, [c.values for c in courses], length, dtype),
        grad_norm=_trace(courses, [c.grad_norms for c in courses], length, dtype),
        step_norm=_trace(courses, [_moved(c.points) for c in courses], length, dtype),
        work=work,
        cost=evaluation_costs(problem, kinds),
        path=None if drawn is None else _trace(courses, drawn, length, dtype),
        params=params,
        metrics=final_metrics(problem, params),
        gradient_flops=gradient_flops(problem),
        compile_seconds=timing.compiling,
        run_seconds=timing.running,
        seconds_per_step=timing.middle,
        seconds_per_step_low=timing.low,
        seconds_per_step_high=timing.high,
    )


def _trace(
    courses: Sequence[Course], columns: Sequence[Any], length: int, dtype: Any
) -> np.ndarray:
    """Numbers at each point of each lane as a trace; NaN where there is no point."""
    shape = (length, len(columns), *np.shape(columns[0])[1:])
    trace = np.full(shape, np.nan, dtype)
    for lane, (course, column) in enumerate(zip(courses, columns, strict=True)):
        trace[course.rows, lane] = column
    return trace


def _moved(points: Sequence[np.ndarray]) -> list[float]:
    steps = [float(np.abs(b - a).max()) for a, b in itertools.pairwise(points)]
    return [*steps, float("nan")]


def _counts(courses: Sequence[Course], kind: str, length: int) -> np.ndarray:
    """Cumulative counts; between points that lie apart they stay as they were."""
    counts = np.full((length, len(courses)), -1, np.int32)
    for lane, course in enumerate(courses):
        for row, after, work in zip(
            course.rows, [*course.rows[1:], course.steps + 1], course.work, strict=True
        ):
            counts[row:after, lane] = work.get(kind, 0)
    return counts
