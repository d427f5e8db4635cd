"""What lies on the way from an input to the value: read off the traced program.

Each variable of the program either depends on the input or not; if it does, the way is
live (automatic differentiation follows it) or cut (it went through an operation whose
derivative is zero by definition, such as rounding or a comparison).
"""

from typing import Any, NamedTuple

import jax.extend as jex
import jax.numpy as jnp
import numpy as np

from jaxcalc.derivatives._check.interpret import Site, inner_call, line_of, site

_FLAT = {"stop_gradient", "round", "floor", "ceil", "sign", "nextafter"}
_COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge", "is_finite", "and", "or", "not"}
_PASSES = 10


class Way(NamedTuple):
    """How a variable depends on the input.

    Attributes:
        depends: Whether it does at all.
        live: Whether some way is followed by automatic differentiation.
        cuts: Operations that ended a live way.
        rules: Functions with a custom derivative rule on the way.
        eps: The coarsest rounding unit on the way; zero where there is none.
    """

    depends: bool = False
    live: bool = False
    cuts: frozenset[Site] = frozenset()
    rules: frozenset[Site] = frozenset()
    eps: float = 0.0

    def __or__(self, other: "Way") -> "Way":
        return Way(
            self.depends or other.depends,
            self.live or other.live,
            self.cuts | other.cuts,
            self.rules | other.rules,
            max(self.eps, other.eps),
        )

    @property
    def named_cuts(self) -> list[Site]:
        """The cuts, those that are rarely meant first; comparisons last."""
        order = {"stop_gradient": 0, "convert_element_type": 1}
        return sorted(
            self.cuts,
            key=lambda s: (s.name in _COMPARISONS, order.get(s.name, 2), s.where),
        )


def way_to_value(program: Any, inputs: list[bool]) -> Way:
    """How the first output of a program depends on some of its inputs.

    Args:
        program: A closed jaxpr.
        inputs: For each input, whether it is one of those asked about.

    Returns:
        The way from these inputs to the value.
    """
    starts = [
        Way(True, True, eps=_eps(var.aval)) if chosen else Way()
        for var, chosen in zip(program.jaxpr.invars, inputs, strict=True)
    ]
    return _follow(program.jaxpr, starts)[0]


def _follow(jaxpr: Any, starts: list[Way], around: str = "") -> list[Way]:
    known: dict[Any, Way] = dict(zip(jaxpr.invars, starts, strict=True))

    def read(var: Any) -> Way:
        return Way() if isinstance(var, jex.core.Literal) else known.get(var, Way())

    for eqn in jaxpr.eqns:
        ways = [read(var) for var in eqn.invars]
        known.update(zip(eqn.outvars, _through(eqn, ways, around), strict=True))
    return [read(var) for var in jaxpr.outvars]


def _through(eqn: Any, ways: list[Way], around: str) -> list[Way]:
    together = Way()
    for way in ways:
        together |= way
    if not together.depends:
        return [Way()] * len(eqn.outvars)
    name, params = eqn.primitive.name, eqn.params
    here = line_of(eqn) or around
    call = inner_call(eqn)
    if name.startswith("custom_") and call is not None:
        inner = _follow(call[0], ways, here)
        rule = frozenset({site(eqn, around)})
        return [
            Way(w.depends, together.live, w.cuts, w.rules | rule, w.eps) for w in inner
        ]
    if call is not None:
        return _follow(call[0], ways, here)
    if name == "scan":
        fixed, carried = params["num_consts"], params["num_carry"]
        return _loop(params["jaxpr"].jaxpr, ways, fixed, carried, here)
    if name == "while":
        skip = params["cond_nconsts"]
        body, fixed = params["body_jaxpr"].jaxpr, params["body_nconsts"]
        return _loop(body, ways[skip:], fixed, len(ways) - skip - fixed, here)
    if name == "cond":
        return _branches(params["branches"], ways, here)
    return [_output(eqn, together, var.aval, around) for var in eqn.outvars]


def _output(eqn: Any, together: Way, aval: Any, around: str) -> Way:
    flat = eqn.primitive.name in _FLAT or not _floating(aval)
    cuts = together.cuts | ({site(eqn, around)} if flat and together.live else set())
    eps = max(together.eps, _eps(aval))
    return Way(True, together.live and not flat, frozenset(cuts), together.rules, eps)


def _loop(
    body: Any, ways: list[Way], fixed: int, carried: int, around: str
) -> list[Way]:
    ways = list(ways)
    outputs: list[Way] = []
    for _ in range(_PASSES):
        outputs = _follow(body, ways, around)
        carry = [
            old | new
            for old, new in zip(
                ways[fixed : fixed + carried], outputs[:carried], strict=True
            )
        ]
        if carry == ways[fixed : fixed + carried]:
            break
        ways[fixed : fixed + carried] = carry
    return [*ways[fixed : fixed + carried], *outputs[carried:]]


def _branches(branches: Any, ways: list[Way], around: str) -> list[Way]:
    chooser = ways[0]._replace(live=False)
    results = [_follow(branch.jaxpr, ways[1:], around) for branch in branches]
    joined = results[0]
    for other in results[1:]:
        joined = [a | b for a, b in zip(joined, other, strict=True)]
    return [chooser | way if chooser.depends else way for way in joined]


def _floating(aval: Any) -> bool:
    return jnp.issubdtype(getattr(aval, "dtype", np.int32), jnp.inexact)


def _eps(aval: Any) -> float:
    return float(jnp.finfo(aval.dtype).eps) if _floating(aval) else 0.0
