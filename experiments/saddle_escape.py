"""How long does a saddle point hold an optimizer that starts almost on its ridge?"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc import minimize, newton, trust_region
from jaxcalc.reports import palette, pictures

TINY = {"max_steps": 30, "distances": 4, "dimension": 5}
RATE = 0.05


def valleys(x: jax.Array) -> jax.Array:
    """Two valleys of -1 with a saddle point of 0 between them, x² - y² + y⁴/4."""
    return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4


def many_valleys(x: jax.Array) -> jax.Array:
    """One direction that falls, -y² + y⁴/4, among others of curvature 0.02 to 20."""
    curvature = jnp.geomspace(0.02, 20.0, len(x) - 1, dtype=x.dtype)
    return 0.5 * curvature @ x[:-1] ** 2 - x[-1] ** 2 + x[-1] ** 4 / 4


def plain_newton() -> optax.GradientTransformationExtraArgs:
    """Newton's method without safeguards: its steps solve for a vanishing gradient."""

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
        gradient, unravel = ravel_pytree(updates)
        step = jnp.linalg.solve(jax.hessian(value_fn)(params), gradient)
        return unravel(-step), state

    return optax.GradientTransformationExtraArgs(init, update)


OPTIMIZERS = {
    "gradient descent": optax.sgd(RATE),
    "momentum": optax.sgd(RATE, momentum=0.9),
    "adam": optax.adam(RATE),
    "newton, plain": plain_newton(),
    "newton": newton(),
    "trust region": trust_region(),
}


def main(
    out: Path = Path("results/saddle_escape"),
    *,
    max_steps: int = 500,
    distances: int = 23,
    dimension: int = 50,
) -> Finding:
    """Steps that six optimizers take to leave two saddle points.

    A run has left when it has gained half of what there is to gain below the saddle.

    Args:
        out: Where to write.
        max_steps: Steps after which a run ends.
        distances: How many distances from the ridge to start at.
        dimension: Parameters of the second saddle.

    Returns:
        Steps against distance, with the line of theory for gradient descent.
    """
    out.mkdir(parents=True, exist_ok=True)
    far = np.geomspace(1e-14, 1e-1, distances)
    panels = {
        "x² − y² + y⁴/4": (valleys, 2),
        f"the same in {dimension} dimensions": (many_valleys, dimension),
    }
    rows, taken = [], {}
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 3.3), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (title, (loss, size)) in zip(axes, panels.items(), strict=True):
            for name, optimizer in OPTIMIZERS.items():
                steps = escape(loss, optimizer, far, size, max_steps)
                taken[title, name] = steps
                rows.append((title, name, *(_said(s) for s in _ends(steps))))
            _panel(ax, far, {n: taken[title, n] for n in OPTIMIZERS}, max_steps)
            ax.set_title(title)
        axes[0].set_ylabel("steps to leave")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        pictures.save(figure, out / "saddle_escape")
    head = "| saddle | optimizer | from 1e-14 | from 0.1 |\n|:--|:--|--:|--:|\n"
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    (out / "table.md").write_text(head + "\n".join(lines) + "\n")
    plane = next(iter(panels))
    first = {name: _said(taken[plane, name][0]) for name in OPTIMIZERS}
    return Finding(
        sentence="Started 1e-14 beside the ridge of the saddle in the plane, gradient "
        f"descent leaves after {first['gradient descent']} steps, momentum after "
        f"{first['momentum']}, Adam after {first['adam']}; Newton's method with "
        f"absolute curvature after {first['newton']} and the trust region after "
        f"{first['trust region']}. Plain Newton solves for a vanishing gradient and "
        f"{_held(taken[plane, 'newton, plain'])}.",
        picture=out / "saddle_escape.png",
    )


def escape(
    loss: Callable[[jax.Array], jax.Array],
    optimizer: optax.GradientTransformation,
    far: np.ndarray,
    size: int,
    max_steps: int,
) -> np.ndarray:
    """Steps until half of the depth below the saddle is gained.

    Args:
        loss: A loss with a saddle of value 0 at the origin and minima of -1.
        optimizer: Any optax optimizer.
        far: Distances from the ridge.
        size: How many parameters there are; the last one leads away.
        max_steps: Steps after which a run ends.

    Returns:
        Steps from each distance, infinite where the run stays.
    """
    starts = jnp.ones((len(far), size)).at[:, -1].set(far)
    run = partial(minimize, loss, optimizer=optimizer, max_steps=max_steps, tol=0.0)
    values = np.asarray(jax.jit(jax.vmap(lambda x: run(x).trace.value))(starts))
    left = values < -0.5
    return np.where(left.any(1), left.argmax(1), np.inf)


def _panel(
    ax: Axes, far: np.ndarray, taken: dict[str, np.ndarray], max_steps: int
) -> None:
    palette.dress(ax, "light")
    never = 2 * max_steps
    looks = palette.looks(taken)
    for name, steps in taken.items():
        look = looks[name]
        shown = np.where(np.isfinite(steps), np.maximum(steps, 1), never)
        ax.loglog(
            far,
            shown,
            color=look.light,
            ls=look.dash,
            marker=look.marker,
            ms=3,
            lw=1.2,
            label=name,
        )
    # y grows by 1 + 2 · rate a step, up to where half of the depth is gained.
    half = np.sqrt(2 - np.sqrt(2))
    theory = np.log(half / far) / np.log1p(2 * RATE)
    ax.loglog(far, theory, color="black", lw=0.7, label="log(y/d) / log(1 + 2η)")
    ax.axhline(never, color=palette.THEMES["light"].muted, lw=0.6)
    ax.text(far[0], never * 1.08, "never left", fontsize="small")
    ax.set(xlabel="distance d from the ridge", ylim=(1, 4 * max_steps))


def _ends(steps: np.ndarray) -> tuple[float, float]:
    return float(steps[0]), float(steps[-1])


def _held(steps: np.ndarray) -> str:
    held = int(np.isinf(steps).sum())
    return f"stays at the saddle from {held} of {len(steps)} distances"


def _said(steps: float) -> str:
    return f"{steps:.0f}" if np.isfinite(steps) else "never"


if __name__ == "__main__":
    print(main().sentence)
