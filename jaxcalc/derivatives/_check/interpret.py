"""Run a traced program equation by equation, with something else at some of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.extend as jex
import numpy as np

_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_LOOPS = ("scan", "while", "cond")

# Takes an equation, its inputs and the source line around it; returns its outputs, or
# None to run it as it is.
Visit = Callable[[Any, list[Any], str], list[Any] | None]


class Site(NamedTuple):
    """An operation and where the user wrote it.

    Attributes:
        name: The primitive, or the function that carries a custom rule.
        where: File, line and function, or an empty string where it is not known.
    """

    name: str
    where: str

    def __str__(self) -> str:
        return f"`{self.name}` at {self.where}" if self.where else f"`{self.name}`"


def site(eqn: Any, around: str = "") -> Site:
    """Name and source line of an equation.

    Args:
        eqn: An equation of a jaxpr.
        around: The source line of the equation that calls it, which stands in where a
            library's own lines are left out.

    Returns:
        Both, for people.
    """
    name = eqn.primitive.name
    if name.startswith("custom_"):
        inner = eqn.params.get("call_jaxpr")
        info = getattr(getattr(inner, "jaxpr", inner), "debug_info", None)
        name = getattr(info, "func_name", None) or name
    return Site(name, line_of(eqn) or around)


def line_of(eqn: Any) -> str:
    """File, line and function of an equation; empty where they are not known.

    Args:
        eqn: An equation of a jaxpr.

    Returns:
        The place for people; the directories of the file are left out.
    """
    try:
        summary = jex.source_info_util.summarize(eqn.source_info)
    except (AttributeError, TypeError, ValueError):
        return ""
    found = re.match(r"(.+?):(\d+)(?::\d+)?(?: \((.*)\))?$", summary)
    if found is None:
        return ""
    path, line, function = found.groups()
    inside = f" in {function}" if function else ""
    return f"{Path(path).name}, line {line}{inside}"


def inner_call(eqn: Any) -> tuple[Any, list[Any]] | None:
    """The program that an equation merely calls with its own inputs, if it does.

    Args:
        eqn: An equation of a jaxpr.

    Returns:
        The inner jaxpr and its constants, or None.
    """
    if eqn.primitive.name in _LOOPS:
        return None
    for key in _CALLS:
        inner = eqn.params.get(key)
        if inner is None:
            continue
        jaxpr = getattr(inner, "jaxpr", inner)
        if len(getattr(jaxpr, "invars", ())) == len(eqn.invars):
            return jaxpr, list(getattr(inner, "consts", ()))
    return None


def interpret(
    jaxpr: Any,
    consts: list[Any],
    args: list[Any],
    visit: Visit,
    *,
    unroll: bool,
    around: str = "",
) -> list[Any]:
    """Evaluate a jaxpr; `visit` may replace any equation, nested ones included.

    Args:
        jaxpr: The program.
        consts: Its constants.
        args: Its inputs: arrays, or tracers unless `unroll`.
        visit: What to do at each equation.
        unroll: Run loops step by step in Python, so that each of their equations is
            visited with concrete values.
        around: The source line that the program was called from.

    Returns:
        The outputs.
    """
    known: dict[Any, Any] = {}

    def read(var: Any) -> Any:
        return var.val if isinstance(var, jex.core.Literal) else known[var]

    known.update(zip(jaxpr.constvars, consts, strict=True))
    known.update(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        values = [read(var) for var in eqn.invars]
        outputs = visit(eqn, values, around)
        if outputs is None:
            outputs = _run(eqn, values, visit, unroll, around)
        known.update(zip(eqn.outvars, outputs, strict=True))
    return [read(var) for var in jaxpr.outvars]


def _run(eqn: Any, values: list[Any], visit: Visit, unroll: bool, around: str):
    here = line_of(eqn) or around

    def run(program: Any, inputs: list[Any]) -> list[Any]:
        inner, consts = program
        return interpret(inner, consts, inputs, visit, unroll=unroll, around=here)

    name = eqn.primitive.name
    custom = name.startswith("custom_")
    call = inner_call(eqn)
    if call is not None and (unroll or not custom):
        return run(call, values)
    if name == "scan":
        return _scan(eqn.params, values, run, unroll)
    if name == "while":
        return _while(eqn.params, values, run, unroll)
    if name == "cond":
        return _cond(eqn.params, values, run, unroll)
    return run_alone(eqn, values)


def run_alone(eqn: Any, values: list[Any]) -> list[Any]:
    """Run one equation as it is.

    It becomes a program of its own, because how a primitive is called with its
    parameters differs between versions of JAX.

    Args:
        eqn: An equation of a jaxpr.
        values: Its inputs.

    Returns:
        Its outputs.
    """
    given = {
        var: value
        for var, value in zip(eqn.invars, values, strict=True)
        if not isinstance(var, jex.core.Literal)
    }
    about = jex.core.DebugInfo("jaxcalc", "one equation", None, None)
    outputs = list(eqn.outvars)
    program = jex.core.Jaxpr((), list(given), outputs, [eqn], debug_info=about)
    run = jex.core.jaxpr_as_fun(jex.core.ClosedJaxpr(program, ()))
    return list(run(*given.values()))


def _scan(params: Any, values: list[Any], run: Any, unroll: bool) -> list[Any]:
    body = _parts(params["jaxpr"])
    cut = params["num_consts"], params["num_consts"] + params["num_carry"]
    fixed, carry, rows = values[: cut[0]], values[cut[0] : cut[1]], values[cut[1] :]

    def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        out = run(body, [*fixed, *carry, *row])
        return out[: len(carry)], out[len(carry) :]

    if not unroll:
        carry, stacked = jax.lax.scan(
            step, carry, rows, length=params["length"], reverse=params["reverse"]
        )
        return [*carry, *stacked]
    order = range(params["length"])
    rows_out = [[] for _ in order]
    for i in reversed(order) if params["reverse"] else order:
        carry, rows_out[i] = step(carry, [row[i] for row in rows])
    columns = zip(*rows_out, strict=True)
    return [*carry, *(jax.numpy.stack(column) for column in columns)]


def _while(params: Any, values: list[Any], run: Any, unroll: bool) -> list[Any]:
    condition, body = _parts(params["cond_jaxpr"]), _parts(params["body_jaxpr"])
    cut = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    tests, fixed, carry = values[: cut[0]], values[cut[0] : cut[1]], values[cut[1] :]
    if not unroll:
        return jax.lax.while_loop(
            lambda c: run(condition, [*tests, *c])[0],
            lambda c: run(body, [*fixed, *c]),
            carry,
        )
    while bool(run(condition, [*tests, *carry])[0]):
        carry = run(body, [*fixed, *carry])
    return carry


def _cond(params: Any, values: list[Any], run: Any, unroll: bool) -> list[Any]:
    branches = list(map(_parts, params["branches"]))
    if not unroll:
        functions = [lambda *inputs, b=b: run(b, list(inputs)) for b in branches]
        return jax.lax.switch(values[0], functions, *values[1:])
    chosen = int(np.clip(values[0], 0, len(branches) - 1))
    return run(branches[chosen], values[1:])


def _parts(program: Any) -> tuple[Any, list[Any]]:
    return program.jaxpr, list(program.consts)
