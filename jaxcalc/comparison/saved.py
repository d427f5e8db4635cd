"""A whole comparison as files, and back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxcalc.comparison.columns import parquet, write_table
from jaxcalc.comparison.files import check_version, writable, write_atomically
from jaxcalc.comparison.naming import FORMAT
from jaxcalc.comparison.records import TIMINGS, read_runs, runs_table, timings_table
from jaxcalc.comparison.results import Comparison, Runs

_HEADER = ("protocol", "environment", "titles", "minimum", "sources", "unfinished")


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
    header = {name: getattr(comparison, name) for name in _HEADER}
    text = json.dumps({"format": FORMAT, **header}, indent=1)
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
        ValueError: A file is damaged, or was written by a newer version.
    """
    folder = Path(folder)
    if not (folder / "protocol.json").exists():
        store = (folder / "format.json").exists()
        raise FileNotFoundError(
            f"{folder} holds no comparison: there is no protocol.json in it"
            + ("; it is a store, of runs alone: pass it to compare()" if store else "")
        )
    header = _intact(folder / "protocol.json", lambda p: json.loads(p.read_text()))
    check_version(folder, header.get("format", FORMAT), FORMAT)
    runs, _ = _intact(folder / "runs.parquet", read_runs)
    timings = _intact(folder / "timings.parquet", parquet().read_table).to_pylist()
    timed = [_timed(*pair) for pair in zip(runs, timings, strict=True)]
    known = {name: header[name] for name in _HEADER if name in header}
    unfinished = tuple(map(tuple, known.pop("unfinished", ())))
    return Comparison(runs=tuple(timed), **known, unfinished=unfinished)


def _timed(runs: Runs, row: dict[str, Any]) -> Runs:
    """Runs and what a clock said of them; older files hold less."""
    return replace(runs, **{name: row[name] for name in TIMINGS if name in row})


def _intact(file: Path, read: Any) -> Any:
    try:
        return read(file)
    except FileNotFoundError:
        raise
    except Exception as error:  # pyarrow raises what it likes on a damaged file
        raise ValueError(
            f"{file} can't be read ({error}): copy it anew, or make the comparison "
            "again; what its `store` holds is not run again"
        ) from error
