"""Which optimizer is best over many problems, and how sure can one be of it?"""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments.finding import Finding
from experiments.running import compared
from jaxcalc import cubic, losses, newton, newton_cg, problems, trust_region
from jaxcalc.comparison import log_uniform, search, uniform
from jaxcalc.comparison.adaptors import scipy
from jaxcalc.problems import Problem
from jaxcalc.reports import page, pictures, profiles

RATE = log_uniform(1e-4, 10.0)


def decaying(
    learning_rate: Any, final: Any, steps: int
) -> optax.GradientTransformation:
    """Adam whose rate falls along half a cosine to a share of the first one."""
    schedule = optax.cosine_decay_schedule(learning_rate, steps, final)
    return optax.adam(schedule)


def optimizers(max_steps: int) -> dict[str, Any]:
    """First-order methods of optax, ours, and quasi-Newton ones of optax and SciPy."""
    momentum = uniform(0.5, 0.99)
    nesterov = partial(optax.sgd, nesterov=True)
    return {
        "gradient descent": search(optax.sgd, learning_rate=RATE),
        "momentum": search(optax.sgd, learning_rate=RATE, momentum=momentum),
        "nesterov": search(nesterov, learning_rate=RATE, momentum=momentum),
        "adagrad": search(optax.adagrad, learning_rate=RATE),
        "rmsprop": search(optax.rmsprop, learning_rate=RATE),
        "adam": search(optax.adam, learning_rate=RATE),
        "adam, cosine": search(
            partial(decaying, steps=max_steps),
            learning_rate=RATE,
            final=log_uniform(1e-3, 1.0),
        ),
        "nadam": search(optax.nadam, learning_rate=RATE),
        "lion": search(optax.lion, learning_rate=RATE),
        "lbfgs": optax.lbfgs(),
        "SciPy BFGS": scipy("BFGS"),
        "newton": newton(),
        "newton CG": newton_cg(),
        "trust region": trust_region(),
        "cubic": cubic(),
    }


def network_loss(
    params: Any, X: jax.Array, y: jax.Array, ridge: jax.Array
) -> jax.Array:
    """Logistic loss of a tanh network with one output, with a ridge penalty."""
    logits = losses.mlp(params, X)[:, 0]
    weights = [layer["w"] for layer in params]
    return losses.logistic_loss(logits, y) + losses.ridge_penalty(weights, ridge)


def network_accuracy(params: Any, X: jax.Array, y: jax.Array, *_: Any) -> jax.Array:
    """Share of labels that the network's sign gets right."""
    return jnp.mean(losses.mlp(params, X)[:, 0] * y > 0, dtype=X.dtype)


def tumour_network() -> Problem:
    """A network 30-4-1 on breast cancer, a quarter of which is held out."""
    data = problems.breast_cancer(ridge=1e-3, validation=0.25)
    return Problem(
        name="tumour_network",
        loss=network_loss,
        init=partial(losses.init_mlp, sizes=(30, 4, 1)),
        args=data.args,
        metrics={"accuracy": network_accuracy},
        validation=data.validation,
        title="Network 30-4-1 on breast cancer",
        source=data.source,
    )


def chosen_problems() -> list[Problem]:
    """Analytic, published test functions, fits, and real data: 21 of them."""
    published = [7, 8, 11, 14, 15, 18, 23, 25, 26, 30, 35]
    return [
        problems.quadratic(),
        problems.rosenbrock(),
        problems.rosenbrock(10),
        problems.beale(),
        problems.himmelblau(),
        *(problems.more_garbow_hillstrom(number) for number in published),
        problems.exponential_decay(),
        problems.diabetes(validation=0.25),
        problems.breast_cancer(validation=0.25),
        problems.breast_cancer(validation=0.25).in_batches(64),
        tumour_network(),
    ]


TINY = {"max_steps": 4, "seeds": 1, "trials": 2, "most_problems": 2}


def main(
    out: Path = Path("results/optimizer_study"),
    *,
    max_steps: int = 500,
    seeds: int = 5,
    trials: int = 10,
    most_problems: int = 100,
) -> Finding:
    """Compare fifteen optimizers on 21 problems, under one protocol.

    Args:
        out: Where to write.
        max_steps: Steps after which a run ends.
        seeds: How many starts to evaluate on, and as many to tune on.
        trials: Settings that every tunable optimizer tries, on each problem.
        most_problems: How many problems to take at most, from the first on.

    Returns:
        The performance profile over all problems.
    """
    chosen = chosen_problems()[:most_problems]
    comparison = compared(
        chosen,
        optimizers(max_steps),
        out=out,
        max_steps=max_steps,
        seeds=seeds,
        trials=trials,
    )
    comparison.save(out)
    report = page.write(
        comparison,
        out,
        title="Fifteen optimizers on 21 problems",
        problems=chosen,
        intro="Analytic functions, published test functions, fits of curves, and "
        "regressions and a network on real data. Every optimizer with something to "
        "tune had as many trials on each problem; what is shown are runs from starts "
        "that tuning has not seen.",
    )
    figure = profiles.performance_profile(comparison)
    pictures.save(figure, out / "profile")
    said = profiles.performance_caption(comparison)
    short = [s for s in said if s.startswith(("Cheapest", "Solved most"))]
    return Finding(
        sentence=" ".join(short) or said[0],
        picture=out / "profile.png",
        page=report,
    )
