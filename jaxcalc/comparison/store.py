"""Comparisons on disk: finished runs, unfinished ones, and whole comparisons.

Parquet, JSON and plain arrays only: nothing that is read can run code. Files are
written beside and renamed into place, so that a process may be killed at any moment.
"""

import contextlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.comparison.results import Comparison, Runs
from jaxcalc.minimization.loop import missing

Place = tuple[str, ...]

_TIMINGS = ("compile_seconds", "run_seconds", "transfer_seconds", "seconds_per_step")
_TRACES = ("value", "grad_norm", "step_norm")


class Store:
    """A folder of finished and unfinished runs of one comparison.

    Args:
        folder: Where, or None to keep nothing.
        settings: The comparison's settings; a folder serves one set of them.

    Raises:
        OSError: The folder can't be written.
        ValueError: The folder was written under other settings.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any]):
        self._folder = folder
        if folder is None:
            return
        parquet()  # say at once if it is missing, not after the first hour
        writable(folder)
        settings = json.loads(json.dumps(settings))
        file = folder / "settings.json"
        if not file.exists():
            text = json.dumps(settings, indent=1)
            write_atomically(file, lambda path: path.write_text(text))
            return
        try:
            known = json.loads(file.read_text())
        except ValueError as error:
            raise ValueError(
                f"{file} can't be read ({error}): choose another `store`, or delete "
                "this one"
            ) from error
        differing = [k for k in settings if known.get(k) != settings[k]]
        if differing:
            was = "; ".join(f"{k} was {known.get(k)!r}" for k in differing)
            raise ValueError(
                f"`store` {folder} holds a comparison under other settings ({was}): "
                "choose another folder, or delete this one"
            )

    def has_runs(self, place: Place) -> bool:
        """Whether there are finished runs; they may turn out to be of another program.

        Args:
            place: Problem, optimizer and phase.

        Returns:
            True if there is a file of them.
        """
        file = self._file(place, "parquet")
        return file is not None and file.exists()

    def load_runs(self, place: Place, digest: str) -> Runs | None:
        """Finished runs.

        Args:
            place: Problem, optimizer and phase.
            digest: Hash of what would be run, and on what.

        Returns:
            The runs, None if they are not there.

        Raises:
            ValueError: What is there was computed by another program, or on other data.
        """
        file = self._file(place, "parquet")
        if file is None or not file.exists():
            return None
        try:
            runs, metadata = _read_runs(file)
        except Exception as error:  # pyarrow raises what it likes on a damaged file
            _set_aside(file, error)
            return None
        _same_digest(file, metadata["digest"], digest)
        return runs[0]

    def save_runs(self, place: Place, digest: str, runs: Runs) -> None:
        """Keep finished runs, and forget their unfinished parts.

        Args:
            place: Problem, optimizer and phase.
            digest: Hash of what was run, and on what.
            runs: The runs.
        """
        file = self._file(place, "parquet")
        if file is None:
            return
        timings = {name: getattr(runs, name) for name in _TIMINGS}
        table = _runs_table((runs,), {"digest": digest, "timings": timings})
        _write_table(file, table)
        for index in range(len(runs.steps)):
            part = self._file((*place, str(index)), "npz")
            if part is not None:
                part.unlink(missing_ok=True)

    def load_part(self, place: Place, digest: str) -> dict[str, np.ndarray] | None:
        """Unfinished runs.

        Args:
            place: Problem, optimizer, phase and index of the part.
            digest: Hash of what would be run, and on what.

        Returns:
            What was saved, None if there is nothing.

        Raises:
            ValueError: What is there was computed by another program, or on other data.
        """
        file = self._file(place, "npz")
        if file is None or not file.exists():
            return None
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
            was = str(arrays.pop("digest"))
        except Exception as error:  # so do zip files
            _set_aside(file, error)
            return None
        _same_digest(file, was, digest)
        return arrays

    def save_part(
        self, place: Place, digest: str, arrays: dict[str, np.ndarray]
    ) -> None:
        """Keep unfinished runs.

        Args:
            place: Problem, optimizer, phase and index of the part.
            digest: Hash of what is run, and on what.
            arrays: Everything that is needed to go on.
        """
        file = self._file(place, "npz")
        if file is None:
            return

        named: dict[str, Any] = {"digest": np.asarray(digest), **arrays}

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez(stream, **named)

        write_atomically(file, write)

    def _file(self, place: Place, ending: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{'--'.join(map(slug, place))}.{ending}"


def save(comparison: Comparison, folder: Path) -> Path:
    """Write a comparison, see `Comparison.save`.

    Args:
        comparison: What was found.
        folder: Where.

    Returns:
        The folder.
    """
    writable(folder)
    runs = _runs_table(comparison.runs, {})
    table = comparison.table()
    timings = _timings_table(comparison)
    header = {
        name: getattr(comparison, name)
        for name in ("protocol", "environment", "titles", "minimum", "sources")
    }
    text = json.dumps(header, indent=1)
    for name, held in (("runs", runs), ("table", table), ("timings", timings)):
        _write_table(folder / f"{name}.parquet", held)
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
    runs, _ = _read_runs(folder / "runs.parquet")
    timings = parquet().read_table(folder / "timings.parquet").to_pylist()
    timed = [
        replace(run, **{name: row[name] for name in _TIMINGS})
        for run, row in zip(runs, timings, strict=True)
    ]
    return Comparison(runs=tuple(timed), **header)


def slug(name: str) -> str:
    """A file name for any text: harmless, readable, and different for different texts.

    Args:
        name: Any text.

    Returns:
        Letters, digits, `-` (never two), `_` and `.`; with a hash wherever something
        was changed.
    """
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip(".-") or "unnamed"
    if plain == name and len(plain) <= 80:
        return plain
    return f"{plain[:60]}-{sha256(name.encode()).hexdigest()[:8]}"


def write_atomically(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file beside its place and rename it.

    Args:
        file: Where it belongs.
        write: Writes to the path that it is given.

    Raises:
        OSError: It can't be written; nothing half-written is left in its place.
    """
    beside = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        write(beside)
        os.replace(beside, file)
    except OSError as error:
        raise OSError(
            f"{file} can't be written ({error}): free some space or choose another "
            "folder; what was written before is kept"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def writable(folder: Path) -> None:
    """Make a folder, and be sure that files can be written there.

    Args:
        folder: Any path.

    Raises:
        OSError: It can't be made or written; the message names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}.partial"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"the folder {folder} can't be written ({error}): choose another one, or "
            "change its permissions"
        ) from error


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


def _write_table(file: Path, table: Any) -> None:
    write = parquet().write_table
    write_atomically(file, lambda path: write(table, path, compression="zstd"))


def _set_aside(file: Path, error: Exception) -> None:
    damaged = file.with_name(f"{file.name}.damaged")
    os.replace(file, damaged)
    warnings.warn(
        f"{file} can't be read ({error}); it was moved to {damaged.name} and is "
        "computed anew",
        stacklevel=3,
    )


def _same_digest(file: Path, was: str, now: str) -> None:
    if was != now:
        raise ValueError(
            f"{file} was computed by another program or on other data (the loss, the "
            "data, the optimizer, or a library has changed since): choose another "
            "`store`, or delete this one"
        )


def _runs_table(runs: tuple[Runs, ...], metadata: dict[str, Any]) -> Any:
    """A row for each lane, its traces in lists that end with the run."""
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


def _read_runs(file: Path) -> tuple[list[Runs], dict[str, Any]]:
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


def _timings_table(comparison: Comparison) -> Any:
    import pyarrow as pa

    names = [f.name for f in fields(Runs) if f.name in _TIMINGS]
    keys = ("problem", "optimizer", "phase", *names)
    return pa.table({k: [getattr(run, k) for run in comparison.runs] for k in keys})
