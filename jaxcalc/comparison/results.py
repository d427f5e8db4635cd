"""What a comparison found: plain arrays, one record for each problem and optimizer."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxcalc.minimization import Status

Phase = Literal["tuning", "evaluation"]


@dataclass(frozen=True, kw_only=True)
class Runs:
    """All runs of one optimizer on one problem in one phase; one lane a run.

    Time runs along the first axis of a trace, lanes along the second; entry `k` is the
    `k`-th point of a run, and what a run did not reach is NaN.

    Attributes:
        problem: The problem's name.
        optimizer: The optimizer's name.
        phase: "tuning" (every learning rate, on the tuning seeds) or "evaluation" (the
            chosen rate, on the evaluation seeds).
        rates: Learning rate of each lane, shape `(lanes,)`; NaN where there is none.
        seeds: Seed of each lane, shape `(lanes,)`.
        status: `Status` of each lane, shape `(lanes,)`.
        steps: Steps taken by each lane, shape `(lanes,)`.
        value: Trace of losses, shape `(max_steps + 1, lanes)`.
        grad_norm: Trace of gradients' infinity norms, same shape.
        step_norm: Trace of steps' infinity norms, same shape; NaN at the last point.
        work: Cumulative evaluations by kind (the fields of `Work`), each an integer
            array of the traces' shape, -1 where nothing was reached.
        cost: What one evaluation of each kind costs, in gradients.
        path: The points themselves for problems of one or two variables, shape
            `(max_steps + 1, lanes, n)`; otherwise None.
        params: The final points, shape `(lanes, n)`.
        settings: Hyperparameters by name, each of shape `(lanes,)`, the learning rate
            among them; empty where there are none.
        metrics: What the problem measures beside the loss, at the final points: by
            name, each of shape `(lanes,)`.
        gradient_flops: Floating-point operations of one value-and-gradient, as XLA
            counts them; NaN where it can't.
        peak_bytes: Memory that the program takes for its arguments, results and what
            lies between; NaN where XLA does not say.
        recompiled: How often a program was compiled that had been compiled before.
        trace_seconds: Seconds spent tracing the program.
        compile_seconds: Seconds spent compiling it.
        run_seconds: Seconds the compiled program ran, all lanes together.
        transfer_seconds: Seconds spent copying traces from the device.
        seconds_per_step: Seconds of one unbatched step, compiled and warm, the median
            of rounds in which the optimizers take turns; NaN where it was not measured
            (tuning lanes run side by side).
        seconds_per_step_low: Lower quartile of those rounds.
        seconds_per_step_high: Upper quartile.
    """

    problem: str
    optimizer: str
    phase: Phase
    rates: np.ndarray
    seeds: np.ndarray
    status: np.ndarray
    steps: np.ndarray
    value: np.ndarray
    grad_norm: np.ndarray
    step_norm: np.ndarray
    work: dict[str, np.ndarray]
    cost: dict[str, float]
    path: np.ndarray | None
    params: np.ndarray
    settings: dict[str, np.ndarray] = field(default_factory=dict)
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    gradient_flops: float = float("nan")
    peak_bytes: float = float("nan")
    recompiled: int = 0
    trace_seconds: float = float("nan")
    compile_seconds: float = float("nan")
    run_seconds: float = float("nan")
    transfer_seconds: float = float("nan")
    seconds_per_step: float = float("nan")
    seconds_per_step_low: float = float("nan")
    seconds_per_step_high: float = float("nan")

    @property
    def final_value(self) -> np.ndarray:
        """Loss at each lane's last point, shape `(lanes,)`."""
        return self.value[self.steps, np.arange(len(self.steps))]

    @property
    def diverged(self) -> np.ndarray:
        """Lanes that ended non-finite, or above their start, as booleans."""
        bad = self.status == Status.NONFINITE
        return bad | ~(self.final_value <= self.value[0])

    @property
    def gradient_equivalents(self) -> np.ndarray:
        """Cumulative work in units of one gradient, in the shape of a trace."""
        total = np.zeros(self.value.shape)
        for kind, counts in self.work.items():
            total += self.cost[kind] * counts
        reached = np.arange(len(self.value))[:, None] <= self.steps
        return np.where(reached, total, np.nan)

    @property
    def flops(self) -> np.ndarray:
        """Cumulative floating-point operations of all evaluations, like a trace."""
        return self.gradient_equivalents * self.gradient_flops


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every run of a comparison, and under which rules they were made.

    Attributes:
        runs: One record for each problem, optimizer and phase that was run.
        protocol: The settings: rates, seeds, tuning seeds, steps, tolerance, dtype.
        environment: Versions and device.
        titles: What people call each problem, by name.
        minimum: Known lowest values by problem; the others use the best value found.
        sources: Where each problem comes from, by name.
        unfinished: What was planned and not run to its end, because time was up or
            it belongs to another share: (problem, optimizer, phase) each.
    """

    runs: tuple[Runs, ...]
    protocol: dict[str, Any]
    environment: dict[str, str]
    titles: dict[str, str] = field(default_factory=dict)
    minimum: dict[str, float] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    unfinished: tuple[tuple[str, str, str], ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Names of the problems, in the order they were given."""
        return tuple(dict.fromkeys(run.problem for run in self.runs))

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Names of the optimizers, in the order they were given."""
        return tuple(dict.fromkeys(run.optimizer for run in self.runs))

    def select(
        self,
        problem: str | None = None,
        optimizer: str | None = None,
        phase: Phase | None = None,
    ) -> tuple[Runs, ...]:
        """The records that match every name given.

        Args:
            problem: A problem's name, or None for all.
            optimizer: An optimizer's name, or None for all.
            phase: "tuning", "evaluation", or None for both.

        Returns:
            The records in their order; empty if none matches.
        """
        wanted = {"problem": problem, "optimizer": optimizer, "phase": phase}
        return tuple(
            run
            for run in self.runs
            if all(v is None or getattr(run, k) == v for k, v in wanted.items())
        )

    def joined(self, other: "Comparison") -> "Comparison":
        """Two comparisons of different problems, made under the same rules, as one.

        Args:
            other: Runs of problems that are not in this one.

        Returns:
            A comparison with the runs of both.

        Raises:
            ValueError: A problem is in both, or the rules differ.
        """
        both = sorted(set(self.problems) & set(other.problems))
        if both:
            raise ValueError(f"both comparisons have runs of {', '.join(both)}")
        own = ("problems", "optimizers")
        differing = [
            key
            for key in self.protocol
            if key not in own and self.protocol[key] != other.protocol.get(key)
        ]
        if differing:
            raise ValueError(
                f"the comparisons were made under different rules: {differing}"
            )
        merged = {
            key: list(dict.fromkeys([*self.protocol[key], *other.protocol[key]]))
            for key in own
        }
        return replace(
            self,
            runs=self.runs + other.runs,
            protocol={**self.protocol, **merged},
            titles={**self.titles, **other.titles},
            minimum={**self.minimum, **other.minimum},
            sources={**self.sources, **other.sources},
        )

    def table(self) -> Any:
        """One long table: a row for each point of each run.

        Returns:
            A `pyarrow.Table` with problem, optimizer, phase, learning rate, seed, step,
            value, gradient and step norms, cumulative work, gradient-equivalents,
            seconds, the run's status, versions and device.
        """
        from jaxcalc.comparison.table import long_table

        return long_table(self)

    def save(self, folder: str | Path) -> Path:
        """Write everything that was found, to be read again by `load`.

        Args:
            folder: Where; it is made if it is not there.

        Returns:
            The folder. It holds `runs.parquet` (a row for each run, with its traces),
            `table.parquet` (a row for each point), `timings.parquet` and
            `protocol.json`. What was measured by a clock is in `timings.parquet` and in
            the column `seconds` of the table; everything else is the same, to the bit,
            whenever the same comparison is made on the same machine.
        """
        from jaxcalc.comparison.store import save

        return save(self, Path(folder))

    def reference(self, problem: str) -> float:
        """The value that "solved" is judged by: the same for every optimizer.

        The known minimum where there is one, or else the lowest finite value that any
        run of any optimizer has seen.

        Args:
            problem: The problem's name.

        Returns:
            The reference value; NaN if no run has a finite value.
        """
        known = self.minimum.get(problem)
        if known is not None:
            return known
        values = [run.value for run in self.select(problem)]
        finite = [v[np.isfinite(v)] for v in values]
        return float(min((v.min() for v in finite if v.size), default=np.nan))
