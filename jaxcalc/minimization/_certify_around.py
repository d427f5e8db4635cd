"""What the loss does right beside a point: kinks, walls, and lower points."""

from typing import NamedTuple

import numpy as np

from jaxcalc.minimization._certify_scale import Curvature
from jaxcalc.minimization._certify_tools import TOGETHER, Evaluation, Tools

_DISTANCES = 3
_SHRINK = 8.0
_RAY = 4.0


class Around(NamedTuple):
    """What was seen beside a point.

    Attributes:
        finite: Whether loss and gradient are finite at all places looked at.
        jump: The largest jump of the gradient's entries; zero if it is continuous.
        drop: How far the loss itself jumps down; zero if it does not.
        lower: A step along which the loss falls in proportion, or jumps down; None if
            there is none.
        distance: How far away they are at most.
    """

    finite: bool
    jump: float
    drop: float
    lower: np.ndarray | None
    distance: float


def look_around(
    tools: Tools, here: Evaluation, curved: Curvature, tolerance: np.ndarray
) -> Around:
    r"""Look for kinks and walls beside a point.

    Along a few directions the change $A(\delta) = g(x + \delta v) - g(x)$ is measured
    at three distances. Of a smooth loss, $A(\delta) - 8 A(\delta/8)$ falls with the
    square of the distance; of a gradient that jumps by $J$ it stays at $7 J$.

    Args:
        tools: The loss.
        here: Its evaluation at the point.
        curved: Its curvature there.
        tolerance: The gradient that counts as zero.

    Returns:
        What was seen.
    """
    n = len(tools.x)
    rng = np.random.default_rng(0)
    count = TOGETHER // (2 * _DISTANCES)
    signs = rng.choice([-1.0, 1.0], (count, n))
    signs *= rng.uniform(0.5, 1.5, (count, n)) * curved.lengths
    both = np.concatenate([signs, -signs])
    first = tools.eps ** (1 / 3)
    distances = first * _SHRINK ** -np.arange(_DISTANCES)
    steps = distances[:, None, None] * both
    values, grads = tools.look((tools.x + steps).reshape(-1, n))
    farthest = float(np.max(np.abs(steps[0])))
    if not (np.isfinite(values).all() and np.isfinite(grads).all()):
        return Around(False, 0.0, 0.0, None, farthest)
    change = grads.reshape(steps.shape) - here.grad
    coarse, fine = np.abs(change[:-1] - _SHRINK * change[1:])
    jumps = np.minimum(coarse, fine) / (_SHRINK - 1)
    # What the rounding of a loss as large as this one may do to its gradient.
    noise = 100 * tools.eps * abs(here.value) / curved.lengths
    jumps = np.where((fine > coarse / 4) & (jumps > 10 * tolerance + noise), jumps, 0.0)
    drop, lower = _falls(values.reshape(steps.shape[:2]), here.value, tools.eps, steps)
    return Around(True, float(np.max(jumps)), drop, lower, farthest)


def _falls(
    values: np.ndarray, value: float, eps: float, steps: np.ndarray
) -> tuple[float, np.ndarray | None]:
    """How far the loss jumps down, and a step that lowers it for certain."""
    # Noise may lie lower as well, but neither by the same amount at all distances, as
    # behind a jump, nor in proportion to them, as down a slope.
    drops = value - values
    clear = np.all(drops > 100 * eps * abs(value), axis=0)
    ratios = drops[:-1] / np.where(drops[1:] > 0, drops[1:], 1.0)
    level = clear & np.all((ratios > 0.5) & (ratios < 2), axis=0)
    sloped = clear & np.all((ratios > _SHRINK / 2) & (ratios < 2 * _SHRINK), axis=0)
    if not np.any(level | sloped):
        return 0.0, None
    which = int(np.argmax(np.where(level | sloped, drops[0], 0.0)))
    drop = float(np.max(np.where(level, drops[0], 0.0)))
    return drop, steps[0, which]


def step_down(
    tools: Tools,
    here: Evaluation,
    direction: np.ndarray,
    lengths: np.ndarray,
    bend: np.ndarray | None = None,
) -> np.ndarray | None:
    """The step along a line or parabola, to either side, to the lowest value.

    Args:
        tools: The loss.
        here: Its evaluation where the steps begin.
        direction: Any vector.
        lengths: The size of the parameters; the longest step is as large.
        bend: Added times the square of the part of `direction` that is taken.

    Returns:
        The step, None if no value is lower beyond rounding.
    """
    long = np.max(np.abs(direction) / lengths)
    sizes = _RAY ** -np.arange(TOGETHER // 2) / long
    sizes = np.concatenate([sizes, -sizes])[:, None]
    steps = sizes * direction + (0.0 if bend is None else sizes**2 * bend)
    values, _ = tools.look(tools.x + steps)
    values = np.where(np.isfinite(values), values, np.inf)
    lowest = int(np.argmin(values))
    falls = values[lowest] < here.value - 4 * tools.eps * abs(here.value)
    return steps[lowest] if falls else None
