"""One function at one point: its values along directions, and what AD says of it.

A function of float32 parameters is examined in float64 where it allows that: where it
can be traced with 64-bit inputs, computes in nothing coarser, and has the same value.
The compiled programs are kept for later calls with equal functions and shapes.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.extend as jex
import jax.numpy as jnp
import numpy as np

from jaxcalc import _programs
from jaxcalc.derivatives._check.paths import Way, way_to_value

ROWS = 4  # directions that one program takes at once
SLOTS = 32  # points that one program takes at once
_GRADIENT_SLOTS = 4
_MOST_PLANS = 64
_PLANS: dict[Hashable, "Plan"] = {}
_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


class _Function:
    """Calls the function that was seen last among equal ones.

    Finding out whether two functions are equal takes as long as running a small
    program; it is done once for all the programs of a check.
    """

    def __init__(self, f: Callable[..., Any]):
        self.f = f

    def __call__(self, *args: Any) -> Any:
        return self.f(*args)


class Plan(NamedTuple):
    """What is known of a function from tracing it once.

    Attributes:
        wide: Whether float32 parameters are examined in float64.
        traceable: Whether the function can be traced (and so compiled).
        eps: Coarsest rounding unit between the parameters and the value.
        missing: Why a mode ("forward", "reverse", "second") is not available.
        program: The closed jaxpr, or None.
        function: Stands for all functions that are equal to this one.
    """

    wide: bool
    traceable: bool
    eps: float
    missing: dict[str, str]
    program: Any
    function: "_Function"


@dataclass(frozen=True, eq=False)
class Probe:
    """Evaluates one function at one point; counts what it evaluates."""

    f: Callable[..., Any]
    x: Any  # as the caller passed it
    args: tuple[Any, ...]
    point: Any  # in the precision that is worked in
    data: tuple[Any, ...]
    plan: Plan
    cost: Counter[str] = field(default_factory=Counter)

    @property
    def flat(self) -> np.ndarray:
        """The point as one float64 vector."""
        return flatten(self.point)

    @property
    def native_eps(self) -> float:
        """Rounding unit of the caller's coarsest leaf."""
        leaves = jax.tree.leaves(self.x)
        return max(float(jnp.finfo(leaf.dtype).eps) for leaf in leaves)

    def eager(self) -> float:
        """The value as the caller would compute it, without `jit`."""
        self.cost["values"] += 1
        return float(self.f(self.x, *self.args))

    def values(
        self, rows: np.ndarray, which: np.ndarray, steps: np.ndarray
    ) -> np.ndarray:
        """Values at `x + steps[i] * rows[which[i]]`.

        Args:
            rows: Directions, shape `(ROWS, n)`.
            which: The direction of each point, shape `(m,)`.
            steps: The step of each point, shape `(m,)`.

        Returns:
            Values in float64, shape `(m,)`.
        """
        found = []
        for start in range(0, len(steps), SLOTS):
            part = slice(start, start + SLOTS)
            found.append(self._values(rows, which[part], steps[part]))
        self.cost["values"] += len(steps)
        return np.concatenate(found)

    def _values(self, rows, which, steps):
        count = len(steps)
        which = np.pad(which.astype(np.int32), (0, SLOTS - count))
        steps = np.pad(steps, (0, SLOTS - count))
        out = self._call(_build_values, self.tree(rows), which, steps, count)
        return np.asarray(out, float)[:count]

    def forward(self, rows: np.ndarray) -> np.ndarray:
        """Forward-mode slopes along directions, shape `(ROWS,)`."""
        self.cost["forward"] += 1
        return np.asarray(self._call(_build_forward, self.tree(rows)), float)

    def reverse(self) -> tuple[float, np.ndarray]:
        """Value and reverse-mode gradient, flat."""
        self.cost["gradients"] += 1
        value, gradient = self._call(_build_reverse)
        return float(value), flatten(gradient)

    def second(self, rows: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient, and Hessian-vector products with two directions."""
        self.cost["gradients"] += 1
        (value, gradient), products = self._call(_build_second, self.tree(rows))
        leaves = [np.asarray(leaf, float) for leaf in jax.tree.leaves(products)]
        flat = [leaf.reshape(len(rows), -1) for leaf in leaves]
        return float(value), flatten(gradient), np.concatenate(flat, axis=1)

    def gradients(self, row: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Gradients at `x + steps[i] * row`, shape `(m, n)`."""
        found = []
        for start in range(0, len(steps), _GRADIENT_SLOTS):
            part = steps[start : start + _GRADIENT_SLOTS]
            padded = np.pad(part, (0, _GRADIENT_SLOTS - len(part)))
            rows = self.tree(row[None])
            out = self._call(_build_gradients, rows, padded, len(part))
            leaves = [np.asarray(leaf, float) for leaf in jax.tree.leaves(out)]
            flat = [leaf.reshape(_GRADIENT_SLOTS, -1) for leaf in leaves]
            found.append(np.concatenate(flat, axis=1)[: len(part)])
        self.cost["gradients"] += len(steps)
        return np.concatenate(found)

    def native(self) -> tuple[float, np.ndarray]:
        """Value and gradient, compiled, in the caller's own precision."""
        self.cost["gradients"] += 1
        with self._mode(wide=False):
            program = self._program(_build_reverse)
            value, gradient = program(self.x, self.args)
        return float(value), flatten(gradient)

    def way(self, leaf: int) -> Way:
        """How the value depends on one leaf of the parameters."""
        if self.plan.program is None:
            return Way()
        count = len(self.plan.program.jaxpr.invars)
        return way_to_value(self.plan.program, [i == leaf for i in range(count)])

    def working(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which the point's precision exists."""
        return self._mode(self.plan.wide)

    def _mode(self, wide: bool) -> contextlib.AbstractContextManager[Any]:
        stack = contextlib.ExitStack()
        if wide:
            stack.enter_context(_enable_x64())
        if not self.plan.traceable:
            stack.enter_context(jax.disable_jit())
        return stack

    def _program(self, build: Callable[..., Any]) -> Callable[..., Any]:
        if self.plan.traceable:
            return _programs.compiled(build, self.plan.function)
        return build(self.f)

    def _call(self, build: Callable[..., Any], *inputs: Any) -> Any:
        with self.working():
            out = self._program(build)(self.point, self.data, *inputs)
            return jax.device_get(out)

    def tree(self, rows: np.ndarray) -> Any:
        """Rows of flat vectors as a tree of stacked leaves."""
        leaves, structure = jax.tree.flatten(self.point)
        ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
        parts = np.split(rows, ends, axis=1)
        stacked = [
            part.reshape(len(rows), *leaf.shape).astype(leaf.dtype)
            for part, leaf in zip(parts, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, stacked)


def probe(f: Callable[..., Any], x: Any, args: tuple[Any, ...], wide: bool) -> Probe:
    """Trace a function once and choose the precision to examine it in.

    Args:
        f: The function.
        x: Its parameters, a tree of floating arrays.
        args: Its data.
        wide: Whether float64 may be tried for coarser parameters.

    Returns:
        The probe.
    """
    coarse = any(leaf.dtype.itemsize < 8 for leaf in jax.tree.leaves(x))
    if wide and coarse:
        with _enable_x64():
            point, data = _widened(x), _widened(args)
            try:
                plan = _planned(f, point, data, wide=True)
            except Exception:  # whatever it is, the function does not allow float64
                plan = None
        if plan is not None and plan.traceable and plan.eps < 1e-12:
            return Probe(f, x, args, point, data, plan)
    return Probe(f, x, args, x, args, _planned(f, x, args, wide=False))


def flatten(tree: Any) -> np.ndarray:
    """All leaves as one float64 vector.

    Args:
        tree: A tree of arrays.

    Returns:
        A vector, leaf after leaf.
    """
    leaves = [np.asarray(leaf).astype(float).ravel() for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves)


def _planned(f: Callable[..., Any], x: Any, args: Any, wide: bool) -> Plan:
    leaves, structure = jax.tree.flatten((x, args))
    shapes = tuple((np.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)
    bits = str(jnp.result_type(float))  # whether 64-bit floats are on
    key = (_programs.fingerprint(f), structure, shapes, wide, bits)
    plan = _PLANS.get(key)
    if plan is None:
        plan = _plan(f, x, args, wide)
        _programs.remember(_PLANS, key, plan, most=_MOST_PLANS)
    plan.function.f = f
    return plan


def _plan(f: Callable[..., Any], x: Any, args: Any, wide: bool) -> Plan:
    count = len(jax.tree.leaves(x))
    own = max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(x))
    try:
        program = jax.make_jaxpr(f)(x, *args)
    except _CONCRETE:
        return Plan(wide, False, own, {}, None, _Function(f))
    way = way_to_value(program, [i < count for i in range(len(program.in_avals))])
    missing = {}
    modes = {"forward": _build_forward, "reverse": _build_reverse}
    for mode, build in (modes | {"second": _build_second}).items():
        rows = () if mode == "reverse" else (jax.tree.map(lambda p: p[None], x),)
        why = _unavailable(build(f), x, args, *rows)
        if mode == "second" and "reverse" in missing:
            why = missing["reverse"]
        if why:
            missing[mode] = why
    return Plan(wide, True, max(own, way.eps), missing, program, _Function(f))


def _unavailable(derivative: Callable[..., Any], *inputs: Any) -> str:
    """Why a derivative cannot be taken; empty if it can."""
    try:
        program = jax.make_jaxpr(derivative)(*inputs)
    except Exception as error:  # rules raise whatever they like
        return first_line(error)
    if _holds(program.jaxpr, "custom_lin"):
        return "a function with a custom_vjp rule has no forward mode"
    return ""


def _holds(jaxpr: Any, primitive: str) -> bool:
    if any(eqn.primitive.name == primitive for eqn in jaxpr.eqns):
        return True
    return any(_holds(inner, primitive) for inner in jex.core.subjaxprs(jaxpr))


def first_line(error: Exception) -> str:
    """Type and first line of an error."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]


def _enable_x64() -> contextlib.AbstractContextManager[Any]:
    return jax.enable_x64(True)


def _widened(tree: Any) -> Any:
    def widen(leaf: Any) -> Any:
        if jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            return jnp.asarray(leaf, jnp.float64)
        return leaf

    return jax.tree.map(widen, tree)


def _build_values(f: Callable[..., Any]) -> Callable[..., Any]:
    def values(x, args, rows, which, steps, count):
        def at(i, found):
            def move(leaf, row):
                return leaf + steps[i].astype(leaf.dtype) * row[which[i]]

            value = f(jax.tree.map(move, x, rows), *args)
            return found.at[i].set(jnp.asarray(value).astype(found.dtype))

        empty = jnp.full(SLOTS, jnp.nan, jnp.result_type(float))
        return jax.lax.fori_loop(0, count, at, empty)

    def prepared(x, args, rows, which, steps, count):
        rows, steps = jax.tree.map(jnp.asarray, rows), jnp.asarray(steps)
        return values(x, args, rows, jnp.asarray(which), steps, count)

    return prepared


def _build_forward(f: Callable[..., Any]) -> Callable[..., Any]:
    def forward(x, args, rows):
        def along(row):
            return jax.jvp(lambda p: f(p, *args), (x,), (row,))[1]

        return _for_each(along, rows)

    return forward


def _for_each(along: Callable[..., Any], rows: Any) -> Any:
    """Apply a linear function to stacked directions, without repeating its program."""
    rows = jax.tree.map(jnp.asarray, rows)
    try:
        return jax.vmap(along)(rows)
    except NotImplementedError:  # a primitive that cannot be batched
        count = len(jax.tree.leaves(rows)[0])
        each = [along(jax.tree.map(lambda r, i=i: r[i], rows)) for i in range(count)]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *each)


def _build_reverse(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, args: jax.value_and_grad(f)(x, *args)


def _build_second(f: Callable[..., Any]) -> Callable[..., Any]:
    def second(x, args, rows):
        def gradient(p):
            value, slope = jax.value_and_grad(f)(p, *args)
            return slope, value

        # Linearizing drops the tangent of the value, which a custom_vjp rule may not
        # have, and runs the function once for all directions.
        slope, along, value = jax.linearize(gradient, x, has_aux=True)
        return (value, slope), _for_each(along, rows)

    return second


def _build_gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    def gradients(x, args, rows, steps, count):
        rows, steps = jax.tree.map(jnp.asarray, rows), jnp.asarray(steps)

        def at(i, found):
            def move(leaf, row):
                return leaf + steps[i].astype(leaf.dtype) * row[0]

            gradient = jax.grad(f)(jax.tree.map(move, x, rows), *args)
            return jax.tree.map(lambda a, g: a.at[i].set(g), found, gradient)

        empty = jax.tree.map(
            lambda leaf: jnp.zeros((_GRADIENT_SLOTS, *leaf.shape), leaf.dtype), x
        )
        return jax.lax.fori_loop(0, count, at, empty)

    return gradients
