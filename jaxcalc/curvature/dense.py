"""Hessians and their parts as arrays, within a stated memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.curvature import hessian
from jaxcalc.curvature.hessian import MEMORY
from jaxcalc.curvature.products import hvp


def dense_hessian(
    loss: Callable[..., Any], params: PyTree, *args: Any, memory: int = MEMORY
) -> Float[Array, "n n"]:
    r"""The Hessian of a loss as a matrix, some columns at a time.

    $$H_{ij} = \frac{\partial^2 f}{\partial x_i \partial x_j}$$

    The gradient is linearized once. It costs about $2 n$ gradients, as `jax.hessian`
    does, which computes all columns together: for networks that takes several times
    longer than some at a time, and as much memory as $n$ gradients.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.
        memory: Bytes that the columns computed together may take, about, beside the
            $n^2$ numbers of the result. Where devices are wide, more is faster.

    Returns:
        The Hessian, in the order of `jax.flatten_util.ravel_pytree`.

    Raises:
        TypeError: `params` are not floating, or the loss is not a floating scalar.
        ValueError: `params` is empty, or `memory` is not positive.
    """
    params = _checks.floating_params("params", params)
    memory = _checks.positive_int("memory", memory)
    return _programs.compiled(_dense, loss, memory)(params, args)


def hessian_diagonal(
    loss: Callable[..., Any], params: PyTree, *args: Any, memory: int = MEMORY
) -> PyTree:
    r"""The diagonal of the Hessian, exactly.

    $$d_i = e_i^\top H e_i = \frac{\partial^2 f}{\partial x_i^2}$$

    It costs as many products as there are parameters, but not the memory of the
    Hessian. `jaxcalc.curvature.estimate_diagonal` needs few products.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.
        memory: Bytes that the entries computed together may take, about.

    Returns:
        A tree like `params`.

    Raises:
        TypeError: `params` are not floating, or the loss is not a floating scalar.
        ValueError: `params` is empty, or `memory` is not positive.
    """
    params = _checks.floating_params("params", params)
    memory = _checks.positive_int("memory", memory)
    return _programs.compiled(_diagonal, loss, memory)(params, args)


def block_hessians(
    loss: Callable[..., Any], params: PyTree, *args: Any, memory: int = MEMORY
) -> PyTree:
    r"""The Hessian with respect to each leaf alone, the others held.

    $$H_l = \frac{\partial^2 f}{\partial x_l \, \partial x_l}$$

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.
        memory: Bytes that the columns computed together may take, about.

    Returns:
        A tree of the structure of `params`; a leaf of size $k$ has a matrix of shape
        `(k, k)` in its place.

    Raises:
        TypeError: `params` are not floating, or the loss is not a floating scalar.
        ValueError: `params` is empty, or `memory` is not positive.
    """
    params = _checks.floating_params("params", params)
    memory = _checks.positive_int("memory", memory)
    return _programs.compiled(_blocks, loss, memory)(params, args)


def loss_of_leaf(loss: Callable[..., Any], index: int) -> Callable[..., Any]:
    """The loss as a function of one leaf, with all parameters as its first datum.

    Args:
        loss: `loss(params, *args)`.
        index: Which of the leaves.

    Returns:
        `of_leaf(leaf, params, *args)`.
    """

    def of_leaf(leaf: Array, params: PyTree, *args: Any) -> Any:
        leaves, structure = jax.tree.flatten(params)
        leaves[index] = leaf
        return loss(jax.tree.unflatten(structure, leaves), *args)

    return of_leaf


def _dense(loss: Callable[..., Any], memory: int) -> Callable[..., Array]:
    def run(params: PyTree, args: tuple[Any, ...]) -> Array:
        return hessian.columns(hvp(loss, params, *args), params, memory=memory)

    return run


def _diagonal(loss: Callable[..., Any], memory: int) -> Callable[..., PyTree]:
    def run(params: PyTree, args: tuple[Any, ...]) -> PyTree:
        matvec = hvp(loss, params, *args)
        flat, unravel = ravel_pytree(params)

        def entry(index: Array) -> Array:
            unit = jnp.zeros(flat.size, flat.dtype).at[index].set(1)
            return ravel_pytree(matvec(unravel(unit)))[0][index]

        size = hessian.bytes_of(matvec, params)
        return unravel(hessian.in_chunks(entry, flat.size, size, memory))

    return run


def _blocks(loss: Callable[..., Any], memory: int) -> Callable[..., PyTree]:
    def run(params: PyTree, args: tuple[Any, ...]) -> PyTree:
        leaves, structure = jax.tree.flatten(params)
        found = []
        for index, leaf in enumerate(leaves):
            if not leaf.size:
                found.append(jnp.zeros((0, 0), leaf.dtype))
                continue
            matvec = hvp(loss_of_leaf(loss, index), leaf, params, *args)
            found.append(hessian.columns(matvec, leaf, memory=memory))
        return jax.tree.unflatten(structure, found)

    return run
