"""Who is best over all problems: profiles, success, and the odds of beating another.

Everything here derives from one array, `costs`: what each optimizer spent on each
problem and seed until it reached the target, infinite if it never did. The rules are
the same throughout:

- The target and the reference that it is measured from are common to all optimizers,
  those that are not shown included.
- Optimizers that are left out by `subset` leave no trace: costs are compared among
  those that stay, as if the others had never run.
- A (problem, seed) pair counts if every optimizer of the set ran it; how many don't is
  said.
- Each pair counts alike, so a problem with more seeds counts more.

Nothing is drawn here (`jaxcalc.reports.profiles` does), and nothing is compiled.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcalc import _checks
from jaxcalc.comparison._profiles_bootstrap import bands, weights
from jaxcalc.comparison._profiles_costs import (
    ACCURACIES,
    MEASURES,
    Costs,
    Measure,
    costs,
    rounding,
)
from jaxcalc.comparison._profiles_ranking import ranking_warnings
from jaxcalc.comparison._profiles_records import Profile, Successes, Times, Wins
from jaxcalc.comparison._profiles_shares import (
    common,
    ratios,
    share_of_one,
    shares,
)
from jaxcalc.comparison._profiles_tables import success, time_to_target, wilson

__all__ = [
    "ACCURACIES",
    "MEASURES",
    "Costs",
    "Measure",
    "Profile",
    "Successes",
    "Times",
    "Wins",
    "costs",
    "data_profile",
    "pairwise_profiles",
    "performance_profile",
    "ranking_warnings",
    "rounding",
    "success",
    "time_to_target",
    "wilson",
    "wins",
]


def performance_profile(
    costs: Costs,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 0,
    level: float = 0.9,
    key: int = 0,
) -> Profile:
    r"""The share of the runs that cost at most a multiple of the least cost.

    $$\rho_s(\alpha) = \frac{1}{|P|} \left|\left\{p \in P :
    \frac{t_{ps}}{\min_{s'} t_{ps'}} \le \alpha\right\}\right|$$

    At $\alpha = 1$ it says how often an optimizer is the cheapest, far right how often
    it gets there at all. Only the best line can be read off safely: the order of the
    others depends on who takes part (`ranking_warnings`).

    A pair that nobody solves has no finite ratio and stays in $|P|$. Where the least
    cost is zero, the ratio is 1 for those who paid nothing and infinite for the others.

    Args:
        costs: What each run spent.
        subset: Optimizers to compare, in any order; None for all.
        resamples: Bootstrap resamples for the bands; none with 0. Problems are drawn
            with replacement, then seeds within each, the same for all optimizers. With
            a single problem only its seeds vary.
        level: The share of the resamples within the bands.
        key: The seed of the resampling.

    Returns:
        Exact step functions, with bands at their jumps.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: A name is unknown, or an option is out of range.

    References:
        Dolan and Moré (2002), Benchmarking optimization software with performance
        profiles, Mathematical Programming 91.
    """
    chosen = costs.subset(subset)
    return _profile("performance", chosen, resamples, level, key)


def data_profile(
    costs: Costs,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 0,
    level: float = 0.9,
    key: int = 0,
) -> Profile:
    r"""The share of the runs that are solved within a budget.

    $$d_s(\kappa) = \frac{1}{|P|} \left|\left\{p \in P : t_{ps} \le \kappa
    \right\}\right|$$

    Unlike a performance profile it does not depend on who else takes part. Moré and
    Wild count in simplex gradients, of n + 1 values each: make the costs with the
    measure "simplex_gradients" for that.

    Args:
        costs: What each run spent.
        subset: Optimizers to compare, in any order; None for all.
        resamples: Bootstrap resamples for the bands, as in `performance_profile`.
        level: The share of the resamples within the bands.
        key: The seed of the resampling.

    Returns:
        Exact step functions, with bands at their jumps.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: A name is unknown, or an option is out of range.

    References:
        Moré and Wild (2009), Benchmarking derivative-free optimization algorithms, SIAM
        Journal on Optimization 20(1), equation 2.8.
    """
    return _profile("data", costs.subset(subset), resamples, level, key)


def pairwise_profiles(
    costs: Costs,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 0,
    level: float = 0.9,
    key: int = 0,
) -> dict[tuple[str, str], Profile]:
    """The performance profile of each two optimizers alone.

    Here the order of the two does not depend on any third one.

    Args:
        costs: What each run spent.
        subset: Optimizers to pair, in any order; None for all.
        resamples: Bootstrap resamples for the bands, as in `performance_profile`.
        level: The share of the resamples within the bands.
        key: The seed of the resampling.

    Returns:
        Profiles by pair, each pair once, in the order of the optimizers; empty for a
        single optimizer.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: A name is unknown, or an option is out of range.
    """
    chosen = costs.subset(subset)
    options: dict[str, Any] = {"resamples": resamples, "level": level, "key": key}
    return {
        pair: performance_profile(chosen, subset=pair, **options)
        for pair in itertools.combinations(chosen.optimizers, 2)
    }


def wins(
    costs: Costs,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 1000,
    level: float = 0.9,
    key: int = 0,
) -> Wins:
    r"""How probable it is that one optimizer is cheaper than another.

    $$P(A < B) = \frac{1}{|D|} \sum_{p \in D} [t_{pA} < t_{pB}] +
    \tfrac12 [t_{pA} = t_{pB}]$$

    over the pairs $D$ of a problem and a seed that at least one of the two solved;
    those on which both failed say nothing of their order and are counted apart. Runs
    are compared from the same start.

    Args:
        costs: What each run spent.
        subset: Optimizers to compare, in any order; None for all.
        resamples: Bootstrap resamples for the intervals, as in `performance_profile`.
        level: The share of the resamples within the intervals.
        key: The seed of the resampling.

    Returns:
        Matrices of probabilities, their intervals, and counts.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: A name is unknown, or an option is out of range.

    References:
        Agarwal et al. (2021), Deep reinforcement learning at the edge of the
        statistical precipice, NeurIPS, section 4.3.
    """
    chosen = costs.subset(subset)
    resamples = _checks.positive_int("resamples", resamples, minimum=0)
    share_of_one("level", level)
    count = len(chosen.optimizers)
    probability, low, high = np.full((3, count, count), np.nan)
    decided, both_failed = np.zeros((2, count, count), int)
    for a, b in itertools.combinations(range(count), 2):
        mine, other = chosen.values[:, :, a], chosen.values[:, :, b]
        lost = np.isinf(mine) & np.isinf(other)
        counted = ~np.isnan(mine) & ~np.isnan(other) & ~lost
        decided[a, b] = decided[b, a] = counted.sum()
        both_failed[a, b] = both_failed[b, a] = lost.sum()
        if not counted.any():
            continue
        won = np.where(mine == other, 0.5, mine < other)[counted]
        probability[a, b], probability[b, a] = won.mean(), 1 - won.mean()
        drawn = weights(counted, resamples, key)
        (low[a, b],), (high[a, b],) = bands(drawn, won[:, None], level)
        low[b, a], high[b, a] = 1 - high[a, b], 1 - low[a, b]
    return Wins(
        measure=chosen.measure,
        accuracy=chosen.accuracy,
        optimizers=chosen.optimizers,
        probability=probability,
        low=low,
        high=high,
        level=level,
        decided=decided,
        both_failed=both_failed,
    )


def _profile(kind: Any, chosen: Costs, resamples: int, level: float, key: int):
    resamples = _checks.positive_int("resamples", resamples, minimum=0)
    share_of_one("level", level)
    counted = common(chosen.values)
    spent = chosen.values[counted]
    limits = ratios(spent) if kind == "performance" else spent
    first = 1.0 if kind == "performance" else 0.0
    x = np.unique(np.append(limits[np.isfinite(limits)], first))
    low = high = None
    if resamples:
        drawn = weights(counted, resamples, key)
        ends = [bands(drawn, one[:, None] <= x, level) for one in limits.T]
        low, high = np.array([e[0] for e in ends]), np.array([e[1] for e in ends])
    return Profile(
        kind=kind,
        measure=chosen.measure,
        accuracy=chosen.accuracy,
        optimizers=chosen.optimizers,
        x=x,
        share=shares(limits, x),
        low=low,
        high=high,
        level=level,
        pairs=int(counted.sum()),
        left_out=int((~np.isnan(chosen.values)).any(axis=2).sum() - counted.sum()),
    )
