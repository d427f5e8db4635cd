"""From lanes on the device to the record of runs."""

from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from jaxcalc.comparison.costs import evaluation_costs, gradient_flops
from jaxcalc.comparison.grid import Grid
from jaxcalc.comparison.lanes import Executable
from jaxcalc.comparison.measures import final_metrics
from jaxcalc.comparison.parts import Part
from jaxcalc.comparison.results import Runs
from jaxcalc.minimization import Work


def as_runs(grid: Grid, parts: list[Part], programs: list[Executable]) -> Runs:
    """The record of a grid whose lanes have ended.

    Args:
        grid: The lanes.
        parts: What was measured of them, in their order.
        programs: What they were run with.

    Returns:
        The runs.
    """
    length = grid.programs.max_steps + 1
    columns = [part.columns(length) for part in parts]
    joined = {
        name: np.concatenate([c[name] for c in columns], -1) for name in columns[0]
    }
    steps = np.concatenate([np.atleast_1d(part.lanes.steps) for part in parts])
    work = _work(joined.pop("work", None), steps, length)
    kinds = {kind for kind, counts in work.items() if counts.max() > 0}
    path = joined.pop("observed", None)
    params = np.concatenate(
        [_points(part.lanes.point, np.ndim(part.lanes.steps)) for part in parts]
    )
    problem, optimizer, phase = grid.place
    bills = [program.bill() for program in programs]
    return Runs(
        problem=problem,
        optimizer=optimizer,
        phase=phase,
        rates=rates_of(grid),
        seeds=grid.seeds,
        status=np.concatenate([np.atleast_1d(part.lanes.status) for part in parts]),
        steps=steps,
        value=joined["value"],
        grad_norm=joined["grad_norm"],
        step_norm=joined["step_norm"],
        work=work,
        cost=evaluation_costs(grid.problem, kinds),
        path=None if path is None else np.moveaxis(path, -1, 1),
        params=params,
        settings=grid.hyper,
        metrics=final_metrics(grid.problem, params) if phase == "evaluation" else {},
        gradient_flops=gradient_flops(grid.problem),
        peak_bytes=max((p.peak_bytes for p in programs), default=float("nan")),
        recompiled=int(sum(bill[2] for bill in bills)),
        trace_seconds=float(sum(bill[0] for bill in bills)),
        compile_seconds=float(sum(bill[1] for bill in bills)),
        run_seconds=float(sum(sum(part.running) for part in parts)),
        transfer_seconds=float(sum(part.transfer for part in parts)),
    )


def rates_of(grid: Grid) -> np.ndarray:
    """Learning rate of each lane, NaN where there is none.

    Args:
        grid: The lanes.

    Returns:
        An array of shape `(lanes,)`.
    """
    return grid.hyper.get("learning_rate", np.full(len(grid.seeds), np.nan))


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
