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

from jaxcalc.comparison import Comparison
from jaxcalc.reports import _frame, palette, series
from jaxcalc.reports.contours import paths
from jaxcalc.reports.palette import DOUBLE, SINGLE, ThemeName
from jaxcalc.reports.rates import rate_sensitivity
from jaxcalc.reports.series import Curve, XAxis, YAxis

__all__ = ["convergence", "convergence_panels", "paths", "rate_sensitivity"]


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
    _frame.check(comparison, problem, x, y)
    with palette.drawing(theme):
        fig = _frame.sheet(SINGLE, _frame.HEIGHT)
        failed = _convergence(fig.subplots(), comparison, problem, x, y, theme)
        if bare:
            return fig
        handles = _frame.legend(comparison, problem, theme, failed, "diverged")
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
    _frame.check(comparison, problem, "steps", y)
    with palette.drawing(theme):
        fig = _frame.sheet(DOUBLE, _frame.HEIGHT)
        failed = set()
        panels = fig.subplots(1, 3, sharey=True)
        for ax, x in zip(panels, ("steps", "work", "seconds"), strict=True):
            failed |= _convergence(ax, comparison, problem, x, y, theme)
            ax.label_outer()
        fig.align_xlabels()
        handles = _frame.legend(comparison, problem, theme, failed, "diverged")
        return _frame.finish(fig, _frame.title_of(comparison, problem), handles)


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
    ax.set_ylabel(_frame.ylabel(comparison, problem, y))
    ax.set_xlabel(_frame.XLABEL[x])
    failed = {k for k, c in curves.items() if c and not np.isfinite(c.middle[-1])}
    if not found:
        why = "Every optimizer diverged." if failed else _nothing(x, bool(runs))
        _frame.message(ax, why, theme, empty=True)
        return failed
    floor = _scale_y(ax, list(found.values()), comparison, problem, y)
    # The picture ends where the last line does, or where it leaves for good.
    inside = {k: np.flatnonzero(c.middle <= ax.get_ylim()[1]) for k, c in found.items()}
    ends = {
        k: float(c.x[min(inside[k].max(initial=-1) + 1, c.x.size - 1)])
        for k, c in found.items()
    }
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
    start = max((h for c in curves if np.isfinite(h := c.high[0])), default=middle[0])
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
