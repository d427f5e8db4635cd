"""Optimizer paths on the contours of a loss of two parameters."""

import math
from typing import Any

import jax
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from jaxcalc.comparison import Comparison, Runs
from jaxcalc.problems import Problem
from jaxcalc.reports import _frame, _terrain, _text, palette
from jaxcalc.reports.palette import DOUBLE, SINGLE, ThemeName

TOGETHER = 4
"""More optimizers than this get a panel each: their paths would hide one another."""

_STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def paths(
    comparison: Comparison,
    problem: Problem,
    *,
    seed: int | None = None,
    together: bool | None = None,
    theme: ThemeName = "light",
    bare: bool = False,
) -> Figure:
    """Paths of all optimizers from one start, over the contours of the loss.

    The ground rises in equal factors above the lowest value, so that narrow valleys
    show; stars are the known minimizers, the ring is the start, and marks lie on steps
    1, 2, 3, 5, 10, 20, 50 and so on. The view holds the problem's box and every path
    that did not diverge, up to twice the box; a path may leave it.

    Args:
        comparison: What was run, with paths.
        problem: The record of a problem of two parameters; its loss is evaluated on a
            grid.
        seed: Whose start to draw; by default the first seed that every optimizer ran.
        together: All in one panel, or each in its own; by default up to four together.
        theme: "light" or "dark".
        bare: Without title and legend; panels keep their names.

    Returns:
        A figure one column wide, or two columns with a panel for each optimizer.

    Raises:
        ValueError: The problem has not two parameters, was not run with its paths, or
            there is no such seed.
    """
    found, settled = _select(comparison, problem, seed)
    lower, upper = _view(problem, found, settled)
    apart = len(found) > TOGETHER if together is None else not together
    looks = _frame.looks_of(comparison)
    with palette.drawing(theme):
        columns = _columns(len(found)) if apart else 1
        rows = math.ceil(len(found) / columns) if apart else 1
        width, height = (
            (DOUBLE, 0.8 * DOUBLE / columns * rows) if apart else (SINGLE, 2.7)
        )
        fig = _frame.sheet(width, height)
        panels = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        ground = _terrain.contours(problem, lower, upper)
        for place, ax in enumerate(panels.flat):
            if apart and place >= len(found):
                ax.set_axis_off()
                panels.flat[place - columns].tick_params(labelbottom=True)
                continue
            _panel(ax, ground, lower, upper, theme)
            here = [list(found)[place]] if apart else list(found)
            for order, name in enumerate(here):
                stroke = _frame.stroke(looks[name], theme)
                _path(ax, found[name], lower, upper, stroke, order, theme)
            if apart:
                ax.set_title(_text.label(here[0], 22), fontsize=7.5, pad=3)
                ax.tick_params(labelsize=6.5)
            starts = [path[0] for path in found.values() if len(path)]
            _points(ax, starts[:1], problem, theme)
        _name_axes(fig, panels, problem, apart=apart)
        if bare:
            return fig
        title = problem.title or _frame.title_of(comparison, problem.name)
        handles = [] if apart else [_frame.entry(n, looks[n], theme) for n in found]
        return _frame.finish(fig, title, handles)


def _columns(count: int) -> int:
    """How many panels to put side by side, with few places left empty."""
    if count < 5:
        return count
    return 3 if count in (5, 6, 9) else 4


def _select(
    comparison: Comparison, problem: Problem, seed: int | None
) -> tuple[dict[str, np.ndarray], set[str]]:
    """Paths from one start, shape `(steps + 1, 2)`, and which did not diverge."""
    if problem.size != 2:
        raise ValueError(
            f"`problem` must have two parameters, {problem.name!r} has {problem.size}"
        )
    runs = [r for r in comparison.select(problem.name) if r.path is not None]
    # Tuning runs only where nothing was evaluated: their rates differ.
    runs = [r for r in runs if r.phase == "evaluation"] or runs
    if not runs:
        raise ValueError(f"the comparison holds no paths on {problem.name!r}")
    shared = set.intersection(*({int(s) for s in r.seeds} for r in runs))
    ordered = [int(s) for s in runs[0].seeds if int(s) in shared]
    if not ordered or (seed is not None and seed not in ordered):
        raise ValueError(f"not every optimizer ran seed {seed}; all ran {ordered}")
    chosen = ordered[0] if seed is None else seed
    lanes = [int(np.flatnonzero(run.seeds == chosen)[0]) for run in runs]
    both = list(zip(runs, lanes, strict=True))
    points = {run.optimizer: _lane(run, lane) for run, lane in both}
    return points, {run.optimizer for run, lane in both if not run.diverged[lane]}


def _lane(run: Runs, lane: int) -> np.ndarray:
    """The points of one lane, as far as they are finite."""
    assert run.path is not None
    points = run.path[: run.steps[lane] + 1, lane]
    good = np.cumsum(~np.isfinite(points).all(axis=1)) == 0
    return points[good]


