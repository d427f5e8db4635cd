r"""Is this derivative right, and if not, where and why?

A gradient $g$ and a Hessian-vector product $Hv$ are held against differences along a
few random directions $v$,

$$g^\top v \quad\text{and}\quad \frac{f(x + hv) - f(x - hv)}{2h}, \qquad
Hv \quad\text{and}\quad \frac{\nabla f(x + hv) - \nabla f(x - hv)}{2h}.$$

With random signs one wrong coordinate among thousands shows at its full size, against a
noise that does not grow with their number. The differences come from a ladder of steps
and carry their own error, so there is no tolerance to choose.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jaxcalc import _checks
from jaxcalc.derivatives._check.examine import examine
from jaxcalc.derivatives._check.probe import probe
from jaxcalc.derivatives._check.summary import unusable_report
from jaxcalc.derivatives.report import DerivativeReport


def check_derivatives(
    f: Callable[..., Any], x: PyTree, *args: Any, order: int = 2, seed: int = 0
) -> DerivativeReport:
    r"""Check a function's derivatives at a point, and say what is wrong and where.

    Reverse mode and forward mode are compared with differences of values along four
    random directions, Hessian-vector products with differences of gradients and of
    values, and with each other for symmetry. Where something disagrees, bisection over
    the coordinates finds the leaves and indices, and the traced program is searched for
    the cause: a custom rule, a `stop_gradient` or rounding, the operation that made the
    first NaN, a kink or a jump at this very point.

    The verdict has no tolerance to tune. It is "cannot tell" where the differences
    settle on nothing: a function that oscillates faster than any step, or is noisier
    than its dtype explains. An error that is smaller than the noise of the values
    divided by the step cannot be seen; each leaf's row states that limit. Where a
    function is not finite or not deterministic, nothing else is said.

    A passing check costs 39 values, at most 6 gradients (Hessian-vector products
    included) and one forward-mode pass, whatever the number of parameters. Those
    coarser than float64 are examined in float64 where the function allows it.

    Args:
        f: `f(x, *args) -> scalar`.
        x: Parameters, a pytree of floating arrays; a bare number counts.
        *args: Data, passed on as they are.
        order: 1 for first derivatives alone, 2 for Hessian-vector products too.
        seed: Draws the directions.

    Returns:
        The report: `ok`, `findings`, a table per leaf; `raise_if_failed()` for tests.

    Raises:
        TypeError: `f` is not a function or returns no floating scalar, or `x` is not
            floating.
        ValueError: `x` is empty or not finite, or `order` is neither 1 nor 2.

    References:
        Ridders (1982), Accurate computation of F'(x) and F'(x)F''(x), Advances in
        Engineering Software 4(2).
    """
    if not callable(f):
        raise TypeError(f"`f` must be a function, got {f!r}")
    order = _checks.known("order", order, (1, 2))
    seed = _checks.positive_int("seed", seed, minimum=0)
    x = _checks.floating_params("x", x)
    _finite("x", x)
    f, args = _arrays_only(f, args)
    value = f(x, *args)
    _checks.scalar_loss("f", value)
    first, again = float(value), float(f(x, *args))
    if not np.isfinite(first):
        return unusable_report(f, x, args, first, order)
    found = probe(f, x, args, wide=True)
    return examine(found, first, again, order, np.random.default_rng(seed))


def _finite(name: str, x: PyTree) -> None:
    for path, leaf in jax.tree.leaves_with_path(x):
        bad = int(jnp.sum(~jnp.isfinite(leaf)))
        if bad:
            where = name + jax.tree_util.keystr(path)
            raise ValueError(
                f"`{where}` holds {bad} entries that are NaN or infinite: "
                "derivatives are checked at finite points"
            )


def _arrays_only(
    f: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Keep arguments that are no arrays out of the traced ones."""
    try:
        jnp.result_type(*jax.tree.leaves(args), float)
    except (TypeError, ValueError):
        numbers = all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(args))
        if not numbers:  # a random key is an array without a common dtype
            return (lambda x: f(x, *args)), ()
    return f, args
