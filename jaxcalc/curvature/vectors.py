"""Vectors in the shape of a parameter tree, alone and stacked.

A stack of $m$ vectors is a tree with a first axis of length $m$ in every leaf. Leaves
are never joined, so each keeps its dtype and its sharding.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from jaxcalc import _trees
from jaxcalc.curvature.products import Matvec


def small_dtype(like: PyTree) -> Any:
    """The dtype of inner products: that of the leaves, at least float32.

    Args:
        like: A tree of floating arrays.

    Returns:
        The dtype.
    """
    return jnp.promote_types(_trees.dtype(like), jnp.float32)


def joinable(like: PyTree) -> bool:
    """Whether the leaves of vectors are better joined to one array.

    Arithmetic on many leaves takes long to compile. Leaves of different dtypes stay
    apart, and so do those that are spread over devices, which joining would gather.

    Args:
        like: A tree of floating arrays.

    Returns:
        Whether to join them.
    """
    leaves = jax.tree.leaves(like)

    def spread(leaf: Any) -> bool:
        sharding = None if isinstance(leaf, Tracer) else leaf.sharding
        return sharding is not None and not sharding.is_fully_replicated

    same = len({leaf.dtype for leaf in leaves}) == 1
    return same and not any(map(spread, leaves))


def join(
    matvec: Matvec, like: PyTree
) -> tuple[Matvec, Float[Array, " n"], Callable[[Array], PyTree]]:
    """The same operator on single arrays.

    Args:
        matvec: A product of trees.
        like: A tree of floating arrays of one dtype.

    Returns:
        A product of arrays, an array that is like its tangents, and what makes a tree
        of such an array.
    """
    flat, split = ravel_pytree(like)
    return lambda v: ravel_pytree(matvec(split(v)))[0], flat, split


def random_like(key: PRNGKeyArray, like: PyTree) -> PyTree:
    """Draw numbers between -1 and 1 in the shape of a tree.

    Args:
        key: A key.
        like: A tree of floating arrays.

    Returns:
        The vector.
    """

    def draw(key: PRNGKeyArray, leaf: Array) -> Array:
        return jax.random.uniform(key, leaf.shape, leaf.dtype, -1.0, 1.0)

    return _drawn(draw, key, like)


def signs_like(key: PRNGKeyArray, like: PyTree) -> PyTree:
    """Draw signs, +1 or -1 with equal chance, in the shape of a tree.

    Args:
        key: A key.
        like: A tree of floating arrays.

    Returns:
        The vector.
    """

    def draw(key: PRNGKeyArray, leaf: Array) -> Array:
        return jax.random.rademacher(key, leaf.shape, leaf.dtype)

    return _drawn(draw, key, like)


def _drawn(draw: Callable[..., Array], key: PRNGKeyArray, like: PyTree) -> PyTree:
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(structure, list(map(draw, keys, leaves)))


def dot(a: PyTree, b: PyTree) -> Float[Array, ""]:
    """Inner product of two vectors.

    Args:
        a: A vector.
        b: A vector.

    Returns:
        The sum over all leaves.
    """
    dtype = small_dtype(a)
    return _total(jax.tree.map(lambda x, y: jnp.sum((x * y).astype(dtype)), a, b))


def norm(a: PyTree) -> Float[Array, ""]:
    """Euclidean length of a vector, without overflow of its squares.

    Args:
        a: A vector.

    Returns:
        The length.
    """
    largest = _trees.max_abs(a)
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    part = scaled(a, 1 / unit)
    return unit.astype(small_dtype(a)) * jnp.sqrt(dot(part, part))


def norms(stack: PyTree) -> Float[Array, " m"]:
    """Euclidean lengths of the vectors of a stack.

    Args:
        stack: Stacked vectors.

    Returns:
        The lengths.
    """
    return jax.vmap(norm)(stack)


def scaled(a: PyTree, factor: Array) -> PyTree:
    """A vector times a number, in the dtypes of the vector.

    Args:
        a: A vector.
        factor: A scalar.

    Returns:
        The vector.
    """
    return jax.tree.map(lambda x: x * factor.astype(x.dtype), a)


def minus(a: PyTree, b: PyTree) -> PyTree:
    """The difference of two vectors.

    Args:
        a: A vector.
        b: A vector.

    Returns:
        The vector `a - b`.
    """
    return jax.tree.map(operator.sub, a, b)


def put(stack: PyTree, index: Array, a: PyTree) -> PyTree:
    """Put a vector into a stack.

    Args:
        stack: Stacked vectors.
        index: At which place.
        a: The vector.

    Returns:
        The stack.
    """
    return jax.tree.map(lambda s, x: s.at[index].set(x), stack, a)


def coordinates(stack: PyTree, a: PyTree) -> Float[Array, " m"]:
    """Inner products of the vectors of a stack with one vector.

    Args:
        stack: Stacked vectors.
        a: A vector.

    Returns:
        One number for each vector of the stack.
    """
    dtype = small_dtype(a)
    return _total(
        jax.tree.map(lambda s, x: jnp.tensordot(s, x, x.ndim).astype(dtype), stack, a)
    )


def combine(weights: Float[Array, "m ..."], stack: PyTree) -> PyTree:
    """Linear combinations of the vectors of a stack.

    Args:
        weights: One column for each combination, or a single vector of weights.
        stack: Stacked vectors.

    Returns:
        A stack of the combinations, or a single vector.
    """
    return jax.tree.map(lambda s: jnp.tensordot(weights.astype(s.dtype).T, s, 1), stack)


def gram(left: PyTree, right: PyTree) -> Float[Array, "m m"]:
    """Inner products of the vectors of two stacks.

    Args:
        left: Stacked vectors.
        right: Stacked vectors.

    Returns:
        The matrix of all products.
    """
    dtype = small_dtype(left)

    def products(a: Array, b: Array) -> Array:
        axes = tuple(range(1, a.ndim))
        return jnp.tensordot(a, b, (axes, axes)).astype(dtype)

    return _total(jax.tree.map(products, left, right))


def next_direction(a: PyTree, basis: PyTree, key: PRNGKeyArray) -> PyTree:
    """The part of a vector that is orthogonal to a basis, with length one.

    Where nothing but rounding is left of it, a random direction takes its place; zero
    where the basis spans the whole space.

    Args:
        a: A vector.
        basis: Stacked vectors, orthonormal or zero.
        key: A key for the random direction.

    Returns:
        The unit vector.
    """
    direction, real = _orthogonal(a, basis)

    def another() -> PyTree:
        unit, real = _orthogonal(random_like(key, a), basis)
        return scaled(unit, jnp.where(real, 1.0, 0.0))

    return jax.lax.cond(real, lambda: direction, another)


def _orthogonal(a: PyTree, basis: PyTree) -> tuple[PyTree, Array]:
    eps = float(jnp.finfo(_trees.dtype(a)).eps)
    before = norm(a)
    once = minus(a, combine(coordinates(basis, a), basis))
    length = norm(once)
    once = scaled(once, 1 / jnp.where(length > 0, length, 1))
    twice = minus(once, combine(coordinates(basis, once), basis))
    left = norm(twice)
    # If the second pass finds something to take away again, the first one had left
    # nothing but rounding.
    real = (length > 20 * eps * before) & (left > 0.5)
    return scaled(twice, 1 / jnp.where(left > 0, left, 1)), real


def _total(tree: PyTree) -> Array:
    return functools.reduce(operator.add, jax.tree.leaves(tree))
