"""What the loop reads in an optimizer's state: evaluations that can be reused, counts.

The last link of a chain is the one that decided where the next point lies. If its
state has fields `value` and `grad`, as the states of optax's line searches do, they
are the evaluation at that point; a boolean field `stalled` says that no acceptable
step was found. With a boolean field `looked` beside them the optimizer evaluates the
start itself: as long as it is false an update whose `value` is NaN is zero, and leaves
the evaluation of the start in the state. A boolean field `convex`, anywhere in the
state, says whether the curvature seen last was free of negative eigenvalues; a boolean
field `orthogonal` that a least-squares residual is orthogonal to what the parameters
can change. Any `Work` in the state is a count that the optimizer keeps itself.
"""

from typing import Any

import jax
import optax
from jaxtyping import Array, Bool, Float, PyTree

from jaxcalc.minimization.solution import Work

_SEARCHES = (
    optax.ScaleByZoomLinesearchState,
    optax.ScaleByBacktrackingLinesearchState,
)


def last_link(state: PyTree) -> Any:
    """State of the last transformation of a chain, however deeply chained.

    Args:
        state: The state of an optimizer.

    Returns:
        The last element of the last plain tuple; the state itself if it is no chain.
    """
    while type(state) is tuple and state:
        state = state[-1]
    return state


def carried_evaluation(state: PyTree) -> tuple[Float[Array, ""], PyTree] | None:
    """Value and gradient at the next point, if the optimizer has them already.

    Args:
        state: The state of an optimizer.

    Returns:
        Both, not finite before the first step; None if the state has no such fields.
    """
    link = last_link(state)
    value, grad = getattr(link, "value", None), getattr(link, "grad", None)
    return None if value is None or grad is None else (value, grad)


def looks_itself(state: PyTree) -> bool:
    """Whether an optimizer evaluates the start itself, so that nobody else needs to.

    Args:
        state: The state of an optimizer, or its shapes.

    Returns:
        True if its last link has the field `looked`.
    """
    return hasattr(last_link(state), "looked")


def seen_convex(state: PyTree) -> Bool[Array, ""] | None:
    """Whether an optimizer that knows the curvature has seen none that is negative.

    Args:
        state: The state of an optimizer.

    Returns:
        A boolean; None if the optimizer knows nothing of the curvature.
    """
    knowing = jax.tree.leaves(state, is_leaf=lambda s: hasattr(s, "convex"))
    flags = [s.convex for s in knowing if hasattr(s, "convex")]
    return flags[0] if flags else None


def keeps_count(state: PyTree) -> bool:
    """Whether an optimizer counts its evaluations, or searches along lines.

    Args:
        state: The state of an optimizer, or its shapes.

    Returns:
        True if `counted_work` or `searched_work` find something in it.
    """
    counts = (Work, *_SEARCHES)
    leaves = jax.tree.leaves(state, is_leaf=lambda s: isinstance(s, counts))
    return any(isinstance(leaf, counts) for leaf in leaves)


def counted_work(state: PyTree) -> Work | None:
    """Sum of the counts that an optimizer keeps in its state.

    Args:
        state: The state of an optimizer.

    Returns:
        The sum of every `Work` in the state, None if there is none.
    """
    total = None
    for leaf in jax.tree.leaves(state, is_leaf=lambda s: isinstance(s, Work)):
        if isinstance(leaf, Work):
            total = leaf if total is None else total.plus(leaf)
    return total


def searched_work(state: PyTree) -> Work | None:
    """Evaluations that optax's line searches made in their latest update.

    Args:
        state: The state of an optimizer, after an update.

    Returns:
        The counts, None if there is no line search in the state.
    """
    total = None
    for leaf in jax.tree.leaves(state, is_leaf=lambda s: isinstance(s, _SEARCHES)):
        if not isinstance(leaf, _SEARCHES):
            continue
        trials = leaf.info.num_linesearch_steps
        if isinstance(leaf, optax.ScaleByZoomLinesearchState):
            work = Work.of(gradients=trials)
        else:  # one gradient at the accepted point, if it is asked to store it
            stored = 0 if leaf.grad is None else 1
            work = Work.of(values=trials - stored, gradients=stored)
        total = work if total is None else total.plus(work)
    return total
