"""Which points can gradient descent come to rest at, and are these all?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.finding import Finding
from jaxcalc import critical_points, problems
from jaxcalc.analysis import BoxPoint, CriticalPoints, PointKind
from jaxcalc.analysis.records import Evidence
from jaxcalc.reports import palette, pictures

TINY = {"max_boxes": 0, "grid": 30}


def camel(x: jax.Array) -> jax.Array:
    """The six-hump camel, (4 - 2.1 x² + x⁴/3) x² + xy + (4 y² - 4) y²."""
    a, b = x
    return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2


def main(
    out: Path = Path("results/critical_points"),
    *,
    max_boxes: int = 25_000,
    grid: int = 300,
) -> Finding:
    """All critical points of Himmelblau's function and of the six-hump camel.

    Args:
        out: Where to write.
        max_boxes: How many boxes a proof may look at; 0 for no proof.
        grid: Points of the contours along each axis.

    Returns:
        Contours with every point and its kind.
    """
    out.mkdir(parents=True, exist_ok=True)
    cases = {
        "Himmelblau's function": (problems.himmelblau().loss, (6.0, 6.0)),
        "Six-hump camel": (camel, (3.0, 2.0)),
    }
    rows, said = [], []
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 4.1), layout="constrained")
        for ax, (title, (f, corner)) in zip(
            figure.subplots(1, 2), cases.items(), strict=True
        ):
            high = np.asarray(corner)
            found = critical_points(f, -high, high, max_boxes=max_boxes)
            _panel(ax, f, high, found, grid)
            grade = found.evidence.value
            ax.set_title(f"{title}: {len(found)} points, {grade}")
            rows += [(title, *_row(point)) for point in found.points]
            counts = {kind: len(found.of_kind(kind)) for kind in _MARKS}
            listed = [
                f"{n} {_PLURAL[kind] if n > 1 else kind.value}"
                for kind, n in counts.items()
                if n
            ]
            said.append(f"{title} has {', '.join(listed)}: {_COMPLETE[found.evidence]}")
        figure.legend(handles=_handles(), loc="outside lower center", ncols=3)
        pictures.save(figure, out / "critical_points")
    head = "| function | point | value | eigenvalues | kind | evidence |\n"
    head += "|:--|:--|--:|:--|:--|:--|\n"
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    (out / "table.md").write_text(head + "\n".join(lines) + "\n")
    return Finding(sentence="; ".join(said) + ".", picture=out / "critical_points.png")


_MARKS = {
    PointKind.MINIMUM: ("o", 0),
    PointKind.SADDLE: ("X", 1),
    PointKind.MAXIMUM: ("^", 2),
}
_COMPLETE = {
    Evidence.PROVED: "it is proved that there is no other",
    Evidence.NUMERICAL: "others were not found, which is no proof",
    Evidence.UNRESOLVED: "there may be others",
}
_PLURAL = {
    PointKind.MINIMUM: "minima",
    PointKind.SADDLE: "saddle points",
    PointKind.MAXIMUM: "maxima",
}


def _panel(
    ax: Axes, f: Callable[..., Any], high: np.ndarray, found: CriticalPoints, grid: int
) -> None:
    palette.dress(ax, "light")
    ax.grid(visible=False)
    x, y = (jnp.linspace(-h, h, grid) for h in high)
    points = jnp.stack(jnp.meshgrid(x, y), -1)
    values = np.asarray(jax.jit(jax.vmap(jax.vmap(f)))(points))
    # Equal areas between the lines: a flat middle shows as well as steep walls.
    levels = np.unique(np.quantile(values, np.linspace(0.005, 0.98, 22)))
    muted = palette.THEMES["light"].muted
    ax.contour(x, y, values, levels=levels, colors=muted, linewidths=0.4, alpha=0.7)
    for point in found.points:
        marker, slot = _MARKS.get(point.kind, ("s", 3))
        a, b = np.asarray(point.x)
        color = palette.LOOKS[slot].light
        ax.plot(a, b, marker, ms=7, mec="white", mew=0.8, mfc=color)
    ax.set(xlabel="x", ylabel="y")


def _handles() -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            ls="",
            marker=marker,
            ms=7,
            mec="white",
            mfc=palette.LOOKS[slot].light,
            label=kind.value,
        )
        for kind, (marker, slot) in _MARKS.items()
    ]


def _row(point: BoxPoint) -> tuple[str, ...]:
    x = ", ".join(f"{v:.6f}" for v in np.asarray(point.x))
    eigenvalues = ", ".join(f"{v:.4g}" for v in point.eigenvalues)
    return (
        f"({x})",
        f"{point.value:.6g}",
        eigenvalues,
        point.kind.value,
        point.evidence.value,
    )


if __name__ == "__main__":
    print(main().sentence)
