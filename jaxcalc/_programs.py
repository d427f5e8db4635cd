"""Compiled programs, shared by calls whose functions are equal.

`jax.jit` recognizes a function by its identity, so `minimize(loss, x, optax.adam(0.1))`
would compile anew at every call: each `optax.adam(0.1)` is a new pair of closures.
Here two functions are equal when they have the same code and see equal values, down to
the numbers in a NumPy array. What can't be read to the ground (an object with
attributes, a module) is compared by identity, as `jax.jit` does.
"""

import dataclasses
import functools
import sys
import types
from collections.abc import Callable, Hashable
from enum import Enum
from hashlib import sha256
from typing import Any

import jax
import numpy as np
import optax
from jax.core import Tracer
from jax.extend.core import get_opaque_trace_state

# Nothing that these define changes what a function of theirs computes.
_LIBRARIES = {"builtins", "collections", "functools", "math", "operator", "typing"}
_LIBRARIES |= {"jax", "jaxcalc", "jaxlib", "jaxtyping", "ml_dtypes", "numpy"}
_LIBRARIES |= {"chex", "flax", "optax", "equinox", "optimistix", "lineax"}
_PLAIN = (str, bytes, bool, int, type(None), type(Ellipsis), np.dtype, Enum)
_PROGRAMS: dict[Hashable, "_Program"] = {}
_OPTIMIZERS: dict["_Identity", Hashable] = {}
_EQUAL_OPTIMIZERS: dict[Hashable, "_Identity"] = {}
_MOST = 256
_OUTSIDE = get_opaque_trace_state()  # of any trace: a package is imported outside


class _MutableError(Exception):
    """A function sees a value that may change without its identity changing."""


class _Identity:
    """A key that is equal to itself alone, and keeps its object alive."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class _Opaque(_Identity):
    """The key of a value that can't be read to the ground."""


class _Program:
    """A jitted function that is always traced from the statics seen last.

    They were equal when they were seen, but older ones may have changed since: a loop
    variable that a closure reads moves on, and a new shape would trace it again.
    """

    def __init__(self, build: Callable[..., Callable], options: Any):
        self.statics: tuple[Any, ...] = ()
        self.call = jax.jit(
            lambda *inputs: build(*self.statics)(*inputs), compiler_options=options
        )


def compiled(
    build: Callable[..., Callable],
    *statics: Any,
    quickly: Callable[[], bool] | None = None,
) -> Callable:
    """Return `jax.jit(build(*statics))`, the same one for equal `statics`.

    Args:
        build: A module-level function that returns the function to compile.
        *statics: What `build` takes: functions, optimizers, numbers, strings, records.
        quickly: Whether to compile in half the time, asked when the program is new:
            for programs that spend their time in linear algebra or are short, not for
            those that spend it in long elementwise loops.

    Returns:
        The jitted function, to be called at once: it is not traced yet.
    """
    # Compiler options belong to whole programs, not to a part of one being traced.
    alone = quickly is not None and not _tracing()
    key = (build, alone, *map(fingerprint, statics))
    program = _PROGRAMS.get(key)
    if program is None:
        quick = alone and quickly is not None and quickly()
        program = _Program(build, _quick_options() if quick else None)
        if not _holds_tracer(key):
            remember(_PROGRAMS, key, program)
    program.statics = statics
    return program.call


def sees_tracers(*values: Any) -> bool:
    """Whether functions see, or may see, values of a trace under way.

    Args:
        *values: Functions, optimizers, or containers of them.

    Returns:
        False outside of any trace.
    """
    return _tracing() and any(_holds_tracer(fingerprint(value)) for value in values)


@functools.cache
def _quick_options() -> dict[str, bool] | None:
    """What halves the compile time on a CPU, if this version of XLA knows it."""
    options = {"xla_cpu_use_fusion_emitters": False}
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except RuntimeError:
        return None
    return options


def remember(memory: dict[Any, Any], key: Any, value: Any, most: int = _MOST) -> None:
    """Add to a memory, and forget its oldest entry where there are too many.

    Args:
        memory: A dictionary.
        key: A key.
        value: What belongs to it.
        most: How many entries it may hold.
    """
    if len(memory) >= most:
        memory.pop(next(iter(memory)))
    memory[key] = value


