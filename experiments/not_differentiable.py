"""Where is there no derivative, and what does automatic differentiation say there?"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc.derivatives import Differentiability, differentiability
from jaxcalc.reports import palette, pictures

TINY = {"points": 100}


class Exhibit(NamedTuple):
    """A function with a point that deserves a look."""

    name: str
    f: Callable[[Array], Array]
    x: float = 0.0
    ends: tuple[float, float] = (-1.0, 1.0)


def _wave(x: Array) -> Array:
    apart = jnp.where(x == 0, 1.0, x)
    return jnp.where(x == 0, 0.0, apart * jnp.sin(1 / apart))


GALLERY = (
    Exhibit("|x|", jnp.abs),
    Exhibit("ReLU", jax.nn.relu),
    Exhibit("∛x²", lambda x: jnp.cbrt(x) ** 2),
    Exhibit("∛x", jnp.cbrt),
    Exhibit("√x", jnp.sqrt),
    Exhibit("sign x", jnp.sign),
    Exhibit("sin(x)/x", lambda x: jnp.sin(x) / x, ends=(-6.0, 6.0)),
    Exhibit("1/x", lambda x: 1 / x, ends=(-2.0, 2.0)),
    Exhibit("sin(1/x)", lambda x: jnp.sin(1 / x), ends=(-0.5, 0.5)),
    Exhibit("x sin(1/x)", _wave, ends=(-0.25, 0.25)),
    Exhibit("x|x|", lambda x: x * jnp.abs(x)),
    Exhibit("clip(x, −1, 1)", lambda x: jnp.clip(x, -1.0, 1.0), 1.0, (0.0, 2.0)),
)


def main(
    out: Path = Path("results/not_differentiable"), *, points: int = 4000
) -> Finding:
    """A gallery of corners, cusps, jumps and worse, and what is found at each.

    Args:
        out: Where to write.
        points: How finely the curves are drawn.

    Returns:
        The gallery, with each kind and the answer of automatic differentiation.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = [differentiability(exhibit.f, exhibit.x) for exhibit in GALLERY]
    (out / "table.md").write_text(_table(found) + "\n")
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 5.0), layout="constrained")
        axes = figure.subplots(3, 4).ravel()
        for ax, exhibit, one in zip(axes, GALLERY, found, strict=True):
            _draw(ax, exhibit, one, points)
        pictures.save(figure, out / "not_differentiable")
    without = [one for one in found if not one.differentiable]
    silent = sum(bool(np.isfinite(one.autodiff)) for one in without)
    return Finding(
        sentence=f"{len(without)} of {len(found)} exhibits have no derivative at the "
        f"point in question. Automatic differentiation gives a finite number at "
        f"{silent} of these, and no warning.",
        picture=out / "not_differentiable.png",
    )


def _table(found: list[Differentiability]) -> str:
    lines = [
        "| function | at | kind | left slope | right slope | automatic |",
        "|:--|--:|:--|--:|--:|--:|",
    ]
    for exhibit, one in zip(GALLERY, found, strict=True):
        numbers = (one.left_slope, one.right_slope, one.autodiff)
        cells = " | ".join(map(_number, numbers))
        name = exhibit.name.replace("|", r"\|")
        lines.append(f"| {name} | {exhibit.x:g} | {one.kind.value} | {cells} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    if np.isnan(value):
        return "none"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value + 0.0:.4g}".replace("-", "−")


def _draw(ax: Axes, exhibit: Exhibit, one: Differentiability, points: int) -> None:
    low, high = exhibit.ends
    # Finer towards the point, where the oscillating ones need it.
    near = np.linspace(0, 1, points) ** 3
    left = exhibit.x - near[::-1] * (exhibit.x - low)
    right = exhibit.x + near * (high - exhibit.x)
    curve, accent = palette.LOOKS[0].light, palette.LOOKS[1].light
    for t in (left[:-1], right[1:]):
        y = np.array(exhibit.f(jnp.asarray(t)))
        y[np.abs(y) > 6] = np.nan
        ax.plot(t, y, color=curve, lw=0.6 if "1/x)" in exhibit.name else 1.3)
    center = one.value if np.isfinite(one.value) else one.left_value
    if np.isfinite(center):
        hollow = not np.isfinite(one.value)
        fill = palette.THEMES["light"].surface if hollow else accent
        ax.plot(exhibit.x, center, "o", mec=accent, mfc=fill, ms=4.5, zorder=3)
    else:
        ax.axvline(exhibit.x, color=accent, lw=0.8, ls=(0, (3, 2)))
    palette.dress(ax, "light")
    ax.set_title(f"{exhibit.name}: {one.kind.value}", fontsize=7.5)
    slopes = f"slopes {_number(one.left_slope)}, {_number(one.right_slope)}"
    if np.isnan(one.left_slope) and np.isnan(one.right_slope):
        slopes = "no slopes"
    answer = "NaN" if np.isnan(one.autodiff) else _number(one.autodiff)
    ax.set_xlabel(f"{slopes}; autodiff {answer}", fontsize=7)
    ax.margins(y=0.12)
    ax.locator_params(nbins=4)


if __name__ == "__main__":
    print(main().sentence)
