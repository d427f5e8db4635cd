"""Seconds per step: one run at a time, warm, the optimizers taking turns.

A machine's speed changes from minute to minute. So the optimizers of a problem are not
timed one after the other but in rounds, each of which times all of them.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from jaxcalc.comparison.lanes import ROWS, Executable, Setting
from jaxcalc.comparison.results import Runs
from jaxcalc.minimization.step import Lane

_ROUNDS = 5
# A round's calls should take about this long together: a call whose steps are quicker
# than its overhead is repeated until their difference is more than noise.
_ENOUGH_SECONDS = 0.005
_MOST_REPEATS = 100
# Where the noise is larger than the steps, no time at all would be said.
_TICK_SECONDS = 1e-9


@dataclass(kw_only=True)
class Contender:
    """A run to be timed from its start.

    Attributes:
        program: What advances one lane.
        lane: The lane before its first step.
        setting: What belongs to the lane.
        tol: Bound on the gradient's infinity norm.
        args: Data of the loss.
        seconds: Seconds per step, one for each round.
    """

    program: Executable
    lane: Lane
    setting: Setting
    tol: Any
    args: Any
    seconds: list[float] = field(default_factory=list)
    _rows: int = 16
    _repeats: int = 1

    def warm_up(self) -> None:
        """Run once, and choose how many steps make a call long enough."""
        seconds, steps = self._call(self._rows)
        if steps >= self._rows:
            wanted = self._rows * _ENOUGH_SECONDS / max(seconds, 1e-9)
            self._rows = int(np.clip(wanted, 1, ROWS))
        seconds, _ = self._call(self._rows)
        repeats = np.ceil(_ENOUGH_SECONDS / max(seconds, 1e-9))
        self._repeats = int(np.clip(repeats, 1, _MOST_REPEATS))

    def time(self) -> None:
        """Time one round; what a call costs that takes no step is taken off."""
        idle, spent, steps = [], [], 0
        for _ in range(self._repeats):
            idle.append(self._call(0)[0])
            seconds, steps = self._call(self._rows)
            spent.append(seconds)
        if steps > 0:
            seconds = float(np.median(spent) - np.median(idle))
            self.seconds.append(max(seconds, _TICK_SECONDS) / steps)

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the rounds; NaN without any."""
        if not self.seconds:
            return float("nan"), float("nan"), float("nan")
        low, middle, high = np.quantile(self.seconds, (0.25, 0.5, 0.75))
        return float(low), float(middle), float(high)

    def timed(self, runs: Runs) -> Runs:
        """The runs with what was timed.

        Args:
            runs: Evaluation runs of the same problem and optimizer.

        Returns:
            The runs, their seconds per step set.
        """
        low, middle, high = self.quartiles
        return replace(
            runs,
            seconds_per_step=middle,
            seconds_per_step_low=low,
            seconds_per_step_high=high,
        )

    def _call(self, rows: int) -> tuple[float, int]:
        limit = np.asarray(rows, np.int32)
        begin = time.perf_counter()
        lane, _ = jax.block_until_ready(
            self.program.call(self.lane, self.setting, limit, self.tol, self.args)
        )
        return time.perf_counter() - begin, int(lane.steps)


def time_in_turns(contenders: list[Contender]) -> None:
    """Time all contenders in rounds; each keeps its seconds per step.

    Args:
        contenders: Runs whose programs are compiled.
    """
    for contender in contenders:
        contender.warm_up()
    for _ in range(_ROUNDS):
        for contender in contenders:
            contender.time()
