"""Which coordinates of which leaves are responsible: bisection on random directions."""

import itertools
from dataclasses import dataclass

import numpy as np

from jaxcalc.derivatives._check.directions import (
    Known,
    Look,
    leaf_ends,
    look,
    wide_steps,
)
from jaxcalc.derivatives._check.probe import Probe

_ALL_OF = 32  # leaves up to this size are looked at entry by entry
_FRONTIER = 8
_SAMPLE = 16
_MOST_LEAVES = 6


@dataclass(frozen=True, eq=False)
class Place:
    """A leaf in which something is wrong.

    Attributes:
        leaf: Number of the leaf.
        whole: The leaf as one direction.
        singles: Single coordinates that are wrong, with their positions in the leaf.
        share: Estimated share of the leaf's entries that are wrong.
        complete: Whether `singles` holds all of them.
        samples: The leaf along more directions, where no single coordinate shows it.
    """

    leaf: int
    whole: Look
    singles: tuple[tuple[int, Look], ...]
    share: float
    complete: bool
    samples: tuple[Look, ...] = ()


def locate(
    probe: Probe,
    known: Known,
    doubtful: Look,
    rng: np.random.Generator,
) -> list[Place]:
    """Find the leaves and coordinates in which something is wrong.

    Args:
        probe: The function at its point.
        known: What automatic differentiation says.
        doubtful: A direction along which something is wrong.
        rng: Draws the signs of others.

    Returns:
        One record for each such leaf; empty where it shows in no single leaf.
    """
    length = np.abs(doubtful.row)

    def test(groups: list[np.ndarray]) -> list[Look]:
        rows = np.zeros((len(groups), len(length)))
        for row, group in zip(rows, groups, strict=True):
            signs = rng.choice([-1.0, 1.0], size=len(group))
            # The slope of a single coordinate is reported, so it goes to the right.
            row[group] = length[group] * (signs if len(group) > 1 else 1.0)
        return look(probe, known, rows, wide_steps(known))

    def wrong(one: Look) -> bool:
        return one.suspicious

    starts = [0, *leaf_ends(probe)]
    leaves = [
        np.flatnonzero(known.allowed[a:b]) + a for a, b in itertools.pairwise(starts)
    ]
    filled = [i for i, leaf in enumerate(leaves) if len(leaf)]
    looks = [doubtful]
    if len(filled) > 1:
        rows = np.zeros((len(filled), len(length)))
        for row, i in zip(rows, filled, strict=True):
            row[leaves[i]] = doubtful.row[leaves[i]]
        looks = look(probe, known, rows, doubtful.slopes.steps)
    places = []
    for i, whole in zip(filled, looks, strict=True):
        if not wrong(whole):
            continue
        if len(places) >= _MOST_LEAVES:
            places.append(Place(i, whole, (), np.nan, False))
            continue
        found, share, complete = _within(leaves[i], test, wrong, rng)
        singles = tuple((int(c - starts[i]), one) for c, one in found)
        samples = () if singles else (whole, *test([leaves[i]] * 3))
        places.append(Place(i, whole, singles, share, complete, samples))
    return places


def _within(group, test, wrong, rng):
    if len(group) <= _ALL_OF:
        looks = test([group[i : i + 1] for i in range(len(group))])
        found = [(c, one) for c, one in zip(group, looks, strict=True) if wrong(one)]
        return found, len(found) / len(group), True
    sample = rng.choice(group, size=_SAMPLE, replace=False)
    looks = test([np.array([c]) for c in sample])
    found = [(c, one) for c, one in zip(sample, looks, strict=True) if wrong(one)]
    if len(found) > _SAMPLE // 4:
        return found, len(found) / _SAMPLE, False
    found, complete = _bisect(group, test, wrong, rng)
    return found, len(found) / len(group), complete


def _bisect(group, test, wrong, rng):
    frontier, found, complete = [group], [], True
    while frontier:
        halves = [half for part in frontier for half in np.array_split(part, 2)]
        looks = test(halves)
        bad = [(h, one) for h, one in zip(halves, looks, strict=True) if wrong(one)]
        found += [(int(h[0]), one) for h, one in bad if len(h) == 1]
        frontier = [h for h, _ in bad if len(h) > 1]
        if len(frontier) > _FRONTIER:
            complete = False
            kept = rng.choice(len(frontier), size=_FRONTIER, replace=False)
            frontier = [frontier[i] for i in kept]
    return sorted(found, key=lambda pair: pair[0]), complete
