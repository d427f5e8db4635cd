"""The compiled part of `sensitivity`: a model beside its linear form."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from jaxcalc.analysis import _sensitivity_spread as _spread


def plain(model: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The program for inputs that are certain.

    Args:
        model: `model(x, *args)`.

    Returns:
        `run(x, args)`, which gives fields of a `Sensitivity` by name.
    """

    def run(x: PyTree, args: tuple[Any, ...]) -> dict[str, Any]:
        return Linear(model, x, args).record()

    return run


def uncertain(model: Callable[..., Any], samples: int) -> Callable[..., dict[str, Any]]:
    """The program for inputs that are uncertain.

    Args:
        model: `model(x, *args)`.
        samples: How many draws.

    Returns:
        `run(x, args, spread, key)`, which gives fields of a `Sensitivity` by name.
    """

    def run(x: PyTree, args: Any, spread: _spread.Spread, key: Array) -> dict[str, Any]:
        linear = Linear(model, x, args)
        root = _spread.factor(spread)
        pushed = _spread.through(linear.jacobian, root)  # J A, with Σ = A Aᵀ
        deviation = _spread.norms(pushed)
        beyond, failed = linear.residuals(root, key, samples)
        where_none = jnp.where(beyond > 0, jnp.inf, 0)
        compared = jnp.where(deviation > 0, beyond / deviation, where_none)
        shape = linear.shape
        covariance = jnp.matmul(pushed, pushed.T, precision="highest")
        return linear.record() | {
            "uncertainty": linear.unravel(_spread.deviations(spread)),
            "standard_deviation": deviation.reshape(shape),
            "covariance": covariance.reshape(shape + shape),
            "share": linear.like_derivative(_shares(linear.jacobian, root, pushed)),
            "nonlinearity": compared.reshape(shape),
            "failed": failed.reshape(shape),
        }

    return run


def _shares(jacobian: Array, root: Array, pushed: Array) -> Array:
    """Part i of J Σ Jᵀ is J_i (Σ Jᵀ)_i; scaled first, lest the squares vanish."""
    deviation = _spread.norms(pushed)[:, None]
    scale = jnp.where(deviation > 0, deviation, jnp.nan)
    unit = pushed / scale
    if root.ndim == 1:
        return unit**2
    return jacobian / scale * jnp.matmul(unit, root.T, precision="highest")


class Linear:
    """A model beside its linear form, all inputs and all outputs in a row."""

    def __init__(self, model: Callable[..., Any], x: PyTree, args: tuple[Any, ...]):
        self.flat, self.unravel = ravel_pytree(x)
        value = jax.eval_shape(model, x, *args)
        self.shape, outputs = value.shape, int(np.prod(value.shape))

        def f(flat: Array) -> Array:
            return jnp.reshape(model(self.unravel(flat), *args), (outputs,))

        self.f = f
        self.value = f(self.flat)
        mode = jax.jacrev if outputs <= self.flat.size else jax.jacfwd
        self.jacobian = mode(f)(self.flat).astype(self.flat.dtype)

    def record(self) -> dict[str, Any]:
        """The fields that need no uncertainty."""
        relative = self.flat * self.jacobian
        value = jnp.where(self.value == 0, jnp.nan, self.value)[:, None]
        return {
            "value": self.value.reshape(self.shape),
            "derivative": self.like_derivative(self.jacobian),
            "elasticity": self.like_derivative(relative / value),
        }

    def like_derivative(self, rows: Array) -> PyTree:
        """A row for each output, as a tree of the derivative's shapes."""
        tree = jax.vmap(self.unravel)(rows)
        return jax.tree.map(lambda a: a.reshape(self.shape + a.shape[1:]), tree)

    def residuals(self, root: Array, key: Array, samples: int) -> tuple[Array, Array]:
        """Root mean square of what is not linear, and the share that is not finite."""
        n = self.flat.size

        def one(key: Array) -> Array:
            z = jax.random.normal(key, (n,), self.flat.dtype)
            moved = self.flat + _spread.through(z[None], root.T)[0]
            # The step that rounding left of the draw, not the draw.
            linear = jnp.matmul(self.jacobian, moved - self.flat, precision="highest")
            return self.f(moved) - self.value - linear

        batch = max(1, min(32, samples, 2**22 // n))
        found = jax.lax.map(one, jax.random.split(key, samples), batch_size=batch)
        finite = jnp.isfinite(found)
        root_mean = _spread.norms(jnp.where(finite, found, 0).T) / samples**0.5
        noise = 4 * jnp.finfo(found.dtype).eps * jnp.abs(self.value)
        return jnp.where(root_mean > noise, root_mean, 0), 1 - jnp.mean(finite, axis=0)
