"""Eight devices in one process: `python eight.py check ...` prints what it has seen."""

import importlib
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from models import SIZES, network, network_loss

from jaxcalc import _programs, compare, minimize, problems, sharding
from jaxcalc.curvature import eigenpairs, hvp, spectrum, vectors
from jaxcalc.optimizers import newton, newton_cg, trust_region_cg

jax.config.update("jax_enable_x64", True)

# Sums over rows are taken in another order.
NEAR = 1e-12


def placement():
    """Each device holds its part and no more."""
    grid = sharding.mesh("data", "model", shape=(4, 2))
    x = sharding.shard_rows(np.ones((16, 3)), grid)
    assert {s.data.shape for s in x.addressable_shards} == {(4, 3)}
    params = {"w": np.ones((3, 10)), "v": np.ones((12, 12)), "c": np.ones((3, 5))}
    spread = sharding.shard_leaves({**params, "b": 0.5}, grid)
    parts = {k: v.addressable_shards[0].data.shape for k, v in spread.items()}
    assert parts == {"w": (3, 5), "v": (12, 6), "c": (3, 5), "b": ()}, parts
    both = sharding.shard_rows(np.ones((16, 3)), grid, "model")
    assert both.addressable_shards[0].data.shape == (8, 3)
    everywhere = sharding.replicate({"x": 1.0, "key": jax.random.key(0)}, grid)
    assert everywhere["key"].sharding.is_fully_replicated
    assert len(everywhere["x"].addressable_shards) == 8
    key = sharding.shard_lanes(jax.random.split(jax.random.key(0), 8), grid)
    assert len(key.addressable_shards) == 8
    assert key.addressable_shards[0].data.shape == (1,)
    one = sharding.mesh("data", devices=jax.devices()[2:3])
    assert sharding.shard_rows(np.ones(3), one).devices() == {jax.devices()[2]}


def weights():
    """Padded rows change no sum."""
    row = sharding.mesh()
    data = {"x": np.random.default_rng(0).normal(size=(1003, 5))}
    padded, weights = sharding.pad_rows(data, row.size)
    x, w = sharding.shard_rows((padded["x"], weights), row)

    @jax.jit
    def mean(x, w):
        return jnp.sum(w * jnp.sum(x**2, 1)) / jnp.sum(w)

    np.testing.assert_allclose(mean(x, w), np.mean(np.sum(data["x"] ** 2, 1)), NEAR)


def countdown(lanes, settings, limit):
    """Lanes count down at their own pace; entries say how long their device ran."""

    def body(carry):
        left, ran = carry
        return jnp.maximum(left - settings, 0), ran + 1

    def goes_on(carry):
        return jnp.any(carry[0] > 0) & (carry[1] < limit)

    left, ran = jax.lax.while_loop(goes_on, body, (lanes, jnp.asarray(0)))
    return left, {"ran": jnp.full(lanes.shape, ran), "square": left[None] ** 2}


def lanes():
    """Devices run their own loops, as long as their own lanes last; none waits."""
    grid = sharding.mesh("a", "b", shape=(2, 4))
    start = jnp.asarray(np.random.default_rng(0).permutation(32) + 1.0)
    paces = jnp.full(32, 0.5)
    run = jax.jit(sharding.sharded_lanes(countdown, grid))
    given = sharding.shard_lanes((start, paces), grid)
    compiled = run.lower(*given, 1000).compile()
    assert not collectives(compiled.as_text()), compiled.as_text()
    left, entries = compiled(*given, 1000)
    assert np.array_equal(left, np.zeros(32))
    # Of four lanes each device ran as long as its longest.
    longest = np.asarray(start).reshape(8, 4).max(1) / 0.5
    assert np.array_equal(np.asarray(entries["ran"]).reshape(8, 4)[:, 0], longest)
    assert {s.data.shape for s in entries["square"].addressable_shards} == {(1, 4)}
    with pytest.raises(ValueError, match=r"pad_lanes\(tree, 8\)"):
        run(start[:30], paces[:30], 1000)


def comparisons():
    """Runs of a comparison are the same, though eight do not divide their number."""
    cancer = problems.breast_cancer(ridge=1e-2)
    chosen = [problems.rosenbrock(dimension=4), cancer]
    optimizers = {"adam": optax.adam, "lbfgs": optax.lbfgs(), "newton": newton()}
    alone, spread = (
        compare(
            chosen,
            optimizers,
            rates=[0.01, 0.03, 0.1],
            seeds=3,
            max_steps=40,
            mesh=mesh,
        )
        for mesh in (None, sharding.mesh("lanes"))
    )
    for one, other in zip(alone.runs, spread.runs, strict=True):
        assert (one.problem, one.phase) == (other.problem, other.phase)
        assert np.array_equal(one.steps, other.steps), one.optimizer
        assert np.array_equal(one.status, other.status), one.optimizer
        # Elementwise arithmetic is the same to the bit; products of matrices are not.
        near = NEAR if one.problem == cancer.name else 0
        for name in ("value", "grad_norm", "params"):
            pair = getattr(other, name), getattr(one, name)
            np.testing.assert_allclose(*pair, 100 * near, near, err_msg=name)
        for kind, counts in one.work.items():
            assert np.array_equal(counts, other.work[kind]), kind


