"""What a problem measures beside its loss, at the final points of runs."""

import functools
from hashlib import sha256
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from jaxcalc.problems import Problem


def final_metrics(problem: Problem, params: np.ndarray) -> dict[str, np.ndarray]:
    """The problem's metrics, on its validation data where some was held out.

    Args:
        problem: The problem.
        params: Final points as rows, shape `(lanes, n)`.

    Returns:
        By name, each of shape `(lanes,)`; NaN where a point is not finite.
    """
    data = problem.validation or problem.args
    finite = np.isfinite(params).all(axis=1)
    found = {}
    for name in problem.metrics:
        values = np.asarray(_compiled(problem, name)(params, data), float)
        found[name] = np.where(finite, values, np.nan)
    return found


@functools.lru_cache(maxsize=256)
def metrics_digest(problem: Problem) -> bytes:
    """Hash of the metrics as programs, and of the data they are measured on.

    Args:
        problem: The problem.

    Returns:
        32 bytes.
    """
    total = sha256()
    if not problem.metrics:
        return total.digest()
    data = problem.validation or problem.args
    points = jax.ShapeDtypeStruct((1, problem.size), _dtype(problem))
    for name in problem.metrics:
        lowered = _compiled(problem, name).lower(points, data)
        total.update(f"{name}{lowered.as_text()}".encode())
    for leaf in jax.tree.leaves(problem.validation):
        total.update(np.ascontiguousarray(leaf).tobytes())
    return total.digest()


@functools.lru_cache(maxsize=64)
def _compiled(problem: Problem, name: str) -> Any:
    _, unravel = ravel_pytree(_zeros(problem))

    def one(params: jax.Array, data: tuple[Any, ...]) -> jax.Array:
        return problem.metrics[name](unravel(params), *data)

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def _zeros(problem: Problem) -> PyTree:
    shapes = jax.eval_shape(problem.init, jax.random.key(0))
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)


def _dtype(problem: Problem) -> Any:
    return ravel_pytree(_zeros(problem))[0].dtype
