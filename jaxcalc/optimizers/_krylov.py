r"""Conjugate gradients on a quadratic model, and a lookout for negative curvature.

Only products with the Hessian are needed. All vectors are trees like the parameters;
they keep their dtypes and their sharding. Lengths are measured by $\|s\|_M^2 = s^\top M
s$, where $P = M^{-1}$ is the preconditioner; recurrences give them without $M$.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxcalc import _trees
from jaxcalc.curvature.products import Matvec
from jaxcalc.curvature.vectors import dot, scaled, small_dtype
from jaxcalc.optimizers._operators import add, scattered_like

# Rounding units, relative to the largest curvature met, below which a curvature has no
# sign.
_NOISE = 100

# Products that look out for negative curvature from a random vector.
LOOKOUT = 20

# Conjugate gradients take at most twice as many steps as there are parameters, which
# would be one each without rounding, and no more than this.
MOST_PRODUCTS = 500


class Limits(NamedTuple):
    """Where conjugate gradients end.

    Attributes:
        radius: Longest step, in the norm of the preconditioner; NaN for a tenth of
            `size`, or the step to the minimum along the gradient if that is longer.
        tolerance: Of the residual, relative to the gradient.
        products: Most products.
        damping: What is added to every curvature.
        least: The smallest curvature, with damping, that counts as positive.
    """

    radius: Float[Array, ""]
    tolerance: Float[Array, ""]
    products: int
    damping: Float[Array, ""] | float = 0.0
    least: Float[Array, ""] | float = 0.0


class Descent(NamedTuple):
    """What conjugate gradients found.

    Attributes:
        step: The minimizer, as far as it was sought.
        decrease: Of the model, by the step.
        length: Of the step.
        radius: The bound that was kept.
        direction: The last direction; of negative curvature if `negative`.
        curvature: Along it, for a length of one.
        span: Length of `direction`.
        largest: The largest curvature met, by absolute value.
        negative: Whether a curvature was negative beyond rounding.
        weak: Whether one was below the least, where the search ended.
        bounded: Whether the step ended at the radius.
        products: How many products it took.
    """

    step: PyTree
    decrease: Float[Array, ""]
    length: Float[Array, ""]
    radius: Float[Array, ""]
    direction: PyTree
    curvature: Float[Array, ""]
    span: Float[Array, ""]
    largest: Float[Array, ""]
    negative: Bool[Array, ""]
    weak: Bool[Array, ""]
    bounded: Bool[Array, ""]
    products: Int[Array, ""]


class _Iteration(NamedTuple):
    descent: Descent
    residual: PyTree
    dual: PyTree  # M times the direction; empty where that is the direction itself
    energy: Float[Array, ""]  # of the residual, its square in the dual norm
    overlap: Float[Array, ""]  # of step and direction
    going: Bool[Array, ""]


def descend(
    product: Matvec,
    grad: PyTree,
    precondition: Matvec | None,
    limits: Limits,
    size: Float[Array, ""],
    lookout: tuple[Bool[Array, ""], int, Int[Array, ""]],
    active: Bool[Array, ""],
) -> Descent:
    r"""Minimize $g^\top s + \tfrac12 s^\top (H + \delta M) s$ by conjugate gradients.

    Ends at the residual asked for, at the boundary of the ball, or at a direction of
    negative curvature, along which it goes to the boundary if there is one. Then, if
    there was none and the lookout is asked for, the same iteration runs on a random
    right-hand side: it meets a direction of negative curvature as soon as the Lanczos
    process from there sees a negative eigenvalue.

    Args:
        product: The product with the Hessian.
        grad: The gradient.
        precondition: The product with the inverse of $M$; None for the identity.
        limits: Where to end.
        size: Length of the parameters, for the first radius.
        lookout: Whether to look out, the most products for it, and a seed.
        active: Whether to do anything at all.

    Returns:
        The step, and what was seen. Where the lookout met negative curvature,
        `negative` is set and `direction` and what belongs to it are its own.

    References:
        Steihaug (1983), The conjugate gradient method and trust regions in large scale
        optimization. Conn, Gould and Toint (2000), Trust-Region Methods, section 7.5.1,
        for the recurrences of the norms. Royer, O'Neill and Wright (2020), A Newton-CG
        algorithm with complexity guarantees for smooth unconstrained optimization,
        section 3.2, for conjugate gradients as an eigenvalue oracle.
    """
    looks, most, seed = lookout
    dtype = small_dtype(grad)
    damped = not isinstance(limits.damping, float)
    # In units of the gradient its squares neither overflow nor vanish.
    unit = _trees.max_abs(grad).astype(dtype)
    unit = jnp.where((unit > 0) & jnp.isfinite(unit), unit, 1)
    grad = scaled(grad, 1 / unit)
    limits = limits._replace(damping=limits.damping / unit, least=limits.least / unit)

    def shrunk(tangent: PyTree) -> PyTree:
        return scaled(product(tangent), 1 / unit)

    apply = precondition or (lambda r: r)
    # Without damping, or where M is the identity, no product with M is needed.
    dual = precondition is not None and damped

    def right_side(index: Array) -> PyTree:
        return lax.cond(index == 0, lambda: grad, lambda: scattered_like(seed, grad))

    def phase(carry: tuple[Array, Descent]) -> tuple[Array, Descent]:
        index, found = carry
        main = index == 0
        free = jnp.asarray(jnp.inf, dtype)
        own = limits._replace(
            radius=jnp.where(main, limits.radius, free),
            tolerance=jnp.where(main, limits.tolerance, jnp.finfo(dtype).eps ** 0.5),
            least=jnp.where(main, limits.least, 0.0),
            damping=jnp.where(main, limits.damping, 0.0),
        )
        cap = jnp.where(main, limits.products, most)
        b = right_side(index)
        end = _iterate(shrunk, b, apply, own, size, cap, found.largest, dual=dual)
        products = found.products + end.products
        # Of the lookout counts only what it met, and that it was there.
        met = end.negative | main
        seen = _trees.where(met, end, found)._replace(
            step=_trees.where(main, end.step, found.step),
            decrease=jnp.where(main, end.decrease, found.decrease),
            length=jnp.where(main, end.length, found.length),
            radius=jnp.where(main, end.radius, found.radius),
            bounded=jnp.where(main, end.bounded, found.bounded),
            weak=jnp.where(main, end.weak, found.weak),
            products=products,
        )
        done = ~looks | seen.negative
        return jnp.where(done, 2, index + 1), seen

    zero = jnp.zeros((), dtype)
    no = jnp.asarray(False)
    count = jnp.zeros((), jnp.int32)
    nothing = jax.tree.map(jnp.zeros_like, grad)
    start = Descent(
        nothing, zero, zero, limits.radius, nothing, zero, zero, zero, no, no, no, count
    )
    first = jnp.where(active, 0, 2)
    found = lax.while_loop(lambda carry: carry[0] < 2, phase, (first, start))[1]
    return found._replace(
        decrease=unit * found.decrease,
        curvature=unit * found.curvature,
        largest=unit * found.largest,
    )


def _iterate(
    product: Matvec,
    grad: PyTree,
    apply: Matvec,
    limits: Limits,
    size: Float[Array, ""],
    cap: Int[Array, ""],
    largest: Float[Array, ""],
    *,
    dual: bool,
) -> Descent:
    """Conjugate gradients for one right-hand side."""
    dtype = small_dtype(grad)
    eps = jnp.finfo(dtype).eps
    raw = apply(grad)
    energy = dot(grad, raw)
    # The gradient's own length: with a radius to be found it is in no other units.
    unit = jnp.sqrt(energy / dot(raw, raw))
    unit = jnp.where(jnp.isfinite(unit), unit, 1.0)
    goal = jnp.maximum(limits.tolerance, 10 * eps) ** 2 * energy
    zero, no = jnp.zeros((), dtype), jnp.asarray(False)

    def iterate(it: _Iteration) -> _Iteration:
        found = it.descent
        p, span = found.direction, found.span**2
        image = product(p)
        bare = dot(p, image) / span
        image = add(image, limits.damping, it.dual if dual else p)
        curvature = bare + limits.damping
        largest = jnp.maximum(found.largest, jnp.abs(bare))
        weak = ~(curvature > limits.least)
        full = it.energy / (curvature * span)
        cauchy = it.energy / (jnp.abs(curvature) * found.span)
        first = jnp.maximum(0.1 * size * unit, cauchy)
        first = jnp.where((first > 0) & jnp.isfinite(first), first, 1.0)
        radius = jnp.where(jnp.isnan(found.radius), first, found.radius)
        square = found.length**2
        reached = square + 2 * full * it.overlap + full**2 * span
        outside = (reached >= radius**2) | weak
        bounded = outside & jnp.isfinite(radius)
        rim = _to_rim(radius**2 - square, it.overlap, span)
        scale = jnp.where(bounded, rim, jnp.where(weak, 0.0, full))
        gained = scale * it.energy - 0.5 * scale**2 * curvature * span
        residual = add(it.residual, scale, image)
        raw = apply(residual)
        energy = dot(residual, raw)
        ended = outside | ~(energy > goal)
        ratio = jnp.where(ended, 0.0, energy / it.energy)
        length = jnp.where(bounded, radius, jnp.sqrt(reached))
        descent = Descent(
            step=add(found.step, scale, p),
            decrease=found.decrease + gained,
            length=jnp.where(weak & ~bounded, found.length, length),
            radius=radius,
            direction=_trees.where(ended, p, add(scaled(p, ratio), -1.0, raw)),
            curvature=bare,
            span=jnp.where(ended, found.span, jnp.sqrt(energy + ratio**2 * span)),
            largest=largest,
            negative=found.negative | (bare < -_NOISE * eps * largest),
            weak=weak,
            bounded=bounded,
            products=found.products + 1,
        )
        M_p = add(scaled(it.dual, ratio), -1.0, residual) if dual else ()
        overlap = ratio * (it.overlap + scale * span)
        going = ~ended & (descent.products < cap)
        return _Iteration(descent, residual, M_p, energy, overlap, going)

    start = Descent(
        step=jax.tree.map(jnp.zeros_like, grad),
        decrease=zero,
        length=zero,
        radius=limits.radius,
        direction=jax.tree.map(jnp.negative, raw),
        curvature=zero,
        span=jnp.sqrt(energy),
        largest=largest,
        negative=no,
        weak=no,
        bounded=no,
        products=jnp.zeros((), jnp.int32),
    )
    M_p = jax.tree.map(jnp.negative, grad) if dual else ()
    first = _Iteration(start, grad, M_p, energy, zero, (energy > 0) & (cap > 0))
    return lax.while_loop(lambda it: it.going, iterate, first).descent


def _to_rim(left: Array, overlap: Array, span: Array) -> Array:
    """The larger root of `span t² + 2 overlap t = left`, without cancellation."""
    root = jnp.sqrt(jnp.maximum(overlap**2 + span * left, 0.0))
    return jnp.where(overlap > 0, left / (overlap + root), (root - overlap) / span)
