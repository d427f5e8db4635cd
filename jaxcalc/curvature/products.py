r"""Products of curvature with a vector, at the price of a few gradients each.

A product is a function `matvec(tangent) -> tangent` of trees with the structure of the
parameters. What is linearized is evaluated once, when the product is made; each product
then costs what the linear part costs. No array of $n^2$ entries is formed. A product is
also a pytree of the numbers it needs, so it can be passed to a compiled function.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.tree_util import Partial
from jaxtyping import PyTree

from jaxcalc import _checks, _programs

Matvec = Callable[[PyTree], PyTree]


def hvp(loss: Callable[..., Any], params: PyTree, *args: Any) -> Matvec:
    r"""Products with the Hessian of a loss, forward over reverse.

    $$v \mapsto \nabla^2 f(x)\,v = \left.\frac{d}{dt} \nabla f(x + t v) \right|_{t=0}$$

    One linearization of the gradient serves many products, each of which costs less
    than two gradients. It holds as much memory as one gradient needs. Where second
    derivatives do not exist, at the kink of a ReLU, they count as zero.

    Works under `jit` and `vmap`, and keeps the sharding of the parameters.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data of the loss.

    Returns:
        The product, `matvec(tangent)`.

    Raises:
        TypeError: `params` are not floating, or the loss is not a floating scalar.
        ValueError: `params` is empty.

    References:
        Pearlmutter (1994), Fast exact multiplication by the Hessian, Neural Computation
        6(1).
    """
    return product_of(_linearized_gradient, (loss,), params, args)


def ggn_vp(
    model: Callable[..., Any],
    output_loss: Callable[..., Any],
    params: PyTree,
    *args: Any,
) -> Matvec:
    r"""Products with the generalized Gauss-Newton matrix of `output_loss` of `model`.

    $$v \mapsto J^\top H_L J\,v, \qquad J = \frac{\partial\,\text{model}}{\partial x},
    \quad H_L = \nabla^2\,\text{output\_loss}$$

    It is what remains of the Hessian of `output_loss(model(params, *args), *args)`
    without the curvature of the model, so it is the Hessian where the model is linear
    in its parameters. Positive semidefinite wherever the output loss is convex, however
    curved the model is.

    A penalty on the parameters fits in: let the model return `(logits, params)`, and
    let the output loss, which then gets that pair, add the penalty to the fit.

    The model is differentiated forward: functions with `jax.custom_vjp` and no forward
    rule fail. Works under `jit` and `vmap`, and keeps the sharding of the parameters.

    Args:
        model: `model(params, *args)`, any pytree of floating arrays.
        output_loss: `output_loss(outputs, *args)`, a floating scalar. Both functions
            get all the data.
        params: Where: a pytree of floating arrays, or a number.
        *args: Data.

    Returns:
        The product, `matvec(tangent)`.

    Raises:
        TypeError: `params` or the outputs are not floating, or the output loss is not a
            floating scalar.
        ValueError: `params` is empty.

    References:
        Schraudolph (2002), Fast curvature matrix-vector products for second-order
        gradient descent, Neural Computation 14(7). Martens (2020), New insights and
        perspectives on the natural gradient method, JMLR 21, section 8.
    """
    return product_of(_linearized_model, (model, output_loss), params, args)


def gauss_newton_hessian(
    model: Callable[..., Any], output_loss: Callable[..., Any]
) -> Callable[..., Matvec]:
    r"""The generalized Gauss-Newton matrix, in the form that takes the Hessian's place.

    Args:
        model: `model(params, *args)`, see `ggn_vp`.
        output_loss: `output_loss(outputs, *args)`, see `ggn_vp`.

    Returns:
        `hessian_fn(params, *args) -> matvec`, for whatever takes a `hessian_fn`.
    """

    def hessian_fn(params: PyTree, *args: Any) -> Matvec:
        return ggn_vp(model, output_loss, params, *args)

    return hessian_fn


def like_params(name: str, tangent: PyTree, params: PyTree) -> PyTree:
    """Return a tangent with the dtypes of the parameters, if it has their shapes.

    Args:
        name: What it is called in error messages.
        tangent: A pytree of numbers.
        params: A pytree of arrays, or of their shapes and dtypes.

    Returns:
        The tangent as `jax.Array` leaves.

    Raises:
        TypeError: A leaf of the tangent is not a real number.
        ValueError: Structure or shapes differ.
    """
    expected, given = jax.tree.structure(params), jax.tree.structure(tangent)
    if expected != given:
        raise ValueError(
            f"`{name}` must have the structure of the parameters, {expected}, "
            f"got {given}"
        )

    def cast(path: Any, leaf: Any, param: Any) -> jax.Array:
        where = name + jax.tree_util.keystr(path)
        try:
            shape, dtype = jnp.shape(leaf), jnp.result_type(leaf)
        except (TypeError, ValueError):
            raise TypeError(f"`{where}` must be an array, got {leaf!r}") from None
        if shape != param.shape:
            raise ValueError(
                f"`{where}` must have shape {param.shape} as the parameters, "
                f"got {shape}"
            )
        real = jnp.issubdtype(dtype, jnp.number)
        if not real or jnp.issubdtype(dtype, jnp.complexfloating):
            raise TypeError(f"`{where}` must be real numbers, got {dtype}")
        return jnp.asarray(leaf, param.dtype)

    return jax.tree.map_with_path(cast, tangent, params)


def product_of(
    linearized: Callable[..., Callable[..., Matvec]],
    statics: tuple[Any, ...],
    params: PyTree,
    args: tuple[Any, ...],
) -> Matvec:
    """Linearize, at once or as part of a program under way, and check what comes in.

    Args:
        linearized: `linearized(*statics)(params, args)`, a `Partial` that multiplies.
        statics: Functions and options.
        params: Where.
        args: Data.

    Returns:
        The product.
    """
    params = _checks.floating_params("params", params)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((params, args))):
        push = linearized(*statics)(params, args)
        apply = _apply
    else:
        # Outside of jit every operation would be dispatched by itself. The linear part
        # crosses the boundary of a program, and equal functions share the programs.
        push = _programs.compiled(linearized, *statics)(params, args)
        apply = _apply_compiled
    leaves, structure = jax.tree.flatten(shapes_of(params))
    return Partial(_multiplier(apply, structure, tuple(leaves)), push)


def shapes_of(params: PyTree) -> PyTree:
    """Shapes and dtypes of a tree of arrays.

    Args:
        params: The tree.

    Returns:
        A tree of `jax.ShapeDtypeStruct`.
    """
    return jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype), params)


@functools.lru_cache(maxsize=256)
def _multiplier(apply: Callable[..., PyTree], structure: Any, leaves: Any) -> Callable:
    shapes = jax.tree.unflatten(structure, leaves)

    def multiply(push: Matvec, tangent: PyTree) -> PyTree:
        return apply(push, like_params("tangent", tangent, shapes))

    return multiply


def _linearized_gradient(loss: Callable[..., Any]) -> Callable[..., Matvec]:
    def run(params: PyTree, args: tuple[Any, ...]) -> Matvec:
        def scalar(x: PyTree) -> Any:
            value = loss(x, *args)
            _checks.scalar_loss("loss", value)
            return value

        with jax.default_matmul_precision("highest"):
            return jax.linearize(jax.grad(scalar), params)[1]

    return run


def _linearized_model(
    model: Callable[..., Any], output_loss: Callable[..., Any]
) -> Callable[..., Matvec]:
    def run(params: PyTree, args: tuple[Any, ...]) -> Matvec:
        def scalar(outputs: PyTree) -> Any:
            value = output_loss(outputs, *args)
            _checks.scalar_loss("output_loss", value)
            return value

        with jax.default_matmul_precision("highest"):
            outputs, push = jax.linearize(lambda x: model(x, *args), params)
            outputs = _checks.floating_params("model(params)", outputs)
            curve = jax.linearize(jax.grad(scalar), outputs)[1]
            shapes = shapes_of(params)

        def sandwich(push: Matvec, curve: Matvec, tangent: PyTree) -> PyTree:
            (product,) = jax.linear_transpose(push, shapes)(curve(push(tangent)))
            return product

        return Partial(sandwich, push, curve)

    return run


def _apply(push: Matvec, tangent: PyTree) -> PyTree:
    with jax.default_matmul_precision("highest"):
        return push(tangent)


_apply_compiled = jax.jit(_apply)