def _view(
    problem: Problem, found: dict[str, np.ndarray], settled: set[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the picture: the box, made larger for what goes on near it."""
    starts = np.array([p[0] for p in found.values() if len(p)]).reshape(-1, 2)
    known = [np.asarray(m, float)[None] for m in problem.minimizers]
    core = np.concatenate([starts, *known])
    if problem.box is not None:
        core = np.concatenate([core, np.stack(problem.box)])
    elif ends := [found[name][-1:] for name in settled if len(found[name])]:
        # Without a box the start and where most paths end make the picture.
        middle = np.median(np.concatenate(ends), axis=0)
        core = np.concatenate([core, middle[None]])
    core = core if len(core) else np.array([[-1.0, -1.0], [1.0, 1.0]])
    low, high = core.min(axis=0), core.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    points = np.concatenate([core, *found.values()])
    near = np.all((points > low - span / 2) & (points < high + span / 2), axis=1)
    low, high = points[near].min(axis=0), points[near].max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    return low - margin, high + margin


def _panel(
    ax: Axes,
    ground: list[Path],
    lower: np.ndarray,
    upper: np.ndarray,
    theme: ThemeName,
) -> None:
    """An empty picture of the ground."""
    palette.dress(ax, theme)
    ax.grid(visible=False)
    _terrain.draw(ax, ground, theme)
    ax.set_xlim(lower[0], upper[0])
    ax.set_ylim(lower[1], upper[1])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5))


def _path(
    ax: Axes,
    points: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    stroke: dict[str, Any],
    order: int,
    theme: ThemeName,
) -> None:
    """One path, with a halo against the ground and marks on round step numbers."""
    points = _within(points, lower, upper)
    if not len(points):
        return
    length = np.abs(np.diff(points / (upper - lower), axis=0)).sum()
    line: dict[str, Any] = stroke | {"marker": "", "linewidth": 1.2}
    if length > 4:
        # Zigzags to and fro would fill an area: they are drawn fine and pale.
        line |= {"linewidth": 0.55, "linestyle": "-", "alpha": 0.6}
    else:
        paint = palette.THEMES[theme].surface
        line["path_effects"] = [patheffects.withStroke(linewidth=2.4, foreground=paint)]
    over = 3 + 0.01 * order
    ax.plot(points[:, 0], points[:, 1], **line, zorder=over)
    marks = [k for k in _STEPS if k < len(points) - 1] + [len(points) - 1]
    dots: dict[str, Any] = stroke | {
        "linestyle": "",
        "markeredgewidth": 0.5,
        "markeredgecolor": palette.THEMES[theme].surface,
    }
    ax.plot(points[marks, 0], points[marks, 1], **dots, zorder=over + 1)


def _within(points: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Cut a path where it goes so far that drawing would overflow."""
    # The last step is shortened, but still ends outside of the picture.
    middle, size = (lower + upper) / 2, upper - lower
    away = np.abs((points - middle) / size).max(axis=1)
    if not (away > 20).any():
        return points
    first = int(np.argmax(away > 20))
    if first == 0:
        return points[:0]
    before, after = points[first - 1], points[first]
    share = 1 / max(1.0, float((np.abs(after - before) / size).max() / 20))
    return np.concatenate([points[:first], [before + share * (after - before)]])


def _points(
    ax: Axes, starts: list[np.ndarray], problem: Problem, theme: ThemeName
) -> None:
    """The start and the known minimizers."""
    paint = palette.THEMES[theme]
    ax.plot(
        [start[0] for start in starts],
        [start[1] for start in starts],
        marker="o",
        markersize=6,
        color=paint.ink,
        markerfacecolor=paint.surface,
        markeredgewidth=1.3,
        zorder=7,
    )
    stars = np.array(problem.minimizers, float).reshape(-1, 2)
    ax.plot(
        stars[:, 0],
        stars[:, 1],
        linestyle="",
        marker="*",
        markersize=9,
        color=paint.star,
        markeredgecolor=paint.ink,
        markeredgewidth=0.6,
        zorder=6,
    )


def _name_axes(
    fig: Figure, panels: np.ndarray, problem: Problem, *, apart: bool
) -> None:
    """Name the parameters as the problem does, if its parameters have names."""
    leaves = jax.tree_util.tree_leaves_with_path(problem.start(0))
    names = [
        jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves
    ]
    if len(names) != 2 or not all(names):
        names = ["first parameter", "second parameter"]
    if apart:
        fig.supxlabel(_text.label(names[0]), fontsize=8)
        fig.supylabel(_text.label(names[1]), fontsize=8)
    else:
        panels[0, 0].set_xlabel(_text.label(names[0]))
        panels[0, 0].set_ylabel(_text.label(names[1]))
