"""Several processes, on one machine or many, that run the same program together."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from jaxcalc import _checks
from jaxcalc.sharding._roll_call import roll_call
from jaxcalc.sharding.placement import is_key


def start(
    coordinator: str | None = None,
    processes: int | None = None,
    index: int | None = None,
    *,
    timeout: float = 300.0,
    heartbeat: float = 100.0,
) -> None:
    """Join the processes of a run, so that `jax.devices()` are the devices of all.

    To be called first of all, before any array is made, and by every process. Under
    Slurm, Open MPI, Kubernetes and on TPU pods, JAX finds out by itself who the others
    are; elsewhere say so. A process that dies ends all others with it, within the
    heartbeat: what they had stored remains, and the run is started again.

    Args:
        coordinator: `"address:port"` of process 0, where all others can reach it; any
            port that is free there.
        processes: How many there are.
        index: Which of them this is, from 0 on.
        timeout: Seconds to wait for the others.
        heartbeat: Seconds without a sign of life after which a process counts as dead.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: Only some of the three are given, or the address or index can't be;
            two processes have the same index, or do not agree on how many there are; or
            none are given and JAX does not recognize where it runs.
        RuntimeError: The processes have been joined already, or JAX has been used.
        TimeoutError: The others did not come.
    """
    timeout = _checks.positive_float("timeout", timeout)
    heartbeat = _checks.positive_float("heartbeat", heartbeat)
    who = _checked(coordinator, processes, index)
    if jax.distributed.is_initialized():
        raise RuntimeError(
            f"this is process {jax.process_index()} of {jax.process_count()} already: "
            "call start once"
        )
    _fresh()
    join = functools.partial(
        jax.distributed.initialize,
        initialization_timeout=max(1, round(timeout)),
        heartbeat_timeout_seconds=max(1, round(heartbeat)),
    )
    if who is None:
        _detect(join)
        return
    roll_call(*who, timeout)
    join(*who)


def is_main() -> bool:
    """Whether this process is the one that writes and speaks for all.

    Returns:
        True in process 0, and where there is only one.
    """
    return jax.process_index() == 0


def gathered(tree: PyTree) -> PyTree:
    """Bring arrays to every process, whole: for results, which are small.

    All processes must call it together.

    Args:
        tree: A tree of arrays, wherever they lie.

    Returns:
        The tree with NumPy arrays, keys of random numbers as their bits.
    """

    def whole(leaf: Any) -> np.ndarray:
        if is_key(leaf):
            leaf = jax.random.key_data(leaf)
        spread = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
        if not spread or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(whole, tree)


def barrier(name: str = "here") -> None:
    """Wait until all processes are here.

    Args:
        name: Of the place, the same in all processes.

    Raises:
        RuntimeError: Another process waits at a place of another name.
    """
    if jax.process_count() == 1:
        return
    try:
        multihost_utils.sync_global_devices(name)
    except AssertionError as error:
        raise RuntimeError(
            f"this process waits at {name!r}, another one elsewhere: all processes "
            "must run the same program"
        ) from error


def _checked(
    coordinator: str | None, processes: int | None, index: int | None
) -> tuple[str, int, int] | None:
    """Address, count and index, or None if none of them is given."""
    given = {"coordinator": coordinator, "processes": processes, "index": index}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if coordinator is None or processes is None or index is None:
        raise ValueError(
            "give all of `coordinator`, `processes` and `index`, or none of them where "
            f"JAX finds them by itself; missing: {', '.join(missing)}"
        )
    if not isinstance(coordinator, str):
        raise TypeError(f"`coordinator` must be a string, got {coordinator!r}")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(
            f"`coordinator` must be address:port, as in 10.0.0.1:8476, got "
            f"{coordinator!r}"
        )
    processes = _checks.positive_int("processes", processes)
    index = _checks.positive_int("index", index, minimum=0)
    if index >= processes:
        raise ValueError(
            f"`index` must be from 0 to {processes - 1} for {processes} processes, got "
            f"{index}"
        )
    return coordinator, processes, index


def _fresh() -> None:
    """Check that JAX has not chosen its devices yet."""
    # There is no public way to ask; JAX itself would notice only after the roll call.
    from jax._src import xla_bridge

    asks = getattr(xla_bridge, "backends_are_initialized", None)
    if asks is not None and asks():
        raise RuntimeError(
            "JAX has been used already, and knows only the devices of this process: "
            "call start before any array is made and before jax.devices()"
        )


def _detect(join: Callable[[], None]) -> None:
    try:
        join()
    except ValueError as error:
        raise ValueError(
            f"JAX does not recognize where it runs ({error}): start it by Slurm's srun,"
            " by mpirun, in an indexed job of Kubernetes or on a TPU pod; or give "
            "`coordinator`, `processes` and `index`"
        ) from error
