"""Truncated Newton beside scikit-learn's `newton-cg` and optax's L-BFGS."""

import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import losses, minimize, newton_cg, problems, trust_region_cg
from jaxcalc.curvature import hvp
from jaxcalc.problems.classification import softmax_regression_loss

OPTIMIZERS = {"trust_region_cg": trust_region_cg(), "newton_cg": newton_cg()}


def lbfgs(loss: Callable[..., Any], tol: float) -> Any:
    """L-BFGS of optax in a while_loop, to a gradient norm."""
    optimizer = optax.lbfgs()

    @jax.jit
    def run(start: Any, args: Any) -> Any:
        def value_fn(params: Any) -> Any:
            return loss(params, *args)

        value_and_grad = optax.value_and_grad_from_state(value_fn)

        def step(carry: Any) -> Any:
            params, state, _ = carry
            value, grad = value_and_grad(params, state=state)
            updates, state = optimizer.update(
                grad, state, params, value=value, grad=grad, value_fn=value_fn
            )
            params = optax.apply_updates(params, updates)
            next_grad = optax.tree.get(state, "grad")
            return params, state, optax.tree.norm(next_grad, ord=jnp.inf)

        first = (start, optimizer.init(start), jnp.asarray(jnp.inf))
        return lax.while_loop(lambda carry: carry[2] > tol, step, first)[0]

    return run


def softmax_product(params: Any, X: Any, y: Any, ridge: Any) -> Callable[..., Any]:
    """Products with the Hessian of the problem's loss, from its structure."""
    del y
    product = losses.softmax_hessian_product(params, X)
    return lambda v: jax.tree.map(lambda a, b: a + ridge * b, product(v), v)


def digits() -> None:
    """Softmax regression, 650 parameters, to a gradient of 1e-8."""
    from sklearn.linear_model import LogisticRegression

    problem = problems.digits_softmax(ridge=1e-3)
    start = jax.tree.map(jnp.zeros_like, problem.start(0))
    X, labels = (np.asarray(a) for a in problem.args[:2])
    with_ones = np.c_[X, np.ones(len(X))]
    model = LogisticRegression(
        C=1 / (len(X) * 1e-3),
        fit_intercept=False,
        solver="newton-cg",
        tol=1e-8,
        max_iter=1000,
    )
    theirs = lbfgs(problem.loss, 1e-8)

    def ours(optimizer: Any, product: Any) -> Callable[[], Any]:
        return lambda: minimize(
            problem.loss,
            start,
            optimizer,
            args=problem.args,
            max_steps=100,
            tol=1e-8,
            hessian_fn=product,
        )

    ways = {
        "scikit-learn": lambda: model.fit(with_ones, labels),
        "optax": lambda: theirs(start, problem.args),
    }
    for name, optimizer in OPTIMIZERS.items():
        ways[name] = ours(optimizer, softmax_product)
        ways[f"{name}, any loss"] = ours(optimizer, None)
    seconds, answers = interleaved(ways, repeats=15)
    expected = np.c_[answers["scikit-learn"].coef_]
    np.testing.assert_allclose(
        np.r_[answers["optax"]["w"], answers["optax"]["b"][None]].T,
        expected,
        rtol=1e-4,
        atol=1e-5,
    )
    for name in list(ways)[2:]:
        solution = answers[name]
        assert solution.converged
        found = np.r_[solution.params["w"], solution.params["b"][None]].T
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        what = f"digits by {name}, {int(solution.work.hvps)} products"
        report(f"{what} / scikit-learn newton-cg", seconds, name, "scikit-learn", 0.75)
        report(f"{what} / optax L-BFGS", seconds, name, "optax", 0.55)


