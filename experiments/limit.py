"""What happens to a secant when its two points meet?"""

from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc.derivatives import limit_table, secant_line, tangent_line
from jaxcalc.reports import palette, pictures

TINY = {"steps": (1.0, 0.5)}
_BLUE, _ORANGE, _GREEN, _BLACK, _SKY = (look.light for look in palette.LOOKS[:5])


def main(
    out: Path = Path("results/limit"),
    *,
    steps: tuple[float, ...] = (1.0, 0.5, 0.1, 0.01, 1e-4, 1e-6, 1e-8, 1e-10),
) -> Finding:
    """Secants of x² and 1/x turn into their tangents; the quotients as a table.

    Args:
        out: Where to write.
        steps: Steps of the table, largest first.

    Returns:
        Secants and tangents, with the slopes that the limit gives.
    """
    out.mkdir(parents=True, exist_ok=True)
    x, square, inverse = 0.7, 1.4, -1 / 0.49
    tables = {
        "x² at 0.7": limit_table(_square, x, steps, exact=square),
        "1/x at 0.7": limit_table(_inverse, x, steps, exact=inverse),
        "x² at 0.7, central": limit_table(_square, x, steps, "central", exact=square),
        "1/x at 0.7, central": limit_table(
            _inverse, x, steps[1:], "central", exact=inverse
        ),
    }
    parts = [
        f"## {name}: {table.limit:.12g}\n\n{table.to_markdown()}"
        for name, table in tables.items()
    ]
    (out / "table.md").write_text("\n\n".join(parts) + "\n")
    with palette.drawing("light"):
        pictures.save(_draw(), out / "limit")
    slopes = [tangent_line(_square, x).slope for x in (-1.0, 0.0, 2.0)]
    forward = tables["1/x at 0.7"]
    best = int(np.argmin(forward.error))
    return Finding(
        sentence="The secants of x² become tangents with the slopes "
        f"{slopes[0]:g}, {slopes[1]:g} and {slopes[2]:g} at −1, 0 and 2. The "
        f"forward quotient of 1/x at 0.7 comes closest to its limit at h = "
        f"{forward.h[best]:g}, off by {forward.error[best]:.0e}; below, rounding takes "
        "over.",
        picture=out / "limit.png",
    )


def _square(x: Array) -> Array:
    return x**2


def _inverse(x: Array) -> Array:
    return 1 / x


def _draw() -> Figure:
    figure = Figure(figsize=(palette.DOUBLE, 2.4), layout="constrained")
    square, inverse, tangents = figure.subplots(1, 3)
    _secants(square, _square, (-0.4, 2.2), (-1.0, 4.2), "Secants of x²")
    _secants(inverse, _inverse, (0.35, 2.7), (-0.2, 2.6), "Secants of 1/x")
    _tangents(tangents)
    for ax in (square, inverse, tangents):
        palette.dress(ax, "light")
        ax.set_xlabel("x")
    return figure


def _secants(
    ax: Axes,
    f: Callable[[Array], Array],
    ends: tuple[float, float],
    heights: tuple[float, float],
    title: str,
) -> None:
    t = np.linspace(*ends, 200)
    for h, shade in ((1.0, 0.35), (0.5, 0.6), (0.1, 0.9)):
        line = secant_line(f, 1.0, h)
        label = f"h = {h:g}, slope {line.slope:.3g}"
        ax.plot(t, line(t), color=_SKY, alpha=shade, lw=1.1, label=label)
        ax.plot(1 + h, float(f(jnp.asarray(1 + h))), "o", color=_SKY, ms=3, alpha=shade)
    tangent = tangent_line(f, 1.0)
    label = f"tangent, slope {tangent.slope:g}"
    ax.plot(t, tangent(t), color=_ORANGE, label=label)
    ax.plot(t, f(jnp.asarray(t)), color=_BLACK, lw=1.5)
    ax.plot(1, 1, "o", color=_ORANGE, ms=4)
    ax.set(xlim=ends, ylim=heights, title=title)
    low = title.endswith("x²")
    ax.legend(loc="upper left" if low else "upper right", fontsize=7)


def _tangents(ax: Axes) -> None:
    t = np.linspace(-2.4, 3.4, 200)
    ax.plot(t, t**2, color=_BLACK, lw=1.5)
    spots = ((-1.0, _GREEN, (-3.1, 0.9)), (0.0, _BLUE, (-2.3, -1.0)))
    for x, color, at in (*spots, (2.0, _ORANGE, (2.15, 2.6))):
        line = tangent_line(_square, x)
        near = np.linspace(x - 1.2, x + 1.2, 2)
        ax.plot(near, line(near), color=color)
        ax.plot(x, x * x, "o", color=color, ms=4)
        ax.text(*at, f"slope {line.slope:g}", color=color, fontsize=7.5)
    ax.set(xlim=(-3.3, 4.4), ylim=(-2, 9.5), title="Tangents of x²")


if __name__ == "__main__":
    print(main().sentence)
