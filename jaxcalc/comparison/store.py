"""A folder of finished and unfinished runs, named by what was run.

    format.json                version of this layout
    runs/ab/abcd....parquet    finished runs, by their digest
    parts/<digest>-<i>.npz     what is needed to go on with unfinished ones
    quarantine/                files that could not be read

What was run decides the name (see `naming`), so that nothing is run twice, and stores
are shared by copying files. Parquet, JSON and plain arrays only: nothing that is read
can run code. Files are written beside and renamed into place: a process may be killed
at any moment, and two may write at once. What both write under one name is the same.
"""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxcalc.comparison.files import slug, writable, write_atomically
from jaxcalc.comparison.naming import FORMAT
from jaxcalc.comparison.records import (
    TIMINGS,
    parquet,
    read_runs,
    runs_table,
    write_table,
)
from jaxcalc.comparison.results import Runs
from jaxcalc.comparison.saved import load, save

__all__ = ["Store", "load", "save", "slug", "writable", "write_atomically"]


class Store:
    """Finished and unfinished runs of any number of comparisons.

    Args:
        folder: Where, or None to keep nothing.

    Raises:
        OSError: The folder can't be written.
        ValueError: The folder was written by another version.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder
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
        return self._folder is not None and self._runs(digest).exists()

    def load_runs(self, digest: str) -> Runs | None:
        """Finished runs, under the names they were first run by.

        Args:
            digest: What would be run.

        Returns:
            The runs, None if they are not there.
        """
        if not self.has_runs(digest):
            return None
        try:
            (runs,), metadata = read_runs(self._runs(digest))
            _same_digest(metadata["digest"], digest)
        except FileNotFoundError:
            return None  # another process has set it aside
        except Exception as error:  # pyarrow raises what it likes on a damaged file
            self._quarantine(self._runs(digest), error)
            return None
        return runs

    def save_runs(self, digest: str, runs: Runs) -> None:
        """Keep finished runs, and forget their unfinished parts.

        Args:
            digest: What was run.
            runs: The runs.
        """
        if self._folder is None:
            return
        timings = {name: getattr(runs, name) for name in TIMINGS}
        table = runs_table((runs,), {"digest": digest, "timings": timings})
        file = self._runs(digest)
        file.parent.mkdir(exist_ok=True)
        write_table(file, table)
        for part in file.parents[2].glob(f"parts/{digest}-*.npz"):
            part.unlink(missing_ok=True)

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
        file = self._part(digest, index)
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
            _same_digest(str(arrays.pop("digest")), digest)
        except FileNotFoundError:
            return None
        except Exception as error:  # so do zip files
            self._quarantine(file, error)
            return None
        return arrays

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

        write_atomically(self._part(digest, index), write)

    def _runs(self, digest: str) -> Path:
        assert self._folder is not None
        return self._folder / "runs" / digest[:2] / f"{digest}.parquet"

    def _part(self, digest: str, index: int) -> Path:
        assert self._folder is not None
        return self._folder / "parts" / f"{digest}-{index}.npz"

    def _quarantine(self, file: Path, error: Exception) -> None:
        assert self._folder is not None
        aside = self._folder / "quarantine" / file.name
        aside.parent.mkdir(exist_ok=True)
        try:
            os.replace(file, aside)
        except FileNotFoundError:
            return  # another process was faster
        warnings.warn(
            f"{file} can't be read ({error}); it was moved to {aside} and is "
            "computed anew",
            stacklevel=3,
        )


def check_format(folder: Path) -> None:
    """Refuse what another version wrote.

    Args:
        folder: A store, or an empty folder.

    Raises:
        ValueError: It was written by another version; the message says what to do.
    """
    file = folder / "format.json"
    if not file.exists():
        if (folder / "settings.json").exists():
            raise ValueError(
                f"the store {folder} has the layout of an older jaxcalc (format 1, "
                f"now {FORMAT}), which named runs by their place: choose another "
                "`store`, or delete this one and run again"
            )
        return
    try:
        known = int(json.loads(file.read_text())["format"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{file} can't be read ({error!r}): if the store is jaxcalc's, write "
            f'{{"format": {FORMAT}}} into it; otherwise choose another folder'
        ) from error
    if known > FORMAT:
        raise ValueError(
            f"the store {folder} was written by a newer jaxcalc (format {known}; this "
            f"one reads up to {FORMAT}): update jaxcalc, or choose another `store`"
        )


def _same_digest(was: str, now: str) -> None:
    if was != now:
        raise ValueError(f"it holds {was[:12]}, not {now[:12]}")
