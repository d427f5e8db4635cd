"""Time several ways to the same answer, side by side."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def interleaved(
    ways: dict[str, Callable[[], Any]], *, repeats: int = 11, calls: int = 1
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Run every way once to warm up, then all of them in turn, several times.

    Args:
        ways: Functions without arguments, by name.
        repeats: How often to run each.
        calls: Calls in a row that count as one run: after somebody else's turn, caches
            and sleeping threads make the first call of a short program a slow one.

    Returns:
        Seconds of each run, and the answer of each way, by name.
    """
    answers = {name: jax.block_until_ready(way()) for name, way in ways.items()}
    seconds = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            begin = time.perf_counter()
            for _ in range(calls):
                jax.block_until_ready(way())
            seconds[name].append((time.perf_counter() - begin) / calls)
    return seconds, answers


def report(
    claim: str, seconds: dict[str, list[float]], ours: str, theirs: str, limit: float
) -> float:
    """Print the ratio of medians, and its spread over the repeats.

    Args:
        claim: What is compared.
        seconds: What `interleaved` measured.
        ours: Name of the numerator.
        theirs: Name of the denominator.
        limit: The ratio to stay below.

    Returns:
        The ratio.
    """
    ratio = float(np.median(seconds[ours]) / np.median(seconds[theirs]))
    pairs = np.asarray(seconds[ours]) / np.asarray(seconds[theirs])
    low, high = np.quantile(pairs, (0.25, 0.75))
    met = "within" if ratio <= limit else "ABOVE"
    print(
        f"{claim}: {ratio:.3g} (quartiles {low:.3g} to {high:.3g}), "
        f"{met} the limit of {limit:g}",
        flush=True,
    )
    return ratio
