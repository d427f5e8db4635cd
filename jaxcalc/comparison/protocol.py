"""The rules of a comparison: which rates, which seeds, and how a rate is chosen."""

import functools
import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jaxcalc import _checks
from jaxcalc.comparison.results import Runs
from jaxcalc.minimization import Status
from jaxcalc.problems import Problem

# Half a decade apart, from where even a steep loss is safe to where most diverge.
DEFAULT_RATES = tuple(float(rate) for rate in np.logspace(-4, 1.5, 12))

# Stands for minus infinity, which a median may meet together with plus infinity.
_HUGE = np.finfo(float).max

RULE = (
    "Of the learning rates with the fewest runs that end non-finite, or above their "
    "start, on the tuning seeds: the one whose runs converge in the fewest steps "
    "(median); where the median run does not converge, the one that ends lowest."
)

Optimizer = optax.GradientTransformation | Callable[..., optax.GradientTransformation]


def is_tuned(optimizer: Optimizer) -> bool:
    """Whether an optimizer takes a learning rate.

    Args:
        optimizer: A function of a learning rate, or a finished optimizer.

    Returns:
        True for a function.
    """
    return not isinstance(optimizer, optax.GradientTransformation)


def untuned(optimizer: optax.GradientTransformation, rate: Any) -> Any:
    """An optimizer for every learning rate: the same one.

    Args:
        optimizer: A finished optimizer.
        rate: Not used.

    Returns:
        The optimizer.
    """
    del rate
    return optimizer


def as_function_of_rate(optimizer: Optimizer) -> Callable[[Any], Any]:
    """Any entry of a comparison as `make(rate)`.

    Args:
        optimizer: A function of a learning rate, or a finished optimizer.

    Returns:
        The function.
    """
    if isinstance(optimizer, optax.GradientTransformation):
        return functools.partial(untuned, optimizer)
    return optimizer


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
        made = optimizer(1e-3) if callable(optimizer) else optimizer
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(
                f"`optimizers[{name!r}]` must be an optax optimizer or a function of "
                f"a learning rate such as optax.adam, got {optimizer!r}"
            )
    return dict(optimizers)


def checked_seeds(name: str, seeds: int | Sequence[int], first: int) -> tuple[int, ...]:
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
    if hasattr(seeds, "__index__"):
        count = _checks.positive_int(name, seeds)
        return tuple(range(first, first + count))
    seeds = _several(name, seeds, "integers, or how many")
    chosen = tuple(_checks.positive_int(name, s, minimum=0) for s in seeds)
    if not chosen:
        raise ValueError(f"`{name}` is empty: pass at least one seed")
    _refuse_duplicates(name, chosen)
    return chosen


def checked_rates(
    rates: Any, optimizers: Mapping[str, Optimizer]
) -> dict[str, tuple[float, ...]]:
    """Learning rates by optimizer, as many for each.

    Args:
        rates: The rates of all optimizers, or a mapping from names to rates.
        optimizers: The optimizers by name.

    Returns:
        Rates in increasing order for each optimizer that takes one.

    Raises:
        ValueError: A rate is not positive or occurs twice, an optimizer has none, a
            name is unknown, or the numbers differ.
    """
    tuned = [name for name, optimizer in optimizers.items() if is_tuned(optimizer)]
    if isinstance(rates, Mapping):
        for name in rates:
            _checks.known("optimizer with a learning rate", name, tuned)
        missing = [name for name in tuned if name not in rates]
        if missing:
            raise ValueError(f"`rates` has no entry for {', '.join(missing)}")
    else:
        shared = DEFAULT_RATES if rates is None else rates
        rates = dict.fromkeys(tuned, _several("rates", shared, "learning rates"))
    chosen = {
        name: tuple(
            sorted(
                _checks.positive_float("rates", rate)
                for rate in _several("rates", rates[name], "learning rates")
            )
        )
        for name in tuned
    }
    for name, values in chosen.items():
        if not values:
            raise ValueError(f"`rates` is empty for {name}: pass at least one")
        _refuse_duplicates(f"rates of {name}", values)
    counts = {name: len(values) for name, values in chosen.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {n}" for name, n in counts.items())
        raise ValueError(
            f"every optimizer must try as many `rates`, or the comparison is not "
            f"fair: {listed}"
        )
    return chosen


def best_rate(runs: Runs) -> float:
    """Choose a learning rate by `RULE`.

    Args:
        runs: The tuning runs of one optimizer.

    Returns:
        The chosen rate; the smallest of those that do equally well.
    """
    converged = runs.status == Status.CONVERGED
    steps = np.where(converged, runs.steps, np.inf)
    final = np.where(np.isnan(runs.final_value), np.inf, runs.final_value)
    final = np.where(runs.diverged & (final != -np.inf), np.inf, final)

    def rank(rate: float) -> tuple[float, ...]:
        lanes = runs.rates == rate
        failures = float(np.sum(runs.diverged[lanes]))
        return (
            failures,
            float(np.median(steps[lanes])),
            float(np.median(np.clip(final[lanes], -_HUGE, None))),
        )

    return float(min(np.unique(runs.rates), key=rank))


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
