"""What does curvature buy, and which way of using it is best where?"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.finding import Finding
from experiments.running import compared
from jaxcalc import minimize_many, problems
from jaxcalc.optimizers import (
    cubic,
    newton,
    newton_cg,
    trust_region,
    trust_region_cg,
)
from jaxcalc.problems import Problem
from jaxcalc.reports import page, palette, pictures, tables

OPTIMIZERS = {
    "gradient descent": optax.sgd,
    "lbfgs": optax.lbfgs(),
    "newton": newton(),
    "trust region": trust_region(),
    "cubic": cubic(),
    "trust region CG": trust_region_cg(),
    "newton CG": newton_cg(),
}
TINY = {"max_steps": 5, "seeds": 1, "side": 12}

# As many steps as plain Newton needs from all but a few starts.
_BASIN_STEPS = 200
# Starts this close to one of the nine critical points have found it.
_NEAR = 1e-3


def saddle_loss(x: jax.Array) -> jax.Array:
    """Two valleys and a saddle point between them, x² - y² + y⁴/4."""
    return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4


def saddle() -> Problem:
    """The two valleys, started on the ridge, where every gradient leads to the saddle.

    Returns:
        The problem; its minimum is -1, at (0, ±√2).
    """

    def init(key: jax.Array) -> jax.Array:
        return jnp.stack([jax.random.uniform(key, minval=0.5, maxval=2.0), 0.0])

    ends = (np.array([0.0, 2**0.5]), np.array([0.0, -(2**0.5)]))
    return Problem(
        name="saddle",
        loss=saddle_loss,
        init=init,
        minimum=-1.0,
        minimizers=ends,
        box=(np.array([-2.0, -2.5]), np.array([2.0, 2.5])),
        title="Saddle between two valleys",
    )


def main(
    out: Path = Path("results/second_order"),
    *,
    max_steps: int = 300,
    seeds: int = 3,
    side: int = 400,
) -> Finding:
    """Compare the family with gradient descent and L-BFGS, and draw basins.

    Args:
        out: Where to write.
        max_steps: Steps after which a run ends.
        seeds: How many starts to evaluate on, and as many to tune on.
        side: How many starts there are along each axis of the basins.

    Returns:
        The basins of attraction, and a report of the comparison.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = basins(out / "basins", side)
    chosen = [
        problems.rosenbrock(10),
        saddle(),
        problems.breast_cancer(ridge=1e-3),
        problems.digits_softmax(ridge=1e-3),
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
        title="Second-order optimizers",
        problems=chosen,
        intro="A curved valley in ten dimensions, a saddle started on its ridge, "
        "logistic regression on breast cancer (31 parameters), and softmax regression "
        "on digits (650). Dense methods factorize the Hessian; the others only "
        "multiply with it.",
    )
    rows = tables.summary(comparison, accuracy=1e-6)
    reached = {
        name: sum(row.reached for row in rows if row.optimizer == name)
        for name in OPTIMIZERS
    }
    runs = len(chosen) * seeds
    most = max(reached.values())
    best = [name for name, count in reached.items() if count == most]
    return Finding(
        sentence=f"From {side}² starts on Himmelblau's function "
        f"{found['newton, plain']:.0%} of plain Newton's runs end in a minimum, "
        f"{found['newton']:.0%} of those with safeguards, "
        f"{found['trust region']:.0%} of the trust region's and "
        f"{found['gradient descent']:.0%} of gradient descent's. Of {runs} runs on "
        f"four other problems {most} reached the lowest value by {_listed(best)}, "
        f"{reached['lbfgs']} by L-BFGS and {reached['gradient descent']} by gradient "
        "descent.",
        picture=out / "basins.png",
        page=report,
    )


def basins(stem: Path, side: int) -> dict[str, float]:
    """Draw where each start on a grid ends, for four methods on Himmelblau's function.

    Args:
        stem: Where to write, without a suffix.
        side: How many starts there are along each axis.

    Returns:
        The part of the starts that end in a minimum, by method.
    """
    line = jnp.linspace(-6.0, 6.0, side)
    starts = jnp.stack(jnp.meshgrid(line, line), -1).reshape(-1, 2)
    problem = problems.himmelblau()
    share = {}
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 7.3), layout="constrained")
        for ax, (name, optimizer) in zip(
            figure.subplots(2, 2, sharex=True, sharey=True).flat,
            _METHODS.items(),
            strict=True,
        ):
            solutions = minimize_many(
                problem.loss, starts, optimizer, max_steps=_BASIN_STEPS, tol=1e-6
            )
            ends = np.asarray(solutions.params)
            which = _nearest(ends)
            share[name] = float(np.mean(which < 4))
            steps = np.asarray(solutions.steps)
            _panel(ax, which.reshape(side, side), steps.reshape(side, side))
            ax.set_title(f"{name}: {share[name]:.1%} in a minimum")
        for ax in figure.axes[2:]:
            ax.set_xlabel("x")
        for ax in figure.axes[::2]:
            ax.set_ylabel("y")
        figure.legend(handles=_handles(), loc="outside lower center", ncols=4)
        pictures.save(figure, stem)
    return share


