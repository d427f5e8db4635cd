"""Second-order optimizers on small problems, beside SciPy's, optimistix' and optax'."""

import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import minimize, problems, trust_region
from jaxcalc.problems import Problem

TOL = 1e-8
OPTIMIZER = trust_region()


def small_problems() -> dict[str, tuple[Problem, jax.Array]]:
    """The problems, each with the start that the literature prescribes."""
    powell = problems.more_garbow_hillstrom(13)
    beale = problems.more_garbow_hillstrom(5)
    starts = {
        "Rosenbrock 2": (problems.rosenbrock(2), [-1.2, 1.0]),
        "Rosenbrock 10": (problems.rosenbrock(10), [-1.2, 1.0] * 5),
        "Beale": (beale, beale.standard_start),
        "Powell singular": (powell, powell.standard_start),
    }
    return {name: (p, jnp.asarray(x)) for name, (p, x) in starts.items()}


def ours(
    problem: Problem, start: jax.Array, compiled: Callable[..., Any] = lambda run: run
) -> Callable[[], Any]:
    """`minimize`, as it is called from Python, or inside of a compiled function."""

    @compiled
    def run(x: jax.Array, args: Any) -> jax.Array:
        return minimize(
            problem.loss, x, OPTIMIZER, args=args, max_steps=500, tol=TOL
        ).params

    return lambda: run(start, problem.args)


def scipy_trust_exact(problem: Problem, start: jax.Array) -> Callable[[], Any]:
    """SciPy with jitted callbacks."""
    value_and_grad = jax.jit(jax.value_and_grad(problem.loss))
    hessian = jax.jit(jax.hessian(problem.loss))

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, grad = value_and_grad(x, *problem.args)
        return float(value), np.asarray(grad)

    def run() -> Any:
        return scipy.optimize.minimize(
            fun,
            np.asarray(start),
            jac=True,
            hess=lambda x: np.asarray(hessian(x, *problem.args)),
            method="trust-exact",
            options={"gtol": TOL},
        ).x

    return run


def optimistix_bfgs(problem: Problem, start: jax.Array) -> Callable[[], Any] | None:
    """BFGS of optimistix, stopped where the gradient's largest entry is below TOL."""
    if importlib.util.find_spec("optimistix") is None:
        return None
    optimistix = importlib.import_module("optimistix")
    # Its own test is on steps and values; the tolerances are the largest with which
    # it reaches the gradient asked for.
    gradient = jax.jit(jax.grad(problem.loss))

    for tol in 10.0 ** np.arange(-3, -15, -1):
        solver = optimistix.BFGS(rtol=tol, atol=tol)

        @jax.jit
        def run(x: jax.Array, args: Any, solver: Any = solver) -> jax.Array:
            return optimistix.minimise(
                lambda x, args: problem.loss(x, *args),
                solver,
                x,
                args=args,
                max_steps=5000,
                throw=False,
            ).value

        found = run(start, problem.args)
        if float(jnp.max(jnp.abs(gradient(found, *problem.args)))) <= TOL:
            return lambda run=run: run(start, problem.args)
    return None


def lbfgs_loop(problem: Problem) -> Callable[..., Any]:
    """`optax.lbfgs` in a while_loop, to the same gradient norm."""
    optimizer = optax.lbfgs()

    def run(params: Any, *args: Any) -> Any:
        def loss(params: Any) -> Any:
            return problem.loss(params, *args)

        value_and_grad = optax.value_and_grad_from_state(loss)

        def body(carry: Any) -> Any:
            params, state = carry
            value, grad = value_and_grad(params, state=state)
            updates, state = optimizer.update(
                grad, state, params, value=value, grad=grad, value_fn=loss
            )
            return optax.apply_updates(params, updates), state

        def goes_on(carry: Any) -> Any:
            count = optax.tree.get(carry[1], "count")
            grad = optax.tree.get(carry[1], "grad")
            largest = optax.tree.norm(grad, ord=np.inf)
            return (count == 0) | ((count < 5000) & (largest > TOL))

        return jax.lax.while_loop(goes_on, body, (params, optimizer.init(params)))[0]

    return run


def speed() -> None:
    """Ratios of whole solves to the same gradient norm, compiled."""
    ratios = {"jaxcalc": [], "in jit": []}
    for name, (problem, start) in small_problems().items():
        ways = {
            "jaxcalc": ours(problem, start),
            "in jit": ours(problem, start, jax.jit),
            "scipy": scipy_trust_exact(problem, start),
        }
        bfgs = optimistix_bfgs(problem, start)
        if bfgs is not None:
            ways["optimistix"] = bfgs
        seconds, answers = interleaved(ways, repeats=11, calls=10)
        gradient = jax.grad(problem.loss)
        for way, x in answers.items():
            largest = float(jnp.max(jnp.abs(gradient(jnp.asarray(x), *problem.args))))
            assert largest <= TOL, (name, way, largest)
        for way, kept in ratios.items():
            report(f"{name}, {way} / SciPy trust-exact", seconds, way, "scipy", 1 / 50)
            if bfgs is not None:
                what = f"{name}, {way} / optimistix BFGS, jitted"
                kept.append(report(what, seconds, way, "optimistix", np.inf))
    for way, kept in ratios.items():
        if kept:
            met = "within" if np.median(kept) <= 1 else "ABOVE"
            median = f"median, {way} / optimistix BFGS: {np.median(kept):.2f}"
            print(f"{median}, {met} the limit of 1")
    if not ratios["jaxcalc"]:
        print("optimistix is not installed: pip install optimistix")


def compile_time(limit: float) -> None:
    """What the first call costs beside that of `optax.lbfgs`, tracing included."""
    problem, start = small_problems()["Rosenbrock 10"]
    seconds = {"jaxcalc": [], "lbfgs": []}
    for repeat in range(5):
        # A loss of another identity is compiled anew.
        shift = float(repeat)

        def loss(x: Any, *args: Any, shift: float = shift) -> Any:
            return problem.loss(x, *args) + shift

        begin = time.perf_counter()
        jax.block_until_ready(minimize(loss, start, OPTIMIZER, args=problem.args))
        middle = time.perf_counter()
        jax.block_until_ready(jax.jit(lbfgs_loop(problem))(start, *problem.args))
        seconds["jaxcalc"].append(middle - begin)
        seconds["lbfgs"].append(time.perf_counter() - middle)
    report("first call / optax.lbfgs", seconds, "jaxcalc", "lbfgs", limit)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    speed()
    compile_time(limit=1.0)
