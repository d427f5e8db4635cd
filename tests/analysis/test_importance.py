"""Importance over a data set: closed forms, scikit-learn, intervals that cover."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc import losses
from jaxcalc.analysis.importance import importance

N, D = 300, 4
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(N, D)) * np.array([1.0, 3.0, 0.5, 2.0]))
W = jnp.array([2.0, -1.0, 0.5, 0.0])
PARAMS = {"w": W, "b": jnp.asarray(0.3)}
NAMES = ["one", "two", "three", "none"]


def curved(params, X):
    return jnp.tanh(X @ params["w"]) + params["b"]


@pytest.fixture(scope="module")
def of_linear():
    """A linear model on noiseless targets: everything is known."""
    y = losses.linear(PARAMS, X)
    return importance(
        losses.linear,
        PARAMS,
        X,
        y,
        loss=losses.mean_squared_error,
        feature_names=NAMES,
        repeats=40,
        bootstraps=100,
    )


@pytest.mark.slow
def test_gradients_of_a_linear_model_are_its_weights(of_linear):
    want = np.abs(W) * np.std(X, axis=0)
    close(of_linear.gradient, want)
    close(of_linear.gradient_interval, np.stack([want, want]))
    parts = np.abs(W * (X - X.mean(axis=0)))
    close(of_linear.integrated, parts.mean(axis=0))
    assert of_linear.converged == 1


def test_permutation_of_a_linear_model_costs_twice_the_variance(of_linear):
    # E (w (x - x_π))² = 2 w² var x for a shuffled x_π.
    want = 2 * (np.asarray(W) * np.std(X, axis=0)) ** 2
    # The mean of 40 shuffles of 300 examples.
    close(of_linear.permutation, want, rtol=0.05)
    assert of_linear.permutation[3] == 0
    assert of_linear.loss == 0
    assert of_linear.ranking == ("two", "one", "three", "none")
    close(of_linear.agreement, 1.0)


def test_the_table_has_names_and_intervals(of_linear):
    printed = str(of_linear)
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["two", "one", "three", "none"]
    assert "95% intervals (100 resamples)" in lines[0]
    assert "shuffled 40 times" in lines[0]
    assert "[" in lines[2]
    assert "<table>" in of_linear._repr_html_()


@pytest.mark.slow
def test_the_bootstrap_interval_is_that_of_the_normal_theory():
    found = importance(curved, PARAMS, X, bootstraps=2000)
    slopes = np.abs(jax.vmap(jax.grad(lambda x: curved(PARAMS, x[None])[0]))(X))
    each = slopes * np.std(X, axis=0)
    close(found.gradient, each.mean(axis=0))
    half = 1.96 * each.std(axis=0) / np.sqrt(N)
    low, high = found.gradient_interval
    # Percentiles of 2000 resamples scatter by a few percent of the width.
    close((high - low)[:3] / 2, half[:3], rtol=0.1)
    assert found.permutation is None
    assert np.isnan(found.agreement)
    assert "shuffled" not in str(found)


@pytest.mark.slow
def test_permutation_importance_is_that_of_scikit_learn():
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.inspection import permutation_importance

    class Model(RegressorMixin, BaseEstimator):
        fitted_ = True  # what scikit-learn looks for

        def fit(self, *_):
            return self

        def predict(self, X):
            return np.asarray(curved(PARAMS, X))

    y = curved(PARAMS, X) + 0.3 * RNG.normal(size=N)
    ours = importance(
        curved,
        PARAMS,
        X,
        y,
        loss=losses.mean_squared_error,
        repeats=200,
        bootstraps=10,
    )
    theirs = permutation_importance(
        Model(),
        np.asarray(X),
        np.asarray(y),
        scoring="neg_mean_squared_error",
        n_repeats=200,
        random_state=0,
    )
    error = np.sqrt(2) * theirs.importances_std / np.sqrt(200)
    assert np.all(
        np.abs(ours.permutation - theirs.importances_mean) <= 4 * error + 1e-12
    )


@pytest.mark.slow
def test_intervals_of_permutation_cover_what_other_examples_give():
    y = curved(PARAMS, X) + 0.3 * RNG.normal(size=N)
    options = {"loss": losses.mean_squared_error, "bootstraps": 300}
    half = importance(curved, PARAMS, X[:150], y[:150], **options)
    other = importance(curved, PARAMS, X[150:], y[150:], **options)
    low, high = half.permutation_interval
    assert np.all((low <= half.permutation) & (half.permutation <= high))
    width = high - low
    assert np.all(width[:3] > 0)
    assert width[3] < 1e-12
    # Two independent halves differ by no more than both intervals.
    assert np.all(np.abs(half.permutation - other.permutation) <= 1.5 * width + 1e-12)


@pytest.mark.slow
def test_float32_stays_float32():
    x = X.astype(jnp.float32)
    params = jax.tree.map(lambda p: p.astype(jnp.float32), PARAMS)
    found = importance(curved, params, x, bootstraps=10)
    assert found.gradient.dtype == np.float32
    assert found.converged == 1


@pytest.mark.slow
def test_examples_whose_attributions_do_not_add_up_are_counted():
    def jump(params, X):
        return jnp.where(X[:, 0] > 1, 1.0, 0.0) + params * X[:, 1]

    found = importance(jump, 1.0, X[:40], bootstraps=2)
    beyond = np.mean(np.asarray(X[:40, 0]) > 1)
    close(found.converged, 1 - beyond)
    assert "of the examples only" in str(found)


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"X": jnp.ones((3, D), int)}, TypeError, "`X` must be a floating"),
        ({"X": np.array([["a", "b"]])}, TypeError, "`X` must be a floating"),
        ({"X": jnp.ones((0, D))}, ValueError, "`X` must have shape"),
        ({"X": jnp.ones(D)}, ValueError, "`X` must have shape"),
        ({"X": X.at[0, 0].set(jnp.nan)}, ValueError, "`X` must be finite"),
        ({"y": jnp.ones(3)}, ValueError, "`y` must have 300 rows"),
        ({"y": jnp.ones(N)}, ValueError, "`y` needs `loss`"),
        (
            {"y": jnp.ones(N), "loss": lambda p, y: p - y},
            TypeError,
            "`loss` must return a scalar",
        ),
        ({"feature_names": ["a"]}, ValueError, "`feature_names` has 1 names"),
        ({"feature_names": "abcd"}, TypeError, "`feature_names`"),
        ({"baseline": jnp.ones(3)}, ValueError, "`baseline`"),
        ({"bootstraps": 0}, ValueError, "`bootstraps`"),
        ({"repeats": 0}, ValueError, "`repeats`"),
        ({"level": 95.0}, ValueError, "`level`"),
        ({"tol": -1.0}, ValueError, "`tol`"),
        ({"model": lambda _, X: X}, TypeError, "`model` must return"),
        ({"model": lambda _, X: (X[:, 0],)}, TypeError, "`model` must return"),
    ],
)
def test_bad_input_is_named(wrong, error, match):
    given = {"model": curved, "params": PARAMS, "X": X} | wrong
    with pytest.raises(error, match=match):
        importance(**given)
