"""What a store holds, read from the headers of its files."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jaxcalc.comparison.layout import check_format, is_damage, read_part, read_stored
from jaxcalc.comparison.records import read_header
from jaxcalc.comparison.results import Runs

Reader = Callable[[Path], Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of runs, as its header tells it.

    Attributes:
        digest: What was run.
        problem: What the problem was called.
        optimizer: What the optimizer was called.
        phase: "tuning" or "evaluation".
        runs: How many runs there are.
        steps: Steps of all runs.
        bytes: Size of the file.
        created: Versions and device that made it, and when ("at").
        file: Where it lies.
    """

    digest: str
    problem: str
    optimizer: str
    phase: str
    runs: int
    steps: int
    bytes: int
    created: dict[str, str]
    file: Path

    @property
    def made_at(self) -> float:
        """Seconds since 1970."""
        return datetime.fromisoformat(self.created["at"]).timestamp()


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A file that is not what was written.

    Attributes:
        file: Where it lay.
        reason: What is wrong with it.
        moved: Where it is now; None if it was left.
    """

    file: Path
    reason: str
    moved: Path | None = None


def scan(folder: str | Path) -> tuple[list[Entry], list[Damage]]:
    """All finished runs of a store; only their headers are read.

    Args:
        folder: A store.

    Returns:
        The entries in the order of their names, and the files that can't be read.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: It was written by another version.
    """
    listed, damaged = [], []
    for file in _runs_files(existing(folder)):
        try:
            listed.append(_entry(file))
        except FileNotFoundError:
            continue  # deleted by another process
        except Exception as error:
            if not is_damage(error):
                raise
            damaged.append(Damage(file=file, reason=_reason(error)))
    order = ("problem", "optimizer", "phase", "digest")
    listed.sort(key=lambda entry: tuple(getattr(entry, name) for name in order))
    return listed, damaged


def entries(folder: str | Path) -> list[Entry]:
    """All finished runs of a store; a file that can't be read is a warning.

    Args:
        folder: A store.

    Returns:
        The entries in the order of their names.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: It was written by another version.
    """
    listed, damaged = scan(folder)
    for damage in damaged:
        warnings.warn(f"{damage.file} can't be read ({damage.reason})", stacklevel=2)
    return listed


def find(folder: str | Path, prefix: str) -> Entry:
    """The entry whose digest begins so.

    Args:
        folder: A store.
        prefix: The first digits, as many as it takes.

    Returns:
        The entry.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: None begins so, or several do.
    """
    found = [e for e in scan(folder)[0] if prefix and e.digest.startswith(prefix)]
    if len(found) != 1:
        many = ", ".join(entry.digest[:12] for entry in found[:5])
        raise ValueError(
            f"{len(found)} records in {folder} have a digest that begins with "
            f"{prefix!r}" + (f" ({many}, ...): give more digits" if many else "")
        )
    return found[0]


def show(folder: str | Path, prefix: str) -> tuple[Entry, Runs]:
    """One record of a store.

    Args:
        folder: A store.
        prefix: The first digits of its digest.

    Returns:
        What its header tells, and the runs.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: None begins so, or several do, or the file is damaged.
    """
    entry = find(folder, prefix)
    try:
        return entry, read_stored(entry.file)
    except Exception as error:
        if not is_damage(error):
            raise
        raise ValueError(f"{entry.file} can't be read ({error})") from error


def unfinished(folder: str | Path) -> int:
    """How many files of unfinished runs a store holds.

    Args:
        folder: A store.

    Returns:
        Their number.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: It was written by another version.
    """
    return len(list(existing(folder).glob("parts/*.npz")))


def existing(folder: str | Path) -> Path:
    """A folder that is a store.

    Args:
        folder: Any path.

    Returns:
        The path.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: It was written by another version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    check_format(folder)
    if not (folder / "format.json").exists():
        hint = (
            "" if not (folder / "store").is_dir() else f"; did you mean {folder}/store?"
        )
        raise FileNotFoundError(
            f"{folder} is no store: there is no format.json in it{hint}"
        )
    return folder


def _reason(error: Exception) -> str:
    told = isinstance(error, ValueError | OSError)
    return str(error) if told else f"it is no record of runs: {error!r}"


def _entry(file: Path) -> Entry:
    header = read_header(file)
    (shared,) = header["runs"]
    return Entry(
        digest=header["digest"],
        **{name: shared[name] for name in ("problem", "optimizer", "phase", "steps")},
        runs=shared["lanes"],
        bytes=file.stat().st_size,
        created=header["created"],
        file=file,
    )


def _runs_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("runs/*/*.parquet"))


def held_files(folder: Path) -> Iterator[tuple[Path, Reader]]:
    """All files of finished and unfinished runs.

    Args:
        folder: A store.

    Yields:
        Each file, and what reads it.
    """
    for file in _runs_files(folder):
        yield file, read_stored
    for file in sorted(folder.glob("parts/*.npz")):
        yield file, read_part


def complaint(file: Path, read: Reader) -> str | None:
    """What is wrong with a file.

    Args:
        file: In a store.
        read: What reads it.

    Returns:
        A sentence; None if nothing is wrong, or if the file has gone.
    """
    try:
        read(file)
    except FileNotFoundError:
        return None
    except Exception as error:
        if not is_damage(error):
            raise
        return _reason(error)
    return None
