"""Shared by all tests: 64-bit floats are on, as in the experiments."""

import jax

jax.config.update("jax_enable_x64", True)
