"""A thousand starts: one program beside a loop over SciPy, and beside its own steps."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
from jax import lax

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import minimize_many, newton, problems, trust_region
from jaxcalc.minimization.step import Functions, make_step, start_lane
from jaxcalc.problems import Problem

STARTS = 1000
# Of SciPy only this many are run: the loop's time is proportional to their number.
SCIPY_STARTS = 20


def scipy_loop(problem: Problem, starts: np.ndarray, method: str) -> Callable[[], Any]:
    """SciPy from each start, with jitted callbacks."""
    value_and_grad = jax.jit(jax.value_and_grad(problem.loss))
    hessian = jax.jit(jax.hessian(problem.loss))

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, grad = value_and_grad(x, *problem.args)
        return float(value), np.asarray(grad)

    def hess(x: np.ndarray) -> np.ndarray:
        return np.asarray(hessian(x, *problem.args))

    extra = {"hess": hess} if method == "trust-exact" else {}
    return lambda: [
        scipy.optimize.minimize(
            fun, x, jac=True, method=method, options={"gtol": 1e-8}, **extra
        )
        for x in starts
    ]


def steps_together(
    problem: Problem, optimizer: Any, starts: Any, lanes: int, steps: int
) -> Callable[[], Any]:
    """Some steps of some lanes that all run: what a step costs at the least."""

    @jax.jit
    def run(starts: Any, args: Any) -> Any:
        step = make_step(Functions(problem.loss), optimizer, args, 10**6, None)

        def begin(params: Any) -> Any:
            return start_lane(Functions(problem.loss), params, optimizer, args)

        def advance(lane: Any) -> Any:
            return step(lane)[0]

        if lanes > 1:
            begin = jax.vmap(begin, in_axes=0, out_axes=-1)
            advance = jax.vmap(advance, in_axes=-1, out_axes=-1)

        def batch(starts: Any) -> Any:
            return lax.fori_loop(0, steps, lambda _, x: advance(x), begin(starts))

        return lax.map(batch, starts)

    count = len(starts) // lanes
    shape = (count, lanes, -1) if lanes > 1 else (count, -1)
    shaped = jnp.reshape(starts[: count * lanes], shape)
    return lambda: run(shaped, problem.args)


def beside_scipy(
    problem: Problem,
    name: str,
    optimizer: Any,
    starts: Any,
    method: str,
    limit: float,
) -> None:
    """Print the ratio of times for as many starts."""
    few = np.asarray(starts[:SCIPY_STARTS])
    ways = {
        "ours": lambda: minimize_many(problem.loss, starts, optimizer).value,
        "scipy": scipy_loop(problem, few, method),
    }
    seconds, answers = interleaved(ways, repeats=7)
    ended = sorted(float(end.fun) for end in answers["scipy"])
    print(f"  SciPy's median of final values: {ended[len(ended) // 2]:.2g}", flush=True)
    seconds["scipy"] = [s * len(starts) / len(few) for s in seconds["scipy"]]
    what = f"{len(starts):,} starts of {problem.name}, {name} / SciPy's {method}"
    report(what, seconds, "ours", "scipy", limit)


def beside_its_steps(
    problem: Problem, name: str, optimizer: Any, starts: Any, limit: float
) -> None:
    """Print the ratio to the steps taken times what one costs in the best batch."""
    # Not so many that all have ended, but as many as it takes to meet every kind.
    few, shapes = 20, (1, 8, 32, 64, 128, 256)
    ways = {
        str(lanes): steps_together(problem, optimizer, starts, lanes, few)
        for lanes in shapes
    }
    ways["ours"] = lambda: minimize_many(problem.loss, starts, optimizer).value
    seconds, _ = interleaved(ways, repeats=7)
    many = minimize_many(problem.loss, starts, optimizer)
    points = int(np.sum(many.steps + 1))
    print(f"  {many.describe()} Points measured: {points:,}", flush=True)
    for lanes in shapes:
        per_step = 1 / (len(starts) // lanes * lanes * few)
        seconds[str(lanes)] = [s * per_step * points for s in seconds[str(lanes)]]
    best = min(map(str, shapes), key=lambda lanes: np.median(seconds[lanes]))
    what = f"{len(starts):,} starts of {problem.name}, {name} / its steps, {best} lanes"
    report(what, seconds, "ours", best, limit)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    rosenbrock = problems.rosenbrock(dimension=10)
    key = jax.random.key(0)
    starts = jax.random.uniform(key, (STARTS, 10), minval=-2.0, maxval=2.0)
    for name, optimizer, method, limit in (
        ("trust_region", trust_region(), "trust-exact", 0.05),
        ("newton", newton(), "trust-exact", 0.01),
        ("L-BFGS", optax.lbfgs(), "BFGS", 0.01),
    ):
        beside_scipy(rosenbrock, name, optimizer, starts, method, limit)
        beside_its_steps(rosenbrock, name, optimizer, starts, 1.5)
