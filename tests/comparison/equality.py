"""When two comparisons found the same, to the bit."""

import numpy as np

from jaxcalc.comparison.records import TIMINGS
from jaxcalc.comparison.results import Runs


def assert_equal(one, other, timings=True):
    assert one.protocol == other.protocol
    assert one.environment == other.environment
    assert (one.titles, one.minimum, one.sources) == (
        other.titles,
        other.minimum,
        other.sources,
    )
    assert one.unfinished == other.unfinished
    for a, b in zip(one.runs, other.runs, strict=True):
        assert_equal_runs(a, b, timings)


def assert_equal_runs(one, other, timings=True):
    for name in Runs.__dataclass_fields__:
        if name in TIMINGS and not timings:
            continue
        left, right = getattr(one, name), getattr(other, name)
        if isinstance(left, dict):
            assert list(left) == list(right), name
            for key in left:
                _assert_same(left[key], right[key], f"{name} {key}")
        else:
            _assert_same(left, right, name)


def _assert_same(left, right, name):
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype, name
        # NumPy does not know that bfloat16 has NaNs.
        np.testing.assert_array_equal(left.astype(float), right.astype(float), name)
    else:
        assert left == right or (left != left and right != right), name
