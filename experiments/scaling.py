"""How does the cost of a step grow with the number of parameters?"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import stdtrit

from experiments.finding import Finding
from jaxcalc import _checks, minimize, newton, newton_cg
from jaxcalc.problems.analytic import rosenbrock_loss
from jaxcalc.problems.classification import (
    logistic_regression_hessian,
    logistic_regression_loss,
)
from jaxcalc.reports import palette, pictures

TINY = {"largest": 32, "features": 32, "dense": 32, "rounds": 2}
SMALLEST = 8
ROWS = 256
# Exponents of n between which a step should grow. For dense Newton's steps: from
# filling the Hessian to factorizing it.
THEORY = {"gradient descent": (1, 1), "newton": (2, 3), "newton CG": (1, 1)}
STEPS = {"gradient descent": 50, "newton": 3, "newton CG": 5}
FACTOR = 4  # from one dimension to the next


@dataclass(frozen=True)
class Family:
    """Problems of growing dimension: the loss, its data, a start, a stable rate."""

    title: str
    loss: Callable[..., jax.Array]
    make: Callable[[int], tuple[Any, tuple[Any, ...]]]
    rate: float
    hessian: Callable[..., jax.Array] | None = None


@dataclass
class Timed:
    """One method at one dimension: a compiled run, and what was measured of it."""

    method: str
    n: int
    run: Callable[..., Any]
    given: tuple[Any, ...]
    compiling: float
    memory: float
    steps: int
    work: dict[str, float]  # a step
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds of one step."""
        return float(np.median(self.seconds))


def valley(n: int) -> tuple[jax.Array, tuple[()]]:
    """A start in the chained valley of Rosenbrock where it is convex, and no data."""
    return 1 + 0.02 * jax.random.normal(jax.random.key(n), (n,)), ()


def classes(n: int) -> tuple[Any, tuple[Any, ...]]:
    """A start, and rows with a label that a plane would separate but for noise."""
    keys = jax.random.split(jax.random.key(n), 3)
    X = jax.random.normal(keys[0], (ROWS, n - 1))
    score = X.sum(1) / n**0.5 + jax.random.normal(keys[1], (ROWS,))
    start = {"w": 0.01 * jax.random.normal(keys[2], (n - 1,)), "b": jnp.zeros(())}
    # As long a row for any number of features, so that the curvature stays the same.
    return start, (X / n**0.5, jnp.sign(score), jnp.asarray(1e-2))


FAMILIES = {
    "valley": Family("chained Rosenbrock", rosenbrock_loss, valley, 5e-4),
    "classes": Family(
        f"logistic regression, {ROWS} rows",
        logistic_regression_loss,
        classes,
        1.0,
        logistic_regression_hessian,
    ),
}


def main(
    out: Path = Path("results/scaling"),
    *,
    largest: int = 2**17,
    features: int = 2**13,
    dense: int = 2**11,
    rounds: int = 5,
) -> Finding:
    """Time steps of three methods on two families of problems, and fit slopes.

    Runs are compiled, warm, one at a time, in rounds that all of them take turns in.

    Args:
        out: Where to write.
        largest: Parameters of the largest Rosenbrock function.
        features: Parameters of the largest logistic regression.
        dense: Parameters of the largest problem with a dense Hessian, whose memory is
            its square and whose time its cube.
        rounds: How often each run is timed.

    Returns:
        Seconds per step, compile time and memory against dimension.

    Raises:
        ValueError: There are too few dimensions or rounds for a slope.
    """
    for name, value, least in (
        ("largest", largest, FACTOR * SMALLEST),
        ("features", features, FACTOR * SMALLEST),
        ("dense", dense, FACTOR * SMALLEST),
        ("rounds", rounds, 2),
    ):
        _checks.positive_int(name, value, minimum=least)
    out.mkdir(parents=True, exist_ok=True)
    found = {
        name: study(FAMILIES[name], most, dense, rounds)
        for name, most in (("valley", largest), ("classes", features))
    }
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 5.2), layout="constrained")
        axes = figure.subplots(2, 2)
        for ax, name in zip(axes[0], found, strict=True):
            _panel(ax, found[name], lambda t: t.seconds, fitted=True)
            ax.set(title=FAMILIES[name].title, ylabel="seconds a step")
        both = [*found["valley"], *found["classes"]]
        _panel(axes[1, 0], found["valley"], lambda t: [t.compiling])
        _panel(axes[1, 0], found["classes"], lambda t: [t.compiling], hollow=True)
        axes[1, 0].set(ylabel="seconds", ylim=(0.1, 20))
        axes[1, 0].set_title("compiling (hollow: logistic regression)")
        _panel(axes[1, 1], found["valley"], lambda t: [t.memory])
        axes[1, 1].set(title="memory beside the data, Rosenbrock", ylabel="bytes")
        figure.legend(handles=_handles(both), loc="outside lower center", ncols=4)
        pictures.save(figure, out / "scaling")
    (out / "table.md").write_text(_table(found))
    return Finding(sentence=_sentence(found), picture=out / "scaling.png")


