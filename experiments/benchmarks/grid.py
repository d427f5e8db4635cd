"""A grid of runs through `compare`, beside scans by hand and a loop in Python."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import compare, problems

OPTIMIZERS = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "rmsprop": optax.rmsprop,
    "adam": optax.adam,
    "adamw": optax.adamw,
    "lion": optax.lion,
}
RATES = np.logspace(-4, 1, 16).tolist()
SEEDS = range(1, 9)
STEPS = 1_000

PROBLEM = problems.breast_cancer()


def largest(tree: Any) -> jax.Array:
    """The largest absolute entry of a tree."""
    return jnp.max(jnp.asarray([jnp.max(jnp.abs(x)) for x in jax.tree.leaves(tree)]))


def step(make: Any, params: Any, state: Any, rate: Any, args: Any) -> Any:
    """One step and what is stored of it."""
    value, grad = jax.value_and_grad(PROBLEM.loss)(params, *args)
    updates, state = make(rate).update(grad, state, params)
    new = optax.apply_updates(params, updates)
    moved = jax.tree.map(lambda a, b: a - b, new, params)
    return new, state, (value, largest(grad), largest(moved))


def by_hand() -> Callable[[], Any]:
    """A scan for each optimizer, all lanes on the last axis."""
    lanes = [PROBLEM.start(seed) for _ in RATES for seed in SEEDS]
    params = jax.tree.map(lambda *x: jnp.stack(x, -1), *lanes)
    rates = jnp.repeat(jnp.asarray(RATES), len(SEEDS))

    def scan(make: Any) -> Any:
        batched = partial(jax.vmap, in_axes=-1, out_axes=-1)

        @jax.jit
        def run(params: Any, rates: Any, args: Any) -> Any:
            state = batched(lambda p, r: make(r).init(p))(params, rates)

            def body(carry: Any, _: None) -> Any:
                params, state = carry
                one = batched(lambda p, s, r: step(make, p, s, r, args))
                new, state, row = one(params, state, rates)
                return (new, state), row

            return lax.scan(body, (params, state), length=STEPS)[1]

        return run

    runs = {name: scan(make) for name, make in OPTIMIZERS.items()}
    return lambda: {
        name: jax.device_get(run(params, rates, PROBLEM.args))
        for name, run in runs.items()
    }


def in_python(name: str, count: int) -> Callable[[], Any]:
    """A jitted step called from a loop, for a few of the runs."""
    make = OPTIMIZERS[name]
    jitted = jax.jit(partial(step, make))

    def run() -> Any:
        rows = []
        for index in range(count):
            rate = RATES[index * len(RATES) // count]
            params = PROBLEM.start(1)
            state = make(rate).init(params)
            for _ in range(STEPS):
                params, state, row = jitted(params, state, rate, PROBLEM.args)
                rows.append(row)
            jax.block_until_ready(rows)
        return rows

    return run


def ours() -> Any:
    """Tune on the same lanes; the one evaluation seed is the price of fairness."""
    return compare(
        PROBLEM,
        OPTIMIZERS,
        rates=RATES,
        tuning_seeds=SEEDS,
        seeds=[0],
        max_steps=STEPS,
        tol=0.0,
    )


if __name__ == "__main__":
    runs_in_python = 1
    ways = {"compare": ours, "scans": by_hand()}
    slow = {name: in_python(name, runs_in_python) for name in OPTIMIZERS}
    seconds, answers = interleaved({**ways, **slow}, repeats=7)
    for name in OPTIMIZERS:
        (tuned,) = answers["compare"].select(optimizer=name, phase="tuning")
        values, grad_norms, _ = answers["scans"][name]
        np.testing.assert_allclose(tuned.value[:10], values[:10], rtol=1e-6)
        # At rates near divergence rounding is amplified, run by run; not so where the
        # runs settle.
        settled = grad_norms[-1] < 1e-6
        np.testing.assert_allclose(
            tuned.final_value[settled], values[-1, settled], rtol=1e-6
        )
    runs = len(RATES) * len(SEEDS) / runs_in_python
    loops = [runs * sum(t) for t in zip(*(seconds[n] for n in slow), strict=True)]
    seconds["loop"] = loops
    grid = f"{len(OPTIMIZERS)} × {len(RATES)} × {len(SEEDS)} × {STEPS:,}"
    report(f"grid {grid}, compare / scans", seconds, "compare", "scans", 1.3)
    report(f"grid {grid}, compare / Python loop", seconds, "compare", "loop", 1 / 20)
