"""The odds of each optimizer against each other one, as a matrix."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from jaxcalc.comparison.profiles import Wins
from jaxcalc.reports import _frame, _text, palette
from jaxcalc.reports.palette import ThemeName


def draw(ax: Axes, found: Wins, theme: ThemeName) -> None:
    """Draw cells in the colour of the winner, as strong as the odds.

    Args:
        ax: The panel.
        found: The odds.
        theme: "light" or "dark".
    """
    palette.dress(ax, theme)
    ax.grid(visible=False)
    count = len(found.optimizers)
    if not found.decided.any():
        lost = found.both_failed.any()
        why = "Nobody reached the target." if lost else "There are no two to compare."
        _frame.message(ax, why, theme, empty=True)
        return
    mean = [
        float(row[~np.isnan(row)].mean()) if (~np.isnan(row)).any() else -1.0
        for row in found.probability
    ]
    order = np.argsort(-np.array(mean), stable=True)
    for row, a in enumerate(order):
        for column, b in enumerate(order):
            if a != b:
                _cell(ax, (row, column), found, (int(a), int(b)), theme)
    names = [_text.label(found.optimizers[k], 14) for k in order]
    tilt = 0 if max(map(len, names)) <= 7 else 35
    ax.set_xticks(range(count), names, rotation=tilt, ha="left" if tilt else "center")
    ax.set_yticks(range(count), names)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    if tilt:
        for text in ax.get_xticklabels():
            text.set_rotation_mode("anchor")
    ax.set_xlim(-0.5, count - 0.5)
    ax.set_ylim(count - 0.5, -0.5)
    ax.set_ylabel("cheaper …")
    ax.set_xlabel("… than")
    ax.xaxis.set_label_position("top")
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def _cell(
    ax: Axes,
    at: tuple[int, int],
    found: Wins,
    who: tuple[int, int],
    theme: ThemeName,
) -> None:
    """Percent, with the interval below; bold where it leaves 50 out."""
    paint = palette.THEMES[theme]
    row, column = at
    odds, low, high = (m[who] for m in (found.probability, found.low, found.high))
    if np.isnan(odds):
        ax.text(column, row, "—", ha="center", va="center", color=paint.muted)
        return
    look = palette.LOOKS[0] if odds > 0.5 else palette.LOOKS[1]
    strength = 0.6 * abs(2 * odds - 1)
    corner = (column - 0.48, row - 0.47)
    face = {"facecolor": look.colour(theme), "alpha": strength, "linewidth": 0}
    ax.add_patch(Rectangle(corner, 0.96, 0.94, **face))
    sure = "bold" if low > 0.5 or high < 0.5 else "normal"
    banded = not np.isnan(low)
    ax.text(
        column,
        row - (0.14 if banded else 0),
        f"{100 * odds:.0f}",
        ha="center",
        va="center",
        fontsize=8,
        weight=sure,
        color=paint.ink,
    )
    if banded:
        span = f"{100 * low:.0f}–{100 * high:.0f}"
        ax.text(
            column,
            row + 0.26,
            span,
            ha="center",
            va="center",
            fontsize=5.5,
            color=paint.ink,
        )
