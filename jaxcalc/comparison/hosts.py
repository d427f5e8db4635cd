"""One comparison in several processes: the first decides and writes for all."""

import pickle
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxcalc import sharding
from jaxcalc.comparison.results import Runs
from jaxcalc.comparison.store import Store


def agreed(value: Any) -> Any:
    """What the first process has, in all of them; all must call it together.

    Args:
        value: Anything that can be pickled; only the first process's counts. It goes
            from process to process of this one program, never through a file.

    Returns:
        The first process's value.
    """
    if jax.process_count() == 1:
        return value
    main = sharding.is_main()
    sent = np.frombuffer(pickle.dumps(value) if main else b"", np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.asarray(len(sent))))
    buffer = np.zeros(length, np.uint8)
    if main:
        buffer[:] = sent
    received = np.asarray(multihost_utils.broadcast_one_to_all(buffer))
    return value if main else pickle.loads(received.astype(np.uint8).tobytes())


def any_of(value: bool) -> bool:
    """Whether it is so in any process; all must call it together.

    Args:
        value: Whether it is so in this one.

    Returns:
        The same in all processes.
    """
    if jax.process_count() == 1:
        return bool(value)
    return bool(np.any(multihost_utils.process_allgather(np.asarray(value))))


def decided(compute: Callable[[], Any]) -> Any:
    """What the first process computes, in all of them; all must call it together.

    Args:
        compute: Called in the first process alone.

    Returns:
        What it gave there.

    Raises:
        Exception: It raised there; then it is raised in every process.
    """
    failed, value = False, None
    if sharding.is_main():
        try:
            value = compute()
        except Exception as error:  # nobody else would hear of it, and wait
            failed, value = True, error
    failed, value = agreed((failed, value))
    if failed:
        raise value
    return value


class SharedStore(Store):
    """A store that only the first process reads and writes.

    Args:
        store: The first process's store; the others' are not used.
    """

    def __init__(self, store: Store):
        self._store = store

    @property
    def keeps(self) -> bool:
        """Whether there is a folder."""
        return decided(lambda: self._store.keeps)

    def has_runs(self, digest: str) -> bool:
        """As the store of the first process.

        Args:
            digest: What would be run.

        Returns:
            True if there is a file of them.
        """
        return decided(lambda: self._store.has_runs(digest))

    def load_runs(self, digest: str) -> Runs | None:
        """As the store of the first process.

        Args:
            digest: What would be run.

        Returns:
            The runs, None if they are not there.
        """
        return decided(lambda: self._store.load_runs(digest))

    def save_runs(self, digest: str, runs: Runs) -> None:
        """As the store of the first process.

        Args:
            digest: What was run.
            runs: The runs.
        """
        if sharding.is_main():
            self._store.save_runs(digest, runs)

    def load_part(self, digest: str, index: int) -> dict[str, np.ndarray] | None:
        """As the store of the first process.

        Args:
            digest: What would be run.
            index: Which part of it.

        Returns:
            What was saved, None if there is nothing.
        """
        return decided(lambda: self._store.load_part(digest, index))

    def save_part(self, digest: str, index: int, arrays: dict[str, np.ndarray]) -> None:
        """As the store of the first process.

        Args:
            digest: What is run.
            index: Which part of it.
            arrays: Everything that is needed to go on.
        """
        if sharding.is_main():
            self._store.save_part(digest, index, arrays)
