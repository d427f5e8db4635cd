r"""Problems 20 to 27 and 35: as many variables as the caller asks for.

In all of them $f(x) = \sum_i r_i(x)^2$, and indices count from 1 as in the paper. The
dimension is the start's: the residuals read it from the shape of their argument.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcalc import _checks
from jaxcalc.problems.mgh import _build, _minima
from jaxcalc.problems.mgh._blocks import powell_singular_residual, rosenbrock_residual
from jaxcalc.problems.problem import Problem


def _watson(x: Float[Array, " n"]) -> Float[Array, "31"]:
    t = jnp.arange(1, 30, dtype=x.dtype) / 29
    with jax.default_matmul_precision("highest"):
        powers = jnp.vander(t, x.size, increasing=True)
        slope = powers[:, :-1] @ (jnp.arange(1, x.size, dtype=x.dtype) * x[1:])
        body = slope - (powers @ x) ** 2 - 1
    return jnp.concatenate([body, jnp.stack([x[0], x[1] - x[0] ** 2 - 1])])


def watson(dimension: int = 6) -> Problem:
    r"""Problem 20, Watson: a differential equation solved by a polynomial.

    $$r_i = \sum_{j=2}^n (j - 1) x_j t_i^{j-2} -
    \Bigl(\sum_{j=1}^n x_j t_i^{j-1}\Bigr)^2 - 1, \qquad t_i = i / 29,\; i \le 29$$

    and $r_{30} = x_1$, $r_{31} = x_2 - x_1^2 - 1$. The monomials are nearly dependent:
    the Hessian's condition number at the minimizer is 9e4 in dimension 6, 2e9 in 9 and
    7e13 in 12. The start is zero; where the paper asks for 10 times the start, take
    (10, ..., 10).

    Args:
        dimension: How many variables there are, from 2 to 31.

    Returns:
        The problem; its minimum is 2.28767...e-3 for dimension 6, 1.39976...e-6 for 9
        and 4.72238...e-10 for 12, and not recorded for others.

    Raises:
        ValueError: `dimension` is not from 2 to 31.
    """
    n = _checks.positive_int("dimension", dimension, minimum=2)
    if n > 31:
        raise ValueError(f"`dimension` must be at most 31, got {n}")
    return _build.problem(
        20,
        "watson",
        "Watson",
        _watson,
        np.zeros(n),
        options=[("", n, 6)],
        minimum=_minima.WATSON_MINIMA.get(n),
        minimizers=_minima.WATSON_MINIMIZERS.get(n, []),
    )


def extended_rosenbrock(dimension: int = 10) -> Problem:
    r"""Problem 21, extended Rosenbrock: independent copies of the curved valley.

    $$r_{2i-1} = 10 (x_{2i} - x_{2i-1}^2), \qquad r_{2i} = 1 - x_{2i-1}$$

    Args:
        dimension: How many variables there are, an even number.

    Returns:
        The problem; its minimum is 0, at (1, ..., 1).

    Raises:
        ValueError: `dimension` is not even.
    """
    n = _build.multiple(dimension, 2)
    return _build.problem(
        21,
        "extended_rosenbrock",
        "Extended Rosenbrock",
        rosenbrock_residual,
        np.tile([-1.2, 1], n // 2),
        options=[("", n, 10)],
        minimizers=[np.ones(n)],
    )


def extended_powell_singular(dimension: int = 12) -> Problem:
    r"""Problem 22, extended Powell singular: independent copies of the singular one.

    $$r_{4i-3} = x_{4i-3} + 10 x_{4i-2}, \quad r_{4i-2} = \sqrt5 (x_{4i-1} - x_{4i}),
    \quad r_{4i-1} = (x_{4i-2} - 2 x_{4i-1})^2, \quad
    r_{4i} = \sqrt{10} (x_{4i-3} - x_{4i})^2$$

    Args:
        dimension: How many variables there are, a multiple of 4.

    Returns:
        The problem; its minimum is 0, at the origin, where the Hessian is singular.

    Raises:
        ValueError: `dimension` is not a multiple of 4.
    """
    n = _build.multiple(dimension, 4)
    return _build.problem(
        22,
        "extended_powell_singular",
        "Extended Powell singular",
        powell_singular_residual,
        np.tile([3, -1, 0, 1], n // 4),
        options=[("", n, 12)],
        minimizers=[np.zeros(n)],
    )


def _penalty_1(x: Float[Array, " n"]) -> Float[Array, " m"]:
    return jnp.append(1e-5**0.5 * (x - 1), jnp.sum(x**2) - 0.25)


def penalty_1(dimension: int = 10) -> Problem:
    r"""Problem 23, penalty I: a sphere, with a weak pull towards (1, ..., 1).

    $$r_i = \sqrt{a} (x_i - 1), \qquad r_{n+1} = \sum_j x_j^2 - \tfrac14, \qquad
    a = 10^{-5}$$

    By symmetry the minimizer's numbers are all equal, to the positive root of the
    cubic $a (c - 1) + 2 c (n c^2 - \frac14) = 0$. The Hessian's condition number there
    is 2e4 for dimension 10.

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 2.24997...e-5 for dimension 4 and 7.08765...e-5
        for 10.
    """
    n = _checks.positive_int("dimension", dimension)
    c = np.roots([2 * n, 0, 1e-5 - 0.5, -1e-5]).real.max()
    return _build.problem(
        23,
        "penalty_1",
        "Penalty I",
        _penalty_1,
        np.arange(1, n + 1),
        options=[("", n, 10)],
        minimum=float(n * 1e-5 * (c - 1) ** 2 + (n * c**2 - 0.25) ** 2),
        minimizers=[np.full(n, c)],
    )


def _penalty_2(x: Float[Array, " n"]) -> Float[Array, " m"]:
    i = jnp.arange(1, x.size + 1, dtype=x.dtype)
    growth, target = jnp.exp(x / 10), jnp.exp(i / 10)
    pairs = growth[1:] + growth[:-1] - (target[1:] + target[:-1])
    singles = growth[1:] - jnp.exp(jnp.asarray(-0.1, x.dtype))
    return jnp.concatenate(
        [
            x[:1] - 0.2,
            1e-5**0.5 * pairs,
            1e-5**0.5 * singles,
            jnp.sum(i[::-1] * x**2, keepdims=True) - 1,
        ]
    )


def penalty_2(dimension: int = 10) -> Problem:
    r"""Problem 24, penalty II: an ellipsoid, with a weak pull by exponentials.

    $$r_1 = x_1 - 0.2, \qquad r_i = \sqrt{a} (e^{x_i / 10} + e^{x_{i-1} / 10} - y_i),
    \; 2 \le i \le n,$$
    $$r_i = \sqrt{a} (e^{x_{i-n+1} / 10} - e^{-1/10}),\; n < i < 2n, \qquad
    r_{2n} = \sum_j (n - j + 1) x_j^2 - 1$$

    with $a = 10^{-5}$ and $y_i = e^{i / 10} + e^{(i-1) / 10}$. The Hessian's
    condition number at the minimizer is 2e6 for dimension 10.

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 9.37629...e-6 for dimension 4 and 2.93660...e-4
        for 10, and not recorded for others.
    """
    n = _checks.positive_int("dimension", dimension)
    return _build.problem(
        24,
        "penalty_2",
        "Penalty II",
        _penalty_2,
        np.full(n, 0.5),
        options=[("", n, 10)],
        minimum=_minima.PENALTY_2_MINIMA.get(n),
        minimizers=_minima.PENALTY_2_MINIMIZERS.get(n, []),
    )


def _variably_dimensioned(x: Float[Array, " n"]) -> Float[Array, " m"]:
    weighted = jnp.sum(jnp.arange(1, x.size + 1, dtype=x.dtype) * (x - 1))
    return jnp.concatenate([x - 1, jnp.stack([weighted, weighted**2])])


def variably_dimensioned(dimension: int = 10) -> Problem:
    r"""Problem 25, variably dimensioned: one direction that is far steeper than others.

    $$r_i = x_i - 1, \qquad r_{n+1} = \sum_j j (x_j - 1), \qquad
    r_{n+2} = r_{n+1}^2$$

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 0, at (1, ..., 1).
    """
    n = _checks.positive_int("dimension", dimension)
    return _build.problem(
        25,
        "variably_dimensioned",
        "Variably dimensioned",
        _variably_dimensioned,
        1 - np.arange(1, n + 1) / n,
        options=[("", n, 10)],
        minimizers=[np.ones(n)],
    )


def _trigonometric(x: Float[Array, " n"]) -> Float[Array, " n"]:
    i = jnp.arange(1, x.size + 1, dtype=x.dtype)
    # 1 - cos x, without the cancellation around the minimizer.
    dip = 2 * jnp.sin(x / 2) ** 2
    return jnp.sum(dip) + i * dip - jnp.sin(x)


def trigonometric(dimension: int = 10) -> Problem:
    r"""Problem 26, trigonometric: periodic, with many minima.

    $$r_i = n - \sum_j \cos x_j + i (1 - \cos x_i) - \sin x_i$$

    Args:
        dimension: How many variables there are.

    Returns:
        The problem; its minimum is 0, at the origin among others. For dimension 10
        most methods end at 2.79506e-5 from the standard start, and others
        at 4.21863e-5 and 8.78823e-4.
    """
    n = _checks.positive_int("dimension", dimension)
    return _build.problem(
        26,
        "trigonometric",
        "Trigonometric",
        _trigonometric,
        np.full(n, 1 / n),
        options=[("", n, 10)],
        minimizers=[np.zeros(n)],
        local_minima=_minima.TRIGONOMETRIC_MINIMA.get(n, []),
    )


def _brown_almost_linear(x: Float[Array, " n"]) -> Float[Array, " n"]:
    linear = x[:-1] + jnp.sum(x) - (x.size + 1)
    return jnp.append(linear, jnp.prod(x) - 1)


def brown_almost_linear(dimension: int = 10) -> Problem:
    r"""Problem 27, Brown almost-linear: all equations but one are linear.

    $$r_i = x_i + \sum_j x_j - (n + 1),\; i < n, \qquad r_n = \prod_j x_j - 1$$

    Args:
        dimension: How many variables there are, at least 2.

    Returns:
        The problem; its minimum is 0, at $(c, \ldots, c, c^{1-n})$ for each root of
        $n c^n - (n + 1) c^{n-1} + 1 = 0$, of which 1 is one. The value is 1 at
        $(0, \ldots, 0, n + 1)$, where the gradient vanishes too.
    """
    n = _checks.positive_int("dimension", dimension, minimum=2)
    return _build.problem(
        27,
        "brown_almost_linear",
        "Brown almost-linear",
        _brown_almost_linear,
        np.full(n, 0.5),
        options=[("", n, 10)],
        minimizers=[np.ones(n)],
        # In the plane the gradient does not vanish at (0, 3).
        local_minima=[1.0] if n > 2 else [],
    )


def _chebyquad(x: Float[Array, " n"], means: Float[Array, " m"]) -> Float[Array, " m"]:
    z = 2 * x - 1

    def next_polynomial(pair, mean):
        before, current = pair
        return (current, 2 * z * current - before), jnp.mean(current) - mean

    _, r = jax.lax.scan(next_polynomial, (jnp.ones_like(z), z), means)
    return r


def chebyquad(dimension: int = 8, terms: int | None = None) -> Problem:
    r"""Problem 35, Chebyquad: nodes of a quadrature with equal weights.

    $$r_i = \frac1n \sum_j T_i(x_j) - \int_0^1 T_i(x)\,dx, \qquad
    \int_0^1 T_i = \begin{cases} 0 & i \text{ odd} \\ -1 / (i^2 - 1) & i \text{ even}
    \end{cases}$$

    where $T_i$ is the Chebyshev polynomial shifted to [0, 1]. Permuting the variables
    changes nothing.

    Args:
        dimension: How many variables there are.
        terms: How many residuals there are, at least as many; by default just as many.

    Returns:
        The problem; with as many residuals as variables its minimum is 0 for dimensions
        1 to 7 and 9, and 3.51687...e-3 for 8. For 10 the paper gives 6.50395...e-3,
        where the standard start leads, but a lower one, 4.77271...e-3, exists, and a
        third at 9.50063e-3. It is not recorded for others.
    """
    n = _checks.positive_int("dimension", dimension)
    m = n if terms is None else _build.terms(terms, n)
    i = np.arange(1, m + 1)
    means = np.where(i % 2, 0, -1 / np.maximum(i**2 - 1, 1))
    return _build.problem(
        35,
        "chebyquad",
        "Chebyquad",
        _chebyquad,
        i[:n] / (n + 1),
        options=[("", n, 8), ("terms", m, n)],
        args=(means,),
        minimum=_minima.CHEBYQUAD_MINIMA.get(n) if m == n else None,
        minimizers=_minima.CHEBYQUAD_MINIMIZERS.get(n, []) if m == n else [],
        local_minima=[0.006503954800882306, 0.009500628850221672]
        if m == n == 10
        else [],
    )
