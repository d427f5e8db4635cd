"""Which optimizer fits handwritten digits best, and how much does its rate matter?"""

from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import optax

from experiments.finding import Finding
from experiments.running import compared
from jaxcalc import problems
from jaxcalc.comparison import Comparison
from jaxcalc.optimizers import newton
from jaxcalc.problems import Problem
from jaxcalc.reports import page, tables

FIRST_ORDER = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "nesterov": partial(optax.sgd, momentum=0.9, nesterov=True),
    "rmsprop": optax.rmsprop,
    "adam": optax.adam,
    "adamw": optax.adamw,
    "lion": optax.lion,
}
TINY = {"max_steps": 3, "seeds": 1, "rates": 2}


def main(
    out: Path = Path("results/optimizers_on_digits"),
    *,
    max_steps: int = 100,
    seeds: int = 8,
    rates: int = 12,
) -> Finding:
    """Compare nine optimizers on softmax regression and on a small network.

    Both are fitted in 32-bit floats, as networks are. A dense Hessian is affordable
    for the 650 parameters of the regression, not for the 2,410 of the network.

    Args:
        out: Where to write.
        max_steps: Steps after which a run ends.
        seeds: How many starts to evaluate on, and as many to tune on.
        rates: How many learning rates to try, between 1e-4 and 10.

    Returns:
        Learning-rate sensitivity on the network.
    """
    softmax = problems.digits_softmax().astype(jnp.float32)
    network = problems.digits_network().astype(jnp.float32)

    def run(problem: Problem, last: bool = True, **more: Any) -> Comparison:
        return compared(
            problem,
            {**FIRST_ORDER, "lbfgs": optax.lbfgs(), **more},
            out=out,
            last=last,
            rates=jnp.logspace(-4, 1, rates).tolist(),
            max_steps=max_steps,
            # The default of 32-bit floats, 3.5e-4, would end the race too early.
            tol=1e-6,
            seeds=seeds,
        )

    comparison = run(softmax, last=False, newton=newton()).joined(run(network))
    comparison.save(out)
    report = page.write(
        comparison,
        out,
        title="Optimizers on handwritten digits",
        problems=[softmax, network],
        intro="1,797 images of 8 × 8 pixels, ten classes, all of them in every step: "
        "softmax regression, which is convex, and a network with 32 hidden units, "
        "which is not.",
    )
    picture = out / "digits-network-rates.png"
    best = [
        min(tables.summary(comparison, problem.name), key=lambda row: row.gap)
        for problem in (softmax, network)
    ]
    return Finding(
        sentence=f"After at most {max_steps} steps {best[0].optimizer} was lowest on "
        f"softmax regression and {best[1].optimizer} on the network.",
        picture=picture,
        page=report,
    )
