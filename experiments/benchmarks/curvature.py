"""What do products, eigenvalues and densities of a Hessian cost, beside others?

matfree is no dependency; `pip install matfree` brings it in for the last comparison,
which is left out without it.
"""

import importlib
import importlib.util
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import LinearOperator, eigsh

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import problems
from jaxcalc.curvature import dense_hessian, eigenpairs, hvp, spectral_density

PROBLEM = problems.digits_network()
START = PROBLEM.start(0)
FLAT, UNRAVEL = ravel_pytree(START)


def of_vector(x: jax.Array, *args: jax.Array) -> jax.Array:
    """The network's loss, as a function of a vector."""
    return PROBLEM.loss(UNRAVEL(x), *args)


def by_hand(x: jax.Array, v: jax.Array, args: Any) -> jax.Array:
    """A Hessian-vector product as everybody writes it."""
    return jax.jvp(lambda x: jax.grad(of_vector)(x, *args), (x,), (v,))[1]


def products() -> None:
    """One product, its linearization included, and ten after one linearization."""
    gradient = jax.jit(lambda x, args: jax.grad(of_vector)(x, *args))

    @jax.jit
    def product(x: jax.Array, v: jax.Array, args: Any) -> jax.Array:
        return hvp(of_vector, x, *args)(v)

    @jax.jit
    def ten(x: jax.Array, v: jax.Array, args: Any) -> jax.Array:
        matvec = hvp(of_vector, x, *args)
        return jax.lax.fori_loop(0, 10, lambda _, v: matvec(v), v)

    held = hvp(of_vector, FLAT, *PROBLEM.args)
    v = FLAT / jnp.linalg.norm(FLAT)
    ways = {
        "gradient": lambda: gradient(FLAT, PROBLEM.args),
        "product": lambda: product(FLAT, v, PROBLEM.args),
        "held": lambda: held(v),
        "ten": lambda: ten(FLAT, v, PROBLEM.args),
    }
    seconds, answers = interleaved(ways, repeats=31, calls=5)
    np.testing.assert_allclose(answers["product"], answers["held"], atol=1e-12)
    seconds["ten"] = [t / 10 for t in seconds["ten"]]
    report("a Hessian product / a gradient", seconds, "product", "gradient", 3)
    report("the same, linearized before", seconds, "held", "gradient", 2.5)
    report("each of ten products / a gradient", seconds, "ten", "gradient", 2.5)


def dense() -> None:
    """The whole Hessian of a linear model, and of a network of 985 parameters."""
    for problem in (problems.digits_softmax(), problems.digits_network(hidden=13)):
        start, args = problem.start(0), problem.args
        flat, unravel = ravel_pytree(start)
        at_once = jax.jit(
            jax.hessian(lambda x, *args, p=problem, u=unravel: p.loss(u(x), *args))
        )
        ways = {
            "dense_hessian": partial(dense_hessian, problem.loss, start, *args),
            "jax.hessian": partial(at_once, flat, *args),
        }
        seconds, answers = interleaved(ways, repeats=5)
        np.testing.assert_allclose(*answers.values(), atol=1e-4)
        claim = f"dense_hessian / jax.hessian, {problem.title}"
        report(claim, seconds, "dense_hessian", "jax.hessian", 1)


def eigenvalues(k: int = 10) -> None:
    """The largest eigenvalues, to the residuals that SciPy reaches."""
    jitted = jax.jit(by_hand)

    def multiply(v: np.ndarray) -> np.ndarray:
        return np.asarray(jitted(FLAT, jnp.asarray(v.ravel()), PROBLEM.args))

    n = FLAT.size
    operator: Any = LinearOperator((n, n), matvec=multiply, dtype=FLAT.dtype)  # pyright: ignore[reportCallIssue]
    tol: Any = 1e-6 if FLAT.dtype == jnp.float64 else 1e-4  # stubs know integers only

    def scipy() -> Any:
        return eigsh(operator, k=k, which="LA", tol=tol)

    theirs = scipy()
    residuals = [
        np.linalg.norm(multiply(v) - w * v)
        for w, v in zip(theirs[0], theirs[1].T, strict=True)
    ]
    largest = float(np.max(np.abs(theirs[0])))
    goal = max(float(np.max(residuals)) / largest, 1e-10)

    def ours(repeated: bool) -> Any:
        matvec = hvp(PROBLEM.loss, START, *PROBLEM.args)
        return eigenpairs(matvec, START, k, tol=goal, repeated=repeated)

    ways = {
        "scipy": scipy,
        "eigenpairs": partial(ours, repeated=False),
        "twice": partial(ours, repeated=True),
    }
    seconds, answers = interleaved(ways, repeats=15)
    for name in ("eigenpairs", "twice"):
        found = answers[name]
        assert bool(found.converged)
        np.testing.assert_allclose(
            np.sort(found.values), np.sort(answers["scipy"][0]), rtol=10 * goal
        )
    claim = f"top {k} eigenvalues of {n}"
    report(f"{claim}, eigenpairs / eigsh", seconds, "eigenpairs", "scipy", 1)
    report(f"{claim}, looking twice / eigsh", seconds, "twice", "scipy", 1.2)


def density(probes: int = 8, steps: int = 60) -> None:
    """Lanczos quadrature: the mean of λ² over the same number of probes and steps."""
    if importlib.util.find_spec("matfree") is None:
        print("matfree is not installed: pip install matfree")
        return
    decomp = importlib.import_module("matfree.decomp")
    tridiagonal = decomp.tridiag_sym(steps, reortho="full", materialize=True)

    @jax.jit
    def by_matfree(x: jax.Array, key: jax.Array, args: Any) -> Any:
        linear = jax.linearize(lambda x: jax.grad(of_vector)(x, *args), x)[1]

        def rule(key: jax.Array) -> Any:
            (same,) = jax.random.split(key, 1)  # the signs that jaxcalc draws
            v = jax.random.rademacher(same, x.shape, x.dtype)
            found = tridiagonal(linear, v / jnp.linalg.norm(v))
            nodes, vectors = jnp.linalg.eigh(found.J_small)
            return nodes, vectors[0] ** 2

        return jax.lax.map(rule, jax.random.split(key, probes))

    key = jax.random.key(0)
    ways = {
        "matfree": lambda: by_matfree(FLAT, key, PROBLEM.args),
        "density": lambda: spectral_density(
            PROBLEM.loss, START, *PROBLEM.args, probes=probes, steps=steps, key=key
        ),
    }
    seconds, answers = interleaved(ways, repeats=9)
    nodes, weights = answers["matfree"]
    ours = answers["density"]
    second_moment = np.sum(weights * nodes**2, axis=1)
    found = np.sum(ours.weights * ours.nodes**2, axis=1)
    np.testing.assert_allclose(found, second_moment, rtol=1e-3)
    claim = f"density from {probes} probes of {steps} products / matfree"
    report(claim, seconds, "density", "matfree", 1.1)


if __name__ == "__main__":
    products()
    dense()
    eigenvalues()
    density()
