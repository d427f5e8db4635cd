"""Dense Hessians of linear models, from their structure."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxcalc.losses import _shapes
from jaxcalc.losses.models import linear

# How many products of two features may be held at once: 64 MB in float64.
_MOST_PRODUCTS = 2**23


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
    return _bordered_gram(X, jnp.full(len(X), 2, X.dtype)) / len(X)


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
    # p (1 - p) without the difference, which has no digits left where p is near 1.
    decay = jnp.exp(-jnp.abs(linear(params, X)))
    curvature = decay / (1 + decay) ** 2
    return _bordered_gram(X, curvature) / len(X)


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
    p = jax.nn.softmax(linear(params, X)).T
    k = len(p)
    first, second = np.triu_indices(k, 1)
    pairs = p[first] * p[second]
    # A class with itself has p (1 - p), here the sum of its pairs with the others,
    # which has digits where p is near 1.
    in_pair = (first == np.arange(k)[:, None]) | (second == np.arange(k)[:, None])
    with jax.default_matmul_precision("highest"):
        alone = in_pair.astype(p.dtype) @ pairs
    A = jnp.concatenate([jnp.ones((len(X), 1), X.dtype), X], axis=1)
    blocks = _weighted_grams(A, jnp.concatenate([-pairs, alone]))
    place = np.diag(len(pairs) + np.arange(k))
    place[first, second] = place[second, first] = np.arange(len(pairs))
    H = blocks[place].transpose(2, 0, 3, 1) / len(X)
    return H.reshape(k * blocks.shape[1], -1)


def _bordered_gram(X: jax.Array, s: jax.Array) -> jax.Array:
    # [1, X]ᵀ diag(s) [1, X]. Adding the border afterwards takes half the time of a
    # product with a column of ones inside (34 µs against 67 µs on breast cancer).
    with jax.default_matmul_precision("highest"):
        inner = X.T @ (s[:, None] * X)
        edge = s @ X
    top = jnp.concatenate([jnp.sum(s)[None], edge])
    return jnp.concatenate([top[None], jnp.column_stack([edge, inner])])


def _weighted_grams(A: jax.Array, weights: jax.Array) -> jax.Array:
    # Aᵀ diag(s) A for each row s of `weights`, stacked along the first axis.
    n, d = A.shape
    row, column = np.triu_indices(d)
    with jax.default_matmul_precision("highest"):
        if n * len(row) > _MOST_PRODUCTS:
            return jax.lax.map(lambda s: A.T @ (s[:, None] * A), weights)
        # One matrix product, of the weights with the products of two features, each
        # pair once: half the arithmetic of a product for each weight, and a better
        # shape. The products of features depend on the data alone, so a loop computes
        # them once and lanes under `vmap` share them. On digits it takes 6 ms, against
        # 16 ms for the Gram matrix of all `p x` with corrected diagonal blocks.
        packed = weights @ (A.T[row] * A.T[column]).T
    place = np.zeros((d, d), int)
    place[row, column] = place[column, row] = np.arange(len(row))
    return packed[:, place]
