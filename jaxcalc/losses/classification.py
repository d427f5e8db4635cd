"""Losses of scores that decide between classes, right in every derivative at any score.

JAX's own second derivatives of `softplus`, `logaddexp` and `logsumexp` subtract nearly
equal numbers once an example is decided (probability near 1): at a logit of 30 they are
wrong by 1% in float64 and zero in float32. Newton's method divides by them. The
derivatives here are products of probabilities instead, which lose no digits.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxcalc.losses import _shapes


@jax.custom_jvp
def _sigmoid(x: jax.Array) -> jax.Array:
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0, 1, e) / (1 + e)


@_sigmoid.defjvp
def _sigmoid_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    # Not s * (1 - s): the difference has no digits left where s rounds to 1.
    return _sigmoid(x), t * (_sigmoid(x) * _sigmoid(-x))


@jax.custom_jvp
def _softplus(x: jax.Array) -> jax.Array:
    # The same exponential as in `_sigmoid`, so that XLA computes it once for the value
    # and its derivatives together.
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@_softplus.defjvp
def _softplus_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return _softplus(x), t * _sigmoid(x)


def logistic_loss(
    logits: Float[Array, " n"], labels: Float[Array, " n"]
) -> Float[Array, ""]:
    r"""Mean negative log-likelihood of labels in {-1, +1}, in nats.

    $$\ell(z, y) = \frac{1}{n} \sum_i \log\left(1 + e^{-y_i z_i}\right)$$

    Convex in `logits` and smooth everywhere, with second derivative at most 1/4 per
    example. Value and derivatives keep their relative accuracy at any logit, infinite
    ones included.

    Args:
        logits: Scores $z$, shape `(n,)`; any real number.
        labels: Classes $y$, shape `(n,)`; each -1 or +1, which is not checked.

    Returns:
        Nats per example, shape `()`, in the promoted dtype of the arrays.

    Raises:
        ValueError: `logits` and `labels` differ in shape, or are empty.

    References:
        Hastie, Tibshirani and Friedman (2009), The Elements of Statistical
        Learning, section 4.4.
    """
    _shapes.same("labels", labels, "logits", logits)
    return jnp.mean(_softplus(-labels * logits))


@jax.custom_jvp
def _softmax(z: jax.Array) -> jax.Array:
    e = jnp.exp(_shifted(z))
    return e / jnp.sum(e, axis=-1, keepdims=True)


def _shifted(z: jax.Array) -> jax.Array:
    # Logits minus their largest; equal infinities differ by zero.
    largest = jax.lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    return jnp.where(z == largest, 0, z - largest)


@_softmax.defjvp
def _softmax_jvp(primals, tangents):
    (z,), (t,) = primals, tangents
    p = _softmax(z)
    # p_c (t_c - sum_j p_j t_j), as p_c sum_{j != c} p_j (t_c - t_j): with p_c near 1
    # the first form loses what the second one sums.
    others = 1 - jnp.eye(z.shape[-1], dtype=p.dtype)
    with jax.default_matmul_precision("highest"):
        return p, p * (t * (p @ others) - (p * t) @ others)


@jax.custom_jvp
def _cross_entropy(z: jax.Array, is_label: jax.Array) -> jax.Array:
    shifted = _shifted(z)
    label = jnp.max(jnp.where(is_label, shifted, -jnp.inf), axis=-1)
    rest = jnp.sum(jnp.where(is_label, 0, jnp.exp(shifted)), axis=-1)
    # log(rest + e^label) - label, in the form that keeps its digits where the label
    # has nearly all the probability (label = 0, rest tiny).
    return jnp.log1p(rest + jnp.expm1(label)) - label


@_cross_entropy.defjvp
def _cross_entropy_jvp(primals, tangents):
    (z, is_label), (t, _) = primals, tangents
    # The label's entry of the gradient is p - 1, written as minus the other ones.
    rest = jnp.where(is_label, 0, _softmax(z))
    gradient = jnp.where(is_label, -jnp.sum(rest, axis=-1, keepdims=True), rest)
    return _cross_entropy(z, is_label), jnp.sum(gradient * t, axis=-1)


def softmax_cross_entropy(
    logits: Float[Array, "n k"], labels: Int[Array, " n"]
) -> Float[Array, ""]:
    r"""Mean negative log-likelihood of classes 0 to k - 1, in nats.

    $$\ell(z, y) = \frac{1}{n} \sum_i
    \left(\log \sum_c e^{z_{ic}} - z_{i y_i}\right)$$

    Convex in `logits` and smooth everywhere, but flat along the direction that adds
    the same number to all logits of an example. Value and derivatives keep their
    relative accuracy at any logit; equal infinite logits share the probability.

    Args:
        logits: Scores $z$, shape `(n, k)`; any real number.
        labels: Classes $y$, shape `(n,)`; integers from 0 to `k - 1`. The loss of any
            other integer is infinite.

    Returns:
        Nats per example, shape `()`, in the dtype of `logits`.

    Raises:
        ValueError: `labels` has not one entry for each row of `logits`, or there are
            none.

    References:
        Hastie, Tibshirani and Friedman (2009), The Elements of Statistical
        Learning, section 4.4.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"`labels` has shape {labels.shape} but `logits` has {logits.shape}: they "
            "must be (n,) and (n, k), one label for each row"
        )
    _shapes.examples("logits", logits)
    is_label = labels[:, None] == jnp.arange(logits.shape[1])
    return jnp.mean(_cross_entropy(logits, is_label))