def fingerprint(value: Any) -> Hashable:
    """A key that is equal for values that lead to the same compiled program.

    Args:
        value: A function, an optimizer, a number, a string, or a container of them.

    Returns:
        A hashable key; that of a mutable value is equal to itself alone.
    """
    if isinstance(value, optax.GradientTransformation):
        return _of_optimizer(value)
    try:
        return _fingerprint(value, ())
    except (_MutableError, RecursionError):
        if isinstance(value, tuple):
            return (type(value), *map(fingerprint, value))
        if isinstance(value, functools.partial) and not value.keywords:
            return (functools.partial, *map(fingerprint, (value.func, value.args)))
        return _Opaque(value)


def _of_optimizer(optimizer: optax.GradientTransformation) -> Hashable:
    # Dozens of closures see each other in an optimizer, and nothing rebinds what they
    # see: reading them once is enough, and one object stands for all equal ones, so
    # that a key is hashed in a moment.
    known = _OPTIMIZERS.get(_Identity(optimizer))
    if known is not None:
        return known
    found = tuple(map(fingerprint, optimizer))
    if _holds_tracer(found):
        return found
    if found not in _EQUAL_OPTIMIZERS:
        remember(_EQUAL_OPTIMIZERS, found, _Identity(found))
    remember(_OPTIMIZERS, _Identity(optimizer), _EQUAL_OPTIMIZERS[found])
    return _EQUAL_OPTIMIZERS[found]


def _fingerprint(value: Any, open_functions: tuple[Any, ...]) -> Hashable:
    if isinstance(value, _PLAIN):
        return (type(value), value)
    if isinstance(value, float | complex | np.generic):
        return (type(value), repr(value))
    if isinstance(value, jax.Array):
        return _Identity(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest = sha256(value.tobytes()).digest()
        return (type(value), value.dtype, value.shape, digest)
    if isinstance(value, tuple | list | frozenset):
        return (type(value), *(_fingerprint(v, open_functions) for v in value))
    if isinstance(value, dict):
        return (dict, *(_fingerprint(i, open_functions) for i in value.items()))
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return (functools.partial, _fingerprint(parts, open_functions))
    if isinstance(value, types.FunctionType):
        return _function(value, open_functions)
    if isinstance(value, types.ModuleType | type):
        if _from_library(value):
            return _Identity(value)
        raise _MutableError
    if dataclasses.is_dataclass(value) and _is_frozen(value):
        fields = [getattr(value, f.name) for f in dataclasses.fields(value)]
        return (type(value), _fingerprint(fields, open_functions))
    if callable(value) and _module_level(value):
        return _Identity(value)
    raise _MutableError


def _function(value: types.FunctionType, open_functions: tuple[Any, ...]) -> Hashable:
    if _from_library(value) and _module_level(value):
        return _Identity(value)
    wrapped = getattr(value, "__wrapped__", None)
    if wrapped is not None and value.__globals__["__name__"].startswith("jaxtyping."):
        return _fingerprint(wrapped, open_functions)  # type checks compute nothing
    if value in open_functions:  # a function that sees itself
        return ("recursion", open_functions.index(value))
    inside = (*open_functions, value)
    try:
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
    except ValueError:  # a cell that is still empty
        raise _MutableError from None
    scope = value.__globals__
    seen = [(name, scope[name]) for name in _names(value.__code__) if name in scope]
    parts = (cells, value.__defaults__, value.__kwdefaults__, value.__dict__, seen)
    return (
        value.__code__,
        value.__module__,
        *(_fingerprint(part, inside) for part in parts),
    )


@functools.lru_cache(maxsize=1024)
def _names(code: types.CodeType) -> tuple[str, ...]:
    """Names that code may look up among the globals, that of inner functions too."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return tuple(sorted(set(code.co_names).union(*map(_names, inner))))


def _from_library(value: Any) -> bool:
    name = value.__name__ if isinstance(value, types.ModuleType) else value.__module__
    return (name or "").partition(".")[0] in _LIBRARIES


def _module_level(value: Any) -> bool:
    """Whether a module holds this very object under its name."""
    found = sys.modules.get(getattr(value, "__module__", None) or "")
    for part in getattr(value, "__qualname__", "<lambda>").split("."):
        found = getattr(found, part, None)
    return found is value


def _is_frozen(value: Any) -> bool:
    return type(value).__dataclass_params__.frozen and not isinstance(value, type)


def _holds_tracer(key: Hashable) -> bool:
    """Whether a key keeps a value alive that belongs to a trace under way, or may."""
    if isinstance(key, _Opaque):
        return _tracing()
    if isinstance(key, _Identity):
        return isinstance(key.value, Tracer)
    return isinstance(key, tuple) and any(map(_holds_tracer, key))


def _tracing() -> bool:
    return get_opaque_trace_state() != _OUTSIDE
