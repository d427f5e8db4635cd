"""Where do activations saturate, and what is left of their slope there?"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from experiments.finding import Finding
from jaxcalc.functions import Activation, activations
from jaxcalc.reports import palette, pictures

TINY = {"points": 41}

# Near enough to one of the others that a panel would show nothing new.
_NOT_DRAWN = {"gelu_tanh", "hard_silu", "relu6"}
_REACH = 12.0


class Shape(NamedTuple):
    """What the table says of an activation."""

    left: float  # saturated below it; NaN where it never is
    right: float  # saturated above it
    steepest: float
    sharpest: float
    at_20: float  # slope at 20 in float32


def main(
    out: Path = Path("results/activations"),
    *,
    slope: float = 1e-2,
    points: int = 4001,
) -> Finding:
    """Each activation with two derivatives, and where its slope is next to nothing.

    Args:
        out: Where to write.
        slope: A unit counts as saturated where its slope is smaller.
        points: How finely the curves are drawn.

    Returns:
        One picture of all of them.
    """
    out.mkdir(parents=True, exist_ok=True)
    known = activations()
    x = np.linspace(-_REACH, _REACH, points)
    curves = {n: np.asarray(_three(one.function)(x)) for n, one in known.items()}
    shapes = {n: _shape(known[n], x, c, slope) for n, c in curves.items()}
    (out / "table.md").write_text(_table(known, shapes, slope) + "\n")
    drawn = [name for name in known if name not in _NOT_DRAWN]
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 5.2), layout="constrained")
        axes = figure.subplots(3, 4, sharex=True, sharey=True).ravel()
        for ax, name in zip(axes, drawn, strict=True):
            _draw(ax, name, x, curves[name], shapes[name])
        handles, labels = axes[0].get_legend_handles_labels()
        labels[0] = f"saturated: |f′| < {slope:g}"
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4)
        pictures.save(figure, out / "activations")
    both = [n for n, s in shapes.items() if np.isfinite(s.left) & np.isfinite(s.right)]
    usual = float(jax.grad(jax.nn.sigmoid)(jnp.float32(20.0)))
    return Finding(
        sentence=f"{len(both)} of {len(known)} activations saturate on both sides "
        f"({', '.join(both)}): a sigmoid from |x| = {shapes['sigmoid'].right:.1f} on, "
        f"where its slope, {shapes['sigmoid'].steepest:g} at best, falls below "
        f"{slope:g}. At x = 20 it is {shapes['sigmoid'].at_20:.1e}; the derivative of "
        f"the usual form in float32 says {usual:g}.",
        picture=out / "activations.png",
    )


def _three(f):
    first = jax.grad(f)
    second = jax.grad(first)
    return jax.jit(lambda x: jnp.stack([jax.vmap(g)(x) for g in (f, first, second)]))


def _shape(one: Activation, x: np.ndarray, curve: np.ndarray, slope: float) -> Shape:
    flat = np.abs(curve[1]) < slope
    left = x[np.argmin(flat) - 1] if flat[0] else np.nan
    right = x[len(x) - np.argmin(flat[::-1])] if flat[-1] else np.nan
    at_20 = float(jax.grad(one.function)(jnp.float32(20.0)))
    return Shape(left, right, np.max(curve[1]), np.max(np.abs(curve[2])), at_20)


def _draw(ax: Axes, name: str, x: np.ndarray, curve: np.ndarray, shape: Shape) -> None:
    muted = palette.THEMES["light"].grid
    label = "saturated"
    for ends in ((-_REACH, shape.left), (shape.right, _REACH)):
        if np.all(np.isfinite(ends)):
            ax.axvspan(*ends, color=muted, lw=0, label=label)
            label = None
    for order, label in ((2, "f″"), (1, "f′"), (0, "f")):
        look = palette.LOOKS[(3, 1, 2)[order]]
        ax.plot(
            x,
            curve[order],
            color=look.light,
            lw=(1.5, 1.3, 0.9)[order],
            ls=look.dash,
            label=label,
        )
    palette.dress(ax, "light")
    ax.set(title=name.replace("_", " "), xlim=(-7, 7), ylim=(-1.9, 2.3))
    ax.xaxis.set_major_locator(MultipleLocator(4))
    ax.yaxis.set_major_locator(MultipleLocator(1))


def _table(known: dict[str, Activation], shapes: dict[str, Shape], slope: float) -> str:
    lines = [
        f"| activation | from | to | slope < {slope:g} below | and above | "
        "largest slope | largest curvature | slope at 20, float32 |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, shape in shapes.items():
        ends = (known[name].left, known[name].right)
        cells = [_number(v) for v in (*ends, *shape)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    if np.isnan(value):
        return "never"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.3g}".replace("-", "−")


if __name__ == "__main__":
    print(main().sentence)
