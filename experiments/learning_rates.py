"""How sensitive is each optimizer to its learning rate, against 2/λmax?"""

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.finding import Finding
from jaxcalc import minimize, problems
from jaxcalc.comparison import Comparison, compare
from jaxcalc.curvature import spectrum
from jaxcalc.problems import Problem
from jaxcalc.reports import _frame, palette, pictures, series
from jaxcalc.reports._numbers import number

TINY = {"max_steps": 5, "network_steps": 2, "seeds": 1, "rates": 3, "hidden": 4}

_BETA = 0.9
_OPTIMIZERS = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=_BETA),
    "nesterov": partial(optax.sgd, momentum=_BETA, nesterov=True),
    "adagrad": optax.adagrad,
    "rmsprop": optax.rmsprop,
    "adam": optax.adam,
    "lion": optax.lion,
}

# Up to these multiples of 1/λ a step along an eigenvector of a quadratic shrinks, from
# the roots of z² − (1 + β − ηλ) z + β and z² − (1 + β) (1 − ηλ) z + β (1 − ηλ).
_LIMITS = {
    "sgd": 2.0,
    "momentum": 2 * (1 + _BETA),
    "nesterov": 2 * (1 + _BETA) / (1 + 2 * _BETA),
}

_NEAR = np.geomspace(0.8, 1.25, 46)  # one per cent apart, and 1 not among them
_GOOD = 1e-3  # of the starting gap: better than this counts as equally good


class _Study(NamedTuple):
    """One problem: its curvature, its runs at all rates, and where steps blow up."""

    problem: Problem
    largest: float
    at_start: float
    comparison: Comparison
    measured: dict[str, float]


def main(
    out: Path = Path("results/learning_rates"),
    *,
    max_steps: int = 300,
    network_steps: int = 40,
    seeds: int = 3,
    rates: int = 25,
    hidden: int = 32,
) -> Finding:
    """Final losses over learning rates, beside the limits that the Hessian sets.

    On a quadratic and on a logistic regression the limit is measured too: the rate from
    which runs that start beside the minimum leave it. The network has no such minimum
    within reach; its limits come from where training starts and where L-BFGS ends.

    Args:
        out: Where to write.
        max_steps: Steps of a run on the convex problems.
        network_steps: Steps of a run on the network.
        seeds: How many starts for each rate; on the network a single one.
        rates: How many rates, between 1e-4 and 100; on the network every other one.
        hidden: How many hidden units.

    Returns:
        The curves, with the limits as lines.
    """
    out.mkdir(parents=True, exist_ok=True)
    network = problems.digits_network(hidden=hidden).astype(jnp.float32)
    grid = np.geomspace(1e-4, 1e2, rates).tolist()
    studies = [
        _study(problems.quadratic(), grid, seeds, max_steps, local=True),
        _study(problems.breast_cancer(), grid, seeds, max_steps, local=True),
        _study(network, grid[::2], 1, network_steps, local=False),
    ]
    parts = (_limits_table(studies), _NOTE, _table(studies))
    (out / "table.md").write_text("\n".join(parts))
    with palette.drawing("light"):
        figure = _frame.sheet(palette.DOUBLE, 2.4)
        for ax, study in zip(figure.subplots(1, 3), studies, strict=True):
            _draw(ax, study)
        pictures.save(_frame.finish(figure, "", _legend()), out / "learning_rates")
    return Finding(sentence=_sentence(studies), picture=out / "learning_rates.png")


def _study(
    problem: Problem, grid: list[float], seeds: int, max_steps: int, *, local: bool
) -> _Study:
    start = problem.start(0)
    found = minimize(
        problem.loss, start, optax.lbfgs(), args=problem.args, max_steps=300
    )
    largest, at_start = (_largest(problem, at) for at in (found.params, start))
    comparison = compare(
        problem,
        _OPTIMIZERS,
        rates=grid,
        seeds=1,
        tuning_seeds=seeds,
        max_steps=max_steps,
    )
    measured = _measure(problem, found.params, largest) if local else {}
    if not local:  # nobody knows the minimum: what is left is the loss itself
        comparison = replace(comparison, minimum={problem.name: 0.0})
    return _Study(problem, largest, at_start, comparison, measured)


def _largest(problem: Problem, params: Any) -> float:
    ends = spectrum(problem.loss, params, *problem.args, k=1, max_products=400)
    return float(ends.largest)