def hinge_loss(
    scores: Float[Array, " n"], labels: Float[Array, " n"]
) -> Float[Array, ""]:
    r"""Mean hinge loss of labels in {-1, +1}.

    $$\ell(z, y) = \frac{1}{n} \sum_i \max(0, 1 - y_i z_i)$$

    Convex and piecewise linear. At the kink $y_i z_i = 1$ it has no derivative:
    `jax.grad` returns the subgradient $-y_i / 2n$ there, the mean of the slopes on
    either side; `hinge_subgradient` gives any other. Its Hessian is zero wherever it
    exists, so Newton's method does not apply.

    Args:
        scores: Decision values $z$, shape `(n,)`; any real number.
        labels: Classes $y$, shape `(n,)`; each -1 or +1, which is not checked.

    Returns:
        The mean, shape `()`, in the promoted dtype of the arrays.

    Raises:
        ValueError: `scores` and `labels` differ in shape, or are empty.

    References:
        Shalev-Shwartz and Ben-David (2014), Understanding Machine Learning,
        section 15.2.3 and claim 14.6.
    """
    _shapes.same("labels", labels, "scores", scores)
    return jnp.mean(optax.hinge_loss(scores, labels))


def hinge_subgradient(
    scores: Float[Array, " n"],
    labels: Float[Array, " n"],
    *,
    at_kink: float = 0.5,
) -> Float[Array, " n"]:
    r"""An element of the subdifferential of `hinge_loss` in the scores.

    $$g_i = -\frac{y_i}{n} \cdot \begin{cases} 1 & y_i z_i < 1 \\
    \theta & y_i z_i = 1 \\ 0 & y_i z_i > 1 \end{cases}, \qquad 0 \le \theta \le 1$$

    Every choice of $\theta$ supports the loss from below; 0.5 is what `jax.grad`
    returns, and 0 leaves an example at the margin alone, as Pegasos does.

    Args:
        scores: Decision values $z$, shape `(n,)`; NaN gives NaN.
        labels: Classes $y$, shape `(n,)`; each -1 or +1, which is not checked.
        at_kink: The share $\theta$ of the slope taken at the kink, from 0 to 1.

    Returns:
        The subgradient, shape `(n,)`, in the promoted dtype of the arrays.

    Raises:
        ValueError: `scores` and `labels` differ in shape or are empty, or `at_kink` is
            not between 0 and 1.

    References:
        Shalev-Shwartz et al. (2011), Pegasos: primal estimated sub-gradient solver
        for SVM, Mathematical Programming 127.
    """
    _shapes.same("labels", labels, "scores", scores)
    if not 0 <= at_kink <= 1:
        raise ValueError(f"`at_kink` must be from 0 to 1, got {at_kink!r}")
    # One half of 1 + sign is 1, 1/2 or 0, and NaN where the margin is.
    side = jnp.sign(1 - labels * scores)
    share = jnp.where(side == 0, at_kink, (1 + side) / 2)
    return -labels * share / scores.shape[0]
