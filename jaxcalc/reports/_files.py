"""Names and files: safe, unique, and never half-written."""

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path


def slug(name: str) -> str:
    """A file name for any text: lower-case letters, digits and hyphens, no path.

    Args:
        name: Whatever a user called something.

    Returns:
        At most 60 characters; "unnamed" if nothing of the name can be used.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9]+", "-", plain.lower()).strip("-")[:60].strip("-") or (
        "unnamed"
    )


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A different file name for every name.

    Args:
        names: Names without duplicates.

    Returns:
        File names by name; those that would coincide are numbered.
    """
    found: dict[str, str] = {}
    for name in names:
        base = candidate = slug(name)
        again = 2
        while candidate in found.values():
            candidate, again = f"{base}-{again}", again + 1
        found[name] = candidate
    return found


def write(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and rename it into place.

    A reader finds the old file or the new one, never half of one.

    Args:
        path: Where to.
        content: Text, written as UTF-8, or bytes.

    Raises:
        OSError: The folder can't be made or written to, or the disk is full; the
            message names the folder and says what to do.
    """
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(data)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"can't write {path.name} into the folder '{path.parent}' "
            f"({error.strerror or error}): make it writable, free some space, or "
            "choose another folder",
        ) from error
