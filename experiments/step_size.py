"""How small should the step of a difference quotient be?"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from experiments.finding import Finding
from jaxcalc.derivatives import numerical_derivative
from jaxcalc.reports import palette, pictures

TINY = {"points": 12}


def main(
    out: Path = Path("results/step_size"), *, x: float = 0.8, points: int = 160
) -> Finding:
    """Error against step, for four ways to differentiate exp(x) sin(x).

    Truncation makes the error of a forward quotient fall like h, that of a central one
    like h²; rounding makes it grow like ε/h. A complex step has no difference to
    round, and the ladder takes many steps together.

    Args:
        out: Where to write.
        x: Where to differentiate.
        points: How many steps.

    Returns:
        The V-shaped curves, with the lines of theory.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 2.7), layout="constrained")
        for ax, dtype in zip(figure.subplots(1, 2, sharey=True), _DTYPES, strict=True):
            rows += _panel(ax, np.dtype(dtype), x, points)
        figure.axes[0].set_ylabel("relative error")
        handles, labels = figure.axes[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        pictures.save(figure, out / "step_size")
    head = "| dtype | method | best step | relative error |\n|:--|:--|--:|--:|\n"
    lines = [f"| {d} | {m} | {h} | {e:.1e} |" for d, m, h, e in rows]
    (out / "table.md").write_text(head + "\n".join(lines) + "\n")
    best = {(d, m): e for d, m, _, e in rows}
    return Finding(
        sentence="In float64 the best forward quotient is off by "
        f"{best['float64', 'forward']:.0e}, the best central one by "
        f"{best['float64', 'central']:.0e}, the complex step by "
        f"a rounding; the ladder, which finds its steps "
        f"itself, by {best['float64', 'ladder']:.0e}. In float32 forward, central and "
        f"ladder reach {best['float32', 'forward']:.0e}, "
        f"{best['float32', 'central']:.0e} and {best['float32', 'ladder']:.0e}.",
        picture=out / "step_size.png",
    )


_EXACT = 1e-17  # where an error of zero is drawn
_DTYPES = ("float32", "float64")


def _f(x: jax.Array) -> jax.Array:
    return jnp.exp(x) * jnp.sin(x)


@jax.jit
def _forward(x: jax.Array, h: jax.Array) -> jax.Array:
    return (_f(x + h) - _f(x)) / h


@jax.jit
def _central(x: jax.Array, h: jax.Array) -> jax.Array:
    return (_f(x + h) - _f(x - h)) / (2 * h)


@jax.jit
def _complex(x: jax.Array, h: jax.Array) -> jax.Array:
    return jnp.imag(_f(jax.lax.complex(jnp.broadcast_to(x, h.shape), h))) / h


_METHODS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "forward": _forward,
    "central": _central,
    "complex step": _complex,
}


def _panel(
    ax: Axes, dtype: np.dtype, x: float, points: int
) -> list[tuple[str, str, str, float]]:
    eps = float(np.finfo(dtype).eps)
    steps = np.geomspace(eps / 4, 1.0, points).astype(dtype)
    at, rows = np.asarray(x, dtype), []
    true = float(np.exp(float(at)) * (np.sin(float(at)) + np.cos(float(at))))
    for look, (name, method) in zip(palette.LOOKS, _METHODS.items(), strict=False):
        values = np.asarray(method(jnp.asarray(at), jnp.asarray(steps)), float)
        errors = np.maximum(np.abs(values / true - 1), _EXACT)
        ax.loglog(steps, errors, ".", ms=2.5, color=look.light, label=name)
        k = int(np.argmin(errors))
        rows.append((dtype.name, name, f"{steps[k]:.0e}", float(errors[k])))
    _theory(ax, steps.astype(float), eps, float(at), true)
    value, error = numerical_derivative(_f, at)
    off = max(abs(float(value) / true - 1), _EXACT)
    look = palette.LOOKS[3]
    ax.axhline(off, color=look.light, lw=1.2, label="ladder")
    stated = float(error) / abs(true)
    ax.axhline(
        stated, color=look.light, lw=0.8, ls=(0, (4, 2)), label="its stated error"
    )
    rows.append((dtype.name, "ladder", "its own", off))
    palette.dress(ax, "light")
    ax.set(xlabel="step h", title=dtype.name, ylim=(4e-18, 5))
    ax.xaxis.set_major_locator(LogLocator(numticks=6))
    ax.minorticks_off()
    return rows


def _theory(ax: Axes, h: np.ndarray, eps: float, x: float, slope: float) -> None:
    """Truncation h |f''| / 2 and h² |f'''| / 6, rounding ε |f| / h."""
    value = np.exp(x) * np.sin(x)
    second = 2 * np.exp(x) * np.cos(x)
    third = 2 * np.exp(x) * (np.cos(x) - np.sin(x))
    lines = (
        (h * abs(second) / 2, palette.LOOKS[0].light, "h|f″|/2"),
        (h**2 * abs(third) / 6, palette.LOOKS[1].light, "h²|f‴|/6"),
        (eps * abs(value) / h, palette.THEMES["light"].muted, "rounding ε|f|/h"),
    )
    for error, color, label in lines:
        relative = error / abs(slope)
        shown = relative > eps / 8
        ax.loglog(h[shown], relative[shown], lw=0.8, color=color, label=label)


if __name__ == "__main__":
    print(main().sentence)
