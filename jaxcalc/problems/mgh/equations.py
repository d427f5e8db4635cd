r"""Problems 28 to 34: discretized and banded equations, and linear systems.

In all of them $f(x) = \sum_i r_i(x)^2$, and indices count from 1 as in the paper. The
dimension is the start's: the residuals read it from the shape of their argument.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcalc import _checks
from jaxcalc.problems.mgh import _build
from jaxcalc.problems.problem import Problem


def _grid_start(n: int) -> np.ndarray:
    t = np.arange(1, n + 1) / (n + 1)
    return t * (t - 1)


def _grid(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.arange(1, x.size + 1, dtype=x.dtype) / (x.size + 1)


def _discrete_boundary_value(x: Float[Array, " n"]) -> Float[Array, " n"]:
    step, around = 1 / (x.size + 1), jnp.pad(x, 1)
    bend = 2 * x - around[:-2] - around[2:]
    return bend + step**2 * (x + _grid(x) + 1) ** 3 / 2


def discrete_boundary_value(dimension: int = 10) -> Problem:
    r"""Problem 28, discrete boundary value: differences of $u'' = (u + t + 1)^3 / 2$.

    $$r_i = 2 x_i - x_{i-1} - x_{i+1} + \frac{h^2}{2} (x_i + t_i + 1)^3, \qquad
    h = \frac{1}{n+1},\; t_i = i h,\; x_0 = x_{n+1} = 0$$

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 0.
    """
    n = _checks.positive_int("dimension", dimension)
    return _build.problem(
        28,
        "discrete_boundary_value",
        "Discrete boundary value",
        _discrete_boundary_value,
        _grid_start(n),
        options=[("", n, 10)],
    )


def _discrete_integral_equation(x: Float[Array, " n"]) -> Float[Array, " n"]:
    t = _grid(x)
    cube = (x + t + 1) ** 3
    left = jnp.cumsum(t * cube)
    right = jax.lax.cumsum((1 - t) * cube, reverse=True)
    right = jnp.append(right[1:], jnp.zeros((), x.dtype))
    return x + ((1 - t) * left + t * right) / (2 * (x.size + 1))


def discrete_integral_equation(dimension: int = 10) -> Problem:
    r"""Problem 29, discrete integral equation: problem 28 with its Green's function.

    $$r_i = x_i + \frac{h}{2} \Bigl[(1 - t_i) \sum_{j \le i} t_j (x_j + t_j + 1)^3 +
    t_i \sum_{j > i} (1 - t_j) (x_j + t_j + 1)^3\Bigr], \qquad
    h = \frac{1}{n+1},\; t_i = i h$$

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 0.
    """
    n = _checks.positive_int("dimension", dimension)
    return _build.problem(
        29,
        "discrete_integral_equation",
        "Discrete integral equation",
        _discrete_integral_equation,
        _grid_start(n),
        options=[("", n, 10)],
    )


def _broyden_tridiagonal(x: Float[Array, " n"]) -> Float[Array, " n"]:
    around = jnp.pad(x, 1)
    return (3 - 2 * x) * x - around[:-2] - 2 * around[2:] + 1


def broyden_tridiagonal(dimension: int = 10) -> Problem:
    r"""Problem 30, Broyden tridiagonal.

    $$r_i = (3 - 2 x_i) x_i - x_{i-1} - 2 x_{i+1} + 1, \qquad x_0 = x_{n+1} = 0$$

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 0.
    """
    n = _checks.positive_int("dimension", dimension)
    return _build.problem(
        30,
        "broyden_tridiagonal",
        "Broyden tridiagonal",
        _broyden_tridiagonal,
        np.full(n, -1),
        options=[("", n, 10)],
    )


def _broyden_banded(x: Float[Array, " n"]) -> Float[Array, " n"]:
    around = jnp.pad(x * (1 + x), (5, 1))
    band = sum(around[k : k + x.size] for k in (0, 1, 2, 3, 4, 6))
    return x * (2 + 5 * x**2) + 1 - band


def broyden_banded(dimension: int = 10) -> Problem:
    r"""Problem 31, Broyden banded: five neighbours below and one above.

    $$r_i = x_i (2 + 5 x_i^2) + 1 - \sum_{j \in J_i} x_j (1 + x_j), \qquad
    J_i = \{j \ne i : \max(1, i - 5) \le j \le \min(n, i + 1)\}$$

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 0.
    """
    n = _checks.positive_int("dimension", dimension)
    return _build.problem(
        31,
        "broyden_banded",
        "Broyden banded",
        _broyden_banded,
        np.full(n, -1),
        options=[("", n, 10)],
    )


def _linear(x: Float[Array, " n"], A: Float[Array, "m n"]) -> Float[Array, " m"]:
    with jax.default_matmul_precision("highest"):
        return A @ x - 1


def linear_full_rank(dimension: int = 10, terms: int = 20) -> Problem:
    r"""Problem 32, linear of full rank: one Gauss-Newton step solves it.

    $$r_i = x_i - \frac2m \sum_j x_j - 1,\; i \le n, \qquad
    r_i = -\frac2m \sum_j x_j - 1,\; i > n$$

    Args:
        dimension: How many variables there are.
        terms: How many residuals there are, at least as many.

    Returns:
        The problem; its minimum is $m - n$, at (-1, ..., -1).
    """
    n = _checks.positive_int("dimension", dimension)
    m = _build.terms(terms, n)
    return _build.problem(
        32,
        "linear_full_rank",
        "Linear, full rank",
        _linear,
        np.ones(n),
        options=[("", n, 10), ("terms", m, 20)],
        args=(np.eye(m, n) - 2 / m,),
        minimum=float(m - n),
        minimizers=[np.full(n, -1)],
    )


def linear_rank_1(dimension: int = 10, terms: int = 20) -> Problem:
    r"""Problem 33, linear of rank 1: the Hessian is singular everywhere.

    $$r_i = i \sum_j j x_j - 1$$

    Args:
        dimension: How many variables there are.
        terms: How many residuals there are, at least as many.

    Returns:
        The problem; its minimum is $m (m - 1) / (2 (2m + 1))$, wherever
        $\sum_j j x_j = 3 / (2m + 1)$; the minimizer given is the shortest.
    """
    n = _checks.positive_int("dimension", dimension)
    m = _build.terms(terms, n)
    j = np.arange(1, n + 1)
    return _build.problem(
        33,
        "linear_rank_1",
        "Linear, rank 1",
        _linear,
        np.ones(n),
        options=[("", n, 10), ("terms", m, 20)],
        args=(np.outer(np.arange(1, m + 1), j),),
        minimum=m * (m - 1) / (2 * (2 * m + 1)),
        minimizers=[3 / (2 * m + 1) * j / (j @ j)],
    )


def linear_rank_1_zero(dimension: int = 10, terms: int = 20) -> Problem:
    r"""Problem 34, linear of rank 1 with zero columns and rows.

    $$r_1 = r_m = -1, \qquad r_i = (i - 1) \sum_{j=2}^{n-1} j x_j - 1,\; 1 < i < m$$

    Args:
        dimension: How many variables there are, at least 3.
        terms: How many residuals there are, at least as many.

    Returns:
        The problem; its minimum is $(m^2 + 3m - 6) / (2 (2m - 3))$, wherever
        $\sum_{j=2}^{n-1} j x_j = 3 / (2m - 3)$; the minimizer given is the shortest.
    """
    n = _checks.positive_int("dimension", dimension, minimum=3)
    m = _build.terms(terms, n)
    i, j = np.arange(m), np.arange(1, n + 1)
    i[-1] = j[0] = j[-1] = 0
    return _build.problem(
        34,
        "linear_rank_1_zero",
        "Linear, rank 1 with zero columns and rows",
        _linear,
        np.ones(n),
        options=[("", n, 10), ("terms", m, 20)],
        args=(np.outer(i, j),),
        minimum=(m**2 + 3 * m - 6) / (2 * (2 * m - 3)),
        minimizers=[3 / (2 * m - 3) * j / (j @ j)],
    )
