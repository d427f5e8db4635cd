"""Lanes that advance together: what was measured of them, and how it is kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxcalc.comparison.lanes import Executable
from jaxcalc.comparison.stopping import Stopped
from jaxcalc.comparison.store import Store
from jaxcalc.minimization import Status
from jaxcalc.minimization.step import Entry, Lane, missing

_CHECKPOINT_SECONDS = 2.0


@dataclass(kw_only=True)
class Part:
    """Lanes that advance together, and what was measured of them so far.

    Attributes:
        lanes: Where they stand.
        digest: Name of the runs in the store.
        index: Which part of them.
        chunks: What each call measured, time along the first axis.
        running: Seconds that each call took.
        transfer: Seconds spent copying entries from the device.
    """

    lanes: Lane
    digest: str
    index: int
    chunks: list[dict[str, np.ndarray]] = field(default_factory=list)
    running: list[float] = field(default_factory=list)
    transfer: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether no lane is running."""
        return not np.any(np.asarray(self.lanes.status) == Status.RUNNING)

    @property
    def points(self) -> int:
        """Points measured, those of ended lanes beside running ones included."""
        return sum(chunk["value"].size for chunk in self.chunks)

    @property
    def rows(self) -> int:
        """Points measured of each lane, were none to end."""
        return sum(len(chunk["value"]) for chunk in self.chunks)

    def append(
        self, lanes: Lane, measured: dict[str, np.ndarray], running: float
    ) -> None:
        """Take over what a call returned.

        Args:
            lanes: Where the lanes stand now.
            measured: What was measured.
            running: Seconds the call took.
        """
        # In one move: Ctrl-C finds all of it, or nothing.
        self.__dict__.update(
            lanes=lanes,
            chunks=[*self.chunks, measured],
            running=[*self.running, running],
        )

    def columns(self, length: int) -> dict[str, np.ndarray]:
        """Whole traces: `length` points, lanes along the last axis.

        Args:
            length: Points of a trace.

        Returns:
            Arrays by name, padded behind the last point that was measured.
        """
        joined = self._joined()
        if not np.ndim(self.lanes.status):
            joined = {name: column[..., None] for name, column in joined.items()}
        return {
            name: _padded(column, length, axis=1 if name == "work" else 0)
            for name, column in joined.items()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that is needed to go on, as named arrays."""
        leaves = jax.tree.leaves(self.lanes)
        return {
            **{f"lane {i}": plain(leaf) for i, leaf in enumerate(leaves)},
            **{f"trace {name}": column for name, column in self._joined().items()},
            "running": np.asarray(self.running),
            "transfer": np.asarray(self.transfer),
        }

    def restore(self, arrays: dict[str, np.ndarray] | None) -> None:
        """Go on from what `arrays` gave.

        Args:
            arrays: The named arrays, or None to begin anew.
        """
        if arrays is None:
            return
        leaves, structure = jax.tree.flatten(self.lanes)
        restored = [like(leaf, arrays[f"lane {i}"]) for i, leaf in enumerate(leaves)]
        self.lanes = jax.tree.unflatten(structure, restored)
        # Files do not know bfloat16: it comes back as pairs of bytes.
        traces = {
            name[6:]: array.view(jnp.bfloat16) if array.dtype.kind == "V" else array
            for name, array in arrays.items()
            if name.startswith("trace ")
        }
        self.chunks = [traces] if traces else []
        self.running = arrays["running"].tolist()
        self.transfer = float(arrays["transfer"])

    def _joined(self) -> dict[str, np.ndarray]:
        names = self.chunks[0] if self.chunks else ()
        return {
            name: np.concatenate(
                [chunk[name] for chunk in self.chunks], 1 if name == "work" else 0
            )
            for name in names
        }


class Call(NamedTuple):
    """A program and its arguments; and of what it returns, for which lanes it is."""

    program: Executable
    arguments: tuple[Any, ...]
    chosen: np.ndarray | None
    limit: int  # points to measure at most
    mesh: Mesh | None = None


# What advances the lanes of a part by at most so many points.
Prepare = Callable[[Part, int], Call]


class Keeper:
    """Saves parts that have changed: now and then, and when it is asked to stop.

    Args:
        store: Where.
    """

    def __init__(self, store: Store):
        self._store = store
        self._changed: dict[tuple[str, int], Part] = {}
        self._saved = time.perf_counter()

    def changed(self, part: Part) -> None:
        """Remember that a part has changed; save if it is time.

        Args:
            part: A part of a grid.
        """
        self._changed[part.digest, part.index] = part
        if time.perf_counter() - self._saved > _CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        """Save all that has changed, the parts that have ended included."""
        for part in self._changed.values():
            self._store.save_part(part.digest, part.index, part.arrays())
        self._changed.clear()
        self._saved = time.perf_counter()

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if kind in (KeyboardInterrupt, Stopped):
            self.save()


def named(entries: Entry, rows: int) -> dict[str, np.ndarray]:
    """The first rows of entries as arrays by name, the counts as one array.

    Args:
        entries: What a call of a program measured, time along the first axis.
        rows: How many of them.

    Returns:
        Arrays on the host.
    """
    entries = jax.tree.map(lambda e: np.asarray(e)[:rows], entries)
    named = {name: getattr(entries, name) for name in Entry._fields[:3]}
    if entries.work is not None:
        named["work"] = np.stack(entries.work)
    if entries.observed is not None:
        named["observed"] = entries.observed
    return named


def spread(
    measured: dict[str, np.ndarray], chosen: np.ndarray | None, lanes: int
) -> dict[str, np.ndarray]:
    """What was measured of some lanes, among all of them.

    Args:
        measured: Arrays by name with lanes along the last axis.
        chosen: Indices of these lanes; None if they are all there are.
        lanes: How many there are.

    Returns:
        Arrays for all lanes, padded for those that were not chosen.
    """
    if chosen is None:
        return measured
    wide = {}
    for name, column in measured.items():
        whole = np.full((*column.shape[:-1], lanes), missing(column), column.dtype)
        whole[..., chosen] = column
        wide[name] = whole
    return wide


def _padded(column: np.ndarray, length: int, axis: int) -> np.ndarray:
    column = np.take(column, range(min(length, column.shape[axis])), axis)
    widths = [(0, 0)] * column.ndim
    widths[axis] = (0, length - column.shape[axis])
    return np.pad(column, widths, constant_values=missing(column))


def plain(leaf: Any) -> np.ndarray:
    """Any leaf as numbers; keys of random numbers as their bits.

    Args:
        leaf: An array.

    Returns:
        Its numbers on the host.
    """
    if jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def like(leaf: Any, array: np.ndarray) -> jax.Array:
    """What `plain` gave, as it was; files do not know dtypes such as bfloat16.

    Args:
        leaf: An array of the dtype wanted.
        array: What `plain` gave of such an array.

    Returns:
        An array on the device.
    """
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        bits = jnp.asarray(array)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(leaf))
    return jnp.asarray(array.view(leaf.dtype) if array.dtype.kind == "V" else array)
