"""Names of places in a tree, as a person would write them."""

from typing import Any

import jax
import numpy as np


def paths(tree: Any) -> list[str]:
    """Paths of the leaves, written as the caller would write them."""
    found = jax.tree.leaves_with_path(tree)
    return ["x" + jax.tree_util.keystr(path) for path, _ in found]


def index_of(position: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Index of an entry, from its position in the flat leaf."""
    return tuple(int(i) for i in np.unravel_index(int(position), shape))
