"""Draw a study of a function: its curve, what it does, and how it bends.

Above, the curve with its tangents at the critical points, over bands that show where it
is convex and where concave. Below, two strips with the signs of f' and f''.
"""

import itertools
import math
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxcalc.analysis.records import CriticalPoint, Kind, Piece
from jaxcalc.analysis.results import Study
from jaxcalc.reports import palette
from jaxcalc.reports.palette import ThemeName

# Place in the palette, the sign, and how strongly a band is tinted.
_PIECES = {
    "increasing": (2, "+"),
    "decreasing": (1, "−"),
    "constant": (10, "0"),
    "convex": (0, "+"),
    "concave": (6, "−"),
    "straight": (10, "0"),
}
_TINT = 0.1
_STRONG = 0.45
_MARKS = {
    Kind.MINIMUM: "v",
    Kind.CORNER_MINIMUM: "v",
    Kind.CUSP_MINIMUM: "v",
    Kind.MAXIMUM: "^",
    Kind.CORNER_MAXIMUM: "^",
    Kind.CUSP_MAXIMUM: "^",
    Kind.INFLECTION: "D",
    Kind.FLAT: "D",
    Kind.CORNER: "D",
    Kind.VERTICAL_TANGENT: "D",
    Kind.END: "|",
}
_NAMES = {
    "v": "minimum",
    "^": "maximum",
    "D": "other critical point",
    "o": "inflection",
}


def draw(study: Study, *, title: str = "", theme: ThemeName = "light") -> Figure:
    """Draw one study.

    Args:
        study: What `jaxcalc.study` found.
        title: A title, the formula for example.
        theme: "light" or "dark".

    Returns:
        The figure; whoever called it saves it.
    """
    with palette.drawing(theme):
        size = (palette.DOUBLE * 0.62, palette.DOUBLE * 0.48)
        figure = Figure(figsize=size, layout="constrained")
        panel(figure, study, title=title, theme=theme)
        legend(figure, [study], theme=theme)
    return figure


def panel(
    figure: FigureBase, study: Study, *, title: str = "", theme: ThemeName = "light"
) -> None:
    """Draw one study into a figure or a part of one, without a legend.

    Args:
        figure: A figure or a subfigure.
        study: What `jaxcalc.study` found.
        title: A title.
        theme: "light" or "dark".
    """
    rows = figure.subplots(3, 1, sharex=True, height_ratios=[14, 1, 1])
    curve, first, second = rows
    for ax in rows:
        palette.dress(ax, theme)
    _bands(curve, study.curvature, theme, _TINT)
    _curve(curve, study, theme)
    _points(curve, study, theme)
    curve.set_title(title)
    curve.set_xlim(study.a, study.b)
    curve.tick_params(labelbottom=False)
    _strip(first, study.monotone, "f′", study.b - study.a, theme)
    _strip(second, study.curvature, "f″", study.b - study.a, theme)
    first.tick_params(labelbottom=False, bottom=False)
    second.set_xlabel("x")


def legend(
    figure: FigureBase, studies: Iterable[Study], *, theme: ThemeName = "light"
) -> None:
    """Explain what occurs in some studies, below their pictures.

    Args:
        figure: The figure that holds them.
        studies: What was drawn.
        theme: "light" or "dark".
    """
    studies = list(studies)
    ink = palette.THEMES[theme].ink
    marks = {_MARKS.get(p.kind) for s in studies for p in s.critical_points}
    marks |= {"o"} if any(s.inflections for s in studies) else set()
    handles: list[Line2D | Patch] = [
        Line2D(
            [], [], ls="", marker=mark, color=ink, mfc=_face(mark, theme), label=name
        )
        for mark, name in _NAMES.items()
        if mark in marks
    ]
    found = {p.what for s in studies for p in (*s.monotone, *s.curvature)}
    handles += [
        Patch(color=_colour(what, theme), alpha=_STRONG, lw=0, label=what)
        for what in _PIECES
        if what in found
    ]
    columns = min(len(handles), 4)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _colour(what: str, theme: ThemeName) -> str:
    return palette.LOOKS[_PIECES[what][0]].colour(theme)


