"""The lanes of a grid spread over the devices of a mesh, on one host or on several.

Every host holds all lanes between two calls, since they are few numbers, and decides
alike what comes next; only within a call do they lie apart.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxcalc import sharding
from jaxcalc.comparison.compaction import going_on, next_gathering
from jaxcalc.comparison.costs import gradient_flops
from jaxcalc.comparison.grid import Grid, rows
from jaxcalc.comparison.lanes import ROWS, Executable, Setting
from jaxcalc.comparison.parts import Call, Part, Prepare, like
from jaxcalc.minimization.step import Entry, Lane


def over_mesh(grid: Grid, mesh: Mesh, programs: list[Executable]) -> Prepare:
    """How lanes are advanced by the devices of a mesh.

    Args:
        grid: The lanes.
        mesh: The devices.
        programs: Filled with the programs that are used.

    Returns:
        What prepares a call.
    """
    layout = grid.layout
    most = grid.programs.max_steps
    operations = gradient_flops(grid.problem) if layout.together else float("nan")
    args = sharding.replicate(grid.problem.args, mesh)
    tol = sharding.replicate(jnp.asarray(grid.tol), mesh)

    def prepare(part: Part, limit: int) -> Call:
        chosen = None
        if layout.together:
            chosen = going_on(np.asarray(part.lanes.steps), part.rows, most, operations)
            limit = min(limit, next_gathering(part.rows) - part.rows)
        lanes, settings = _placed(part.lanes, layout.settings, chosen, mesh)
        count = sharding.replicate(jnp.asarray(rows(min(limit, ROWS))), mesh)
        called_with = (lanes, settings, count, tol, args)
        program = grid.programs.over_mesh(mesh, layout.together, *called_with)
        if program not in programs:
            program.compile()
            programs.append(program)
        return Call(program, called_with, chosen, limit, mesh)

    return prepare


def on_host(
    before: Lane, lanes: Lane, entries: Entry, chosen: np.ndarray | None
) -> tuple[Lane, Entry]:
    """What a call over a mesh returned, as every host keeps it.

    Args:
        before: All lanes before the call.
        lanes: Those that were advanced, and repetitions at the end.
        entries: What was measured of them.
        chosen: Their indices; None for all lanes.

    Returns:
        All lanes, and the entries without those of repetitions.
    """
    count = np.size(before.status) if chosen is None else len(chosen)
    index = slice(None) if chosen is None else chosen

    def merged(was: Any, now: np.ndarray) -> jax.Array:
        new = like(was, now[..., :count] if not _is_key(was) else now[..., :count, :])
        return new if chosen is None else was.at[..., index].set(new)

    entries = jax.tree.map(lambda leaf: leaf[..., :count], sharding.gathered(entries))
    return jax.tree.map(merged, before, sharding.gathered(lanes)), entries


def _placed(
    lanes: Lane, settings: Setting, chosen: np.ndarray | None, mesh: Mesh
) -> tuple[Lane, Setting]:
    both = (lanes, settings)
    if chosen is not None:
        both = jax.tree.map(lambda leaf: leaf[..., chosen], both)
    return sharding.shard_lanes(sharding.pad_lanes(both, mesh.size), mesh)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
