"""Compiled programs that run many lanes: side by side, or one after the other.

Side by side, the lanes lie along the last axis of every array, so that a linear model's
work is one matrix product for all lanes. This suits optimizers whose every step costs
the same. A line search or a factorization would make all lanes wait for the slowest;
those lanes run one after the other.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import PyTree

from jaxcalc import _programs
from jaxcalc.minimization import Status
from jaxcalc.minimization.loop import (
    Entry,
    Functions,
    Lane,
    freeze,
    is_costly,
    make_step,
    missing,
    run_lane,
    start_lane,
)

Make = Callable[[Any], optax.GradientTransformation]

# Points measured in one call of a program. Between calls progress is shown and the
# store is written; a call may be asked for fewer.
ROWS = 256

_EXECUTABLES: dict[Any, "Executable"] = {}
_MOST_EXECUTABLES = 256
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
        self.seconds: float = time.perf_counter() - begin
        self._compiled: Any = None

    def compile(self) -> None:
        """Compile the program once; `seconds` grows by what it took."""
        if self._compiled is not None:
            return
        begin = time.perf_counter()
        self._compiled = self._lowered.compile()
        self.seconds += time.perf_counter() - begin

    def call(self, *arguments: Any) -> Any:
        """Run the program.

        Args:
            *arguments: Of the shapes it was traced with.

        Returns:
            What the program returns.
        """
        return self._compiled(*arguments)


@dataclass(frozen=True)
class Programs:
    """What it takes to run one optimizer on one problem.

    Attributes:
        functions: The functions of the problem.
        make: `make(rate)`, the optimizer for a learning rate.
        max_steps: Index of the last point of a run.
    """

    functions: Functions
    make: Make
    max_steps: int

    def start(self, params: PyTree, rates: jax.Array, args: tuple[Any, ...]) -> Lane:
        """Lanes before their first step, along the last axis.

        Args:
            params: Starts, lanes along the last axis.
            rates: Learning rate of each lane.
            args: Data of the loss.

        Returns:
            The lanes.
        """
        statics = (self.functions, self.make)
        return _programs.compiled(_build_start, *statics)(params, rates, args)

    def runs_side_by_side(self, params: PyTree, rate: Any, args: Any) -> bool:
        """Whether every step costs the same, so that lanes need not wait.

        Args:
            params: One start.
            rate: One learning rate.
            args: Data of the loss.

        Returns:
            False for optimizers that search lines or count their own work.
        """
        lane = jax.eval_shape(
            lambda p, r, a: start_lane(self.functions, p, self.make(r), a),
            params,
            rate,
            args,
        )
        return not is_costly(lane.state)

    def side_by_side(self, *arguments: Any) -> Executable:
        """The program that advances all lanes together.

        Args:
            *arguments: `(lanes, rates, rows, tol, args)`, for their shapes.

        Returns:
            A program of these arguments that returns the lanes and their entries, with
            time along the first axis and lanes along the last.
        """
        return self._executable(_build_side_by_side, *arguments)

    def alone(self, *arguments: Any) -> Executable:
        """The program that advances one lane.

        Args:
            *arguments: `(lane, rate, rows, tol, args)`, for their shapes.

        Returns:
            A program of these arguments that returns the lane and its entries.
        """
        return self._executable(_build_alone, *arguments)

    def _executable(self, build: Callable[..., Any], *arguments: Any) -> Executable:
        statics = (self.functions, self.make, self.max_steps)
        leaves, structure = jax.tree.flatten(arguments)
        context = [getattr(jax.config, name) for name in _CONTEXT]
        key = (
            build,
            *context,
            *map(_programs.fingerprint, statics),
            structure,
            *map(_signature, leaves),
        )
        if key not in _EXECUTABLES:
            if len(_EXECUTABLES) >= _MOST_EXECUTABLES:
                _EXECUTABLES.pop(next(iter(_EXECUTABLES)))
            program = jax.jit(build(*statics))
            _EXECUTABLES[key] = Executable(program, arguments)
        return _EXECUTABLES[key]


def _signature(leaf: Any) -> tuple[Any, ...]:
    leaf = jnp.asarray(leaf)
    return (leaf.shape, str(leaf.dtype))


def _build_start(functions: Functions, make: Make) -> Callable[..., Lane]:
    def start(params: PyTree, rates: jax.Array, args: tuple[Any, ...]) -> Lane:
        def one(params: PyTree, rate: jax.Array) -> Lane:
            return start_lane(functions, params, make(rate), args)

        return jax.vmap(one, in_axes=(-1, -1), out_axes=-1)(params, rates)

    return start


def _build_alone(
    functions: Functions, make: Make, max_steps: int
) -> Callable[..., Any]:
    def alone(lane: Lane, rate: Any, rows: Any, tol: Any, args: Any) -> Any:
        step = make_step(functions, make(rate), args, max_steps, tol)
        return run_lane(step, lane, min(ROWS, max_steps + 1), rows)

    return alone


def _build_side_by_side(
    functions: Functions, make: Make, max_steps: int
) -> Callable[..., Any]:
    def side_by_side(
        lanes: Lane, rates: jax.Array, rows: Any, tol: Any, args: tuple[Any, ...]
    ) -> tuple[Lane, Entry]:
        def one(lane: Lane, rate: Any) -> tuple[Lane, Entry]:
            step = make_step(functions, make(rate), args, max_steps, tol)
            return freeze(step)(lane)

        step = jax.vmap(one, in_axes=(-1, -1), out_axes=-1)
        shapes = jax.eval_shape(step, lanes, rates)[1]
        length = min(ROWS, max_steps + 1)
        entries = jax.tree.map(
            lambda e: jnp.full((length, *e.shape), missing(e), e.dtype), shapes
        )

        def body(carry: Any) -> Any:
            lanes, entries, row = carry
            lanes, entry = step(lanes, rates)
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
        return lanes, entries

    return side_by_side
