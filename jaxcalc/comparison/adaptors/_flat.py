"""A problem's functions as other packages call them: flat NumPy arrays in and out."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxcalc import _trees
from jaxcalc._programs import compiled
from jaxcalc.optimizers.newton import dense_hessian
from jaxcalc.problems import Problem

Function = Callable[..., Any]


class Flat(NamedTuple):
    """A problem whose points are arrays of shape `(n,)`.

    Each function takes and returns NumPy arrays in float64, which is what the other
    packages compute in, and evaluates in the problem's own dtype.

    Attributes:
        dtype: The dtype of the problem's parameters.
        value_and_grad: `x -> (float, (n,))`.
        hessian: `x -> (n, n)`.
        product: `(x, p) -> (n,)`, Hessian times vector.
        residual: `x -> (m,)`, where the problem has residuals.
        jacobian: `x -> (m, n)`, of the residual.
    """

    dtype: Any
    value_and_grad: Function
    hessian: Function
    product: Function
    residual: Function
    jacobian: Function


def flatten(problem: Problem) -> Flat:
    """A problem's functions on flat arrays; nothing is compiled yet.

    Args:
        problem: The problem.

    Returns:
        Its functions. Equal ones of equal problems share their compiled programs.
    """
    like = problem.start(0)
    dtype = np.dtype(_trees.dtype(like))

    def on_arrays(build: Function, *statics: Any) -> Function:
        program = compiled(build, *statics)

        def call(*points: np.ndarray) -> Any:
            given = (np.asarray(point, dtype) for point in points)
            found = program(*given, like, problem.args)
            return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), found)

        return call

    return Flat(
        dtype=dtype,
        value_and_grad=on_arrays(_value_and_grad, problem.loss),
        hessian=on_arrays(_hessian, problem.loss, problem.hessian),
        product=on_arrays(_product, problem.loss),
        residual=on_arrays(_residual, problem.residual),
        jacobian=on_arrays(_jacobian, problem.residual),
    )


def warm(function: Function, *points: np.ndarray) -> float:
    """Compile a function of `Flat`.

    Args:
        function: The function.
        *points: What it is called with.

    Returns:
        Seconds spent tracing and compiling; nearly zero if that had been done before.
    """
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        function(*points)
        seconds.append(time.perf_counter() - begin)
    return max(0.0, seconds[0] - seconds[1])


def flat_point(tree: Any) -> np.ndarray:
    """A point as an array of shape `(n,)`, in the order of `ravel_pytree`.

    Args:
        tree: A point of a problem.

    Returns:
        The array.
    """
    return np.asarray(ravel_pytree(tree)[0])


def _unraveled(x: jax.Array, like: Any) -> Any:
    return ravel_pytree(like)[1](x)


def _value_and_grad(loss: Function) -> Function:
    def call(x: jax.Array, like: Any, args: Any) -> Any:
        return jax.value_and_grad(lambda z: loss(_unraveled(z, like), *args))(x)

    return call


def _hessian(loss: Function, own: Function | None) -> Function:
    def call(x: jax.Array, like: Any, args: Any) -> Any:
        def bound(function: Function | None) -> Function | None:
            return None if function is None else lambda p: function(p, *args)

        return dense_hessian(_unraveled(x, like), bound(loss), bound(own))

    return call


def _product(loss: Function) -> Function:
    def call(x: jax.Array, p: jax.Array, like: Any, args: Any) -> Any:
        gradient = jax.grad(lambda z: loss(_unraveled(z, like), *args))
        return jax.jvp(gradient, (x,), (p,))[1]

    return call


def _residual(residual: Function) -> Function:
    def call(x: jax.Array, like: Any, args: Any) -> Any:
        return jnp.ravel(residual(_unraveled(x, like), *args))

    return call


def _jacobian(residual: Function) -> Function:
    def call(x: jax.Array, like: Any, args: Any) -> Any:
        def function(z: jax.Array) -> jax.Array:
            return jnp.ravel(residual(_unraveled(z, like), *args))

        rows = jax.eval_shape(function, x).size
        return (jax.jacfwd if x.size <= rows else jax.jacrev)(function)(x)

    return call
