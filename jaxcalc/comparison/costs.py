"""What evaluations cost, in gradients, by counting floating-point operations."""

from typing import Any

import jax
import numpy as np

from jaxcalc.minimization import Work
from jaxcalc.optimizers.newton import dense_hessian
from jaxcalc.problems import Problem

# Where XLA can't count: a value is half a gradient at most (its reverse sweep costs at
# least as much), a Hessian-vector product two gradients (Pearlmutter 1994), a Hessian
# one product for each parameter. The rest is for optimizers that say so themselves.
_NOMINAL = {"values": 0.5, "gradients": 1.0, "hvps": 2.0, "residuals": 0.5}


def evaluation_costs(problem: Problem, kinds: set[str]) -> dict[str, float]:
    """Costs of evaluations relative to one value-and-gradient.

    XLA counts the operations of the unoptimized programs, transcendental functions as
    one each; a Hessian also bears the factorization that follows it, n³/3.

    Args:
        problem: The problem.
        kinds: Fields of `Work` that occur; the others get nominal costs.

    Returns:
        A cost for each field of `Work`.
    """
    n = problem.size
    costs = {**_NOMINAL, "hessians": 2.0 * n, "jacobians": float(n)}
    point = jax.eval_shape(problem.init, jax.random.key(0))

    def operations(function: Any) -> float:
        try:
            lowered = jax.jit(function).lower(point, problem.args)
            counted = lowered.cost_analysis() or {}
        except (NotImplementedError, RuntimeError):
            return float("nan")
        return counted.get("flops", np.nan) + counted.get("transcendentals", 0.0)

    def value(params: Any, args: Any) -> Any:
        return problem.loss(params, *args)

    def hessian(params: Any, args: Any) -> Any:
        own = problem.hessian
        return dense_hessian(
            params,
            lambda p: problem.loss(p, *args),
            own and (lambda p: own(p, *args)),
        )

    gradient = operations(jax.value_and_grad(value))
    if "values" in kinds:
        costs["values"] = operations(value) / gradient
    if "hessians" in kinds:
        costs["hessians"] = (operations(hessian) + n**3 / 3) / gradient
    nominal = {**_NOMINAL, "hessians": 2.0 * n, "jacobians": float(n)}
    return {
        kind: costs[kind] if costs[kind] > 0 else nominal[kind] for kind in Work._fields
    }
