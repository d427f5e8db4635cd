"""The definition of a profile, for costs in rows of pairs and columns of optimizers."""

from typing import Any

import numpy as np

from jaxcalc import _checks


def common(values: np.ndarray) -> np.ndarray:
    """The pairs that every optimizer ran.

    Args:
        values: Costs, shape `(problems, seeds, optimizers)`, NaN where nothing was run.

    Returns:
        Booleans, shape `(problems, seeds)`.
    """
    return np.logical_not(np.isnan(values).any(axis=2))


def ratios(spent: np.ndarray) -> np.ndarray:
    """Costs as multiples of the least cost of their row.

    Args:
        spent: Costs, shape `(pairs, optimizers)`, infinite where a run failed.

    Returns:
        Ratios from 1 on; infinite for failures, and for whoever paid where another
        paid nothing.
    """
    least = spent.min(axis=1, keepdims=True, initial=np.inf)
    found = np.full(spent.shape, np.inf)
    np.divide(spent, least, out=found, where=np.isfinite(spent) & (least > 0))
    return np.where((spent == least) & np.isfinite(spent), 1.0, found)


def shares(limits: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The share of each column that lies at or below each limit.

    Args:
        limits: Numbers, shape `(pairs, optimizers)`, infinite ones among them.
        x: Limits, shape `(k,)`.

    Returns:
        Shares, shape `(optimizers, k)`; NaN without pairs.
    """
    if not len(limits):
        return np.full((limits.shape[1], len(x)), np.nan)
    ordered = np.sort(limits, axis=0)
    below = [np.searchsorted(column, x, side="right") for column in ordered.T]
    return np.array(below).reshape(limits.shape[1], len(x)) / len(limits)


def share_of_one(name: str, value: Any) -> float:
    """Return `value` as a float between 0 and 1, neither of them.

    Args:
        name: The argument's name, for the error message.
        value: What the caller passed.

    Returns:
        The value as a Python float.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is not between 0 and 1.
    """
    number = _checks.positive_float(name, value)
    if number >= 1:
        raise ValueError(f"`{name}` must be between 0 and 1, got {value!r}")
    return number
