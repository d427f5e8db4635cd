"""When two comparisons found the same, to the bit."""

import numpy as np

from jaxcalc.comparison.results import Runs


def assert_equal(one, other, timings=True):
    assert one.protocol == other.protocol
    assert one.environment == other.environment
    assert (one.titles, one.minimum, one.sources) == (
        other.titles,
        other.minimum,
        other.sources,
    )
    for a, b in zip(one.runs, other.runs, strict=True):
        for name in Runs.__dataclass_fields__:
            if "seconds" in name and not timings:
                continue
            left, right = getattr(a, name), getattr(b, name)
            if isinstance(left, dict):
                assert left.keys() == right.keys()
                for key in left:
                    np.testing.assert_array_equal(left[key], right[key])
            elif isinstance(left, np.ndarray):
                assert left.dtype == right.dtype, name
                # NumPy does not know that bfloat16 has NaNs.
                np.testing.assert_array_equal(left.astype(float), right.astype(float))
            else:
                assert left == right or left != left, name
