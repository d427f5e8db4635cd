"""What does `minimize` cost beside a hand-written scan that stores the same trace?"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import minimize, problems
from jaxcalc.problems import Problem


def hand_written(
    problem: Problem, optimizer: optax.GradientTransformation, steps: int
) -> Callable[..., Any]:
    """A scan that stores value, gradient norm, step norm and the count of gradients."""

    def largest(tree: Any) -> jax.Array:
        return jnp.max(
            jnp.asarray([jnp.max(jnp.abs(x)) for x in jax.tree.leaves(tree)])
        )

    @jax.jit
    def run(params: Any, args: Any) -> Any:
        def body(carry: Any, _: None) -> Any:
            params, state, count = carry
            value, grad = jax.value_and_grad(problem.loss)(params, *args)
            updates, state = optimizer.update(grad, state, params)
            new = optax.apply_updates(params, updates)
            step = jax.tree.map(lambda a, b: a - b, new, params)
            row = (value, largest(grad), largest(step), count + 1)
            return (new, state, count + 1), row

        first = (params, optimizer.init(params), jnp.zeros((), jnp.int32))
        return lax.scan(body, first, length=steps)

    return run


def measure(
    problem: Problem, name: str, optimizer: Any, steps: int, limit: float
) -> None:
    """Print the ratios of one problem and optimizer."""
    start, args = problem.start(0), problem.args
    scan = hand_written(problem, optimizer, steps)

    def ours(params: Any, args: Any) -> Any:
        return minimize(
            problem.loss, params, optimizer, args=args, max_steps=steps, tol=0.0
        )

    inside = jax.jit(ours)
    ways = {
        "scan": lambda: scan(start, args),
        "minimize": lambda: ours(start, args),
        "inside jit": lambda: inside(start, args),
    }
    seconds, answers = interleaved(ways, repeats=31)
    np.testing.assert_allclose(
        answers["minimize"].trace.value[:steps], answers["scan"][1][0], rtol=1e-9
    )
    what = f"{steps:,} steps of {name} on {problem.name}"
    report(f"{what}, minimize / scan", seconds, "minimize", "scan", limit)
    report(f"{what}, minimize inside jit / scan", seconds, "inside jit", "scan", limit)


if __name__ == "__main__":
    gradient_descent = optax.sgd(1e-3)
    measure(problems.breast_cancer(), "gradient descent", optax.sgd(0.1), 10_000, 1.15)
    measure(problems.rosenbrock(), "gradient descent", gradient_descent, 10_000, 1.15)
    measure(problems.rosenbrock(dimension=16), "Adam", optax.adam(1e-2), 5_000, 0.6)
