"""How accurate a step is to be, and how a rejected one is shortened."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxcalc import _checks
from jaxcalc.optimizers._trial import Verdict


class Forcing(NamedTuple):
    """How accurate the next step is to be, relative to the gradient.

    Attributes:
        most: The largest value it takes.
        now: The value at the point planned from last.
        steepest: The largest gradient planned from, by its norm.
    """

    most: Float[Array, ""]
    now: Float[Array, ""]
    steepest: Float[Array, ""]

    @classmethod
    def start(cls, most: float, dtype: Any) -> "Forcing":
        """What it is before the first step.

        Args:
            most: The largest value.
            dtype: Of the numbers.

        Returns:
            The record.
        """
        first = jnp.asarray(most, dtype)
        return cls(first, first, jnp.zeros((), dtype))


def first_forcing(forcing: Any) -> float:
    """Return a largest relative residual if it is one.

    Args:
        forcing: What the caller passed.

    Returns:
        The number as a float.

    Raises:
        ValueError: It is not between 0 and 1.
    """
    forcing = _checks.positive_float("forcing", forcing)
    if forcing >= 1:
        raise ValueError(
            f"`forcing` must be below 1, got {forcing}: it is the residual that a step "
            "may leave of the gradient"
        )
    return forcing


def next_forcing(forcing: Forcing, slope: Float[Array, ""]) -> Forcing:
    """The accuracy that a step from a point with this slope deserves.

    Args:
        forcing: The last one.
        slope: The norm of the gradient.

    Returns:
        The next one.
    """
    steepest = jnp.maximum(forcing.steepest, slope)
    # A third power: with the square root steps are more accurate than the model is;
    # softmax regression and chained Rosenbrock take a sixth to a fifth more products.
    wanted = (slope / jnp.where(steepest > 0, steepest, 1)) ** (1 / 3)
    return Forcing(forcing.most, jnp.minimum(wanted, forcing.most), steepest)


def shortened(
    slope: Float[Array, ""], rise: Float[Array, ""], verdict: Verdict
) -> Float[Array, ""]:
    """By what factor to shorten a rejected step.

    Args:
        slope: Along the whole step.
        rise: Of the loss.
        verdict: What came of it.

    Returns:
        Where the parabola through both values and the slope has its minimum, within a
        tenth and a half; a tenth where the loss is not finite.

    References:
        Nocedal and Yuan (1998), Combining trust region and line search techniques,
        section 3.
    """
    factor = jnp.clip(-slope / (2 * (rise - slope)), 0.1, 0.5)
    known = verdict.finite & jnp.isfinite(factor)
    return jnp.where(known, factor, 0.1)
