"""A share of a comparison: `python shares.py store out index count`, or all of it."""

import sys

import jax
import jax.numpy as jnp
import optax

from jaxcalc.comparison import compare, parts, runner
from jaxcalc.problems import Problem

jax.config.update("jax_enable_x64", True)
# Checkpoints come thick and fast, so that little time goes by until there is one.
parts._CHECKPOINT_SECONDS = 0.05
runner._CHUNK_SECONDS = 0.02


def waves(x, pitch):
    """Steep, and not cheap: it keeps an optimizer busy for as long as it is asked."""
    mixed = jnp.cos(jnp.outer(x, jnp.arange(200.0))) @ jnp.ones(200) / 200
    return jnp.sum(jnp.sin(pitch * mixed) ** 2 + x**2) / 2


def start(key):
    """A normal start."""
    return jax.random.normal(key, (10,))


if __name__ == "__main__":
    store, out, *share = sys.argv[1:]
    problems = [
        Problem(name=f"waves {p}", loss=waves, init=start, args=(jnp.asarray(p),))
        for p in (10.0, 30.0)
    ]
    comparison = compare(
        problems,
        {"sgd": optax.sgd, "adam": optax.adam},
        rates=[0.001, 0.01, 0.1],
        seeds=2,
        max_steps=800,
        tol=0.0,
        store=store,
        share=tuple(map(int, share)) or None,
    )
    if not share:
        comparison.save(out)
    points = sum(int(run.steps.sum()) for run in comparison.runs)
    print(len(comparison.runs), points, flush=True)
