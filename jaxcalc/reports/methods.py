"""How a comparison was made, in words: the paragraph of methods."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcalc.comparison import Comparison, Runs
from jaxcalc.reports import _frame
from jaxcalc.reports._numbers import number
from jaxcalc.reports.prose import listed, plural


def paragraph(comparison: Comparison) -> list[str]:
    """The protocol and the runs, in words; whatever is not known is not said.

    Args:
        comparison: What was run.

    Returns:
        Sentences.
    """
    problems, optimizers = len(comparison.problems), len(comparison.optimizers)
    return [
        f"{plural(optimizers, 'optimizer')} on {plural(problems, 'problem')}; every "
        "optimizer starts from the same points.",
        *_batches(comparison),
        *_tuned(comparison),
        *_untuned(comparison),
        *_evaluated(comparison),
        *_stopping(comparison),
        *_outside(comparison.protocol.get("unsupported")),
        "Gaps are measured from the known minimum, or else from the lowest value that "
        "any run of any optimizer has seen: one reference for all.",
        *_measured(comparison),
    ]


def spaces(comparison: Comparison) -> list[tuple[str, str]]:
    """What every optimizer could choose from.

    Args:
        comparison: What was run.

    Returns:
        Optimizers, each with its search space in words; empty where none is known.
    """
    given = comparison.protocol.get("spaces")
    if not isinstance(given, Mapping):
        return []
    found = []
    for name, space in given.items():
        parts = space.items() if isinstance(space, Mapping) else [("space", space)]
        text = "; ".join(f"{str(k).replace('_', ' ')}: {v}" for k, v in parts)
        found.append((str(name), text))
    return found


def _batches(comparison: Comparison) -> list[str]:
    """Who was evaluated on batches."""
    given = comparison.protocol.get("batches")
    if not isinstance(given, Mapping):
        return []
    if not given:
        return ["Every evaluation uses all the data of its problem (full batch)."]
    names = [_frame.title_of(comparison, str(name)) for name in given]
    return [
        f"Steps on {listed(names)} use minibatches, drawn by key inside the compiled "
        "loop in the same order for every optimizer."
    ]


def _tuned(comparison: Comparison) -> list[str]:
    """How many trials there were, from which ranges, and how one was chosen."""
    tuning = comparison.select(phase="tuning")
    if not tuning:
        return []
    seeds = plural(len(_distinct(tuning, "seeds")), "tuning seed")
    trials = comparison.protocol.get("trials")
    searched = any(set(run.settings) - {"learning_rate"} for run in tuning)
    rates = _distinct(tuning, "rates")
    if searched or not rates.size:
        each = trials if isinstance(trials, int) and trials else _most_settings(tuning)
        said = [
            f"Hyperparameters were tuned on each problem: {plural(each, 'trial')} for "
            f"each optimizer that has any, each tried on {seeds}."
        ]
    else:
        each = max(np.unique(run.rates).size for run in tuning)
        said = [
            f"Learning rates were tuned on each problem: {plural(each, 'rate')} for "
            f"each optimizer, between {number(rates[0])} and {number(rates[-1])}, each "
            f"tried on {seeds}."
        ]
    rule = comparison.protocol.get("rule")
    if isinstance(rule, str) and rule:
        said.append(f"The rule of choice: {rule}")
    return said


def _most_settings(tuning: Sequence[Runs]) -> int:
    """How many different settings an optimizer tried."""
    counts = [
        len(set(zip(*run.settings.values(), strict=True)))
        for run in tuning
        if run.settings
    ]
    return max(counts, default=0)


def _untuned(comparison: Comparison) -> list[str]:
    """Optimizers that were not tuned: without a rate, or with a single one."""
    said = []
    without = _without(comparison, rate=False)
    if without:
        said.append(
            f"{listed(without)} took part untuned: without a learning rate to choose."
        )
    given = _without(comparison, rate=True)
    if given:
        said.append(f"The learning rate of {listed(given)} was given, not tuned.")
    return said


def _without(comparison: Comparison, *, rate: bool) -> list[str]:
    return [
        name
        for name in comparison.optimizers
        if not comparison.select(optimizer=name, phase="tuning")
        and rate
        == any(
            bool(np.isfinite(run.rates[:1]).any())
            for run in comparison.select(optimizer=name)
        )
    ]


def _evaluated(comparison: Comparison) -> list[str]:
    evaluation = comparison.select(phase="evaluation")
    if not evaluation:
        return []
    seeds = plural(len(_distinct(evaluation, "seeds")), "evaluation seed")
    apart = _apart(comparison.select(phase="tuning"), evaluation)
    tail = ", none of which was used for tuning" if apart else ""
    said = [f"What is shown are runs from {seeds}{tail}."]
    metrics = sorted({name for run in evaluation for name in run.metrics})
    if metrics:
        said.append(f"Beside the loss, {listed(metrics)} was measured at the end.")
    return said


def _stopping(comparison: Comparison) -> list[str]:
    """When a run ends, and in which numbers it computes."""
    if not comparison.runs:
        return []
    steps = comparison.protocol.get("max_steps")
    longest = max(len(run.value) - 1 for run in comparison.runs)
    most = f"{steps:,}" if isinstance(steps, int) else f"{longest:,}"
    dtypes = sorted({str(run.value.dtype) for run in comparison.runs})
    said = f"A run has at most {most} steps, in {listed(dtypes)}"
    tol = comparison.protocol.get("tol")
    if isinstance(tol, int | float) and not isinstance(tol, bool):
        said += (
            f", and has converged when no entry of the gradient is above {number(tol)}"
        )
    return [f"{said}."]


def _outside(given: Any) -> list[str]:
    """Solvers that could not run everywhere, and why."""
    if not isinstance(given, Mapping):
        return []
    return [
        f"{name} did not run on {listed(list(map(str, why)))}: "
        f"{'; '.join(dict.fromkeys(map(str, why.values())))}."
        for name, why in given.items()
        if isinstance(why, Mapping) and why
    ]


def _measured(comparison: Comparison) -> list[str]:
    """What the axes count."""
    said = [
        "Work is counted in gradient-equivalents: every evaluation at what it costs in "
        "gradients, line searches included."
    ]
    evaluation = comparison.select(phase="evaluation")
    if any(np.isfinite(run.seconds_per_step) for run in evaluation):
        said.append(
            "Seconds are steps times the seconds of one unbatched step, compiled and "
            "warm; compiling is not in them, and stands in the ledger."
        )
    if any(np.isfinite(run.gradient_flops) for run in evaluation):
        said.append("FLOPs are those that XLA counts for one gradient, times the work.")
    return said


def _distinct(runs: Sequence[Runs], field: str) -> np.ndarray:
    """The different finite entries of a field over all lanes."""
    values = np.unique(np.concatenate([getattr(run, field) for run in runs]))
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _apart(tuning: Sequence[Runs], evaluation: Sequence[Runs]) -> bool:
    """Whether no seed serves both to tune and to evaluate."""
    if not tuning:
        return False
    shared = np.intersect1d(_distinct(tuning, "seeds"), _distinct(evaluation, "seeds"))
    return not shared.size