def _measure(problem: Problem, minimizer: Any, largest: float) -> dict[str, float]:
    """The rate between the last that stays at a minimum and the first that leaves."""
    flat, unravel = ravel_pytree(minimizer)

    def beside(key: jax.Array) -> Any:
        return unravel(flat + 1e-3 * jax.random.normal(key, flat.shape, flat.dtype))

    near = replace(problem, name=f"{problem.name} near its minimum", init=beside)
    comparison = compare(
        near,
        {name: _OPTIMIZERS[name] for name in _LIMITS},
        rates={name: (_NEAR * c / largest).tolist() for name, c in _LIMITS.items()},
        seeds=1,
        tuning_seeds=2,
        max_steps=400,
        tol=0.0,
    )
    measured = {}
    for name in _LIMITS:
        (run,) = comparison.select(near.name, name, "tuning")
        tried = np.unique(run.rates)
        left = np.array([run.diverged[run.rates == rate].any() for rate in tried])
        first = int(left.argmax())
        known = left.any() and first > 0
        between = np.sqrt(tried[first - 1] * tried[first]) if known else np.nan
        measured[name] = float(between)
    return measured


class _Range(NamedTuple):
    """The rates at which an optimizer does about as well as at its best."""

    best: float
    low: float
    high: float
    decades: float
    ends: str


def _good(study: _Study, optimizer: str) -> _Range | None:
    """Rates around the best whose final gap is at most twice the least, or small."""
    comparison, problem = study.comparison, study.problem.name
    found = series.rates(comparison, problem, optimizer)
    if found is None or not np.isfinite(found.middle).any():
        return None
    start = np.concatenate([r.value[0] for r in comparison.select(problem)])
    small = _GOOD * (float(np.median(start)) - comparison.reference(problem))
    gaps = np.where(np.isnan(found.middle), np.inf, found.middle)
    gaps = np.maximum(gaps, series.rounding(comparison, problem))
    best = int(gaps.argmin())
    good = gaps <= max(2 * gaps[best], small)
    bad = np.flatnonzero(~good)
    low = int(bad[bad < best].max(initial=-1)) + 1
    high = int(bad[bad > best].min(initial=len(gaps))) - 1
    spacing = np.log10(found.tried[-1] / found.tried[0]) / max(len(found.tried) - 1, 1)
    open_ends = low == 0 or high == len(gaps) - 1
    return _Range(
        best=float(found.tried[best]),
        low=float(found.tried[low]),
        high=float(found.tried[high]),
        decades=float((high - low + 1) * spacing),
        ends="at least " if open_ends else "",
    )


_FORMULAS = {
    "sgd": "2/λmax",
    "momentum": "2(1+β)/λmax",
    "nesterov": "2(1+β)/((1+2β)λmax)",
}


def _limits_table(studies: list[_Study]) -> str:
    lines = [
        "| problem | where | λmax | optimizer | limit | predicted | measured | "
        "measured / predicted |",
        "|:--|:--|--:|:--|:--|--:|--:|--:|",
    ]
    for study in studies:
        if study.measured:
            places = {"at the minimum": study.largest}
        else:
            places = {"start": study.at_start, "where L-BFGS ends": study.largest}
        for (where, largest), name in itertools.product(places.items(), _LIMITS):
            predicted = _LIMITS[name] / largest
            measured = study.measured.get(name, np.nan)
            cells = [study.problem.title, where, f"{largest:.4g}", name]
            cells += [_FORMULAS[name], f"{predicted:.4g}"]
            for value in (measured, measured / predicted):
                cells.append(f"{value:.4g}" if np.isfinite(value) else "—")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_NOTE = (
    "Good are the rates around the best at which a run ends with at most twice the "
    f"least gap, or with at most {_GOOD:g} of the gap that it started with.\n"
)


