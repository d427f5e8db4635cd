"""What is left at the end of a run against its learning rate."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcalc.comparison import Comparison
from jaxcalc.reports import _frame, palette, series
from jaxcalc.reports.palette import SINGLE, ThemeName
from jaxcalc.reports.series import Rates


def rate_sensitivity(
    comparison: Comparison,
    problem: str,
    *,
    theme: ThemeName = "light",
    bare: bool = False,
) -> Figure:
    """What is left at the end of a run against its learning rate.

    Median and interquartile band over tuning seeds; a ring marks the chosen rate.
    Above, a row for each optimizer shows the rates that diverge: a cross where half
    of the seeds or more do, a dot where some do. An optimizer without a learning rate
    is a level line.

    Args:
        comparison: What was run.
        problem: The problem's name.
        theme: "light" or "dark".
        bare: Without title and legend.

    Returns:
        A figure one column wide.

    Raises:
        ValueError: The problem or the theme is unknown.
    """
    _frame.check(comparison, problem, "steps", "gap")
    with palette.drawing(theme):
        found = {
            name: rates
            for name in comparison.optimizers
            if (rates := series.rates(comparison, problem, name)) is not None
        }
        bad = [name for name, rates in found.items() if rates.failed.any()]
        strip = 0.085 * len(bad) + 0.03
        fig = _frame.sheet(SINGLE, _frame.HEIGHT + strip)
        if bad:
            top, ax = fig.subplots(2, sharex=True, height_ratios=(strip, _frame.HEIGHT))
            fig.set_layout_engine("constrained", hspace=0)
            _diverged(top, {name: found[name] for name in bad}, comparison, theme)
        else:
            ax = fig.subplots()
        _sensitivity(ax, found, comparison, problem, theme)
        if bare:
            return fig
        untuned = [name for name, rates in found.items() if rates.tried.size == 0]
        handles = _frame.legend(comparison, problem, theme, untuned, "untuned")
        return _frame.finish(fig, _frame.title_of(comparison, problem), handles)


def _diverged(
    ax: Axes, found: dict[str, Rates], comparison: Comparison, theme: ThemeName
) -> None:
    """A row for each optimizer with rates that diverge."""
    palette.dress(ax, theme)
    ax.grid(visible=False)
    looks = _frame.looks_of(comparison)
    for row, (name, rates) in enumerate(reversed(found.items())):
        colour = looks[name].colour(theme)
        most = rates.failed >= 0.5
        some = (rates.failed > 0) & ~most
        ax.plot(
            rates.tried[most],
            np.full(most.sum(), row),
            "x",
            color=colour,
            markersize=4,
            markeredgewidth=1.2,
        )
        ax.plot(rates.tried[some], np.full(some.sum(), row), ".", color=colour)
    ax.set_ylim(-0.7, len(found) - 0.3)
    ax.set_yticks([])
    ax.tick_params(which="both", length=0, labelbottom=False)
    ax.set_ylabel("diverged", rotation=0, ha="right", va="center", fontsize=7)
    ax.axhspan(-0.7, len(found) - 0.3, color=palette.THEMES[theme].grid, alpha=0.5)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def _sensitivity(
    ax: Axes,
    found: dict[str, Rates],
    comparison: Comparison,
    problem: str,
    theme: ThemeName,
) -> None:
    """Final gaps against rates, below the strip."""
    palette.dress(ax, theme)
    ax.set_xlabel("learning rate")
    ax.set_ylabel("final " + _frame.ylabel(comparison, problem, "gap"))
    floor = series.rounding(comparison, problem)
    middles = np.concatenate([r.middle for r in found.values()] or [np.empty(0)])
    tried = np.concatenate([r.tried for r in found.values()] or [np.empty(0)])
    drawn = np.maximum(middles[np.isfinite(middles)], floor)
    if tried.size:
        room = 1.3 if tried.max() > tried.min() else 4
        ax.set_xscale("log")
        ax.set_xlim(tried.min() / room, tried.max() * room)
        _frame.log_ticks(ax.xaxis)
    if not drawn.size:
        ax.set_yticks([])
        _frame.message(ax, "Every rate diverged.", theme, empty=not tried.size)
        return
    ax.set_yscale("log")
    ax.set_ylim(drawn.min() / 2, max(drawn.max(), 10 * drawn.min()) * 2)
    _frame.log_ticks(ax.yaxis)
    if not tried.size:
        ax.set_xticks([])
        _frame.message(ax, "No learning rates were tried.", theme, empty=False)
    for order, (name, look) in enumerate(_frame.looks_of(comparison).items()):
        if name in found:
            _rate_line(ax, found[name], floor, _frame.stroke(look, theme), order, theme)


def _rate_line(
    ax: Axes,
    rates: Rates,
    floor: float,
    stroke: dict[str, Any],
    order: int,
    theme: ThemeName,
) -> None:
    """One optimizer's final gap at each rate, with a ring around the chosen one."""
    ceiling = ax.get_ylim()[1] * 10
    low, middle, high = (
        np.clip(part, floor, ceiling) for part in (rates.low, rates.middle, rates.high)
    )
    over = 3 + 0.01 * order
    if not rates.tried.size:
        if np.isfinite(rates.middle).all():
            level: dict[str, Any] = stroke | {"marker": ""}
            ax.axhline(middle[0], **level, zorder=over)
        return
    middle = np.where(np.isfinite(rates.middle), middle, np.nan)
    if np.any(rates.high > rates.low):
        shown = np.isfinite(rates.middle)
        colour = stroke["color"]
        ax.fill_between(
            rates.tried, low, high, where=shown, color=colour, alpha=0.15, linewidth=0
        )
    ax.plot(rates.tried, middle, **stroke, zorder=over)
    at = np.flatnonzero(np.isclose(rates.tried, rates.chosen, rtol=1e-6, atol=0))
    ring: dict[str, Any] = {
        "marker": "o",
        "markersize": 8,
        "markerfacecolor": "none",
        "markeredgewidth": 1.1,
        "markeredgecolor": palette.THEMES[theme].ink,
        "linestyle": "",
    }
    ax.plot(rates.tried[at], middle[at], **ring, zorder=over + 1)
