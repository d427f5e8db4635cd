"""The one tolerance helper: it follows the dtype and hides no scaling."""

import numpy as np


def close(actual, expected, *, rtol=None, atol=None):
    """Assert that two arrays agree to 10·√eps of the coarser floating dtype.

    An override of `rtol` or `atol` has its reason beside it.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    kinds = [a.dtype for a in (actual, expected) if np.issubdtype(a.dtype, np.floating)]
    eps = max((np.finfo(kind).eps for kind in kinds), default=np.finfo(float).eps)
    tolerance = 10 * np.sqrt(eps)
    np.testing.assert_allclose(
        actual,
        expected,
        rtol=tolerance if rtol is None else rtol,
        atol=tolerance if atol is None else atol,
    )
