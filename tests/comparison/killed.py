"""A comparison long enough to be killed: `python killed.py store out`."""

import signal
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from jaxcalc.comparison import compare, parts, runner
from jaxcalc.problems import Problem

# Ctrl-C as in a terminal; a shell's background jobs are deaf to it.
signal.signal(signal.SIGINT, signal.default_int_handler)

jax.config.update("jax_enable_x64", True)
# Checkpoints come thick and fast, so that little time goes by until there is one.
parts._CHECKPOINT_SECONDS = 0.05
runner._CHUNK_SECONDS = 0.02

SEARCH = optax.scale_by_zoom_linesearch(4)


def waves(x):
    """Steep, and not cheap: it keeps an optimizer busy for as long as it is asked."""
    mixed = jnp.cos(jnp.outer(x, jnp.arange(300.0))) @ jnp.ones(300) / 300
    return jnp.sum(jnp.sin(30 * mixed) ** 2 + x**2) / 2


def start(key):
    """A normal start."""
    return jax.random.normal(key, (20,))


if __name__ == "__main__":
    store, out = map(Path, sys.argv[1:])
    print("ready", flush=True)
    comparison = compare(
        Problem(name="waves", loss=waves, init=start),
        {"adam": optax.adam, "lbfgs": optax.lbfgs(memory_size=4, linesearch=SEARCH)},
        rates=[0.001, 0.01, 0.1],
        seeds=2,
        max_steps=1500,
        tol=0.0,
        store=store,
    )
    comparison.save(out)
    print("done", flush=True)
