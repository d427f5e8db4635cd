"""Roots are isolated: none is lost, none is named twice."""

import numpy as np
import pytest

from jaxcalc.analysis._isolate import Enclosed, isolate, merged
from jaxcalc.analysis.intervals import interval_function


def enclosing(g, slope):
    both = interval_function(lambda x: (g(x), slope(x)), 0.0)

    def evaluate(lo, hi):
        value, derivative = both((lo, hi))
        return Enclosed(value, derivative, value.regular & derivative.regular)

    return evaluate


def test_roots_at_borders_of_boxes_and_at_ends_are_named_once():
    g = enclosing(lambda x: x * (x - 1) * (x + 1), lambda x: 3 * x**2 - 1)
    found = isolate(g, -1.0, 1.0)
    assert found.roots.shape == (3, 2)
    assert np.all(found.roots[:, 0] <= [-1, 0, 1])
    assert np.all(found.roots[:, 1] >= [-1, 0, 1])
    assert np.all(found.roots[:, 1] - found.roots[:, 0] < 1e-14)
    assert found.rest.size == 0


def test_a_root_just_outside_is_left_out():
    g = enclosing(lambda x: x - 1, lambda x: 0 * x + 1)
    assert isolate(g, 0.0, 1 - 1e-9).roots.size == 0
    assert isolate(g, 1 + 1e-9, 2.0).roots.size == 0


def test_a_double_root_is_one_small_interval():
    g = enclosing(lambda x: (x - 0.3) ** 2, lambda x: 2 * (x - 0.3))
    found = isolate(g, -1.0, 1.0)
    assert found.roots.size == 0
    ((low, high),) = found.rest
    assert low <= 0.3 <= high
    assert high - low < 1e-12


def test_a_near_double_root_is_none():
    g = enclosing(lambda x: x**2 + 1e-9, lambda x: 2 * x)
    found = isolate(g, -1.0, 1.0)
    assert found.roots.size == found.rest.size == 0


def test_a_pole_is_no_root():
    g = enclosing(lambda x: 1 / x, lambda x: -1 / x**2)
    found = isolate(g, -1.0, 2.0)
    assert found.roots.size == 0
    ((low, high),) = found.rest
    assert not found.smooth.any()
    assert low <= 0 <= high


@pytest.mark.parametrize("seed", range(8))
def test_no_root_of_a_random_polynomial_is_lost(seed):
    rng = np.random.default_rng(seed)
    roots = np.sort(rng.uniform(-1, 1, rng.integers(1, 7)))
    p = np.poly(roots)
    slope = np.polyder(p)

    def horner(c):
        def value(x):
            total = 0 * x
            for a in c:
                total = total * x + a
            return total

        return value

    found = isolate(enclosing(horner(p), horner(slope)), -1.0, 1.0)
    pieces = np.concatenate([found.roots, found.rest])
    slack = 1e-12  # the coefficients were rounded
    for root in roots:
        assert np.any((pieces[:, 0] - slack <= root) & (root <= pieces[:, 1] + slack))
    if np.min(np.diff(roots), initial=1.0) > 1e-3:
        assert len(found.roots) == len(roots)
        assert not found.rest.size


def test_intervals_that_touch_are_merged():
    lo, hi = np.array([0.0, 3.0, 1.0]), np.array([1.0, 4.0, 2.0])
    rows, flags = merged(lo, hi, 0.0, np.array([True, True, False]))
    assert rows.tolist() == [[0, 2], [3, 4]]
    assert flags.tolist() == [False, True]
