"""A million parameters on one device, and parameters spread over several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(name, **environment):
    done = subprocess.run(
        [sys.executable, str(HERE / name)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_a_million_parameters_take_less_than_four_gigabytes():
    size, peak = map(int, run("at_scale.py"))
    assert size > 1_000_000
    assert peak < 4 * 2**30


@pytest.mark.slow
def test_parameters_stay_spread_over_devices():
    assert run("over_devices.py", JAX_NUM_CPU_DEVICES="8") == ["the", "same"]
