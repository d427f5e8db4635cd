"""Test functions of a few variables whose minimizers are known."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcalc import _checks
from jaxcalc.problems import _data
from jaxcalc.problems.problem import Problem


def _problem(name, loss, lower, upper, minimizers, **facts) -> Problem:
    # Their lowest value is 0, and starts are spread over the box.
    lower, upper = (np.asarray(corner, float) for corner in (lower, upper))
    return Problem(
        name=name,
        loss=loss,
        init=_data.uniform(tuple(lower.tolist()), tuple(upper.tolist())),
        minimum=0.0,
        minimizers=tuple(np.asarray(point, float) for point in minimizers),
        box=(lower, upper),
        **facts,
    )


def rosenbrock_loss(x: Float[Array, " n"]) -> Float[Array, ""]:
    r"""Rosenbrock's valley, in its chained form.

    $$f(x) = \sum_{i=1}^{n-1} 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2$$

    Args:
        x: A point, shape `(n,)`, at least two numbers.

    Returns:
        The value, shape `()`.
    """
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock(dimension: int = 2) -> Problem:
    """Rosenbrock's curved valley: easy to enter, slow to follow.

    From dimension 4 to 30 there is one more local minimum, near (-1, 1, ..., 1) and of
    value near 4, so not every start leads to the lowest point. Starts are uniform in
    the box.

    Args:
        dimension: How many variables there are, at least 2.

    Returns:
        The problem; its minimum is 0, at (1, ..., 1).

    Raises:
        TypeError: `dimension` is not an integer.
        ValueError: `dimension` is less than 2.

    References:
        Rosenbrock (1960), An automatic method for finding the greatest or least value
        of a function, Computer Journal 3(3); Shang and Qiu (2006), A note on the
        extended Rosenbrock function, Evolutionary Computation 14(1).
    """
    n = _checks.positive_int("dimension", dimension, minimum=2)
    # In the plane the box is the usual picture; beyond, the usual domain of starts.
    box = ((-2, -1), (2, 3)) if n == 2 else (np.full(n, -2.048), np.full(n, 2.048))
    return _problem(
        _data.named("rosenbrock", ("", n, 2)),
        rosenbrock_loss,
        *box,
        minimizers=[np.ones(n)],
        title="Rosenbrock" if n == 2 else f"Rosenbrock in {n} dimensions",
        source="Rosenbrock (1960), Computer Journal 3(3)",
    )


def beale_loss(x: Float[Array, "2"]) -> Float[Array, ""]:
    r"""Beale's function.

    $$f(x) = \sum_{i=1}^{3} \left(y_i - x_1 (1 - x_2^i)\right)^2,
    \qquad y = (1.5, 2.25, 2.625)$$

    Args:
        x: A point, shape `(2,)`.

    Returns:
        The value, shape `()`.
    """
    u, v = x
    return (
        (1.5 - u * (1 - v)) ** 2
        + (2.25 - u * (1 - v**2)) ** 2
        + (2.625 - u * (1 - v**3)) ** 2
    )


def beale() -> Problem:
    """Beale's function: a flat valley between steep walls, and a saddle at (0, 1).

    Starts are uniform in a box around the usual start (1, 1), the saddle and the
    minimizer. Where x1 is negative the valley runs to infinity along x2 = 1 and sinks
    towards 0.452 without a minimum: one start in 25 leads there.

    Returns:
        The problem; its minimum is 0, at (3, 0.5).

    References:
        Moré, Garbow and Hillstrom (1981), Testing unconstrained optimization software,
        ACM Transactions on Mathematical Software 7(1), problem 5.
    """
    return _problem(
        "beale",
        beale_loss,
        (-0.5, -1.5),
        (4.5, 1.5),
        minimizers=[(3, 0.5)],
        title="Beale",
        source="Moré, Garbow and Hillstrom (1981), ACM TOMS 7(1), problem 5",
    )


def himmelblau_loss(x: Float[Array, "2"]) -> Float[Array, ""]:
    r"""Himmelblau's function.

    $$f(x) = (x_1^2 + x_2 - 11)^2 + (x_1 + x_2^2 - 7)^2$$

    Args:
        x: A point, shape `(2,)`.

    Returns:
        The value, shape `()`.
    """
    u, v = x
    return (u**2 + v - 11) ** 2 + (u + v**2 - 7) ** 2


def himmelblau() -> Problem:
    """Himmelblau's function: four minima of equal depth around one maximum.

    Starts are uniform in the box.

    Returns:
        The problem; its minimum is 0, at four points.

    References:
        Himmelblau (1972), Applied Nonlinear Programming, McGraw-Hill.
    """
    return _problem(
        "himmelblau",
        himmelblau_loss,
        (-5, -5),
        (5, 5),
        # The three irrational ones are roots of both squares, found by Newton's method
        # in extended precision.
        minimizers=[
            (3, 2),
            (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286170),
            (3.584428340330492, -1.848126526964404),
        ],
        title="Himmelblau",
        source="Himmelblau (1972), Applied Nonlinear Programming",
    )


def powell_singular_loss(x: Float[Array, "4"]) -> Float[Array, ""]:
    r"""Powell's singular function.

    $$f(x) = (x_1 + 10 x_2)^2 + 5 (x_3 - x_4)^2 + (x_2 - 2 x_3)^4 + 10 (x_1 - x_4)^4$$

    Args:
        x: A point, shape `(4,)`.

    Returns:
        The value, shape `()`.
    """
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def powell_singular() -> Problem:
    """Powell's singular function: the Hessian has rank 2 at the minimizer.

    Newton's method converges only linearly there, by a factor of 2/3 a step. Starts are
    uniform in the box, which holds the usual start (3, -1, 0, 1).

    Returns:
        The problem; its minimum is 0, at the origin.

    References:
        Moré, Garbow and Hillstrom (1981), Testing unconstrained optimization software,
        ACM Transactions on Mathematical Software 7(1), problem 13.
    """
    return _problem(
        "powell_singular",
        powell_singular_loss,
        (-4,) * 4,
        (4,) * 4,
        minimizers=[np.zeros(4)],
        title="Powell singular",
        source="Moré, Garbow and Hillstrom (1981), ACM TOMS 7(1), problem 13",
    )


def quadratic_loss(
    x: Float[Array, " n"], eigenvalues: Float[Array, " n"], basis: Float[Array, "n n"]
) -> Float[Array, ""]:
    r"""A convex quadratic given by its eigenvalues and eigenvectors.

    $$f(x) = \frac{1}{2} \sum_i \lambda_i (q_i^\top x)^2$$

    Args:
        x: A point, shape `(n,)`.
        eigenvalues: Curvatures $\lambda$, shape `(n,)`, zero or more.
        basis: Orthonormal eigenvectors $q_i$ along rows, shape `(n, n)`.

    Returns:
        The value, shape `()`.
    """
    return 0.5 * jnp.sum(eigenvalues * (basis @ x) ** 2)


def quadratic_hessian(
    x: Float[Array, " n"], eigenvalues: Float[Array, " n"], basis: Float[Array, "n n"]
) -> Float[Array, "n n"]:
    r"""Hessian of `quadratic_loss`, $Q^\top \Lambda Q$, the same everywhere.

    Args:
        x: A point, shape `(n,)`; it does not enter.
        eigenvalues: Curvatures $\lambda$, shape `(n,)`.
        basis: Orthonormal eigenvectors along rows, shape `(n, n)`.

    Returns:
        The Hessian, shape `(n, n)`.
    """
    del x
    with jax.default_matmul_precision("highest"):
        return basis.T @ (eigenvalues[:, None] * basis)


def quadratic(dimension: int = 10, condition: float = 100.0) -> Problem:
    """A convex quadratic of chosen condition number, in no axis's direction.

    Eigenvalues are spaced evenly in their logarithm from 1 to `condition`; the basis is
    a random orthogonal one, the same for equal dimensions. Starts are uniform in the
    box.

    Args:
        dimension: How many variables there are, at least 2.
        condition: Largest eigenvalue over the smallest, at least 1.

    Returns:
        The problem; its minimum is 0, at the origin.

    Raises:
        TypeError: `dimension` is not an integer or `condition` not a number.
        ValueError: `dimension` is less than 2 or `condition` less than 1.
    """
    n = _checks.positive_int("dimension", dimension, minimum=2)
    condition = _checks.positive_float("condition", condition)
    if condition < 1:
        raise ValueError(f"`condition` must be at least 1, got {condition!r}")
    eigenvalues = np.geomspace(1, condition, n)
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))
    return _problem(
        _data.named("quadratic", ("", n, 10), ("condition", condition, 100.0)),
        quadratic_loss,
        np.full(n, -2),
        np.full(n, 2),
        minimizers=[np.zeros(n)],
        args=_data.floats(eigenvalues, basis),
        hessian=quadratic_hessian,
        title=f"Quadratic in {n} dimensions, condition number {condition:g}",
        source="Made here: log-spaced eigenvalues in a random orthogonal basis",
    )
