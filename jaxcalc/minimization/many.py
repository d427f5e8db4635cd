"""Minimize from many starts, and say which minima there are."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.minimization._examine import (
    check_arguments,
    examine_hessian,
    tolerance,
)
from jaxcalc.minimization._queue import bytes_of_lane, largest_array, queue
from jaxcalc.minimization.solutions import ManySolutions, typical_size
from jaxcalc.minimization.step import Functions

# Lanes side by side share what it costs to begin an operation, as long as what they
# hold, and each array that a step computes, stays in a core's caches. In time per step
# of a lane, Rosenbrock 10 with a trust region takes 8 µs alone, 6 for 16 together, 5
# for 32 and 7 for 64; Newton on breast cancer, with a Hessian of 140 KB on its way,
# takes 78 alone and 240 for 16.
_CACHE = 2**18  # for all that the lanes hold
_INNER, _OUTER = 2**15, 2**16  # for one array of all lanes
_FEW = 16
_MOST_LANES = 512
_MOST_ON_ACCELERATORS = 4096
_SIZES: dict[Any, tuple[int, int]] = {}


def minimize_many(
    loss: Callable[..., Any],
    starts: PyTree,
    optimizer: optax.GradientTransformation,
    *,
    args: tuple[Any, ...] = (),
    max_steps: int = 1000,
    tol: float | Float[Array, ""] | None = None,
    hessian_fn: Callable[..., Any] | None = None,
    residual_fn: Callable[..., Any] | None = None,
    memory: int = 2**28,
    lanes: int | None = None,
    devices: Sequence[Any] | None = None,
) -> ManySolutions:
    """Minimize `loss(params, *args)` from every one of many starts.

    A number of lanes run side by side in one compiled program. When a lane ends, its
    result is put away and the next start takes its place, so that the work is what the
    runs need, not what the slowest of a batch needs; only the last ones wait for each
    other. Where a step computes large arrays, lanes run one at a time: together they
    would only leave the caches.

    No trace is kept; for that, `jax.vmap` over `minimize` does it.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        starts: Where to start: as the parameters, with a leading axis for the starts.
        optimizer: Any optax optimizer.
        args: Data of the loss, the same for every start.
        max_steps: Steps after which a run ends.
        tol: As in `minimize`.
        hessian_fn: As in `minimize`.
        residual_fn: As in `minimize`.
        memory: Bytes that the runs under way, and the starts and results of those that
            are handed to the devices together, may take.
        lanes: How many runs lie side by side; by default what fits in a core's cache.
        devices: Where to run; by default all devices of this process. The starts are
            spread over them, and each works off its own part.

    Returns:
        All ends, the best of them, and the distinct minima that were found.

    Raises:
        TypeError: As for `minimize`; or something is being traced.
        ValueError: As for `minimize`; there are no starts, their leading axes differ,
            or `memory` does not suffice for a single run.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((starts, args))):
        raise TypeError(
            "`starts` and `args` must be known numbers, got values that are being "
            "traced: call minimize_many outside of jax.jit, or jax.vmap over minimize"
        )
    starts = _checks.floating_params("starts", starts)
    count = _leading(starts)
    max_steps = _checks.positive_int("max_steps", max_steps, minimum=0)
    memory = _checks.positive_int("memory", memory)
    functions = Functions(loss, None, hessian_fn, residual_fn)
    check_arguments(functions, optimizer, args)
    first = jax.tree.map(lambda leaf: leaf[0], starts)
    devices = jax.local_devices() if devices is None else devices
    sizes = _sizes(functions, first, optimizer, args)
    if lanes is None:
        lanes = _usual_lanes(sizes, memory // len(devices), devices[0].platform)
    wide = min(_checks.positive_int("lanes", lanes), count)
    part = _part(sizes, first, memory, wide, count, len(devices))

    def quickly() -> bool:  # asked when the program is new
        if hessian_fn is not None:
            examine_hessian(hessian_fn, first, args)
        return True

    run = _programs.compiled(
        _build, functions, optimizer, max_steps, wide, tuple(devices), quickly=quickly
    )
    together = part * len(devices)
    ends = []
    for begin in range(0, count, together):
        here = min(together, count - begin)
        taken = jax.tree.map(functools.partial(_taken, begin, here, together), starts)
        left = np.clip(here - part * np.arange(len(devices)), 0, part).astype(np.int32)
        out = run(taken, left, tolerance(tol, first), args)
        ends.append(jax.tree.map(functools.partial(_first, here), out))
    end = jax.tree.map(lambda *parts: np.concatenate(parts), *ends)
    return ManySolutions(*end, sizes=jax.tree.map(typical_size, starts))


def _build(
    functions: Functions,
    optimizer: optax.GradientTransformation,
    max_steps: int,
    wide: int,
    devices: tuple[Any, ...],
) -> Callable[..., Any]:
    work_off = queue(functions, optimizer, max_steps, wide)

    def alone(starts: PyTree, left: Array, tol: Any, args: Any) -> Any:
        return work_off(starts, left[0], tol, args)

    if len(devices) == 1:
        return alone
    mesh = Mesh(np.asarray(devices), ("starts",))
    along, everywhere = jax.P("starts"), jax.P()
    return jax.shard_map(
        alone,
        mesh=mesh,
        in_specs=(along, along, everywhere, everywhere),
        out_specs=along,
        check_vma=False,
    )


def _leading(starts: PyTree) -> int:
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(starts)}
    if () in lengths or len(lengths) > 1:
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(starts)]
        raise ValueError(
            "`starts` must have one leading axis that counts the starts, got leaves of "
            f"shapes {shapes}: stack them, for example with jnp.stack"
        )
    return lengths.pop()[0]


