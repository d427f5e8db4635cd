"""What does a function do between two points, and how much of it can be proved?"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc.analysis import Study, study
from jaxcalc.analysis.records import Evidence
from jaxcalc.reports import palette, pictures, studies

TINY = {}


class Curve(NamedTuple):
    """A function, an interval, and its formula."""

    name: str
    f: Callable[[Array], Array]
    a: float
    b: float


CURVES = (
    Curve("x³ − 3x² − 9x + 5", lambda x: x**3 - 3 * x**2 - 9 * x + 5, -3.0, 5.0),
    Curve("x³ − 6x² + 9x", lambda x: x**3 - 6 * x**2 + 9 * x, -0.6, 4.6),
    Curve("x³ − x² − 5x + 2", lambda x: x**3 - x**2 - 5 * x + 2, -2.5, 3.2),
    Curve(
        "sin x + sin(10x/3)", lambda x: jnp.sin(x) + jnp.sin(10 * x / 3), -10.0, 10.0
    ),
    Curve(
        "|x² − 1| + 1/(8(x − 2))",
        lambda x: jnp.abs(x**2 - 1) + 1 / (8 * (x - 2)),
        -2.0,
        3.5,
    ),
    Curve("exp(−1/x²)", lambda x: jnp.exp(-1 / x**2), -2.0, 2.0),
)


def main(out: Path = Path("results/curve_sketching")) -> Finding:
    """Three cubics, a wave, corners beside a pole, and a valley flatter than any power.

    Interval arithmetic proves that no critical point of a smooth function is missing.
    Corners, poles and degenerate points are found and graded as such.

    Args:
        out: Where to write.

    Returns:
        The pictures, and how much was proved.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = [study(curve.f, curve.a, curve.b) for curve in CURVES]
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 7.6), layout="constrained")
        whole = np.ravel(np.asarray(figure.subfigures(3, 2), object))
        for part, curve, one in zip(whole, CURVES, found, strict=True):
            studies.panel(part, one, title=curve.name)
        studies.legend(figure, found)
        pictures.save(figure, out / "curve_sketching")
    parts = [
        f"## {curve.name} on [{curve.a:g}, {curve.b:g}]\n\n{one.to_markdown()}\n"
        for curve, one in zip(CURVES, found, strict=True)
    ]
    (out / "table.md").write_text("\n".join(parts))
    return Finding(sentence=_sentence(found), picture=out / "curve_sketching.png")


def _sentence(found: list[Study]) -> str:
    inner = [p for one in found for p in one.critical_points[1:-1]]
    proved = [p for p in inner if p.evidence is Evidence.PROVED]
    whole = sum(one.proved for one in found)
    turns = len(found[3].critical_points) - 2
    return (
        f"{len(proved)} of the {len(inner)} critical points inside of these intervals "
        f"are proved, and for {whole} of the {len(found)} functions that there is no "
        f"other: sin x + sin(10x/3) turns exactly {turns} times on [−10, 10]. Corners, "
        "a pole, and a valley whose derivatives all vanish are found, not proved."
    )


if __name__ == "__main__":
    print(main().sentence)
