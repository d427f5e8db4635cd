"""Fewer points of a trace, and none of its extremes lost.

The axis is cut into stretches, evenly and evenly in its logarithm, so that a picture is
faithful on either scale. Each stretch keeps the places of its lowest and its highest
value; so do the two ends, and the last finite value of a run that became non-finite. No
value is averaged: every point that is kept is one that was measured.
"""

import numpy as np

from jaxcalc import _checks

_SMALLEST = 16


def kept(place: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Which points of some traces to keep.

    Args:
        place: Where the points lie along the axis, strictly increasing, shape `(n,)`.
        values: Traces over them, shape `(n,)` or `(traces, n)`; what is not finite is
            no extreme.
        most: How many points to keep at most; what no two stretches can do without is
            kept all the same.

    Returns:
        Indices, increasing; all of them where there are at most `most`.

    Raises:
        TypeError: `most` is not an integer.
        ValueError: `most` is not positive.
    """
    most = _checks.positive_int("most", most)
    traces = np.atleast_2d(values)
    if place.size <= max(most, _SMALLEST):
        return np.arange(place.size)
    always = _always(traces)
    along = (place - place[0]) / (place[1] - place[0])
    scales = along / along[-1], np.log1p(along) / np.log1p(along[-1])
    # From fine to coarse, until few enough are left; a smooth trace needs few of each.
    found = always
    for share in (2, 3, 4, 6, 9, 14, 20, most):
        parts = max(most // share, 1)
        bins = [np.minimum(scale * parts, parts - 1).astype(int) for scale in scales]
        inner = [_extremes(one, trace) for one in bins for trace in traces]
        found = np.unique(np.concatenate([always, *inner]))
        if found.size <= most:
            break
    return found


def _always(traces: np.ndarray) -> np.ndarray:
    """Both ends, and where each trace was finite first and last."""
    ends = [0, traces.shape[1] - 1]
    for trace in traces:
        finite = np.flatnonzero(np.isfinite(trace))
        ends += [*finite[:1], *finite[-1:]]
    return np.unique(ends)


def _extremes(part: np.ndarray, trace: np.ndarray) -> np.ndarray:
    """The first place of the lowest and of the highest finite value of each part."""
    finite = np.isfinite(trace)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    which = np.repeat(np.arange(starts.size), np.diff(starts, append=part.size))
    found = []
    for fill, end in ((np.inf, np.minimum), (-np.inf, np.maximum)):
        filled = np.where(finite, trace, fill)
        there = np.flatnonzero((filled == end.reduceat(filled, starts)[which]) & finite)
        _, first = np.unique(which[there], return_index=True)
        found.append(there[first])
    return np.concatenate(found)
