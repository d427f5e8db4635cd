"""The ground under a path: a loss of two parameters on a grid, and its contours."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path

from jaxcalc.problems import Problem
from jaxcalc.reports import palette
from jaxcalc.reports.palette import ThemeName

_GRID = 141
_TOLERANCE = 1.2e-3  # of the width of the picture: a tenth of a millimetre in print


def contours(problem: Problem, lower: np.ndarray, upper: np.ndarray) -> list[Path]:
    """Where the loss is below each of some levels, from the highest to the lowest.

    The levels rise in equal factors above the lowest value, so that narrow valleys
    show.

    Args:
        problem: A problem of two parameters; its loss is evaluated on a grid.
        lower: Lower left corner of the picture.
        upper: Upper right corner.

    Returns:
        One outline for each level; fewer where there is nothing to outline.
    """
    margin = 0.02 * (upper - lower)  # the outlines' ends lie outside of the picture
    x, y, values = _grid(problem, lower - margin, upper + margin)
    finite = values[np.isfinite(values)]
    if not finite.size or finite.max() <= finite.min():
        return []
    lowest = finite.min() if problem.minimum is None else problem.minimum
    height = np.ma.masked_invalid(values) - min(lowest, finite.min())
    positive = height[height > 0].compressed()
    # The lowest level holds a thousandth of the picture.
    bottom, top = np.quantile(positive, 1e-3), positive.max()
    levels = np.geomspace(bottom, top, palette.RAMP)[-2::-1]
    scratch = Figure().subplots()
    outlines = [
        scratch.contourf(x, y, height, levels=[-1.0, level]).get_paths()[0]
        for level in levels
    ]
    scale = _TOLERANCE * (upper - lower)
    return [_simpler(outline, scale) for outline in outlines]


def draw(ax: Axes, outlines: list[Path], theme: ThemeName) -> None:
    """Paint contours from the highest ground to the lowest, one over the other.

    Args:
        ax: The panel.
        outlines: What `contours` found.
        theme: "light" or "dark".
    """
    shades = palette.ramp(theme, palette.RAMP)[::-1]
    ax.set_facecolor(shades[0])
    edge = palette.THEMES[theme].grid
    for outline, shade in zip(outlines, shades[1:], strict=False):
        ax.add_collection(
            PathCollection([outline], facecolor=shade, edgecolor=edge, linewidth=0.4),
            autolim=False,
        )


def _grid(problem: Problem, lower: np.ndarray, upper: np.ndarray) -> tuple:
    """The loss on a grid: abscissae, ordinates, and values, shape `(grid, grid)`."""
    flat, unravel = ravel_pytree(problem.start(0))
    x, y = (np.linspace(a, b, _GRID) for a, b in zip(lower, upper, strict=True))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    @jax.jit
    def values(points, args):
        return jax.lax.map(
            lambda point: problem.loss(unravel(point), *args), points, batch_size=1024
        )

    found = values(jnp.asarray(points, flat.dtype), problem.args)
    return x, y, np.asarray(found, float).reshape(_GRID, _GRID)


def _simpler(outline: Path, tolerance: np.ndarray) -> Path:
    """The same outline with fewer points, none further off than `tolerance`."""
    codes = np.asarray(outline.codes if outline.codes is not None else [])
    begins = np.flatnonzero(codes == Path.MOVETO)
    rings = np.split(np.asarray(outline.vertices), begins[1:])
    kept = [ring[_kept(ring / tolerance)] for ring in rings]
    kept = [ring for ring in kept if len(ring) > 3]  # the others have no area
    if not kept:
        return Path(np.empty((0, 2)))
    codes = [
        [Path.MOVETO, *[Path.LINETO] * (len(ring) - 2), Path.CLOSEPOLY] for ring in kept
    ]
    return Path(np.concatenate(kept), np.concatenate(codes))


def _kept(points: np.ndarray) -> np.ndarray:
    """Which points of a line to keep so that none lies further off than 1."""
    # Douglas and Peucker (1973), Algorithms for the reduction of the number of points
    # required to represent a digitized line or its caricature.
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    open_parts = [(0, len(points) - 1)]
    while open_parts:
        first, last = open_parts.pop()
        if last - first < 2:
            continue
        chord = points[last] - points[first]
        away = points[first + 1 : last] - points[first]
        length = np.hypot(*chord)
        if length > 0:
            off = np.abs(away[:, 0] * chord[1] - away[:, 1] * chord[0]) / length
        else:
            off = np.hypot(away[:, 0], away[:, 1])
        furthest = int(off.argmax())
        if off[furthest] > 1:
            middle = first + 1 + furthest
            keep[middle] = True
            open_parts += [(first, middle), (middle, last)]
    return keep
