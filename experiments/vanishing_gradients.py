"""Where do gradients vanish or explode with depth, and what brings them back?"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from experiments.finding import Finding
from jaxcalc import functions, losses, minimize, problems
from jaxcalc.analysis import GradientFlow, gradient_flow
from jaxcalc.reports import palette, pictures

TINY = {"depths": (2, 4), "train_depth": 4, "steps": 3, "seeds": 1, "examples": 20}

ACTIVATIONS = {
    "sigmoid": functions.sigmoid,
    "tanh": functions.tanh,
    "ReLU": functions.relu,
}


class Recipe(NamedTuple):
    """How a network starts and is wired; numbers, so that one program serves all."""

    gain: float  # standard deviation of a weight, times the root of the width
    norm: float = 0.0  # 1: layer normalization before the activation
    residual: float = 0.0  # 1: the layer's input is added to what it puts out
    clip: float = float("inf")  # largest norm of a gradient that is taken as it is
    activation: int = 0  # its place among them
    idle: int = 0  # layers in front that pass on what they get


# The usual heuristic before 2010 was uniform on ±1/√n, which is a gain of 1/√3. Glorot
# and Bengio keep variances with 1, and 4 for a sigmoid, whose slope is 1/4; He et al.
# with √2 for ReLU.
_OLD = 3**-0.5
_MENDED = {"sigmoid": 4.0, "tanh": 1.0, "ReLU": 2**0.5}
_STYLES = {
    "old start": 3,
    "large start": 10,
    "large start, clipped": 2,
    "initialization": 0,
    "layer norm": 5,
    "residual": 1,
}


def recipes(activation: str) -> dict[str, Recipe]:
    """Two starts that go wrong, and each remedy by itself, for one activation."""
    gain = _MENDED[activation]
    found = {
        "old start": Recipe(_OLD),
        "large start": Recipe(2 * gain),
        "large start, clipped": Recipe(2 * gain, clip=1.0),
        "initialization": Recipe(gain),
        "layer norm": Recipe(_OLD, norm=1.0),
        "residual": Recipe(_OLD, residual=1.0),
    }
    kind = list(ACTIVATIONS).index(activation)
    return {name: one._replace(activation=kind) for name, one in found.items()}


def main(
    out: Path = Path("results/vanishing_gradients"),
    *,
    depths: tuple[int, ...] = (2, 4, 8, 16, 32, 64),
    train_depth: int = 32,
    steps: int = 150,
    seeds: int = 3,
    examples: int = 64,
    rate: float = 0.05,
) -> Finding:
    """Sizes of gradients through networks of depth 2 to 64, before and after remedies.

    The networks tell benign from malignant tumours: 30 features, every layer 30 wide.
    They are trained by gradient descent with momentum, all with one learning rate.

    Args:
        out: Where to write.
        depths: How many hidden layers.
        train_depth: Hidden layers of the networks that are trained.
        steps: Steps of the training.
        seeds: Starts of each network that is trained.
        examples: How many examples.
        rate: The learning rate.

    Returns:
        Sizes through depth and training curves, in one picture.
    """
    out.mkdir(parents=True, exist_ok=True)
    X, y, _ = problems.breast_cancer().args
    X, y = X[:examples], y[:examples]
    found = {}
    for name in ACTIVATIONS:
        kinds = recipes(name)
        # Clipping comes later: at the start it changes nothing.
        wired = {r: one for r, one in kinds.items() if np.isinf(one.clip)}
        stacked = jax.tree.map(lambda *a: jnp.array(a), *kinds.values())
        stacked = jax.tree.map(lambda a: a.astype(jnp.float32), stacked)
        curves = _train(
            stacked._replace(activation=kinds["old start"].activation, idle=0),
            X.astype(jnp.float32),
            y.astype(jnp.float32),
            jnp.float32(rate),
            depth=train_depth,
            steps=steps,
            seeds=seeds,
        )
        found[name] = Result(
            {r: _flow(one, max(depths), X, y) for r, one in wired.items()},
            np.asarray(_changes(kinds["old start"], depths, X, y)),
            dict(zip(kinds, np.asarray(curves), strict=True)),
        )
    (out / "table.md").write_text(_table(found, depths) + "\n")
    _picture(found, max(depths), train_depth, out)
    return Finding(
        sentence=_sentence(found, max(depths), train_depth),
        picture=out / "vanishing_gradients.png",
    )


class Result(NamedTuple):
    """What was found for one activation."""

    flows: dict[str, GradientFlow]  # at the start, of the deepest network
    changes: np.ndarray  # from the last layer to the first, for each depth
    curves: dict[str, np.ndarray]  # losses, `(seeds, steps + 1)`


def _forward(
    hidden: Any, out: Any, X: Array, recipe: Recipe, add: Array
) -> tuple[Array, Array]:
    """Logits, and what every hidden layer puts out, `(depth, n, width)`."""
    depth = len(add)

    def layer(h: Array, own: tuple[Any, Array, Array]) -> tuple[Array, Array]:
        weights, added, index = own
        z = h @ weights["w"] + weights["b"]
        centred = z - jnp.mean(z, axis=-1, keepdims=True)
        spread = jnp.sqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)
        z = jnp.where(recipe.norm == 1, centred / spread, z)
        branch = jax.lax.switch(recipe.activation, list(ACTIVATIONS.values()), z)
        # Branches of depth L add up to the size of one, if each is divided by √L.
        new = jnp.where(recipe.residual == 1, h + branch / depth**0.5, branch)
        h = jnp.where(index < recipe.idle, h, new) + added
        return h, h

    last, outputs = jax.lax.scan(layer, X, (hidden, add, jnp.arange(depth)))
    return last @ out["w"] + out["b"], outputs


def _unmoved(hidden: Any, X: Array) -> Array:
    return jnp.zeros((len(hidden["w"]), *X.shape), X.dtype)


def _moved_loss(
    hidden: Any, add: Array, out: Any, X: Array, y: Array, recipe: Recipe
) -> Array:
    """The loss with something added to what each hidden layer puts out."""
    return losses.logistic_loss(_forward(hidden, out, X, recipe, add)[0], y)


def _loss(hidden: Any, out: Any, X: Array, y: Array, recipe: Recipe) -> Array:
    return _moved_loss(hidden, _unmoved(hidden, X), out, X, y, recipe)


def _outputs(hidden: Any, out: Any, X: Array, y: Array, recipe: Recipe) -> Array:
    del y
    return _forward(hidden, out, X, recipe, _unmoved(hidden, X))[1]


def _start(key: Array, depth: int, width: int, gain: Any) -> tuple[Any, Any]:
    for_hidden, for_out = jax.random.split(key)
    w = jax.random.normal(for_hidden, (depth, width, width))
    hidden = {"w": gain * w / width**0.5, "b": jnp.zeros((depth, width))}
    out = {"w": jax.random.normal(for_out, (width,)) / width**0.5, "b": jnp.zeros(())}
    return hidden, out


def _flow(recipe: Recipe, depth: int, X: Array, y: Array) -> GradientFlow:
    hidden, out = _start(jax.random.key(0), depth, X.shape[1], recipe.gain)
    given = (out, X, y, recipe)
    return gradient_flow(
        _loss, hidden, *given, activations=_outputs, perturbed=_moved_loss, stacked=True
    )


@functools.partial(jax.jit, static_argnames="depths")
def _changes(recipe: Recipe, depths: tuple[int, ...], X: Array, y: Array) -> Array:
    """Signal at the first layer over that at the last, for each depth."""
    most = max(depths)
    hidden, out = _start(jax.random.key(0), most, X.shape[1], recipe.gain)

    def change(depth: Array) -> Array:
        shallow = recipe._replace(idle=most - depth)
        signal = jax.grad(_moved_loss, 1)(
            hidden, _unmoved(hidden, X), out, X, y, shallow
        )
        sizes = jnp.sqrt(jnp.mean(signal**2, axis=(1, 2)))
        return sizes[most - depth] / sizes[-1]

    return jax.vmap(change)(jnp.array(depths))


@functools.partial(jax.jit, static_argnames=("depth", "steps", "seeds"))
def _train(
    kinds: Recipe,
    X: Array,
    y: Array,
    rate: Array,
    *,
    depth: int,
    steps: int,
    seeds: int,
) -> Array:
    """Losses along the training, `(recipes, seeds, steps + 1)`."""

    def loss(params: Any, X: Array, y: Array, recipe: Recipe) -> Array:
        hidden, out = params
        return _loss(hidden, out, X, y, recipe)

    def one(key: Array, recipe: Recipe) -> Array:
        start = _start(key, depth, X.shape[1], recipe.gain)
        start = jax.tree.map(lambda a: a.astype(X.dtype), start)
        optimizer = optax.chain(
            optax.clip_by_global_norm(recipe.clip), optax.sgd(rate, momentum=0.9)
        )
        return minimize(
            loss, start, optimizer, args=(X, y, recipe), max_steps=steps, tol=0.0
        ).trace.value

    keys = jax.random.split(jax.random.key(1), seeds)
    # The activation is one for all: a choice between branches, not between results.
    axes: Any = jax.tree.map(lambda _: 0, kinds)
    axes = axes._replace(activation=None, idle=None)
    return jax.vmap(jax.vmap(one, (0, None)), (None, axes))(keys, kinds)


def _picture(found: dict[str, Result], depth: int, train_depth: int, out: Path) -> None:
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 4.6), layout="constrained")
        top, bottom = figure.subplots(2, 3, sharey="row")
        for ax, (name, one) in zip(top, found.items(), strict=True):
            _draw_flows(ax, name, one.flows)
        for ax, one in zip(bottom, found.values(), strict=True):
            _draw_curves(ax, one.curves)
        top[0].set_ylabel(f"size of dL/dh, {depth} layers")
        bottom[0].set_ylabel(f"training loss, {train_depth} layers")
        handles, labels = bottom[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6)
        pictures.save(figure, out / "vanishing_gradients")


def _draw_flows(ax: Axes, name: str, flows: dict[str, GradientFlow]) -> None:
    for recipe, flow in flows.items():
        look = palette.LOOKS[_STYLES[recipe]]
        assert flow.signals is not None
        layers = np.arange(1, len(flow.signals) + 1)
        ax.semilogy(layers, flow.signals, color=look.light, ls=look.dash)
    palette.dress(ax, "light")
    ax.set(title=name, xlabel="layer, from the input")
    ax.yaxis.set_major_locator(LogLocator(base=1e10, numticks=20))
    ax.minorticks_off()


def _draw_curves(ax: Axes, curves: dict[str, np.ndarray]) -> None:
    for recipe, values in curves.items():
        look = palette.LOOKS[_STYLES[recipe]]
        # Where half of the runs have diverged, the line ends.
        middle = np.median(np.where(np.isfinite(values), values, np.inf), axis=0)
        ax.semilogy(middle, color=look.light, ls=look.dash, label=recipe)
    palette.dress(ax, "light")
    ax.set(xlabel="step", ylim=(5e-4, 20))


def _table(found: dict[str, Result], depths: tuple[int, ...]) -> str:
    lines = [
        f"Hidden layers: {max(depths)}. The rate is what one layer multiplies the "
        "gradient by on its way back.",
        "",
        "| activation | recipe | rate | last to first | verdict | final losses |",
        "|:--|:--|--:|--:|:--|:--|",
    ]
    for name, one in found.items():
        for recipe, curves in one.curves.items():
            flow = one.flows[recipe.removesuffix(", clipped")]
            rate = f"{flow.rate:.4g} ± {flow.rate_error:.1g}"
            losses_ = ", ".join(map(_number, curves[:, -1]))
            lines.append(
                f"| {name} | {recipe} | {rate} | {flow.change:.1g} | {flow.verdict} "
                f"| {losses_} |"
            )
    lines += [
        "",
        "From the old start, the gradient at the first layer over that at the last:",
        "",
        f"| activation | {' | '.join(f'{d} layers' for d in depths)} |",
        "|:--|" + "--:|" * len(depths),
    ]
    for name, one in found.items():
        cells = " | ".join(f"{change:.1g}" for change in one.changes)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) else "diverged"


def _sentence(found: dict[str, Result], depth: int, train_depth: int) -> str:
    rates = ", ".join(
        f"{one.flows['old start'].rate:.2f} ({name})" for name, one in found.items()
    )
    sigmoid = found["sigmoid"].flows["old start"].change
    healthy, learned, idle = [], [], []
    for recipe in list(found["sigmoid"].flows):
        verdicts = {name: one.flows[recipe].verdict for name, one in found.items()}
        ends = {n: np.median(one.curves[recipe][:, -1]) for n, one in found.items()}
        if set(verdicts.values()) == {"healthy"}:
            healthy.append(recipe)
        if all(end < 0.1 for end in ends.values()):
            learned.append(recipe)
        idle += [
            f"{name} with {recipe}"
            for name in found
            if verdicts[name] == "healthy" and ends[name] > 0.5
        ]
    return (
        f"From the start that was usual before 2010, each layer multiplies the "
        f"gradient by {rates}: through {depth} sigmoid layers {sigmoid:.1g} of it is "
        f"left. Healthy with all three activations: {_list(healthy)}. All three learn "
        f"with {train_depth} layers (loss below 0.1 after {_steps(found)} steps) by: "
        f"{_list(learned)}. A healthy gradient at the start is not enough: "
        f"{_list(idle)} did not learn."
    )


def _steps(found: dict[str, Result]) -> int:
    return found["sigmoid"].curves["old start"].shape[1] - 1


def _list(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


if __name__ == "__main__":
    print(main().sentence)
