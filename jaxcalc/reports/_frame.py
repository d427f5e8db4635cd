"""What all figures share: a sheet of paper's width, a title, a legend, axes."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    EngFormatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)

from jaxcalc import _checks
from jaxcalc.comparison import Comparison
from jaxcalc.reports import _numbers, _text, palette
from jaxcalc.reports.palette import Look, ThemeName

HEIGHT = 2.1  # inches, of a panel
XLABEL = {
    "steps": "steps",
    "work": "work (gradient evaluations)",
    "seconds": "time of one run",
}
_PLAIN = FuncFormatter(lambda value, _: _numbers.number(value))
_POWERS = FuncFormatter(
    lambda value, _: (
        f"10{_numbers.raised(round(math.log10(value)))}" if value > 0 else ""
    )
)
_ROW = 0.15  # inches for a row of the legend
_FONT, _HANDLE, _GAP = 7.5, 2.6, 1.4  # its font in points; the rest in such fonts


def sheet(width: float, height: float) -> Figure:
    """An empty figure; `height` is that of the axes, and title and legend come on top.

    Args:
        width: Inches.
        height: Inches.

    Returns:
        A figure with a resolution for print.
    """
    return Figure(figsize=(width, height), dpi=200, layout="constrained")


def title_of(comparison: Comparison, problem: str) -> str:
    """What people call a problem.

    Args:
        comparison: What was run.
        problem: The problem's name.

    Returns:
        Its title, or else its name.
    """
    return comparison.titles.get(problem) or problem


def finish(fig: Figure, title: str, handles: Sequence[Line2D]) -> Figure:
    """Put a title above and a legend below, and make the figure taller for them.

    Args:
        fig: The figure, with its axes.
        title: Any text; none if empty.
        handles: Lines with their labels; no legend if empty.

    Returns:
        The same figure.
    """
    width, height = fig.get_size_inches()
    if title:
        height += 0.2
        size, room = 8.5, (width - 0.15) * 72 / 1.12  # bold is an eighth wider
        while _text.width(_text.label(title, 200), size) > room and size > 7:
            size -= 0.5
        letters = int(200 if size > 7 else room / (7 * 0.55))
        shown = _text.label(title, letters)
        fig.suptitle(shown, x=0.01, ha="left", fontsize=size, weight="bold")
    if handles:
        columns = _columns([str(h.get_label()) for h in handles], width)
        height += _ROW * math.ceil(len(handles) / columns) + 0.08
        fig.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns,
            handlelength=_HANDLE,
            handletextpad=0.6,
            columnspacing=_GAP,
            labelspacing=0.35,
            borderpad=0.1,
        )
    fig.set_size_inches(width, height)
    return fig


def _columns(labels: Sequence[str], width: float) -> int:
    """How many columns of a legend fit side by side, filled one after the other."""
    widths = [_text.width(text, _FONT) for text in labels]
    for count in range(len(labels), 1, -1):
        parts = np.array_split(widths, count)
        needed = sum(part.max() + (_HANDLE + 0.6 + _GAP) * _FONT for part in parts)
        # A full row with one entry below it looks like a mistake: fewer columns do.
        ragged = len(parts[0]) - len(parts[-1]) > 1 or math.ceil(
            len(labels) / count
        ) == math.ceil(len(labels) / (count - 1))
        if needed - _GAP * _FONT <= (width - 0.1) * 72 and not ragged:
            return count
    return 1


def entry(name: str, look: Look, theme: ThemeName, note: str = "") -> Line2D:
    """A line of the legend.

    Args:
        name: The optimizer.
        look: Its look.
        theme: "light" or "dark".
        note: What to say of it, in brackets.

    Returns:
        A line that is not part of any axes.
    """
    said = _text.label(name, 24) + (f" ({note})" if note else "")
    return Line2D([], [], label=said, **stroke(look, theme), markersize=3.8)


def stroke(look: Look, theme: ThemeName) -> dict[str, Any]:
    """Arguments of a line that is drawn in an optimizer's look.

    Args:
        look: The look.
        theme: "light" or "dark".

    Returns:
        Keyword arguments for `Line2D`.
    """
    return {
        "color": look.colour(theme),
        "linestyle": look.dash,
        "marker": look.marker,
        "markeredgewidth": 0.0,
    }


def message(ax: Axes, text: str, theme: ThemeName, *, empty: bool) -> None:
    """Say in a panel why there is little or nothing in it.

    Args:
        ax: The panel.
        text: A short sentence.
        theme: "light" or "dark".
        empty: Whether there is nothing else to see: then there are no ticks either.
    """
    paint = palette.THEMES[theme]
    ax.text(
        0.5,
        0.5 if empty else 0.12,
        text,
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=7.5,
        color=paint.muted,
        bbox={"facecolor": paint.surface, "edgecolor": "none", "pad": 3},
        zorder=6,
    )
    if empty:
        ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        ax.grid(visible=False)


def scale_x(ax: Axes, x: str, ends: Sequence[float], firsts: Sequence[float]) -> None:
    """Choose the scale of a horizontal axis that starts at zero.

    It is logarithmic, with a linear stretch at zero, where some optimizers end so
    early that a linear axis would hide them.

    Args:
        ax: The panel.
        x: "steps", "work" or "seconds".
        ends: Where each line ends.
        firsts: The first positive place of each line.
    """
    if max(ends) > 4 * min(ends):
        first = 10.0 ** round(math.log10(min(firsts)))
        ax.set_xscale("symlog", linthresh=first, linscale=0.5, subs=range(2, 10))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=x != "seconds"))
    units = EngFormatter("s", sep=" ")
    ax.xaxis.set_major_formatter(units if x == "seconds" else _PLAIN)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(0, max(ends) * (1.02 if ax.get_xscale() == "linear" else 1.2))
    ax.set_xlabel(XLABEL[x])


def log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis by powers, or by plain numbers where it is short.

    Args:
        axis: The axis, with its limits.
    """
    low, high = axis.get_view_interval()
    if high < 50 * low:
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        axis.set_minor_formatter(_PLAIN)
    else:
        axis.set_minor_formatter(NullFormatter())
    small = low > 1e-3 and high < 1e5
    # Written with letters: mathematics takes a quarter of the time of a drawing.
    axis.set_major_formatter(_PLAIN if small or high < 50 * low else _POWERS)


