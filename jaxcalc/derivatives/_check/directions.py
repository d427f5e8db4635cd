"""Random directions through a point, and what the function does along them.

Two kinds of direction are drawn. In a *relative* one each coordinate moves by its own
size, which suits coordinates of very different sizes; in an *even* one all coordinates
of a leaf move by the same amount, which does not overlook a coordinate that happens to
be small. Signs are random, so that errors do not cancel, and all lengths are powers of
two, so that `x + h * v` is exact. They vary a little, so that coordinates which are
tied, as in a `max`, do not stay tied along every direction.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from jaxcalc.derivatives._check.probe import ROWS, Probe
from jaxcalc.derivatives._check.slopes import Slopes, measure

_WIDE = {False: (-4.0, 4.0, 6), True: (-3.0, 2.0, 6)}
_FAR = {False: (4.0, 4.0, 13), True: (1.0, 2.0, 10)}
SHORTER = (1.0, 2.0, 4.0)
_ROUNDINGS = 1e3  # of automatic differentiation itself
_RESOLVED = 0.05
_MARGIN = 1.5


class Known(NamedTuple):
    """What automatic differentiation says, and the scales that follow from it.

    Attributes:
        center: The value.
        gradient: The gradient by reverse mode; zeros where there is none.
        reverse: Whether there is a reverse mode.
        forward: Whether there is a forward mode.
        eps: Rounding unit between the parameters and the value.
        allowed: Coordinates that may be moved, a mask of shape `(n,)`.
    """

    center: float
    gradient: np.ndarray
    reverse: bool
    forward: bool
    eps: float
    allowed: np.ndarray

    @property
    def slope(self) -> np.ndarray:
        """The gradient where it may be followed, zero elsewhere."""
        return np.where(self.allowed, self.gradient, 0.0)

    @property
    def coarse(self) -> bool:
        """Whether the function computes in less than 64 bits."""
        return self.eps > 1e-12


@dataclass(frozen=True, eq=False)
class Look:
    """One direction: what the differences say and what AD says.

    Attributes:
        row: The direction, shape `(n,)`.
        slopes: Slope, kink and jump by differences.
        reverse: Slope by reverse mode; NaN where it was not asked.
        forward: Slope by forward mode; NaN where it was not asked.
        size: The typical size of a slope along such a direction.
        eps: Rounding unit of the function.
    """

    row: np.ndarray
    slopes: Slopes
    reverse: float
    forward: float
    size: float
    eps: float

    @property
    def jump(self) -> bool:
        """Whether the value jumps here."""
        return float(self.slopes.jump) > 0

    @property
    def kink(self) -> bool:
        """Whether the slopes from the two sides differ here."""
        kink, slope = self.slopes.kink, abs(float(self.slopes.slope.value))
        scale = np.fmax(self.size, slope)
        floor = max(_ROUNDINGS * self.eps, self.eps**0.4) * scale
        return bool(abs(kink.value) > _MARGIN * kink.error + floor)

    @property
    def tolerance(self) -> float:
        """How far a right answer may be from the differences."""
        rounding = _ROUNDINGS * self.eps * self.size
        return float(_MARGIN * self.slopes.slope.error + rounding)

    @property
    def resolved(self) -> bool:
        """Whether the differences say something about the slope."""
        slope = self.slopes.slope
        scale = np.fmax(np.fmax(self.size, np.abs(slope.value)), self.slopes.secant)
        for automatic in (self.reverse, self.forward):
            scale = np.fmax(scale, np.abs(automatic))
        floor = 1e4 * self.eps * self.slopes.size
        hidden = self._hidden(self.reverse) or self._hidden(self.forward)
        return bool(slope.error <= max(_RESOLVED * scale, floor)) and not hidden

    def wrong(self, mode: str) -> bool:
        """Whether a mode's slope contradicts the differences."""
        automatic = self.reverse if mode == "reverse" else self.forward
        if np.isnan(automatic) or not np.isfinite(self.slopes.slope.error):
            return False
        apart = abs(automatic - self.slopes.slope.value) > self.tolerance
        return bool(apart) and not self._hidden(automatic)

    def _hidden(self, automatic: float) -> bool:
        """Whether the noise may be a slope that the smallest step is too wide for."""
        noise, rounding = self.slopes.noise, self.slopes.rounding
        last = abs(automatic) * self.slopes.steps[-1]
        return bool(noise > 100 * rounding and 10 * last > noise)

    @property
    def suspicious(self) -> bool:
        """Whether anything is wrong along this direction."""
        return self.jump or self.kink or self.wrong("reverse") or self.wrong("forward")


