"""What does it cost to check a gradient, and against differences of all coordinates?

numdifftools is no dependency; `pip install numdifftools` brings it in for the first two
comparisons, which are left out without it.
"""

import importlib
import importlib.util
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import problems
from jaxcalc.derivatives import check_derivatives


def against_numdifftools() -> None:
    """The breast-cancer logistic loss: first, then first and second derivatives."""
    if importlib.util.find_spec("numdifftools") is None:
        print("numdifftools is not installed: pip install numdifftools")
        return
    nd = importlib.import_module("numdifftools")
    problem = problems.breast_cancer()
    vector, unravel = ravel_pytree(problem.start(0))

    def of_vector(params: jax.Array, *args: jax.Array) -> jax.Array:
        return problem.loss(unravel(params), *args)

    loss = jax.jit(lambda params: of_vector(params, *problem.args))
    start = np.asarray(vector)

    def value(point: np.ndarray) -> float:
        return float(loss(jnp.asarray(point)))

    gradient, hessian = nd.Gradient(value), nd.Hessian(value)
    check = partial(check_derivatives, of_vector, vector, *problem.args)
    for order, theirs, repeats in (
        (1, lambda: gradient(start), 5),
        (2, lambda: (gradient(start), hessian(start)), 3),
    ):
        seconds, answers = interleaved(
            {"check": partial(_checked, partial(check, order=order)), "all": theirs},
            repeats=repeats,
        )
        found = answers["all"] if order == 1 else answers["all"][0]
        exact = jax.grad(of_vector)(vector, *problem.args)
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-9)
        claim = f"a check of order {order} / numdifftools, breast cancer"
        report(claim, seconds, "check", "all", 1 / 20)


def network() -> None:
    """A network with 5,000 parameters: a check against one gradient, and a second."""

    def loss(params, X, y):
        hidden = jnp.tanh(X @ params["w"] + params["b"])
        hidden = jnp.tanh(hidden @ params["v"] + params["c"])
        return jnp.mean((hidden @ params["u"] - y) ** 2)

    keys = jax.random.split(jax.random.key(0), 5)
    params = {
        "w": jax.random.normal(keys[0], (10, 65)) / 3,
        "b": jnp.zeros(65),
        "v": jax.random.normal(keys[1], (65, 65)) / 8,
        "c": jnp.zeros(65),
        "u": jax.random.normal(keys[2], (65,)) / 8,
    }
    X, y = jax.random.normal(keys[3], (500, 10)), jax.random.normal(keys[4], (500,))
    gradient = jax.jit(jax.grad(loss))
    seconds, _ = interleaved(
        {
            "check": partial(_checked, partial(check_derivatives, loss, params, X, y)),
            "gradient": lambda: gradient(params, X, y),
        }
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    report(f"a check / one gradient, {count} weights", seconds, "check", "gradient", 60)
    whole = float(np.median(seconds["check"]))
    print(f"a check of {count} weights takes less than a second: {whole < 1}")


def _checked(check) -> None:
    check().raise_if_failed()


if __name__ == "__main__":
    against_numdifftools()
    network()
