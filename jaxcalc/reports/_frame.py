"""What all figures share: a sheet of paper's width, a title, a legend, axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter

from jaxcalc.comparison import Comparison
from jaxcalc.reports import palette
from jaxcalc.reports.palette import Look, ThemeName

XLABEL = {
    "steps": "steps",
    "work": "work (gradient evaluations)",
    "seconds": "time of one run",
}
_ROW = 0.15  # inches for a row of the legend


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
        room = int((width - 0.3) * 72 / (8.5 * 0.56))
        fig.suptitle(
            palette.label(title, room), x=0.01, ha="left", fontsize=8.5, weight="bold"
        )
    if handles:
        longest = max(len(str(h.get_label())) for h in handles)
        entry = (longest * 0.58 + 4.4) * 7.5 / 72
        columns = max(1, min(len(handles), int((width - 0.1) / entry)))
        rows = math.ceil(len(handles) / columns)
        # Equal columns look better than a full row and a single entry below it.
        columns = math.ceil(len(handles) / rows)
        height += _ROW * rows + 0.05
        fig.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns,
            handlelength=2.6,
            columnspacing=1.4,
            handletextpad=0.6,
            labelspacing=0.35,
            borderpad=0.1,
        )
    fig.set_size_inches(width, height)
    return fig


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
    said = palette.label(name) + (f" ({note})" if note else "")
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
    """Say in the middle of a panel why there is little or nothing in it.

    Args:
        ax: The panel.
        text: A short sentence.
        theme: "light" or "dark".
        empty: Whether there is nothing else to see: then there are no ticks either.
    """
    paint = palette.THEMES[theme]
    ax.text(
        0.5,
        0.5,
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
    if max(ends) > 8 * min(ends):
        first = 10.0 ** math.floor(math.log10(min(firsts)) + 1e-9)
        ax.set_xscale("symlog", linthresh=first, linscale=0.5, subs=range(2, 10))
    elif x != "seconds":
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    if x == "seconds":
        ax.xaxis.set_major_formatter(EngFormatter("s", sep=" "))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(0, max(ends) * (1.0 if ax.get_xscale() == "linear" else 1.25))
    ax.set_xlabel(XLABEL[x])


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