def study(family: Family, most: int, dense: int, rounds: int) -> list[Timed]:
    """Time every method at every dimension.

    Args:
        family: The problems.
        most: The largest dimension.
        dense: The largest dimension for dense Newton.
        rounds: How often each run is timed.

    Returns:
        A record for each method and dimension.
    """
    timed = []
    for method in THEORY:
        n = SMALLEST
        while n <= (min(dense, most) if method == "newton" else most):
            timed.append(prepared(family, method, n))
            n *= FACTOR
    for _ in range(rounds):
        for one in timed:
            begin = time.perf_counter()
            jax.block_until_ready(one.run(*one.given))
            one.seconds.append((time.perf_counter() - begin) / one.steps)
    return timed


def prepared(family: Family, method: str, n: int) -> Timed:
    """Compile a run, and run it once.

    Args:
        family: The problems.
        method: Its name.
        n: How many parameters.

    Returns:
        The record, with nothing timed yet but compiling.
    """
    optimizer = {
        "gradient descent": optax.sgd(family.rate),
        "newton": newton(),
        "newton CG": newton_cg(),
    }[method]

    def run(starts: Any, args: Any) -> Any:
        def hessian_fn(params: Any) -> Any:
            assert family.hessian is not None
            return family.hessian(params, *args)

        own = newton(hessian_fn=hessian_fn) if family.hessian else optimizer

        def one(start: Any) -> Any:
            solution = minimize(
                family.loss,
                start,
                own if method == "newton" else optimizer,
                args=args,
                max_steps=STEPS[method],
                tol=0.0,
            )
            return solution.params, solution.steps, solution.work

        return jax.lax.map(one, starts)

    # Where a run is short, a call makes several of them, or it would count itself.
    count = int(np.clip(1024 // n, 1, 64))
    starts, args = family.make(n)
    given = (jax.tree.map(lambda leaf: jnp.stack([leaf] * count), starts), args)
    begin = time.perf_counter()
    program = jax.jit(run).lower(*given).compile()
    compiling = time.perf_counter() - begin
    _, taken, work = jax.block_until_ready(program(*given))
    memory = program.memory_analysis()
    taken = int(taken.sum())
    return Timed(
        method=method,
        n=n,
        run=program,
        given=given,
        compiling=compiling,
        memory=float(getattr(memory, "temp_size_in_bytes", np.nan)),
        steps=taken,
        work={k: float(v.sum()) / taken for k, v in work._asdict().items()},
    )


def slope(timed: list[Timed]) -> tuple[float, float, int]:
    """Exponent of n over the upper half of the dimensions.

    Every round gives a line through the logarithms, and so a slope of its own.

    Args:
        timed: One method, dimension by dimension.

    Returns:
        The mean slope, half of its 95% confidence interval (Student's, over the
        rounds), and the first dimension that counts.
    """
    upper = timed[min(len(timed) // 2, len(timed) - 2) :]
    n = np.log([one.n for one in upper])
    seconds = np.log([one.seconds for one in upper])
    slopes = np.polyfit(n, seconds, 1)[0]
    rounds = len(slopes)
    half = stdtrit(rounds - 1, 0.975) * slopes.std(ddof=1) / rounds**0.5
    return float(slopes.mean()), float(half), upper[0].n


# Where an exponent stands clear of the lines, in points from the last mark.
_ROOM = {"gradient descent": (-2, -46), "newton": (7, -3), "newton CG": (-2, 5)}


def _of(timed: list[Timed], method: str) -> list[Timed]:
    return [one for one in timed if one.method == method]


def _panel(
    ax: Axes,
    timed: list[Timed],
    what: Callable[[Timed], list[float]],
    *,
    fitted: bool = False,
    hollow: bool = False,
) -> None:
    palette.dress(ax, "light")
    for method, look in palette.looks(THEORY).items():
        ours = _of(timed, method)
        n = np.array([one.n for one in ours])
        low, middle, high = np.quantile(
            [what(one) for one in ours], [0.25, 0.5, 0.75], 1
        )
        ax.loglog(
            n,
            middle,
            color=look.light,
            ls=":" if hollow else look.dash,
            marker=look.marker,
            mfc="white" if hollow else look.light,
        )
        ax.fill_between(n, low, high, color=look.light, alpha=0.25, lw=0)
        if fitted:
            exponent, half, first = slope(ours)
            ax.annotate(
                f"$n^{{{exponent:.2f} \\pm {half:.2f}}}$",
                (n[-1], middle[-1]),
                _ROOM[method],
                textcoords="offset points",
                ha="left" if _ROOM[method][0] > 0 else "right",
                color=look.light,
            )
            upper = n[n >= first]
            centre = np.log(upper).mean()
            level = np.log(middle[n >= first]).mean()
            line = np.exp(level + exponent * (np.log(upper) - centre))
            ax.loglog(upper, line, color=look.light, lw=3.5, alpha=0.25)
    ax.set(xlabel="parameters n")


def _handles(timed: list[Timed]) -> list[Line2D]:
    methods = [
        Line2D([], [], color=look.light, ls=look.dash, marker=look.marker, label=name)
        for name, look in palette.looks(THEORY).items()
        if _of(timed, name)
    ]
    muted = palette.THEMES["light"].muted
    fitted = Line2D([], [], color=muted, lw=3.5, alpha=0.25, label="fitted exponent")
    return [*methods, fitted]


def _table(found: dict[str, list[Timed]]) -> str:
    lines = [
        "Exponents of n in the time of a step, over the upper half of the dimensions, "
        "with 95% intervals over the rounds.",
        "",
        "| problem | method | exponent | theory | n | ms a step | gradients | products "
        "| Hessians | compiling, s | MB |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, timed in found.items():
        for method, (least, most) in THEORY.items():
            ours = _of(timed, method)
            exponent, half, first = slope(ours)
            last, theory = (
                ours[-1],
                f"{least}" if least == most else f"{least} to {most}",
            )
            cells = [
                FAMILIES[name].title,
                method,
                f"{exponent:.2f} ± {half:.2f}",
                theory,
                f"{first:,} to {last.n:,}",
                f"{1e3 * ours[-1].median:.3g}",
                *(f"{last.work[k]:.1f}" for k in ("gradients", "hvps", "hessians")),
                f"{ours[0].compiling:.1f} to {last.compiling:.1f}",
                f"{last.memory / 1e6:.3g}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _sentence(found: dict[str, list[Timed]]) -> str:
    timed = found["valley"]
    said = {m: slope(_of(timed, m)) for m in THEORY}
    exponents = {m: f"n^{e:.2f} (± {h:.2f})" for m, (e, h, _) in said.items()}
    dense, free = _of(timed, "newton")[-1], _of(timed, "newton CG")[-1]
    near = min(_of(timed, "newton CG"), key=lambda t: abs(np.log(t.n / dense.n)))
    return (
        "On Rosenbrock's chained valley the time of a step grows as "
        f"{exponents['gradient descent']} for gradient descent, "
        f"{exponents['newton']} for dense Newton and {exponents['newton CG']} for "
        f"Newton-CG. At {dense.n:,} parameters a dense step costs "
        f"{dense.median / near.median:,.0f} of Newton-CG's, and as much as "
        f"{dense.median / free.median:.2g} of its steps with {free.n:,} parameters."
    )


if __name__ == "__main__":
    print(main().sentence)
