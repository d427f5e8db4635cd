"""The record of a solver that runs its own loop."""

import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxcalc.comparison.results import Runs
from jaxcalc.problems import Problem


@dataclass(frozen=True, kw_only=True)
class External:
    """A solver of another package, as an entry of a comparison.

    It has no learning rate, so it takes part untuned.

    Attributes:
        label: What it is, with its package and version.
        digest: Text that names the solver, its options and its version; equal texts
            lead to equal runs.
        run: `run(problem, seeds, max_steps, tol)`: evaluation runs from the starts of
            these seeds, one lane each, under the name `label`.
        supports: `supports(problem)`: why the solver can't run on a problem; empty if
            it can.
    """

    label: str
    digest: str
    run: Callable[[Problem, Sequence[int], int, float], Runs]
    supports: Callable[[Problem], str]


def package(module: str, distribution: str) -> Any:
    """An optional package, imported where it is used.

    Args:
        module: What to import.
        distribution: The name under which it is installed.

    Returns:
        The module.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{distribution}'s solvers need {distribution}: "
            "pip install 'jaxcalc[adaptors]'"
        ) from error


def titled(distribution: str, name: str, shown: str) -> str:
    """What a solver is called, with the version of its package.

    Args:
        distribution: The name under which the package is installed.
        name: The solver.
        shown: How people write the package's name.

    Returns:
        For example "SciPy 1.17.1 BFGS".
    """
    return f"{shown} {importlib.metadata.version(distribution)} {name}"


def needs_batches(problem: Problem) -> str:
    """Why no solver that runs its own loop can run on a problem.

    Args:
        problem: The problem.

    Returns:
        The reason; empty if steps see the whole data.
    """
    if problem.draw is None:
        return ""
    return (
        f"{problem.name} draws a batch at each step, and a solver of another package "
        "sees one loss from its start to its end"
    )
