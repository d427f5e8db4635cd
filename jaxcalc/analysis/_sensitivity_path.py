r"""The integral of a gradient along a straight path, panel by panel.

Each panel is integrated by the Gauss-Legendre rule with 7 nodes and its Kronrod
extension to 15. It is halved until two things hold: both rules agree in every
coordinate, and the sum over coordinates is the change of the function (completeness).
Completeness alone is not enough: errors of two coordinates may cancel. Halving where it
is needed puts the panels at the kinks of ReLU networks, where a rule with fixed nodes
gains only one digit for ten times the work.

References:
    Piessens et al. (1983), QUADPACK, section 2.2.1, for the nodes and weights.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

_LEVELS = 20  # a panel is never shorter than 2⁻²⁰ of the path
_SHARE = 128  # a panel may use up this part of the tolerance, however short it is

_HALF_NODES = [
    0.991455371120812639206854697526329,
    0.949107912342758524526189684047851,
    0.864864423359769072789712788640926,
    0.741531185599394439863864773280788,
    0.586087235467691130294691838363538,
    0.405845151377397166906606412076961,
    0.207784955007898467600689403773245,
]
_HALF_KRONROD = [
    0.022935322010529224963732008058970,
    0.063092092629978553290700663189204,
    0.104790010322250183839876322541518,
    0.140653259715525918745189590510238,
    0.169004726639267902826583426598550,
    0.190350578064785409913256402421014,
    0.204432940075298892414161999234649,
]
_HALF_GAUSS = [
    0.0,
    0.129484966168869693270611432679082,
    0.0,
    0.279705391489276667901467771423780,
    0.0,
    0.381830050505118944950369775488975,
    0.0,
]


def _mirror(half: list[float], middle: float, sign: int = 1) -> np.ndarray:
    return np.array([*(sign * v for v in half), middle, *half[::-1]])


# On the unit interval.
NODES = (1 + _mirror(_HALF_NODES, 0.0, -1)) / 2
KRONROD = _mirror(_HALF_KRONROD, 0.209482141084727828012999174891714) / 2
GAUSS = _mirror(_HALF_GAUSS, 0.417959183673469387755102040816327) / 2


class Path(NamedTuple):
    """The integral along a path, and how good it is."""

    integral: Float[Array, " n"]
    value: Float[Array, ""]
    start_value: Float[Array, ""]
    gap: Float[Array, ""]
    error: Float[Array, ""]
    panels: Int[Array, ""]
    converged: Bool[Array, ""]


class _State(NamedTuple):
    at: Int[Array, ""]  # in units of the shortest panel, so that nothing rounds
    width: Int[Array, ""]
    value: Float[Array, ""]
    integral: Float[Array, " n"]
    error: Float[Array, ""]
    panels: Int[Array, ""]
    tried: Int[Array, ""]


def integrate(
    f: Callable[[Array], Array],
    start: Float[Array, " n"],
    end: Float[Array, " n"],
    tol: Float[Array, ""],
    most: Int[Array, ""],
) -> Path:
    r"""Each coordinate's part of $f(b) - f(a)$ along the line from $a$ to $b$.

    $$(b_i - a_i) \int_0^1 \partial_i f(a + t (b - a)) \, dt$$

    Args:
        f: A function of a vector.
        start: The point $a$.
        end: The point $b$.
        tol: Tolerance, as a share of $|f(a)| + |f(b)|$ and of the parts' sizes.
        most: How many panels may be tried; then the rest is taken as it comes.

    Returns:
        The parts with their errors.
    """
    move = end - start
    whole = 2**_LEVELS
    first, last = f(start), f(end)
    size = jnp.abs(first) + jnp.abs(last)
    dtype = start.dtype
    nodes, kronrod, gauss = (jnp.asarray(a, dtype) for a in (NODES, KRONROD, GAUSS))
    slopes = jax.vmap(lambda t: jax.grad(f)(start + t * move))

    def step(state: _State) -> _State:
        t, h = (jnp.asarray(a, dtype) / whole for a in (state.at, state.width))
        ends = state.at + state.width == whole
        value = jnp.where(ends, last, f(start + (t + h) * move))
        gradients = slopes(t + h * nodes)
        parts = h * move * jnp.matmul(kronrod, gradients, precision="highest")
        rough = h * move * jnp.matmul(gauss, gradients, precision="highest")
        error = jnp.sum(jnp.abs(parts - rough))
        gap = jnp.abs(jnp.sum(parts) - (value - state.value))
        spent = jnp.sum(jnp.abs(parts))
        rounding = 16 * jnp.finfo(dtype).eps * (jnp.abs(value) + spent)
        allowed = tol * (jnp.maximum(h, 1 / _SHARE) * size + spent) + rounding
        good = (error <= allowed) & (gap <= allowed)
        good |= (state.width == 1) | (state.tried >= most)
        at = jnp.where(good, state.at + state.width, state.at)
        # A panel starts at a multiple of its length, so that they tile the path.
        wider = jnp.minimum(2 * state.width, at & -at)
        return _State(
            at=at,
            width=jnp.where(good, wider, state.width // 2),
            value=jnp.where(good, value, state.value),
            integral=state.integral + jnp.where(good, parts, 0),
            error=state.error + jnp.where(good, error, 0),
            panels=state.panels + good,
            tried=state.tried + 1,
        )

    zero = jnp.zeros((), jnp.int32)
    begin = _State(
        zero, zero + whole, first, 0 * move, jnp.zeros((), dtype), zero, zero
    )
    found = jax.lax.while_loop(lambda state: state.at < whole, step, begin)
    gap = jnp.sum(found.integral) - (last - first)
    spent = jnp.sum(jnp.abs(found.integral))
    rounding = 16 * jnp.finfo(dtype).eps * (size + spent)
    allowed = tol * (size + spent) + rounding
    good = (jnp.abs(gap) <= allowed) & (found.error <= allowed)
    return Path(found.integral, last, first, gap, found.error, found.panels, good)
