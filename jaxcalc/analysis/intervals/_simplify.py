"""What of a jaxpr has to be evaluated: nothing twice, nothing in vain.

Derivatives of derivatives compute the same sines and products several times, and much
that nobody asks for. Equations that are alike are merged, which also makes products of
a value with itself visible as squares.
"""

import functools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, Literal

from jaxcalc.analysis.intervals._basic import constant

# Without parameters that matter to their values.
_PURE = {"add", "add_any", "sub", "mul", "div", "neg", "exp", "log", "log1p", "expm1"}
_PURE |= {"sin", "cos", "tan", "tanh", "logistic", "sqrt", "rsqrt", "square", "pow"}
_PURE |= {"abs", "sign", "max", "min", "lt", "le", "gt", "ge", "eq", "ne", "select_n"}
_PURE |= {"sinh", "cosh", "asin", "acos", "atan", "erf", "exp2", "cbrt", "integer_pow"}

_Plan = tuple[Sequence[tuple[Any, Sequence[Any]]], Sequence[Any]]


@functools.lru_cache(maxsize=512)
def plan(jaxpr: Jaxpr) -> _Plan:
    """Equations in order, each with its operands; then the outputs.

    Args:
        jaxpr: An open jaxpr.

    Returns:
        Pairs of an equation and its operands, and what to hand out: each a variable,
        or the interval of a number.
    """
    same: dict[Any, Any] = {}
    known: dict[Hashable, Any] = {}
    steps = []
    for eqn in jaxpr.eqns:
        atoms = [_first(atom, same) for atom in eqn.invars]
        key = _key(eqn, atoms)
        if key is not None and key in known:
            same[eqn.outvars[0]] = known[key]
            continue
        if key is not None:
            known[key] = eqn.outvars[0]
        steps.append((eqn, atoms))
    outputs = [_first(atom, same) for atom in jaxpr.outvars]
    needed = [(eqn, _ready(atoms)) for eqn, atoms in _needed(steps, outputs)]
    return needed, _ready(outputs)


def _ready(atoms: Sequence[Any]) -> list[Any]:
    return [constant(a.val) if isinstance(a, Literal) else a for a in atoms]


def _first(atom: Any, same: dict[Any, Any]) -> Any:
    return atom if isinstance(atom, Literal) else same.get(atom, atom)


def _key(eqn: Any, atoms: Sequence[Any]) -> Hashable | None:
    """Equal for equations that compute the same; None where that is not known."""
    name = eqn.primitive.name
    if name not in _PURE:
        return None
    operands = []
    for atom in atoms:
        if not isinstance(atom, Literal):
            operands.append(atom)
        elif np.ndim(atom.val):
            return None
        else:
            operands.append((str(atom.aval), repr(atom.val)))
    return (name, eqn.params.get("y"), str(eqn.outvars[0].aval), *operands)


def _needed(steps: list[Any], outputs: Sequence[Any]) -> list[Any]:
    """The steps that lead to the outputs."""
    wanted = {atom for atom in outputs if not isinstance(atom, Literal)}
    kept = []
    for eqn, atoms in reversed(steps):
        if wanted.isdisjoint(eqn.outvars):
            continue
        wanted.update(atom for atom in atoms if not isinstance(atom, Literal))
        kept.append((eqn, atoms))
    return kept[::-1]
