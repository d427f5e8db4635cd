"""Compare optimizers on problems: tune each alike, then run the chosen rates."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _trees
from jaxcalc.comparison import protocol as rules
from jaxcalc.comparison.lanes import Programs
from jaxcalc.comparison.progress import Progress
from jaxcalc.comparison.results import Comparison, Phase, Runs
from jaxcalc.comparison.runner import Grid, compile_ahead, run_grid, stored_runs
from jaxcalc.comparison.store import Store
from jaxcalc.minimization.loop import Functions
from jaxcalc.problems import Problem

# Points are recorded for problems whose paths can be drawn.
_DRAWABLE = 2


def compare(
    problems: Problem | Iterable[Problem],
    optimizers: Mapping[str, rules.Optimizer],
    *,
    rates: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    seeds: int | Sequence[int] = 8,
    tuning_seeds: int | Sequence[int] | None = None,
    max_steps: int = 1000,
    tol: float | None = None,
    store: str | Path | None = None,
    progress: bool = False,
) -> Comparison:
    """Run every optimizer on every problem, under the same rules for all.

    Each optimizer that takes a learning rate is tuned: every rate is run from every
    tuning seed, and one rate is chosen (`protocol.RULE`). Then the chosen rate, or the
    optimizer that takes none, is run from the evaluation seeds, which tuning has not
    seen. A seed gives every optimizer the same start.

    Tuning runs lie side by side in one compiled program for each problem and optimizer;
    evaluation runs are run and timed one by one. Compiling is timed apart, and happens
    once: a second comparison of the same functions and shapes compiles nothing. The
    programs of a problem are compiled side by side, before any of them runs.

    Args:
        problems: One `Problem` or several.
        optimizers: By name, either a function of a learning rate such as `optax.adam`,
            or a finished optimizer such as `newton()`, which takes part untuned.
        rates: Learning rates to try: the same for all, or by optimizer, as many for
            each. By default twelve from 1e-4 to 30, half a decade apart.
        seeds: Evaluation seeds, or how many.
        tuning_seeds: Tuning seeds, or how many; by default as many as `seeds`. None of
            them may be an evaluation seed.
        max_steps: Steps after which a run ends.
        tol: Bound on the gradient's infinity norm, as in `minimize`.
        store: A folder in which to keep what was computed, of any number of
            comparisons. What was run is known again, whatever it is called: the same
            comparison goes on where it stopped, with the same numbers.
        progress: Whether to show a progress bar.

    Returns:
        All runs with their traces, and under which rules they were made.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is empty, has duplicates, or is out of range; tuning and
            evaluation share a seed; or the store was written by another version.
        OSError: The store can't be written.
    """
    problems = rules.checked_problems(problems)
    optimizers = rules.checked_optimizers(optimizers)
    evaluation = rules.checked_seeds("seeds", seeds, 0)
    tuning = rules.checked_seeds(
        "tuning_seeds",
        len(evaluation) if tuning_seeds is None else tuning_seeds,
        max(evaluation) + 1,
    )
    shared = sorted(set(tuning) & set(evaluation))
    if shared:
        raise ValueError(
            f"`tuning_seeds` and `seeds` share {shared}: a rate must be judged on "
            "seeds that it was not chosen on"
        )
    settings = {
        "problems": [problem.name for problem in problems],
        "optimizers": list(optimizers),
        "rates": {
            name: list(values)
            for name, values in rules.checked_rates(rates, optimizers).items()
        },
        "seeds": list(evaluation),
        "tuning_seeds": list(tuning),
        "max_steps": _checks.positive_int("max_steps", max_steps),
        "tol": None if tol is None else _checks.positive_float("tol", tol, zero=True),
        "rule": rules.RULE,
    }
    kept = Store(None if store is None else Path(store))
    points = _planned_points(settings, len(problems))
    runs = []
    with Progress(points, shown=progress) as bar:
        for problem in problems:
            contests = [
                _Contest(problem, name, optimizer, settings)
                for name, optimizer in optimizers.items()
            ]
            bar.describe(f"{problem.name} · compiling")
            grids = [grid for contest in contests for grid in contest.planned(kept)]
            compile_ahead(grids, kept)
            for contest in contests:
                runs += contest.run(kept, bar)
    return Comparison(
        runs=tuple(runs),
        protocol=settings,
        environment=rules.environment(),
        titles={p.name: p.title or p.name for p in problems},
        minimum={p.name: p.minimum for p in problems if p.minimum is not None},
        sources={p.name: p.source for p in problems if p.source},
    )


class _Contest:
    """One optimizer on one problem: first tuned, if it has a rate, then evaluated."""

    def __init__(
        self,
        problem: Problem,
        name: str,
        optimizer: rules.Optimizer,
        settings: dict[str, Any],
    ):
        self._problem, self._name, self._settings = problem, name, settings
        self._tol = _tolerance(settings["tol"], problem)
        self._rates = settings["rates"].get(name, [np.nan])
        functions = Functions(
            problem.loss,
            observe=_raveled if problem.size <= _DRAWABLE else None,
            hessian_fn=problem.hessian,
        )
        make = rules.as_function_of_rate(optimizer)
        self._programs = Programs(functions, make, settings["max_steps"])

    def planned(self, store: Store) -> list[Grid]:
        """What will be run; NaN stands for a rate that tuning is yet to choose.

        Args:
            store: Where runs are kept.

        Returns:
            The grid of the tuning, if there is one, and that of the evaluation.
        """
        if not self._is_tuned:
            return [self._evaluation(self._rates[0])]
        tuned = stored_runs(self._tuning(), store)
        rate = np.nan if tuned is None else rules.best_rate(tuned)
        return [self._tuning(), self._evaluation(rate)]

    def run(self, store: Store, bar: Progress) -> list[Runs]:
        """Tune and evaluate.

        Args:
            store: Where runs are kept.
            bar: Shows progress.

        Returns:
            The tuning runs, if there are any, and the evaluation runs.
        """
        if not self._is_tuned:
            return [self._run(self._evaluation(self._rates[0]), store, bar)]
        tuned = self._run(self._tuning(), store, bar)
        evaluation = self._evaluation(rules.best_rate(tuned))
        return [tuned, self._run(evaluation, store, bar)]

    @property
    def _is_tuned(self) -> bool:
        return len(self._rates) > 1

    def _run(self, grid: Grid, store: Store, bar: Progress) -> Runs:
        bar.describe(" · ".join(grid.place))
        return run_grid(grid, store, bar)

    def _tuning(self) -> Grid:
        return self._grid("tuning", self._rates, self._settings["tuning_seeds"])

    def _evaluation(self, rate: float) -> Grid:
        return self._grid("evaluation", [rate], self._settings["seeds"])

    def _grid(self, phase: Phase, rates: Sequence[float], seeds: Sequence[int]) -> Grid:
        return Grid(
            problem=self._problem,
            optimizer=self._name,
            phase=phase,
            programs=self._programs,
            rates=np.repeat(np.asarray(rates, float), len(seeds)),
            seeds=np.tile(np.asarray(seeds), len(rates)),
            tol=self._tol,
        )


def _planned_points(settings: dict[str, Any], problems: int) -> int:
    rates = settings["rates"]
    tuning = len(settings["tuning_seeds"]) * sum(
        len(values) for values in rates.values() if len(values) > 1
    )
    evaluation = len(settings["seeds"]) * len(settings["optimizers"])
    return (tuning + evaluation) * problems * settings["max_steps"]


def _tolerance(tol: float | None, problem: Problem) -> Any:
    dtype = _trees.dtype(jax.eval_shape(problem.init, jax.random.key(0)))
    eps = float(jnp.finfo(dtype).eps)
    return np.asarray(np.sqrt(eps) if tol is None else tol, dtype)


def _raveled(params: PyTree, *args: Any) -> Float[Array, " n"]:
    del args
    return ravel_pytree(params)[0]
