"""Which rule belongs to which primitive."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxcalc.analysis.intervals import _basic, _piecewise, _structure
from jaxcalc.analysis.intervals import _elementary as elementary
from jaxcalc.analysis.intervals._basic import Interval

# Rules of (operands...), which need no parameters.
PLAIN: dict[str, Callable[..., Interval]] = {
    **elementary.ELEMENTARY,
    "add": _basic.add,
    "add_any": _basic.add,
    "sub": _basic.sub,
    "mul": _basic.mul,
    "div": _basic.div,
    "neg": _basic.neg,
    "pow": elementary.power,
    "atan2": elementary.atan2,
    "xlogy": elementary.log_of_product,
    "abs": _piecewise.absolute,
    "cbrt": _piecewise.cbrt,
    "sign": _piecewise.sign,
    "floor": _piecewise.floor,
    "ceil": _piecewise.ceil,
    "max": _piecewise.maximum,
    "min": _piecewise.minimum,
    "clamp": _piecewise.clamp,
    "rem": _piecewise.remainder,
    "lt": _piecewise.less,
    "le": _piecewise.less_equal,
    "gt": lambda x, y: _piecewise.less(y, x),
    "ge": lambda x, y: _piecewise.less_equal(y, x),
    "eq": _piecewise.equal,
    "ne": lambda x, y: _piecewise.negated(_piecewise.equal(x, y)),
    "is_finite": _piecewise.finite,
    "select_n": _piecewise.select,
}
# Of truth values alone; on whole numbers they work bit by bit.
LOGIC: dict[str, Callable[..., Interval]] = {
    "and": _piecewise.both,
    "or": _piecewise.either,
    "xor": _piecewise.unlike,
    "not": _piecewise.negated,
    "reduce_or": lambda x: x,
}
UNCHANGED = {"copy", "copy_p", "stop_gradient", "optimization_barrier", "name"}
UNCHANGED |= {"pvary", "reduce_precision", "device_put"}
CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr"}
CALLS |= {"core_call": "call_jaxpr", "checkpoint": "jaxpr", "remat2": "jaxpr"}
CALLS |= {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
CALLS |= {"custom_vjp_call_jaxpr": "fun_jaxpr"}
# Which operands hold numbers; the others are indices.
MOVED = {"gather": [0], "dynamic_slice": [0], "dynamic_update_slice": [0, 1]}
OTHERS = {"integer_pow", "convert_element_type", "round", "iota", "dot_general"}
OTHERS |= {
    "empty",
    "empty2",
    "concatenate",
    "stack",
    "unstack",
    "split",
    "pad",
    "cond",
    "scan",
}
KNOWN = {*PLAIN, *UNCHANGED, *CALLS, *MOVED, *OTHERS}
KNOWN |= {*_structure.STRUCTURE, *_structure.REDUCTIONS}


class UnknownPrimitiveError(NotImplementedError):
    """The interpreter has no rule for a primitive, or none for its parameters."""


def with_parameters(eqn: Any, values: Sequence[Interval]) -> list[Interval]:
    name, params = eqn.primitive.name, eqn.params
    if name == "integer_pow":
        return [elementary.integer_pow(values[0], params["y"])]
    if name == "convert_element_type":
        return [_converted(values[0], eqn)]
    if name == "round":
        return [
            _piecewise.rounded(values[0], rounding_method=params["rounding_method"])
        ]
    if name in {"empty", "empty2"}:  # what a branch has no residual for
        return [_basic.constant(np.zeros(eqn.outvars[0].aval.shape))]
    if name == "iota":
        shape, axis = params["shape"], params["dimension"]
        counts = np.arange(shape[axis], dtype=float)
        counts = counts.reshape([-1 if k == axis else 1 for k in range(len(shape))])
        return [_basic.constant(np.broadcast_to(counts, shape))]
    joined = {
        "dot_general": _structure.dot_general,
        "concatenate": _structure.concatenate,
        "stack": _structure.stack,
        "pad": _structure.pad,
    }
    if name in joined:
        return [joined[name](params, *values)]
    if name in {"unstack", "split"}:
        return getattr(_structure, name)(params, values[0])
    if name == "reduce_or":
        flipped = _piecewise.negated(values[0])
        every = _structure.REDUCTIONS["reduce_and"](params, flipped)
        return [_piecewise.negated(every)]
    raise UnknownPrimitiveError(name)


def _converted(x: Interval, eqn: Any) -> Interval:
    """Numbers as they are: rounding to a shorter float is left out."""
    old, new = eqn.invars[0].aval.dtype, eqn.params["new_dtype"]
    if np.issubdtype(new, np.bool_) and not np.issubdtype(old, np.bool_):
        return _piecewise.negated(_piecewise.equal(x, _basic.constant(0.0)))
    if np.issubdtype(new, np.integer) and np.issubdtype(old, np.floating):
        return _piecewise.truncate(x)
    return x
