"""Eight virtual devices in one process: the digits of one device, nothing gathered."""

import pytest
from sharding.running import begin, finish


def seen(*checks):
    """Run checks in a process with eight devices."""
    ((code, out, complaint),) = finish([begin("eight.py", *checks, devices=8)])
    assert code == 0, complaint
    return out.split()


def test_each_device_holds_its_part_and_runs_its_own_lanes():
    checks = ["placement", "weights", "lanes"]
    assert seen(*checks) == checks


@pytest.mark.slow
@pytest.mark.parametrize("check", ["comparisons", "data", "params", "curvature"])
def test_eight_devices_give_the_digits_of_one(check):
    assert seen(check) == [check]
