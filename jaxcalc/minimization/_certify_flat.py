r"""What third and fourth derivatives say where the curvature vanishes.

On the directions $u$ without curvature the loss behaves like its reduction, with all
other parameters moved to where they are best (Lyapunov and Schmidt),

$$f(u) - f = \tfrac16 D^3 f[u,u,u] + \tfrac1{24}\left(D^4 f[u,u,u,u]
  - 3\,w^\top H^+ w\right) + \dots, \qquad w = D^3 f[u, u, \cdot]$$

A third derivative that does not vanish in one of them rules out a minimum. Where it
vanishes in all, a negative fourth order does so too, and where there is one direction
only, a positive one proves a minimum.

References:
    Golubitsky and Schaeffer (1985), Singularities and Groups in Bifurcation Theory,
    volume I, chapter VII, for the reduction.
"""

from typing import NamedTuple

import numpy as np

from jaxcalc.minimization._certify_around import step_down
from jaxcalc.minimization._certify_scale import Curvature
from jaxcalc.minimization._certify_tools import TOGETHER, Evaluation, Tools

# A term decides if those of lower order are smaller than this part of it.
_DECISIVE = 1e-2


class Refined(NamedTuple):
    """What higher derivatives say.

    Attributes:
        is_minimum: Whether it is a minimum, None if they don't tell.
        sentence: The same for people.
        lower: A step to a lower point, if it is no minimum.
    """

    is_minimum: bool | None
    sentence: str
    lower: np.ndarray | None = None


class _Orders(NamedTuple):
    """Terms of a Taylor series along directions, and the rounding of two of them."""

    low: np.ndarray
    third: np.ndarray
    third_noise: np.ndarray
    bends: np.ndarray  # how the other parameters give way
    fourth: np.ndarray
    fourth_noise: np.ndarray


def refine(
    tools: Tools, here: Evaluation, curved: Curvature, flat: np.ndarray, error: float
) -> Refined:
    """Ask the third and fourth derivatives along directions without curvature.

    Args:
        tools: The loss.
        here: Its evaluation at the point.
        curved: Its curvature there; none of it is negative.
        flat: Which eigenvalues vanish.
        error: How far off the eigenvalues may be.

    Returns:
        What is known then.
    """
    count = int(np.sum(flat))
    if curved.ends is not None:
        said = "Of so many parameters no higher derivatives are looked at."
        return Refined(None, said)
    directions = _directions(curved, flat)
    orders = _orders(tools, here, curved, flat, directions, error)
    named = "the direction" if count == 1 else f"the {count} directions"
    third = np.abs(orders.third)
    decided = third > np.maximum(orders.third_noise, orders.low / _DECISIVE)
    if np.any(decided & np.isfinite(third)):
        which = int(np.argmax(np.where(decided, third, 0.0)))
        said = (
            f"Along {named} without curvature the third derivative does not vanish: "
            "the loss falls to one side, so this is no minimum."
        )
        return _if_lower(tools, here, curved, said, directions[which])
    if not np.all(third <= np.maximum(orders.third_noise, orders.low)):
        return _unknown(named)
    size = np.abs(orders.fourth)
    decided = size > np.maximum(orders.fourth_noise, orders.low / _DECISIVE)
    falling = decided & (orders.fourth < 0)
    if np.any(falling):
        which = int(np.argmin(np.where(falling, orders.fourth, 0.0)))
        said = (
            f"Along {named} without curvature the third derivative vanishes and the "
            "fourth is negative: the loss falls, so this is no minimum."
        )
        bend = orders.bends[which]
        return _if_lower(tools, here, curved, said, directions[which], bend)
    if not np.all(decided):
        return _unknown(named)
    if count == 1:
        path = directions[0], orders.bends[0]
        if not _rises(tools, here, path, float(orders.fourth[0])):
            return Refined(None, _AT_ODDS)
        said = (
            f"Along {named} without curvature the third derivative vanishes and the "
            "fourth is positive: this is a strict minimum all the same."
        )
        return Refined(True, said)
    said = (
        f"Within {named} without curvature the third derivatives vanish, and the "
        f"fourth are positive along the {len(directions)} that were tried: this "
        "suggests a minimum and proves none."
    )
    return Refined(None, said)


