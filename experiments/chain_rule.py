"""How does a network's error find its way back to the weights?"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from experiments.finding import Finding
from jaxcalc.derivatives import numerical_gradient
from jaxcalc.reports import palette, pictures

TINY = {"depth": 3, "width": 4}
_BLUE, _ORANGE, _GREEN = (look.light for look in palette.LOOKS[:3])


class Link(NamedTuple):
    """One step of the calculation, forwards and backwards."""

    name: str
    forward: str
    value: float
    local: str
    backward: float


def main(
    out: Path = Path("results/chain_rule"), *, depth: int = 8, width: int = 16
) -> Finding:
    """Backpropagation by hand beside `jax.grad`, then through a deeper network.

    The example: a = σ(w x + b), L = (a − y)² / 2, at w = 0.5, b = 0.1, x = 2, y = 1.

    Args:
        out: Where to write.
        depth: Layers of the deeper network.
        width: Units of each layer.

    Returns:
        The chain of derivatives as a picture, and the size of each layer's gradient.
    """
    out.mkdir(parents=True, exist_ok=True)
    links = by_hand(0.5, 0.1, 2.0, 1.0)
    params = {"w": jnp.asarray(0.5), "b": jnp.asarray(0.1)}
    automatic = jax.grad(_loss)(params, 2.0, 1.0)
    numerical = numerical_gradient(_loss, params, 2.0, 1.0).value
    (out / "table.md").write_text(_table(links, automatic, numerical) + "\n")
    sizes = {name: _sizes(depth, width, name) for name in ("sigmoid", "tanh", "ReLU")}
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 2.9), layout="constrained")
        chain, deep = figure.subplots(1, 2, width_ratios=(2.3, 1))
        _draw_chain(chain, links)
        _draw_deep(deep, sizes)
        pictures.save(figure, out / "chain_rule")
    hand = {link.name: link.backward for link in links}
    off = max(abs(hand[k] - float(automatic[k])) for k in ("w", "b"))
    ratio = {name: s[0] / s[-1] for name, s in sizes.items()}
    return Finding(
        sentence=f"By hand the derivatives are dL/dw = {hand['w']:.4f} and dL/db = "
        f"{hand['b']:.4f}; jax.grad agrees to {off:.0e}. Through {depth} "
        "layers, the gradient of the first is "
        f"{ratio['sigmoid']:.0e} times the last one's with sigmoids, "
        f"{ratio['tanh']:.1g} times with tanh and {ratio['ReLU']:.1g} with ReLUs.",
        picture=out / "chain_rule.png",
    )


def by_hand(w: float, b: float, x: float, y: float) -> list[Link]:
    """Forwards to the loss, and back, each derivative from the one after it.

    Args:
        w: Weight.
        b: Bias.
        x: Input.
        y: Target.

    Returns:
        The links, in the order of the forward pass.
    """
    z = w * x + b
    a = float(1 / (1 + np.exp(-z)))
    loss = (a - y) ** 2 / 2
    dl = 1.0
    da = dl * (a - y)
    dz = da * a * (1 - a)
    return [
        Link("w", "w", w, "dL/dz · x", dz * x),
        Link("b", "b", b, "dL/dz · 1", dz),
        Link("z", "w x + b", z, "dL/da · a (1 − a)", dz),
        Link("a", "σ(z)", a, "a − y", da),
        Link("L", "(a − y)² / 2", loss, "1", dl),
    ]


def _loss(params: Any, x: float, y: float) -> Array:
    a = jax.nn.sigmoid(params["w"] * x + params["b"])
    return (a - y) ** 2 / 2


def _table(links: list[Link], automatic: Any, numerical: Any) -> str:
    lines = [
        "Forwards, top to bottom; backwards, bottom to top.",
        "",
        "| quantity | formula | value | backwards | dL/d | jax.grad | differences |",
        "|:--|:--|--:|:--|--:|--:|--:|",
    ]
    for link in links:
        cells = ["", ""]
        if link.name in automatic:
            cells = [f"{float(g[link.name]):.10f}" for g in (automatic, numerical)]
        lines.append(
            f"| {link.name} | {link.forward} | {link.value:.10f} | {link.local} | "
            f"{link.backward:.10f} | {cells[0]} | {cells[1]} |"
        )
    return "\n".join(lines)


_ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "ReLU": jax.nn.relu}


def _sizes(depth: int, width: int, activation: str) -> np.ndarray:
    """Norm of the gradient of each layer's weights, first layer first."""
    act = _ACTIVATIONS[activation]
    gain = np.sqrt(2.0) if activation == "ReLU" else 1.0
    keys = jax.random.split(jax.random.key(1), depth + 1)
    weights = [
        gain * jax.random.normal(key, (width, width)) / np.sqrt(width)
        for key in keys[:-1]
    ]
    x = jax.random.normal(keys[-1], (width,))

    def loss(weights: list[Array], x: Array) -> Array:
        for w in weights:
            x = act(w @ x)
        return jnp.mean((x - 1.0) ** 2)

    gradients = jax.grad(loss)(weights, x)
    return np.array([float(jnp.linalg.norm(g)) for g in gradients])


