"""Compare optimizers on problems: tune each alike, then run what was chosen."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxcalc import _checks, sharding
from jaxcalc.comparison import arguments
from jaxcalc.comparison import protocol as rules
from jaxcalc.comparison.adaptors import External
from jaxcalc.comparison.contest import Contest, tolerance
from jaxcalc.comparison.hosts import SharedStore, any_of, decided
from jaxcalc.comparison.outside import Outside
from jaxcalc.comparison.progress import Progress
from jaxcalc.comparison.results import Comparison, Runs
from jaxcalc.comparison.runner import compile_ahead
from jaxcalc.comparison.search import Settings
from jaxcalc.comparison.stopping import Stop, Stopped
from jaxcalc.comparison.store import Store
from jaxcalc.comparison.timing import time_in_turns
from jaxcalc.problems import Problem

Entrant = Contest | Outside


def compare(
    problems: Problem | Iterable[Problem],
    optimizers: Mapping[str, arguments.Optimizer],
    *,
    rates: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    trials: int | None = None,
    seeds: int | Sequence[int] | np.ndarray = 8,
    tuning_seeds: int | Sequence[int] | np.ndarray | None = None,
    max_steps: int = 1000,
    tol: float | None = None,
    store: str | Path | None = None,
    share: tuple[int, int] | None = None,
    time_budget: float | None = None,
    mesh: Mesh | None = None,
    progress: bool = False,
) -> Comparison:
    """Run every optimizer on every problem, under the same rules for all.

    Each optimizer that has something to choose is tuned: every trial is run from every
    tuning seed, and one is chosen (`protocol.RULE`). All get as many trials. Then what
    was chosen, or the optimizer that has nothing to choose, is run from the evaluation
    seeds, which tuning has not seen. A seed gives every optimizer the same start and
    the same batches.

    Tuning runs lie side by side in one compiled program for each problem and optimizer;
    those that have ended stop costing. Evaluation runs are run one by one. Afterwards a
    step of each optimizer is timed: alone, warm, the optimizers of a problem taking
    turns. Compiling is timed apart, and happens once: a second comparison of the same
    functions and shapes compiles nothing.

    Between two chunks of work everything is in the store. Ctrl-C ends the chunk that is
    under way and writes it, before it raises KeyboardInterrupt.

    Args:
        problems: One `Problem` or several.
        optimizers: By name, either a function of a learning rate such as `optax.adam`,
            or a `search` over several hyperparameters, or a finished optimizer such as
            `newton()`, which takes part untuned, or another package's solver, see
            `comparison.adaptors`.
        rates: Learning rates that the functions of one try: the same for all, or by
            optimizer. By default as many as there are trials, evenly in the logarithm
            from 1e-4 to 30.
        trials: Settings that each optimizer tries; by default as many as there are
            rates, or twelve.
        seeds: Evaluation seeds, or how many.
        tuning_seeds: Tuning seeds, or how many; by default as many as `seeds`. None of
            them may be an evaluation seed.
        max_steps: Steps after which a run ends.
        tol: Bound on the gradient's infinity norm, as in `minimize`.
        store: A folder in which to keep what was computed, of any number of
            comparisons. What was run is known again, whatever it is called: the same
            comparison goes on where it stopped, with the same numbers.
        share: `(index, count)`: run only this one of as many shares of the work, for
            processes that have nothing in common but a `store`. The same call without
            a share then finds everything there.
        time_budget: Seconds after which no more is begun; what was finished by then is
            returned, and the rest is named in `unfinished`.
        mesh: Devices to spread the runs over, those of other hosts among them: see
            `jaxcalc.sharding`. All processes must make the same call; each gets all the
            runs, and only the first uses the store.
        progress: Whether to show a progress bar, with the lowest value so far.

    Returns:
        All runs with their traces, and under which rules they were made.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is empty, has duplicates, or is out of range; tuning and
            evaluation share a seed; or the store was written by another version.
        OSError: The store can't be written.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    problems = arguments.checked_problems(problems)
    optimizers = arguments.checked_optimizers(optimizers)
    tried = rules.planned_trials(rates, trials, optimizers)
    settings = {
        "problems": [problem.name for problem in problems],
        "optimizers": list(optimizers),
        "spaces": rules.described_spaces(rates, tried, optimizers),
        "trials": max(map(len, tried.values()), default=0),
        **arguments.checked_both_seeds(seeds, tuning_seeds),
        "max_steps": _checks.positive_int("max_steps", max_steps),
        "tol": None if tol is None else _checks.positive_float("tol", tol, zero=True),
        "rule": rules.RULE,
        "batches": {p.name: p.title for p in problems if p.draw is not None},
    }
    index, count = arguments.checked_share(share, store)
    if time_budget is not None:
        time_budget = _checks.positive_float("time_budget", time_budget)
    kept = _opened(store, _checked_mesh(mesh))
    contests = [
        [
            _contest(problem, name, optimizer, tried.get(name, []), settings, mesh)
            for name, optimizer in optimizers.items()
        ]
        for problem in problems
    ]
    settings["unsupported"] = _objections(contests)
    mine = _mine(contests, index, count)
    shown = progress and sharding.is_main()
    with (
        Progress(_planned_points(settings, mine), shown=shown) as bar,
        Stop(time_budget, any_of if mesh is not None else bool) as stop,
    ):
        runs = _run(mine, kept, bar, stop)
    if stop.interrupted_anywhere:
        raise KeyboardInterrupt
    done = {(run.problem, run.optimizer, run.phase) for run in runs}
    planned = [p for row in contests for contest in row for p in contest.places]
    return Comparison(
        runs=tuple(runs),
        protocol=settings,
        environment=rules.environment(),
        titles={p.name: p.title or p.name for p in problems},
        minimum={p.name: p.minimum for p in problems if p.minimum is not None},
        sources={p.name: p.source for p in problems if p.source},
        unfinished=tuple(place for place in planned if place not in done),
    )


