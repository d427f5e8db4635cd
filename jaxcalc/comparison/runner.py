"""Run the lanes of one problem and one optimizer, in chunks that can be resumed."""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jaxcalc.comparison.costs import evaluation_costs
from jaxcalc.comparison.lanes import ROWS, Executable, Programs
from jaxcalc.comparison.naming import digest
from jaxcalc.comparison.parts import Keeper, Part, named, plain
from jaxcalc.comparison.progress import Progress
from jaxcalc.comparison.results import Phase, Runs
from jaxcalc.comparison.store import Store
from jaxcalc.minimization import Work
from jaxcalc.minimization.loop import Entry, Lane
from jaxcalc.problems import Problem

# A call of a program should take about this long: often enough for a progress bar and
# a checkpoint, seldom enough not to matter.
_CHUNK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The lanes to run.

    Attributes:
        problem: The problem.
        optimizer: The optimizer's name.
        phase: What the runs are for.
        programs: The programs of the problem and the optimizer.
        rates: Learning rate of each lane; NaN where there is none.
        seeds: Seed of each lane.
        tol: Bound on the gradient's infinity norm.
    """

    problem: Problem
    optimizer: str
    phase: Phase
    programs: Programs
    rates: np.ndarray
    seeds: np.ndarray
    tol: np.ndarray

    @property
    def place(self) -> tuple[str, str, str]:
        """What people call the grid."""
        return (self.problem.name, self.optimizer, self.phase)


Advance = Callable[[Lane, Any], tuple[Lane, Entry]]


class Layout(NamedTuple):
    """A grid's lanes in memory, and the program that advances them."""

    lanes: Lane
    rates: jax.Array
    together: bool
    program: Executable

    @property
    def pieces(self) -> list[tuple[Lane, jax.Array]]:
        """What one call of the program advances: all lanes, or one of them."""
        if self.together:
            return [(self.lanes, self.rates)]
        return [(_lane(self.lanes, i), rate) for i, rate in enumerate(self.rates)]


def compile_ahead(grids: Iterable[Grid], store: Store) -> None:
    """Compile the programs of several grids, as many at a time as there are cores.

    Evaluation runs are timed, so nothing may be compiled beside them: all programs of a
    problem are compiled before the first of them runs.

    Args:
        grids: The lanes to be run; a rate that is not yet known is NaN, and only its
            shape matters.
        store: Grids that it holds need no program.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun: dict[int, Future[None]] = {}
        for grid in grids:
            layout = _lay_out(grid)
            program = layout.program
            kept = store.has_runs(_digest(grid, layout))
            if not kept and id(program) not in begun:
                begun[id(program)] = pool.submit(program.compile)
        for future in begun.values():
            future.result()


def run_grid(grid: Grid, store: Store, bar: Progress) -> Runs:
    """Run all lanes, or read them from the store.

    Args:
        grid: The lanes.
        store: Where finished and unfinished runs are kept.
        bar: Shows progress.

    Returns:
        The runs.
    """
    layout, args = _lay_out(grid), grid.problem.args
    program, pieces = layout.program, layout.pieces
    name = _digest(grid, layout)
    planned = len(grid.rates) * grid.programs.max_steps
    kept = store.load_runs(name)
    if kept is not None:
        bar.advance(planned)
        return _labelled(grid, kept)
    program.compile()
    parts = []
    with Keeper(store) as keeper:
        for index, (piece, rate) in enumerate(pieces):

            def advance(
                lanes: Lane, limit: int, rate: Any = rate
            ) -> tuple[Lane, Entry]:
                return program.call(lanes, rate, _limit(limit), grid.tol, args)

            part = Part(lanes=piece, digest=name, index=index)
            part.restore(store.load_part(name, index))
            _finish(part, advance, keeper, bar)
            bar.advance(planned // len(pieces) - part.points)
            if not layout.together:
                part.overhead = _overhead(part, advance)
            parts.append(part)
        runs = _as_runs(grid, parts, program.seconds)
        store.save_runs(name, runs)
    return runs


def stored_runs(grid: Grid, store: Store) -> Runs | None:
    """The runs of a grid, if they need not be run.

    Args:
        grid: The lanes.
        store: Where finished runs are kept.

    Returns:
        The runs, None if they are not there.
    """
    if not store.keeps:
        return None
    kept = store.load_runs(_digest(grid, _lay_out(grid)))
    return None if kept is None else _labelled(grid, kept)


def _labelled(grid: Grid, runs: Runs) -> Runs:
    """Runs under this grid's names; they may have been run under others."""
    problem, optimizer, phase = grid.place
    return replace(
        runs,
        problem=problem,
        optimizer=optimizer,
        phase=phase,
        rates=grid.rates,
        seeds=grid.seeds,
    )


