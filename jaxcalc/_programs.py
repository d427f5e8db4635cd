"""Compiled programs, shared by calls whose functions are equal.

`jax.jit` recognizes a function by its identity, so `minimize(loss, x, optax.adam(0.1))`
would compile anew at every call: each `optax.adam(0.1)` is a new pair of closures.
Here two closures are equal when they have the same code and see equal, immutable
values; whatever might change unseen is compared by identity, as `jax.jit` does.
"""

import dataclasses
import functools
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any

import jax
import numpy as np
import optax
from jax.core import Tracer

_LIBRARIES = {"functools", "jax", "jaxcalc", "jaxlib", "math", "numpy", "operator"}
_LIBRARIES |= {"chex", "flax", "optax", "equinox", "optimistix", "lineax"}
_PLAIN = (str, bytes, bool, int, type(None), type(Ellipsis), type, np.dtype, Enum)
_PROGRAMS: OrderedDict[Hashable, Callable] = OrderedDict()
_MOST_PROGRAMS = 256


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


def compiled(build: Callable[..., Callable], *statics: Any) -> Callable:
    """Return `jax.jit(build(*statics))`, the same one for equal `statics`.

    Args:
        build: A module-level function that returns the function to compile.
        *statics: What `build` takes: functions, optimizers, numbers, strings, records.

    Returns:
        The jitted function.
    """
    key = (build, *map(fingerprint, statics))
    program = _PROGRAMS.get(key)
    if program is None:
        program = jax.jit(build(*statics))
        if any(map(_holds_tracer, key)):
            return program
        _PROGRAMS[key] = program
        if len(_PROGRAMS) > _MOST_PROGRAMS:
            _PROGRAMS.popitem(last=False)
    else:
        _PROGRAMS.move_to_end(key)
    return program


def fingerprint(value: Any) -> Hashable:
    """A key that is equal for values that lead to the same compiled program.

    Args:
        value: A function, an optimizer, a number, a string, or a container of them.

    Returns:
        A hashable key; that of a mutable value is equal to itself alone.
    """
    if isinstance(value, optax.GradientTransformation):
        return _of_optimizer(_Identity(value))
    try:
        return _fingerprint(value, ())
    except _MutableError:
        if isinstance(value, tuple):
            return (type(value), *map(fingerprint, value))
        return _Identity(value)


@functools.lru_cache(maxsize=256)
def _of_optimizer(optimizer: _Identity) -> Hashable:
    # Dozens of closures see each other in an optimizer, and nothing rebinds what they
    # see: reading them once is enough.
    return tuple(map(fingerprint, optimizer.value))


def _fingerprint(value: Any, open_functions: tuple[Any, ...]) -> Hashable:
    if isinstance(value, _PLAIN):
        return (type(value), value)
    if isinstance(value, float | complex | np.generic):
        return (type(value), repr(value))
    if isinstance(value, jax.Array):
        return _Identity(value)
    if isinstance(value, tuple | list | frozenset):
        return (type(value), *(_fingerprint(v, open_functions) for v in value))
    if isinstance(value, dict):
        return (dict, *(_fingerprint(i, open_functions) for i in value.items()))
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return (functools.partial, _fingerprint(parts, open_functions))
    if isinstance(value, types.FunctionType):
        return _function(value, open_functions)
    if isinstance(value, types.ModuleType):
        if value.__name__.partition(".")[0] in _LIBRARIES:
            return _Identity(value)
        raise _MutableError
    if dataclasses.is_dataclass(value) and _is_frozen(value):
        fields = [getattr(value, f.name) for f in dataclasses.fields(value)]
        return (type(value), _fingerprint(fields, open_functions))
    if callable(value) and _module_level(value):
        return _Identity(value)
    raise _MutableError


def _function(value: types.FunctionType, open_functions: tuple[Any, ...]) -> Hashable:
    if _module_level(value):
        return _Identity(value)
    if value in open_functions:  # a closure that sees itself
        return ("recursion", open_functions.index(value))
    inside = (*open_functions, value)
    try:
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
    except ValueError:  # a cell that is still empty
        raise _MutableError from None
    names = sorted(_global_names(value.__code__))
    seen = [value.__globals__[name] for name in names if name in value.__globals__]
    parts = (cells, value.__defaults__, value.__kwdefaults__, seen)
    return (
        value.__code__,
        value.__module__,
        *(_fingerprint(part, inside) for part in parts),
    )


def _global_names(code: types.CodeType) -> set[str]:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_global_names, inner))


def _module_level(value: Any) -> bool:
    """Whether a module holds this very object under its name."""
    found = sys.modules.get(getattr(value, "__module__", None) or "")
    for part in getattr(value, "__qualname__", "<lambda>").split("."):
        found = getattr(found, part, None)
    return found is value


def _is_frozen(value: Any) -> bool:
    return type(value).__dataclass_params__.frozen and not isinstance(value, type)


def _holds_tracer(key: Hashable) -> bool:
    if isinstance(key, _Identity):
        return isinstance(key.value, Tracer) or _sees_tracer(key.value)
    return isinstance(key, tuple) and any(map(_holds_tracer, key))


def _sees_tracer(value: Any) -> bool:
    cells = getattr(value, "__closure__", None) or ()
    try:
        contents = [cell.cell_contents for cell in cells]
    except ValueError:
        return False
    leaves = jax.tree.leaves(contents)
    return any(
        isinstance(leaf, Tracer)
        or (isinstance(leaf, types.FunctionType) and _sees_tracer(leaf))
        for leaf in leaves
    )