def _contest(
    problem: Problem,
    name: str,
    optimizer: Any,
    trials: list[Settings],
    settings: dict[str, Any],
    mesh: Mesh | None,
) -> Entrant:
    """Whoever takes part, on one problem."""
    if isinstance(optimizer, External):
        tol = float(tolerance(settings["tol"], problem))
        return Outside(problem, name, optimizer, settings, tol)
    return Contest(problem, name, optimizer, trials, settings, mesh)


def _objections(contests: list[list[Entrant]]) -> dict[str, dict[str, str]]:
    """Which solvers can't run on which problems, and why."""
    found: dict[str, dict[str, str]] = {}
    for row in contests:
        for entrant in row:
            if entrant.objection:
                problem, name = entrant.whom
                found.setdefault(name, {})[problem] = entrant.objection
    return found


def _checked_mesh(mesh: Any) -> Mesh | None:
    if mesh is not None and not isinstance(mesh, Mesh):
        raise TypeError(
            "`mesh` must be a jax.sharding.Mesh, such as jaxcalc.sharding.mesh() "
            f"makes, got {mesh!r}"
        )
    return mesh


def _opened(store: str | Path | None, mesh: Mesh | None) -> Store:
    """The store; of several processes at one comparison only the first uses it."""
    if mesh is None or jax.process_count() == 1:
        return Store(None if store is None else Path(store))
    main: list[Store] = []

    def open_it() -> None:
        main.append(Store(None if store is None else Path(store)))

    decided(open_it)
    return SharedStore(main[0] if main else Store(None))


def _mine(contests: list[list[Entrant]], index: int, count: int) -> list[list[Entrant]]:
    """This share of the contests, by problem; problems without any are left out."""
    number = 0
    chosen = []
    for row in contests:
        own = [c for k, c in enumerate(row, number) if k % count == index and c.phases]
        number += len(row)
        if own:
            chosen.append(own)
    return chosen


def _run(
    contests: list[list[Entrant]], store: Store, bar: Progress, stop: Stop
) -> list[Runs]:
    """Run the contests problem by problem, as far as there is time."""
    runs: list[Runs] = []
    try:
        for row in contests:
            stop.check()
            bar.begin(f"{row[0].places[0][0]} · compiling")
            compile_ahead((g for contest in row for g in contest.planned(store)), store)
            ours = []
            for contest in row:
                runs.extend(contest.run(store, bar, stop))
                if isinstance(contest, Contest) and not contest.objection:
                    ours.append((contest, len(runs) - 1))
            _time(ours, runs, store, stop)
            for contest, _ in ours:
                contest.forget()
    except Stopped:
        pass
    return runs


def _time(
    evaluated: list[tuple[Contest, int]], runs: list[Runs], store: Store, stop: Stop
) -> None:
    """Time the optimizers of one problem against each other, unless all are timed."""
    stop.check()
    missing = [(c, at) for c, at in evaluated if runs[at].steps.max() > 0]
    if not any(np.isnan(runs[at].seconds_per_step) for _, at in missing):
        return
    contenders = [contest.contender(runs[at]) for contest, at in missing]
    for contender in contenders:
        contender.program.compile()
    time_in_turns(contenders)
    for (contest, at), contender in zip(missing, contenders, strict=True):
        runs[at] = contender.timed(runs[at])
        store.save_runs(contest.grid_of(runs[at]).digest, runs[at])


def _planned_points(settings: dict[str, Any], contests: list[list[Entrant]]) -> int:
    phases = Counter(p for row in contests for c in row for p in c.phases)
    tuning = phases["tuning"] * settings["trials"] * len(settings["tuning_seeds"])
    evaluation = phases["evaluation"] * len(settings["seeds"])
    return (tuning + evaluation) * settings["max_steps"]
