"""What does training do to the curvature of a network?"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from experiments.finding import Finding
from jaxcalc import minimize, problems
from jaxcalc.curvature import (
    SpectralDensity,
    Spectrum,
    layer_spectra,
    spectral_density,
    spectrum,
)
from jaxcalc.problems import Problem
from jaxcalc.reports import palette, pictures

TINY = {"max_steps": 3, "hidden": 4, "probes": 2, "steps": 10, "max_products": 100}

_SMALL = 1e-5  # below it the axis of eigenvalues is linear
_RIDGE = 1e-4


class _Curvature(NamedTuple):
    """The spectrum at one point: its ends, its shape, and that of each layer."""

    when: str
    ends: Spectrum
    density: SpectralDensity
    layers: dict[str, Spectrum]


def main(
    out: Path = Path("results/hessian_spectrum"),
    *,
    max_steps: int = 300,
    hidden: int = 32,
    probes: int = 8,
    steps: int = 60,
    max_products: int = 3000,
) -> Finding:
    """The Hessian's eigenvalues of a network on digits, before and after training.

    Nothing of the size of the Hessian is formed: the ends of the spectrum come from the
    Lanczos method with restarts, with error bounds, its shape from Lanczos quadrature.

    Args:
        out: Where to write.
        max_steps: Steps of L-BFGS.
        hidden: How many hidden units.
        probes: Random vectors for the density.
        steps: Products for each of them.
        max_products: Products for the ends of a spectrum, at most.

    Returns:
        The densities, the outliers, and the range of each layer's eigenvalues.
    """
    out.mkdir(parents=True, exist_ok=True)
    problem = problems.digits_network(ridge=_RIDGE, hidden=hidden)
    start = problem.start(0)
    trained = minimize(
        problem.loss, start, optax.lbfgs(), args=problem.args, max_steps=max_steps
    )
    points = {"before training": start, "after training": trained.params}
    found = [
        _curvature(problem, when, params, probes, steps, max_products)
        for when, params in points.items()
    ]
    (out / "table.md").write_text(_table(found))
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 5.0), layout="constrained")
        axes = figure.subplot_mosaic([["0", "1"], ["layers", "layers"]])
        for slot, one in enumerate(found):
            look = palette.LOOKS[slot]
            _draw_density(axes[str(slot)], one, problem.size, look.light)
        axes["0"].set_ylabel("density")
        _draw_layers(axes["layers"], found)
        pictures.save(figure, out / "hessian_spectrum")
    return Finding(sentence=_sentence(found), picture=out / "hessian_spectrum.png")


def _curvature(
    problem: Problem, when: str, params: Any, probes: int, steps: int, budget: int
) -> _Curvature:
    loss, args = problem.loss, problem.args
    ends = spectrum(loss, params, *args, tol=1e-7, max_products=budget)
    density = spectral_density(loss, params, *args, probes=probes, steps=steps)
    of_leaves = layer_spectra(loss, params, *args, max_products=budget)
    layers = {
        f"{name}{index + 1}": of_leaf
        for index, layer in enumerate(of_leaves)
        for name, of_leaf in sorted(layer.items(), reverse=True)
    }
    return _Curvature(when, ends, density, layers)


def _near_zero(one: _Curvature) -> str:
    # Quadrature counts well where few eigenvalues are, as at the edge of the bulk; it
    # can't tell the signs of those within a hundredth of the spread.
    edge = 0.1 * float(one.ends.largest)
    share, error = one.density.mean(lambda values: jnp.abs(values) < edge)
    return f"{100 * float(share):.1f}% ± {100 * float(error):.1f}%"


def _sentence(found: list[_Curvature]) -> str:
    before, after = found
    return (
        "Training takes the largest eigenvalue from "
        f"{float(before.ends.largest):.3g} to {float(after.ends.largest):.2g} and the "
        f"most negative one from {float(before.ends.smallest):.2g} to "
        f"{float(after.ends.smallest):.1g}. Within a tenth of the largest around zero "
        f"lie {_near_zero(before)} of all before and {_near_zero(after)} after it: a "
        "few directions are curved, the others nearly flat."
    ).replace("-", "−")


def _table(found: list[_Curvature]) -> str:
    lines = [
        "| when | part | parameters | smallest | error | largest | error |",
        "|:--|:--|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        parts = {"all": one.ends, **one.layers}
        for name, part in parts.items():
            vectors = jax.tree.leaves(part.top.vectors)
            size = sum(v[0].size for v in vectors)
            low, high = part.bottom.residuals[-1], part.top.residuals[0]
            lines.append(
                f"| {one.when} | {name} | {size} | {float(part.smallest):.3g} | "
                f"{float(low):.0e} | {float(part.largest):.4g} | {float(high):.0e} |"
            )
    return "\n".join(lines) + "\n"


def _decades(values: Any) -> np.ndarray:
    """Where an eigenvalue lies on an axis of decades that is linear near zero."""
    return np.arcsinh(np.asarray(values) / (2 * _SMALL)) / np.log(10)


def _draw_density(ax: Axes, one: _Curvature, size: int, color: str) -> None:
    density = one.density
    # The height of a single eigenvalue.
    single = 1 / (size * float(density.width) * np.sqrt(2 * np.pi))
    low = np.maximum(density.density - density.error, 1e-3 * single)
    ax.fill_between(
        density.grid,
        low,
        density.density + density.error,
        color=color,
        alpha=0.25,
        lw=0,
    )
    ax.plot(density.grid, density.density, color=color, lw=1.1)
    outer = np.r_[one.ends.top.values, one.ends.bottom.values]
    ax.plot(outer, np.full(len(outer), 0.12 * single), "|", color=color, ms=7, mew=0.9)
    palette.dress(ax, "light")
    ax.set(yscale="log", ylim=(0.05 * single, 3 * float(density.density.max())))
    ax.set_title(f"{one.when}: density of {size:,} eigenvalues", fontsize=8)
    ax.set_xlabel("eigenvalue (ticks: the ten at each end)")
    ax.locator_params(axis="x", nbins=6)


def _draw_layers(ax: Axes, found: list[_Curvature]) -> None:
    names = ["all", *found[0].layers]
    for slot, one in enumerate(found):
        color = palette.LOOKS[slot].light
        for row, name in enumerate(names):
            part = one.ends if name == "all" else one.layers[name]
            ends = _decades([part.smallest, part.largest])
            height = row + (slot - 0.5) * 0.36
            label = one.when if row == 0 else None
            ax.plot(ends, [height, height], color=color, lw=2, label=label)
            ax.plot(ends, [height, height], "o", color=color, ms=3.5)
    palette.dress(ax, "light")
    ax.set_yticks(range(len(names)), [_title(name) for name in names])
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel="eigenvalue (linear around zero)")
    ax.set_title("From the smallest to the largest, layer by layer", fontsize=8)
    ax.legend(loc="lower left")
    ax.set_xlim(*_decades([-4.0, 4.0]))
    powers = [10.0**k for k in range(-4, 1)]
    marks = [-v for v in powers[::-1]] + [0.0] + powers
    ax.xaxis.set_major_locator(FixedLocator(_decades(marks).tolist()))
    labels = {float(_decades(v)): _power(v) for v in marks}
    nearest = np.asarray(list(labels))
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda t, _: labels[nearest[np.argmin(np.abs(nearest - t))]])
    )
    ax.xaxis.set_minor_formatter(NullFormatter())


def _title(name: str) -> str:
    if name == "all":
        return "all"
    return f"{'weights' if name[0] == 'w' else 'biases'} {name[1:]}"


def _power(value: float) -> str:
    if value == 0:
        return "0"
    sign = "−" if value < 0 else ""
    exponent = round(np.log10(abs(value)))
    return f"{sign}1" if exponent == 0 else f"${sign}10^{{{exponent}}}$"


if __name__ == "__main__":
    print(main().sentence)
