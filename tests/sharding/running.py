"""Processes that run together, and do not outlive the test."""

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def free_port():
    """A port that nobody uses just now."""
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def begin(script, *words, devices, **environment):
    """Start a script of this folder as a process with so many devices."""
    return subprocess.Popen(
        [sys.executable, str(HERE / script), *map(str, words)],
        env={
            **{k: v for k, v in os.environ.items() if k != "XLA_FLAGS"},
            "JAX_NUM_CPU_DEVICES": str(devices),
            "JAX_PLATFORMS": "cpu",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE))),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes, timeout=300):
    """Wait for processes: `(code, what they wrote, what they complained of)` each."""
    try:
        ended = [(*p.communicate(timeout=timeout), p.returncode) for p in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
    return [(code, out, complaint) for out, complaint, code in ended]


def together(script, *words, processes, devices, timeout=300):
    """Run a script as several processes: coordinator, count and index come first."""
    address = f"127.0.0.1:{free_port()}"
    running = [
        begin(script, address, processes, index, *words, devices=devices)
        for index in range(processes)
    ]
    return finish(running, timeout)
