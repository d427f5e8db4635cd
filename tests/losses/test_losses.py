"""Losses against closed forms, extended precision and other libraries."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from closeness import close

from jaxcalc import losses

DTYPES = [jnp.float32, jnp.float64]
MARGINS = [0.0, 0.3, -0.3, 5.0, -5.0, 30.0, -30.0, 80.0, -80.0]


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    return rng.normal(size=7) * 3, rng.choice([-1.0, 1.0], 7)


def derivatives(f, dtype):
    """Value, first and second derivative of a scalar function at a list of points."""

    def at(points):
        first, second = jax.grad(f), jax.grad(jax.grad(f))
        z = jnp.asarray(points, dtype)
        return [np.asarray(jax.jit(jax.vmap(g))(z)) for g in (f, first, second)]

    return at


def logistic(z):
    return losses.logistic_loss(z[None], jnp.ones(1, z.dtype))


def logistic_oracle(z):
    with mpmath.workdps(60):
        e = mpmath.exp(-mpmath.mpf(float(z)))
        return [float(v) for v in (mpmath.log1p(e), -e / (1 + e), e / (1 + e) ** 2)]


def test_mean_squared_error_is_the_mean_of_squares(sample):
    predictions, targets = sample
    actual = jax.jit(losses.mean_squared_error)(*map(jnp.asarray, sample))
    close(actual, sklearn.metrics.mean_squared_error(targets, predictions), rtol=1e-15)


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.0])
def test_huber_loss_is_scipys_mean(sample, delta):
    predictions, targets = sample
    actual = losses.huber_loss(*map(jnp.asarray, sample), delta=delta)
    expected = scipy.special.huber(delta, predictions - targets).mean()
    close(actual, expected, rtol=1e-14)


def test_huber_gradient_is_the_clipped_residual():
    residuals = jnp.array([-1e9, -3.0, -1.0, 0.0, 0.5, 1.0, 3.0, jnp.inf, -jnp.inf])
    loss = lambda r: losses.huber_loss(r, jnp.zeros_like(r)) * r.size  # noqa: E731
    close(jax.jit(jax.grad(loss))(residuals), np.clip(residuals, -1, 1), rtol=0, atol=0)


def test_ridge_penalty_is_half_the_squared_length_of_the_whole_tree():
    tree = {"w": jnp.array([[1.0, 2.0], [3.0, 4.0]]), "b": (jnp.array(5.0),)}
    close(losses.ridge_penalty(tree, 0.1), 0.05 * (1 + 4 + 9 + 16 + 25), rtol=1e-15)
    gradient = jax.grad(losses.ridge_penalty)(tree, 0.1)
    close(gradient["w"], 0.1 * tree["w"], rtol=1e-15)


def test_logistic_loss_is_sklearns_log_loss(sample):
    logits, labels = sample
    actual = jax.jit(losses.logistic_loss)(*map(jnp.asarray, sample))
    p = scipy.special.expit(logits)
    close(actual, sklearn.metrics.log_loss(labels, p), rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logistic_derivatives_keep_their_relative_accuracy(dtype):
    actual = derivatives(logistic, dtype)(MARGINS)
    expected = np.transpose([logistic_oracle(dtype(z)) for z in MARGINS])
    for a, e in zip(actual, expected, strict=True):
        # A few roundings: exponentials of 80 amplify that of their argument.
        close(a, e, rtol=20 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logistic_loss_has_its_limits_at_huge_and_infinite_margins(dtype):
    value, slope, curvature = derivatives(logistic, dtype)(
        [1e9, np.inf, -1e9, -np.inf, np.nan]
    )
    close(value, np.array([0, 0, 1e9, np.inf, np.nan], dtype), rtol=0, atol=0)
    close(slope, np.array([0, 0, -1, -1, np.nan], dtype), rtol=0, atol=0)
    close(curvature, np.array([0, 0, 0, 0, np.nan], dtype), rtol=0, atol=0)


def test_logistic_third_and_fourth_derivatives_are_right_at_zero_and_in_saturation():
    third = jax.grad(jax.grad(jax.grad(logistic)))
    s = scipy.special.expit
    for z in (0.0, 2.0, -40.0, 40.0):
        # Of log(1 + e^-z): minus the second derivative times tanh(z / 2).
        expected = -s(z) * s(-z) * np.tanh(z / 2)
        close(jax.jit(third)(z), expected, rtol=1e-13, atol=0)
    close(jax.jit(jax.grad(third))(0.0), -1 / 8, rtol=1e-14)


@jax.jit
def cross_entropy(z, label):
    return losses.softmax_cross_entropy(z[None], label[None])


slope = jax.jit(jax.grad(cross_entropy))
forward = jax.jit(jax.hessian(cross_entropy))
reverse = jax.jit(jax.jacrev(jax.grad(cross_entropy)))


def cross_entropy_oracle(z, label):
    """Value, gradient and Hessian in 80 digits."""
    with mpmath.workdps(80):
        e = [mpmath.exp(mpmath.mpf(float(v))) for v in z]
        p = [v / sum(e) for v in e]
        k = range(len(p))
        value = -mpmath.log(p[label])
        slope = [p[c] - (c == label) for c in k]
        H = [[p[c] * ((c == j) - p[j]) for j in k] for c in k]
    return float(value), np.array(slope, float), np.array(H, float)


ROWS = {
    "ordinary": [0.5, -1.0, 2.0],
    "equal": [1.0, 1.0, 1.0],
    "two at the top": [3.0, 3.0, -1.0],
    "decided": [40.0, 0.0, 1.0],
    "far decided": [0.0, 80.0, 20.0],
    "shifted": [1000.0, 1001.0, 970.0],
}


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_derivatives_keep_their_relative_accuracy(row, label, dtype):
    z = jnp.asarray(row, dtype)
    expected = cross_entropy_oracle(np.asarray(z), label)
    # A few roundings; what is below the smallest normal number becomes zero.
    rtol, atol = 20 * np.finfo(dtype).eps, np.finfo(dtype).tiny
    y = jnp.asarray(label)
    close(cross_entropy(z, y), expected[0], rtol=rtol, atol=atol)
    close(slope(z, y), expected[1], rtol=rtol, atol=atol)
    close(forward(z, y), expected[2], rtol=rtol, atol=atol)
    close(reverse(z, y), expected[2], rtol=rtol, atol=atol)


def test_softmax_cross_entropy_is_scipys_mean():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(9, 4)) * 5, rng.integers(0, 4, 9)
    actual = jax.jit(losses.softmax_cross_entropy)(*map(jnp.asarray, (logits, labels)))
    expected = -scipy.special.log_softmax(logits, axis=1)[np.arange(9), labels].mean()
    close(actual, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_has_its_limits_at_infinite_logits(dtype):
    z = jnp.array([np.inf, 0, -np.inf], dtype)
    for label, value, gradient in (
        (0, 0, [0, 0, 0]),
        (1, np.inf, [1, -1, 0]),
        (2, np.inf, [1, 0, -1]),
    ):
        y = jnp.asarray(label)
        close(cross_entropy(z, y), dtype(value), rtol=0, atol=0)
        close(slope(z, y), np.array(gradient, dtype), rtol=0, atol=0)
        assert not np.any(forward(z, y))


def test_cross_entropy_at_huge_logits_is_their_difference():
    z = jnp.array([1e9, -1e9, 0.0])
    for label, value in enumerate([0, 2e9, 1e9]):
        close(cross_entropy(z, jnp.asarray(label)), value, rtol=0, atol=0)


def test_a_nan_logit_gives_a_nan_loss():
    for label in (0, 1):
        y = jnp.asarray(label)
        assert np.isnan(cross_entropy(jnp.array([0.0, np.nan, 1.0]), y))


@pytest.mark.parametrize("label", [-1, 3, 100])
def test_a_label_that_does_not_exist_gives_nan(label):
    assert np.isnan(cross_entropy(jnp.zeros(3), jnp.asarray(label)))


def test_hinge_loss_is_sklearns(sample):
    scores, labels = sample
    actual = jax.jit(losses.hinge_loss)(*map(jnp.asarray, sample))
    close(actual, sklearn.metrics.hinge_loss(labels, scores), rtol=1e-14)


KINKS = jnp.array([1.0, -1.0, 0.5, 3.0, -2.0, 1e9, -1e9])
KINK_LABELS = jnp.array([1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0])


def test_jax_takes_the_middle_subgradient_of_the_hinge():
    gradient = jax.jit(jax.grad(losses.hinge_loss))(KINKS, KINK_LABELS)
    close(gradient, np.array([-0.5, 0.5, -1, 0, -1, 0, -1]) / 7, rtol=1e-15)
    close(losses.hinge_subgradient(KINKS, KINK_LABELS), gradient, rtol=0, atol=0)


@pytest.mark.parametrize("at_kink", [0.0, 0.3, 1.0])
def test_every_hinge_subgradient_supports_the_loss_from_below(at_kink):
    g = losses.hinge_subgradient(KINKS, KINK_LABELS, at_kink=at_kink)
    close(g[:2], np.array([-at_kink, at_kink]) / 7, rtol=1e-15, atol=0)
    here = losses.hinge_loss(KINKS, KINK_LABELS)
    for step in np.random.default_rng(2).normal(size=(20, 7)):
        there = losses.hinge_loss(KINKS + step, KINK_LABELS)
        assert there >= here + g @ step - 1e-6  # values are near 3e8


def test_a_hinge_subgradient_of_nan_is_nan():
    assert np.isnan(losses.hinge_subgradient(jnp.array([np.nan]), jnp.ones(1)))[0]


PAIRS = [
    losses.mean_squared_error,
    losses.huber_loss,
    losses.logistic_loss,
    losses.hinge_loss,
    losses.hinge_subgradient,
]


@pytest.mark.parametrize("loss", PAIRS, ids=lambda f: f.__name__)
def test_a_mismatch_of_shapes_names_both_arguments(loss, unchecked):
    with pytest.raises(ValueError, match=r"`(targets|labels)` has shape \(4,\) but `"):
        loss(jnp.ones(3), jnp.ones(4))
    with pytest.raises(ValueError, match="nothing is broadcast"):
        loss(jnp.ones(3), jnp.ones((3, 1)))
    with pytest.raises(ValueError, match="no examples"):
        loss(jnp.ones(0), jnp.ones(0))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((4, 3), "one label for each row"), ((5, 1), "at least 2"), ((5,), "`labels`")],
)
def test_softmax_cross_entropy_says_what_shapes_it_needs(shape, message, unchecked):
    with pytest.raises(ValueError, match=message):
        losses.softmax_cross_entropy(jnp.ones(shape), jnp.zeros(5, int))


def test_softmax_cross_entropy_of_no_examples_is_an_error():
    with pytest.raises(ValueError, match="no examples"):
        losses.softmax_cross_entropy(jnp.ones((0, 3)), jnp.zeros(0, int))


def test_options_out_of_range_are_errors():
    one = jnp.ones(1)
    with pytest.raises(ValueError, match="`delta` must be finite and positive"):
        losses.huber_loss(one, one, delta=0.0)
    with pytest.raises(ValueError, match="`at_kink` must be from 0 to 1"):
        losses.hinge_subgradient(one, one, at_kink=1.5)


@pytest.mark.parametrize("loss", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_stay_in_the_dtype_they_are_given(loss, dtype):
    like = jax.ShapeDtypeStruct((3,), dtype)
    assert jax.eval_shape(loss, like, like).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_stays_in_the_dtype_of_the_logits(dtype):
    logits = jax.ShapeDtypeStruct((3, 2), dtype)
    labels = jax.ShapeDtypeStruct((3,), int)
    out = jax.eval_shape(losses.softmax_cross_entropy, logits, labels)
    assert out.dtype == dtype
