"""Walk through a jaxpr, with an interval for every value."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxcalc.analysis.intervals import _basic, _piecewise, _structure
from jaxcalc.analysis.intervals import _rules as rules
from jaxcalc.analysis.intervals import _simplify as simplify
from jaxcalc.analysis.intervals._basic import Interval

_LONGEST_SCAN = 4096

# What max and min were made of, by the identity of their lower bounds: their derivative
# asks which operand the result is equal to.
_Chosen = dict[int, tuple[str, Interval, Sequence[Interval]]]


def evaluate(closed: ClosedJaxpr, boxes: Sequence[Interval]) -> list[Interval]:
    """Enclose the outputs of a jaxpr on a batch of boxes.

    Args:
        closed: A closed jaxpr, traced in float64.
        boxes: One interval for each of its inputs, the batch axis first.

    Returns:
        One interval for each output.

    Raises:
        UnknownPrimitiveError: There is no rule for a primitive.
    """
    constants = [_basic.constant(c) for c in closed.consts]
    varies = [False] * len(constants) + [True] * len(boxes)
    with np.errstate(all="ignore"):
        found, _ = _walk(closed.jaxpr, [*constants, *boxes], varies, {})
    return found


def unknown_primitives(closed: ClosedJaxpr) -> tuple[str, ...]:
    """Names of the primitives that its outputs need and that have no rule, in order.

    Args:
        closed: A closed jaxpr.

    Returns:
        Their names, each once; nothing where the jaxpr can be evaluated.
    """
    found: dict[str, None] = {}
    _collect(closed.jaxpr, found)
    return tuple(found)


def _collect(jaxpr: Jaxpr, found: dict[str, None]) -> None:
    for eqn, _ in simplify.plan(jaxpr)[0]:
        name = eqn.primitive.name
        if name in rules.LOGIC:
            if not _is_truth(eqn.invars[0]):
                found[name] = None
        elif name not in rules.KNOWN or (name == "sort" and len(eqn.invars) > 1):
            found[name] = None
        for inner in _inner(eqn):
            _collect(inner, found)


def _inner(eqn: Any) -> list[Jaxpr]:
    name, params = eqn.primitive.name, eqn.params
    if name in rules.CALLS:
        return [_open(params[rules.CALLS[name]])]
    if name == "cond":
        return [_open(branch) for branch in params["branches"]]
    return [_open(params["jaxpr"])] if name == "scan" else []


def _is_truth(atom: Any) -> bool:
    return np.issubdtype(atom.aval.dtype, np.bool_)


def _open(jaxpr: Any) -> Jaxpr:
    return jaxpr.jaxpr if hasattr(jaxpr, "consts") else jaxpr


def _walk(
    jaxpr: Jaxpr,
    inputs: Sequence[Interval],
    varies: Sequence[bool],
    chosen: _Chosen,
) -> tuple[list[Interval], list[bool]]:
    """Values of the outputs, and whether each depends on the boxes."""
    env: dict[Any, tuple[Interval, bool]] = {}
    names = [*jaxpr.constvars, *jaxpr.invars]
    env.update(zip(names, zip(inputs, varies, strict=True), strict=True))
    plan, outputs = simplify.plan(jaxpr)
    for eqn, atoms in plan:
        operands = [_read(atom, env) for atom in atoms]
        values, moving = [x for x, _ in operands], [v for _, v in operands]
        results, depend = _step(eqn, values, moving, chosen)
        env.update(zip(eqn.outvars, zip(results, depend, strict=True), strict=True))
    found = [_read(atom, env) for atom in outputs]
    return [x for x, _ in found], [v for _, v in found]


def _read(atom: Any, env: dict[Any, tuple[Interval, bool]]) -> tuple[Interval, bool]:
    return (atom, False) if isinstance(atom, Interval) else env[atom]


def _step(
    eqn: Any, values: Sequence[Interval], varies: Sequence[bool], chosen: _Chosen
) -> tuple[list[Interval], list[bool]]:
    name = eqn.primitive.name
    if name in rules.CALLS:
        return _call(eqn.params[rules.CALLS[name]], values, varies, chosen)
    if name == "cond":
        return _cond(eqn.params["branches"], values, varies, chosen)
    if name == "scan":
        return _scan(eqn.params, values, varies, chosen)
    depends = any(varies)
    if not depends and not _is_floating(eqn):
        results = _whole_numbers(eqn, values)
    else:
        results = _which(eqn, values, chosen) or _apply(eqn, values)
    if name in {"max", "min"}:
        chosen[id(results[0].lo)] = (name, results[0], values)
    if not depends:
        # A constant is smooth whatever made it.
        results = [Interval(x.lo, x.hi, ~np.isnan(x.lo)) for x in results]
    return results, [depends] * len(results)


def _which(
    eqn: Any, values: Sequence[Interval], chosen: _Chosen
) -> list[Interval] | None:
    """Whether the larger of x and y is x: whether x is at least y."""
    if eqn.primitive.name != "eq":
        return None
    for one, result in (values, reversed(values)):
        if id(result.lo) not in chosen:
            continue
        name, _, (x, y) = chosen[id(result.lo)]
        for mine, other in ((x, y), (y, x)):
            if _is_same(mine, one):
                pair = (other, mine) if name == "max" else (mine, other)
                return [_piecewise.less_equal(*pair)]
    return None


def _is_same(x: Interval, y: Interval) -> bool:
    """Whether two operands are one value, or one and the same constant."""
    if x.lo.size != 1 or y.lo.size != 1:
        return x.lo is y.lo
    # One number for all boxes, if it is a constant; one for the only box, if not.
    number = float(x.lo.flat[0])
    return all(number == float(b.flat[0]) for b in (x.hi, y.lo, y.hi))


def _is_floating(eqn: Any) -> bool:
    atoms = (*eqn.invars, *eqn.outvars)
    return any(np.issubdtype(atom.aval.dtype, np.floating) for atom in atoms)


def _whole_numbers(eqn: Any, values: Sequence[Interval]) -> list[Interval]:
    """Indices and counters that depend on no input: JAX itself computes them."""
    with jax.enable_x64(True):
        arrays = [
            np.asarray(x.lo[0]).astype(atom.aval.dtype)
            for x, atom in zip(values, eqn.invars, strict=True)
        ]
        found = eqn.primitive.bind(*arrays, **eqn.params)
    several = eqn.primitive.multiple_results
    return [_basic.constant(a) for a in (found if several else [found])]


def _apply(eqn: Any, values: Sequence[Interval]) -> list[Interval]:
    name, params = eqn.primitive.name, eqn.params
    same = len(values) == 2 and values[0].lo is values[1].lo
    if same and (found := _piecewise.same_operand(name, values[0])) is not None:
        return [found]
    if name in rules.PLAIN:
        return [rules.PLAIN[name](*values)]
    if name in rules.LOGIC and _is_truth(eqn.invars[0]) and name != "reduce_or":
        return [rules.LOGIC[name](*values)]
    if name in rules.UNCHANGED:
        return list(values)
    if name in _structure.STRUCTURE:
        return [_structure.STRUCTURE[name](params, values[0])]
    if name in _structure.REDUCTIONS:
        return [_structure.REDUCTIONS[name](params, values[0])]
    if name in rules.MOVED:
        found = _structure.moved_by_jax(
            eqn.primitive, params, list(values), rules.MOVED[name]
        )
        return [found]
    return rules.with_parameters(eqn, values)


def _call(
    inner: Any, values: Sequence[Interval], varies: Sequence[bool], chosen: _Chosen
) -> tuple[list[Interval], list[bool]]:
    if hasattr(inner, "consts"):
        constants = [_basic.constant(c) for c in inner.consts]
        values = [*constants, *values]
        varies = [*(False for _ in constants), *varies]
        inner = inner.jaxpr
    return _walk(inner, values, varies, chosen)


def _cond(
    branches: Sequence[Any],
    values: Sequence[Interval],
    varies: Sequence[bool],
    chosen: _Chosen,
) -> tuple[list[Interval], list[bool]]:
    which, rest = values[0], values[1:]
    last = float(len(branches) - 1)
    which = Interval(
        np.clip(which.lo, 0, last), np.clip(which.hi, 0, last), which.regular
    )
    every = [_call(branch, rest, varies[1:], chosen) for branch in branches]
    results = [
        _piecewise.select(which, *cases)
        for cases in zip(*(found for found, _ in every), strict=True)
    ]
    depends = [
        varies[0] or any(column)
        for column in zip(*(depend for _, depend in every), strict=True)
    ]
    return results, depends


def _scan(
    params: dict[str, Any],
    values: Sequence[Interval],
    varies: Sequence[bool],
    chosen: _Chosen,
) -> tuple[list[Interval], list[bool]]:
    """A loop whose length is known, one turn after the other."""
    fixed, carried, length = (params[k] for k in ("num_consts", "num_carry", "length"))
    if length > _LONGEST_SCAN:
        raise rules.UnknownPrimitiveError(f"scan of {length} steps")
    split = fixed + carried
    constants, carry, rows = values[:fixed], values[fixed:split], values[split:]
    moving = list(varies[fixed:split])
    made: list[list[Interval]] = []
    depends: list[bool] = []
    turns = range(length)
    for k in reversed(turns) if params["reverse"] else turns:
        row = [Interval(*(part[:, k] for part in x)) for x in rows]
        inputs = [*constants, *carry, *row]
        flags = [*varies[:fixed], *moving, *varies[split:]]
        results, depends = _call(params["jaxpr"], inputs, flags, chosen)
        carry, moving = results[:carried], depends[:carried]
        made.append(list(results[carried:]))
    if params["reverse"]:
        made.reverse()
    if not made:
        raise rules.UnknownPrimitiveError("scan of no steps")
    columns = [_structure.stack({"axis": 0}, *c) for c in zip(*made, strict=True)]
    return [*carry, *columns], [*moving, *depends[carried:]]
