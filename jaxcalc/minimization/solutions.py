"""What many minimizations found, together."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxcalc._work import Work
from jaxcalc.minimization.solution import Status

# More distinct ends than this are no list of minima but a valley, or runs that were
# broken off.
_MOST_MINIMA = 1000


class Minimum(NamedTuple):
    """One of the distinct minima.

    Attributes:
        params: Where it lies: the end with the lowest value of those merged.
        value: The loss there.
        reached: How many runs ended there.
        run: Which run that end belongs to.
    """

    params: Any
    value: float
    reached: int
    run: int


@dataclass(frozen=True, eq=False)
class ManySolutions:
    """The ends of many runs, as NumPy arrays with a leading axis for the runs.

    Attributes:
        params: The last point of each run.
        value: The loss there, NaN where it is not defined.
        grad_norm: The gradient's infinity norm there.
        status: How each run ended, a `Status`.
        steps: How many steps each took.
        work: What each evaluated, by kind.
        sizes: The typical size of each parameter at the starts: a minimum may lie at
            zero, where the ends themselves tell no size.
    """

    params: Any
    value: np.ndarray
    grad_norm: np.ndarray
    status: np.ndarray
    steps: np.ndarray
    work: Work
    sizes: Any

    @property
    def converged(self) -> np.ndarray:
        """Whether each run's gradient fell to `tol`."""
        return self.status == Status.CONVERGED

    @functools.cached_property
    def best(self) -> Minimum | None:
        """The lowest of the minima; None if no run came to rest."""
        return min(self.minima, key=lambda m: m.value) if self.minima else None

    @functools.cached_property
    def minima(self) -> tuple[Minimum, ...]:
        r"""The distinct minima, the lowest first; at most 1,000.

        Two ends are the same if each parameter differs by at most
        $\varepsilon^{1/4}$ of its typical size, at the starts or at the ends, or of a
        thousandth of the largest size in its leaf. Ends count where a run converged, or
        stalled at the floor of rounding. Where a minimum is flat, as that of $x^4$,
        runs end farther apart, and it may be counted several times.
        """
        rest = np.isin(self.status, (Status.CONVERGED, Status.STALLED))
        left = np.flatnonzero(rest & np.isfinite(self.value))
        left = left[np.argsort(self.value[left], kind="stable")]
        points, tolerance = self._scaled()
        minima = []
        while len(left) and len(minima) < _MOST_MINIMA:
            lowest = left[0]
            apart = np.abs(points[left] - points[lowest]) <= tolerance
            same = apart.all(1)
            minima.append(
                Minimum(
                    params=jax.tree.map(lambda leaf, k=lowest: leaf[k], self.params),
                    value=float(self.value[lowest]),
                    reached=int(same.sum()),
                    run=int(lowest),
                )
            )
            left = left[~same]
        return tuple(minima)

    def describe(self) -> str:
        """How the runs ended, and the minima found, in plain sentences.

        Returns:
            A few lines.
        """
        names = [Status(int(s)).name for s in self.status]
        counts = [f"{names.count(s.name)} {s.name}" for s in Status]
        ended = ", ".join(c for c in counts if not c.startswith("0 "))
        lines = [f"{len(names)} runs: {ended}."]
        if self.best is None:
            return f"{lines[0]} None came to rest."
        several = len(self.minima) > 1
        lines.append(
            f"{len(self.minima)} distinct {'ends' if several else 'end'}; the lowest "
            f"value is {self.best.value:.6g}, which {self.best.reached} runs reached."
        )
        return " ".join(lines)

    def _scaled(self) -> tuple[np.ndarray, float]:
        """Points as rows in units of each parameter's size; and how near is equal."""
        columns, eps = [], 0.0
        sizes = jax.tree.leaves(self.sizes)
        for leaf, size in zip(jax.tree.leaves(self.params), sizes, strict=True):
            rows = np.asarray(leaf, np.float64).reshape(len(self.status), -1)
            size = np.maximum(np.ravel(size), typical_size(rows))
            largest = max(float(np.max(size, initial=0.0)), 1e-300)
            columns.append(rows / np.maximum(size, 1e-3 * largest))
            eps = max(eps, float(np.finfo(leaf.dtype).eps))
        return np.concatenate(columns, axis=1), eps**0.25


def typical_size(rows: Any) -> np.ndarray:
    """Median of the absolute values along the first axis, of those that are finite.

    Args:
        rows: Points along the first axis.

    Returns:
        One size for each entry; zero where none is finite.
    """
    sizes = np.abs(np.asarray(rows, np.float64))
    known = np.isfinite(sizes)
    ordered = np.sort(np.where(known, sizes, np.inf), axis=0)
    middle = np.maximum(known.sum(axis=0) - 1, 0) // 2
    found = np.take_along_axis(ordered, middle[None], axis=0)[0]
    return np.where(np.isfinite(found), found, 0.0)