def wide_steps(known: Known) -> np.ndarray:
    """Steps over all scales that a function of this precision may have."""
    return _steps(*_WIDE[known.coarse])


def far_steps(known: Known) -> np.ndarray:
    """More steps on both ends, for what the wide ones leave open."""
    return _steps(*_FAR[known.coarse])


def narrow_steps(look: Look) -> np.ndarray:
    """Three steps where another direction has settled."""
    slope, steps = look.slopes.slope, look.slopes.steps
    last, first = int(slope.rung), int(slope.first)
    top = steps[max(last - 1, first)]
    return top * 4.0 ** -np.arange(3)


def _steps(exponent: float, stride: float, count: int) -> np.ndarray:
    return 2.0 ** (exponent - stride * np.arange(count))


def lengths(probe: Probe) -> tuple[np.ndarray, np.ndarray]:
    """How far each coordinate moves in a relative and in an even direction.

    Args:
        probe: The function at its point.

    Returns:
        Two vectors of powers of two, shape `(n,)`.
    """
    relative, even = [], []
    for leaf in leaf_values(probe):
        largest = np.max(np.abs(leaf), initial=0.0)
        typical = largest * np.sqrt(np.mean((leaf / largest) ** 2)) if largest else 1.0
        power = 2.0 ** np.clip(np.round(np.log2(typical)), -500, 500)
        even.append(np.full(leaf.size, power))
        own = np.maximum(np.abs(leaf), power * 2.0**-60)
        own = 2.0 ** np.clip(np.round(np.log2(own)), -500, 500)
        relative.append(np.where(leaf == 0, power, own))
    return np.concatenate(relative), np.concatenate(even)


def draw(probe: Probe, rng: np.random.Generator) -> np.ndarray:
    """Directions to look along: relative, even, relative, even.

    Args:
        probe: The function at its point.
        rng: Draws signs and lengths.

    Returns:
        An array of shape `(ROWS, n)`.
    """
    relative, even = lengths(probe)
    rows = np.stack([relative, even, relative, even])
    signs = rng.choice([-1.0, 1.0], size=rows.shape)
    return signs * rows / rng.choice(SHORTER, size=rows.shape)


def leaf_values(probe: Probe) -> list[np.ndarray]:
    """The point leaf by leaf, each a flat float64 vector."""
    return np.split(probe.flat, leaf_ends(probe)[:-1])


def leaf_ends(probe: Probe) -> np.ndarray:
    """Where each leaf ends in the flat vector."""
    return np.cumsum([leaf.size for leaf in jax.tree.leaves(probe.point)])


def look(
    probe: Probe,
    known: Known,
    rows: np.ndarray,
    steps: np.ndarray,
    *,
    forward: np.ndarray | None = None,
    noise: np.ndarray | None = None,
) -> list[Look]:
    """Evaluate a function along directions and hold the derivatives against it.

    Args:
        probe: The function at its point.
        known: What automatic differentiation says.
        rows: Directions, shape `(d, n)`.
        steps: Steps, shape `(k,)` for all or `(d, k)`.
        forward: Forward-mode slopes, shape `(d,)`; asked for if None and available.
        noise: The noise of a value where it is known, shape `(d,)`.

    Returns:
        One record for each direction.
    """
    looks: list[Look] = []
    steps = np.broadcast_to(steps, (len(rows), np.shape(steps)[-1]))
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        given = None if forward is None else forward[part]
        heard = None if noise is None else noise[part]
        looks += _look(probe, known, rows[part], steps[part], given, heard)
    return looks


def _look(probe, known, rows, steps, forward, noise):
    count, rungs = steps.shape
    padded = np.zeros((ROWS, rows.shape[1]))
    padded[:count] = rows
    if forward is None and known.forward:
        forward = probe.forward(padded)[:count]
    which = np.repeat(np.arange(count), 2 * rungs)
    signed = np.concatenate([steps, -steps], axis=1)
    values = probe.values(padded, which, signed.ravel()).reshape(count, 2, rungs)
    values = np.where(np.isfinite(values), values, np.nan)
    floor = known.eps * np.linalg.norm(known.slope * probe.flat)
    slopes = measure(
        steps,
        np.full(count, known.center),
        values[:, 0],
        values[:, 1],
        eps=known.eps,
        floor=np.full(count, floor),
        noise=noise,
    )
    parts = known.slope * rows
    reverse = parts.sum(axis=1) if known.reverse else np.full(count, np.nan)
    return [
        Look(
            row=rows[i],
            slopes=slopes.row(i),
            reverse=float(reverse[i]),
            forward=np.nan if forward is None else float(forward[i]),
            size=float(np.linalg.norm(parts[i])),
            eps=known.eps,
        )
        for i in range(count)
    ]
