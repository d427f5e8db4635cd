"""Experiments: scripts the size of their question.

`python -m experiments` lists and runs them. They work in 64-bit floats: the process is
theirs, so the switch is thrown here.
"""

import jax

jax.config.update("jax_enable_x64", True)
