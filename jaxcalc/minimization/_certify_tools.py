"""What a certificate asks of a loss: compiled once, called with arrays of the host.

All judging is done by NumPy in float64, so that rounding there is far below that of
the loss; only the loss and its derivatives are evaluated in their own dtype.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from jaxcalc import _checks, _programs, _trees
from jaxcalc.curvature.hessian import columns
from jaxcalc.curvature.thick_restart import search

# Up to here the Hessian is formed and all its eigenvalues are computed.
DENSE = 500
# Points that are looked at together: one shape, hence one program.
TOGETHER = 18


class Evaluation(NamedTuple):
    """What is known at one point; the Hessian is None where it is too large."""

    value: float
    grad: np.ndarray
    hessian: np.ndarray | None

    @property
    def finite(self) -> bool:
        """Whether all numbers are finite."""
        parts = [self.value, self.grad]
        parts += [] if self.hessian is None else [self.hessian]
        return all(bool(np.isfinite(part).all()) for part in parts)


class Ends(NamedTuple):
    """The smallest and the largest eigenvalue of a large Hessian."""

    values: np.ndarray
    residuals: np.ndarray
    vectors: np.ndarray  # as columns
    converged: bool
    products: int


class Tools(NamedTuple):
    """A loss at and around one point, as functions of vectors.

    Attributes:
        x: The point.
        eps: Rounding unit of the coarsest dtype involved.
        evaluate: Everything at a point.
        look: Values and gradients at `TOGETHER` points.
        products: The Hessian at a point times `TOGETHER` vectors.
        taylor: Second to fourth derivatives along `TOGETHER` directions.
        ends: Extreme eigenvalues of the Hessian, rows and columns scaled.
        newton: The Newton step by conjugate gradients, rows and columns scaled.
        tree: A vector as a tree like the parameters.
    """

    x: np.ndarray
    eps: float
    evaluate: Callable[[np.ndarray], Evaluation]
    look: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    products: Callable[[np.ndarray, np.ndarray], np.ndarray]
    taylor: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    ends: Callable[[np.ndarray, int], Ends]
    newton: Callable[[np.ndarray, np.ndarray], np.ndarray]
    tree: Callable[[np.ndarray], PyTree]


def tools(loss: Callable[..., Any], params: PyTree, args: tuple[Any, ...]) -> Tools:
    """The functions that belong to a loss and a point.

    Args:
        loss: `loss(params, *args)`.
        params: The point, with strongly typed leaves.
        args: Data.

    Returns:
        The functions; each compiles when it is first called.
    """
    _checks.scalar_loss("loss", value := jax.eval_shape(loss, params, *args))
    flat, unravel = ravel_pytree(params)
    kinds = [value.dtype, *(leaf.dtype for leaf in jax.tree.leaves(params))]
    dense = flat.size <= DENSE

    def call(build: Callable[..., Any], *vectors: np.ndarray) -> Any:
        arrays = [np.asarray(vector, flat.dtype) for vector in vectors]
        run = _programs.compiled(build, loss, quickly=lambda: True)
        return jax.tree.map(_wide, run(params, args, *arrays))

    def evaluate(x: np.ndarray) -> Evaluation:
        found = call(_dense if dense else _first_order, x)
        return Evaluation(float(found[0]), *found[1:])

    def ends(scales: np.ndarray, most: int) -> Ends:
        run = _programs.compiled(_ends, loss, quickly=lambda: True)
        scales = np.asarray(scales, flat.dtype)
        found = run(params, args, np.asarray(flat), scales, np.int32(most))
        values, residuals, vectors = map(_wide, found[:3])
        return Ends(values, residuals, vectors.T, bool(found[3]), int(found[4]))

    return Tools(
        x=_wide(flat),
        eps=max(float(jnp.finfo(kind).eps) for kind in kinds),
        evaluate=evaluate,
        look=lambda points: call(_look, points),
        products=lambda x, vectors: call(_products, x, vectors),
        taylor=lambda directions: call(_taylor, _wide(flat), directions),
        ends=ends,
        newton=lambda scales, right: call(_newton, _wide(flat), scales, right),
        tree=lambda vector: unravel(jnp.asarray(vector, flat.dtype)),
    )


def _wide(array: Any) -> np.ndarray:
    return np.asarray(array).astype(np.float64)


Program = Callable[..., Any]


def _bound(loss: Program, params: PyTree, args: tuple[Any, ...]) -> Program:
    """The loss as a function of a vector."""
    _, unravel = ravel_pytree(params)
    return lambda x: jnp.asarray(loss(unravel(x), *args))


def _dense(loss: Program) -> Program:
    def run(params: PyTree, args: tuple[Any, ...], x: Array) -> Any:
        with jax.default_matmul_precision("highest"):
            evaluate = jax.value_and_grad(_bound(loss, params, args))
            (value, grad), push = jax.linearize(evaluate, x)
            hessian = columns(lambda v: push(v)[1], x)
        return value, grad, (hessian + hessian.T) / 2

    return run


def _first_order(loss: Program) -> Program:
    def run(params: PyTree, args: tuple[Any, ...], x: Array) -> Any:
        return *jax.value_and_grad(_bound(loss, params, args))(x), None

    return run


def _look(loss: Program) -> Program:
    def run(params: PyTree, args: tuple[Any, ...], points: Array) -> Any:
        return lax.map(jax.value_and_grad(_bound(loss, params, args)), points)

    return run


def _products(loss: Program) -> Program:
    def run(params: PyTree, args: tuple[Any, ...], x: Array, vectors: Array) -> Any:
        with jax.default_matmul_precision("highest"):
            gradient = jax.grad(_bound(loss, params, args))
            return lax.map(jax.linearize(gradient, x)[1], vectors)

    return run


def _taylor(loss: Program) -> Program:
    """Second to fourth derivatives along directions, each but one slot filled."""

    def run(params: PyTree, args: tuple[Any, ...], x: Array, directions: Array) -> Any:
        gradient = jax.grad(_bound(loss, params, args))

        def along(u: Array) -> Any:
            def rise(f: Program) -> Program:
                return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))[1]

            second = rise(lambda t: gradient(x + t * u))
            third, fourth = rise(second), rise(rise(second))
            at = jnp.zeros((), x.dtype)
            return second(at), third(at), fourth(at)

        with jax.default_matmul_precision("highest"):
            return lax.map(along, directions)

    return run


def _scaled(loss: Program, params: PyTree, args: Any, x: Array, scales: Array) -> Any:
    _, push = jax.linearize(jax.grad(_bound(loss, params, args)), x)
    return lambda v: push(v / scales) / scales


def _ends(loss: Program) -> Program:
    def run(params: PyTree, args: Any, x: Array, scales: Array, most: Array) -> Any:
        eps = float(jnp.finfo(_trees.dtype(x)).eps)
        with jax.default_matmul_precision("highest"):
            matvec = _scaled(loss, params, args, x, scales)
            pairs = search(
                matvec,
                x,
                eps**0.5,
                most,
                jax.random.key(0),
                k=1,
                which="both",
                repeated=True,
                joined=True,
            )
        order = jnp.array([1, 0])
        found = (pairs.values[order], pairs.residuals[order], pairs.vectors[order])
        return *found, pairs.converged, pairs.products

    return run


def _newton(loss: Program) -> Program:
    def run(params: PyTree, args: Any, x: Array, scales: Array, right: Array) -> Any:
        with jax.default_matmul_precision("highest"):
            matvec = _scaled(loss, params, args, x, scales)
            return jax.scipy.sparse.linalg.cg(matvec, right, maxiter=50)[0]

    return run
