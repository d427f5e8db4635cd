"""Runs as Parquet tables and back: a row for each run, its traces in lists."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxcalc.comparison.columns import (
    Column,
    Lists,
    checksum,
    column,
    joined,
    parquet,
)
from jaxcalc.comparison.results import Comparison, Runs

# What a clock or a machine says. Everything else is the same whenever it is run.
TIMINGS = (
    "trace_seconds",
    "compile_seconds",
    "run_seconds",
    "transfer_seconds",
    "seconds_per_step",
    "seconds_per_step_low",
    "seconds_per_step_high",
    "peak_bytes",
    "recompiled",
)
_LABELS = ("problem", "optimizer", "phase")
_TRACES = ("value", "grad_norm", "step_norm")
_PREFIXES = {"work": "work_", "settings": "setting_", "metrics": "metric_"}


def runs_table(runs: tuple[Runs, ...], metadata: dict[str, Any]) -> Any:
    """A row for each lane, its traces in lists that end with the run.

    Args:
        runs: What was run.
        metadata: Plain values to keep beside it.

    Returns:
        A `pyarrow.Table`, with a checksum of its content.
    """
    import pyarrow as pa

    lanes = [len(run.steps) for run in runs]
    labels = {
        name: np.repeat([getattr(run, name) for run in runs], lanes).astype(object)
        for name in _LABELS
    }
    pieces = [_lane_columns(run) for run in runs]
    names = dict.fromkeys(name for piece in pieces for name in piece)
    held = {name: joined([p.get(name) for p in pieces], lanes) for name in names}
    header = json.dumps({**metadata, "runs": [_shared(run) for run in runs]})
    total = checksum(header, {name: column(array) for name, array in held.items()})
    table = pa.table({**labels, **held})
    return table.replace_schema_metadata({"jaxcalc": header, "checksum": total})


def _shared(run: Runs) -> dict[str, Any]:
    """What is the same for all lanes, and what it takes to read them."""
    dtypes = {
        kind: {name: array.dtype.name for name, array in getattr(run, kind).items()}
        for kind in _PREFIXES
    }
    return {
        **{name: getattr(run, name) for name in _LABELS},
        "cost": run.cost,
        "gradient_flops": float(run.gradient_flops),
        **dtypes,
        "lanes": len(run.steps),
        "length": len(run.value),
        "dtype": run.value.dtype.name,
        "steps": int(np.sum(run.steps)),
    }


def _lane_columns(run: Runs) -> dict[str, np.ndarray | Lists]:
    """A number, or a list of them, for each lane."""
    reached = np.arange(len(run.value)) <= run.steps[:, None]
    lengths = reached.sum(1)

    def until_it_ends(trace: np.ndarray) -> Lists:
        width = trace.shape[2] if trace.ndim > 2 else 1
        return Lists(np.swapaxes(trace, 0, 1)[reached].ravel(), lengths * width)

    lanes, n = run.params.shape
    columns: dict[str, np.ndarray | Lists] = {
        "learning_rate": np.asarray(run.rates, float),
        "seed": np.asarray(run.seeds, np.int64),
        "status": np.asarray(run.status, np.int64),
        "steps": np.asarray(run.steps, np.int64),
        "params": Lists(run.params.ravel(), np.full(lanes, n)),
        **{name: until_it_ends(getattr(run, name)) for name in _TRACES},
        **{f"work_{kind}": until_it_ends(counts) for kind, counts in run.work.items()},
    }
    for kind in ("settings", "metrics"):
        for name, array in getattr(run, kind).items():
            columns[_PREFIXES[kind] + name] = np.asarray(array, float)
    if run.path is not None:
        columns["path"] = until_it_ends(run.path)
    return columns


def read_runs(file: Path) -> tuple[list[Runs], dict[str, Any]]:
    """What `runs_table` made, read from a file.

    Args:
        file: A Parquet file.

    Returns:
        The runs, and the metadata that were given.

    Raises:
        ValueError: The content is not what was written.
    """
    import pyarrow as pa

    with parquet().ParquetFile(pa.BufferReader(file.read_bytes())) as stream:
        schema = stream.schema_arrow
        names = [name for name in schema.names if name not in _LABELS]
        table = stream.read(columns=names, use_threads=False)
    columns = {name: column(table.column(name)) for name in names}
    header = schema.metadata[b"jaxcalc"].decode()
    # Older files have none.
    known = schema.metadata.get(b"checksum")
    if known is not None and known.decode() != checksum(header, columns):
        raise ValueError("its content does not match its checksum")
    metadata = json.loads(header)
    runs, first = [], 0
    for shared in metadata["runs"]:
        rows = slice(first, first + shared["lanes"])
        first = rows.stop
        part = {name: held.rows(rows) for name, held in columns.items()}
        runs.append(replace(_runs_from(part, shared), **metadata.get("timings", {})))
    return runs, {**metadata, "verified": known is not None}


def read_header(file: Path) -> dict[str, Any]:
    """What is kept beside the columns of a file, which are not read.

    Args:
        file: A Parquet file that `runs_table` made.

    Returns:
        The metadata that were given, and for each record of runs what its lanes share.
    """
    return json.loads(parquet().read_metadata(file).metadata[b"jaxcalc"])


def _runs_from(columns: dict[str, Column], shared: dict[str, Any]) -> Runs:
    length, dtype = shared["length"], np.dtype(shared["dtype"])
    lanes = shared["lanes"]

    # All traces of a run are of one length.
    reached = np.arange(length) < columns["value"].lengths[:, None]

    def trace(name: str, kind: Any = dtype, width: int = 0) -> np.ndarray:
        values = columns[name].values
        shape = (lanes, length, width) if width else (lanes, length)
        out = np.full(shape, -1 if np.dtype(kind).kind in "iu" else np.nan, kind)
        out[reached] = values.reshape(-1, width) if width else values
        return np.ascontiguousarray(np.swapaxes(out, 0, 1))

    def named(kind: str) -> dict[str, np.ndarray]:
        dtypes = shared.get(kind, {})
        prefix = _PREFIXES[kind]
        return {n: columns[prefix + n].values.astype(d) for n, d in dtypes.items()}

    # Older files do not say which work was counted: all of it.
    kinds = shared.get("work") or {
        name[5:]: "int32" for name in columns if name.startswith("work_")
    }
    params = columns["params"].values.reshape(lanes, -1).astype(dtype)
    has_path = "path" in columns and len(columns["path"].values) > 0
    return Runs(
        problem=shared["problem"],
        optimizer=shared["optimizer"],
        phase=shared["phase"],
        rates=columns["learning_rate"].values,
        seeds=columns["seed"].values,
        status=columns["status"].values.astype(np.int32),
        steps=columns["steps"].values.astype(np.int32),
        value=trace("value"),
        grad_norm=trace("grad_norm"),
        step_norm=trace("step_norm"),
        work={kind: trace(f"work_{kind}", dtype) for kind, dtype in kinds.items()},
        cost=shared["cost"],
        path=trace("path", dtype, params.shape[1]) if has_path else None,
        params=params,
        settings=named("settings"),
        metrics=named("metrics"),
        gradient_flops=shared.get("gradient_flops", float("nan")),
    )


def timings_table(comparison: Comparison) -> Any:
    """What a clock or a machine said: a row for each record of runs.

    Args:
        comparison: What was found.

    Returns:
        A `pyarrow.Table`.
    """
    import pyarrow as pa

    keys = (*_LABELS, *TIMINGS)
    return pa.table({k: [getattr(run, k) for run in comparison.runs] for k in keys})