def _draw_chain(ax: Axes, links: list[Link]) -> None:
    by_name = {link.name: link for link in links}
    places = {"w": (0.0, 1.2), "b": (0.0, -1.2), "z": (3.3, 0.0)}
    places |= {"a": (6.8, 0.0), "L": (10.3, 0.0)}
    for name, (x, y) in places.items():
        link = by_name[name]
        box = FancyBboxPatch(
            (x - 0.9, y - 0.36), 1.8, 0.72, boxstyle="round,pad=0.05",
            fc="#f3f5f8", ec=palette.THEMES["light"].muted, lw=0.8,
        )  # fmt: skip
        ax.add_patch(box)
        ax.text(
            x,
            y,
            f"{name} = " + f"{link.value:.4f}".rstrip("0"),
            ha="center",
            va="center",
        )
        derivative = _minus(f"dL/d{name} = {link.backward:.4f}")
        place, va = (y + 0.52, "bottom") if name == "w" else (y - 0.6, "top")
        style = {"ha": "center", "color": _ORANGE, "fontsize": 7.5}
        aside = 0.3 if name == "z" else 0.0  # off the arrows from b
        ax.text(x + aside, place, derivative, va=va, **style)
        if link.forward != name:
            ax.text(x, y + 0.58, link.forward, ha="center", color=_BLUE, fontsize=7.5)
    locals_ = {("w", "z"): "x = 2", ("b", "z"): "1"}
    locals_ |= {("z", "a"): "a (1 − a)", ("a", "L"): "a − y"}
    a = by_name["a"].value
    numbers = {("z", "a"): a * (1 - a), ("a", "L"): by_name["a"].backward}
    for (start, end), text in locals_.items():
        _arrows(ax, places[start], places[end])
        x, y = (np.array(places[start]) + np.array(places[end])) / 2
        if (start, end) in numbers:
            text += _minus(f"\n= {numbers[start, end]:.4f}")
        side = 1 if start != "b" else -1
        at = (x, y + 0.2) if start in "za" else (x + 0.15, y + 0.42 * side)
        va = "bottom" if start in "za" else "center"
        ax.text(*at, text, ha="center", va=va, fontsize=7, color=_GREEN)
    ax.set(xlim=(-1.3, 11.6), ylim=(-2.3, 2.2), title="Forwards and back")
    ax.text(3.6, -1.9, "each link back multiplies by its local slope",
            color=_GREEN, fontsize=7.5)  # fmt: skip
    ax.set_axis_off()


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _arrows(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.linalg.norm(b - a)
    aside = 0.09 * np.array([-along[1], along[0]])
    a, b = a + 1.12 * along, b - 1.12 * along
    for color, (tail, head) in ((_BLUE, (a + aside, b + aside)),
                                (_ORANGE, (b - aside, a - aside))):  # fmt: skip
        ax.annotate(
            "",
            tuple(head),
            tuple(tail),
            arrowprops={"arrowstyle": "->", "color": color},
        )


def _draw_deep(ax: Axes, sizes: dict[str, np.ndarray]) -> None:
    for look, (name, norms) in zip(palette.LOOKS, sizes.items(), strict=False):
        layers = np.arange(1, len(norms) + 1)
        ax.semilogy(layers, norms, marker=look.marker, color=look.light, label=name)
    ax.set(xlabel="layer", ylabel="norm of dL/dW", title="Through a deeper network")
    ax.locator_params(axis="x", integer=True)
    ax.legend()
    palette.dress(ax, "light")


if __name__ == "__main__":
    print(main().sentence)
