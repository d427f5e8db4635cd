"""What do optimizers do in valleys, on plateaus, and among several minima?"""

from functools import partial
from pathlib import Path

import optax

from experiments.finding import Finding
from experiments.running import compared
from jaxcalc import problems
from jaxcalc.minimization import minimize
from jaxcalc.optimizers import newton
from jaxcalc.reports import page, tables

OPTIMIZERS = {
    "gradient descent": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "adam": optax.adam,
    "lbfgs": optax.lbfgs(),
    "newton": newton(),
}
TINY = {"max_steps": 10, "seeds": 1}


def fifth_point() -> float:
    """Where gradient descent on x² stands, from 5 at rate 0.1, after five steps.

    Each step multiplies x by 1 - 2·0.1, so it stands at 5·0.8⁵ = 1.6384.
    """
    solution = minimize(lambda x: x**2, 5.0, optax.sgd(0.1), max_steps=5)
    return float(solution.params)


def main(
    out: Path = Path("results/test_functions"),
    *,
    max_steps: int = 2000,
    seeds: int = 8,
) -> Finding:
    """Run five optimizers on Rosenbrock, Beale, Himmelblau and Powell.

    Args:
        out: Where to write.
        max_steps: Steps after which a run ends.
        seeds: How many starts to evaluate on, and as many to tune on.

    Returns:
        The paths on Rosenbrock's valley.
    """
    chosen = [
        problems.rosenbrock(),
        problems.beale(),
        problems.himmelblau(),
        problems.powell_singular(),
    ]
    comparison = compared(
        chosen,
        OPTIMIZERS,
        max_steps=max_steps,
        seeds=seeds,
        out=out,
    )
    comparison.save(out)
    report = page.write(
        comparison,
        out,
        title="Optimizers on test functions",
        problems=chosen,
        intro="Rosenbrock's curved valley, Beale's flat corners, Himmelblau's four "
        "minima, and Powell's function, whose Hessian is singular at the minimum.",
    )
    picture = out / "rosenbrock-paths.png"
    rows = tables.summary(comparison, accuracy=1e-6)
    solved = [row for row in rows if row.reached == row.runs]
    by_newton = sum(row.optimizer == "newton" for row in solved)
    by_descent = sum(row.optimizer == "gradient descent" for row in solved)
    return Finding(
        sentence=f"Newton's method solved {by_newton} of {len(chosen)} functions from "
        f"every start, gradient descent {by_descent}. On x² from 5 at rate 0.1, "
        f"gradient descent stands at {fifth_point():.4f} after five steps.",
        picture=picture,
        page=report,
    )
