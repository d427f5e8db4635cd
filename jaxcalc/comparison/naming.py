"""What was run decides its name.

The name is a hash of everything that the numbers follow from:

- the program, as text: loss, data that it closes over, optimizer, dtypes, steps;
- what it is called with: starts, learning rates, tolerance, data;
- the phase, since only evaluation runs are timed step by step: tuning runs of the same
  numbers lack what is asked of them;
- what turns the program into numbers: the versions of jax and jaxlib, the kind of
  device with its driver, and XLA's flags. The text of a program stays the same when
  XLA changes, the last digits do not.

Not in the name: what problem, optimizer, rates and seeds are called, how many devices
share the work, and the version of optax, whose every operation is in the program. The
makes of a CPU are one kind of device, so that machines may share a store; their last
digits can differ.
"""

import importlib.metadata
import os
from collections.abc import Iterable
from hashlib import sha256

import jax
import numpy as np

# How names are made and files are laid out. A change makes every earlier name another.
FORMAT = 2

# Flags that change how much is said, or how many devices there are, but no number.
_HARMLESS_FLAGS = ("--xla_dump", "--xla_force_host_platform_device_count")


def digest(program: str, phase: str, arguments: Iterable[np.ndarray]) -> str:
    """The name of runs.

    Args:
        program: Hash of the program's text.
        phase: "tuning" or "evaluation".
        arguments: All arrays that it is called with.

    Returns:
        64 hexadecimal digits.
    """
    total = sha256("\n".join([program, phase, *machinery()]).encode())
    for array in arguments:
        total.update(f"{array.dtype}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def machinery() -> tuple[str, ...]:
    """What turns a program into numbers.

    Returns:
        Format of the names, versions, device and compiler flags.
    """
    device = jax.devices()[0]
    flags = os.environ.get("XLA_FLAGS", "").split()
    return (
        f"format {FORMAT}",
        f"jax {jax.__version__}",
        f"jaxlib {importlib.metadata.version('jaxlib')}",
        f"device {device.device_kind} {device.client.platform_version}",
        f"optimizations {not jax.config.read('jax_disable_most_optimizations')}",
        *sorted(flag for flag in flags if not flag.startswith(_HARMLESS_FLAGS)),
    )
