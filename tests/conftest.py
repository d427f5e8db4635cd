"""Shared by all tests: 64-bit floats are on, as in the experiments.

The tests compile thousands of small programs, and run each for microseconds: compiled
with less care they take half the time. Programs as users have them are tested too, with
the slow tests: `pytest -m "slow or not slow"`.
"""

import importlib.metadata
import os

import jax

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


jax.config.update("jax_enable_x64", True)
