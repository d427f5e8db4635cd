"""Would you notice one wrong entry in the gradient of a real network?"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.finding import Finding
from jaxcalc.derivatives import DerivativeReport, check_derivatives
from jaxcalc.reports import palette

TINY = {"hidden": 3, "examples": 40, "steps": 5}
_FAULTY_PIXEL = (3, 4)


def main(
    out: Path = Path("results/gradient_check"),
    *,
    hidden: int = 32,
    examples: int = 500,
    steps: int = 40,
    rate: float = 0.5,
) -> Finding:
    """Train a digit classifier whose first layer has a faulty derivative rule.

    The rule of the layer's product leaves out one entry of the weight gradient.
    Training goes on as if nothing were wrong; the check names the entry.

    Args:
        out: Where to write.
        hidden: Hidden units.
        examples: How many digits.
        steps: Steps of gradient descent, with the right and with the faulty gradient.
        rate: Their learning rate.

    Returns:
        Both training curves, the evidence, and the entry.
    """
    images, digits = _digits(examples)
    params = _start(hidden, images.shape[1])
    faulty = (8 * _FAULTY_PIXEL[0] + _FAULTY_PIXEL[1], 0)
    losses = {
        "right": _loss(_product()),
        "faulty": _loss(_product(faulty)),
    }
    curves, ends = {}, {}
    for name, loss in losses.items():
        curves[name], ends[name] = _train(loss, params, images, digits, steps, rate)
    reports = {
        name: check_derivatives(loss, ends["right"], images, digits)
        for name, loss in losses.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    picture = out / "gradient_check.png"
    _draw(curves, reports, images).savefig(picture, dpi=200)
    page = _write(out, reports)
    return Finding(
        sentence=_sentence(reports, curves, faulty), picture=picture, page=page
    )


def _digits(examples: int) -> tuple[jax.Array, jax.Array]:
    from sklearn.datasets import load_digits

    data = load_digits()
    images = jnp.asarray(data.data[:examples]) / 16  # pyright: ignore
    return images, jnp.asarray(data.target[:examples])  # pyright: ignore


def _start(hidden: int, pixels: int) -> dict[str, jax.Array]:
    first, second = jax.random.split(jax.random.key(0))
    return {
        "w": jax.random.normal(first, (pixels, hidden)) / np.sqrt(pixels),
        "b": jnp.zeros(hidden),
        "v": jax.random.normal(second, (hidden, 10)) / np.sqrt(hidden),
    }


def _product(missing: tuple[int, int] | None = None) -> Any:
    """A layer's product with a hand-written rule, as a fused kernel would have."""

    @jax.custom_vjp
    def product(X: jax.Array, w: jax.Array) -> jax.Array:
        return X @ w

    def backward(saved: Any, c: jax.Array) -> tuple[jax.Array, jax.Array]:
        X, w = saved
        slope = X.T @ c
        if missing is not None:
            slope = slope.at[missing].set(0)
        return c @ w.T, slope

    product.defvjp(lambda X, w: (X @ w, (X, w)), backward)
    return product


def _loss(product: Any) -> Any:
    def loss(params: Any, images: jax.Array, digits: jax.Array) -> jax.Array:
        hidden = jnp.tanh(product(images, params["w"]) + params["b"])
        scores = jax.nn.log_softmax(hidden @ params["v"])
        return -jnp.mean(jnp.take_along_axis(scores, digits[:, None], axis=1))

    return loss


def _train(
    loss: Any,
    params: Any,
    images: jax.Array,
    digits: jax.Array,
    steps: int,
    rate: float,
) -> tuple[np.ndarray, Any]:
    @jax.jit
    def run(params: Any) -> tuple[Any, jax.Array]:
        def step(params: Any, _: None) -> tuple[Any, jax.Array]:
            value, slope = jax.value_and_grad(loss)(params, images, digits)
            return jax.tree.map(lambda p, g: p - rate * g, params, slope), value

        return jax.lax.scan(step, params, length=steps)

    end, curve = run(params)
    return np.asarray(curve), end


