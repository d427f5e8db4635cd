"""A comparison most of whose runs end early, with closed ranks and without."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import compare, problems
from jaxcalc.comparison import compaction

# Nine rates with which runs end within sixty steps, and one that is far too small.
RATES = [1e-5, *np.linspace(0.5, 1.5, 9).tolist()]
STEPS = 2_000
PROBLEM = problems.digits_softmax(ridge=0.1).astype(jnp.float32)


def race() -> Any:
    """Tune gradient descent; one evaluation seed, as it must have one."""
    return compare(
        PROBLEM,
        {"sgd": optax.sgd},
        rates=RATES,
        tuning_seeds=range(1, 9),
        seeds=[0],
        max_steps=STEPS,
        tol=1e-3,
    )


def in_open_ranks() -> Any:
    """The same, carrying along what has ended."""
    worth = compaction._WORTH_OPERATIONS
    compaction._WORTH_OPERATIONS = np.inf
    try:
        return race()
    finally:
        compaction._WORTH_OPERATIONS = worth


def main() -> None:
    """Print how much time closing ranks leaves, once everything is compiled."""
    ways: dict[str, Callable[[], Any]] = {"closed": race, "open": in_open_ranks}
    seconds, answers = interleaved(ways, repeats=5)
    tuned = answers["closed"].select(phase="tuning")[0]
    other = answers["open"].select(phase="tuning")[0]
    early = float(np.mean(tuned.steps < 64))
    np.testing.assert_allclose(tuned.final_value, other.final_value, rtol=1e-4)
    claim = f"{len(tuned.steps)} runs, {early:.0%} of which end early, closed / open"
    report(claim, seconds, "closed", "open", 1 / 3)


if __name__ == "__main__":
    main()
