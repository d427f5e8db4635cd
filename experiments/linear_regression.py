"""How many steps does a line through five points take?"""

from pathlib import Path

import jax.numpy as jnp
import optax

from experiments.finding import Finding
from experiments.running import compared
from jaxcalc import problems
from jaxcalc.optimizers import newton
from jaxcalc.reports import page, tables

TINY = {"max_steps": 20, "seeds": 2}


def main(
    out: Path = Path("results/linear_regression"),
    *,
    rates: tuple[float, ...] = (0.01, 0.03, 0.08),
    max_steps: int = 2000,
    seeds: int = 8,
) -> Finding:
    """Gradient descent at several learning rates beside Newton's method.

    Args:
        out: Where to write.
        rates: Learning rates of gradient descent; above 0.09 it diverges here.
        max_steps: Steps after which a run ends.
        seeds: How many starts.

    Returns:
        The paths on the contours of the loss.
    """
    problem = problems.five_points()
    optimizers = {f"gradient descent {rate}": optax.sgd(rate) for rate in rates}
    optimizers["Newton"] = newton()
    comparison = compared(
        problem, optimizers, max_steps=max_steps, seeds=seeds, out=out
    )
    comparison.save(out)
    report = page.write(
        comparison,
        out,
        title="A line through five points",
        problems=[problem],
        intro="Mean squared error is a quadratic in slope and intercept. Gradient "
        "descent creeps along its valley at the pace of the flattest direction; "
        "Newton's method sees the curvature and goes to the bottom in one step.",
    )
    picture = out / "five-points-paths.png"
    (newton_runs,) = comparison.select(optimizer="Newton")
    slope, intercept = newton_runs.params[0][::-1]
    steps = {
        row.optimizer: row.steps for row in tables.summary(comparison, accuracy=1e-6)
    }
    fastest = min(steps[name] for name in optimizers if name != "Newton")
    if not jnp.isfinite(fastest):
        fastest_said = f"did not get there in {max_steps}"
    else:
        fastest_said = f"needed {fastest:.0f} at its best rate"
    return Finding(
        sentence=f"The line is y = {slope:.4g}x + {intercept:.4g}. Newton's method "
        f"found it in {steps['Newton']:.0f} step; gradient descent {fastest_said}.",
        picture=picture,
        page=report,
    )
