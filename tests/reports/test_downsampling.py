"""Fewer points, and every extreme among them."""

import numpy as np
import pytest

from jaxcalc.reports import downsampling

NOISE = np.random.default_rng(3)


def rough(size):
    """A walk with spikes."""
    walk = np.cumsum(NOISE.normal(size=size))
    walk[NOISE.integers(0, size, 5)] *= 40
    return walk


@pytest.mark.parametrize("size", [17, 100, 5_000, 200_000])
def test_ends_and_extremes_are_kept_and_most_points_are_not(size):
    trace = rough(size)
    at = downsampling.kept(np.arange(size), trace, 60)
    assert at.size <= 60
    assert np.all(np.diff(at) > 0)
    assert {0, size - 1, int(trace.argmin()), int(trace.argmax())} <= set(at)


def test_extremes_are_kept_on_every_stretch_of_both_scales():
    size, most = 4_000, 400
    place, trace = np.arange(size), rough(size)
    at = set(downsampling.kept(place, trace, most))
    # Some number of even stretches has all its extremes kept, on either scale.
    for scale in (place / place[-1], np.log1p(place) / np.log1p(place[-1])):
        whole = []
        for parts in range(1, most):
            bins = np.minimum((scale * parts).astype(int), parts - 1)
            ends = [np.flatnonzero(bins == k) for k in np.unique(bins)]
            whole.append(
                all(
                    {int(e[trace[e].argmin()]), int(e[trace[e].argmax()])} <= at
                    for e in ends
                )
            )
        assert sum(whole) >= 1
        assert max(np.flatnonzero(whole)) + 1 >= most // 14


def test_several_traces_keep_their_own_extremes():
    traces = np.stack([rough(2_000) for _ in range(4)])
    at = set(downsampling.kept(np.arange(2_000), traces, 100))
    for trace in traces:
        assert {int(trace.argmin()), int(trace.argmax())} <= at


def test_the_last_finite_point_of_a_failure_is_kept():
    trace = np.exp(np.arange(1_000) / 3.0)
    trace[800:] = np.inf
    trace[900:] = np.nan
    at = downsampling.kept(np.arange(1_000), trace, 40)
    assert {0, 799, 999} <= set(at)
    assert at.size <= 40


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_trace_without_a_number_keeps_its_ends(bad):
    at = downsampling.kept(np.arange(500), np.full(500, bad), 40)
    assert at.tolist() == [0, 499]


def test_places_need_not_be_even():
    place = np.cumsum(NOISE.integers(1, 50, 3_000)).astype(float)
    trace = rough(3_000)
    at = downsampling.kept(place, trace, 80)
    assert {int(trace.argmin()), int(trace.argmax())} <= set(at)
    assert at.size <= 80


def test_short_traces_stay_whole():
    for size in (1, 2, 40):
        at = downsampling.kept(np.arange(size), rough(size), 40)
        assert at.tolist() == list(range(size))


def test_how_many_must_be_a_positive_number():
    with pytest.raises(ValueError, match="`most`"):
        downsampling.kept(np.arange(9), np.ones(9), 0)