def _sizes(
    functions: Functions, first: PyTree, optimizer: Any, args: Any
) -> tuple[int, int]:
    """Bytes that a run holds between steps, and of the largest array of a step."""
    leaves, structure = jax.tree.flatten((first, args))
    shapes = [(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]
    asked = map(_programs.fingerprint, (functions, optimizer))
    key = (*asked, structure, *shapes)
    if key not in _SIZES:
        looked_at = (functions, first, optimizer, args)
        sizes = bytes_of_lane(*looked_at), largest_array(*looked_at)
        _programs.remember(_SIZES, key, sizes)
    return _SIZES[key]


def _usual_lanes(sizes: tuple[int, int], memory: int, platform: str) -> int:
    """How many lanes lie side by side where the caller does not say."""
    held, array = sizes
    fitting = memory // (2 * _bytes_under_way(sizes))
    if platform != "cpu":  # wide machines, where a batch costs little more than one
        return max(1, min(_MOST_ON_ACCELERATORS, fitting))
    # A few lanes pay even where they leave the innermost cache.
    beside = max(_INNER // array, min(_FEW, _OUTER // array))
    return max(1, min(_MOST_LANES, fitting, _CACHE // held, beside))


def _bytes_under_way(sizes: tuple[int, int]) -> int:
    """What a lane takes, about: old and new, and what a step computes in between."""
    held, array = sizes
    return 4 * held + 2 * array


def _part(
    sizes: tuple[int, int],
    first: PyTree,
    memory: int,
    wide: int,
    count: int,
    devices: int,
) -> int:
    """How many starts each device is handed at a time."""
    # A start and its end: point, value, norm, status, steps, and six counts.
    row = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(first)) + 48
    under_way = wide * _bytes_under_way(sizes) * devices
    left = memory - under_way
    if left < row * devices:
        raise ValueError(
            f"`memory` of {memory} bytes does not suffice for {wide} run(s) side by "
            f"side on {devices} device(s): give at least {under_way + row * devices}"
            + (", or fewer `lanes`" if wide > 1 else "")
        )
    return max(1, min(left // (row * devices), -(-count // devices)))


def _taken(begin: int, here: int, length: int, leaf: Array) -> Array:
    """Some starts, and repetitions of the first that nobody will run."""
    taken = leaf[begin : begin + here]
    if here == length:
        return taken
    more = jnp.broadcast_to(taken[:1], (length - here, *leaf.shape[1:]))
    return jnp.concatenate([taken, more])


def _first(here: int, leaf: Array) -> np.ndarray:
    return np.asarray(leaf)[:here]
