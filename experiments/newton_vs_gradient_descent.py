"""How many steps does the Hessian save on a real logistic regression?"""

from functools import partial
from pathlib import Path

import numpy as np
import optax

from experiments.finding import Finding
from experiments.running import compared
from jaxcalc import problems
from jaxcalc.optimizers import newton
from jaxcalc.reports import page, tables

OPTIMIZERS = {
    "gradient descent": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "adam": optax.adam,
    "lbfgs": optax.lbfgs(),
    "newton": newton(),
}
TINY = {"max_steps": 10, "seeds": 2}


def main(
    out: Path = Path("results/newton_vs_gradient_descent"),
    *,
    ridge: float = 1e-2,
    max_steps: int = 500,
    seeds: int = 8,
) -> Finding:
    """Compare first- and second-order optimizers on breast cancer.

    Args:
        out: Where to write.
        ridge: Weight of the penalty on the squared weights.
        max_steps: Steps after which a run ends.
        seeds: How many starts to evaluate on, and as many to tune on.

    Returns:
        Convergence against steps, work and seconds.
    """
    problem = problems.breast_cancer(ridge=ridge)
    comparison = compared(
        problem,
        OPTIMIZERS,
        max_steps=max_steps,
        seeds=seeds,
        out=out,
    )
    comparison.save(out)
    report = page.write(
        comparison,
        out,
        title="Newton's method against gradient descent",
        problems=[problem],
        intro="Ridge logistic regression on 569 tumours with 30 features each. Every "
        "optimizer that has a learning rate tried twelve of them on seeds of their "
        "own; what is shown are other seeds.",
    )
    picture = out / "breast-cancer-convergence.png"
    rows = {row.optimizer: row for row in tables.summary(comparison, accuracy=1e-6)}
    newton_row, descent = rows["newton"], rows["gradient descent"]
    if not np.isfinite(descent.steps):
        said = f"gradient descent did not get there in {max_steps}"
    else:
        said = (
            f"gradient descent at its best rate {descent.steps:.0f}; counted in "
            f"gradients that is {newton_row.work:.0f} against {descent.work:.0f}"
        )
    return Finding(
        sentence=f"To a millionth of the starting gap Newton's method needed "
        f"{newton_row.steps:.0f} steps, {said}.",
        picture=picture,
        page=report,
    )