def _face(mark: str, theme: ThemeName) -> str:
    paint = palette.THEMES[theme]
    return paint.surface if mark == "o" else paint.ink


def _bands(ax: Axes, pieces: Iterable[Piece], theme: ThemeName, alpha: float) -> None:
    for piece in pieces:
        if piece.what in _PIECES:
            colour = _colour(piece.what, theme)
            ax.axvspan(piece.low, piece.high, color=colour, alpha=alpha, lw=0)


def _strip(
    ax: Axes, pieces: Iterable[Piece], name: str, width: float, theme: ThemeName
) -> None:
    pieces = list(pieces)
    _bands(ax, pieces, theme, _STRONG)
    for piece in pieces:
        wide = piece.high - piece.low > 0.03 * width
        if piece.what in _PIECES and wide:
            middle = piece.low + (piece.high - piece.low) / 2
            sign = _PIECES[piece.what][1]
            ax.text(middle, 0.5, sign, ha="center", va="center_baseline", fontsize=8)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines["left"].set_visible(False)
    ax.set_ylabel(name, rotation=0, ha="right", va="center")


def _window(study: Study) -> tuple[float, float]:
    """The part of the values that is worth showing, without what runs off to a pole."""
    values = study.curve[1][np.isfinite(study.curve[1])]
    if not values.size:
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    unbounded = [
        extreme is not None and math.isinf(extreme.value)
        for extreme in (study.minimum, study.maximum)
    ]
    inner, outer = np.quantile(values, [0.06, 0.94])
    low = float(inner) if unbounded[0] else low
    high = float(outer) if unbounded[1] else high
    room = 0.08 * (high - low) or 0.5 * max(abs(high), 1.0)
    return low - room, high + room


def _curve(ax: Axes, study: Study, theme: ThemeName) -> None:
    x, y = study.curve[:2]
    breaks = [p for p in study.critical_points if p.kind is Kind.BREAK]
    colour = palette.LOOKS[0].colour(theme)
    ends = [-math.inf, *(p.x for p in breaks), math.inf]
    for low, high in itertools.pairwise(ends):
        inside = (x > low) & (x < high)
        ax.plot(x[inside], y[inside], color=colour, zorder=3)
    for point in breaks:
        muted = palette.THEMES[theme].muted
        ax.axvline(point.x, color=muted, lw=0.8, ls=palette.DOTTED, zorder=2)
    ax.set_ylim(*_window(study))
    ax.set_ylabel("f")


def _points(ax: Axes, study: Study, theme: ThemeName) -> None:
    paint = palette.THEMES[theme]
    low, high = ax.get_ylim()
    places = [p.x for p in study.critical_points]
    for k, point in enumerate(study.critical_points):
        if not low <= point.value <= high:
            continue
        if _has_tangent(point):
            near = min(abs(point.x - x) for x in places[:k] + places[k + 1 :])
            reach = min(0.05 * (study.b - study.a), 0.6 * near)
            ends = (max(point.x - reach, study.a), min(point.x + reach, study.b))
            ax.plot(ends, [point.value] * 2, color=paint.muted, lw=0.9, zorder=4)
        mark = _MARKS.get(point.kind)
        if mark and mark != "|":
            style = {"ms": 4.2, "zorder": 5, "clip_on": False}
            ax.plot(point.x, point.value, mark, color=paint.ink, **style)
    for turn in study.inflections:
        colours = {"color": paint.ink, "mfc": paint.surface, "mew": 0.9}
        ax.plot(turn.x, turn.value, "o", ms=3.8, zorder=5, **colours)


def _has_tangent(point: CriticalPoint) -> bool:
    return point.kind in {Kind.MINIMUM, Kind.MAXIMUM, Kind.INFLECTION}
