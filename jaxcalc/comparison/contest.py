"""One optimizer on one problem: first tuned, if it is tunable, then evaluated."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jaxcalc import _trees
from jaxcalc.comparison import protocol as rules
from jaxcalc.comparison.arguments import Ours
from jaxcalc.comparison.grid import Grid, lane_of
from jaxcalc.comparison.lanes import Programs
from jaxcalc.comparison.progress import Progress
from jaxcalc.comparison.results import Phase, Runs
from jaxcalc.comparison.runner import run_grid, stored_runs
from jaxcalc.comparison.search import Settings
from jaxcalc.comparison.stopping import Stop
from jaxcalc.comparison.store import Store
from jaxcalc.comparison.timing import Contender
from jaxcalc.minimization.step import Functions, looks_itself
from jaxcalc.problems import Problem

# Points are recorded for problems whose paths can be drawn.
_DRAWABLE = 2


class Contest:
    """One optimizer on one problem.

    Args:
        problem: The problem.
        name: The optimizer's name.
        optimizer: The optimizer, or what makes it.
        trials: Settings to try; none if there is nothing to choose.
        protocol: Seeds, steps and tolerance.
        mesh: Devices to spread lanes over, None for one.
    """

    def __init__(
        self,
        problem: Problem,
        name: str,
        optimizer: Ours,
        trials: list[Settings],
        protocol: dict[str, Any],
        mesh: Mesh | None = None,
    ):
        self._problem, self._name, self._protocol = problem, name, protocol
        self._trials, self._mesh = trials, mesh
        self._tol = tolerance(protocol["tol"], problem)
        functions = Functions(
            problem.loss,
            observe=_raveled if problem.size <= _DRAWABLE else None,
            hessian_fn=problem.hessian,
            residual_fn=problem.residual,
            draw=problem.draw,
        )
        make = rules.as_function_of_settings(optimizer)
        self._programs = Programs(functions, make, protocol["max_steps"])
        self._grids: dict[Any, Grid] = {}
        self.objection = self._why_not()

    @property
    def whom(self) -> tuple[str, str]:
        """Names of the problem and of the optimizer."""
        return self._problem.name, self._name

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What there is to run: nothing on a problem that it can't do with."""
        if self.objection:
            return ()
        return ("tuning", "evaluation") if self._is_tuned else ("evaluation",)

    @property
    def places(self) -> tuple[tuple[str, str, Phase], ...]:
        """What people call the grids to run."""
        return tuple((self._problem.name, self._name, p) for p in self.phases)

    def planned(self, store: Store) -> list[Grid]:
        """What will be run; NaN stands for what tuning is yet to choose.

        Args:
            store: Where runs are kept.

        Returns:
            The grid of the tuning, if there is one, and that of the evaluation.
        """
        if not self._is_tuned:
            return [self._evaluation(self._only)] if self.phases else []
        tuning = self._tuning()
        tuned = stored_runs(tuning, store)
        if tuned is None:
            unknown = dict.fromkeys(self._trials[0], float("nan"))
            return [tuning, self._evaluation(unknown)]
        return [tuning, self._evaluation(rules.best_trial(tuned))]

    def run(self, store: Store, bar: Progress, stop: Stop) -> Iterator[Runs]:
        """Tune and evaluate.

        Args:
            store: Where runs are kept.
            bar: Shows progress.
            stop: Says when to stop.

        Yields:
            The tuning runs, if there are any, and the evaluation runs.
        """
        chosen = self._only
        if self.objection:
            return
        if self._is_tuned:
            tuned = self._run(self._tuning(), store, bar, stop)
            yield tuned
            chosen = rules.best_trial(tuned)
        yield self._run(self._evaluation(chosen), store, bar, stop)

    def contender(self, evaluation: Runs) -> Contender:
        """The longest evaluation run, to be timed from its start.

        Args:
            evaluation: The evaluation runs.

        Returns:
            What is timed; its program may not be compiled yet.
        """
        grid = self.grid_of(evaluation)
        if self._problem.draw is not None:
            # What is measured on all data is for the reader, not part of a step.
            grid = replace(grid, programs=replace(self._programs, measured=False))
        layout = grid.layout
        longest = int(np.argmax(evaluation.steps))
        return Contender(
            program=layout.program,
            lane=lane_of(layout.lanes, longest),
            setting=lane_of(layout.settings, longest),
            tol=grid.tol,
            args=self._problem.args,
        )

    def forget(self) -> None:
        """Let go of lanes and programs; only the shared memory of programs is left."""
        self._grids.clear()

    def grid_of(self, evaluation: Runs) -> Grid:
        """The grid that evaluation runs belong to.

        Args:
            evaluation: The evaluation runs.

        Returns:
            The grid.
        """
        return self._evaluation(
            {name: float(values[0]) for name, values in evaluation.settings.items()}
        )

    def _why_not(self) -> str:
        """Why the optimizer can't run on the problem; empty if it can."""
        if self._problem.draw is None:
            return ""
        optimizer = self._programs.make(self._only)
        start = jax.eval_shape(self._problem.init, jax.random.key(0))
        state = jax.eval_shape(optimizer.init, start)
        if looks_itself(state):
            return (
                "it keeps what it knows of the last point, and a minibatch changes the "
                "loss with every step"
            )
        return ""

    @property
    def _is_tuned(self) -> bool:
        return len(self._trials) > 1 and not self.objection

    @property
    def _only(self) -> Settings:
        return self._trials[0] if self._trials else {}

    def _run(self, grid: Grid, store: Store, bar: Progress, stop: Stop) -> Runs:
        bar.begin(" · ".join(grid.place))
        with grid.named_in_errors():
            return run_grid(grid, store, bar, stop)

    def _tuning(self) -> Grid:
        return self._grid("tuning", self._trials, self._protocol["tuning_seeds"])

    def _evaluation(self, chosen: Settings) -> Grid:
        return self._grid("evaluation", [chosen], self._protocol["seeds"])

    def _grid(self, phase: Phase, trials: list[Settings], seeds: list[int]) -> Grid:
        key = (phase, *(tuple(trial.values()) for trial in trials))
        if key not in self._grids:
            self._grids[key] = self._made_grid(phase, trials, seeds)
        return self._grids[key]

    def _made_grid(
        self, phase: Phase, trials: list[Settings], seeds: list[int]
    ) -> Grid:
        hyper = {
            name: np.repeat([trial[name] for trial in trials], len(seeds)).astype(float)
            for name in trials[0]
        }
        return Grid(
            problem=self._problem,
            optimizer=self._name,
            phase=phase,
            programs=self._programs,
            hyper=hyper,
            seeds=np.tile(np.asarray(seeds), len(trials)),
            tol=self._tol,
            mesh=self._mesh,
        )


def tolerance(tol: float | None, problem: Problem) -> Any:
    """The bound on gradients, in the dtype of a problem's parameters.

    Args:
        tol: The bound, None for what suits the dtype.
        problem: The problem.

    Returns:
        An array of shape `()`.
    """
    dtype = _trees.dtype(jax.eval_shape(problem.init, jax.random.key(0)))
    eps = float(jnp.finfo(dtype).eps)
    return np.asarray(np.sqrt(eps) if tol is None else tol, dtype)


def _raveled(params: PyTree, *args: Any) -> Float[Array, " n"]:
    del args
    return ravel_pytree(params)[0]
