"""A compiled program that works off a queue of starts, some lanes side by side."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.extend.core import jaxprs_in_params
from jaxtyping import Array, Int, PyTree

from jaxcalc._work import Work
from jaxcalc.minimization.solution import Status
from jaxcalc.minimization.step import (
    Entry,
    Functions,
    Lane,
    freeze,
    make_step,
    missing,
    start_lane,
)

# Ended lanes are replaced when this part of all has ended: to put results away costs
# about as much as a step.
_PATIENCE = 8


class End(NamedTuple):
    """How a run ended; with a leading axis for the runs."""

    params: PyTree
    value: Array
    grad_norm: Array
    status: Array
    steps: Array
    work: Work


class _Queue(NamedTuple):
    lanes: Lane  # side by side along the last axis
    entries: Entry  # what each lane measured last
    numbers: Int[Array, " w"]  # which start each lane runs
    upcoming: Int[Array, ""]  # the next start that nobody has taken
    ends: End


def queue(
    functions: Functions,
    optimizer: optax.GradientTransformation,
    max_steps: int,
    wide: int,
) -> Callable[..., End]:
    """The function that runs from the first `count` of some starts.

    Args:
        functions: The functions of the problem.
        optimizer: Any optax optimizer.
        max_steps: Steps after which a run ends.
        wide: How many lanes lie side by side.

    Returns:
        `work_off(starts, count, tol, args)`.
    """

    def start(params: PyTree, args: Any) -> Lane:
        return start_lane(functions, params, optimizer, args)

    def work_off(starts: PyTree, count: Any, tol: Any, args: Any) -> End:
        step = make_step(functions, optimizer, args, max_steps, tol)
        if wide == 1:
            return _one_by_one(step, lambda p: start(p, args), starts, count)
        together = jax.vmap(freeze(step), in_axes=-1, out_axes=-1)
        many = jax.vmap(lambda p: start(p, args), in_axes=0, out_axes=-1)

        def advance(state: _Queue) -> _Queue:
            lanes, entries = together(state.lanes)
            running = state.lanes.status == Status.RUNNING
            kept = jax.tree.map(
                lambda new, old: jnp.where(running, new, old), entries, state.entries
            )
            return state._replace(lanes=lanes, entries=kept)

        def busy(state: _Queue) -> Array:
            running = jnp.sum(state.lanes.status == Status.RUNNING)
            enough = running > wide - max(1, wide // _PATIENCE)
            return (running > 0) & (enough | (state.upcoming >= count))

        def refill(state: _Queue) -> _Queue:
            state = _put_away(state)
            ended = state.lanes.status != Status.RUNNING
            numbers = state.upcoming + jnp.cumsum(ended, dtype=jnp.int32) - 1
            takes = ended & (numbers < count)
            taken = jnp.where(takes, numbers, 0)
            fresh = many(jax.tree.map(lambda leaf: leaf[taken], starts))
            lanes = jax.tree.map(
                lambda new, old: jnp.where(takes, new, old), fresh, state.lanes
            )
            return state._replace(
                lanes=lanes,
                numbers=jnp.where(takes, numbers, jnp.where(ended, -1, state.numbers)),
                upcoming=state.upcoming + jnp.sum(takes, dtype=jnp.int32),
            )

        def more(state: _Queue) -> Array:
            ends = state.lanes.status != Status.RUNNING
            kept = jnp.any(ends & (state.numbers >= 0))
            return (state.upcoming < count) | jnp.any(~ends) | kept

        state = lax.while_loop(
            more,
            lambda state: lax.while_loop(busy, advance, refill(state)),
            _empty(step, many, starts, wide),
        )
        return state.ends

    return work_off


def bytes_of_lane(
    functions: Functions, params: PyTree, optimizer: Any, args: Any
) -> int:
    """What one run holds between two steps.

    Args:
        functions: The functions of the problem.
        params: A start.
        optimizer: Any optax optimizer.
        args: Data of the loss.

    Returns:
        Bytes.
    """
    lane = jax.eval_shape(
        lambda p, a: start_lane(functions, p, optimizer, a), params, args
    )
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(lane))


def largest_array(
    functions: Functions, params: PyTree, optimizer: Any, args: Any
) -> int:
    """What the largest array takes that a step of one run computes on its way.

    Args:
        functions: The functions of the problem.
        params: A start.
        optimizer: Any optax optimizer.
        args: Data of the loss.

    Returns:
        Bytes.
    """

    def step(params: PyTree, args: Any) -> Any:
        lane = start_lane(functions, params, optimizer, args)
        return make_step(functions, optimizer, args, 1, None)(lane)

    return _largest(jax.make_jaxpr(step)(params, args).jaxpr)


def _largest(jaxpr: Any) -> int:
    largest = 1
    for eqn in jaxpr.eqns:
        for var in eqn.outvars:
            itemsize = getattr(var.aval.dtype, "itemsize", 1)
            largest = max(largest, var.aval.size * itemsize)
        largest = max(largest, *map(_largest, jaxprs_in_params(eqn.params)), 0)
    return largest


def _one_by_one(
    step: Callable[..., Any], start: Callable[..., Lane], starts: PyTree, count: Any
) -> End:
    """Run each start to its end before the next begins."""

    def one(params: PyTree) -> tuple[Lane, Entry]:
        lane = start(params)
        entry = _nothing(jax.eval_shape(step, lane)[1])
        return lax.while_loop(
            lambda c: c[0].status == Status.RUNNING, lambda c: step(c[0]), (lane, entry)
        )

    def put(carry: tuple[End, Array]) -> tuple[End, Array]:
        ends, number = carry
        end = _end(*one(jax.tree.map(lambda leaf: leaf[number], starts)))
        ends = jax.tree.map(
            lambda all_, e: lax.dynamic_update_index_in_dim(all_, e, number, 0),
            ends,
            end,
        )
        return ends, number + 1

    length = len(jax.tree.leaves(starts)[0])
    shapes = jax.eval_shape(
        lambda s: _end(*one(jax.tree.map(lambda leaf: leaf[0], s))), starts
    )
    ends = jax.tree.map(lambda e: jnp.zeros((length, *e.shape), e.dtype), shapes)
    zero = jnp.zeros((), jnp.int32)
    return lax.while_loop(lambda c: c[1] < count, put, (ends, zero))[0]


def _empty(
    step: Callable[..., Any], many: Callable[..., Lane], starts: PyTree, wide: int
) -> _Queue:
    """Lanes that have all ended, and run nothing that anybody asked for."""
    length = len(jax.tree.leaves(starts)[0])
    lanes = many(jax.tree.map(lambda leaf: leaf[jnp.zeros(wide, int)], starts))
    lanes = lanes._replace(status=jnp.full(wide, Status.CONVERGED, jnp.int32))
    entries = _nothing(jax.eval_shape(jax.vmap(step, -1, -1), lanes)[1])
    ends = jax.eval_shape(jax.vmap(_end, -1, 0), lanes, entries)
    return _Queue(
        lanes=lanes,
        entries=entries,
        numbers=jnp.full(wide, -1, jnp.int32),
        upcoming=jnp.zeros((), jnp.int32),
        ends=jax.tree.map(lambda e: jnp.zeros((length, *e.shape[1:]), e.dtype), ends),
    )


def _put_away(state: _Queue) -> _Queue:
    """Write the results of the lanes that have ended, and have not been read yet."""
    ended = (state.lanes.status != Status.RUNNING) & (state.numbers >= 0)
    length = len(state.ends.status)
    where = jnp.where(ended, state.numbers, length)  # beyond the end: not written
    ends = jax.tree.map(
        lambda all_, new: all_.at[where].set(new, mode="drop"),
        state.ends,
        jax.vmap(_end, -1, 0)(state.lanes, state.entries),
    )
    return state._replace(ends=ends)


def _end(lane: Lane, entry: Entry) -> End:
    work = entry.work
    if work is None:
        work = Work.of(gradients=lane.steps + 1)
    return End(lane.point, entry.value, entry.grad_norm, lane.status, lane.steps, work)


def _nothing(shapes: Entry) -> Entry:
    return jax.tree.map(lambda e: jnp.full(e.shape, missing(e), e.dtype), shapes)
