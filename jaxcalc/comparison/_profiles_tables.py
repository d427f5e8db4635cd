"""Counts and medians at several targets: who gets there, and how soon."""

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

import numpy as np

from jaxcalc.comparison._profiles_costs import ACCURACIES, Costs, Measure, costs
from jaxcalc.comparison._profiles_records import Successes, Times
from jaxcalc.comparison._profiles_shares import share_of_one
from jaxcalc.comparison.results import Comparison


def success(
    comparison: Comparison,
    accuracies: Iterable[float] = ACCURACIES,
    *,
    subset: Sequence[str] | None = None,
    level: float = 0.95,
) -> Successes:
    """How many runs reached each target, with Wilson's intervals.

    The intervals take runs to be independent; those from several seeds of one problem
    are hardly so, and then the intervals are too narrow.

    Args:
        comparison: What was run.
        accuracies: Targets: fractions of a run's starting gap.
        subset: Optimizers to count, in any order; None for all.
        level: The intervals' coverage.

    Returns:
        Counts, shares and intervals. All runs of an optimizer count, on whatever
        problems.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: A name is unknown, or an option is out of range.
    """
    arrays = _all_costs(comparison, "steps", accuracies, subset)
    values = np.stack([one.values for one in arrays])
    runs = (~np.isnan(values[0])).sum(axis=(0, 1))
    reached = np.isfinite(values).sum(axis=(1, 2))
    low, high = wilson(reached, np.broadcast_to(runs, reached.shape), level)
    return Successes(
        accuracies=tuple(one.accuracy for one in arrays),
        optimizers=arrays[0].optimizers,
        reached=reached,
        runs=runs,
        rate=np.where(runs > 0, reached / np.maximum(runs, 1), np.nan),
        low=low,
        high=high,
        level=level,
    )


def wilson(
    successes: np.ndarray, runs: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    r"""Wilson's interval for a probability.

    $$\frac{k + z^2/2}{n + z^2} \pm \frac{z}{n + z^2}
    \sqrt{\frac{k (n - k)}{n} + \frac{z^2}{4}}$$

    It stays within 0 and 1 and is of use for few runs, and for none or all successful.

    Args:
        successes: How many succeeded, $k$, of any shape.
        runs: Of how many, $n$, in that shape.
        level: The coverage, from which the normal quantile $z$ comes.

    Returns:
        Lower and upper ends; NaN where there are no runs.

    Raises:
        TypeError: `level` is not a number.
        ValueError: `level` is not between 0 and 1.

    References:
        Wilson (1927), Probable inference, the law of succession, and statistical
        inference, Journal of the American Statistical Association 22.
    """
    z = NormalDist().inv_cdf((1 + share_of_one("level", level)) / 2)
    k, n = np.asarray(successes, float), np.asarray(runs, float)
    some = np.where(n > 0, n, np.nan)
    middle = (k + z**2 / 2) / (some + z**2)
    half = z / (some + z**2) * np.sqrt(k * (n - k) / some + z**2 / 4)
    # At the ends the interval begins in truth at 0 and 1, not a rounding beside.
    low = np.where(k == 0, np.minimum(middle, 0.0), middle - half)
    high = np.where(k == n, np.maximum(middle, 1.0), middle + half)
    return low, high


def time_to_target(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracies: Iterable[float] = ACCURACIES,
    *,
    subset: Sequence[str] | None = None,
) -> Times:
    """What each optimizer takes to reach each target on each problem.

    Args:
        comparison: What was run.
        measure: What to charge, as in `costs`.
        accuracies: Targets: fractions of a run's starting gap.
        subset: Optimizers to tell of, in any order; None for all.

    Returns:
        Medians and quartiles over seeds, in which failures count as infinite.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: A name or the measure is unknown, or an accuracy is not positive.
    """
    arrays = _all_costs(comparison, measure, accuracies, subset)
    values = np.stack([one.values for one in arrays])
    low, median, high = (_quantile(values, q) for q in (0.25, 0.5, 0.75))
    return Times(
        measure=measure,
        accuracies=tuple(one.accuracy for one in arrays),
        problems=arrays[0].problems,
        optimizers=arrays[0].optimizers,
        median=median,
        low=low,
        high=high,
        reached=np.isfinite(values).sum(axis=2),
        runs=(~np.isnan(values)).sum(axis=2),
    )


def _all_costs(
    comparison: Comparison,
    measure: Measure,
    accuracies: Iterable[float],
    subset: Sequence[str] | None,
) -> list[Costs]:
    aims = [accuracies] if isinstance(accuracies, float) else list(accuracies)
    if not aims:
        raise ValueError("`accuracies` is empty: pass at least one target")
    return [costs(comparison, measure, aim).subset(subset) for aim in aims]


def _quantile(values: np.ndarray, q: float) -> np.ndarray:
    """Quantiles over seeds, `(a, p, s, o) -> (a, p, o)`; infinities stay."""
    out = np.full((*values.shape[:2], values.shape[3]), np.nan)
    for place in np.ndindex(out.shape):
        a, p, o = place
        own = np.sort(values[a, p, ~np.isnan(values[a, p, :, o]), o])
        if not own.size:
            continue
        at = q * (own.size - 1)
        below, above = own[math.floor(at)], own[math.ceil(at)]
        share = at - math.floor(at)
        # Between a number and an infinity lies nothing finite.
        whole = share == 0 or below == above
        out[place] = below if whole else below + share * (above - below)
    return out
