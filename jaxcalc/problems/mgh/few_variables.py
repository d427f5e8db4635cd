r"""Problems 1 to 5, 7, 13 and 14: two to four variables, and no data.

In all of them $f(x) = \sum_i r_i(x)^2$, and indices count from 1 as in the paper.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxcalc.problems.mgh import _build
from jaxcalc.problems.mgh._blocks import powell_singular_residual, rosenbrock_residual
from jaxcalc.problems.problem import Problem


def rosenbrock() -> Problem:
    r"""Problem 1, Rosenbrock: a curved valley.

    $$r = \left(10 (x_2 - x_1^2),\; 1 - x_1\right)$$

    Returns:
        The problem; its minimum is 0, at (1, 1).
    """
    return _build.problem(
        1,
        "rosenbrock",
        "Rosenbrock",
        rosenbrock_residual,
        (-1.2, 1),
        minimizers=[(1, 1)],
    )


def _freudenstein_roth(x: Float[Array, "2"]) -> Float[Array, "2"]:
    u, v = x
    return jnp.stack(
        [-13 + u + ((5 - v) * v - 2) * v, -29 + u + ((v + 1) * v - 14) * v]
    )


def freudenstein_roth() -> Problem:
    r"""Problem 2, Freudenstein and Roth: two minima; the start leads to the higher one.

    $$r = \left(-13 + x_1 + ((5 - x_2) x_2 - 2) x_2,\;
    -29 + x_1 + ((x_2 + 1) x_2 - 14) x_2\right)$$

    Returns:
        The problem; its minimum is 0, at (5, 4). The other one is 48.9842..., at
        (11.41..., -0.8968...).
    """
    return _build.problem(
        2,
        "freudenstein_roth",
        "Freudenstein and Roth",
        _freudenstein_roth,
        (0.5, -2),
        minimizers=[(5, 4)],
        local_minima=[48.98425367924002],
    )


def _powell_badly_scaled(x: Float[Array, "2"]) -> Float[Array, "2"]:
    u, v = x
    return jnp.stack([1e4 * u * v - 1, jnp.exp(-u) + jnp.exp(-v) - 1.0001])


def powell_badly_scaled() -> Problem:
    r"""Problem 3, Powell badly scaled: the variables differ by six orders of size.

    $$r = \left(10^4 x_1 x_2 - 1,\; e^{-x_1} + e^{-x_2} - 1.0001\right)$$

    Returns:
        The problem; its minimum is 0, at (1.098...e-5, 9.106...). The formula is
        symmetric in its variables, so the swapped point is a minimizer too.
    """
    point = (1.0981593296998175e-5, 9.106146739866524)
    return _build.problem(
        3,
        "powell_badly_scaled",
        "Powell badly scaled",
        _powell_badly_scaled,
        (0, 1),
        minimizers=[point, point[::-1]],
    )


def _brown_badly_scaled(x: Float[Array, "2"]) -> Float[Array, "3"]:
    u, v = x
    return jnp.stack([u - 1e6, v - 2e-6, u * v - 2])


def brown_badly_scaled() -> Problem:
    r"""Problem 4, Brown badly scaled: the minimizer's numbers differ by 11 orders.

    $$r = \left(x_1 - 10^6,\; x_2 - 2 \cdot 10^{-6},\; x_1 x_2 - 2\right)$$

    Returns:
        The problem; its minimum is 0, at (1e6, 2e-6).
    """
    return _build.problem(
        4,
        "brown_badly_scaled",
        "Brown badly scaled",
        _brown_badly_scaled,
        (1, 1),
        minimizers=[(1e6, 2e-6)],
    )


def _beale(x: Float[Array, "2"]) -> Float[Array, "3"]:
    u, v = x
    return jnp.stack([1.5 - u * (1 - v), 2.25 - u * (1 - v**2), 2.625 - u * (1 - v**3)])


def beale() -> Problem:
    r"""Problem 5, Beale: a flat valley between steep walls.

    $$r_i = y_i - x_1 (1 - x_2^i), \qquad y = (1.5, 2.25, 2.625)$$

    Returns:
        The problem; its minimum is 0, at (3, 0.5). Along $x_2 = 1$ it sinks towards
        0.452 at infinity, the best fit of $i a$ to $y_i$.
    """
    return _build.problem(
        5,
        "beale",
        "Beale",
        _beale,
        (1, 1),
        minimizers=[(3, 0.5)],
        local_minima=[14.203125 - 13.875**2 / 14],
    )


def _helical_valley(x: Float[Array, "3"]) -> Float[Array, "3"]:
    u, v, w = x
    # The paper's angle runs from -1/4 to 3/4 of a turn, so its cut is not arctan2's.
    turns = jnp.arctan2(v, u) / (2 * jnp.pi)
    turns = turns + jnp.where(turns < -0.25, 1, 0)
    return jnp.stack([10 * (w - 10 * turns), 10 * (jnp.hypot(u, v) - 1), w])


def helical_valley() -> Problem:
    r"""Problem 7, helical valley: a valley that winds around an axis.

    $$r = \left(10 (x_3 - 10 \theta),\; 10 (\sqrt{x_1^2 + x_2^2} - 1),\; x_3\right)$$

    where $\theta$ is the angle of $(x_1, x_2)$ in turns, from -1/4 to 3/4. It jumps
    where $x_1 = 0$ and $x_2 < 0$, and there is no derivative on the axis.

    Returns:
        The problem; its minimum is 0, at (1, 0, 0).
    """
    return _build.problem(
        7,
        "helical_valley",
        "Helical valley",
        _helical_valley,
        (-1, 0, 0),
        minimizers=[(1, 0, 0)],
    )


def powell_singular() -> Problem:
    r"""Problem 13, Powell singular: the Hessian has rank 2 at the minimizer.

    $$r = \left(x_1 + 10 x_2,\; \sqrt5 (x_3 - x_4),\; (x_2 - 2 x_3)^2,\;
    \sqrt{10} (x_1 - x_4)^2\right)$$

    Returns:
        The problem; its minimum is 0, at the origin.
    """
    return _build.problem(
        13,
        "powell_singular",
        "Powell singular",
        powell_singular_residual,
        (3, -1, 0, 1),
        minimizers=[(0, 0, 0, 0)],
    )


def _wood(x: Float[Array, "4"]) -> Float[Array, "6"]:
    a, b, c, d = x
    return jnp.stack(
        [
            10 * (b - a**2),
            1 - a,
            90**0.5 * (d - c**2),
            1 - c,
            10**0.5 * (b + d - 2),
            (b - d) / 10**0.5,
        ]
    )


def wood() -> Problem:
    r"""Problem 14, Wood: two coupled valleys, with a saddle that holds methods up.

    $$r = \left(10 (x_2 - x_1^2),\; 1 - x_1,\; \sqrt{90} (x_4 - x_3^2),\; 1 - x_3,\;
    \sqrt{10} (x_2 + x_4 - 2),\; (x_2 - x_4) / \sqrt{10}\right)$$

    The saddle is at (-0.968, 0.947, -0.970, 0.951), where the value is 7.877.

    Returns:
        The problem; its minimum is 0, at (1, 1, 1, 1).
    """
    return _build.problem(
        14,
        "wood",
        "Wood",
        _wood,
        (-3, -1, -3, -1),
        minimizers=[(1, 1, 1, 1)],
    )
