"""Names and files: safe, unique, and never half-written."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from jaxcalc.comparison import store


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
    """Write a file, so that a reader finds the old one or the new one.

    Args:
        path: Where to, in a folder that exists.
        content: Text, written as UTF-8, or bytes.
    """
    data = content.encode() if isinstance(content, str) else content
    store.write_atomically(path, lambda beside: beside.write_bytes(data))
