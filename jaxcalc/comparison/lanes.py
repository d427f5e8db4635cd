"""Compiled programs that run many lanes: side by side, or one after the other.

Side by side, the lanes lie along the last axis of every array, so that a linear model's
work is one matrix product for all lanes. This suits optimizers whose every step costs
the same. A line search or a factorization would make all lanes wait for the slowest;
those lanes run one after the other.
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh
from jaxtyping import PyTree

from jaxcalc import _programs, sharding
from jaxcalc.minimization import Status
from jaxcalc.minimization.loop import run_lane
from jaxcalc.minimization.step import (
    Entry,
    Functions,
    Lane,
    freeze,
    make_step,
    missing,
    start_lane,
)

Make = Callable[[dict[str, Any]], optax.GradientTransformation]

# Points measured in one call of a program. Between calls progress is shown and the
# store is written; a call may be asked for fewer.
ROWS = 256


class Setting(NamedTuple):
    """What sets a lane apart from its neighbours, beside its start."""

    hyper: dict[str, Any]  # hyperparameters by name
    seed: Any  # the batches of equal seeds are the same, whatever the optimizer


_EXECUTABLES: dict[Any, "Executable"] = {}
# Digests of what this process has compiled.
_COMPILED: Counter[str] = Counter()
# Linux grants a process 65,530 mapped areas of memory; a program takes some eighty.
_MOST_EXECUTABLES = 192
# What a trace depends on beside its arguments.
_CONTEXT = ("jax_enable_x64", "jax_default_matmul_precision")


class Executable:
    """A traced program, compiled when it is first called.

    What is in the store already need not be compiled, only traced to be recognized.

    Args:
        program: The jitted function.
        arguments: What it will be called with, for their shapes.
    """

    def __init__(self, program: Any, arguments: tuple[Any, ...]):
        begin = time.perf_counter()
        self._lowered = program.lower(*arguments)
        self.digest: str = sha256(self._lowered.as_text().encode()).hexdigest()
        self.trace_seconds: float = time.perf_counter() - begin
        self.compile_seconds: float = 0.0
        self.recompiled: int = 0
        self._compiled: Any = None

    def compile(self) -> None:
        """Compile the program once, unless it is compiled."""
        if self._compiled is not None:
            return
        begin = time.perf_counter()
        self._compiled = self._lowered.compile()
        self.compile_seconds = time.perf_counter() - begin
        self.recompiled = _COMPILED[self.digest]
        _COMPILED[self.digest] += 1

    def bill(self) -> tuple[float, float, int]:
        """What it cost to make, to whoever asks first: those after it paid nothing.

        Returns:
            Seconds of tracing, seconds of compiling, and how often it had been
            compiled before.
        """
        spent = (self.trace_seconds, self.compile_seconds, self.recompiled)
        self.trace_seconds = self.compile_seconds = 0.0
        self.recompiled = 0
        return spent

    @property
    def peak_bytes(self) -> float:
        """Memory of arguments, results and what lies between, by XLA's own count."""
        if self._compiled is None:
            return float("nan")
        try:
            held = self._compiled.memory_analysis()
        except (NotImplementedError, RuntimeError):
            return float("nan")
        if held is None:
            return float("nan")
        return float(
            held.argument_size_in_bytes
            + held.output_size_in_bytes
            + held.temp_size_in_bytes
            - held.alias_size_in_bytes
        )

    def call(self, *arguments: Any) -> Any:
        """Run the program.

        Args:
            *arguments: Of the shapes it was traced with.

        Returns:
            What the program returns.
        """
        return self._compiled(*arguments)


@dataclass(frozen=True, eq=False)
class Programs:
    """What it takes to run one optimizer on one problem.

    Attributes:
        functions: The functions of the problem.
        make: `make(hyper)`, the optimizer for a dictionary of hyperparameters.
        max_steps: Index of the last point of a run.
        measured: Whether, where steps see batches, values and gradient norms are
            nevertheless those of all data.
    """

    functions: Functions
    make: Make
    max_steps: int
    measured: bool = True

    def start(
        self, starts: Sequence[PyTree], settings: Setting, args: tuple[Any, ...]
    ) -> Lane:
        """Lanes before their first step, along the last axis.

        Args:
            starts: Parameters that each lane starts from.
            settings: What sets each lane apart, lanes along the last axis.
            args: Data of the loss.

        Returns:
            The lanes on the host, but for keys of random numbers.
        """
        statics = (self.functions, self.make)
        begin = _programs.compiled(_build_start, *statics, quickly=lambda: True)
        lanes = [
            begin(params, jax.tree.map(lambda leaf, i=i: leaf[..., i], settings), args)
            for i, params in enumerate(starts)
        ]
        return jax.tree.map(_stacked, *lanes)

    @functools.cached_property
    def _step(self) -> Callable[..., tuple[Lane, Entry]]:
        """`step(lane, setting, tol, args)`: traced once for all programs."""

        def step(lane: Lane, setting: Setting, tol: Any, args: Any) -> Any:
            key = None if self.functions.draw is None else jax.random.key(setting.seed)
            return make_step(
                self.functions,
                self.make(setting.hyper),
                args,
                self.max_steps,
                tol,
                key,
                measured=self.measured,
            )(lane)

        return jax.jit(step, inline=True)

    def side_by_side(self, *arguments: Any) -> Executable:
        """The program that advances lanes together: all of them, or those chosen.

        Args:
            *arguments: `(lanes, settings, chosen, rows, tol, args)`, for their shapes;
                `chosen` holds the indices of the lanes to advance, None for all.

        Returns:
            A program of these arguments that returns all lanes, and entries of those
            chosen, with time along the first axis and lanes along the last.
        """
        return self._executable(_build_side_by_side, *arguments)

    def alone(self, *arguments: Any) -> Executable:
        """The program that advances one lane.

        Args:
            *arguments: `(lane, setting, rows, tol, args)`, for their shapes.

        Returns:
            A program of these arguments that returns the lane and its entries.
        """
        return self._executable(_build_alone, *arguments)

    def over_mesh(self, mesh: Mesh, together: bool, *arguments: Any) -> Executable:
        """The program in which every device of a mesh advances its own lanes.

        Args:
            mesh: The devices.
            together: Whether a device's lanes advance side by side, not one by one.
            *arguments: `(lanes, settings, rows, tol, args)`, for their shapes; lanes
                lie along the last axis, as many for each device.

        Returns:
            A program of these arguments that returns the lanes and their entries, with
            time along the first axis and lanes along the last.
        """
        return self._executable(_build_over_mesh, *arguments, more=(mesh, together))

    def _executable(
        self,
        build: Callable[..., Any],
        *arguments: Any,
        more: tuple[Any, ...] = (),
    ) -> Executable:
        statics = (self.functions, self.make, self.max_steps, self.measured)
        leaves, structure = jax.tree.flatten(arguments)
        context = [getattr(jax.config, name) for name in _CONTEXT]
        key = (
            build,
            *more,
            *context,
            *map(_programs.fingerprint, statics),
            structure,
            *map(_signature, leaves),
        )
        if key not in _EXECUTABLES:
            if len(_EXECUTABLES) >= _MOST_EXECUTABLES:
                _EXECUTABLES.pop(next(iter(_EXECUTABLES)))
            program = jax.jit(build(self._step, self.max_steps, *more))
            _EXECUTABLES[key] = Executable(program, arguments)
        return _EXECUTABLES[key]


