"""Files that are whole or not there, in folders that can be written."""

import contextlib
import os
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4


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
    # No number of a process: machines that share a folder count alike.
    beside = file.with_name(f"{file.name}.{uuid4().hex[:12]}.partial")
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
        probe = folder / f".{uuid4().hex[:12]}.partial"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"the folder {folder} can't be written ({error}): choose another one, or "
            "change its permissions"
        ) from error


def check_version(where: Path, found: int, known: int) -> None:
    """Refuse what a newer version wrote.

    Args:
        where: What was read, for the message.
        found: Its version.
        known: The newest version that can be read.

    Raises:
        ValueError: It is newer.
    """
    if found > known:
        raise ValueError(
            f"{where} was written by a newer jaxcalc (format {found}; this one reads "
            f"up to format {known}): update jaxcalc, or choose another folder"
        )
