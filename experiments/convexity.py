"""Which losses are convex, and what lies between two minima of a network?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc import convexity, minimize, trust_region
from jaxcalc.losses import init_mlp, mlp
from jaxcalc.reports import palette, pictures

TINY = {"max_steps": 5, "points": 12}


def squared(w: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean squared error of a line."""
    return jnp.mean((w[0] + w[1] * x - y) ** 2)


def logistic(w: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean logistic loss of a line, with labels sign(y)."""
    return jnp.mean(jnp.log1p(jnp.exp(-jnp.sign(y) * (w[0] + w[1] * x))))


def unit(w: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean squared error of one hidden unit, b tanh(a x)."""
    return jnp.mean((w[1] * jnp.tanh(w[0] * x) - y) ** 2)


def network(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean squared error of a network of four hidden units, with a small penalty."""
    flat, _ = ravel_pytree(params)
    outputs = mlp(params, x[:, None])[:, 0]
    return jnp.mean((outputs - y) ** 2) + 1e-4 * flat @ flat


def main(
    out: Path = Path("results/convexity"), *, max_steps: int = 500, points: int = 201
) -> Finding:
    """Ask four losses whether they are convex, and look along lines.

    Args:
        out: Where to write.
        max_steps: Steps of each training.
        points: Points of each line.

    Returns:
        Losses along lines, with their chords.
    """
    out.mkdir(parents=True, exist_ok=True)
    key = jax.random.key(0)
    x = jnp.linspace(-2.0, 2.0, 24)
    y = jnp.sin(2 * x) + 0.1 * jax.random.normal(key, x.shape)
    rows = []
    for name, loss in _ASKED.items():
        found = convexity(loss, [-1.0, -1.0], [1.0, 1.0], x, y)
        said = str(found).splitlines()[0].removeprefix("convex: ")
        rows.append((name, said))
    ends, values = train(x, y, max_steps)
    t = np.linspace(-0.4, 1.4, points)
    convex_ends = (jnp.array([-2.0, 2.5]), jnp.array([2.5, -1.0]))
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 3.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        for slot, (name, loss) in enumerate(list(_ASKED.items())[:2]):
            curve = along(loss, convex_ends, t, x, y)
            _line(left, t, curve / np.interp(0.0, t, curve), slot, name)
        left.set(title="Convex: below every chord", ylabel="loss, first point = 1")
        curve = along(network, ends, t, x, y)
        _line(right, t, curve, 3, "network of four units")
        right.set(title="A line through two minima of a network", ylabel="loss")
        for ax in (left, right):
            palette.dress(ax, "light")
            ax.set(xlabel="position between the two points")
            ax.legend(frameon=False, loc="upper center", fontsize="small")
            ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
        pictures.save(figure, out / "convexity")
    head = "| loss | convex on [-1, 1]² |\n|:--|:--|\n"
    lines = [f"| {name} | {said} |" for name, said in rows]
    (out / "table.md").write_text(head + "\n".join(lines) + "\n")
    inside = curve[(t >= 0) & (t <= 1)]
    return Finding(
        sentence="Convex on [-1, 1]²? "
        + "; ".join(f"{name}: {said}" for name, said in rows)
        + f". Between two minima of a network, of loss {values[0]:.3f} and "
        f"{values[1]:.3f}, the loss rises to {inside.max():.2f}.",
        picture=out / "convexity.png",
    )


_ASKED: dict[str, Callable[..., jax.Array]] = {
    "squared error of a line": squared,
    "logistic loss of a line": logistic,
    "squared error of one hidden unit": unit,
}


def train(x: jax.Array, y: jax.Array, max_steps: int) -> tuple[tuple, list[float]]:
    """Train the network from two starts.

    Args:
        x: Inputs.
        y: Targets.
        max_steps: Steps of each training.

    Returns:
        Both ends, and the losses there.
    """
    ends, values = [], []
    for seed in (1, 2):
        start = init_mlp(jax.random.key(seed), (1, 4, 1))
        fit = minimize(network, start, trust_region(), args=(x, y), max_steps=max_steps)
        ends.append(fit.params)
        values.append(float(fit.value))
    return tuple(ends), values


def along(
    loss: Callable[..., jax.Array], ends: Any, t: np.ndarray, *args: Any
) -> np.ndarray:
    """A loss on the line through two points.

    Args:
        loss: `loss(params, *args)`.
        ends: The two points.
        t: Positions: 0 is the first point, 1 the second.
        *args: Data of the loss.

    Returns:
        The losses.
    """

    def at(s: jax.Array) -> jax.Array:
        return loss(jax.tree.map(lambda a, b: a + s * (b - a), *ends), *args)

    return np.asarray(jax.jit(jax.vmap(at))(jnp.asarray(t)))


def _line(ax: Axes, t: np.ndarray, curve: np.ndarray, slot: int, name: str) -> None:
    color = palette.LOOKS[slot].light
    ends = np.interp([0.0, 1.0], t, curve)
    ax.plot(t, curve, color=color, lw=1.4, label=name)
    ax.plot([0, 1], ends, "o--", color=color, ms=4, lw=0.8, label="its chord")


if __name__ == "__main__":
    print(main().sentence)
