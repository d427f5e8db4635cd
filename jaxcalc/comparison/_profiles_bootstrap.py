"""Resampling problems, and seeds within each: how sure a profile is."""

from collections.abc import Iterator

import numpy as np

from jaxcalc import _checks

_AT_ONCE = 2**22  # numbers of a product that are held at a time


def weights(counted: np.ndarray, resamples: int, key: int) -> np.ndarray:
    """How often each (problem, seed) pair is drawn in each resample.

    As many problems as there are, with replacement, and for each problem drawn as many
    of its seeds as it has. All optimizers are resampled together: a pair comes with all
    its runs.

    Args:
        counted: Pairs that count, as booleans of shape `(problems, seeds)`.
        resamples: How many.
        key: The seed of the draws: a whole number, zero or more.

    Returns:
        Counts, shape `(resamples, pairs)`, the pairs in the order of `counted`.
    """
    random = np.random.default_rng(_checks.positive_int("key", key, minimum=0))
    sizes = counted.sum(axis=1)
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return np.zeros((resamples, 0))
    begins = np.concatenate([[0], np.cumsum(sizes)])
    drawn = random.multinomial(
        len(sizes), np.full(len(sizes), 1 / len(sizes)), resamples
    )
    found = np.zeros((resamples, begins[-1]))
    for place, size in enumerate(sizes):
        part = slice(begins[place], begins[place + 1])
        # A problem drawn twice brings two independent draws of its seeds.
        many = drawn[:, place] * size
        found[:, part] = random.multinomial(many, np.full(size, 1 / size))
    return found


def bands(
    weights: np.ndarray, indicators: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Percentile bands of weighted means.

    $$\left[q_{(1 - c)/2},\ q_{(1 + c)/2}\right] \text{ of }
    \frac{\sum_i w_{bi} a_{ik}}{\sum_i w_{bi}} \text{ over } b$$

    Args:
        weights: Counts $w$ of the resamples, shape `(resamples, pairs)`.
        indicators: What is averaged, $a$, shape `(pairs, k)`.
        level: The share $c$ of the resamples between both ends.

    Returns:
        Lower and upper ends, each of shape `(k,)`; NaN without pairs.
    """
    low, high = np.full((2, indicators.shape[1]), np.nan)
    if not weights.size:
        return low, high
    totals = weights.sum(axis=1, keepdims=True)
    ends = ((1 - level) / 2, (1 + level) / 2)
    for part in _parts(indicators.shape[1], len(weights)):
        means = weights @ indicators[:, part] / totals
        low[part], high[part] = np.quantile(means, ends, axis=0)
    return low, high


def _parts(count: int, rows: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // rows)
    for begin in range(0, count, step):
        yield slice(begin, begin + step)
