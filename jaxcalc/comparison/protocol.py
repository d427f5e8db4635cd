"""The rules of a comparison: which settings, which seeds, and how one is chosen."""

import functools
import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jaxcalc import _checks
from jaxcalc.comparison.adaptors import External
from jaxcalc.comparison.arguments import Optimizer, Ours, checked_rates
from jaxcalc.comparison.results import Runs
from jaxcalc.comparison.search import Search, Settings
from jaxcalc.minimization import Status

# Half a decade apart, from where even a steep loss is safe to where most diverge.
DEFAULT_RATES = tuple(float(rate) for rate in np.logspace(-4, 1.5, 12))

# Stands for minus infinity, which a median may meet together with plus infinity.
_HUGE = np.finfo(float).max / 4  # the mean of two of them is finite

RULE = (
    "Of the settings with the fewest runs that end non-finite, or above their "
    "start, on the tuning seeds: the one whose runs converge in the fewest steps "
    "(median); where the median run does not converge, the one that ends lowest."
)

_TRIALS = len(DEFAULT_RATES)


def is_tuned(optimizer: Optimizer) -> bool:
    """Whether an optimizer has hyperparameters to choose.

    Args:
        optimizer: Any entry of a comparison.

    Returns:
        True for a function of a learning rate, and for a search.
    """
    return not isinstance(optimizer, optax.GradientTransformation | External)


def as_function_of_settings(optimizer: Ours) -> Callable[[dict[str, Any]], Any]:
    """Any entry of a comparison as `make(settings)`.

    Args:
        optimizer: A function of a learning rate, a search, or a finished optimizer.

    Returns:
        The function; it takes hyperparameters by name.
    """
    if isinstance(optimizer, optax.GradientTransformation):
        return functools.partial(_untuned, optimizer)
    if isinstance(optimizer, Search):
        return functools.partial(_by_name, optimizer.make)
    return functools.partial(_by_rate, optimizer)


def _untuned(optimizer: optax.GradientTransformation, settings: dict[str, Any]) -> Any:
    del settings
    return optimizer


def _by_name(make: Callable[..., Any], settings: dict[str, Any]) -> Any:
    return make(**settings)


def _by_rate(make: Callable[..., Any], settings: dict[str, Any]) -> Any:
    return make(settings["learning_rate"])


def planned_trials(
    rates: Any, trials: int | None, optimizers: Mapping[str, Optimizer]
) -> dict[str, list[Settings]]:
    """What every optimizer may try: as much as every other.

    Args:
        rates: Learning rates of the optimizers that are functions of one: the same for
            all, a mapping from names to rates, or None for rates half a decade apart.
        trials: How many settings each optimizer tries; None for as many as there are
            rates.
        optimizers: The optimizers by name.

    Returns:
        Settings for each optimizer that has hyperparameters.

    Raises:
        ValueError: A rate is not positive or occurs twice, an optimizer has none, a
            name is unknown, or the numbers differ.
    """
    searched = {n: o for n, o in optimizers.items() if isinstance(o, Search)}
    functions = [n for n, o in optimizers.items() if is_tuned(o) and n not in searched]
    chosen = {} if rates is None else checked_rates(rates, functions)
    if trials is None:
        given = [len(values) for values in chosen.values()]
        if isinstance(rates, Sequence):
            given.append(len(rates))
        trials = max(given, default=_TRIALS)
    trials = _checks.positive_int("trials", trials)
    if rates is None:
        chosen = dict.fromkeys(functions, _default_rates(trials))
    counts = {name: len(values) for name, values in chosen.items()}
    if any(count != trials for count in counts.values()):
        listed = ", ".join(f"{name} has {n}" for name, n in counts.items())
        raise ValueError(
            "every optimizer must try as many settings, or the comparison is not "
            f"fair: of `rates` {listed}, `trials` is {trials}"
        )
    planned: dict[str, list[Settings]] = {
        name: [{"learning_rate": rate} for rate in values]
        for name, values in chosen.items()
    }
    planned |= {name: o.trials(trials) for name, o in searched.items()}
    return {name: planned[name] for name in optimizers if name in planned}


def described_spaces(
    rates: Any, trials: Mapping[str, list[Settings]], optimizers: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Search spaces in words.

    Args:
        rates: The rates that were given, None where the default ones are tried.
        trials: What every optimizer tries.
        optimizers: The optimizers by name.

    Returns:
        For each optimizer with hyperparameters the range of each, by name.
    """
    words = {}
    for name, settings in trials.items():
        optimizer = optimizers[name]
        if isinstance(optimizer, Search):
            words[name] = {key: r.text for key, r in optimizer.space.items()}
            continue
        values = [each["learning_rate"] for each in settings]
        if rates is None:
            text = f"evenly in the logarithm from {values[0]:.4g} to {values[-1]:.4g}"
        else:
            text = f"one of {', '.join(f'{value:.4g}' for value in values)}"
        words[name] = {"learning_rate": text}
    return words


def _default_rates(count: int) -> tuple[float, ...]:
    if count == len(DEFAULT_RATES):
        return DEFAULT_RATES
    low, high = np.log10(DEFAULT_RATES[0]), np.log10(DEFAULT_RATES[-1])
    return tuple(float(rate) for rate in np.logspace(low, high, count))


def best_trial(runs: Runs) -> Settings:
    """Choose hyperparameters by `RULE`.

    Args:
        runs: The tuning runs of one optimizer.

    Returns:
        The chosen settings; the smallest of those that do equally well.
    """
    converged = runs.status == Status.CONVERGED
    steps = np.where(converged, runs.steps, np.inf)
    final = np.where(np.isnan(runs.final_value), np.inf, runs.final_value)
    final = np.where(runs.diverged & (final != -np.inf), np.inf, final)

    def rank(lanes: np.ndarray) -> tuple[float, ...]:
        failures = float(np.sum(runs.diverged[lanes]))
        return (
            failures,
            float(np.median(steps[lanes])),
            float(np.median(np.clip(final[lanes], -_HUGE, None))),
        )

    lanes_of: dict[tuple[float, ...], list[int]] = {}
    for lane, row in enumerate(zip(*runs.settings.values(), strict=True)):
        lanes_of.setdefault(row, []).append(lane)
    chosen = min(lanes_of, key=lambda row: (rank(np.asarray(lanes_of[row])), row))
    return dict(zip(runs.settings, map(float, chosen), strict=True))


def environment() -> dict[str, str]:
    """Versions of what computes, and the device.

    Returns:
        Names and texts.
    """
    packages = ("jaxcalc", "jax", "jaxlib", "optax", "numpy")
    device = jax.devices()[0]
    return {
        **{name: importlib.metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{len(jax.devices())} × {device.device_kind}",
    }
