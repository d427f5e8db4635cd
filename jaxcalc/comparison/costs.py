"""What evaluations cost, in gradients, by counting floating-point operations."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.minimization import Work
from jaxcalc.optimizers.newton import dense_hessian
from jaxcalc.problems import Problem

# Where XLA can't count: a value is half a gradient at most (its reverse sweep costs at
# least as much), a Hessian-vector product two gradients (Pearlmutter 1994), a Hessian
# one product for each parameter. The rest is for optimizers that say so themselves.
_NOMINAL = {"values": 0.5, "gradients": 1.0, "hvps": 2.0, "residuals": 0.5}


def evaluation_costs(problem: Problem, kinds: set[str]) -> dict[str, float]:
    """Costs of evaluations relative to one value-and-gradient over all data.

    XLA counts the operations of the unoptimized programs, transcendental functions as
    one each; a Hessian also bears the factorization that follows it, n³/3. In batches
    an evaluation costs the less, the fewer rows it sees.

    Args:
        problem: The problem.
        kinds: Fields of `Work` that occur; the others get nominal costs.

    Returns:
        A cost for each field of `Work`.
    """
    n = problem.size
    whole = gradient_flops(problem)
    on_batch = _operations(problem, "gradients")
    share = on_batch / whole if problem.draw is not None else 1.0
    if not share > 0:
        share = 1.0
    costs = {**_NOMINAL, "hessians": 2.0 * n, "jacobians": float(n)}
    costs = {kind: cost * share for kind, cost in costs.items()}
    for kind, besides in (("values", 0.0), ("hessians", n**3 / 3)):
        if kind in kinds:
            counted = (_operations(problem, kind) + besides) / whole
            costs[kind] = counted if counted > 0 else costs[kind]
    return {kind: costs[kind] for kind in Work._fields}


def gradient_flops(problem: Problem) -> float:
    """Floating-point operations of one value-and-gradient over all data.

    Args:
        problem: The problem.

    Returns:
        XLA's count for the unoptimized program, transcendental functions as one each;
        NaN where it can't count.
    """
    return _operations(problem, "whole")


@functools.lru_cache(maxsize=256)
def _operations(problem: Problem, kind: str) -> float:
    point = jax.eval_shape(problem.init, jax.random.key(0))
    args = problem.args
    draw = problem.draw
    if kind != "whole" and draw is not None:
        key = jax.random.key(0)
        args = jax.eval_shape(lambda *args: draw(key, jnp.int32(0), *args), *args)
    try:
        lowered = jax.jit(_function(problem, kind)).lower(point, args)
        counted: Mapping[str, Any] = lowered.cost_analysis() or {}
    except (NotImplementedError, RuntimeError):
        return float("nan")
    operations = counted.get("flops", np.nan) + counted.get("transcendentals", 0.0)
    return float(operations) if operations > 0 else float("nan")


def _function(problem: Problem, kind: str) -> Any:
    def value(params: Any, args: Any) -> Any:
        return problem.loss(params, *args)

    def hessian(params: Any, args: Any) -> Any:
        own = problem.hessian
        return dense_hessian(
            params,
            lambda p: problem.loss(p, *args),
            own and (lambda p: own(p, *args)),
        )

    if kind == "values":
        return value
    return hessian if kind == "hessians" else jax.value_and_grad(value)
