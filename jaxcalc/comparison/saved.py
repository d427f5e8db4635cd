"""A whole comparison as files, and back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxcalc.comparison.files import writable, write_atomically
from jaxcalc.comparison.records import (
    TIMINGS,
    parquet,
    read_runs,
    runs_table,
    timings_table,
    write_table,
)
from jaxcalc.comparison.results import Comparison

_HEADER = ("protocol", "environment", "titles", "minimum", "sources")


def save(comparison: Comparison, folder: Path) -> Path:
    """Write a comparison, see `Comparison.save`.

    Args:
        comparison: What was found.
        folder: Where.

    Returns:
        The folder.
    """
    writable(folder)
    tables: dict[str, Any] = {
        "runs": runs_table(comparison.runs, {}),
        "table": comparison.table(),
        "timings": timings_table(comparison),
    }
    text = json.dumps({name: getattr(comparison, name) for name in _HEADER}, indent=1)
    for name, table in tables.items():
        write_table(folder / f"{name}.parquet", table)
    write_atomically(folder / "protocol.json", lambda p: p.write_text(text))
    return folder


def load(folder: str | Path) -> Comparison:
    """Read a comparison that `Comparison.save` wrote.

    Args:
        folder: Where it was written.

    Returns:
        The comparison.

    Raises:
        FileNotFoundError: There is none in this folder.
    """
    folder = Path(folder)
    if not (folder / "protocol.json").exists():
        raise FileNotFoundError(
            f"{folder} holds no comparison: there is no protocol.json in it"
        )
    header = json.loads((folder / "protocol.json").read_text())
    runs, _ = read_runs(folder / "runs.parquet")
    timings = parquet().read_table(folder / "timings.parquet").to_pylist()
    timed = [
        replace(run, **{name: row[name] for name in TIMINGS})
        for run, row in zip(runs, timings, strict=True)
    ]
    return Comparison(runs=tuple(timed), **header)