def _draw(
    curves: dict[str, np.ndarray],
    reports: dict[str, DerivativeReport],
    images: jax.Array,
) -> Figure:
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 2.5), layout="constrained")
        training, ladder, weights = figure.subplots(1, 3, width_ratios=(3, 3, 2.2))
        _draw_training(training, curves)
        _draw_ladders(ladder, reports)
        _draw_entries(weights, reports["faulty"], images)
    return figure


def _draw_training(ax: Axes, curves: dict[str, np.ndarray]) -> None:
    for look, (name, curve) in zip(palette.LOOKS, curves.items(), strict=False):
        style = "-" if name == "right" else (0, (4, 2))
        ax.plot(curve, color=look.light, linestyle=style, label=f"{name} gradient")
    ax.set(xlabel="step", ylabel="loss", title="Training shows nothing")
    ax.legend(frameon=False)


def _draw_ladders(ax: Axes, reports: dict[str, DerivativeReport]) -> None:
    shown = reports["right"].directions[1].steps
    for look, (name, report) in zip(palette.LOOKS, reports.items(), strict=False):
        direction = report.directions[1]
        gaps = np.abs(np.asarray(direction.quotients) - direction.reverse)
        gaps = np.maximum(gaps / abs(direction.difference), 1e-17)
        within = np.isin(direction.steps, shown)
        steps = np.asarray(direction.steps)[within]
        ax.loglog(
            steps,
            gaps[within],
            color=look.light,
            marker=look.marker,
            markersize=3.5,
            label=f"{name} gradient",
        )
    ax.set(xlabel="step", ylabel="relative gap", title="Gap to the differences")


def _draw_entries(ax: Axes, report: DerivativeReport, images: jax.Array) -> None:
    ax.imshow(np.asarray(images).mean(axis=0).reshape(8, 8), cmap="Greys", alpha=0.5)
    for finding in report.findings:
        for entry in finding.entries:
            row, column = divmod(entry.index[0], 8)
            accent = palette.LOOKS[1].light
            corner = (column - 0.5, row - 0.5)
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, lw=2, ec=accent))
            ax.set_xlabel(
                f"w{list(entry.index)} is {entry.automatic:.3g},\n"
                f"not {entry.difference:.3g}",
                color=accent,
            )
    ax.set(title="What the check names", xticks=[], yticks=[])


def _write(out: Path, reports: dict[str, DerivativeReport]) -> Path:
    parts, texts, marks = [], [], []
    for name, report in reports.items():
        title = f"The {name} gradient"
        parts.append(f"<h2>{title}</h2>\n{report._repr_html_()}")
        texts.append(f"{title}\n\n{report}")
        marks.append(f"## {title}\n\n{report.to_markdown()}")
    page = out / "gradient_check.html"
    page.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<title>Gradient check</title></head>\n"
        '<body style="margin:2em;font-family:system-ui,sans-serif">\n'
        f"<h1>{__doc__}</h1>\n"
        '<img src="gradient_check.png" style="max-width:100%" alt="Training curves, '
        'differences against step, and the entry that was found">\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )
    (out / "gradient_check.txt").write_text("\n\n\n".join(texts) + "\n")
    (out / "gradient_check.md").write_text("\n\n".join(marks) + "\n")
    return page


def _sentence(
    reports: dict[str, DerivativeReport],
    curves: dict[str, np.ndarray],
    faulty: tuple[int, int],
) -> str:
    count = sum(int(np.prod(leaf.shape)) for leaf in reports["faulty"].leaves)
    gap = abs(curves["faulty"][-1] / curves["right"][-1] - 1)
    found = [f.indices for f in reports["faulty"].findings]
    named = faulty in [index for indices in found for index in indices]
    cost = reports["right"].cost
    alarm = "no alarm" if reports["right"].ok else "a false alarm"
    return (
        f"One entry of {count:,} was left out of the gradient. The training loss ended "
        f"{gap:.2%} off; the check {'named' if named else 'did not name'} the entry "
        f"{list(faulty)}. The right gradient raised {alarm}, for {cost['values']} "
        f"values and {cost['gradients']} gradients."
    )


if __name__ == "__main__":
    print(main().sentence)