def _signature(leaf: Any) -> tuple[Any, ...]:
    return (np.shape(leaf), str(getattr(leaf, "dtype", type(leaf))))


def _stacked(*leaves: Any) -> Any:
    if jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        return jnp.stack(leaves, -1)
    return np.stack([np.asarray(leaf) for leaf in leaves], -1)


def _build_start(functions: Functions, make: Make) -> Callable[..., Lane]:
    def start(params: PyTree, setting: Setting, args: tuple[Any, ...]) -> Lane:
        return start_lane(functions, params, make(setting.hyper), args)

    return start


def _build_alone(whole_step: Callable[..., Any], max_steps: int) -> Callable[..., Any]:
    def alone(lane: Lane, setting: Setting, rows: Any, tol: Any, args: Any) -> Any:
        def step(lane: Lane) -> tuple[Lane, Entry]:
            return whole_step(lane, setting, tol, args)

        return run_lane(step, lane, min(ROWS, max_steps + 1), rows)

    return alone


def _build_side_by_side(
    whole_step: Callable[..., Any], max_steps: int
) -> Callable[..., Any]:
    def side_by_side(
        lanes: Lane, settings: Setting, chosen: Any, rows: Any, tol: Any, args: Any
    ) -> tuple[Lane, Entry]:
        everyone = lanes
        if chosen is not None:
            lanes = jax.tree.map(lambda leaf: leaf[..., chosen], lanes)
            settings = jax.tree.map(lambda leaf: leaf[..., chosen], settings)

        def one(lane: Lane, setting: Setting) -> tuple[Lane, Entry]:
            return freeze(lambda lane: whole_step(lane, setting, tol, args))(lane)

        step = jax.vmap(one, in_axes=(-1, -1), out_axes=-1)
        shapes = jax.eval_shape(step, lanes, settings)[1]
        length = min(ROWS, max_steps + 1)
        entries = jax.tree.map(
            lambda e: jnp.full((length, *e.shape), missing(e), e.dtype), shapes
        )

        def body(carry: Any) -> Any:
            lanes, entries, row = carry
            lanes, entry = step(lanes, settings)
            entries = jax.tree.map(
                lambda into, e: lax.dynamic_update_index_in_dim(into, e, row, 0),
                entries,
                entry,
            )
            return lanes, entries, row + 1

        def goes_on(carry: Any) -> Any:
            lanes, _, row = carry
            return (row < rows) & jnp.any(lanes.status == Status.RUNNING)

        zero = jnp.zeros((), jnp.int32)
        lanes, entries, _ = lax.while_loop(goes_on, body, (lanes, entries, zero))
        if chosen is not None:
            lanes = jax.tree.map(
                lambda whole, part: jnp.asarray(whole).at[..., chosen].set(part),
                everyone,
                lanes,
            )
        return lanes, entries

    return side_by_side


def _build_in_turn(
    whole_step: Callable[..., Any], max_steps: int
) -> Callable[..., Any]:
    alone = _build_alone(whole_step, max_steps)

    def in_turn(lanes: Lane, settings: Setting, rows: Any, tol: Any, args: Any) -> Any:
        def one(pair: tuple[Lane, Setting]) -> tuple[Lane, Entry]:
            return alone(*pair, rows, tol, args)

        pairs = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), (lanes, settings))
        ended = lax.map(one, pairs)
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), ended)

    return in_turn


def _build_over_mesh(
    whole_step: Callable[..., Any], max_steps: int, mesh: Mesh, together: bool
) -> Callable[..., Any]:
    if not together:
        return sharding.sharded_lanes(_build_in_turn(whole_step, max_steps), mesh)
    side_by_side = _build_side_by_side(whole_step, max_steps)

    def all_of_them(lanes: Lane, settings: Setting, *shared: Any) -> Any:
        return side_by_side(lanes, settings, None, *shared)

    return sharding.sharded_lanes(all_of_them, mesh)
