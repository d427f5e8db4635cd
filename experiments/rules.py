"""Do the rules of differentiation hold to the last digit?"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc.derivatives import numerical_derivative
from jaxcalc.reports import palette, pictures

TINY = {"points": 5}


class Rule(NamedTuple):
    """A function, the formula of its derivative, and where both are compared."""

    name: str
    f: Callable[[Array], Array]
    formula: Callable[[Array], Array]
    ends: tuple[float, float] = (-2.9, 3.1)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + jnp.exp(-x))


RULES = (
    Rule("constant: 7", lambda x: 7.0 + 0 * x, lambda x: 0 * x),
    Rule("power: x³", lambda x: x**3, lambda x: 3 * x**2),
    Rule("power: √x", jnp.sqrt, lambda x: 0.5 / jnp.sqrt(x), (0.1, 4.0)),
    Rule("power: 1/x", lambda x: 1 / x, lambda x: -1 / x**2, (0.2, 4.0)),
    Rule("sum: x² + sin x", lambda x: x**2 + jnp.sin(x), lambda x: 2 * x + jnp.cos(x)),
    Rule(
        "product: x² sin x",
        lambda x: x**2 * jnp.sin(x),
        lambda x: 2 * x * jnp.sin(x) + x**2 * jnp.cos(x),
    ),
    Rule(
        "quotient: sin x / (1 + x²)",
        lambda x: jnp.sin(x) / (1 + x**2),
        lambda x: (jnp.cos(x) * (1 + x**2) - 2 * x * jnp.sin(x)) / (1 + x**2) ** 2,
    ),
    Rule(
        "chain: (x² + 1)³",
        lambda x: (x**2 + 1) ** 3,
        lambda x: 6 * x * (x**2 + 1) ** 2,
    ),
    Rule("chain: exp(sin x)", lambda x: jnp.exp(jnp.sin(x)),
         lambda x: jnp.exp(jnp.sin(x)) * jnp.cos(x)),
    Rule("exp x", jnp.exp, jnp.exp),
    Rule("ln x", jnp.log, lambda x: 1 / x, (0.2, 4.0)),
    Rule("2ˣ", lambda x: 2.0**x, lambda x: 2.0**x * jnp.log(2.0)),
    Rule("sin x", jnp.sin, jnp.cos),
    Rule("cos x", jnp.cos, lambda x: -jnp.sin(x)),
    Rule("sigmoid", jax.nn.sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
    Rule("tanh", jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2),
    Rule("ReLU", jax.nn.relu, lambda x: jnp.where(x > 0, 1.0, 0.0)),
)  # fmt: skip


class Row(NamedTuple):
    """The largest errors of one rule, over its range."""

    name: str
    automatic: float
    numerical: float
    stated: float


def main(out: Path = Path("results/rules"), *, points: int = 101) -> Finding:
    """Automatic differentiation, formula and differences, side by side.

    Args:
        out: Where to write.
        points: At how many points each rule is tried.

    Returns:
        The largest error of each rule, with what the differences stated.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = [_row(rule, points) for rule in RULES]
    (out / "table.md").write_text(_table(rows) + "\n\n" + _chain() + "\n")
    with palette.drawing("light"):
        pictures.save(_draw(rows), out / "rules")
    worst = max(row.automatic for row in rows)
    differences = max(row.numerical for row in rows)
    cube = float(jax.grad(lambda x: x**3)(2.0))
    return Finding(
        sentence=f"Over {len(RULES)} rules, automatic differentiation and the formulas "
        f"differ by at most {worst:.0e} of the largest slope, differences by at most "
        f"{differences:.0e}; x³ has the slope {cube:g} at 2.",
        picture=out / "rules.png",
    )


def _row(rule: Rule, points: int) -> Row:
    x = jnp.linspace(*rule.ends, points)
    formula = rule.formula(x)
    automatic = jax.vmap(jax.grad(rule.f))(x)
    value, error = numerical_derivative(rule.f, x)
    size = max(float(jnp.max(jnp.abs(formula))), 1.0)
    return Row(
        rule.name,
        float(jnp.max(jnp.abs(automatic - formula))) / size,
        float(jnp.max(jnp.abs(value - formula))) / size,
        float(jnp.max(error)) / size,
    )


def _table(rows: list[Row]) -> str:
    head = "| rule | automatic | differences | stated by differences |"
    lines = [f"| {r.name} | {r.automatic:.1e} | {r.numerical:.1e} | {r.stated:.1e} |"
             for r in rows]  # fmt: skip
    return "\n".join(["Largest errors, of the largest slope.", "", head,
                      "|:--|--:|--:|--:|", *lines])  # fmt: skip


def _chain() -> str:
    """The chain rule of (x² + 1)³ at 2, link by link."""
    x = 2.0
    inner = x**2 + 1
    links = [
        ("u = x² + 1", inner),
        ("du/dx = 2x", 2 * x),
        ("dy/du = 3u²", 3 * inner**2),
        ("dy/dx = dy/du · du/dx", 3 * inner**2 * 2 * x),
        ("jax.grad", float(jax.grad(lambda t: (t**2 + 1) ** 3)(x))),
        (
            "differences",
            float(numerical_derivative(lambda t: (t**2 + 1) ** 3, x).value),
        ),
    ]
    lines = [f"| {name} | {value:.12g} |" for name, value in links]
    head = "The chain rule of y = (x² + 1)³ at x = 2.\n\n| link | value |\n|:--|--:|\n"
    return head + "\n".join(lines)


def _draw(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(palette.DOUBLE * 0.75, 3.4), layout="constrained")
    ax = figure.subplots()
    places = np.arange(len(rows))
    series = (
        ("automatic", [r.automatic for r in rows], palette.LOOKS[0]),
        ("differences", [r.numerical for r in rows], palette.LOOKS[1]),
        ("stated by differences", [r.stated for r in rows], palette.LOOKS[2]),
    )
    floor = 1e-18
    for name, values, look in series:
        shown = np.maximum(values, floor)
        ax.plot(shown, places, look.marker, color=look.light, label=name, ls="", ms=4)
    ax.set_xscale("log")
    ax.set_yticks(places, [r.name for r in rows])
    ax.invert_yaxis()
    ticks = [10.0**k for k in (-18, -16, -14, -12)]
    ax.set_xticks(ticks, ["0", *(f"$10^{{{k}}}$" for k in (-16, -14, -12))])
    ax.minorticks_off()
    ax.set(xlabel="largest error, of the largest slope", xlim=(4e-19, 3e-11))
    palette.dress(ax, "light")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


if __name__ == "__main__":
    print(main().sentence)
