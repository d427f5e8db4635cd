"""Arithmetic on pytrees that `optax.tree` lacks."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree


def max_abs(tree: PyTree) -> Float[Array, ""]:
    r"""Largest absolute entry, $\max_i |x_i|$; NaN if any entry is NaN.

    Args:
        tree: A pytree of floating arrays.

    Returns:
        The infinity norm, in the promoted dtype of the leaves; empty leaves count as 0.
    """
    norms = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree) if leaf.size]
    largest = norms[0]
    for norm in norms[1:]:
        largest = jnp.maximum(largest, norm)
    return largest


def where(condition: Bool[Array, ""], on_true: PyTree, on_false: PyTree) -> PyTree:
    """Choose between two trees of the same structure by one condition.

    Args:
        condition: A boolean scalar.
        on_true: The tree taken where the condition holds.
        on_false: The tree taken elsewhere.

    Returns:
        A tree of the same structure.
    """
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), on_true, on_false)


def dtype(tree: PyTree) -> Any:
    """Promoted dtype of the leaves.

    Args:
        tree: A pytree of arrays.

    Returns:
        The dtype that arithmetic between the leaves has.
    """
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(tree)}
    return dtypes.pop() if len(dtypes) == 1 else jnp.result_type(*dtypes)