_AT_ODDS = (
    "What the third and fourth derivatives say in the direction without curvature is "
    "not borne out by the values of the loss beside: they may jump, or be rounding."
)


def _if_lower(
    tools: Tools,
    here: Evaluation,
    curved: Curvature,
    said: str,
    direction: np.ndarray,
    bend: np.ndarray | None = None,
) -> Refined:
    """Derivatives at a point may belong to one side only: values must bear them out."""
    lower = step_down(tools, here, direction, curved.lengths, bend)
    return Refined(None, _AT_ODDS) if lower is None else Refined(False, said, lower)


def _rises(
    tools: Tools,
    here: Evaluation,
    path: tuple[np.ndarray, np.ndarray],
    fourth: float,
) -> bool:
    """Whether values to both sides rise as the fourth order says, where they can."""
    sizes = 2.0 ** -np.arange(TOGETHER // 2)
    sizes = np.concatenate([sizes, -sizes])[:, None]
    values, _ = tools.look(tools.x + sizes * path[0] + sizes**2 * path[1])
    expected = fourth * sizes[:, 0] ** 4
    seen = expected > 1e3 * tools.eps * abs(here.value)
    # Of those that are seen the nearest ones, where the fourth order leads.
    nearest = seen & (expected < 4**4 * np.min(np.where(seen, expected, np.inf)))
    return bool(np.all((values - here.value > 0.1 * expected) | ~nearest))


def _unknown(named: str) -> Refined:
    said = (
        f"Along {named} without curvature the third and fourth derivatives don't tell "
        "what the loss does: a valley with a flat floor, a plateau, or a higher order."
    )
    return Refined(None, said)


def _directions(curved: Curvature, flat: np.ndarray) -> np.ndarray:
    """Directions without curvature, as long as the parameters are large."""
    basis = (curved.vectors[:, flat] / curved.scales[:, None]).T
    if len(basis) > 1:
        # A form that vanishes along random directions vanishes, with probability one.
        weights = np.random.default_rng(0).normal(size=(TOGETHER, len(basis)))
        basis = weights @ basis
    return basis / np.max(np.abs(basis) / curved.lengths, axis=1, keepdims=True)


def _orders(
    tools: Tools,
    here: Evaluation,
    curved: Curvature,
    flat: np.ndarray,
    directions: np.ndarray,
    error: float,
) -> _Orders:
    repeated = np.resize(directions, (TOGETHER, directions.shape[1]))
    found = tools.taylor(repeated)
    second, pushed, fourth = (part[: len(directions)] for part in found)
    third = np.sum(pushed * directions, axis=1)
    fourth = np.sum(fourth * directions, axis=1)
    slope = np.abs(directions @ here.grad)
    bent = np.abs(np.sum(second * directions, axis=1))
    # The curvature of the other directions, which give way.
    inner = (pushed / curved.scales) @ curved.vectors[:, ~flat]
    steep = curved.values[~flat]
    gives = 3 * np.sum(inner**2 / steep, axis=1)
    bends = -(inner / steep / 2) @ curved.vectors[:, ~flat].T / curved.scales
    # The flat directions are known up to the error over the gap to the others.
    gap = float(np.min(np.abs(steep))) if len(steep) else 1.0
    turned = min(1.0, error / gap) if len(steep) else 0.0
    sizes = np.linalg.norm(directions * curved.scales, axis=1)
    sideways = np.linalg.norm(pushed / curved.scales, axis=1) * sizes
    rounded = 1e3 * tools.eps
    within = np.sum(np.abs(pushed * directions), axis=1)
    # The point itself is known up to about the cube root of the rounding unit.
    place = tools.eps ** (1 / 3) * np.abs(fourth)
    return _Orders(
        low=slope + bent / 2,
        third=third / 6,
        third_noise=(place + rounded * within + 10 * turned * sideways) / 6,
        bends=bends,
        fourth=(fourth - gives) / 24,
        fourth_noise=(rounded + 10 * turned) * (np.abs(fourth) + np.abs(gives)) / 24,
    )
