"""What a caller may pass to `compare`, checked and made whole."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import optax

from jaxcalc import _checks
from jaxcalc.comparison.adaptors import External
from jaxcalc.comparison.search import Search
from jaxcalc.problems import Problem

Ours = (
    optax.GradientTransformation | Callable[..., optax.GradientTransformation] | Search
)
Optimizer = Ours | External


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


def checked_rates(rates: Any, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Rates in increasing order for each optimizer that is a function of one.

    Args:
        rates: The same rates for all, or a mapping from names to rates.
        names: The optimizers.

    Returns:
        The rates by name.

    Raises:
        TypeError: They are not several numbers.
        ValueError: One is not positive or occurs twice, an optimizer has none, or a
            name is unknown.
    """
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


def _several(name: str, values: Any, what: str) -> tuple[Any, ...]:
    try:
        return tuple(values)
    except TypeError:
        raise TypeError(f"`{name}` must be several {what}, got {values!r}") from None


def _refuse_duplicates(name: str, values: Sequence[Any]) -> None:
    twice = sorted({v for v in values if list(values).count(v) > 1})
    if twice:
        raise ValueError(f"`{name}` holds {', '.join(map(repr, twice))} twice")
