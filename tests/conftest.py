"""Shared by all tests: 64-bit floats are on, as in the experiments.

The tests compile thousands of small programs, and run each for microseconds: compiled
with less care they take half the time. Programs as users have them are tested too, with
the slow tests: `pytest -m "slow or not slow"`.
"""

import gc
import importlib.metadata
import os
from pathlib import Path

import jax
import pytest

# Options of XLA's CPU backend, which are its version's own.
QUICKER_TO_COMPILE = (
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)


def pytest_configure(config):
    """Choose how programs are compiled, before the first one is."""
    if config.getoption("markexpr") == "not slow":
        jax.config.update("jax_disable_most_optimizations", True)
        if importlib.metadata.version("jaxlib").startswith("0.10."):
            os.environ.setdefault("XLA_FLAGS", QUICKER_TO_COMPILE)


@pytest.fixture(autouse=True, scope="module")
def room_for_programs():
    """Forget compiled programs before there are too many.

    Each holds some mapped pages of memory, and Linux grants a process 65,530 of them;
    XLA's compiler crashes where no more are to be had.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 25_000:
        jax.clear_caches()
        gc.collect()


jax.config.update("jax_enable_x64", True)
