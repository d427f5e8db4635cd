"""A solver of another package on one problem."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import jax
import numpy as np

from jaxcalc.comparison import naming
from jaxcalc.comparison.adaptors import External
from jaxcalc.comparison.grid import Grid
from jaxcalc.comparison.measures import final_metrics, metrics_digest
from jaxcalc.comparison.parts import plain
from jaxcalc.comparison.progress import Progress
from jaxcalc.comparison.results import Phase, Runs
from jaxcalc.comparison.stopping import Stop
from jaxcalc.comparison.store import Store
from jaxcalc.problems import Problem


class Outside:
    """A solver that runs its own loop, where a `Contest` runs ours.

    Args:
        problem: The problem.
        name: What the solver is called here.
        solver: The solver.
        protocol: Seeds, steps and tolerance.
        tol: Bound on the gradient's infinity norm.
    """

    def __init__(
        self,
        problem: Problem,
        name: str,
        solver: External,
        protocol: dict[str, Any],
        tol: float,
    ):
        self._problem, self._name, self._solver = problem, name, solver
        self._protocol, self._tol = protocol, tol
        self.objection = solver.supports(problem)
        if problem.draw is not None:
            self.objection = "it would see all the data, not batches"

    @property
    def whom(self) -> tuple[str, str]:
        """Names of the problem and of the solver."""
        return self._problem.name, self._name

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What there is to run: nothing on a problem that it does not support."""
        return () if self.objection else ("evaluation",)

    @property
    def places(self) -> tuple[tuple[str, str, Phase], ...]:
        """What people call that."""
        return tuple((self._problem.name, self._name, p) for p in self.phases)

    def planned(self, store: Store) -> list[Grid]:
        """Nothing of ours has to be compiled.

        Args:
            store: Where runs are kept.

        Returns:
            An empty list.
        """
        del store
        return []

    def run(self, store: Store, bar: Progress, stop: Stop) -> Iterator[Runs]:
        """Run the solver from every evaluation seed, or read the runs.

        Args:
            store: Where runs are kept.
            bar: Shows progress.
            stop: Says when to stop.

        Yields:
            The evaluation runs, if the solver supports the problem.
        """
        if self.objection:
            return
        stop.check()
        bar.begin(f"{self._problem.name} · {self._name}")
        seeds, steps = self._protocol["seeds"], self._protocol["max_steps"]
        digest = self._digest()
        runs = store.load_runs(digest)
        if runs is None:
            runs = self._solver.run(self._problem, seeds, steps, self._tol)
            metrics = final_metrics(self._problem, runs.params)
            runs = replace(runs, metrics=metrics)
            store.save_runs(digest, runs)
        bar.advance(len(seeds) * steps)
        yield replace(
            runs,
            problem=self._problem.name,
            optimizer=self._name,
            seeds=np.asarray(seeds),
        )

    def _digest(self) -> str:
        """A hash of the solver, of the problem as a program, and of all its numbers."""
        problem = self._problem
        starts = [problem.start(seed) for seed in self._protocol["seeds"]]

        def value_and_grad(params: Any, args: Any) -> Any:
            return jax.value_and_grad(problem.loss)(params, *args)

        lowered = jax.jit(value_and_grad).lower(starts[0], problem.args)
        others = [
            jax.jit(lambda p, a, f=f: f(p, *a)).lower(starts[0], problem.args).as_text()
            for f in (problem.hessian, problem.residual)
            if f is not None
        ]
        words = [self._solver.digest, lowered.as_text(), *others]
        words.append(str(self._protocol["max_steps"]))
        program = sha256("\n".join(words).encode()).hexdigest()
        arrays = [
            np.asarray(self._tol),
            np.frombuffer(metrics_digest(problem), np.uint8),
        ]
        arrays += map(plain, jax.tree.leaves((starts, problem.args)))
        return naming.digest(program, "evaluation", arrays)
