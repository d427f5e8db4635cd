"""What profiles answer: step functions, shares and tables as plain arrays."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import ArrayLike


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """Shares of the runs that are solved within a limit: one step function each.

    A share jumps at an entry of `x`, where it has the new value already, and is level
    up to the next one.

    Attributes:
        kind: "performance", where the limit is a multiple of the least cost that any
            optimizer of this set had, or "data", where it is the cost itself.
        measure: What a run was charged with.
        accuracy: The target, a fraction of the starting gap.
        optimizers: Who took part.
        x: Where shares jump, increasing, shape `(k,)`; from 1 on in a performance
            profile, from 0 on in a data profile.
        share: Shares, shape `(optimizers, k)`; NaN where there is nothing to compare.
        low: Lower ends of the bootstrap bands in that shape; None without a bootstrap.
        high: Upper ends.
        level: How much of the bootstrap lies between them.
        pairs: How many (problem, seed) pairs the shares are of.
        left_out: Pairs that some optimizer of this set did not run, or on which it was
            not measured; they do not count for anybody.
    """

    kind: Literal["performance", "data"]
    measure: str
    accuracy: float
    optimizers: tuple[str, ...]
    x: np.ndarray
    share: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    level: float
    pairs: int
    left_out: int

    def at(self, x: ArrayLike) -> np.ndarray:
        """Shares within any limits.

        Args:
            x: A limit or several, of any shape; infinity is one.

        Returns:
            Shares, shape `(optimizers, *x.shape)`; zero before the first jump.
        """
        place = np.searchsorted(self.x, np.asarray(x, float), side="right") - 1
        found = self.share[:, np.maximum(place, 0)]
        return np.where((place < 0) & ~np.isnan(found), 0.0, found)

    def leaders(self, x: float) -> tuple[str, ...]:
        """Who has solved most within a limit.

        Args:
            x: The limit.

        Returns:
            One name, or those that are level; none if nobody has solved anything.
        """
        shares = self.at(x)
        if not shares.size or not np.nanmax(shares, initial=0.0) > 0:
            return ()
        best = np.flatnonzero(shares == shares.max())
        return tuple(self.optimizers[k] for k in best)


@dataclass(frozen=True, kw_only=True, eq=False)
class Wins:
    """How probable it is that one optimizer beats another.

    Row A, column B of each matrix is about A against B, over the (problem, seed) pairs
    that both ran.

    Attributes:
        measure: What a run was charged with.
        accuracy: The target, a fraction of the starting gap.
        optimizers: Who took part.
        probability: Share of the decided pairs in which the row was cheaper, ties
            counted half, shape `(optimizers, optimizers)`; NaN on the diagonal and
            where no pair is decided.
        low: Lower ends of the bootstrap intervals.
        high: Upper ends.
        level: How much of the bootstrap lies between them.
        decided: Pairs in which at least one of the two reached the target.
        both_failed: Pairs in which neither did.
    """

    measure: str
    accuracy: float
    optimizers: tuple[str, ...]
    probability: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    decided: np.ndarray
    both_failed: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Successes:
    """How many runs reached their targets, however much they spent.

    Attributes:
        accuracies: The targets, fractions of the starting gap.
        optimizers: Who took part.
        reached: Runs that reached each target, shape `(accuracies, optimizers)`.
        runs: Runs in all, shape `(optimizers,)`.
        rate: Their share; NaN for an optimizer without runs.
        low: Lower ends of the Wilson intervals.
        high: Upper ends.
        level: The intervals' coverage.
    """

    accuracies: tuple[float, ...]
    optimizers: tuple[str, ...]
    reached: np.ndarray
    runs: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Times:
    """What it takes to reach targets, over the seeds of each problem.

    Attributes:
        measure: What a run was charged with.
        accuracies: The targets, fractions of the starting gap.
        problems: Names of the problems.
        optimizers: Who took part.
        median: Medians over seeds, shape `(accuracies, problems, optimizers)`; a run
            that did not get there counts as infinite, so a median is infinite where
            half of the runs did not. NaN where there is no run.
        low: Lower quartiles.
        high: Upper quartiles.
        reached: Runs that reached the target.
        runs: Runs in all.
    """

    measure: str
    accuracies: tuple[float, ...]
    problems: tuple[str, ...]
    optimizers: tuple[str, ...]
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reached: np.ndarray
    runs: np.ndarray
