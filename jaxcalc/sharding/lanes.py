"""Lanes that lie along the last axis of every array, spread over devices.

Lanes know nothing of each other, so every device runs a loop of its own over its own
lanes, as long as they last, and nothing is sent between devices until the loop ends.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from jaxcalc import _checks
from jaxcalc.sharding.placement import placed

Advance = Callable[..., tuple[PyTree, PyTree]]


def sharded_lanes(advance: Advance, mesh: Mesh) -> Advance:
    """The same function, run by each device of a mesh on its own lanes.

    A `while_loop` inside ends on each device when that device's lanes have ended. There
    is no communication in the program.

    Args:
        advance: `advance(lanes, settings, *shared) -> (lanes, entries)`, where lanes
            lie along the last axis of every array of `lanes`, `settings` and `entries`
            and have no influence on each other. `shared`, such as counts, tolerances
            and data, is the same for all lanes.
        mesh: The devices, whatever its axes.

    Returns:
        A function of the same arguments, for `jax.jit`. It raises a `ValueError` while
        it is traced if the devices can't share the lanes evenly, see `pad_lanes`, or if
        lanes do not lie along every last axis.
    """

    def run(lanes: PyTree, settings: PyTree, *shared: Any) -> tuple[PyTree, PyTree]:
        count = _count("lanes", lanes)
        _same_count("settings", settings, count)
        _divides(count, mesh)
        results = jax.eval_shape(advance, lanes, settings, *shared)
        _same_count("what is returned", results, count)
        everywhere = PartitionSpec()
        spread = jax.shard_map(
            advance,
            mesh=mesh,
            in_specs=(
                _specs(lanes, mesh),
                _specs(settings, mesh),
                *(everywhere,) * len(shared),
            ),
            out_specs=_specs(results, mesh),
            check_vma=False,
        )
        return spread(lanes, settings, *shared)

    return run


def shard_lanes(tree: PyTree, mesh: Mesh) -> PyTree:
    """Spread lanes over all devices of a mesh, where `sharded_lanes` wants them.

    Args:
        tree: A tree of arrays with lanes along the last axis, the same in every
            process.
        mesh: The devices.

    Returns:
        The tree with its arrays spread over the devices.

    Raises:
        ValueError: An array has no lanes, or other numbers of them than the others, or
            they can't be shared evenly.
    """
    count = _count("tree", tree)
    _divides(count, mesh)
    specs = _specs(tree, mesh)
    return jax.tree.map(
        lambda leaf, spec: placed(leaf, NamedSharding(mesh, spec)), tree, specs
    )


def pad_lanes(tree: PyTree, multiple: int) -> PyTree:
    """Repeat the first lanes at the end, until their number is a multiple.

    Args:
        tree: A tree of arrays with lanes along the last axis.
        multiple: Of what, for example `mesh.size`.

    Returns:
        The tree, with 0 to `multiple - 1` lanes more.

    Raises:
        TypeError: `multiple` is not an integer.
        ValueError: An array has no lanes, or other numbers of them than the others, or
            `multiple` is below 1.
    """
    multiple = _checks.positive_int("multiple", multiple)
    count = _count("tree", tree)
    index = np.arange(-(-count // multiple) * multiple) % count
    if len(index) == count:
        return tree
    return jax.tree.map(lambda leaf: leaf[..., index], tree)


def unpad_lanes(tree: PyTree, lanes: int) -> PyTree:
    """The first lanes of a tree: what was there before `pad_lanes`.

    Args:
        tree: A tree of arrays with lanes along the last axis.
        lanes: How many.

    Returns:
        The tree without the others.

    Raises:
        TypeError: `lanes` is not an integer.
        ValueError: There are fewer lanes, or `lanes` is below 1.
    """
    lanes = _checks.positive_int("lanes", lanes)
    count = _count("tree", tree)
    if lanes > count:
        raise ValueError(f"`lanes` must be at most {count}, as many there are: {lanes}")
    return jax.tree.map(lambda leaf: leaf[..., :lanes], tree)


def _specs(tree: PyTree, mesh: Mesh) -> PyTree:
    """Every array's last axis over all axes of the mesh."""
    along = mesh.axis_names

    def spec(leaf: Any) -> PartitionSpec:
        return PartitionSpec(*(None,) * (np.ndim(leaf) - 1), along)

    return jax.tree.map(spec, tree)


def _count(name: str, tree: PyTree) -> int:
    """How many lanes there are."""
    leaves = jax.tree.leaves(tree)
    if not leaves:
        raise ValueError(f"`{name}` holds no arrays: pass at least one")
    count = np.shape(leaves[0])[-1] if np.ndim(leaves[0]) else 0
    _same_count(name, tree, count)
    return count


def _same_count(name: str, tree: PyTree, count: int) -> None:
    for path, leaf in jax.tree.leaves_with_path(tree):
        if not count or np.shape(leaf)[-1:] != (count,):
            where = name + jax.tree_util.keystr(path)
            raise ValueError(
                f"`{where}` must have {count or 'some'} lanes along its last axis, got "
                f"shape {np.shape(leaf)}"
            )


def _divides(count: int, mesh: Mesh) -> None:
    if count % mesh.size:
        raise ValueError(
            f"{count} lanes can't be shared evenly by {mesh.size} devices: pad them "
            f"with pad_lanes(tree, {mesh.size}), and take the first {count} of what "
            "comes out"
        )
