"""From a function to a function of boxes."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxcalc.analysis.intervals._basic import Interval
from jaxcalc.analysis.intervals._rules import UnknownPrimitiveError
from jaxcalc.analysis.intervals.interpreter import evaluate, unknown_primitives


class IntervalFunction:
    """A function that takes boxes and encloses the values of another over them.

    Attributes:
        jaxpr: What was traced.
        unknown: Names of the primitives that have no rule; then it cannot be called.
    """

    def __init__(self, jaxpr: ClosedJaxpr, shapes: list[tuple[int, ...]], tree: Any):
        self.jaxpr = jaxpr
        self.unknown = unknown_primitives(jaxpr)
        self._shapes = shapes
        self._tree = tree

    def __call__(self, *boxes: tuple[Any, Any] | Interval) -> Any:
        """Enclose the values.

        Args:
            *boxes: For each argument a pair of its lower and upper bounds, arrays of
                shape `(boxes, *shape)`; or an `Interval`.

        Returns:
            An `Interval` for each array that the function returns, in its structure.

        Raises:
            UnknownPrimitiveError: A primitive has no rule.
            ValueError: A box has the wrong shape, or bounds that are not in order.
        """
        if self.unknown:
            raise UnknownPrimitiveError(
                f"no interval rule for {', '.join(self.unknown)}"
            )
        if len(boxes) != len(self._shapes):
            raise ValueError(
                f"`boxes` must be one for each of {len(self._shapes)} arguments, "
                f"got {len(boxes)}"
            )
        inputs = [_box(b, shape) for b, shape in zip(boxes, self._shapes, strict=True)]
        count = max(x.lo.shape[0] for x in inputs)
        results = evaluate(self.jaxpr, inputs)
        return jax.tree.unflatten(self._tree, [_whole(x, count) for x in results])


def interval_function(f: Callable[..., Any], *examples: Any) -> IntervalFunction:
    """Trace a function, in float64, and evaluate it on boxes instead of points.

    Args:
        f: A function of arrays, written with `jax.numpy`; its derivatives are too.
        *examples: One array or number for each argument, for its shape; the values do
            not matter.

    Returns:
        A function of boxes; see the module's docstring.

    Raises:
        TypeError: There is no example, or one is not an array or a number.
    """
    if not examples:
        raise TypeError("`examples` must hold one array for each argument of f")
    shapes = [np.shape(example) for example in examples]
    with jax.enable_x64(True):
        structs = [jax.ShapeDtypeStruct(shape, np.float64) for shape in shapes]
        jaxpr, out = jax.make_jaxpr(f, return_shape=True)(*structs)
    return IntervalFunction(jaxpr, shapes, jax.tree.structure(out))


def _box(box: tuple[Any, Any] | Interval, shape: tuple[int, ...]) -> Interval:
    lo, hi = (np.asarray(bound, np.float64) for bound in box[:2])
    if lo.shape != hi.shape or lo.ndim == 0 or lo.shape[1:] != shape:
        raise ValueError(
            f"`boxes` must have bounds of shape (boxes, {', '.join(map(str, shape))}), "
            f"got {lo.shape} and {hi.shape}"
        )
    if not (lo <= hi).all():
        raise ValueError("`boxes` must have lower bounds that are not above the upper")
    return Interval(lo, hi, np.ones(lo.shape, bool))


def _whole(x: Interval, count: int) -> Interval:
    """One row for each box, of a constant too."""
    return Interval(*(np.broadcast_to(part, (count, *part.shape[1:])) for part in x))
