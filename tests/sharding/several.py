"""One of several processes: `python several.py address count index check folder`."""

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from eight import countdown
from models import network, network_loss
from shares import start, waves

from jaxcalc import compare, minimize, sharding
from jaxcalc.comparison import parts, runner
from jaxcalc.curvature import spectrum
from jaxcalc.optimizers import newton_cg
from jaxcalc.problems import Problem

jax.config.update("jax_enable_x64", True)

CHUNKS = 12


def fits():
    """Minimize, look at the spectrum, run lanes; returns numbers."""
    grid = sharding.mesh("data", "model", shape=(-1, min(2, jax.device_count())))
    params, rows = network(0)
    rows = sharding.shard_rows(rows, grid)
    found = {}
    for name, optimizer, place in (
        ("adam", optax.adam(0.03), sharding.replicate),
        ("newton_cg", newton_cg(), sharding.shard_leaves),
    ):
        given = place(params, grid)
        end = minimize(network_loss, given, optimizer, args=rows, max_steps=10)
        leaves = jax.tree.leaves(sharding.gathered(end.params))
        squares = [float(np.sum(leaf**2)) for leaf in leaves]
        found[name] = [float(end.value), *squares]
    spread = sharding.shard_leaves(params, grid)
    ends = spectrum(network_loss, spread, *rows, k=2)
    found["spectrum"] = sharding.gathered(ends.top.values).tolist()
    given = sharding.shard_lanes((jnp.arange(1.0, 9), jnp.full(8, 0.5)), grid)
    left, entries = jax.jit(sharding.sharded_lanes(countdown, grid))(*given, 7)
    found["lanes"] = sharding.gathered((left, entries["square"][0]))
    found["lanes"] = np.concatenate(found["lanes"]).tolist()
    keys = sharding.shard_lanes(jax.random.split(jax.random.key(0), 8), grid)
    found["keys"] = sharding.gathered(keys).tolist()
    return found


def own_rows():
    """Each process brings its own rows; uneven ones are an error everywhere."""
    row, (_, rows) = sharding.mesh(), network(0)
    count, index = jax.process_count(), jax.process_index()
    own = jax.tree.map(lambda leaf: np.split(leaf, count)[index], rows)
    joined = sharding.shard_rows(own, row, local=True)
    whole = sharding.shard_rows(rows, row)
    same = jax.jit(lambda a, b: jnp.all(a == b))
    assert all(bool(same(a, b)) for a, b in zip(joined, whole, strict=True))
    try:
        sharding.shard_rows(np.ones((8 + 8 * index, 2)), row, local=True)
    except ValueError as error:
        return {"uneven": str(error)}
    return {}


def chunks(folder, kill=None):
    """Sharded work in chunks that the main process keeps; a kill may end it."""
    row, (params, rows) = sharding.mesh(), network(0)
    rows, kept = sharding.shard_rows(rows, row), folder / "kept.npz"
    params, done = sharding.replicate(params, row), 0
    if kept.exists():
        with np.load(kept) as held:
            done = int(held["done"])
            params = {name: held[name] for name in params}
        params = sharding.replicate(params, row)
    ran = 0
    for chunk in range(done, CHUNKS):
        if chunk == 7 and kill == jax.process_index():
            os.kill(os.getpid(), 9)
        params = minimize(
            network_loss, params, optax.sgd(0.1), args=rows, max_steps=5
        ).params
        held = sharding.gathered(params)
        if sharding.is_main():
            beside = folder / "beside.npz"
            np.savez(beside, done=chunk + 1, **held)
            beside.replace(kept)
        ran += 1
    sharding.barrier("the end")
    ends = [float(np.sum(leaf)) for leaf in jax.tree.leaves(sharding.gathered(params))]
    return {"ran": ran, "ends": ends}


def comparison(folder, kill=None):
    """One comparison of all processes; a kill may end one amid the work."""
    row = sharding.mesh("lanes")
    if kill == jax.process_index():
        threading.Thread(target=kill_amid_work, args=(folder,), daemon=True).start()
    parts._CHECKPOINT_SECONDS, runner._CHUNK_SECONDS = 0.05, 0.02
    problem = Problem(
        name="waves", loss=waves, init=start, args=(jnp.asarray(30.0),), title="Waves"
    )
    found = compare(
        problem,
        {"adam": optax.adam, "lbfgs": optax.lbfgs(memory_size=4)},
        rates=[0.001, 0.01, 0.1],
        seeds=3,
        max_steps=800,
        tol=0.0,
        store=folder / "store",
        mesh=row if jax.device_count() > 1 else None,
    )
    return [
        [run.optimizer, run.phase, run.steps.tolist(), run.value[-1].tolist()]
        for run in found.runs
    ]


def kill_amid_work(folder):
    """Kill this process once parts have been saved twice over."""
    seen = set()
    while len(seen) < 4:
        with contextlib.suppress(FileNotFoundError):  # its runs have ended since
            for file in (folder / "store").glob("parts/*.npz"):
                seen.add((file.name, file.stat().st_mtime_ns))
        time.sleep(0.005)
    os.kill(os.getpid(), 9)


def main():
    """Join the others, do what is asked, and write what was found."""
    address, count, index, check, folder, *words = sys.argv[1:]
    if int(count) > 1:
        sharding.start(address, int(count), int(index), timeout=60.0, heartbeat=10.0)
        sharding.barrier()
        assert jax.process_count() == int(count)
        assert sharding.is_main() == (index == "0")
    folder = Path(folder)
    if check in ("chunks", "comparison"):
        found = globals()[check](folder, *map(int, words))
    else:
        found = globals()[check]()
    (folder / f"{check}-{index}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
