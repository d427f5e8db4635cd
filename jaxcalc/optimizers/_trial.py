"""How a trial step is judged, and what every optimizer here asks its caller for."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc import _trees
from jaxcalc.curvature.vectors import dot

# The part of the predicted decrease that makes a step worth taking.
ACCEPTABLE = 1e-4


class Verdict(NamedTuple):
    """What came of a trial step."""

    ratio: Float[Array, ""]  # of the actual to the predicted decrease; -1 if not finite
    accepted: Bool[Array, ""]
    finite: Bool[Array, ""]


def judge(
    value: Float[Array, ""],
    grad: PyTree,
    new_value: Float[Array, ""],
    new_grad: PyTree,
    step: PyTree,
    predicted: Float[Array, ""],
) -> Verdict:
    r"""Compare what a step gained with what its model predicted.

    Where the values differ by less than $\varepsilon^{2/3} |f|$ the difference has lost
    its digits, and the gradients at both ends are asked instead,
    $-\tfrac12 (g_k + g_{k+1})^\top s_k$, provided that the gradient shrinks; unless the
    difference is beyond a few rounding units and so is certainly a decrease.

    Args:
        value: The loss where the step starts.
        grad: Its gradient there.
        new_value: The loss where the step ends.
        new_grad: Its gradient there.
        step: The step.
        predicted: The decrease that the model predicted.

    Returns:
        The ratio of both, and whether the step is worth taking.

    References:
        Conn, Gould and Toint (2000), Trust-Region Methods, section 17.4.2, for rounding
        in the ratio; Hager and Zhang (2005), A new conjugate gradient method with
        guaranteed descent, section 4, for the gradients in its place.
    """
    eps = jnp.finfo(value.dtype).eps
    by_values = value - new_value
    both = jax.tree.map(jnp.add, grad, new_grad)
    # optax.tree.vdot would reshape, and so gather, what is sharded.
    by_slopes = -0.5 * dot(both, step).astype(value.dtype)
    level = jnp.abs(by_values) <= eps ** (2 / 3) * jnp.abs(value)
    shrinks = _trees.max_abs(new_grad) < _trees.max_abs(grad)
    decrease = jnp.where(level, jnp.where(shrinks, by_slopes, 0.0), by_values)
    certain = by_values > 4 * eps * jnp.abs(value)
    decrease = jnp.where(certain, by_values, decrease)
    finite = jnp.isfinite(new_value) & jnp.isfinite(_trees.max_abs(new_grad))
    ratio = jnp.where(finite, decrease / predicted, -1.0)
    return Verdict(ratio, (ratio >= ACCEPTABLE) & (predicted > 0), finite)


def negligible(step: PyTree, params: PyTree) -> Bool[Array, ""]:
    """Whether a step is within the rounding of the parameters, entry by entry.

    Args:
        step: A step.
        params: Where it starts.

    Returns:
        A boolean scalar.
    """

    def within(s: Array, p: Array) -> Array:
        eps = jnp.finfo(p.dtype).eps
        return jnp.all(jnp.abs(s) <= eps * jnp.maximum(jnp.abs(p), eps))

    return jax.tree.reduce(jnp.logical_and, jax.tree.map(within, step, params))


def require(name: str, **arguments: Any) -> None:
    """Raise unless the caller passed what an optimizer can't do without.

    Args:
        name: The optimizer's.
        **arguments: What it needs, by name.

    Raises:
        ValueError: One of them is None.
    """
    missing = [f"`{a}`" for a, given in arguments.items() if given is None]
    if not missing:
        return
    keywords = [a for a in arguments if a not in ("params", "grad")]
    call = ", ".join(f"{a}={_TYPICAL.get(a, a)}" for a in ["grad", *keywords])
    raise ValueError(
        f"{name} needs {' and '.join(missing)}: call optimizer.update(grad, state, "
        f"params, {call}), as jaxcalc.minimize does"
    )


_TYPICAL = {"value_fn": "loss", "residual_fn": "residual"}
