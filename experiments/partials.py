"""Which way is up, and how steep?"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc.derivatives import directional_derivative, numerical_gradient
from jaxcalc.reports import palette, pictures

TINY = {"steps": 20, "directions": 8}


class Surface(NamedTuple):
    """A function of two variables, a point, its gradient there, and what is drawn.

    `start` is where the drawn path of steepest ascent begins.
    """

    name: str
    f: Callable[[Array], Array]
    point: tuple[float, float]
    gradient: tuple[float, float]
    reach: float
    start: tuple[float, float]


SURFACES = (
    Surface(
        "x² + 3xy + y²",
        lambda p: p[0] ** 2 + 3 * p[0] * p[1] + p[1] ** 2,
        (2.0, 3.0),
        (13.0, 12.0),
        4.0,
        (-2.3, 2.6),
    ),
    Surface(
        "x²y + y³",
        lambda p: p[0] ** 2 * p[1] + p[1] ** 3,
        (1.0, 2.0),
        (4.0, 13.0),
        3.0,
        (-0.8, -1.7),
    ),
    Surface(
        "sin(x) cos(y)",
        lambda p: jnp.sin(p[0]) * jnp.cos(p[1]),
        (0.5, 1.0),
        (float(np.cos(0.5) * np.cos(1.0)), float(-np.sin(0.5) * np.sin(1.0))),
        3.0,
        (-0.6, 0.9),
    ),
)


def main(
    out: Path = Path("results/partials"), *, steps: int = 400, directions: int = 72
) -> Finding:
    """Partial derivatives, the gradient field over the contours, and steepest ascent.

    Args:
        out: Where to write.
        steps: Steps of each path of steepest ascent.
        directions: Into how many directions the slope is taken, to find the steepest.

    Returns:
        Contours with their gradients; the partial derivatives in a table.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(_table() + "\n")
    angle = max(_angle_off(surface, directions) for surface in SURFACES)
    square = max(_along_contour(surface) for surface in SURFACES)
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 2.5), layout="constrained")
        for ax, surface in zip(figure.subplots(1, 3), SURFACES, strict=True):
            _draw(ax, surface, steps)
        pictures.save(figure, out / "partials")
    at = numerical_gradient(SURFACES[0].f, jnp.array(SURFACES[0].point)).value
    return Finding(
        sentence=f"x² + 3xy + y² has the partial derivatives {at[0]:.0f} and "
        f"{at[1]:.0f} at (2, 3). Along a contour the slope is {square:.0e} at most, "
        f"and of {directions} directions the steepest is the one nearest to the "
        f"gradient, {angle:.1f}° away at most.",
        picture=out / "partials.png",
    )


def _table() -> str:
    lines = [
        "| function | at | ∂/∂x | ∂/∂y | automatic | differences |",
        "|:--|:--|--:|--:|--:|--:|",
    ]
    for surface in SURFACES:
        point, truth = jnp.array(surface.point), np.array(surface.gradient)
        automatic = float(np.max(np.abs(jax.grad(surface.f)(point) - truth)))
        found = numerical_gradient(surface.f, point)
        numerical = float(np.max(np.abs(np.asarray(found.value) - truth)))
        x, y = surface.point
        lines.append(
            f"| {surface.name} | ({x:g}, {y:g}) | {truth[0]:.9g} | {truth[1]:.9g} | "
            f"{automatic:.0e} | {numerical:.0e} |"
        )
    return "\n".join([*lines, "", "The last two columns are the largest errors."])


def _angle_off(surface: Surface, directions: int) -> float:
    """Degrees between the gradient and the steepest of many directions."""
    point = jnp.array(surface.point)
    angles = np.linspace(0, 2 * np.pi, directions, endpoint=False)
    slopes = [
        float(
            directional_derivative(
                surface.f, point, jnp.array([np.cos(a), np.sin(a)])
            ).value
        )
        for a in angles
    ]
    best = angles[int(np.argmax(slopes))]
    gradient = np.arctan2(surface.gradient[1], surface.gradient[0])
    away = (best - gradient + np.pi) % (2 * np.pi) - np.pi
    return float(np.degrees(abs(away)))


def _along_contour(surface: Surface) -> float:
    """The slope along the contour, which the gradient is perpendicular to."""
    gradient = np.array(surface.gradient)
    tangent = np.array([-gradient[1], gradient[0]]) / np.linalg.norm(gradient)
    point = jnp.array(surface.point)
    return abs(
        float(directional_derivative(surface.f, point, jnp.array(tangent)).value)
    )


def _draw(ax: Axes, surface: Surface, steps: int) -> None:
    reach = surface.reach
    theme = palette.THEMES["light"]
    line = np.linspace(-reach, reach, 121)
    x, y = np.meshgrid(line, line)
    points = jnp.stack([jnp.asarray(x), jnp.asarray(y)])
    heights = np.asarray(surface.f(points))
    levels = np.quantile(heights, np.linspace(0.03, 0.97, 11))
    ramp = LinearSegmentedColormap.from_list("ground", ["#eef2f6", "#7e8ea3"])
    ax.contour(x, y, heights, levels=levels, cmap=ramp, linewidths=0.8)
    coarse = np.linspace(-0.88 * reach, 0.88 * reach, 8)
    u, v = np.meshgrid(coarse, coarse)
    at = jnp.stack([jnp.asarray(u.ravel()), jnp.asarray(v.ravel())], axis=1)
    field = np.asarray(jax.vmap(jax.grad(surface.f))(at))
    # The arrows' lengths follow the square root, so that small ones can be seen.
    norms = np.linalg.norm(field, axis=1, keepdims=True)
    field = field / np.sqrt(np.maximum(norms, 1e-9) * norms.max())
    ax.quiver(
        at[:, 0], at[:, 1], field[:, 0], field[:, 1],
        color=palette.LOOKS[0].light, scale=11, width=0.006, pivot="tail",
    )  # fmt: skip
    path = np.asarray(_ascent(surface, steps))
    inside = np.all(np.abs(path) <= reach, axis=1)
    path = path[: len(path) if inside.all() else int(np.argmin(inside)) + 1]
    ax.plot(path[:, 0], path[:, 1], color=palette.LOOKS[1].light, lw=1.6)
    ax.plot(*path[0], "o", color=palette.LOOKS[1].light, ms=4)
    palette.dress(ax, "light")
    ax.grid(visible=False)
    ax.tick_params(color=theme.muted)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set(title=surface.name, xlabel="x", ylabel="y")


def _ascent(surface: Surface, steps: int) -> Array:
    """A path of steepest ascent, with steps of equal length."""
    slope = jax.grad(surface.f)
    length = 3 * surface.reach / steps

    def step(p: Array, _: None) -> tuple[Array, Array]:
        g = slope(p)
        moved = p + length * g / jnp.maximum(jnp.linalg.norm(g), 1e-3)
        return moved, p

    return jax.lax.scan(step, jnp.array(surface.start), length=steps)[1]


if __name__ == "__main__":
    print(main().sentence)