def plain_newton() -> optax.GradientTransformationExtraArgs:
    """Newton's method without any safeguard: it solves for a zero of the gradient."""

    def init(params: Any) -> optax.EmptyState:
        del params
        return optax.EmptyState()

    def update(
        updates: Any,
        state: Any,
        params: Any = None,
        *,
        value_fn: Callable[..., Any] | None = None,
        **extra_args: Any,
    ) -> tuple[Any, Any]:
        del extra_args
        if value_fn is None:
            raise ValueError("plain_newton needs `value_fn`")
        (a, b), (_, d) = jax.hessian(value_fn)(params)
        # Cramer's rule, so that a batch needs no factorization.
        g, h = updates
        det = a * d - b * b
        return jnp.stack([b * h - d * g, b * g - a * h]) / det, state

    return optax.GradientTransformationExtraArgs(init, update)


_METHODS = {
    "newton, plain": plain_newton(),
    "newton": newton(),
    "trust region": trust_region(),
    "gradient descent": optax.sgd(0.01),
}
# Minima, then saddle points, then the maximum; the first to machine precision from the
# literature, the others polished below.
_POINTS = np.array(
    [
        [3.0, 2.0],
        [-2.805118, 3.131313],
        [-3.779310, -3.283186],
        [3.584428, -1.848127],
        [3.385154, 0.073852],
        [0.086678, 2.884255],
        [-3.073026, -0.081353],
        [-0.127961, -1.953715],
        [-0.270845, -0.923039],
    ]
)
_COLORS = [palette.LOOKS[slot].light for slot in (0, 1, 2, 7)]
_SADDLE, _MAXIMUM, _NOWHERE = "#8f8f8f", "#000000", "#ffffff"


def _nearest(ends: np.ndarray) -> np.ndarray:
    """Which critical point each run ended at; 9 where at none."""
    distance = np.abs(ends[:, None] - _POINTS).max(-1)
    near = np.nan_to_num(distance, nan=np.inf)
    return np.where(near.min(1) < _NEAR, near.argmin(1), 9)


def _panel(ax: Axes, which: np.ndarray, steps: np.ndarray) -> None:
    palette.dress(ax, "light")
    ax.grid(visible=False)
    colors = [*_COLORS, *[_SADDLE] * 4, _MAXIMUM, _NOWHERE]
    image = np.array([to_rgb(c) for c in colors])[which]
    # The paler, the more steps, in equal factors from one to all.
    pale = 0.75 * np.log1p(steps) / np.log1p(_BASIN_STEPS)
    image = image + (1 - image) * np.where(which < 9, pale, 0)[..., None]
    ax.imshow(image, origin="lower", extent=(-6, 6, -6, 6), interpolation="none")
    for point in _POINTS[:4]:
        ax.plot(*point, "o", ms=4, mfc="white", mec="black", mew=0.8)
    for point in _POINTS[4:8]:
        ax.plot(*point, "x", ms=4, color="black", mew=0.9)
    ax.plot(*_POINTS[8], "^", ms=4, mfc="white", mec="black", mew=0.8)


def _handles() -> list[Line2D]:
    patch = partial(Line2D, [], [], ls="", marker="s", ms=7)
    spot = partial(Line2D, [], [], ls="", ms=5, mec="black", mfc="white")
    minima = [
        patch(color=color, label=f"ends at ({x:.2g}, {y:.2g})")
        for color, (x, y) in zip(_COLORS, _POINTS, strict=False)
    ]
    return [
        *minima,
        patch(color=_SADDLE, label="ends at a saddle"),
        patch(color=_MAXIMUM, label="ends at the maximum"),
        patch(mfc=_NOWHERE, mec="black", mew=0.5, label="ends nowhere"),
        spot(marker="o", label="minimum, the paler the more steps"),
    ]


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names) or "none"
    return ", ".join(names[:-1]) + " and " + names[-1]


if __name__ == "__main__":
    print(main().sentence)
