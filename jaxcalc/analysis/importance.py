"""Which features does a fitted model use? Gradients beside shuffles, with intervals."""

import dataclasses
import html
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.analysis import _sensitivity_resampling as _resampling
from jaxcalc.analysis import _sensitivity_text as _text
from jaxcalc.analysis.attribution import default_tolerance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Importance:
    """How much a model uses each feature, by three measures; `str` gives a table.

    Intervals have shape `(2, d)`, lower end first.

    Attributes:
        feature_names: The features.
        gradient: Mean over the examples of the gradient's size, times the feature's
            standard deviation: units of the output.
        gradient_interval: Its bootstrap interval.
        integrated: Mean size of the integrated gradients: units of the output.
        integrated_interval: Its bootstrap interval.
        converged: Share of the examples whose integrated gradients add up.
        permutation: By how much the loss grows when the feature is shuffled; None
            without targets.
        permutation_interval: Its bootstrap interval.
        loss: The loss with nothing shuffled; NaN without targets.
        scale: The features' standard deviations.
        level: The intervals' level.
        bootstraps: How many resamples they are made of.
        repeats: How many shuffles of each feature.
    """

    feature_names: tuple[str, ...]
    gradient: np.ndarray
    gradient_interval: np.ndarray
    integrated: np.ndarray
    integrated_interval: np.ndarray
    converged: float
    permutation: np.ndarray | None
    permutation_interval: np.ndarray | None
    loss: float
    scale: np.ndarray
    level: float
    bootstraps: int
    repeats: int

    @property
    def ranking(self) -> tuple[str, ...]:
        """The features by their gradients, the most important one first."""
        order = np.argsort(-self.gradient, kind="stable")
        return tuple(self.feature_names[i] for i in order)

    @property
    def agreement(self) -> float:
        """Spearman's correlation of gradient and permutation ranks; NaN without both.

        Features that carry the same information part the two: shuffling one costs
        little while the model can read the other.
        """
        if self.permutation is None:
            return float("nan")
        ranks = np.stack([_ranks(a) for a in (self.gradient, self.permutation)])
        if np.any(np.ptp(ranks, axis=1) == 0):
            return float("nan")
        return float(np.corrcoef(ranks)[0, 1])

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The table of features, the most important one first.

        Returns:
            The head and the rows, as text.
        """
        head = ["feature", "gradient × scale", "integrated gradients"]
        columns = [
            (self.gradient, self.gradient_interval),
            (self.integrated, self.integrated_interval),
        ]
        if self.permutation is not None and self.permutation_interval is not None:
            head.append("permutation")
            columns.append((self.permutation, self.permutation_interval))
        order = np.argsort(-self.gradient, kind="stable")
        rows = [
            [
                self.feature_names[i],
                *(_with_interval(float(v[i]), ends[:, i]) for v, ends in columns),
            ]
            for i in order
        ]
        return head, rows

    @property
    def sentence(self) -> str:
        """What the numbers are, in words."""
        said = (
            f"Means over the examples with {self.level:.0%} intervals "
            f"({self.bootstraps} resamples)"
        )
        if self.permutation is not None:
            said += (
                f"; the loss is {_text.number(self.loss)}, each feature was shuffled "
                f"{self.repeats} times. Ranks by gradient and by permutation "
                f"correlate to {self.agreement:.2f}"
            )
        if self.converged < 1:
            said += (
                f". Integrated gradients add up for {self.converged:.0%} of the "
                "examples only"
            )
        return said + "."

    def __str__(self) -> str:
        return f"{self.sentence}\n{_text.text(*self.table())}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.sentence)}</p>{_text.as_html(*self.table())}"


def importance(
    model: Callable[..., Any],
    params: PyTree,
    X: Array | np.ndarray,
    y: Array | np.ndarray | None = None,
    *,
    loss: Callable[..., Any] | None = None,
    feature_names: Sequence[str] | None = None,
    baseline: Array | np.ndarray | None = None,
    bootstraps: int = 500,
    repeats: int = 5,
    level: float = 0.95,
    tol: float | None = None,
    key: Array | None = None,
) -> Importance:
    r"""How much a fitted model uses each feature, over a data set.

    $$g_j = \frac{\sigma_j}{n} \sum_i \left|\partial_j f(x_i)\right|, \qquad
      a_j = \frac{1}{n} \sum_i \left|\mathrm{IG}_j(x_i)\right|, \qquad
      p_j = \overline{L(f(X_{\pi j}), y)} - L(f(X), y)$$

    The first two say what the model's output does, the third what the shuffling of a
    feature costs. They differ where features carry the same information, and where
    the output moves without touching the loss. None of them says what a feature causes.

    The intervals are percentiles over resamples of the examples, the same for all
    features. The model is held fixed, so they do not say what another training set
    would have given; on examples that the model was trained on, `permutation` is too
    kind to features that it overfits.

    Costs about 15 gradients for each example and panel, and for each feature
    `repeats` predictions and `repeats * bootstraps` losses of the data set.

    Args:
        model: `model(params, X) -> (n,)`, one number for each example: a prediction, a
            logit, a probability.
        params: The fitted parameters.
        X: Features, shape `(n, d)`, floating.
        y: Targets, `n` along the first axis; without them nothing is shuffled.
        loss: `loss(predictions, y) -> scalar`, lower being better. Needed with `y`.
        feature_names: A name for each feature.
        baseline: Where integrated gradients begin, shape `(d,)`; by default the mean.
        bootstraps: How many resamples the intervals are made of.
        repeats: How many times each feature is shuffled.
        level: The intervals' level, between 0 and 1.
        tol: Tolerance of the integrated gradients, as in `integrated_gradients`.
        key: A `jax.random` key; fixed by default.

    Returns:
        Importances with intervals, which print as a table.

    Raises:
        TypeError: `X` is not floating, or the model does not return one number for
            each example.
        ValueError: `X` has fewer than two rows, the wrong shape, or numbers that are
            not finite; `y` has another number of rows or comes without `loss`;
            `feature_names` or `baseline` has not one entry for each feature; or
            `bootstraps`, `repeats` or `level` is out of range.

    References:
        Efron and Tibshirani (1993), An introduction to the bootstrap, section 13.3;
        Breiman (2001), Random forests, section 10; Sundararajan, Taly and Yan (2017),
        Axiomatic attribution for deep networks.
    """
    X = _checked_features(X)
    bootstraps = _checks.positive_int("bootstraps", bootstraps)
    repeats = _checks.positive_int("repeats", repeats)
    level = _checks.positive_float("level", level)
    if level >= 1:
        raise ValueError(f"`level` must be between 0 and 1, got {level}")
    n, d = X.shape
    names = [f"x{j}" for j in range(d)] if feature_names is None else feature_names
    names = _text.checked_names("feature_names", names, d)
    _check_model(jax.eval_shape(model, params, X), n)
    if y is not None:
        y = _checked_targets(y, n, loss)
    start = jnp.mean(X, axis=0) if baseline is None else jnp.asarray(baseline, X.dtype)
    if start.shape != (d,):
        raise ValueError(f"`baseline` must have shape {(d,)}, got {start.shape}")
    share = default_tolerance(X.dtype) if tol is None else tol
    share = np.asarray(_checks.positive_float("tol", share, zero=True), X.dtype)
    key, boot_key = jax.random.split(jax.random.key(0) if key is None else key)
    run = _programs.compiled(_resampling.local, model)
    slopes, parts, good = run(params, X, start, share, np.int32(500))
    scale = jnp.std(X, axis=0)
    sizes = jnp.abs(jnp.concatenate([slopes * scale, parts], axis=1))
    drawn = _programs.compiled(_resampling.resampled_means, bootstraps)(sizes, boot_key)
    means, ends = np.asarray(jnp.mean(sizes, axis=0)), _interval(drawn, level)
    found: dict[str, Any] = {"permutation": None, "permutation_interval": None}
    value = float("nan")
    if y is not None:
        shuffled = _programs.compiled(
            _resampling.shuffled, model, loss, bootstraps, repeats
        )
        value, cost, drawn = shuffled(params, X, y, key, boot_key)
        found["permutation"] = np.asarray(cost)
        found["permutation_interval"] = _interval(drawn.T, level)
    return Importance(
        feature_names=names,
        gradient=means[:d],
        gradient_interval=ends[:, :d],
        integrated=means[d:],
        integrated_interval=ends[:, d:],
        converged=float(np.mean(good)),
        loss=float(value),
        scale=np.asarray(scale),
        level=level,
        bootstraps=bootstraps,
        repeats=repeats,
        **found,
    )


def _interval(drawn: Array, level: float) -> np.ndarray:
    ends = ((1 - level) / 2, (1 + level) / 2)
    return np.quantile(np.asarray(drawn), ends, axis=0)


def _with_interval(value: float, ends: np.ndarray) -> str:
    low, high = (_text.number(end, 3) for end in ends)
    return f"{_text.number(value, 3)} [{low}, {high}]"


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal ones shared."""
    below = (values[:, None] > values).sum(axis=1)
    equal = (values[:, None] == values).sum(axis=1)
    return below + (equal - 1) / 2


