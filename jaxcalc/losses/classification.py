"""Losses of scores that decide between classes, right in every derivative at any score.

Newton's method divides by second derivatives. Those that automatic differentiation
makes of JAX's `softplus`, `logaddexp` and `logsumexp` subtract nearly equal numbers
once an example is decided (a probability near 1): at a margin of -30 that of `softplus`
is wrong by 1% in float64 and zero in float32. The forms below are written so that the
derivative of the term that is nearly 1 is a constant. Then nothing is subtracted from
it, and plain automatic differentiation keeps its relative accuracy in every order.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxcalc.losses import _shapes


def _softplus(x: jax.Array) -> jax.Array:
    # Both branches are analytic at 0, where `maximum` and `abs` would hide that the
    # second derivative is 1/4.
    positive = x >= 0
    decay = jnp.exp(jnp.where(positive, -x, x))
    return jnp.where(positive, x, 0) + jnp.log1p(decay)


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


def _pick(z: jax.Array, index: jax.Array) -> jax.Array:
    # One entry of each row. A negative index must not count from the end.
    index = jnp.where(index < 0, z.shape[1], index)
    return jnp.take_along_axis(z, index[:, None], axis=1, mode="fill")


def _cross_entropy(z: jax.Array, labels: jax.Array) -> jax.Array:
    # Logits relative to the largest one, whose own entry is a constant 0. It is found
    # by its index, so that among equal logits it is one of them and not their mean.
    top = jnp.argmax(z, axis=1)
    is_top = top[:, None] == jnp.arange(z.shape[1])
    relative = jnp.where(is_top, 0, z - _pick(z, top))
    rest = jnp.sum(jnp.where(is_top, 0, jnp.exp(relative)), axis=1)
    return jnp.log1p(rest) - _pick(relative, labels)[:, 0]


def softmax_cross_entropy(
    logits: Float[Array, "n k"], labels: Int[Array, " n"]
) -> Float[Array, ""]:
    r"""Mean negative log-likelihood of classes 0 to k - 1, in nats.

    $$\ell(z, y) = \frac{1}{n} \sum_i
    \left(\log \sum_c e^{z_{ic}} - z_{i y_i}\right)$$

    Convex in `logits` and smooth everywhere, but flat along the direction that adds
    the same number to all logits of an example. Value and derivatives keep their
    relative accuracy at any logit. An infinite one decides the example; several
    infinite ones of the same sign at the top give NaN.

    Args:
        logits: Scores $z$, shape `(n, k)`; any real number.
        labels: Classes $y$, shape `(n,)`; integers from 0 to `k - 1`. The loss of any
            other integer is NaN.

    Returns:
        Nats per example, shape `()`, in the dtype of `logits`.

    Raises:
        ValueError: `labels` has not one entry for each row of `logits`, there are no
            rows, or fewer than two classes.

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
    if logits.shape[1] < 2:
        raise ValueError(
            f"`logits` has shape {logits.shape}: one column for each class, at least 2"
        )
    return jnp.mean(_cross_entropy(logits, labels))


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
