"""The compiled loop around one step, which writes a trace."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int, PyTree

from jaxcalc.minimization._bookkeeping import looks_itself
from jaxcalc.minimization.solution import Status, Work
from jaxcalc.minimization.step import Entry, Lane, Step, is_costly, missing

# XLA's CPU backend keeps a loop native (tens of nanoseconds a step) while its buffers
# are small; beyond half a KiB it dispatches every operation by itself. The trace is
# therefore written in blocks of this many bytes, which an outer loop copies out.
_BLOCK_BYTES = 504
# With one or two parameters the loop stays native with any block.
_LONG_BLOCK_ROWS = 512


def run_lane(
    step: Step, lane: Lane, rows: int, limit: Int[Array, ""] | None = None
) -> tuple[Lane, Entry]:
    """Run one lane until it ends, or `rows` more points are measured.

    Args:
        step: What `make_step` returned.
        lane: Where the run stands.
        rows: How many entries there is room for.
        limit: How many points to measure at most, if not as many as there is room for.

    Returns:
        The lane, and entries with a leading axis of `rows`; NaN (-1 for counts) where
        nothing was measured.
    """
    shapes = jax.eval_shape(lambda x: _by_row(step(x)[1]), lane)
    block = _block_rows(lane, shapes, rows)
    end = rows if limit is None else jnp.minimum(rows, limit)
    looks = looks_itself(lane.state)
    zero = jnp.zeros((), jnp.int32)

    def empty(length: int) -> PyTree:
        return jax.tree.map(
            lambda e: jnp.full((length, *e.shape), missing(e), e.dtype), shapes
        )

    def write(into: PyTree, what: PyTree, at: Int[Array, ""]) -> PyTree:
        return jax.tree.map(
            lambda a, b: lax.dynamic_update_slice_in_dim(a, b, at, 0), into, what
        )

    def measure(carry: Any) -> Any:
        lane, held, row = carry
        # What is written before the start was looked at is written over.
        advance = (lane.steps >= 0).astype(row.dtype) if looks else 1
        lane, entry = step(lane)
        packed = jax.tree.map(lambda e: e[None], _by_row(entry))
        return lane, write(held, packed, row), row + advance

    def measure_block(carry: Any) -> Any:
        lane, entries, at = carry
        stop = jnp.minimum(block, end - at)
        lane, held, _ = lax.while_loop(
            lambda c: _runs(c[0]) & (c[2] < stop), measure, (lane, empty(block), zero)
        )
        return lane, write(entries, held, at), at + block

    lane, entries, _ = lax.while_loop(
        lambda c: _runs(c[0]) & (c[2] < end),
        measure_block,
        (lane, empty(-(-rows // block) * block), zero),
    )
    return lane, _by_column(jax.tree.map(lambda e: e[:rows], entries))


def _block_rows(lane: Lane, shapes: PyTree, rows: int) -> int:
    size = sum(leaf.size for leaf in jax.tree.leaves(lane.params))
    if size <= 2 and not is_costly(lane.state):
        return min(_LONG_BLOCK_ROWS, rows)
    widest = max(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    return max(1, min(_BLOCK_BYTES // widest, rows))


def _runs(lane: Lane) -> Bool[Array, ""]:
    return lane.status == Status.RUNNING


def _by_row(columns: Entry) -> tuple[Array, Array | None, PyTree]:
    """Pack the numbers, and the counts, of each row: one write a step, not nine."""
    numbers = columns[:3]
    dtype = jnp.result_type(*numbers)
    packed = jnp.stack([n.astype(dtype) for n in numbers], -1)
    counts = None if columns.work is None else jnp.stack(columns.work, -1)
    return packed, counts, columns.observed


def _by_column(rows: tuple[Array, Array | None, PyTree]) -> Entry:
    numbers, counts, observed = rows
    work = None if counts is None else Work(*jnp.moveaxis(counts, -1, 0))
    value, grad_norm, step_norm = jnp.moveaxis(numbers, -1, 0)
    return Entry(value, grad_norm, step_norm, work, observed)
