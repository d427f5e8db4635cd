"""Step functions with bands, and their names where the lines end."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    EngFormatter,
    FuncFormatter,
    LogLocator,
    NullLocator,
    PercentFormatter,
)

from jaxcalc.comparison.profiles import Profile
from jaxcalc.reports import _frame, _numbers, _text
from jaxcalc.reports.palette import THEMES, Look, ThemeName

_ROW = 0.135  # inches between two names


def draw(ax: Axes, found: Profile, looks: Mapping[str, Look], theme: ThemeName) -> None:
    """Draw a profile against a logarithmic axis of base 2.

    Args:
        ax: The panel.
        found: The profile.
        looks: Looks of the optimizers, by name.
        theme: "light" or "dark".
    """
    left, right = _limits(found)
    ax.set_xlim(left, right)
    ax.set_ylim(0, 1.0)
    _ticks(ax, found, right / left)
    why = _nothing(found)
    if why:
        _frame.message(ax, why, theme, empty=True)
        return
    x = np.unique(np.concatenate([[left], found.x[found.x > left], [right]]))
    shares = found.at(x)
    ends: dict[str, float] = {}
    for order, name in enumerate(found.optimizers):
        stroke = _frame.stroke(looks[name], theme)
        if found.low is not None and found.high is not None:
            _band(ax, x, found, order, stroke["color"])
        _line(ax, x, shares[order], stroke, order)
        ends[name] = float(shares[order, -1])
    _names(ax, ends, looks, theme)


def _ticks(ax: Axes, found: Profile, ratio: float) -> None:
    """Powers of two, or of ten for what has large units."""
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    plain = FuncFormatter(lambda value, _: _numbers.number(value))
    decimal = found.kind == "data" and found.measure in {"seconds", "flops"}
    ax.set_xscale("log", base=10 if decimal else 2)
    if decimal:
        subs = (1.0,) if ratio > 1e3 else (1.0, 2.0, 5.0)
        ticks = LogLocator(base=10, subs=subs, numticks=9)
        unit = "s" if found.measure == "seconds" else ""
        plain = EngFormatter(unit, sep="\N{NO-BREAK SPACE}")
    else:
        subs = (1.0, 1.5) if ratio < 6 else (1.0,)
        ticks = LogLocator(base=2, subs=subs, numticks=7)
    ax.xaxis.set_major_locator(ticks)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(plain)


def _limits(found: Profile) -> tuple[float, float]:
    """Ends of the horizontal axis, which hold every jump."""
    if found.kind == "performance":
        return 1.0, max(2.0, float(found.x.max()) * 1.1)
    positive = found.x[found.x > 0]
    if not positive.size:
        return 1.0, 2.0
    return float(positive.min()) / 1.3, float(positive.max()) * 1.2


def _nothing(found: Profile) -> str:
    """Why there is nothing to see, if there isn't."""
    if not found.pairs:
        return (
            "No run was measured on\nall of these optimizers."
            if found.left_out
            else "There is nothing to compare:\nno runs, or nothing measured."
        )
    if not found.share.max() > 0:
        return "Nobody reached the target."
    return ""


def _band(ax: Axes, x: np.ndarray, found: Profile, order: int, colour: str) -> None:
    """The bootstrap's band, faint where many lie on each other."""
    place = np.maximum(np.searchsorted(found.x, x, side="right") - 1, 0)
    assert found.low is not None
    assert found.high is not None
    low, high = found.low[order, place], found.high[order, place]
    alpha = 0.13 if len(found.optimizers) <= 4 else 0.08
    ax.fill_between(x, low, high, step="post", color=colour, alpha=alpha, linewidth=0)


def _line(
    ax: Axes, x: np.ndarray, share: np.ndarray, stroke: dict[str, Any], order: int
) -> None:
    """A step function, with markers where it jumps, far from each other."""
    place = np.log2(x / x[0]) / math.log2(x[-1] / x[0])
    marks = np.searchsorted(place, np.arange(0.04 + 0.021 * (order % 12), 0.98, 0.25))
    marks = np.unique(np.minimum(marks, x.size - 2))
    ax.plot(
        x,
        share,
        **stroke,
        drawstyle="steps-post",
        markevery=marks.tolist(),
        zorder=3 + 0.01 * order,
        clip_on=False,
    )


def _names(
    ax: Axes, ends: Mapping[str, float], looks: Mapping[str, Look], theme: ThemeName
) -> None:
    """Names to the right of the lines' ends, apart enough to be read."""
    fig = ax.get_figure(root=True)
    assert fig is not None
    height = fig.get_size_inches()[1] - 0.55  # about what is left for the panel
    order = sorted(ends, key=lambda name: -ends[name])
    places = spread([ends[name] for name in order], _ROW / height)
    paint = THEMES[theme]
    free: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False}
    for name, place in zip(order, places, strict=True):
        stroke = _frame.stroke(looks[name], theme)
        ax.plot(
            [1.0, 1.03], [ends[name], place], color=paint.muted, linewidth=0.5, **free
        )
        ax.plot([1.035, 1.075, 1.115], [place] * 3, **stroke, markevery=[1], **free)
        said = _text.label(name, 20)
        ax.text(1.13, place, said, va="center", fontsize=7.5, color=paint.ink, **free)


def spread(wanted: list[float], apart: float) -> list[float]:
    """Move places apart, by as little as keeps their order, within 0 and 1.

    Args:
        wanted: Places from the highest on.
        apart: The least distance of two.

    Returns:
        New places from the highest on; they go above 1 if there is no room.
    """
    placed: list[list[float]] = []  # groups of touching entries: their places
    for at in wanted:
        group = [at]
        while placed and placed[-1][-1] - group[0] < apart:
            both = placed.pop() + group
            middle = sum(both) / len(both)
            half = apart * (len(both) - 1) / 2
            group = [middle + half - apart * k for k in range(len(both))]
        placed.append(group)
    flat = [at for group in placed for at in group]
    for k, at in enumerate(flat):  # down from the top, then up from the bottom
        flat[k] = min(at, 1.0 if k == 0 else flat[k - 1] - apart)
    lowest = 0.0
    for k in range(len(flat) - 1, -1, -1):
        if flat[k] >= lowest:
            break
        flat[k] = lowest
        lowest += apart
    return flat
