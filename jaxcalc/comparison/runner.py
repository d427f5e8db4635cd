"""Run the lanes of one problem and one optimizer, in chunks that can be resumed."""

import os
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import jax
import numpy as np

from jaxcalc.comparison.collecting import as_runs, rates_of
from jaxcalc.comparison.compaction import going_on, next_gathering
from jaxcalc.comparison.costs import gradient_flops
from jaxcalc.comparison.grid import Grid, lane_of, rows
from jaxcalc.comparison.lanes import ROWS, Executable
from jaxcalc.comparison.over_mesh import on_host, over_mesh
from jaxcalc.comparison.parts import Call, Keeper, Part, Prepare, named, spread
from jaxcalc.comparison.progress import Progress
from jaxcalc.comparison.results import Runs
from jaxcalc.comparison.stopping import Stop
from jaxcalc.comparison.store import Store

# A call of a program should take about this long: often enough for a progress bar and
# a checkpoint, seldom enough not to matter.
_CHUNK_SECONDS = 0.5


def compile_ahead(grids: Iterable[Grid], store: Store) -> None:
    """Compile the programs of several grids, as many at a time as there are cores.

    Args:
        grids: The lanes to be run; a hyperparameter that is not yet chosen is NaN, and
            only its shape matters.
        store: Grids that it holds need no program.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun: dict[int, Future[None]] = {}
        for grid in grids:
            if grid.mesh is not None:
                continue  # another program, and all hosts compile it together
            with grid.named_in_errors():
                program, digest = grid.layout.program, grid.digest
            if not store.has_runs(digest) and id(program) not in begun:
                begun[id(program)] = pool.submit(_compile, grid)
        for future in begun.values():
            future.result()


def _compile(grid: Grid) -> None:
    with grid.named_in_errors():
        grid.layout.program.compile()


def run_grid(grid: Grid, store: Store, bar: Progress, stop: Stop) -> Runs:
    """Run all lanes, or read them from the store.

    Args:
        grid: The lanes.
        store: Where finished and unfinished runs are kept.
        bar: Shows progress.
        stop: Says when to stop.

    Returns:
        The runs.

    Raises:
        Stopped: It was asked to stop; what was run so far is in the store.
    """
    planned = len(grid.seeds) * grid.programs.max_steps
    kept = stored_runs(grid, store)
    if kept is not None:
        bar.advance(planned)
        return kept
    lanes, count = grid.layout.lanes, len(grid.seeds)
    programs: list[Executable] = []
    parts = []
    if grid.mesh is not None:
        # Behind the indices of single lanes: a part of all of them is another thing.
        pieces = {count: (lanes, over_mesh(grid, grid.mesh, programs))}
    elif grid.layout.together:
        pieces = {0: (lanes, _together(grid, programs))}
    else:
        alone = (grid, programs)
        pieces = {i: (lane_of(lanes, i), _alone(i, *alone)) for i in range(count)}
    with Keeper(store) as keeper:
        for index, (lanes, advance) in pieces.items():
            part = Part(lanes=lanes, digest=grid.digest, index=index)
            part.restore(store.load_part(grid.digest, index))
            _finish(part, advance, keeper, bar, stop)
            bar.advance(planned // len(pieces) - part.points)
            parts.append(part)
        runs = as_runs(grid, parts, programs)
        store.save_runs(grid.digest, runs)
    return runs


def stored_runs(grid: Grid, store: Store) -> Runs | None:
    """The runs of a grid, if they need not be run.

    Args:
        grid: The lanes.
        store: Where finished runs are kept.

    Returns:
        The runs under this grid's names, whatever they were first called; None if they
        are not there.
    """
    kept = store.load_runs(grid.digest) if store.keeps else None
    if kept is None:
        return None
    problem, optimizer, phase = grid.place
    return replace(
        kept,
        problem=problem,
        optimizer=optimizer,
        phase=phase,
        rates=rates_of(grid),
        seeds=grid.seeds,
        settings=grid.hyper,
    )


def _alone(index: int, grid: Grid, programs: list[Executable]) -> Prepare:
    """How one lane is advanced; notes the program it takes."""
    layout = grid.layout
    setting = lane_of(layout.settings, index)

    def prepare(part: Part, limit: int) -> Call:
        if not programs:
            layout.program.compile()
            programs.append(layout.program)
        called_with = (part.lanes, setting, rows(limit), grid.tol, grid.problem.args)
        return Call(layout.program, called_with, None, limit)

    return prepare


def _together(grid: Grid, programs: list[Executable]) -> Prepare:
    """How all lanes that have not ended are advanced; notes the programs it takes."""
    settings, args = grid.layout.settings, grid.problem.args
    operations = gradient_flops(grid.problem)
    most = grid.programs.max_steps

    def prepare(part: Part, limit: int) -> Call:
        chosen = going_on(np.asarray(part.lanes.steps), part.rows, most, operations)
        limit = min(limit, next_gathering(part.rows) - part.rows)
        called_with = (part.lanes, settings, chosen, rows(limit), grid.tol, args)
        program = grid.layout.program
        if chosen is not None:
            program = grid.programs.side_by_side(*called_with)
        if program not in programs:
            program.compile()
            programs.append(program)
        return Call(program, called_with, chosen, limit)

    return prepare


def _finish(
    part: Part, prepare: Prepare, keeper: Keeper, bar: Progress, stop: Stop
) -> None:
    """Advance lanes to their end."""
    bar.advance(part.points)
    limit = 32
    while not part.ended:
        stop.check()
        call = prepare(part, limit)
        begin = time.perf_counter()
        lanes, entries = jax.block_until_ready(call.program.call(*call.arguments))
        ran = time.perf_counter()
        everyone = np.size(part.lanes.status)
        if call.mesh is not None:
            lanes, entries = on_host(part.lanes, lanes, entries, call.chosen)
        measured = spread(named(entries, call.limit), call.chosen, everyone)
        part.append(lanes, measured, ran - begin)
        part.transfer += time.perf_counter() - ran
        keeper.changed(part)
        bar.advance(measured["value"].size)
        bar.note(measured["value"])
        if jax.process_count() > 1:
            limit = ROWS  # clocks differ, and all processes must do the same
            continue
        limit = int(np.clip(call.limit * _CHUNK_SECONDS / (ran - begin), 1, ROWS))
