"""Stores are verified, merged and tidied up."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxcalc.comparison.files import write_atomically
from jaxcalc.comparison.layout import runs_file, set_aside
from jaxcalc.comparison.listing import (
    Damage,
    Entry,
    Reader,
    complaint,
    entries,
    existing,
    find,
    held_files,
    scan,
    show,
    unfinished,
)
from jaxcalc.comparison.store import Store

__all__ = [
    "Damage",
    "Entry",
    "Merged",
    "delete",
    "entries",
    "find",
    "merge",
    "scan",
    "show",
    "unfinished",
    "verify",
]

_DAY = 86400.0  # in seconds


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merge did.

    Attributes:
        copied: Digests of the runs that were copied.
        known: Digests of those that were there already.
        parts: Digests of unfinished runs, once for each file that was copied.
        damaged: Files that were not copied.
    """

    copied: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def verify(folder: str | Path, *, keep: bool = False) -> list[Damage]:
    """Read every file of a store whole, and move what is damaged to `quarantine`.

    What a killed process has left half-written is removed after a day.

    Args:
        folder: A store.
        keep: Whether to leave everything where it is.

    Returns:
        What is damaged.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: It was written by another version.
    """
    folder = existing(folder)
    damaged = []
    for file, read in held_files(folder):
        reason = complaint(file, read)
        if reason is not None:
            moved = None if keep else set_aside(file)
            damaged.append(Damage(file=file, reason=reason, moved=moved))
    if not keep:
        _sweep(folder)
    return damaged


def merge(into: str | Path, *others: str | Path) -> Merged:
    """Copy into a store what others hold and it does not.

    Every file is read whole before it is copied. Runs that are there already are left
    as they are: the numbers are the same, and so much as the seconds stay.

    Args:
        into: A store, or a new folder.
        *others: Stores; they are left as they are.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: One of the others is no store.
        ValueError: One was written by another version, or is merged into itself.
        OSError: A file can't be written.
    """
    sources = [existing(other) for other in others]
    into = Path(into)
    for other in sources:
        if into.exists() and into.samefile(other):
            raise ValueError(f"{other} can't be merged into itself")
    Store(into)
    done = Merged()
    for source in sources:
        for file, read in held_files(source):
            _merge_file(file, read, into / file.relative_to(source), done)
    return done


def _merge_file(file: Path, read: Reader, target: Path, done: Merged) -> None:
    digest = file.stem.partition("-")[0]
    is_part = file.suffix == ".npz"
    if is_part and runs_file(target.parents[1], digest).exists():
        return  # they have ended since
    if target.exists():
        if not is_part:
            done.known.append(digest)
        return
    reason = complaint(file, read)
    if reason is not None:
        done.damaged.append(Damage(file=file, reason=reason))
        return
    target.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):  # a part that has ended since
        content = file.read_bytes()
        write_atomically(target, lambda path: path.write_bytes(content))
        (done.parts if is_part else done.copied).append(digest)


def delete(
    folder: str | Path,
    *,
    digests: Iterable[str] = (),
    problem: str | None = None,
    optimizer: str | None = None,
    older_than: float | None = None,
    pretend: bool = False,
) -> list[Entry]:
    """Delete the records that match everything that is given.

    Their unfinished parts go with them, and all parts of that age where only an age is
    given.

    Args:
        folder: A store.
        digests: First digits of digests, each of one record.
        problem: What the problem was called.
        optimizer: What the optimizer was called.
        older_than: Days since they were made.
        pretend: Whether only to say what would be deleted.

    Returns:
        What was deleted.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: Nothing is given, or a digest is of none or of several records.
    """
    digests = list(digests)
    named = bool(digests) or problem is not None or optimizer is not None
    if not named and older_than is None:
        raise ValueError(
            "say what to delete: digests, a problem, an optimizer, or an age in days"
        )
    chosen = [find(folder, prefix) for prefix in digests] or scan(folder)[0]
    before = np.inf if older_than is None else time.time() - older_than * _DAY
    chosen = [
        entry
        for entry in chosen
        if problem in {None, entry.problem}
        and optimizer in {None, entry.optimizer}
        and (older_than is None or entry.made_at < before)
    ]
    if pretend:
        return chosen
    for entry in chosen:
        entry.file.unlink(missing_ok=True)
        _delete_parts(Path(folder), f"{entry.digest}-*.npz", np.inf)
    if not named:
        _delete_parts(Path(folder), "*.npz", before)
    return chosen


def _delete_parts(folder: Path, pattern: str, before: float) -> None:
    for part in folder.glob(f"parts/{pattern}"):
        with contextlib.suppress(FileNotFoundError):
            if part.stat().st_mtime < before:
                part.unlink()


def _sweep(folder: Path) -> None:
    """Remove what killed processes have left half-written."""
    for left in folder.rglob("*.partial"):
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - _DAY:
                left.unlink()