def _checked_features(X: Any) -> Array:
    if not hasattr(X, "dtype") or not jnp.issubdtype(X.dtype, jnp.floating):
        kind = getattr(X, "dtype", type(X).__name__)
        raise TypeError(f"`X` must be a floating array, got {kind}: gradients need one")
    if X.ndim != 2 or X.shape[0] < 2 or X.shape[1] < 1:
        raise ValueError(
            f"`X` must have shape (n, d) with two examples or more, got {X.shape}"
        )
    if not np.all(np.isfinite(X)):
        raise ValueError("`X` must be finite: drop or fill in what is missing")
    return jnp.asarray(X)


def _checked_targets(y: Any, n: int, loss: Callable[..., Any] | None) -> Array:
    if np.shape(y)[:1] != (n,):
        raise ValueError(
            f"`y` must have {n} rows as `X`, got shape {np.shape(y)}: one target for "
            "each example"
        )
    if loss is None:
        raise ValueError(
            "`y` needs `loss`, a function of predictions and targets: for example "
            "loss=jaxcalc.losses.mean_squared_error"
        )
    y = jnp.asarray(y)
    output = jax.ShapeDtypeStruct((n,), jnp.result_type(float))
    _checks.scalar_loss("loss", jax.eval_shape(loss, output, y))
    return y


def _check_model(output: Any, n: int) -> None:
    shape, dtype = getattr(output, "shape", None), getattr(output, "dtype", None)
    if shape != (n,) or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        given = f"{dtype} of shape {shape}" if shape is not None else repr(output)
        raise TypeError(
            f"`model` must return floating numbers of shape {(n,)}, one for each "
            f"example, got {given}: pick one output, for example with "
            "lambda params, X: model(params, X)[:, 0]"
        )
