"""Names of entries, and tables for people."""

import html
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

MOST_ROWS = 20
"""How many rows a printed table has at most."""


def entry_names(tree: PyTree, whole: str = "x") -> list[str]:
    """A name for every number in a tree, in the order of `ravel_pytree`.

    Args:
        tree: A pytree of arrays.
        whole: What a bare array or number is called.

    Returns:
        Names such as "w[0]" or "layers.1.b".
    """
    found = []
    for path, leaf in jax.tree.leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or whole
        indices = np.ndindex(np.shape(leaf))
        found += [f"{name}[{', '.join(map(str, i))}]" if i else name for i in indices]
    return found


def checked_names(name: str, names: Sequence[str], count: int) -> tuple[str, ...]:
    """Return names as a tuple, after checking that there is one for each thing.

    Args:
        name: The argument's name, for the error message.
        names: What the caller passed.
        count: How many things there are.

    Returns:
        The names as strings.

    Raises:
        TypeError: A single string was passed.
        ValueError: There are more or fewer names than things.
    """
    if isinstance(names, str):
        raise TypeError(f"`{name}` must be a sequence of names, got {names!r}")
    found = tuple(map(str, names))
    if len(found) != count:
        raise ValueError(f"`{name}` has {len(found)} names, but there are {count}")
    return found


def text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text: the first column left, the others right.

    Args:
        head: The names of the columns.
        rows: The cells.

    Returns:
        Lines without an end.
    """
    table = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *rest in table:
        cells = (f"{c:>{w}}" for c, w in zip(rest, widths[1:], strict=True))
        lines.append("  ".join([f"{first:{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)


def as_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table for a notebook.

    Args:
        head: The names of the columns.
        rows: The cells.

    Returns:
        An HTML table.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        inner = "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)
        return f"<tr>{inner}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(r, 'td') for r in rows)}</table>"


def number(value: Any, digits: int = 4) -> str:
    """A number for a table; what is missing is said.

    Args:
        value: A real number.
        digits: Significant digits.

    Returns:
        Text such as "0.25" or "nan".
    """
    return f"{float(value):.{digits}g}"