def position(ax: Axes, x: np.ndarray) -> np.ndarray:
    """Where numbers lie along a horizontal axis, from 0 at the left to 1.

    Args:
        ax: The panel, with its scale and limits.
        x: Numbers.

    Returns:
        Places along the axis.
    """
    place = ax.transData.transform(np.stack([x, np.ones_like(x)], axis=-1))[:, 0]
    box = ax.transAxes.transform([(0, 0), (1, 0)])[:, 0]
    return (place - box[0]) / (box[1] - box[0])


def looks_of(comparison: Comparison) -> Mapping[str, Look]:
    """The look of each optimizer of a comparison, the same in all its figures.

    Args:
        comparison: What was run.

    Returns:
        Looks by name.
    """
    return palette.looks(comparison.optimizers)


def check(comparison: Comparison, problem: str, x: str, y: str) -> None:
    """Refuse what is not there, with what is.

    Args:
        comparison: What was run.
        problem: A problem's name.
        x: A horizontal axis.
        y: A vertical axis.

    Raises:
        ValueError: One of them is unknown.
    """
    _checks.known("problem", problem, comparison.problems)
    _checks.known("x axis", x, XLABEL)
    _checks.known("y axis", y, ("gap", "value", "grad_norm"))


def legend(
    comparison: Comparison,
    problem: str,
    theme: ThemeName,
    noted: Collection[str],
    note: str,
) -> list[Line2D]:
    """An entry for each optimizer that ran on a problem.

    Args:
        comparison: What was run.
        problem: The problem's name.
        theme: "light" or "dark".
        noted: Optimizers of which there is something to say.
        note: What to say of them, in brackets.

    Returns:
        Lines with their labels.
    """
    there = {run.optimizer for run in comparison.select(problem)}
    return [
        entry(name, look, theme, note if name in noted else "")
        for name, look in looks_of(comparison).items()
        if name in there
    ]


def ylabel(comparison: Comparison, problem: str, y: str) -> str:
    """What a vertical axis shows, for people.

    Args:
        comparison: What was run.
        problem: The problem's name.
        y: "gap", "value" or "grad_norm".

    Returns:
        A label.
    """
    if y == "gap":
        known = problem in comparison.minimum
        return "loss − minimum" if known else "loss − lowest seen"
    return "loss" if y == "value" else "largest gradient entry"