def rosenbrock() -> None:
    """Chained Rosenbrock of 100 variables, to a gradient of 1e-8."""
    problem = problems.rosenbrock(dimension=100)
    start = jnp.tile(jnp.array([-1.2, 1.0]), 50)
    theirs = lbfgs(problem.loss, 1e-8)
    ways = {"optax": partial(theirs, start, problem.args)}
    for name, optimizer in OPTIMIZERS.items():

        def solve(x: Any, args: Any, optimizer: Any = optimizer) -> Any:
            loss = problem.loss
            return minimize(loss, x, optimizer, args=args, max_steps=1000, tol=1e-8)

        def kept(x: Any, args: Any, solve: Any = solve) -> Any:
            return solve(x, args).params

        ways[name] = partial(solve, start, problem.args)
        # In jit what nobody asks for, such as the trace, is not computed, as there.
        ways[f"{name} in jit"] = partial(jax.jit(kept), start, problem.args)
        solution = ways[name]()
        assert solution.converged
        print(f"{name} on a chained Rosenbrock of 100: {int(solution.steps)} steps")
    seconds, answers = interleaved(ways, repeats=21, calls=3)
    for answer in answers.values():
        params = getattr(answer, "params", answer)
        np.testing.assert_allclose(problem.loss(params), 0, atol=1e-12)
    for name in ways:
        if name != "optax":
            what = f"chained Rosenbrock of 100 by {name} / optax L-BFGS"
            report(what, seconds, name, "optax", 1.0)


def products(count: int = 20) -> None:
    """Hessian-vector products beside gradients, several in one program each."""
    network = problems.digits_network()
    softmax = problems.digits_softmax()
    for problem in (softmax, network):
        start = problem.start(0)

        @jax.jit
        def gradients(params: Any, args: Any, loss: Any = problem.loss) -> Any:
            def one(_: int, x: Any) -> Any:
                grad = jax.grad(loss)(x, *args)
                return jax.tree.map(lambda a, g: a - 1e-6 * g, x, grad)

            return lax.fori_loop(0, count, one, params)

        @jax.jit
        def multiplied(params: Any, args: Any, loss: Any = problem.loss) -> Any:
            product = hvp(loss, params, *args)

            def one(_: int, v: Any) -> Any:
                return jax.tree.map(lambda a, p: a - 1e-6 * p, v, product(v))

            return lax.fori_loop(0, count, one, params)

        ways = {
            "product": lambda f=multiplied, x=start, a=problem.args: f(x, a),
            "gradient": lambda f=gradients, x=start, a=problem.args: f(x, a),
        }
        seconds, _ = interleaved(ways, repeats=11)
        what = f"a Hessian-vector product / a gradient of {problem.name}"
        report(what, seconds, "product", "gradient", 3.0)


def compiling() -> None:
    """Compile time of one solve: each in a program of its own, not run before."""
    ratios = []
    for dimension in range(90, 95):
        problem = problems.rosenbrock(dimension=dimension)
        start = jnp.zeros(dimension)
        run = lbfgs(problem.loss, 1e-8)
        begin = time.process_time()
        minimize(problem.loss, start, trust_region_cg(), tol=1e-8, max_steps=0)
        middle = time.process_time()
        run.lower(start, ()).compile()
        ratios.append((middle - begin) / (time.process_time() - middle))
    ratio = np.median(ratios)
    met = "within" if ratio <= 1 else "ABOVE"
    print(f"compiling trust_region_cg / L-BFGS: {ratio:.3g}, {met} the limit of 1")


def memory(parameters: int = 100_000, examples: int = 2_000) -> None:
    """Softmax regression with many parameters, and the memory it takes at most."""
    classes = 10
    features = parameters // classes - 1
    rng = np.random.default_rng(0)
    X = jnp.asarray(rng.normal(size=(examples, features)) / np.sqrt(features))
    y = jnp.asarray(rng.integers(0, classes, examples))
    start = {"w": jnp.zeros((features, classes)), "b": jnp.zeros(classes)}
    begin = time.perf_counter()
    solution = minimize(
        softmax_regression_loss,
        start,
        trust_region_cg(),
        args=(X, y, jnp.asarray(1e-3)),
        tol=1e-6,
    )
    assert solution.converged
    seconds = time.perf_counter() - begin
    # Kilobytes on Linux, bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    met = "within" if peak <= 2 else "ABOVE"
    print(
        f"softmax regression with {parameters:,} parameters: {seconds:.1f} s with "
        f"compilation, {int(solution.work.hvps)} products, peak memory {peak:.2f} GiB, "
        f"{met} the limit of 2",
        flush=True,
    )


if __name__ == "__main__":
    memory()
    digits()
    rosenbrock()
    products()
    compiling()
