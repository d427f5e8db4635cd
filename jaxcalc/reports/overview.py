"""All problems together: who leads at which accuracy, and how sure that is."""

from collections.abc import Sequence

import numpy as np

from jaxcalc.comparison import Comparison, profiles
from jaxcalc.comparison.profiles import ACCURACIES, Costs, Successes
from jaxcalc.reports._numbers import number
from jaxcalc.reports.prose import listed, plural

_RESAMPLES = 400
_LEVEL = 0.9


def usual_accuracy(comparison: Comparison) -> float:
    """The target that tells most: strict, but not so that hardly anybody gets there.

    Args:
        comparison: What was run.

    Returns:
        The strictest of `profiles.ACCURACIES` that half of the optimizers reach in half
        of their runs, or else the strictest that anybody reaches, or the mildest.
    """
    found = profiles.success(comparison)
    rates = np.nan_to_num(found.rate)
    half = np.flatnonzero((rates >= 0.5).sum(axis=1) * 2 >= len(found.optimizers))
    some = np.flatnonzero(found.reached.any(axis=1))
    place = half[-1] if half.size else some[-1] if some.size else 0
    return ACCURACIES[int(place)] if found.optimizers else ACCURACIES[0]


def summary(comparison: Comparison) -> list[str]:
    """Who leads at which accuracy, with the uncertainty, in plain sentences.

    Args:
        comparison: What was run.

    Returns:
        Sentences; one that says so where nothing was evaluated.
    """
    runs = comparison.select(phase="evaluation")
    if not runs:
        return ["Nothing was evaluated yet: there are no evaluation runs."]
    problems = len({run.problem for run in runs})
    optimizers = len({run.optimizer for run in runs})
    total = sum(len(run.seeds) for run in runs)
    said = [
        f"{plural(optimizers, 'optimizer')} made {plural(total, 'run')} on "
        f"{plural(problems, 'problem')}."
    ]
    found = profiles.success(comparison)
    for place, accuracy in enumerate(ACCURACIES):
        if not found.reached[place].any():
            said.append(f"Nobody came down to {number(accuracy)} of the starting gap.")
            break
        said.append(_at(comparison, found, place))
    return said + _trust(comparison)


def _at(comparison: Comparison, found: Successes, place: int) -> str:
    """Who gets to one target most often, and who gets there most cheaply."""
    accuracy = found.accuracies[place]
    rate = np.nan_to_num(found.rate[place], nan=-1.0)
    best = np.flatnonzero(rate == rate.max())
    k = int(best[0])
    who = _some(found.optimizers, best)
    said = (
        f"Down to {number(accuracy)} of the starting gap {who} came most often, in "
        f"{rate[k]:.0%} of the runs"
    )
    if len(best) == 1:
        low, high = found.low[place, k], found.high[place, k]
        said += f" ({found.level:.0%} interval {_span(low, high)})"
    cheap = _cheapest(profiles.costs(comparison, accuracy=accuracy))
    return f"{said}{'; ' + cheap if cheap else ''}."


def _some(names: Sequence[str], best: np.ndarray) -> str:
    """Names, or how many where they are many."""
    if len(best) == len(names) > 2:
        return f"all {len(names)} optimizers"
    if len(best) > 4:
        return f"{len(best)} of {len(names)} optimizers"
    return listed([names[int(k)] for k in best])


def _span(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f}%"


def _cheapest(spent: Costs) -> str:
    """Who needed the fewest gradient evaluations most often, with its band."""
    found = profiles.performance_profile(spent, resamples=_RESAMPLES, level=_LEVEL)
    lead = found.leaders(1.0)
    if not lead or found.low is None or found.high is None:
        return ""
    first = next(iter(lead))
    k, at = found.optimizers.index(first), int(np.searchsorted(found.x, 1.0))
    share = f"{found.share[k, at]:.0%} of them"
    if len(lead) > 1:
        return f"with the fewest gradient evaluations {listed(lead)}, in {share} each"
    band = _span(found.low[k, at], found.high[k, at])
    return (
        f"with the fewest gradient evaluations {first}, in {share} "
        f"({_LEVEL:.0%} interval {band}, from resampling problems and seeds)"
    )


def _trust(comparison: Comparison) -> list[str]:
    """Whether the lead hangs on who or what takes part."""
    accuracy = usual_accuracy(comparison)
    warned = profiles.ranking_warnings(profiles.costs(comparison, accuracy=accuracy))
    if not warned:
        return []
    return [
        f"At {number(accuracy)} the ranking depends on the set in "
        f"{plural(len(warned), 'way')}, listed below the performance profile: be "
        "careful with any place but the first."
    ]
