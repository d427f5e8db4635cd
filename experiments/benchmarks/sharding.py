"""What 1, 2, 4 and 8 virtual devices make of the same work on this machine's cores.

Virtual devices are threads: more of them than cores can't make anything faster, and the
cores of one machine share its memory. What is measured here is what spreading costs,
and that it uses the cores there are; not how it scales over machines. Every operation
is held to one thread: left alone, XLA spreads large ones over all cores, and then a
single device uses what there is.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import minimize, problems, sharding

DEVICES = (1, 2, 4, 8)
# So much longer than on one device, divided by the cores at hand, it may take.
ALLOWED = 1.5


def network_loss(params: Any, x: Any, y: Any) -> Any:
    """Mean squares of a network with one hidden layer."""
    hidden = jnp.tanh(x @ params["w"])
    return jnp.mean((hidden @ params["v"] - y) ** 2)


def data_parallel(count: int) -> Callable[[], Any]:
    """Adam on 65,536 rows that are spread over devices."""
    rng = np.random.default_rng(0)
    mesh = sharding.mesh(devices=jax.devices()[:count])
    rows = rng.normal(size=(65_536, 32)), rng.normal(size=(65_536, 4))
    start = {"w": rng.normal(size=(32, 64)) / 6, "v": rng.normal(size=(64, 4)) / 8}
    args = sharding.shard_rows(rows, mesh)
    params = sharding.replicate(start, mesh)
    adam = optax.adam(0.01)

    def run() -> Any:
        return minimize(network_loss, params, adam, args=args, max_steps=10).params

    return run


def descend(lanes: Any, rates: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """Gradient descent of all lanes, each to its own end."""
    loss = problems.breast_cancer(ridge=1e-2).loss
    grad = jax.vmap(jax.grad(loss), in_axes=(-1, None, None, None), out_axes=-1)

    def step(carry: Any) -> Any:
        params, going, row = carry
        slope = grad(params, X, y, 1e-2)
        norms = jax.tree.map(
            lambda g: jnp.max(jnp.abs(g.reshape(-1, g.shape[-1])), 0), slope
        )
        far = jnp.max(jnp.stack(jax.tree.leaves(norms)), 0) > 1e-3
        moved = jax.tree.map(lambda p, g: p - rates * far * g, params, slope)
        return moved, going & far, row + 1

    def goes_on(carry: Any) -> Any:
        return jnp.any(carry[1]) & (carry[2] < 300)

    first = (lanes, jnp.full(rates.shape, True), jnp.asarray(0))
    params, going, _ = lax.while_loop(goes_on, step, first)
    return params, going


def batch_of_lanes(count: int) -> Callable[[], Any]:
    """128 lanes of logistic regression that are spread over devices."""
    problem = problems.breast_cancer(ridge=1e-2)
    mesh = sharding.mesh("lanes", devices=jax.devices()[:count])
    starts = [problem.start(seed) for seed in range(128)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves, -1), *starts)
    given = sharding.shard_lanes((params, jnp.geomspace(0.01, 1, 128)), mesh)
    args = sharding.replicate(problem.args[:2], mesh)
    program = jax.jit(sharding.sharded_lanes(descend, mesh))
    return lambda: program(*given, *args)[0]


def scale(what: str, make: Callable[[int], Callable[[], Any]]) -> None:
    """Print the ratios to one device, and how far the answers are apart."""
    ways = {str(count): make(count) for count in DEVICES}
    seconds, answers = interleaved(ways, repeats=9)
    cores = os.cpu_count() or 1
    for count in DEVICES[1:]:
        limit = ALLOWED / min(count, cores)
        report(f"{what}, {count} devices / 1", seconds, str(count), "1", limit)
    alone = jax.tree.leaves(answers["1"])
    for name, answer in answers.items():
        pairs = zip(jax.tree.leaves(answer), alone, strict=True)
        off = max(
            float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs
        )
        print(f"  {name} devices: at most {off:.1e} from what one finds", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", max(DEVICES))
    jax.config.update("jax_enable_x64", True)
    print(f"{os.cpu_count()} cores, {jax.device_count()} virtual devices")
    scale("minimize with data in parallel", data_parallel)
    scale("a batch of lanes", batch_of_lanes)
