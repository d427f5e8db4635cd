"""How comparisons are run: what the command line says of it, for all experiments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from jaxcalc import sharding
from jaxcalc.comparison import Comparison, compare
from jaxcalc.problems import Problem


@dataclass(frozen=True)
class Way:
    """How to run comparisons.

    Attributes:
        share: `(index, count)` of the work to do, None for all of it.
        resume: Whether to go on from what is in the experiment's store.
        time_budget: Seconds for each comparison, None for any time.
        distributed: Whether this is one of several processes.
    """

    share: tuple[int, int] | None = None
    resume: bool = True
    time_budget: float | None = None
    distributed: bool = False


class NothingToWrite(Exception):  # noqa: N818 - it is no error
    """This process has done its part; another one writes what was found."""


# Set once, by the command line.
way = Way()


def compared(
    problems: Problem | Iterable[Problem],
    optimizers: Mapping[str, Any],
    *,
    out: Path,
    last: bool = True,
    **settings: Any,
) -> Comparison:
    """Compare optimizers in the way that the command line asks for.

    Args:
        problems: As `compare` takes them.
        optimizers: As `compare` takes them.
        out: The experiment's folder; its store lies in it.
        last: Whether no other comparison of this experiment follows.
        **settings: What else `compare` takes.

    Returns:
        The comparison.

    Raises:
        NothingToWrite: This is a slice of the work, or not the process that writes.
    """
    several = way.distributed or jax.device_count() > 1
    comparison = compare(
        problems,
        optimizers,
        store=out / "store" if way.resume else None,
        share=way.share,
        time_budget=way.time_budget,
        mesh=sharding.mesh() if several else None,
        progress=True,
        **settings,
    )
    if last and (way.share is not None or not sharding.is_main()):
        raise NothingToWrite
    return comparison
