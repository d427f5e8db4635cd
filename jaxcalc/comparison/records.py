"""Runs as Parquet tables and back: a row for each run, its traces in lists."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.comparison.files import write_atomically
from jaxcalc.comparison.results import Comparison, Runs
from jaxcalc.minimization.loop import missing

TIMINGS = ("compile_seconds", "run_seconds", "transfer_seconds", "seconds_per_step")
_TRACES = ("value", "grad_norm", "step_norm")


def parquet() -> Any:
    """The module `pyarrow.parquet`, imported where it is used.

    Returns:
        The module.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "tables and stores need pyarrow: pip install 'jaxcalc[reports]'"
        ) from error
    return pyarrow.parquet


def runs_table(runs: tuple[Runs, ...], metadata: dict[str, Any]) -> Any:
    """A row for each lane, its traces in lists that end with the run.

    Args:
        runs: What was run.
        metadata: Plain values to keep beside it.

    Returns:
        A `pyarrow.Table`.
    """
    import pyarrow as pa

    rows = [row for run in runs for row in _lane_rows(run)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _alike([row.get(name) for row in rows]) for name in names}
    shared = [
        {
            "problem": run.problem,
            "optimizer": run.optimizer,
            "phase": run.phase,
            "cost": run.cost,
            "lanes": len(run.steps),
            "length": len(run.value),
            "dtype": run.value.dtype.name,
        }
        for run in runs
    ]
    header = json.dumps({**metadata, "runs": shared})
    return pa.table(columns).replace_schema_metadata({"jaxcalc": header})


def _alike(cells: list[Any]) -> list[Any]:
    """Arrays of floats in one dtype that files know and that loses no digit."""
    dtypes = {cell.dtype for cell in cells if isinstance(cell, np.ndarray)}
    if not any(jnp.issubdtype(dtype, jnp.floating) for dtype in dtypes):
        return cells
    common = np.result_type(np.float32, *dtypes)
    return [None if cell is None else cell.astype(common) for cell in cells]


def _lane_rows(run: Runs) -> Iterator[dict[str, Any]]:
    for lane, steps in enumerate(run.steps):
        until = slice(0, int(steps) + 1)
        row = {
            "problem": run.problem,
            "optimizer": run.optimizer,
            "phase": run.phase,
            "learning_rate": float(run.rates[lane]),
            "seed": int(run.seeds[lane]),
            "status": int(run.status[lane]),
            "steps": int(steps),
            "params": run.params[lane],
            **{name: getattr(run, name)[until, lane] for name in _TRACES},
            **{f"work_{kind}": n[until, lane] for kind, n in run.work.items()},
        }
        if run.path is not None:
            row["path"] = run.path[until, lane].ravel()
        yield row


def read_runs(file: Path) -> tuple[list[Runs], dict[str, Any]]:
    """What `runs_table` made, read from a file.

    Args:
        file: A Parquet file.

    Returns:
        The runs, and the metadata that were given.
    """
    table = parquet().read_table(file)
    metadata = json.loads(table.schema.metadata[b"jaxcalc"])
    timings = metadata.get("timings", {})
    runs, first = [], 0
    for shared in metadata["runs"]:
        rows = table.slice(first, shared["lanes"])
        first += shared["lanes"]
        runs.append(replace(_runs_from(rows, shared), **timings))
    return runs, metadata


def _runs_from(rows: Any, shared: dict[str, Any]) -> Runs:
    columns = {name: rows.column(name) for name in rows.column_names}
    length, dtype = shared["length"], np.dtype(shared["dtype"])

    def trace(name: str, width: int = 1) -> np.ndarray:
        lists = [np.asarray(cell.values) for cell in columns[name]]
        kind = np.dtype("int32") if name.startswith("work_") else dtype
        out = np.full((length, len(lists), width), missing(lists[0]), kind)
        for lane, values in enumerate(lists):
            out[: len(values) // width, lane] = values.reshape(-1, width)
        return out if name == "path" else out[..., 0]

    params = [np.asarray(cell.values) for cell in columns["params"]]
    has_path = "path" in columns and columns["path"][0].is_valid
    kinds = [name[5:] for name in columns if name.startswith("work_")]
    return Runs(
        problem=shared["problem"],
        optimizer=shared["optimizer"],
        phase=shared["phase"],
        rates=columns["learning_rate"].to_numpy(),
        seeds=columns["seed"].to_numpy(),
        status=columns["status"].to_numpy().astype(np.int32),
        steps=columns["steps"].to_numpy().astype(np.int32),
        value=trace("value"),
        grad_norm=trace("grad_norm"),
        step_norm=trace("step_norm"),
        work={kind: trace(f"work_{kind}") for kind in kinds},
        cost=shared["cost"],
        path=trace("path", len(params[0])) if has_path else None,
        params=np.stack(params).astype(dtype),
    )


def timings_table(comparison: Comparison) -> Any:
    """What was measured by a clock: a row for each record of runs.

    Args:
        comparison: What was found.

    Returns:
        A `pyarrow.Table`.
    """
    import pyarrow as pa

    names = [f.name for f in fields(Runs) if f.name in TIMINGS]
    keys = ("problem", "optimizer", "phase", *names)
    return pa.table({k: [getattr(run, k) for run in comparison.runs] for k in keys})


def write_table(file: Path, table: Any) -> None:
    """Write a table as a Parquet file, whole or not at all.

    Args:
        file: Where.
        table: A `pyarrow.Table`.
    """
    write = parquet().write_table
    write_atomically(file, lambda path: write(table, path, compression="zstd"))
