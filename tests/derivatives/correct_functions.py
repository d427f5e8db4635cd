"""Functions whose derivatives are right, though a careless check would complain."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Right(NamedTuple):
    name: str
    f: Any
    x: Any
    args: tuple = ()


def normal(seed, *shape, dtype=jnp.float64):
    return jax.random.normal(jax.random.key(seed), shape, dtype)


def spd(x):
    return x @ x.T + jnp.eye(len(x))


def network(params, X, y):
    hidden = jnp.tanh(X @ params["w1"] + params["b1"])
    hidden = jnp.tanh(hidden @ params["w2"] + params["b2"])
    return jnp.mean((hidden @ params["w3"] - y) ** 2)


def relu_network(params, X, y):
    hidden = jax.nn.relu(X @ params["w1"] + params["b1"])
    hidden = jax.nn.relu(hidden @ params["w2"] + params["b2"])
    return jnp.mean((hidden @ params["w3"] - y) ** 2)


def network_params(dtype=jnp.float64, width=12):
    return {
        "w1": normal(1, 5, width, dtype=dtype) / 2,
        "b1": jnp.zeros(width, dtype),
        "w2": normal(2, width, width, dtype=dtype) / 3,
        "b2": jnp.zeros(width, dtype),
        "w3": normal(3, width, dtype=dtype),
    }


def network_data(dtype=jnp.float64):
    return normal(4, 30, 5, dtype=dtype), normal(5, 30, dtype=dtype)


def logistic(w, X, y):
    return jnp.mean(jax.nn.softplus(-y * (X @ w)))


def recurrent(w, xs):
    def step(h, x):
        return jnp.tanh(w["a"] @ h + w["b"] * x), h.sum()

    h, sums = jax.lax.scan(step, jnp.zeros(4), xs)
    return h @ h + jnp.mean(sums**2)


def attention(p, X):
    q, k, v = X @ p["q"], X @ p["k"], X @ p["v"]
    return jnp.sum(jax.nn.softmax(q @ k.T / 2) @ v) ** 2


@jax.custom_vjp
def stable_norm(x):
    return jnp.sqrt(jnp.sum(x**2))


stable_norm.defvjp(
    lambda x: (stable_norm(x), x), lambda x, c: (c * x / stable_norm(x),)
)


@jax.custom_jvp
def log1pexp(x):
    return jnp.log1p(jnp.exp(x))


log1pexp.defjvp(lambda p, t: (log1pexp(p[0]), jax.nn.sigmoid(p[0]) * t[0]))


def python_branch(x):
    return jnp.sum(x**2) if x[0] > 0 else jnp.sum(x**3)


def cond_loss(x):
    return jax.lax.cond(x[0] > 0, lambda z: jnp.sum(z**2), lambda z: jnp.sum(z**3), x)


def power_loop(x):
    return jax.lax.fori_loop(0, 5, lambda _, c: jnp.sin(c) + x @ x, 0.3 * x[0])


def forward_only(x):
    # No reverse mode through a loop whose length is not known.
    def keep(c):
        return c[1] < 5.0

    return jax.lax.while_loop(
        keep, lambda c: (c[0] * jnp.sum(x), c[1] + 1), (1.0, 0.0)
    )[0]


def gaussian_process(log_scales, X, y):
    gap = (X[:, None] - X[None]) / jnp.exp(log_scales["length"])
    K = jnp.exp(log_scales["height"]) * jnp.exp(-(gap**2) / 2)
    L = jnp.linalg.cholesky(K + 1e-2 * jnp.eye(len(X)))
    z = jax.scipy.linalg.solve_triangular(L, y, lower=True)
    return z @ z / 2 + jnp.sum(jnp.log(jnp.diag(L)))


def uneven(x):
    return jnp.sum(jnp.log(x)) + jnp.sum(x / jnp.array([1e-6, 1.0, 1e6]))


X30, Y30 = network_data()
SMALL = normal(0, 6)
HUGE = normal(0, 100_000)

CORRECT = [
    Right("square", lambda x: x**2, 1.3),
    Right("square near zero", lambda x: x**2, 1e-12),
    Right("square at zero", lambda x: x**2, 0.0),
    Right("square far out", lambda x: x**2, 1e12),
    Right("constant", lambda _: jnp.asarray(3.0), SMALL),
    Right("constant Python float", lambda _: 3.0, SMALL),
    Right("zero", lambda x: 0.0 * jnp.sum(x), SMALL),
    Right("linear", lambda x: jnp.sum(x * jnp.arange(6.0)), SMALL),
    Right("linear that cancels", lambda x: x[0] - x[1], jnp.array([1e3, 1e3])),
    Right("tiny values", lambda x: 1e-12 * jnp.sum(jnp.sin(x)), SMALL),
    Right("huge values", lambda x: 1e12 * jnp.sum(jnp.sin(x)), SMALL),
    Right("tiny parameters", lambda x: jnp.sum(jnp.sin(1e12 * x)), 1e-12 * SMALL),
    Right("huge parameters", lambda x: jnp.sum(jnp.sin(1e-12 * x)), 1e12 * SMALL),
    Right("very uneven parameters", uneven, jnp.array([1e-6, 1.0, 1e6])),
    Right("large offset", lambda x: 1e6 + jnp.sum(x**2), SMALL),
    Right("very large offset", lambda x: 1e12 + jnp.sum(x**2), SMALL),
    Right("flat", lambda x: jnp.sum(jnp.tanh(x)), jnp.full(4, 40.0)),
    Right("flat gaussian", lambda x: jnp.exp(-jnp.sum(x**2)), jnp.full(4, 8.0)),
    Right("steep", lambda x: jnp.exp(100 * x), 1.7),
    Right("steep at a small scale", lambda x: jnp.tanh(1e6 * x), 2e-7),
    Right("pole nearby", lambda x: jnp.sum(1 / x), jnp.array([1e-4, 2.0])),
    Right("oscillating", lambda x: jnp.sum(jnp.sin(1e3 * x)), SMALL),
    Right(
        "oscillating fast at zero", lambda x: jnp.sum(jnp.sin(1e6 * x)), jnp.zeros(3)
    ),
    Right("x squared sin(1/x)", lambda x: x**2 * jnp.sin(1 / x), 0.01),
    Right("high polynomial", lambda x: jnp.polyval(jnp.arange(1.0, 22.0), x), 1.1),
    Right("Wilkinson", lambda x: jnp.prod(x - jnp.arange(1.0, 13.0)), 5.5),
    Right("softplus", lambda x: jnp.sum(jax.nn.softplus(x)), 3 * SMALL),
    Right("logsumexp", jax.nn.logsumexp, 3 * SMALL),
    Right("gelu", lambda x: jnp.sum(jax.nn.gelu(x)), SMALL),
    Right("relu away from zero", lambda x: jnp.sum(jax.nn.relu(x)), SMALL),
    Right(
        "relu very near zero", lambda x: jnp.sum(jax.nn.relu(x)), jnp.array([1e-6, 1])
    ),
    Right("smooth abs", lambda x: jnp.sqrt(x**2 + 1e-16), 0.0),
    Right("x abs x", lambda x: jnp.sum(x * jnp.abs(x)), SMALL),
    Right("log near its end", lambda x: jnp.sum(jnp.log(x)), jnp.array([1e-9, 1.0])),
    Right("sqrt", lambda x: jnp.sum(jnp.sqrt(x)), jnp.abs(SMALL)),
    Right(
        "entropy", lambda x: jnp.sum(jax.scipy.special.entr(jax.nn.softmax(x))), SMALL
    ),
    Right("lgamma", lambda x: jnp.sum(jax.lax.lgamma(1 + jnp.abs(x))), SMALL),
    Right("max", jnp.max, SMALL),
    Right("sorted", lambda x: jnp.sort(x) @ jnp.arange(6.0), SMALL),
    Right("indexed", lambda x: x[jnp.argmax(x)] ** 2, SMALL),
    Right("mod", lambda x: jnp.sum(jnp.mod(x, 1.0) ** 2), SMALL),
    Right("norm", jnp.linalg.norm, SMALL),
    Right("many entries", lambda x: jnp.sum(jnp.sin(x)), HUGE),
    Right("mean of many", lambda x: jnp.mean(x**4), HUGE),
    Right("matrix product", lambda x: jnp.sum((x @ x.T) ** 2), normal(1, 4, 3)),
    Right("determinant", lambda x: jnp.linalg.slogdet(spd(x))[1], normal(1, 4, 4)),
    Right(
        "solve",
        lambda x: jnp.sum(jnp.linalg.solve(spd(x), jnp.ones(4))),
        normal(1, 4, 4),
    ),
    Right("cholesky", lambda x: jnp.sum(jnp.linalg.cholesky(spd(x))), normal(1, 4, 4)),
    Right("eigenvalue", lambda x: jnp.linalg.eigvalsh(spd(x))[-1], normal(1, 4, 4)),
    Right(
        "eigenvectors",
        lambda x: jnp.sum(jnp.linalg.eigh(spd(x))[1] ** 4),
        normal(1, 4, 4),
    ),
    Right(
        "matrix exponential",
        lambda x: jnp.trace(jax.scipy.linalg.expm(x)),
        normal(1, 3, 3),
    ),
    Right(
        "singular values",
        lambda x: jnp.sum(jnp.linalg.svd(x, compute_uv=False)),
        normal(1, 4, 3),
    ),
    Right("fft", lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 3), SMALL),
    Right(
        "ill conditioned solve",
        lambda x: jnp.sum(jnp.linalg.solve(jnp.vander(x), jnp.ones(6))),
        jnp.linspace(1.0, 2.0, 6),
    ),
    Right("logistic", logistic, normal(6, 5), (X30, jnp.sign(Y30))),
    Right("network", network, network_params(), (X30, Y30)),
    Right("relu network", relu_network, network_params(), (X30, Y30)),
    Right(
        "recurrent",
        recurrent,
        {"a": normal(1, 4, 4), "b": normal(2, 4)},
        (normal(3, 8),),
    ),
    Right(
        "attention",
        attention,
        {k: normal(i, 4, 4) for i, k in enumerate("qkv")},
        (normal(9, 5, 4),),
    ),
    Right(
        "gaussian process",
        gaussian_process,
        {"length": -0.3, "height": 0.2},
        (jnp.linspace(0, 1, 9), jnp.sin(5 * jnp.linspace(0, 1, 9))),
    ),
    Right("checkpointed", lambda x: jnp.sum(jax.checkpoint(jnp.tanh)(x) ** 2), SMALL),
    Right("cond", cond_loss, SMALL),
    Right("Python branch", python_branch, SMALL),
    Right("fori loop", power_loop, SMALL),
    Right("while loop, forward only", forward_only, SMALL),
    Right("right custom vjp", lambda x: stable_norm(x) ** 3, SMALL),
    Right("right custom jvp", lambda x: jnp.sum(log1pexp(x)), SMALL),
    Right("scalar argument", lambda x, k: jnp.sum(x**k), jnp.abs(SMALL), (3,)),
    Right(
        "argument that is no array", lambda x, how: jnp.sum(how(x)), SMALL, (jnp.sin,)
    ),
    Right(
        "random key argument",
        lambda x, key: jnp.sum(x * jax.random.normal(key, x.shape)),
        SMALL,
        (jax.random.key(0),),
    ),
    Right("tuple of scalars", lambda p: p[0] * jnp.exp(p[1]), (1.5, -0.5)),
    Right(
        "empty leaf",
        lambda p: jnp.sum(p["a"] ** 3) + jnp.sum(p["none"]),
        {"a": SMALL, "none": jnp.zeros((0, 3))},
    ),
    Right("unused leaf", lambda p: jnp.sum(p[0] ** 3), (SMALL, SMALL)),
    Right(
        "leaves of far scales",
        lambda p: jnp.sum(p[0] * 1e9) + jnp.sum(p[1] ** 2),
        (1e-9 * SMALL, 1e3 * SMALL),
    ),
    Right(
        "mixed dtypes",
        lambda p: jnp.sum(p[0] ** 2) * jnp.sum(jnp.cos(p[1])),
        (SMALL, SMALL.astype(jnp.float32)),
    ),
    Right("float32 near 1e3", lambda x: jnp.sum(x**2), jnp.full(5, 1e3, jnp.float32)),
    Right("float32 square of 1000.3", lambda x: (x - 1000) ** 2, np.float32(1000.3)),
    Right(
        "float32 network",
        network,
        network_params(jnp.float32),
        network_data(jnp.float32),
    ),
    Right("float32 many", lambda x: jnp.sum(x**3), HUGE.astype(jnp.float32)),
    Right("float32 inside", lambda x: jnp.sum(jnp.sin(x.astype(jnp.float32))), SMALL),
    Right(
        "float32 only",
        lambda x: jnp.sum(jnp.sin(jnp.asarray(x, jnp.float32))),
        SMALL.astype(jnp.float32),
    ),
    Right(
        "float32 only, large offset",
        lambda x: 1e3 + jnp.sum(x.astype(jnp.float32) ** 2),
        SMALL.astype(jnp.float32),
    ),
    Right(
        "float32 only, network",
        lambda p, X, y: network(
            jax.tree.map(lambda a: a.astype(jnp.float32), p),
            X.astype(jnp.float32),
            y.astype(jnp.float32),
        ),
        network_params(jnp.float32),
        network_data(jnp.float32),
    ),
    Right("bfloat16", lambda x: jnp.sum(jnp.tanh(x)), SMALL.astype(jnp.bfloat16)),
    Right("float16", lambda x: jnp.sum(jnp.tanh(x)), SMALL.astype(jnp.float16)),
]
