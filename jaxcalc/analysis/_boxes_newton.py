r"""Roots of a gradient from many starts: Levenberg and Marquardt's method.

$$s = -(H^2 + \mu \|H\|^2 I)^{-1} H g$$

goes down on $\|g\|^2$, so that it is drawn to minima, saddles and maxima alike. Near a
regular root $\mu$ has become so small that the step is Newton's. It also stops at
minima of $\|g\|$ that are no roots: whoever calls it has to look.

References:
    Nocedal and Wright (2006), Numerical Optimization, sections 10.3 and 11.2.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

_MOST = 120
_STUCK = 8.0  # so much damping means that no step goes down any more
_LONGEST = 0.5  # of the box's width: a longer step jumps over roots


class Solved(NamedTuple):
    """Where the method stopped, in the unit box, and the scaled derivatives there."""

    t: Array | np.ndarray
    gradient: Array | np.ndarray
    hessian: Array | np.ndarray


class _State(NamedTuple):
    t: Array
    gradient: Array
    hessian: Array
    damping: Array
    turn: Array


def solver(scaled: Callable[[Array], tuple[Array, Array]]) -> Callable[[Array], Solved]:
    """A solver from one start, to be vmapped.

    Args:
        scaled: Gradient and Hessian at a point of the unit box.

    Returns:
        A function of a start.
    """

    def going(s: _State) -> Array:
        able = jnp.all(jnp.isfinite(s.hessian)) & jnp.all(jnp.isfinite(s.gradient))
        moving = (s.damping < _STUCK) & jnp.any(s.gradient != 0)
        return able & moving & (s.turn < _MOST)

    def step(s: _State) -> _State:
        with jax.default_matmul_precision("highest"):
            move = _step(s)
        t = s.t + move
        gradient, hessian = scaled(t)
        # A norm by its largest entry: squares of tiny gradients would vanish.
        top = jnp.max(jnp.abs(s.gradient))
        before = jnp.sum((s.gradient / top) ** 2)
        after = jnp.sum((gradient / top) ** 2)
        better = (after < before) & jnp.all(jnp.isfinite(hessian))
        damping = s.damping * jnp.where(better, 0.1, 6.0)
        return _State(
            jnp.where(better, t, s.t),
            jnp.where(better, gradient, s.gradient),
            jnp.where(better, hessian, s.hessian),
            jnp.maximum(damping, 1e-18),
            s.turn + 1,
        )

    def solve(start: Array) -> Solved:
        gradient, hessian = scaled(start)
        state = _State(start, gradient, hessian, jnp.asarray(1e-3), jnp.asarray(0))
        end = jax.lax.while_loop(going, step, state)
        return Solved(end.t, end.gradient, end.hessian)

    return solve


def _step(s: _State) -> Array:
    size = jnp.max(jnp.abs(s.hessian))
    safe = jnp.where(size > 0, size, 1.0)
    h, g = s.hessian / safe, s.gradient / safe
    square = h @ h
    damped = square + s.damping * jnp.trace(square) * jnp.eye(g.size)
    move = -jnp.linalg.solve(damped, h @ g)
    move = jnp.where(jnp.isfinite(move), move, 0.0)
    longest = jnp.max(jnp.abs(move))
    return move * jnp.minimum(1.0, _LONGEST / jnp.maximum(longest, 1e-300))
