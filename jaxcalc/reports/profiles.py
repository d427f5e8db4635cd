"""Figures over all problems: profiles, success, and the odds of beating another.

Each function takes a comparison and returns a `matplotlib.figure.Figure`; beside it is
a function with the sentences that go under it. Every optimizer keeps its look, whatever
`subset` is shown; the numbers are those of the subset alone.

With `theme="dark"` a figure is drawn for a dark page. With `bare=True` it comes without
its title, for a page that has its own.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from jaxcalc.comparison import Comparison
from jaxcalc.comparison import profiles as numbers
from jaxcalc.comparison.profiles import ACCURACIES, Measure, Profile, Successes
from jaxcalc.reports import _frame, _profiles_lines, _profiles_matrix, _text, palette
from jaxcalc.reports._numbers import number
from jaxcalc.reports._profiles_captions import (
    WORDS,
    data_caption,
    performance_caption,
    success_caption,
    wins_caption,
)
from jaxcalc.reports.palette import DOUBLE, SINGLE, ThemeName

__all__ = [
    "data_caption",
    "data_profile",
    "performance_caption",
    "performance_profile",
    "success",
    "success_caption",
    "wins",
    "wins_caption",
]


def performance_profile(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracy: float = 1e-5,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 500,
    level: float = 0.9,
    theme: ThemeName = "light",
    bare: bool = False,
) -> Figure:
    """The share of runs solved within a multiple of the least cost, with bands.

    Args:
        comparison: What was run.
        measure: What runs are charged with, as in `profiles.costs`.
        accuracy: The target: this fraction of a run's starting gap.
        subset: Optimizers to compare; None for all.
        resamples: Bootstrap resamples of problems and seeds for the bands; none with 0.
        level: The share of the resamples within a band.
        theme: "light" or "dark".
        bare: Without title.

    Returns:
        A figure of a column and a half.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    spent = numbers.costs(comparison, measure, accuracy)
    found = numbers.performance_profile(
        spent, subset=subset, resamples=resamples, level=level
    )
    title = f"Performance profile: gap down to {number(accuracy)} of its start"
    return _curves(comparison, found, "" if bare else title, theme)


def data_profile(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracy: float = 1e-5,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 500,
    level: float = 0.9,
    theme: ThemeName = "light",
    bare: bool = False,
) -> Figure:
    """The share of runs solved within a budget, with bands.

    Args:
        comparison: What was run.
        measure: What runs are charged with, as in `profiles.costs`; with
            "simplex_gradients" it is the profile of Moré and Wild.
        accuracy: The target: this fraction of a run's starting gap.
        subset: Optimizers to compare; None for all.
        resamples: Bootstrap resamples of problems and seeds for the bands; none with 0.
        level: The share of the resamples within a band.
        theme: "light" or "dark".
        bare: Without title.

    Returns:
        A figure of a column and a half.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    spent = numbers.costs(comparison, measure, accuracy)
    found = numbers.data_profile(spent, subset=subset, resamples=resamples, level=level)
    title = f"Data profile: gap down to {number(accuracy)} of its start"
    return _curves(comparison, found, "" if bare else title, theme)


def success(
    comparison: Comparison,
    accuracies: Iterable[float] = ACCURACIES,
    *,
    subset: Sequence[str] | None = None,
    level: float = 0.95,
    theme: ThemeName = "light",
    bare: bool = False,
) -> Figure:
    """The share of runs that reach each target, with Wilson's intervals.

    Args:
        comparison: What was run.
        accuracies: Targets: fractions of a run's starting gap.
        subset: Optimizers to show; None for all.
        level: The intervals' coverage.
        theme: "light" or "dark".
        bare: Without title.

    Returns:
        A figure two columns wide, a panel for each target; who succeeds most is on top.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    found = numbers.success(comparison, accuracies, subset=subset, level=level)
    order = np.argsort(np.nan_to_num(found.rate.mean(axis=0), nan=-1), stable=True)
    with palette.drawing(theme):
        fig = _frame.sheet(DOUBLE, 0.55 + 0.17 * len(order))
        panels = fig.subplots(1, len(found.accuracies), sharey=True, squeeze=False)[0]
        for place, ax in enumerate(panels):
            _rates(ax, comparison, found, place, order, theme)
        fig.supxlabel("share of the runs", fontsize=8)
        return _frame.finish(fig, "" if bare else "Runs that reach each target", [])


def wins(
    comparison: Comparison,
    measure: Measure = "gradient_equivalents",
    accuracy: float = 1e-5,
    *,
    subset: Sequence[str] | None = None,
    resamples: int = 1000,
    level: float = 0.9,
    theme: ThemeName = "light",
    bare: bool = False,
) -> Figure:
    """How probable it is that the optimizer of a row is cheaper than that of a column.

    Args:
        comparison: What was run.
        measure: What runs are charged with, as in `profiles.costs`.
        accuracy: The target: this fraction of a run's starting gap.
        subset: Optimizers to compare; None for all.
        resamples: Bootstrap resamples of problems and seeds for the intervals.
        level: The share of the resamples within an interval.
        theme: "light" or "dark".
        bare: Without title.

    Returns:
        A matrix in percent; who wins most is on top.

    Raises:
        ValueError: A name is unknown, or an option is out of range.
    """
    spent = numbers.costs(comparison, measure, accuracy)
    found = numbers.wins(spent, subset=subset, resamples=resamples, level=level)
    count = len(found.optimizers)
    title = f"Odds of being cheaper to {number(accuracy)} of the gap"
    with palette.drawing(theme):
        width = min(DOUBLE, max(SINGLE, 1.1 + 0.5 * count))
        fig = _frame.sheet(width, 0.75 + 0.34 * count)
        _profiles_matrix.draw(fig.subplots(), found, theme)
        return _frame.finish(fig, "" if bare else title, [])


def _curves(
    comparison: Comparison, found: Profile, title: str, theme: ThemeName
) -> Figure:
    """A profile on a sheet of its own."""
    looks = _frame.looks_of(comparison)
    with palette.drawing(theme):
        height = max(_frame.HEIGHT, 0.55 + 0.14 * len(found.optimizers)) + 0.2
        fig = _frame.sheet(1.4 * SINGLE, height)
        ax = fig.subplots()
        palette.dress(ax, theme)
        _profiles_lines.draw(ax, found, looks, theme)
        words = WORDS.get(found.measure, found.measure)
        least = f"{words}, as a multiple of the least"
        ax.set_xlabel(least if found.kind == "performance" else words)
        ax.set_ylabel("share of runs solved")
        return _frame.finish(fig, title, [])


def _rates(
    ax: Axes,
    comparison: Comparison,
    found: Successes,
    place: int,
    order: np.ndarray,
    theme: ThemeName,
) -> None:
    """One target: a dot and an interval for each optimizer."""
    palette.dress(ax, theme)
    looks = _frame.looks_of(comparison)
    for row, k in enumerate(order):
        look = looks[found.optimizers[k]]
        colour = look.colour(theme)
        ends = [found.low[place, k], found.high[place, k]]
        ax.plot(ends, [row, row], color=colour, linewidth=2.2, alpha=0.45)
        ax.plot(
            found.rate[place, k],
            row,
            look.marker,
            color=colour,
            markersize=4.5,
            markeredgewidth=0,
            clip_on=False,
            zorder=4,
        )
    names = [_text.label(found.optimizers[k], 24) for k in order]
    ax.set_yticks(range(len(order)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.6, len(order) - 0.4)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1])
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.spines["left"].set_visible(False)
    ax.set_title(f"{number(found.accuracies[place])} of the gap", fontsize=8)
