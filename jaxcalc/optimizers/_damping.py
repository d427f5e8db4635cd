"""What holds the steps of least squares back: a radius, a penalty, or a line search."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxcalc.optimizers._subproblem import solve_ball
from jaxcalc.optimizers._trial import Verdict


class Proposal(NamedTuple):
    """A step in the basis of the model.

    Attributes:
        coefficients: The step.
        slope: Of the model along it.
        decrease: Of the model by it.
    """

    coefficients: Float[Array, " n"]
    slope: Float[Array, ""]
    decrease: Float[Array, ""]


class Hold(NamedTuple):
    """How far a step may go: `bound` holds it back, `growth` is how fast that grows."""

    bound: Float[Array, ""]
    growth: Float[Array, ""]


class Damping(NamedTuple):
    """One way to hold steps back.

    Attributes:
        first: The first bound, from eigenvalues and from how far a first step may go.
        solve: The step, from eigenvalues, slopes, the bound, and how far to go where
            nothing but negative curvature is known.
        adapt: The next hold, from this one, the verdict, the step, and its length.
    """

    first: Callable[[Array, Array], Array]
    solve: Callable[[Array, Array, Array, Array], Proposal]
    adapt: Callable[[Hold, Verdict, Proposal, Array], Hold]


def _proposal(values: Array, slopes: Array, coefficients: Array) -> Proposal:
    slope = slopes @ coefficients
    return Proposal(coefficients, slope, -(slope + 0.5 * values @ coefficients**2))


def _shortened(hold: Hold, verdict: Verdict, step: Proposal) -> Float[Array, ""]:
    """How much shorter a step ends at the minimum of the parabola through both ends."""
    # Moré (1978), The Levenberg-Marquardt algorithm, section 4.
    # Slope s at the start and a value that is higher by -ratio * decrease at the end.
    bend = -verdict.ratio * step.decrease - step.slope
    meets = -0.5 * step.slope / bend
    usable = verdict.finite & (bend > 0)
    blind = jnp.where(verdict.finite, 0.1, 0.1 ** (hold.growth - 1))
    return jnp.where(usable, jnp.clip(meets, 0.1, 0.5), blind)


def _next_growth(hold: Hold, verdict: Verdict) -> Float[Array, ""]:
    # Where nothing is finite there is no telling how far away the wall is: a tenth, a
    # hundredth, a thousandth.
    return jnp.where(verdict.finite, 2.0, hold.growth + 1)


def _shift(values: Array) -> Float[Array, ""]:
    return jnp.maximum(0.0, -2 * values[0])


def _indefinite(values: Array) -> Array:
    eps = jnp.finfo(values.dtype).eps
    return values[0] < -10 * values.size * eps * jnp.max(jnp.abs(values))


# ------------------------------------------------------------------ a radius


def _ball(values: Array, slopes: Array, radius: Array, reach: Array) -> Proposal:
    del reach
    return _proposal(values, slopes, solve_ball(values, slopes, radius).coefficients)


def _next_radius(hold: Hold, verdict: Verdict, step: Proposal, length: Array) -> Hold:
    # Moré (1978), algorithm 7.1: below a quarter the radius shrinks, above three
    # quarters it is at least twice the step.
    smaller = _shortened(hold, verdict, step) * jnp.minimum(hold.bound, 10 * length)
    larger = jnp.maximum(hold.bound, 2 * length)
    grown = jnp.where(verdict.ratio >= 0.75, larger, hold.bound)
    bound = jnp.where(verdict.ratio > 0.25, grown, smaller)
    return Hold(bound, _next_growth(hold, verdict))


more = Damping(first=lambda _, reach: reach, solve=_ball, adapt=_next_radius)

# ------------------------------------------------------------------ a penalty

# Madsen, Nielsen and Tingleff (2004), Methods for Non-Linear Least Squares Problems,
# section 3.2: the first penalty, in units of the largest eigenvalue.
_FIRST = 1e-3


def _penalized(values: Array, slopes: Array, penalty: Array, reach: Array) -> Proposal:
    indefinite = _indefinite(values)
    shifted = values + penalty + jnp.where(indefinite, _shift(values), 0.0)
    level = (slopes == 0) | (shifted <= 0)
    damped = jnp.where(level, 0.0, -slopes / jnp.where(level, 1.0, shifted))
    # Where the slopes vanish no penalty can push: a ball that the penalty shrinks.
    radius = reach * jnp.abs(values[0]) / (jnp.abs(values[0]) + penalty)
    radius = jnp.where(indefinite, radius, 1.0)
    away = solve_ball(values, slopes, radius).coefficients
    return _proposal(values, slopes, jnp.where(indefinite, away, damped))


def _next_penalty(hold: Hold, verdict: Verdict, step: Proposal, length: Array) -> Hold:
    del step, length
    # Nielsen (1999), Damping parameter in Marquardt's method, section 3.
    better = jnp.maximum(1 / 3, 1 - (2 * verdict.ratio - 1) ** 3)
    accepted = verdict.accepted
    return Hold(
        bound=hold.bound * jnp.where(accepted, better, hold.growth),
        growth=jnp.where(accepted, 2.0, 2 * hold.growth),
    )


nielsen = Damping(
    first=lambda values, _: _FIRST * jnp.max(jnp.abs(values)),
    solve=_penalized,
    adapt=_next_penalty,
)

# ------------------------------------------------------------------ a line search


def _along(values: Array, slopes: Array, part: Array, reach: Array) -> Proposal:
    # Where there is slope but no curvature, as far as the largest curvature allows.
    largest = jnp.max(values)
    usual = jnp.where(largest > 0, largest, 1.0)
    whole = -slopes / jnp.where(values > 0, values, usual)
    indefinite = _indefinite(values)
    radius = jnp.where(indefinite, part * reach, 1.0)
    away = solve_ball(values, slopes, radius).coefficients
    return _proposal(values, slopes, jnp.where(indefinite, away, part * whole))


def _next_part(hold: Hold, verdict: Verdict, step: Proposal, length: Array) -> Hold:
    del length
    shorter = _shortened(hold, verdict, step) * hold.bound
    bound = jnp.where(verdict.accepted, 1.0, shorter)
    return Hold(bound, _next_growth(hold, verdict))


line_search = Damping(
    first=lambda _, reach: jnp.ones_like(reach), solve=_along, adapt=_next_part
)
