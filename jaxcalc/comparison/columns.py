"""Columns of numbers, and of lists of numbers, in Parquet files and back.

NumPy's arrays are Arrow's: a column of lists is its values, one list behind the other,
and where each begins. Nothing is converted cell by cell.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcalc.comparison.files import write_atomically

_MOST_IN_LISTS = 2**31 - 1


def parquet() -> Any:
    """The module `pyarrow.parquet`, imported where it is used.

    Returns:
        The module.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "tables and stores need pyarrow: pip install 'jaxcalc[reports]'"
        ) from error
    return pyarrow.parquet


class Lists(NamedTuple):
    """A column of lists: `values` of all, and the length of each."""

    values: np.ndarray
    lengths: np.ndarray


def joined(pieces: Sequence[np.ndarray | Lists | None], rows: Sequence[int]) -> Any:
    """The column of a table, from pieces that lie below each other.

    Args:
        pieces: Numbers or lists; None for a piece of nulls. One of them is not None.
        rows: Length of each piece.

    Returns:
        A `pyarrow.Array`.
    """
    import pyarrow as pa

    present = [piece for piece in pieces if piece is not None]
    nulls = np.repeat([piece is None for piece in pieces], rows)
    mask = nulls if nulls.any() else None
    if not isinstance(present[0], Lists):
        empty = np.zeros(0, np.asarray(present[0]).dtype)
        filled = [
            np.resize(empty, n) if piece is None else np.asarray(piece)
            for piece, n in zip(pieces, rows, strict=True)
        ]
        return pa.array(np.concatenate(filled), mask=mask)
    values = [piece.values for piece in present if isinstance(piece, Lists)]
    lengths = [
        piece.lengths if isinstance(piece, Lists) else np.zeros(n, int)
        for piece, n in zip(pieces, rows, strict=True)
    ]
    common = _known([array.dtype for array in values])
    flat = np.concatenate([array.astype(common, copy=False) for array in values])
    offsets = np.concatenate([[0], *lengths]).cumsum()
    mask = None if mask is None else pa.array(mask)
    if len(flat) > _MOST_IN_LISTS:
        return pa.LargeListArray.from_arrays(offsets, flat, mask=mask)
    return pa.ListArray.from_arrays(offsets.astype(np.int32), flat, mask=mask)


def _known(dtypes: list[np.dtype]) -> np.dtype:
    """A dtype that files know and that loses no digit."""
    if all(dtype.kind in "iu" for dtype in dtypes):
        return np.result_type(*dtypes)
    return np.result_type(np.float32, *dtypes)


class Column(NamedTuple):
    """What `joined` made, as NumPy sees it.

    Attributes:
        values: Numbers, or the values of all lists.
        offsets: Where in `values` each list begins and the last one ends; None for a
            column of numbers.
        valid: Whether each row is not null; None if none is.
    """

    values: np.ndarray
    offsets: np.ndarray | None
    valid: np.ndarray | None

    @property
    def lengths(self) -> np.ndarray:
        """Length of each list; a number counts as a list of one."""
        if self.offsets is None:
            return np.ones(len(self.values), int)
        return np.diff(self.offsets)

    def rows(self, rows: slice) -> "Column":
        """Some of the rows.

        Args:
            rows: Which, one behind the other.

        Returns:
            A column that shares memory with this one.
        """
        valid = None if self.valid is None else self.valid[rows]
        if self.offsets is None:
            return Column(self.values[rows], None, valid)
        offsets = self.offsets[rows.start : rows.stop + 1]
        values = self.values[offsets[0] : offsets[-1]]
        return Column(values, offsets - offsets[0], valid)


def column(array: Any) -> Column:
    """A column of a table as NumPy's arrays.

    Args:
        array: A `pyarrow.Array` or a `pyarrow.ChunkedArray`.

    Returns:
        The same numbers; a null is a zero, or an empty list.
    """
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    valid = array.is_valid().to_numpy(False) if array.null_count else None
    if hasattr(array, "offsets"):
        offsets = array.offsets.to_numpy()
        values = array.values.to_numpy()[offsets[0] : offsets[-1]]
        return Column(values, offsets - offsets[0] if offsets[0] else offsets, valid)
    if valid is not None:
        array = array.fill_null(0)
    return Column(array.to_numpy(), None, valid)


def checksum(header: str, columns: Mapping[str, Column]) -> str:
    """Hash of all that is read from a file.

    Parquet's own checksums are of its pages alone: what describes them could change
    unseen.

    Args:
        header: What is kept beside the columns.
        columns: The columns by name.

    Returns:
        64 hexadecimal digits.
    """
    total = sha256(header.encode())
    for name, held in columns.items():
        total.update(f"{name} {held.values.dtype.str} {len(held.values)}".encode())
        total.update(np.ascontiguousarray(held.values).data)
        if held.offsets is not None:
            total.update(np.ascontiguousarray(held.offsets).data)
        if held.valid is not None:
            total.update(held.valid.data)
    return total.hexdigest()


# A small file is opened in a quarter of a millisecond without these, twice that with.
_PLAIN = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}


def write_table(file: Path, table: Any, *, plainly: bool = False) -> None:
    """Write a table as a Parquet file, whole or not at all.

    Args:
        file: Where.
        table: A `pyarrow.Table`.
        plainly: Whether reading quickly counts for more than size: for small files of
            which there are many.
    """
    write = parquet().write_table
    options = _PLAIN if plainly else {"compression": "zstd"}
    write_atomically(file, lambda path: write(table, path, **options))
