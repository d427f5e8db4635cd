"""Search spaces: which hyperparameters an optimizer may choose from, and the trials.

An optimizer takes part in a comparison with a space of its own; every optimizer gets as
many trials. The trials of a space are points of a Halton sequence, which fill it evenly
and are the same for everybody who asks for as many; a space of one parameter is divided
evenly, its ends included.

References:
    Halton (1960), On the efficiency of certain quasi-random sequences of points in
    evaluating multi-dimensional integrals.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optax

from jaxcalc import _checks

Settings = dict[str, float]


@dataclass(frozen=True)
class Range:
    """Where a hyperparameter may lie, and how densely.

    Attributes:
        place: `place(u)` for `u` in [0, 1]: the hyperparameter.
        text: The range in words.
    """

    place: Callable[[float], float]
    text: str


def log_uniform(low: float, high: float) -> Range:
    """Between two positive bounds, evenly in the logarithm.

    Args:
        low: The lower bound.
        high: The upper bound.

    Returns:
        The range.

    Raises:
        ValueError: A bound is not positive, or they are not in order.
    """
    low = _checks.positive_float("low", low)
    high = _checks.positive_float("high", high)
    _in_order(low, high)
    first, last = math.log(low), math.log(high)

    def place(u: float) -> float:
        # Rounding must not lead beyond the ends.
        return min(max(math.exp(first + u * (last - first)), low), high)

    return Range(place, f"log-uniform from {low:g} to {high:g}")


def uniform(low: float, high: float) -> Range:
    """Between two bounds, evenly.

    Args:
        low: The lower bound.
        high: The upper bound.

    Returns:
        The range.

    Raises:
        ValueError: A bound is not finite, or they are not in order.
    """
    low, high = (_finite(n, v) for n, v in (("low", low), ("high", high)))
    _in_order(low, high)
    return Range(
        lambda u: min(low + u * (high - low), high), f"uniform from {low:g} to {high:g}"
    )


def choice(*values: float) -> Range:
    """One of several numbers, each as likely.

    Args:
        *values: The numbers; what is no number belongs into an optimizer of its own.

    Returns:
        The range.

    Raises:
        ValueError: There is none, or one is not finite.
    """
    if not values:
        raise ValueError("`choice` needs at least one number")
    numbers = tuple(_finite("values", value) for value in values)
    listed = ", ".join(f"{number:g}" for number in numbers)
    return Range(
        lambda u: numbers[min(int(u * len(numbers)), len(numbers) - 1)],
        f"one of {listed}",
    )


@dataclass(frozen=True)
class Search:
    """An optimizer with the space of its hyperparameters.

    Attributes:
        make: `make(**settings) -> optimizer`.
        space: A range for each hyperparameter, by name.
    """

    make: Callable[..., optax.GradientTransformation]
    space: Mapping[str, Range]

    def trials(self, count: int) -> list[Settings]:
        """The settings to try: the same ones whenever as many are asked for.

        Args:
            count: How many.

        Returns:
            Hyperparameters by name, for each trial.
        """
        names = list(self.space)
        if count == 1:
            units = np.full((1, len(names)), 0.5)
        elif len(names) == 1:
            units = np.linspace(0, 1, count)[:, None]
        else:
            from scipy.stats import qmc  # slow to import

            sequence = qmc.Halton(len(names), scramble=False)
            units = sequence.fast_forward(1).random(count)  # it begins in a corner
        return [
            {
                name: self.space[name].place(float(u))
                for name, u in zip(names, row, strict=True)
            }
            for row in units
        ]


def search(make: Callable[..., optax.GradientTransformation], **space: Range) -> Search:
    """Let a comparison choose an optimizer's hyperparameters.

    `search(optax.sgd, learning_rate=log_uniform(1e-4, 10), momentum=uniform(0, 0.99))`
    tries momentum together with the rate. A schedule is a function of its parameters:
    `search(lambda rate, steps: optax.adam(optax.cosine_decay_schedule(rate, steps)),
    rate=log_uniform(1e-4, 1), steps=choice(100, 1000))`. All trials run in one compiled
    program, so a hyperparameter is a number that may be traced: what decides on the
    program itself (`nesterov=True`) belongs into an entry of its own.

    Args:
        make: A function that makes the optimizer, called with hyperparameters by name.
        **space: The range of each hyperparameter.

    Returns:
        An entry for the `optimizers` of `compare`.

    Raises:
        TypeError: `make` is no function, or a range is none.
        ValueError: The space is empty.
    """
    if not callable(make):
        raise TypeError(
            f"`make` must be a function that makes an optimizer, got {make!r}"
        )
    if not space:
        raise ValueError(
            "`search` needs a range, for example learning_rate=log_uniform(1e-4, 10); "
            "an optimizer without hyperparameters takes part as it is"
        )
    for name, within in space.items():
        if not isinstance(within, Range):
            raise TypeError(
                f"`{name}` must be a range such as log_uniform(1e-4, 10), "
                f"uniform(0, 1) or choice(0.9, 0.99), got {within!r}"
            )
    return Search(make, space)


def _finite(name: str, value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"`{name}` must be finite, got {value!r}")
    return number


def _in_order(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"`low` must be below `high`, got {low:g} and {high:g}")
