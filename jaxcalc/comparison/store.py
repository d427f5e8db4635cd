"""A folder of finished and unfinished runs, named by what was run.

    format.json                version of this layout
    runs/ab/abcd....parquet    finished runs, by their digest
    parts/<digest>-<i>.npz     what is needed to go on with unfinished ones
    quarantine/                files that were damaged

What was run decides the name (see `naming`), so that nothing is run twice, and stores
are shared by copying files. Parquet, JSON and plain arrays only: nothing that is read
can run code. Files are written beside and renamed into place: a process may be killed
at any moment, and two may write at once. What both write under one name is the same.
"""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jaxcalc.comparison.columns import parquet, write_table
from jaxcalc.comparison.files import slug, writable, write_atomically
from jaxcalc.comparison.layout import (
    check_format,
    is_damage,
    part_file,
    read_part,
    read_stored,
    runs_file,
    set_aside,
)
from jaxcalc.comparison.naming import FORMAT
from jaxcalc.comparison.protocol import environment
from jaxcalc.comparison.records import TIMINGS, runs_table
from jaxcalc.comparison.results import Runs
from jaxcalc.comparison.saved import load, save

__all__ = ["Store", "load", "save", "slug", "writable", "write_atomically"]


class Store:
    """Finished and unfinished runs of any number of comparisons.

    A disk that fills up while a comparison runs is a warning: what could not be written
    is kept in memory, and written when there is room again.

    Args:
        folder: Where, or None to keep nothing.

    Raises:
        OSError: The folder can't be written.
        ValueError: The folder was written by another version.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._unwritten: dict[str, Runs] = {}
        self._has_warned = False
        if folder is None:
            return
        parquet()  # say at once if it is missing, not after the first hour
        writable(folder)
        check_format(folder)
        if not (folder / "format.json").exists():
            text = json.dumps({"format": FORMAT})
            write_atomically(folder / "format.json", lambda p: p.write_text(text))
        for name in ("runs", "parts"):
            writable(folder / name)

    @property
    def keeps(self) -> bool:
        """Whether there is a folder."""
        return self._folder is not None

    def has_runs(self, digest: str) -> bool:
        """Whether there are finished runs.

        Args:
            digest: What would be run.

        Returns:
            True if there is a file of them.
        """
        if self._folder is None:
            return False
        return digest in self._unwritten or self._runs(digest).exists()

    def load_runs(self, digest: str) -> Runs | None:
        """Finished runs, under the names they were first run by.

        Args:
            digest: What would be run.

        Returns:
            The runs, None if they are not there. A damaged file is a warning: it is
            moved to `quarantine`, and its runs are not there.
        """
        if self._folder is None:
            return None
        if digest in self._unwritten:
            return self._unwritten[digest]
        return self._read(self._runs(digest), read_stored)

    def save_runs(self, digest: str, runs: Runs) -> None:
        """Keep finished runs, and forget their unfinished parts.

        Args:
            digest: What was run.
            runs: The runs.
        """
        if self._folder is None:
            return
        self._unwritten[digest] = runs
        with self._warning():
            for waiting in list(self._unwritten):
                self._write(waiting, self._unwritten[waiting])
                del self._unwritten[waiting]

    def load_part(self, digest: str, index: int) -> dict[str, np.ndarray] | None:
        """Unfinished runs.

        Args:
            digest: What would be run.
            index: Which part of it.

        Returns:
            What was saved, None if there is nothing.
        """
        if self._folder is None:
            return None
        return self._read(self._part(digest, index), read_part)

    def save_part(self, digest: str, index: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep unfinished runs.

        Args:
            digest: What is run.
            index: Which part of it.
            arrays: Everything that is needed to go on.
        """
        if self._folder is None:
            return
        named: dict[str, Any] = {"digest": np.asarray(digest), **arrays}

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez(stream, **named)

        with self._warning():
            write_atomically(self._part(digest, index), write)

    def _write(self, digest: str, runs: Runs) -> None:
        file = self._runs(digest)
        file.parent.mkdir(exist_ok=True)
        metadata = {
            "digest": digest,
            "timings": {name: getattr(runs, name) for name in TIMINGS},
            "created": {**self._environment, "at": _now()},
        }
        write_table(file, runs_table((runs,), metadata), plainly=True)
        for part in file.parents[2].glob(f"parts/{digest}-*.npz"):
            part.unlink(missing_ok=True)

    @cached_property
    def _environment(self) -> dict[str, str]:
        return environment()

    @contextlib.contextmanager
    def _warning(self) -> Iterator[None]:
        """Turn what a disk refuses into one warning."""
        try:
            yield
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"{error}. The comparison goes on and returns all that it finds; "
                    "what is not in the store at its end will have to be run again",
                    stacklevel=4,
                )

    def _read(self, file: Path, read: Callable[[Path], Any]) -> Any:
        """Read a file, or set it aside."""
        try:
            return read(file)
        except FileNotFoundError:
            return None
        except Exception as error:
            if not is_damage(error):
                raise
            aside = set_aside(file)
            warnings.warn(
                f"{file} can't be read ({error}); it was moved to {aside} and is "
                "computed anew",
                stacklevel=3,
            )
            return None

    def _runs(self, digest: str) -> Path:
        return runs_file(Path(self._folder or ""), digest)

    def _part(self, digest: str, index: int) -> Path:
        return part_file(Path(self._folder or ""), digest, index)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
