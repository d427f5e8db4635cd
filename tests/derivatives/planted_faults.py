"""Functions with a fault in their derivatives, and what a check ought to say."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from derivatives.correct_functions import normal

WRONG = "wrong derivative"
SECOND = "wrong second derivative"
CUT = "gradient cut to zero"


class Fault(NamedTuple):
    name: str
    f: Any
    x: Any
    cause: str
    leaf: str = "x"
    index: tuple | None = None  # an index that must be among those found
    factor: float | None = None
    source: str = ""  # must occur in the named source
    args: tuple = ()


def ruled(value, gradient):
    """A scalar function of one array with this gradient as its custom rule."""

    @jax.custom_vjp
    def rule(x):
        return value(x)

    rule.defvjp(lambda x: (value(x), x), lambda x, c: (c * gradient(x),))
    return rule


def tangent_ruled(value, tangent, name="rule"):
    """The same with a custom_jvp rule; both modes follow it."""

    def rule(x):
        return value(x)

    rule.__name__ = name
    rule = jax.custom_jvp(rule)

    rule.defjvp(lambda p, t: (rule(p[0]), tangent(p[0], t[0])))
    return rule


def sines(x):
    return jnp.sum(jnp.sin(x))


def cosines(x):
    return jnp.cos(x)


def in_tree(rule):
    return lambda p: jnp.sum(p["a"] ** 2) + rule(p["b"]) + jnp.sum(p["c"] ** 3)


def half_transposed(x):
    """Right forwards, wrong backwards."""

    @jax.custom_jvp
    def rule(x):
        return jnp.sin(x)

    @rule.defjvp
    def _(p, t):
        out = jax.custom_derivatives.linear_call(
            lambda r, u: r * u, lambda r, u: 1.1 * r * u, jnp.cos(p[0]), t[0]
        )
        return rule(p[0]), out

    return jnp.sum(rule(x))


def half_pushed(x):
    """Wrong forwards, right backwards."""

    @jax.custom_jvp
    def rule(x):
        return jnp.sin(x)

    @rule.defjvp
    def _(p, t):
        out = jax.custom_derivatives.linear_call(
            lambda r, u: 0.9 * r * u, lambda r, u: r * u, jnp.cos(p[0]), t[0]
        )
        return rule(p[0]), out

    return jnp.sum(rule(x))


def straight_through(x):
    return jnp.sum((x + jax.lax.stop_gradient(jnp.round(x) - x)) ** 2)


def skewed(x):
    """The right gradient of a quadratic at this point, of no function around it."""
    A = jnp.array([[2.0, 1.0], [0.0, 2.0]])
    at = jnp.array([1.0, 2.0])

    @jax.custom_vjp
    def rule(z):
        return jnp.sum(z**2)

    rule.defvjp(
        lambda z: (jnp.sum(z**2), z), lambda z, c: (c * (2 * at + A @ (z - at)),)
    )
    return rule(x)


def shared_state():
    counter = itertools.count()
    return lambda x: jnp.sum(x**2) * (1 + 0.1 * next(counter))


def other_value():
    @jax.custom_jvp
    def rule(x):
        return jnp.sum(x**2)

    rule.defjvp(lambda p, t: (jnp.sum(p[0] ** 2) + 1.0, 2 * p[0] @ t[0]))
    return rule


def sees_tracing(x):
    scale = (
        1.0 if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer) else 2.0
    )
    return scale * jnp.sum(x**2)


def frozen_sinc(x):
    safe = jnp.where(x == 0, 1.0, x)
    return jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(safe) / safe))


def scan_rule(x):
    rule = tangent_ruled(
        jnp.tanh, lambda x, t: 0.9 * (1 - jnp.tanh(x) ** 2) * t, "my_tanh"
    )
    return jax.lax.scan(lambda c, a: (rule(c + a), None), 0.1, x)[0]


def layered(params, X):
    relu = tangent_ruled(
        lambda z: jnp.maximum(z, 0.0), lambda z, t: jnp.where(z > 0.1, t, 0.0)
    )
    return jnp.mean((relu(X @ params["w"]) @ params["v"]) ** 2)


def two_rules(x):
    good = tangent_ruled(jnp.sin, lambda x, t: jnp.cos(x) * t)
    bad = tangent_ruled(jnp.exp, lambda x, t: 2 * jnp.exp(x) * t, "my_exp")
    return jnp.sum(good(x) + bad(x / 2))


S = normal(0, 6)
M = normal(1, 4, 5)
BIG = normal(2, 10_000)
TREE = {"a": normal(3, 3), "b": normal(4, 4), "c": normal(5, 5)}
STALE = np.cos(np.asarray(S) + 0.1)

FAULTS = [
    Fault("factor 1.1", ruled(sines, lambda x: 1.1 * jnp.cos(x)), S, WRONG, factor=1.1),
    Fault(
        "factor 1.001",
        ruled(sines, lambda x: 1.001 * jnp.cos(x)),
        S,
        WRONG,
        factor=1.001,
    ),
    Fault(
        "factor 1 + 1e-6",
        ruled(sines, lambda x: (1 + 1e-6) * jnp.cos(x)),
        S,
        WRONG,
        factor=1 + 1e-6,
    ),
    Fault(
        "factor 2",
        tangent_ruled(sines, lambda x, t: 2 * jnp.sum(jnp.cos(x) * t)),
        S,
        WRONG,
        factor=2.0,
    ),
    Fault("wrong sign", ruled(sines, lambda x: -jnp.cos(x)), S, WRONG, factor=-1.0),
    Fault(
        "wrong sign of one",
        ruled(sines, lambda x: jnp.cos(x).at[3].multiply(-1)),
        S,
        WRONG,
        index=(3,),
        factor=-1.0,
    ),
    Fault("zero", ruled(sines, lambda x: 0 * x), S, WRONG, factor=0.0),
    Fault(
        "one of 10,000 by 10%",
        ruled(sines, lambda x: jnp.cos(x).at[1234].multiply(1.1)),
        BIG,
        WRONG,
        index=(1234,),
        factor=1.1,
    ),
    Fault(
        "one of 10,000 by 0.1%",
        ruled(sines, lambda x: jnp.cos(x).at[77].multiply(1.001)),
        BIG,
        WRONG,
        index=(77,),
    ),
    Fault(
        "one of 10,000 missing",
        ruled(sines, lambda x: jnp.cos(x).at[9999].set(0)),
        BIG,
        WRONG,
        index=(9999,),
    ),
    Fault(
        "three of 10,000",
        ruled(sines, lambda x: jnp.cos(x).at[jnp.array([5, 600, 7000])].add(0.1)),
        BIG,
        WRONG,
        index=(600,),
    ),
    Fault(
        "one of 10,000 float32",
        ruled(sines, lambda x: jnp.cos(x).at[4321].multiply(1.1)),
        BIG.astype(jnp.float32),
        WRONG,
        index=(4321,),
    ),
    Fault(
        "swapped outputs",
        ruled(
            lambda x: jnp.sum(x**3), lambda x: (3 * x**2)[jnp.array([1, 0, 2, 3, 4, 5])]
        ),
        S,
        WRONG,
        index=(0,),
    ),
    Fault(
        "reversed", ruled(lambda x: jnp.sum(x**3), lambda x: 3 * x[::-1] ** 2), S, WRONG
    ),
    Fault(
        "off by one",
        ruled(lambda x: jnp.sum(x**3), lambda x: jnp.roll(3 * x**2, 1)),
        S,
        WRONG,
    ),
    Fault(
        "transposed",
        ruled(lambda x: jnp.sum(x**3), lambda x: 3 * x.T**2),
        normal(1, 4, 4),
        WRONG,
    ),
    Fault(
        "missing term",
        ruled(lambda x: jnp.sum(x**2) + x[0] * x[1], lambda x: 2 * x),
        S,
        WRONG,
        index=(0,),
    ),
    Fault("constant added", ruled(sines, lambda x: jnp.cos(x) + 0.01), S, WRONG),
    Fault("stale cached value", ruled(sines, lambda _: jnp.asarray(STALE)), S, WRONG),
    Fault(
        "cached here",
        ruled(sines, lambda _: jnp.asarray(np.cos(np.asarray(S)))),
        S,
        SECOND,
    ),
    Fault(
        "right for unit scale",
        ruled(lambda x: jnp.sum(x**2) / jnp.linalg.norm(x), lambda x: x),
        3.0 * S,
        WRONG,
    ),
    Fault(
        "tiny scale",
        ruled(lambda x: 1e-12 * sines(x), lambda x: 1.1e-12 * jnp.cos(x)),
        S,
        WRONG,
        factor=1.1,
    ),
    Fault(
        "huge scale",
        ruled(lambda x: 1e12 * sines(x), lambda x: 1.1e12 * jnp.cos(x)),
        S,
        WRONG,
        factor=1.1,
    ),
    Fault(
        "tiny parameters",
        ruled(lambda x: sines(1e9 * x), lambda x: 1.1e9 * jnp.cos(1e9 * x)),
        1e-9 * S,
        WRONG,
        factor=1.1,
    ),
    Fault(
        "huge parameters",
        ruled(lambda x: sines(1e-9 * x), lambda x: 1.1e-9 * jnp.cos(1e-9 * x)),
        1e9 * S,
        WRONG,
        factor=1.1,
    ),
    Fault(
        "large offset",
        ruled(lambda x: 1e6 + sines(x), lambda x: 1.1 * jnp.cos(x)),
        S,
        WRONG,
    ),
    Fault("scalar", ruled(jnp.sin, lambda x: 1.1 * jnp.cos(x)), 0.7, WRONG, index=()),
    Fault(
        "scalar float32",
        ruled(lambda x: x**2, lambda x: 2.2 * x),
        np.float32(1e3),
        WRONG,
        index=(),
        factor=1.1,
    ),
    Fault(
        "float32 factor 1.001",
        ruled(sines, lambda x: 1.001 * jnp.cos(x)),
        S.astype(jnp.float32),
        WRONG,
    ),
    Fault(
        "float32 inside",
        ruled(
            lambda x: sines(x.astype(jnp.float32)),
            lambda x: (1.1 * jnp.cos(x)).astype(x.dtype),
        ),
        S.astype(jnp.float32),
        WRONG,
    ),
    Fault(
        "float32 only",
        ruled(lambda x: sines(x.astype(jnp.float32)), lambda x: 1.1 * jnp.cos(x)),
        S,
        WRONG,
    ),
    Fault("rule of a scan", scan_rule, S, WRONG, source="my_tanh"),
    Fault("one rule of two", two_rules, S, WRONG, source="my_exp"),
    Fault(
        "wrong leaf of a tree",
        in_tree(ruled(sines, lambda x: 1.1 * jnp.cos(x))),
        TREE,
        WRONG,
        leaf="x['b']",
        factor=1.1,
    ),
    Fault(
        "wrong entry of a matrix",
        ruled(sines, lambda x: jnp.cos(x).at[2, 3].add(0.5)),
        M,
        WRONG,
        index=(2, 3),
    ),
    Fault(
        "layer with a late relu",
        layered,
        {"w": normal(6, 3, 8), "v": normal(7, 8)},
        WRONG,
        leaf="x['w']",
        args=(normal(8, 20, 3),),
    ),
    Fault("wrong only in reverse", half_transposed, S, WRONG),
    Fault("wrong only in forward", half_pushed, S, WRONG),
    Fault(
        "wrong second derivative",
        tangent_ruled(
            sines, lambda x, t: jnp.sum(jax.lax.stop_gradient(jnp.cos(x)) * t)
        ),
        S,
        SECOND,
    ),
    Fault(
        "second derivative by 1.1",
        ruled(sines, tangent_ruled(jnp.cos, lambda x, t: -1.1 * jnp.sin(x) * t)),
        S,
        SECOND,
        factor=1.1,
    ),
    Fault(
        "second derivative of one",
        ruled(
            sines,
            tangent_ruled(
                jnp.cos, lambda x, t: -jnp.sin(x) * t * (1 + 0.1 * (jnp.arange(6) == 2))
            ),
        ),
        S,
        SECOND,
        index=(2,),
    ),
    Fault("frozen sinc", frozen_sinc, jnp.zeros(2), SECOND),
    Fault(
        "float32 second derivative",
        tangent_ruled(
            sines, lambda x, t: jnp.sum(jax.lax.stop_gradient(jnp.cos(x)) * t)
        ),
        S.astype(jnp.float32),
        SECOND,
    ),
    Fault("asymmetric Hessian", skewed, jnp.array([1.0, 2.0]), "asymmetric Hessian"),
    Fault(
        "NaN of where and sqrt",
        lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0)),
        jnp.array([1.0, 0.0]),
        "not finite",
        index=(1,),
        source="planted_faults.py",
    ),
    Fault(
        "NaN of where and log",
        lambda x: jnp.sum(jnp.where(x > 0, x * jnp.log(x), 0.0)),
        jnp.array([1.0, 0.0]),
        "not finite",
        index=(1,),
        source="log",
    ),
    Fault(
        "infinite slope of sqrt",
        lambda x: jnp.sum(jnp.sqrt(x)),
        jnp.array([1.0, 0.0]),
        "not finite",
        index=(1,),
    ),
    Fault(
        "norm at zero",
        lambda p: jnp.sqrt(jnp.sum(p["a"] ** 2)) + jnp.sum(p["b"]),
        {"a": jnp.zeros(3), "b": S},
        "not finite",
        leaf="x['a']",
    ),
    Fault(
        "NaN in a rule",
        ruled(sines, lambda x: jnp.cos(x) / (x - x[0]) * (x - x[0])),
        S,
        "not finite",
        index=(0,),
    ),
    Fault(
        "overflow in float32",
        lambda x: jnp.sum(jnp.log1p(jnp.exp(x))),
        jnp.array([1.0, 95.0], jnp.float32),
        "value not finite",
        leaf="",
    ),
    Fault(
        "infinite second derivative",
        lambda x: jnp.sum(x**1.5),
        jnp.array([1.0, 0.0]),
        "not finite",
        index=(1,),
    ),
    Fault(
        "abs at zero",
        lambda x: jnp.sum(jnp.abs(x)),
        jnp.array([1.0, 0.0]),
        "kink",
        index=(1,),
    ),
    Fault(
        "relu at zero",
        lambda x: jnp.sum(jax.nn.relu(x)),
        jnp.array([1.0, 0.0, -1.0]),
        "kink",
        index=(1,),
    ),
    Fault(
        "tie of max",
        lambda x: jnp.max(x) ** 2,
        jnp.array([1.0, 2.0, 2.0]),
        "kink",
        index=(1,),
    ),
    Fault(
        "kink of one in 10,000",
        lambda x: jnp.sum(jnp.abs(x)),
        BIG.at[321].set(0),
        "kink",
        index=(321,),
    ),
    Fault(
        "kink of the gradient",
        lambda x: jnp.sum(jax.nn.relu(x) ** 2),
        jnp.array([1.0, 0.0, -1.0]),
        "kink",
        index=(1,),
    ),
    Fault(
        "jump",
        lambda x: jnp.sum(jnp.where(x > 0, 1.0, 0.0) + x**2),
        jnp.array([1.0, 0.0]),
        "jump",
        index=(1,),
    ),
    Fault(
        "floor at an integer",
        lambda x: jnp.sum(jnp.floor(x) + x**2),
        jnp.array([1.5, 2.0]),
        "jump",
        index=(1,),
    ),
    Fault(
        "stop_gradient",
        lambda x: jnp.sum(jax.lax.stop_gradient(x) ** 2),
        S,
        CUT,
        source="stop_gradient",
    ),
    Fault(
        "partial stop_gradient",
        lambda x: jnp.sum(x * jax.lax.stop_gradient(x)),
        S,
        CUT,
        source="stop_gradient",
    ),
    Fault(
        "straight-through rounding", straight_through, S, CUT, source="stop_gradient"
    ),
    Fault("rounding", lambda x: jnp.sum(jnp.round(3 * x) ** 2), S, CUT, source="round"),
    Fault("sign", lambda x: jnp.sum(jnp.sign(x) + 1), S, CUT, source="sign"),
    Fault(
        "integer cast",
        lambda x: jnp.sum(x.astype(int).astype(float)),
        5 * S,
        CUT,
        source="convert",
    ),
    Fault("argmax", lambda x: jnp.argmax(x).astype(float), S, CUT, source="argmax"),
    Fault(
        "accuracy",
        lambda w: jnp.mean((normal(4, 30, 5) @ w > 0) == (normal(5, 30) > 0)),
        normal(6, 5),
        CUT,
    ),
    Fault(
        "one leaf cut",
        lambda p: jnp.sum(p["a"] ** 2) * jnp.sum(jnp.floor(p["b"])),
        {"a": S, "b": 5 * S},
        CUT,
        leaf="x['b']",
        source="floor",
    ),
    Fault(
        "cut in a scan",
        lambda x: jax.lax.scan(lambda c, a: (c + jnp.round(a), None), 0.0, x)[0],
        5 * S,
        CUT,
        source="round",
    ),
    Fault("not deterministic", shared_state(), S, "not deterministic", leaf=""),
    Fault(
        "NumPy noise",
        lambda x: jnp.sum(x**2) + np.random.default_rng().normal(),
        S,
        "not deterministic",
        leaf="",
    ),
    Fault("another value under jit", sees_tracing, S, "differs under jit", leaf=""),
    Fault(
        "rule with another value",
        other_value(),
        S,
        "value differs under differentiation",
        leaf="",
    ),
    Fault(
        "value not finite",
        lambda x: jnp.sum(jnp.log(x)),
        jnp.array([1.0, -1.0]),
        "value not finite",
        leaf="",
        source="log",
    ),
]
