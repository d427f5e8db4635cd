"""The rules of a comparison: which settings, which seeds, and how one is chosen."""

import functools
import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jaxcalc import _checks
from jaxcalc.comparison.adaptors import External
from jaxcalc.comparison.results import Runs
from jaxcalc.comparison.search import Search, Settings
from jaxcalc.minimization import Status
from jaxcalc.problems import Problem

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

Ours = (
    optax.GradientTransformation | Callable[..., optax.GradientTransformation] | Search
)
Optimizer = Ours | External


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


def checked_problems(problems: Problem | Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems as a tuple, each with a name of its own.

    Args:
        problems: One problem, or several.

    Returns:
        The problems in their order.

    Raises:
        TypeError: Something is not a `Problem`.
        ValueError: There is none, or two share a name.
    """
    problems = (problems,) if isinstance(problems, Problem) else problems
    problems = _several("problems", problems, "problems")
    if not problems:
        raise ValueError("`problems` is empty: pass at least one Problem")
    for problem in problems:
        if not isinstance(problem, Problem):
            raise TypeError(
                f"`problems` must hold jaxcalc.problems.Problem records, got "
                f"{problem!r}: write problems.get(name) for one of the library"
            )
        _checks.floating_params(f"{problem.name}.init(key)", problem.start(0))
    _refuse_duplicates("problems", [problem.name for problem in problems])
    return problems


def checked_optimizers(optimizers: Any) -> dict[str, Optimizer]:
    """The optimizers by name.

    Args:
        optimizers: A mapping from names to optimizers, or to functions of a rate.

    Returns:
        The mapping.

    Raises:
        TypeError: It is no mapping, a name is no string, or an entry is neither.
        ValueError: It is empty.
    """
    if not isinstance(optimizers, Mapping):
        raise TypeError(
            "`optimizers` must map names to optimizers, for example "
            f"{{'adam': optax.adam}}, got {type(optimizers).__name__}"
        )
    if not optimizers:
        raise ValueError("`optimizers` is empty: pass at least one")
    for name, optimizer in optimizers.items():
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"an optimizer's name must be a string, got {name!r}")
        if isinstance(optimizer, External):
            continue
        made = _sample(optimizer)
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(
                f"`optimizers[{name!r}]` must be an optax optimizer, a function of a "
                f"learning rate such as optax.adam, or a `search`, got {optimizer!r}"
            )
    return dict(optimizers)


def _sample(optimizer: Any) -> Any:
    """What an entry of a comparison makes, to see that it is an optimizer."""
    if isinstance(optimizer, Search):
        return optimizer.make(**optimizer.trials(1)[0])
    return optimizer(1e-3) if callable(optimizer) else optimizer


def checked_seeds(
    name: str, seeds: int | Sequence[int] | np.ndarray, first: int
) -> tuple[int, ...]:
    """Seeds as a tuple of integers.

    Args:
        name: The argument's name, for the error message.
        seeds: How many, or which.
        first: The first one, where only their number is given.

    Returns:
        The seeds.

    Raises:
        ValueError: There is none, or one occurs twice.
    """
    if hasattr(seeds, "__index__") and not np.ndim(seeds):
        count = _checks.positive_int(name, seeds)
        return tuple(range(first, first + count))
    seeds = _several(name, seeds, "integers, or how many")
    chosen = tuple(_checks.positive_int(name, s, minimum=0) for s in seeds)
    if not chosen:
        raise ValueError(f"`{name}` is empty: pass at least one seed")
    if max(chosen) >= 2**32:
        raise ValueError(
            f"`{name}` holds {max(chosen)}: seeds are below 2**32, where JAX may cut "
            "them off"
        )
    _refuse_duplicates(name, chosen)
    return chosen


def checked_both_seeds(seeds: Any, tuning_seeds: Any) -> dict[str, list[int]]:
    """Seeds to evaluate and to tune on, none of them both.

    Args:
        seeds: Evaluation seeds, or how many.
        tuning_seeds: Tuning seeds, or how many; None for as many.

    Returns:
        Both lists by name.

    Raises:
        ValueError: One is empty or has duplicates, or they share a seed.
    """
    evaluation = checked_seeds("seeds", seeds, 0)
    tuning = checked_seeds(
        "tuning_seeds",
        len(evaluation) if tuning_seeds is None else tuning_seeds,
        max(evaluation) + 1,
    )
    shared = sorted(set(tuning) & set(evaluation))
    if shared:
        raise ValueError(
            f"`tuning_seeds` and `seeds` share {shared}: settings must be judged on "
            "seeds that they were not chosen on"
        )
    return {"seeds": list(evaluation), "tuning_seeds": list(tuning)}


def checked_share(share: Any, store: Any) -> tuple[int, int]:
    """Which share of the work to do, of how many.

    Args:
        share: `(index, count)`, or None for all of it.
        store: Where runs are kept, or None.

    Returns:
        The index and the count.

    Raises:
        ValueError: It is no pair, out of range, or there is no store to share.
    """
    if share is None:
        return 0, 1
    try:
        index, count = share
    except (TypeError, ValueError):
        raise ValueError(
            f"`share` must be a pair (index, count), got {share!r}"
        ) from None
    count = _checks.positive_int("share", count)
    index = _checks.positive_int("share", index, minimum=0)
    if index >= count:
        raise ValueError(
            f"`share` has the index {index} of {count} shares: the last is {count - 1}"
        )
    if store is None:
        raise ValueError("a `share` needs a `store`, where the shares come together")
    return index, count


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
    chosen = {} if rates is None else _checked_rates(rates, functions)
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


def _checked_rates(rates: Any, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Rates in increasing order for each optimizer that is a function of one."""
    if isinstance(rates, Mapping):
        for name in rates:
            _checks.known("optimizer with a learning rate", name, names)
        missing = [name for name in names if name not in rates]
        if missing:
            raise ValueError(f"`rates` has no entry for {', '.join(missing)}")
    else:
        rates = dict.fromkeys(names, _several("rates", rates, "learning rates"))
    chosen = {
        name: tuple(
            sorted(
                _checks.positive_float("rates", rate)
                for rate in _several("rates", rates[name], "learning rates")
            )
        )
        for name in names
    }
    for name, values in chosen.items():
        if not values:
            raise ValueError(f"`rates` is empty for {name}: pass at least one")
        _refuse_duplicates(f"rates of {name}", values)
    return chosen


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


def _several(name: str, values: Any, what: str) -> tuple[Any, ...]:
    try:
        return tuple(values)
    except TypeError:
        raise TypeError(f"`{name}` must be several {what}, got {values!r}") from None


def _refuse_duplicates(name: str, values: Sequence[Any]) -> None:
    twice = sorted({v for v in values if list(values).count(v) > 1})
    if twice:
        raise ValueError(f"`{name}` holds {', '.join(map(repr, twice))} twice")