def _table(studies: list[_Study]) -> str:
    lines = [
        "| problem | optimizer | best rate | good from | good to | decades | diverges "
        "from |",
        "|:--|:--|--:|--:|--:|--:|--:|",
    ]
    for study in studies:
        for name in _OPTIMIZERS:
            good = _good(study, name)
            cells = ["—"] * 4
            if good is not None:
                ends = (good.best, good.low, good.high)
                cells = [number(v) for v in ends]
                cells.append(f"{good.ends}{good.decades:.2f}")
            diverges = _first_diverging(study, name)
            cells.append("—" if diverges is None else number(diverges))
            lines.append(f"| {study.problem.title} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _first_diverging(study: _Study, optimizer: str) -> float | None:
    """The lowest rate at which half of the runs end above their start or blow up."""
    found = series.rates(study.comparison, study.problem.name, optimizer)
    if found is None or not (found.failed >= 0.5).any():
        return None
    return float(found.tried[found.failed >= 0.5][0])


def _sentence(studies: list[_Study]) -> str:
    ratios = [
        study.measured[name] * study.largest / factor
        for study in studies
        for name, factor in _LIMITS.items()
        if np.isfinite(study.measured.get(name, np.nan))
    ]
    # As far as the rates that were tried lie apart.
    off = max((abs(ratio - 1) for ratio in ratios), default=np.nan)
    off += np.sqrt(_NEAR[1] / _NEAR[0]) - 1
    convex = {
        name: [_good(study, name) for study in studies[:2]] for name in _OPTIMIZERS
    }
    widths = {
        name: float(np.mean([good.decades for good in both if good is not None]))
        for name, both in convex.items()
        if any(good is not None for good in both)
    }
    widest, narrowest = (pick(widths, key=lambda n: widths[n]) for pick in (max, min))
    network = studies[-1]
    best = _good(network, "sgd")
    tail = (
        f" On the network 2/λmax is {number(2 / network.at_start)} at the start and "
        f"{number(2 / network.largest)} where L-BFGS ends; the best rate of sgd, "
        f"{number(best.best)}, lies between what curvature says before and after."
        if best is not None and 2 / network.at_start < best.best < 2 / network.largest
        else ""
    )
    return (
        "Beside a minimum sgd, momentum and nesterov blow up within "
        f"{100 * off:.1g}% of the rates that λmax predicts. On the convex problems "
        f"{widest} does well over {widths[widest]:.1f} decades of rates, {narrowest} "
        f"over {widths[narrowest]:.1f}.{tail}"
    )


_CROSS: dict[str, Any] = {"markersize": 3.5, "markeredgewidth": 1.1}
_DOTTED = (0, (1, 1))


def _legend() -> list[Line2D]:
    looks = palette.looks(_OPTIMIZERS)
    entries = [_frame.entry(name, look, "light") for name, look in looks.items()]
    muted: dict[str, Any] = {"color": palette.THEMES["light"].muted, "lw": 0.9}
    return [
        *entries,
        Line2D([], [], ls=_DOTTED, **muted, label="limit from λmax"),
        Line2D([], [], **muted, label="2/λmax at the start"),
        Line2D([], [], marker="x", ls="", **muted, **_CROSS, label="diverges from"),
    ]


def _draw(ax: Axes, study: _Study) -> None:
    comparison, problem = study.comparison, study.problem.name
    palette.dress(ax, "light")
    floor = series.rounding(comparison, problem)
    found = {name: series.rates(comparison, problem, name) for name in _OPTIMIZERS}
    middles = np.concatenate([r.middle for r in found.values() if r is not None])
    seen = np.maximum(middles[np.isfinite(middles)], floor)
    top = float(np.max([r.value[0].max() for r in comparison.select(problem)]))
    top -= comparison.reference(problem)
    low = float(seen.min()) if seen.size else floor
    ax.set(xscale="log", yscale="log", xlabel="learning rate", xlim=(7e-5, 140))
    ax.set_ylim(low / 3, 30 * top)
    for order, (name, look) in enumerate(palette.looks(_OPTIMIZERS).items()):
        rates = found[name]
        if rates is None:
            continue
        stroke: dict[str, Any] = _frame.stroke(look, "light")
        stroke |= {"markersize": 2.8, "linewidth": 1.1}
        middle = np.where(np.isfinite(rates.middle), rates.middle, np.nan)
        over = 3 + 0.01 * order
        ax.plot(rates.tried, np.maximum(middle, floor), **stroke, zorder=over)
        first = _first_diverging(study, name)
        if first is not None:
            height = top * 2.2 * 1.35 ** (len(_OPTIMIZERS) - order)
            ax.plot([first], [height], "x", color=look.light, **_CROSS, zorder=over)
        if name in _LIMITS:
            limit = _LIMITS[name] / study.largest
            ax.axvline(limit, color=look.light, lw=0.9, ls=_DOTTED, zorder=2)
    if not study.measured:
        ax.axvline(2 / study.at_start, color=palette.LOOKS[0].light, lw=0.9, zorder=2)
    for axis in (ax.xaxis, ax.yaxis):
        _frame.log_ticks(axis)
    ax.set_title(study.problem.title.split(",")[0], fontsize=8)
    ax.set_ylabel("final loss − minimum" if study.measured else "final loss")


if __name__ == "__main__":
    print(main().sentence)
