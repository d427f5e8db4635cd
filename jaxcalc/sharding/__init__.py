"""More than one device, and more than one machine: meshes, placement, processes.

Where arrays lie is all that changes: the same functions run on one device and on many,
and give the same numbers up to the order of sums.
"""

from jaxcalc.sharding.lanes import pad_lanes, shard_lanes, sharded_lanes, unpad_lanes
from jaxcalc.sharding.placement import (
    mesh,
    pad_rows,
    replicate,
    shard_leaves,
    shard_rows,
)
from jaxcalc.sharding.processes import barrier, gathered, is_main, start

__all__ = [
    "barrier",
    "gathered",
    "is_main",
    "mesh",
    "pad_lanes",
    "pad_rows",
    "replicate",
    "shard_lanes",
    "shard_leaves",
    "shard_rows",
    "sharded_lanes",
    "start",
    "unpad_lanes",
]
