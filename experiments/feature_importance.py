"""Which features does a network use, and do gradients and shuffles agree on it?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.finding import Finding
from jaxcalc import losses, minimize, problems
from jaxcalc.analysis import Importance, importance
from jaxcalc.reports import palette, pictures

TINY = {"bootstraps": 5, "repeats": 1, "max_steps": 3}

_DIABETES = {
    "age": "age",
    "sex": "sex",
    "bmi": "body mass index",
    "bp": "blood pressure",
    "s1": "cholesterol",
    "s2": "LDL",
    "s3": "HDL",
    "s4": "cholesterol / HDL",
    "s5": "log triglycerides",
    "s6": "blood sugar",
}
_SHOWN = 12


class Case(NamedTuple):
    """A data set, and what is lost where a prediction is wrong."""

    title: str
    unit: str
    names: list[str]
    X: Array
    y: Array
    loss: Callable[..., Any]


class Fit(NamedTuple):
    """What was found for a data set."""

    case: Case
    found: Importance
    test_loss: float
    guess_loss: float  # of the best constant


def main(
    out: Path = Path("results/feature_importance"),
    *,
    hidden: int = 8,
    ridge: float = 3e-2,
    bootstraps: int = 500,
    repeats: int = 10,
    max_steps: int = 300,
) -> Finding:
    """Gradients with intervals beside permutation importance, on two data sets.

    A small network learns from seven in ten of the examples; importances are those of
    the others.

    Args:
        out: Where to write.
        hidden: Hidden units.
        ridge: Factor of the penalty on the weights.
        bootstraps: Resamples behind each interval.
        repeats: How many times each feature is shuffled.
        max_steps: Steps of the fit, by L-BFGS.

    Returns:
        One picture, a panel for each data set.
    """
    out.mkdir(parents=True, exist_ok=True)
    fits = []
    for case in (_breast_cancer(), _diabetes()):
        order = np.random.default_rng(0).permutation(len(case.y))
        train, test = np.split(order, [round(0.7 * len(order))])
        start = losses.init_mlp(jax.random.key(0), (case.X.shape[1], hidden, 1))
        args = (case.X[train], case.y[train], jnp.asarray(ridge))
        fitted = minimize(
            _objective(case.loss),
            start,
            optax.lbfgs(),
            args=args,
            max_steps=max_steps,
        )
        X, y = case.X[test], case.y[test]
        found = importance(
            _model,
            fitted.params,
            X,
            y,
            loss=case.loss,
            feature_names=case.names,
            bootstraps=bootstraps,
            repeats=repeats,
        )
        fits.append(Fit(case, found, found.loss, _best_guess(case, train, y)))
    (out / "table.md").write_text("\n\n".join(map(_table, fits)) + "\n")
    with palette.drawing("light"):
        figure = Figure(figsize=(palette.DOUBLE, 3.6), layout="constrained")
        for ax, fit in zip(figure.subplots(1, 2), fits, strict=True):
            _draw(ax, fit)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        pictures.save(figure, out / "feature_importance")
    return Finding(
        sentence=" ".join(map(_sentence, fits)),
        picture=out / "feature_importance.png",
    )


def _breast_cancer() -> Case:
    from sklearn.datasets import load_breast_cancer

    X, y, _ = problems.breast_cancer().args
    bunch: Any = load_breast_cancer()
    names = [str(name) for name in bunch.feature_names]
    title, unit = "Breast cancer: benign?", "nats"
    return Case(title, unit, names, X, y, losses.logistic_loss)


def _diabetes() -> Case:
    from sklearn.datasets import load_diabetes

    bunch: Any = load_diabetes(scaled=False)
    names = [_DIABETES[name] for name in bunch.feature_names]
    X, y = (np.asarray(a, float) for a in (bunch.data, bunch.target))
    X, y = ((a - a.mean(axis=0)) / a.std(axis=0) for a in (X, y))
    title, unit = "Diabetes: progression", "variances"
    return Case(
        title, unit, names, jnp.asarray(X), jnp.asarray(y), losses.mean_squared_error
    )


def _model(params: Any, X: Array) -> Array:
    return losses.mlp(params, X)[:, 0]


def _objective(loss: Callable[..., Any]) -> Callable[..., Array]:
    def objective(params: Any, X: Array, y: Array, ridge: Array) -> Array:
        weights = [layer["w"] for layer in params]
        return loss(_model(params, X), y) + losses.ridge_penalty(weights, ridge)

    return objective


def _best_guess(case: Case, train: np.ndarray, y: Array) -> float:
    """Loss of the constant that is best on the training examples."""
    mean = float(jnp.mean(case.y[train]))
    guess = mean if case.loss is losses.mean_squared_error else 2 * np.arctanh(mean)
    return float(case.loss(jnp.full(len(y), guess), y))


def _draw(ax: Axes, fit: Fit) -> None:
    found = fit.found
    assert found.permutation is not None
    assert found.permutation_interval is not None
    order = np.argsort(-found.gradient, kind="stable")[:_SHOWN]
    place = np.arange(len(order))
    measures = (
        ("gradient × scale", found.gradient, found.gradient_interval),
        ("integrated gradients", found.integrated, found.integrated_interval),
        ("permutation", found.permutation, found.permutation_interval),
    )
    for k, (label, value, ends) in enumerate(measures):
        look = palette.LOOKS[(0, 2, 1)[k]]
        largest = max(float(value.max()), np.finfo(float).tiny)
        low, high = ends[:, order] / largest
        middle = value[order] / largest
        ax.hlines(place + 0.24 * (k - 1), low, high, color=look.light, lw=1.2)
        ax.plot(
            middle,
            place + 0.24 * (k - 1),
            look.marker,
            ms=3.4,
            color=look.light,
            label=label,
        )
    palette.dress(ax, "light")
    ax.axvline(0, color=palette.THEMES["light"].muted, lw=0.6)
    ax.set_yticks(place, [found.feature_names[i] for i in order])
    ax.invert_yaxis()
    ax.set(title=fit.case.title, xlabel="share of the largest, with 95% intervals")


def _table(fit: Fit) -> str:
    head, rows = fit.found.table()
    unit = fit.case.unit
    lines = [
        f"{fit.case.title} Loss {fit.test_loss:.3f} {unit} on examples that were not "
        f"learned from; the best constant has {fit.guess_loss:.3f}.",
        "",
        f"| {' | '.join(head)} |",
        "|:--|" + "--:|" * (len(head) - 1),
    ]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _sentence(fit: Fit) -> str:
    found = fit.found
    assert found.permutation is not None
    assert found.permutation_interval is not None
    sure = int(np.sum(found.permutation_interval[0] > 0))
    shuffled = found.feature_names[int(np.argmax(found.permutation))]
    first = f"gradients put {found.ranking[0]} first, shuffles {shuffled}"
    if found.ranking[0] == shuffled:
        first = f"gradients and shuffles both put {shuffled} first"
    return (
        f"{fit.case.title.split(':')[0]}: {first}; their ranks correlate to "
        f"{found.agreement:.2f}. The price of a shuffle is clearly above zero for "
        f"{sure} of {len(found.feature_names)} features."
    )


if __name__ == "__main__":
    print(main().sentence)
