"""Figures of a comparison, at the size of a paper's columns.

Each function takes results and returns a `matplotlib.figure.Figure`; whoever called it
saves it. Nothing global is changed: no pyplot, no settings that stay.

With `theme="dark"` a figure is drawn for a dark page. With `bare=True` it comes without
title and legend, for a page that has its own.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxcalc import _checks
from jaxcalc.comparison import Comparison
from jaxcalc.reports import _frame, palette, series
from jaxcalc.reports.contours import paths
from jaxcalc.reports.palette import DOUBLE, SINGLE, ThemeName
from jaxcalc.reports.series import Curve, Rates, XAxis, YAxis

__all__ = ["convergence", "convergence_panels", "paths", "rate_sensitivity"]

HEIGHT = 2.1  # inches, of the axes alone


def convergence(
    comparison: Comparison,
    problem: str,
    x: XAxis = "steps",
    y: YAxis = "gap",
    *,
    theme: ThemeName = "light",
    bare: bool = False,
) -> Figure:
    """How far each optimizer has come: median and interquartile band over seeds.

    A run that ended holds its last value; one that diverged counts as infinite from
    its end on. A line ends, with its marker, where the last of its runs ended; where
    half of them have diverged it ends in a cross. Gaps below the rounding of the loss
    (`series.rounding`) are drawn there.

    Args:
        comparison: What was run.
        problem: The problem's name.
        x: "steps", "work" (gradient-equivalents) or "seconds".
        y: "gap" (above `Comparison.reference`), "value" or "grad_norm".
        theme: "light" or "dark".
        bare: Without title and legend.

    Returns:
        A figure one column wide.

    Raises:
        ValueError: The problem, an axis or the theme is unknown.
    """
    _check(comparison, problem, x, y)
    with palette.drawing(theme):
        fig = _frame.sheet(SINGLE, HEIGHT)
        failed = _convergence(fig.subplots(), comparison, problem, x, y, theme)
        if bare:
            return fig
        handles = _legend(comparison, problem, theme, dict.fromkeys(failed, "diverged"))
        return _frame.finish(fig, _frame.title_of(comparison, problem), handles)


def convergence_panels(
    comparison: Comparison,
    problem: str,
    y: YAxis = "gap",
    *,
    theme: ThemeName = "light",
) -> Figure:
    """Convergence against steps, work and seconds, side by side under one legend.

    Args:
        comparison: What was run.
        problem: The problem's name.
        y: "gap" (above `Comparison.reference`), "value" or "grad_norm".
        theme: "light" or "dark".

    Returns:
        A figure two columns wide.

    Raises:
        ValueError: The problem, the axis or the theme is unknown.
    """
    _check(comparison, problem, "steps", y)
    with palette.drawing(theme):
        fig = _frame.sheet(DOUBLE, HEIGHT)
        failed = set()
        panels = fig.subplots(1, 3, sharey=True)
        for ax, x in zip(panels, ("steps", "work", "seconds"), strict=True):
            failed |= _convergence(ax, comparison, problem, x, y, theme)
            ax.label_outer()
        fig.align_xlabels()
        handles = _legend(comparison, problem, theme, dict.fromkeys(failed, "diverged"))
        return _frame.finish(fig, _frame.title_of(comparison, problem), handles)


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
    _check(comparison, problem, "steps", "gap")
    with palette.drawing(theme):
        found = {
            name: rates
            for name in comparison.optimizers
            if (rates := series.rates(comparison, problem, name)) is not None
        }
        bad = [name for name, rates in found.items() if rates.failed.any()]
        strip = 0.085 * len(bad) + 0.03
        fig = _frame.sheet(SINGLE, HEIGHT + strip)
        if bad:
            top, ax = fig.subplots(2, sharex=True, height_ratios=(strip, HEIGHT))
            fig.set_layout_engine("constrained", hspace=0)
            _diverged(top, {name: found[name] for name in bad}, comparison, theme)
        else:
            ax = fig.subplots()
        _sensitivity(ax, found, comparison, problem, theme)
        if bare:
            return fig
        untuned = [name for name, rates in found.items() if rates.tried.size == 0]
        handles = _legend(comparison, problem, theme, dict.fromkeys(untuned, "no rate"))
        return _frame.finish(fig, _frame.title_of(comparison, problem), handles)


def _check(comparison: Comparison, problem: str, x: str, y: str) -> None:
    """Refuse what is not there, with what is."""
    _checks.known("problem", problem, comparison.problems)
    _checks.known("x axis", x, ("steps", "work", "seconds"))
    _checks.known("y axis", y, ("gap", "value", "grad_norm"))


def _legend(
    comparison: Comparison, problem: str, theme: ThemeName, notes: dict[str, str]
) -> list[Line2D]:
    """An entry for each optimizer that ran on the problem."""
    there = {run.optimizer for run in comparison.select(problem)}
    return [
        _frame.entry(name, look, theme, notes.get(name, ""))
        for name, look in _frame.looks_of(comparison).items()
        if name in there
    ]


def _ylabel(comparison: Comparison, problem: str, y: YAxis) -> str:
    """What the vertical axis shows, for people."""
    if y == "gap":
        known = problem in comparison.minimum
        return "loss − minimum" if known else "loss − lowest seen"
    return "loss" if y == "value" else "largest gradient entry"


def _convergence(
    ax: Axes,
    comparison: Comparison,
    problem: str,
    x: XAxis,
    y: YAxis,
    theme: ThemeName,
) -> set[str]:
    """Draw one panel; returns the optimizers half of whose runs diverged."""
    reference = comparison.reference(problem)
    runs = comparison.select(problem, phase="evaluation")
    curves = {run.optimizer: series.curve(run, x, y, reference) for run in runs}
    found = {k: c for k, c in curves.items() if c and np.isfinite(c.middle).any()}
    palette.dress(ax, theme)
    ax.set_ylabel(_ylabel(comparison, problem, y))
    ax.set_xlabel(_frame.XLABEL[x])
    failed = {k for k, c in curves.items() if c and not np.isfinite(c.middle[-1])}
    if not found:
        why = "Every optimizer diverged." if failed else _nothing(x, bool(runs))
        _frame.message(ax, why, theme, empty=True)
        return failed
    floor = _scale_y(ax, list(found.values()), comparison, problem, y)
    # The picture ends where the last line does or leaves it.
    top = ax.get_ylim()[1]
    last = {k: np.flatnonzero(c.middle <= top).max(initial=0) for k, c in found.items()}
    ends = {k: float(c.x[last[k]]) for k, c in found.items()}
    # What diverged at once is no reason for a logarithmic axis.
    counted = [end for k, end in ends.items() if k not in failed and end > 0]
    counted.append(max(ends.values()) or 1.0)
    firsts = [c.x[c.x > 0][0] for c in found.values() if c.x[-1] > 0]
    _frame.scale_x(ax, x, counted, firsts or [1.0])
    for order, (name, look) in enumerate(_frame.looks_of(comparison).items()):
        if name in found:
            kept = series.thinned(found[name], _frame.position(ax, found[name].x))
            _line(ax, kept, x, floor, _frame.stroke(look, theme), order)
    if failed >= set(curves):
        _frame.message(ax, "Every optimizer diverged.", theme, empty=False)
    return failed


def _nothing(x: XAxis, ran: bool) -> str:
    """Why a panel is empty though nothing diverged."""
    if not ran:
        return "There are no evaluation runs."
    return (
        "Seconds per step\nwere not measured." if x == "seconds" else "Nothing to see."
    )


def _scale_y(
    ax: Axes, curves: list[Curve], comparison: Comparison, problem: str, y: YAxis
) -> float:
    """Choose the vertical scale and limits; returns the lowest value to draw."""
    middle = np.concatenate([c.middle for c in curves])
    middle = middle[np.isfinite(middle)]
    start = max(c.high[0] if np.isfinite(c.high[0]) else c.middle[0] for c in curves)
    if y == "value" and not (middle.min() > 0 and start > 30 * middle.min()):
        low = np.concatenate([c.low for c in curves])
        bottom = low[np.isfinite(low)].min()
        room = 0.04 * max(start - bottom, 1e-12 * max(abs(start), 1.0))
        ax.set_ylim(bottom - room, start + 3 * room)
        return -np.inf
    floor = 0.0 if y == "value" else series.rounding(comparison, problem, y)
    bottom = max(middle.min(), floor)
    top = min(max(middle.max(), start), 20 * max(start, bottom))
    ax.set_yscale("log")
    ax.set_ylim(bottom / 1.8, max(top, 10 * bottom) * 1.8)
    _frame.log_ticks(ax.yaxis)
    return floor


def _line(
    ax: Axes,
    found: Curve,
    x_axis: XAxis,
    floor: float,
    stroke: dict[str, Any],
    order: int,
) -> None:
    """A median with its band, sparse markers, and a mark where it ends."""
    # A step is worth nothing before it is paid for; steps themselves are points, and
    # lines between them only guide the eye.
    kind: Any = None if x_axis == "steps" else "post"
    style = "default" if kind is None else "steps-post"
    low, high = ax.get_ylim()
    # Bands and lines leave the picture a little above its top and never further: far
    # points would overflow in a PDF.
    ceiling = high * 10 if ax.get_yscale() == "log" else high + 10 * (high - low)
    shown = np.cumsum(~np.isfinite(found.middle)) == 0
    middle = np.clip(found.middle, floor, ceiling)
    colour = stroke["color"]
    if np.any(found.high > found.low):
        below, above = (np.clip(e, floor, ceiling) for e in (found.low, found.high))
        ax.fill_between(
            found.x, below, above, step=kind, color=colour, alpha=0.15, linewidth=0
        )
    x, middle = found.x[shown], middle[shown]
    place = _frame.position(ax, x)
    marks = np.searchsorted(place, np.arange(0.1 + 0.019 * (order % 12), 0.97, 0.25))
    marks = np.unique(marks[marks < x.size - 1])
    over = 3 + 0.01 * order
    ax.plot(x, middle, **stroke, drawstyle=style, markevery=list(marks), zorder=over)
    end: dict[str, Any] = stroke | {"markersize": 5, "clip_on": False, "zorder": 4}
    at, height = x[-1:], middle[-1:]
    if not shown.all():
        end |= {"marker": "x", "markeredgewidth": 1.4}
        if (height > high).any():
            # The cross lies where the line leaves the picture for good.
            out = int(np.flatnonzero(middle <= high).max(initial=-1)) + 1
            at, height = x[out : out + 1], np.array([high])
    ax.plot(at, height, **end)


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
    ax.set_ylabel("final " + _ylabel(comparison, problem, "gap"))
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
