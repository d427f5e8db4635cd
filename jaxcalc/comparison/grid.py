"""The lanes of one optimizer on one problem in one phase, and how they are laid out."""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxcalc.comparison import naming
from jaxcalc.comparison.lanes import Executable, Programs, Setting
from jaxcalc.comparison.measures import metrics_digest
from jaxcalc.comparison.parts import plain
from jaxcalc.comparison.results import Phase
from jaxcalc.minimization.step import Lane, is_costly
from jaxcalc.problems import Problem


class Layout(NamedTuple):
    """A grid's lanes in memory, and the program that advances them."""

    lanes: Lane
    settings: Setting
    together: bool
    program: Executable


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The lanes to run.

    Attributes:
        problem: The problem.
        optimizer: The optimizer's name.
        phase: What the runs are for.
        programs: The programs of the problem and the optimizer.
        hyper: Hyperparameters by name, each of shape `(lanes,)`; NaN where they are not
            chosen yet.
        seeds: Seed of each lane.
        tol: Bound on the gradient's infinity norm.
        mesh: Devices to spread the lanes over, None for one.
    """

    problem: Problem
    optimizer: str
    phase: Phase
    programs: Programs
    hyper: dict[str, np.ndarray]
    seeds: np.ndarray
    tol: np.ndarray
    mesh: Mesh | None = None

    @property
    def place(self) -> tuple[str, str, Phase]:
        """What people call the grid."""
        return (self.problem.name, self.optimizer, self.phase)

    @contextlib.contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """What a loss or an optimizer raises says which, and on which problem."""
        try:
            yield
        except Exception as error:
            problem, optimizer, _ = self.place
            error.add_note(
                f"`compare` was at the optimizer {optimizer!r} on {problem!r}."
            )
            raise

    @functools.cached_property
    def layout(self) -> Layout:
        """The lanes before their first step, and their program, not compiled yet."""
        programs, args = self.programs, self.problem.args
        draws = programs.functions.draw is not None
        settings = Setting(
            {n: np.asarray(v, self.tol.dtype) for n, v in self.hyper.items()},
            # Without batches nothing depends on a seed but the start.
            np.asarray(self.seeds * draws, np.uint32),
        )
        lanes = programs.start(
            [_start(self.problem, seed) for seed in self.seeds.tolist()], settings, args
        )
        # A line search or a factorization would make all lanes wait for the slowest.
        together = self.phase == "tuning" and not is_costly(lanes.state)
        if together:
            program = programs.side_by_side(
                lanes, settings, None, rows(1), self.tol, args
            )
        else:
            program = programs.alone(
                lane_of(lanes, 0), lane_of(settings, 0), rows(1), self.tol, args
            )
        return Layout(lanes, settings, together, program)

    @functools.cached_property
    def digest(self) -> str:
        """The name of the runs: a hash of the program and of all it is called with."""
        # Of how many devices share the work the name says nothing.
        layout = self.layout
        called_with = (layout.lanes, layout.settings, self.tol, self.problem.args)
        arrays = list(map(plain, jax.tree.leaves(called_with)))
        if self.phase == "evaluation":
            arrays.append(np.frombuffer(metrics_digest(self.problem), np.uint8))
        return naming.digest(layout.program.digest, self.phase, arrays)


@functools.lru_cache(maxsize=1024)
def _start(problem: Problem, seed: int) -> Any:
    return jax.tree.map(np.asarray, problem.start(seed))


def lane_of(tree: Any, index: int) -> Any:
    """One lane of a tree of lanes.

    Args:
        tree: Arrays with lanes along the last axis.
        index: Which lane.

    Returns:
        The tree without that axis.
    """
    return jax.tree.map(lambda leaf: leaf[..., index], tree)


def rows(count: int) -> np.ndarray:
    """How many points a program shall measure, as its argument.

    Args:
        count: How many.

    Returns:
        An array of shape `()`.
    """
    return np.asarray(count, np.int32)