def data():
    """Rows over eight devices, parameters on all: nothing is gathered."""
    row = sharding.mesh()
    params, rows = network(0)
    given = sharding.replicate(params, row), sharding.shard_rows(rows, row)
    for optimizer in (optax.adam(0.03), optax.lbfgs(), newton_cg(), trust_region_cg()):
        fit(optimizer, (params, rows), given, [rows])


def params():
    """Rows over four devices, parameters over two: nothing is gathered."""
    grid = sharding.mesh("data", "model", shape=(4, 2))
    params, rows = network(0)
    given = sharding.shard_leaves(params, grid), sharding.shard_rows(rows, grid)
    for optimizer in (optax.adam(0.03), newton_cg(), trust_region_cg()):
        solution = fit(optimizer, (params, rows), given, [rows, params["w"]])
        for name, leaf in solution.params.items():
            assert leaf.sharding.is_equivalent_to(given[0][name].sharding, leaf.ndim)


def fit(optimizer, whole, spread, parted):
    """Minimize on one device and on many, and compare."""

    def run(params, rows):
        return minimize(network_loss, params, optimizer, args=rows, max_steps=15)

    alone, compiled = run(*whole), jax.jit(run).lower(*spread).compile()
    stays_apart(compiled, spread, parted)
    found = compiled(*spread)
    assert int(found.steps) == int(alone.steps)
    traces = sharding.gathered((found.trace.value, alone.trace.value))
    np.testing.assert_allclose(*traces, rtol=1e-10)
    ends = sharding.gathered((found.params, alone.params))
    for ours, theirs in zip(*map(jax.tree.leaves, ends), strict=True):
        assert np.max(np.abs(ours - theirs)) < 1e-10
    return found


def curvature():
    """Products and both ends of the spectrum, of rows and parameters in parts."""
    grid = sharding.mesh("data", "model", shape=(4, 2))
    params, rows = network(0)
    spread = sharding.shard_leaves(params, grid), sharding.shard_rows(rows, grid)

    def product(params, rows):
        return hvp(network_loss, params, *rows)(params)

    def pairs(params, rows):
        return eigenpairs(hvp(network_loss, params, *rows), params, 2, which="both")

    def ends(params, rows):
        return spectrum(network_loss, params, *rows, k=2)

    for run in (product, pairs, ends):
        alone, found = run(params, rows), run(*spread)
        values = alone, found
        if run is not product:
            values = alone[0], found[0]
            if run is ends:
                values = alone.top.values, found.top.values
        for a, b in zip(*map(jax.tree.leaves, values), strict=True):
            np.testing.assert_allclose(np.asarray(b), np.asarray(a), 1e-10, 1e-12)
    parted = [rows, params["w"]]
    stays_apart(jax.jit(product).lower(*spread).compile(), spread, parted)
    # Of a jitted function nobody can say where its arguments will lie.
    joined = vectors.joinable(spread[0])
    assert not joined
    whole = importlib.import_module("jaxcalc.curvature.spectrum")._whole
    search = _programs.compiled(whole, network_loss, 2, True, joined)
    key = jax.random.key(0)
    stays_apart(search.lower(*spread, 1e-8, 100, key).compile(), spread, parted)


def stays_apart(compiled, given, parted):
    """In the program of a device no array is as large as the whole ones are."""
    text = compiled.as_text()
    for leaf in jax.tree.leaves(parted):
        sizes = ",".join(map(str, leaf.shape))
        turned = ",".join(map(str, leaf.shape[::-1]))
        for shape in {f"f64[{sizes}]", f"f64[{turned}]"}:
            assert shape not in text, shape
    held = sum(
        leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(given)
    )
    assert compiled.memory_analysis().argument_size_in_bytes <= held + 64


def collectives(text):
    """The operations of a program that wait for other devices."""
    names = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    return re.findall(rf"= \S+ ({names})", text)


if __name__ == "__main__":
    assert jax.device_count() == 8
    assert SIZES["rows"] % 8 == 0
    for name in sys.argv[1:]:
        globals()[name]()
        print(name, flush=True)
