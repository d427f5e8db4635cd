"""Dense Hessians of linear models, from their structure."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcalc.losses import _shapes
from jaxcalc.losses.classification import _sigmoid, _softmax
from jaxcalc.losses.models import linear


def linear_hessian(
    params: PyTree[Float[Array, "..."]], X: Float[Array, "n d"]
) -> Float[Array, "p p"]:
    r"""Hessian of `mean_squared_error(linear(params, X), y)`.

    $$H = \frac{2}{n} \tilde X^\top \tilde X, \qquad \tilde X = [1, X]$$

    Neither the targets nor the parameters enter.

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.

    Returns:
        The Hessian, shape `(d + 1, d + 1)`, in the order of
        `jax.flatten_util.ravel_pytree`: the intercept first.

    Raises:
        ValueError: The shapes of `params` don't fit each other or those of `X`.
    """
    w, _ = _shapes.layer("params", params)
    _shapes.matrix("X", X, w.shape[0])
    return _gram(X, jnp.full(X.shape[:1], 2.0, X.dtype))


def logistic_hessian(
    params: PyTree[Float[Array, "..."]], X: Float[Array, "n d"]
) -> Float[Array, "p p"]:
    r"""Hessian of `logistic_loss(linear(params, X), y)`.

    $$H = \frac{1}{n} \tilde X^\top \operatorname{diag}(p_i (1 - p_i)) \tilde X,
    \qquad \tilde X = [1, X]$$

    The labels don't enter.

    Args:
        params: `{"w": (d,), "b": ()}`.
        X: Features, shape `(n, d)`.

    Returns:
        The Hessian, shape `(d + 1, d + 1)`, in the order of
        `jax.flatten_util.ravel_pytree`: the intercept first.

    Raises:
        ValueError: The shapes of `params` don't fit each other or those of `X`.

    References:
        Hastie, Tibshirani and Friedman (2009), The Elements of Statistical
        Learning, equation 4.23.
    """
    z = linear(params, X)
    return _gram(X, _sigmoid(z) * _sigmoid(-z))


def _gram(X: jax.Array, s: jax.Array) -> jax.Array:
    # [1, X]ᵀ diag(s) [1, X] / n
    with jax.default_matmul_precision("highest"):
        inner = X.T @ (s[:, None] * X)
        edge = s @ X
    top = jnp.concatenate([jnp.sum(s)[None], edge])[None]
    return jnp.concatenate([top, jnp.column_stack([edge, inner])]) / X.shape[0]


def softmax_hessian(
    params: PyTree[Float[Array, "..."]], X: Float[Array, "n d"]
) -> Float[Array, "p p"]:
    r"""Hessian of `softmax_cross_entropy(linear(params, X), y)`.

    $$H_{(i c), (j c')} = \frac{1}{n} \sum_a \tilde X_{ai} \tilde X_{aj} \,
    p_{ac} (\delta_{cc'} - p_{ac'}), \qquad \tilde X = [1, X]$$

    The labels don't enter. Singular: adding the same vector to the weights of all
    classes changes nothing.

    Args:
        params: `{"w": (d, k), "b": (k,)}`.
        X: Features, shape `(n, d)`.

    Returns:
        The Hessian, shape `(k (d + 1), k (d + 1))`, in the order of
        `jax.flatten_util.ravel_pytree`: the intercepts first, then the weights feature
        by feature.

    Raises:
        ValueError: The shapes of `params` don't fit each other or those of `X`.

    References:
        Böhning (1992), Multinomial logistic regression algorithm, Annals of the
        Institute of Statistical Mathematics 44(1).
    """
    p = _softmax(linear(params, X))
    n, k = p.shape
    ones = jnp.ones((n, 1), X.dtype)
    A = jnp.concatenate([ones, X], axis=1)
    with jax.default_matmul_precision("highest"):
        outer = (A[:, :, None] * p[:, None, :]).reshape(n, -1)
        H = -(outer.T @ outer)
        blocks = jnp.einsum("ni,nc,nj->cij", A, p, A)
    d = A.shape[1]
    H = H.reshape(d, k, d, k)
    c = jnp.arange(k)
    H = H.at[:, c, :, c].add(blocks)
    return H.reshape(d * k, d * k) / n
