"""Comparisons on disk: finished runs, unfinished ones, and whole comparisons.

Parquet, JSON and plain arrays only: nothing that is read can run code. Files are
written beside and renamed into place, so that a process may be killed at any moment.
"""

import contextlib
import json
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from jaxcalc.comparison.records import (
    TIMINGS,
    parquet,
    read_runs,
    runs_table,
    timings_table,
)
from jaxcalc.comparison.results import Comparison, Runs

Place = tuple[str, ...]


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
            runs, metadata = read_runs(file)
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
        timings = {name: getattr(runs, name) for name in TIMINGS}
        table = runs_table((runs,), {"digest": digest, "timings": timings})
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
    runs = runs_table(comparison.runs, {})
    table = comparison.table()
    timings = timings_table(comparison)
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
    runs, _ = read_runs(folder / "runs.parquet")
    timings = parquet().read_table(folder / "timings.parquet").to_pylist()
    timed = [
        replace(run, **{name: row[name] for name in TIMINGS})
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
