"""Minibatches drawn inside the compiled loop, the same for every optimizer."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Key

from jaxcalc import _checks


def draw_batch(
    size: int, key: Key[Array, ""], step: Int[Array, ""], *args: Any
) -> tuple[Any, ...]:
    """The data of one step: every epoch goes through all rows once, in its own order.

    Rows are those of the first argument; of the others, whatever has as many rows goes
    with them, and the rest (a penalty's factor, say) stays whole. An epoch that the
    size does not divide leaves out the rows that are over, other ones each time.

    Args:
        size: Rows in a batch.
        key: A key of random numbers; equal keys give equal batches.
        step: Index of the step, shape `()`.
        *args: All data.

    Returns:
        The data of this step, in the structure of `args`.
    """
    rows = count_rows(args)
    each = rows // size
    step = jnp.maximum(step, 0)
    order = jax.random.permutation(jax.random.fold_in(key, step // each), rows)
    chosen = lax.dynamic_slice_in_dim(order, (step % each) * size, size)

    def of_batch(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        return leaf[chosen] if leaf.ndim and leaf.shape[0] == rows else leaf

    return jax.tree.map(of_batch, args)


def count_rows(args: tuple[Any, ...]) -> int:
    """How many rows the data has.

    Args:
        args: Data of a loss.

    Returns:
        The length of the first array.

    Raises:
        ValueError: There is no array with rows.
    """
    leaves = jax.tree.leaves(args)
    if not leaves or not jnp.ndim(leaves[0]):
        raise ValueError(
            "batches need data: the problem's first argument must be an array with a "
            "row for each example"
        )
    return int(jnp.shape(leaves[0])[0])


def checked_size(size: Any, args: tuple[Any, ...]) -> int:
    """A batch's size that the data has rows for.

    Args:
        size: Rows in a batch.
        args: Data of a loss.

    Returns:
        The size.

    Raises:
        ValueError: It is not positive, or there are fewer rows.
    """
    size, rows = _checks.positive_int("size", size), count_rows(args)
    if size > rows:
        raise ValueError(
            f"`size` must be at most the {rows} rows there are, got {size}"
        )
    return size
