"""Which operation of a program made the first NaN or infinity."""

import contextlib
from typing import Any, NamedTuple

import jax
import jax.extend as jex
import jax.numpy as jnp
import numpy as np

from jaxcalc.derivatives._check.interpret import (
    Site,
    interpret,
    line_of,
    run_alone,
    site,
)

_MOST_EQUATIONS = 200_000


class Origin(NamedTuple):
    """Where the first number that is not finite came from.

    Attributes:
        site: The operation and its source line.
        trap: Whether a `jnp.where` later hides that operation in the value.
    """

    site: Site
    trap: bool


class _FoundError(Exception):
    pass


def origin(f: Any, args: tuple[Any, ...], derivative: Any) -> Origin | None:
    """The operation that first turned finite inputs into a NaN or an infinity.

    Args:
        f: The function whose value is finite.
        args: Its arguments, the point first.
        derivative: What was not finite: a function of the same arguments.

    Returns:
        The operation, or None where it could not be found.
    """
    try:
        program = jax.make_jaxpr(derivative)(*args)
        found = _first(program, jax.tree.leaves(args))
        if found is None:
            return None
        return Origin(found, _hidden(jax.make_jaxpr(f)(*args), found))
    except Exception:  # a diagnosis must never replace the verdict it explains
        return None


def _first(program: Any, args: list[Any]) -> Site | None:
    found: list[Site] = []
    seen = 0

    def visit(eqn: Any, values: list[Any], around: str) -> list[Any] | None:
        nonlocal seen
        seen += 1
        if seen > _MOST_EQUATIONS:
            raise _FoundError
        if not _is_leaf(eqn) or not all(map(_finite, values)):
            return None
        outputs = run_alone(eqn, values)
        if not all(map(_finite, outputs)):
            found.append(site(eqn, around))
            raise _FoundError
        return outputs

    with contextlib.suppress(_FoundError):
        interpret(program.jaxpr, program.consts, args, visit, unroll=True)
    return found[0] if found else None


def _is_leaf(eqn: Any) -> bool:
    params = eqn.params.values()
    return not any(
        hasattr(p, "eqns")
        or hasattr(p, "jaxpr")
        or (isinstance(p, tuple) and p and hasattr(p[0], "jaxpr"))
        for p in params
    )


def _finite(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return bool(np.all(np.isfinite(value)))
    if not jnp.issubdtype(dtype, jnp.inexact):
        return True
    return bool(jnp.all(jnp.isfinite(value)))


def _hidden(program: Any, where: Site) -> bool:
    """Whether what is written at this line passes through a `select_n` afterwards."""
    from_there: set[Any] = set()
    found = False

    def walk(jaxpr: Any, around: str = "") -> None:
        nonlocal found
        for eqn in jaxpr.eqns:
            tainted = any(_is_in(v, from_there) for v in eqn.invars)
            if eqn.primitive.name == "select_n" and tainted:
                found = True
            inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
            inner = getattr(inner, "jaxpr", inner)
            if inner is not None and hasattr(inner, "eqns"):
                pairs = zip(eqn.invars, inner.invars, strict=False)
                from_there.update(b for a, b in pairs if _is_in(a, from_there))
                walk(inner, line_of(eqn) or around)
            if tainted or (line_of(eqn) or around) == where.where:
                from_there.update(eqn.outvars)

    walk(program.jaxpr)
    return found


def _is_in(var: Any, group: set[Any]) -> bool:
    return not isinstance(var, jex.core.Literal) and var in group
