"""Where the files of a store lie, and how each is read and checked."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np

from jaxcalc.comparison.files import check_version
from jaxcalc.comparison.naming import FORMAT
from jaxcalc.comparison.records import read_runs
from jaxcalc.comparison.results import Runs


def runs_file(folder: Path, digest: str) -> Path:
    """Where runs lie.

    Args:
        folder: A store.
        digest: What was run.

    Returns:
        A path that need not exist.
    """
    return folder / "runs" / digest[:2] / f"{digest}.parquet"


def part_file(folder: Path, digest: str, index: int) -> Path:
    """Where unfinished runs lie.

    Args:
        folder: A store.
        digest: What is run.
        index: Which part of it.

    Returns:
        A path that need not exist.
    """
    return folder / "parts" / f"{digest}-{index}.npz"


def read_stored(file: Path) -> Runs:
    """Read one file of runs.

    Args:
        file: In its place in a store.

    Returns:
        The runs.

    Raises:
        ValueError: It is not what was written, or not in its place.
    """
    runs, metadata = read_runs(file)
    if not metadata["verified"]:
        raise ValueError("it has no checksum")
    _check_place(file, metadata["digest"])
    (only,) = runs
    return only


def read_part(file: Path) -> dict[str, np.ndarray]:
    """Read one file of unfinished runs; the zip format holds checksums.

    Args:
        file: In its place in a store.

    Returns:
        The arrays that were saved.

    Raises:
        ValueError: It is not what was written, or not in its place.
    """
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    _check_place(file, str(arrays.pop("digest")))
    return arrays


def is_damage(error: Exception) -> bool:
    """Whether a file is to blame for an error, and not what it lies on.

    Args:
        error: What reading it raised.

    Returns:
        False for what an operating system says: no permission, too many open files, a
        network drive that is gone. pyarrow says what it likes of a damaged file, an
        OSError without a number included.
    """
    return not isinstance(error, OSError) or error.errno is None


def set_aside(file: Path) -> Path:
    """Move a damaged file out of the way.

    Args:
        file: In a store.

    Returns:
        Where it is now.
    """
    root = next(p for p in file.parents if (p / "format.json").exists())
    aside = root / "quarantine" / file.name
    aside.parent.mkdir(exist_ok=True)
    # Another process may have been faster.
    with contextlib.suppress(FileNotFoundError):
        os.replace(file, aside)
    return aside


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
                f"the store {folder} has the layout of an older jaxcalc (format 1; "
                f"this one writes format {FORMAT}), which named runs by their place: "
                "choose another `store`, or delete this one and run again"
            )
        return
    try:
        known = int(json.loads(file.read_text())["format"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{file} can't be read ({error!r}): if {folder} is a store of jaxcalc's, "
            f'write {{"format": {FORMAT}}} into this file; if not, choose another '
            "folder"
        ) from error
    check_version(folder, known, FORMAT)


def _check_place(file: Path, digest: str) -> None:
    if not file.name.startswith(digest):
        raise ValueError(f"it holds the runs {digest[:12]}")