def _lay_out(grid: Grid) -> Layout:
    programs, args = grid.programs, grid.problem.args
    starts = {seed: grid.problem.start(seed) for seed in set(grid.seeds.tolist())}
    params = jax.tree.map(
        lambda *leaves: jnp.stack(leaves, -1), *(starts[s] for s in grid.seeds.tolist())
    )
    rates = jnp.asarray(grid.rates, grid.tol.dtype)
    lanes = programs.start(params, rates, args)
    together = grid.phase == "tuning" and programs.runs_side_by_side(
        starts[int(grid.seeds[0])], rates[0], args
    )
    if together:
        program = programs.side_by_side(lanes, rates, _limit(1), grid.tol, args)
    else:
        program = programs.alone(_lane(lanes, 0), rates[0], _limit(1), grid.tol, args)
    return Layout(lanes, rates, together, program)


def _finish(part: Part, advance: Advance, keeper: Keeper, bar: Progress) -> None:
    """Advance lanes to their end."""
    bar.advance(part.points)
    limit = 32
    while not part.ended:
        begin = time.perf_counter()
        lanes, entries = jax.block_until_ready(advance(part.lanes, limit))
        ran = time.perf_counter()
        part.append(lanes, named(entries, limit), ran - begin)
        part.transfer += time.perf_counter() - ran
        keeper.changed(part)
        bar.advance(part.chunks[-1]["value"].size)
        limit = int(np.clip(limit * _CHUNK_SECONDS / (ran - begin), 1, ROWS))


def _overhead(part: Part, advance: Advance) -> float:
    """Seconds of a call in which there is nothing left to do."""
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        jax.block_until_ready(advance(part.lanes, 1))
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def _as_runs(grid: Grid, parts: list[Part], compiling: float) -> Runs:
    length = grid.programs.max_steps + 1
    columns = [part.columns(length) for part in parts]
    joined = {
        name: np.concatenate([c[name] for c in columns], -1) for name in columns[0]
    }
    steps = np.concatenate([np.atleast_1d(part.lanes.steps) for part in parts])
    work = _work(joined.pop("work", None), steps, length)
    kinds = {kind for kind, counts in work.items() if counts.max() > 0}
    path = joined.pop("observed", None)
    points = [_points(part.lanes.point, np.ndim(part.lanes.steps)) for part in parts]
    per_step = [part.seconds_per_step for part in parts]
    return Runs(
        problem=grid.problem.name,
        optimizer=grid.optimizer,
        phase=grid.phase,
        rates=grid.rates,
        seeds=grid.seeds,
        status=np.concatenate([np.atleast_1d(part.lanes.status) for part in parts]),
        steps=steps,
        value=joined["value"],
        grad_norm=joined["grad_norm"],
        step_norm=joined["step_norm"],
        work=work,
        cost=evaluation_costs(grid.problem, kinds),
        path=None if path is None else np.moveaxis(path, -1, 1),
        params=np.concatenate(points),
        compile_seconds=compiling,
        run_seconds=float(sum(sum(part.running) for part in parts)),
        transfer_seconds=float(sum(part.transfer for part in parts)),
        seconds_per_step=_median(per_step),
    )


def _work(counted: Any, steps: np.ndarray, length: int) -> dict[str, np.ndarray]:
    """Cumulative counts by kind; one gradient a point where nothing was counted."""
    if counted is not None:
        return dict(zip(Work._fields, counted, strict=True))
    index = np.arange(length, dtype=np.int32)[:, None]
    reached = index <= steps
    nothing = np.where(reached, 0, -1).astype(np.int32)
    gradients = np.where(reached, index + 1, -1).astype(np.int32)
    return {**dict.fromkeys(Work._fields, nothing), "gradients": gradients}


def _points(point: PyTree, batched: int) -> np.ndarray:
    """Final points as rows, in the order of `ravel_pytree`."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(point)]
    if not batched:
        leaves = [leaf[..., None] for leaf in leaves]
    lanes = leaves[0].shape[-1]
    return np.concatenate([leaf.reshape(-1, lanes) for leaf in leaves]).T


def _lane(lanes: Lane, index: int) -> Lane:
    return jax.tree.map(lambda leaf: leaf[..., index], lanes)


def _limit(rows: int) -> np.ndarray:
    return np.asarray(rows, np.int32)


def _median(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")


def _digest(grid: Grid, layout: Layout) -> str:
    """The grid's name in a store."""
    arguments = (layout.lanes, layout.rates, grid.tol, grid.problem.args)
    arrays = map(plain, jax.tree.leaves(arguments))
    return digest(layout.program.digest, grid.phase, arrays)
