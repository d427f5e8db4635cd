"""Every field of a record survives a file, damage is always found, reading is quick."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from comparison.equality import assert_equal, assert_equal_runs

from jaxcalc.comparison import Comparison, Runs, load
from jaxcalc.comparison.records import read_runs, runs_table
from jaxcalc.comparison.store import Store, runs_file
from jaxcalc.minimization import Work

DIGEST = "ab" * 32
ROOT = Path(__file__).parents[2]


def made_up(lanes=3, points=5, dtype=float, seed=0, width=2, **fields):
    """Runs of random numbers, of random lengths, with every field filled."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, points, lanes).astype(np.int32)
    steps[0] = points - 1
    index = np.arange(points)[:, None]
    reached = index <= steps

    def trace():
        values = rng.normal(size=(points, lanes))
        return np.where(reached, values, np.nan).astype(dtype)

    counts = np.where(reached, index * 3, -1).astype(np.int32)
    path = np.where(reached[..., None], rng.normal(size=(points, lanes, width)), np.nan)
    known = {
        "problem": "a problem",
        "optimizer": "ü <b>",
        "phase": "tuning",
        "rates": rng.uniform(size=lanes),
        "seeds": np.arange(lanes),
        "status": rng.integers(0, 4, lanes).astype(np.int32),
        "steps": steps,
        "value": trace(),
        "grad_norm": trace(),
        "step_norm": trace(),
        "work": {kind: counts * k for k, kind in enumerate(Work._fields)},
        "cost": {kind: 1 / (k + 3) for k, kind in enumerate(Work._fields)},
        "path": path.astype(dtype) if width < 3 else None,
        "params": rng.normal(size=(lanes, width)).astype(dtype),
        "settings": {"rate": rng.uniform(size=lanes), "decay": np.full(lanes, np.nan)},
        "metrics": {"R² score": rng.uniform(size=lanes).astype(np.float32)},
        "gradient_flops": 1e9 / 3,
        "peak_bytes": 12345.0,
        "recompiled": 2,
        "trace_seconds": 0.1,
        "compile_seconds": 0.2,
        "run_seconds": 0.3,
        "transfer_seconds": 0.4,
        "seconds_per_step": 0.6,
        "seconds_per_step_low": 0.5,
        "seconds_per_step_high": 0.7,
    }
    assert set(known) == set(Runs.__dataclass_fields__)
    # Work is never less than it was: nothing reached is -1, not -1 times something.
    known["work"] = {k: np.where(reached, n, -1) for k, n in known["work"].items()}
    return Runs(**{**known, **fields})


@pytest.mark.parametrize("dtype", [np.float64, np.float32, jnp.bfloat16])
@pytest.mark.parametrize("width", [1, 2, 7])
def test_every_field_survives_a_store(tmp_path, dtype, width):
    runs = made_up(dtype=dtype, width=width)
    store = Store(tmp_path)
    store.save_runs(DIGEST, runs)
    assert_equal_runs(store.load_runs(DIGEST), runs)


def test_every_field_survives_a_saved_comparison(tmp_path):
    runs = (
        made_up(seed=0),
        made_up(seed=1, lanes=1, points=9, optimizer="other", settings={}, metrics={}),
        made_up(seed=2, width=4, problem="wide", dtype=np.float32),
        made_up(seed=3, width=4, settings={"momentum": np.array([0.1, 0.9, 0.99])}),
    )
    unfinished = (("a problem", "other", "tuning"),)
    found = Comparison(
        runs=runs,
        protocol={"max_steps": 3},
        environment={"jax": "0"},
        unfinished=unfinished,
    )
    assert_equal(load(found.save(tmp_path)), found)


def test_a_saved_comparison_is_the_same_to_the_bit_whatever_a_clock_says(tmp_path):
    timings = {"recompiled": 0, "peak_bytes": np.nan, "trace_seconds": 9.0}
    tables = []
    for n, clock in enumerate(({}, timings)):
        runs = made_up(lanes=2, **clock)
        found = Comparison(runs=(runs,), protocol={}, environment={})
        tables.append((found.save(tmp_path / str(n)) / "runs.parquet").read_bytes())
    assert tables[0] == tables[1]


def test_files_from_before_there_were_metrics_are_read(tmp_path):
    """The layout of the first version, written out by hand."""
    table = pa.table(
        {
            "problem": ["p", "p"],
            "optimizer": ["o", "o"],
            "phase": ["evaluation"] * 2,
            "learning_rate": [0.1, 0.2],
            "seed": [4, 5],
            "status": [0, 2],
            "steps": [1, 0],
            "params": [[1.0, 2.0], [3.0, 4.0]],
            "value": [[5.0, 4.0], [7.0]],
            "grad_norm": [[1.0, 0.5], [2.0]],
            "step_norm": [[1.0, float("nan")], [float("nan")]],
            **{f"work_{kind}": [[1, 2], [1]] for kind in Work._fields},
        }
    )
    shared = {
        "problem": "p",
        "optimizer": "o",
        "phase": "evaluation",
        "cost": {"gradients": 1.0},
        "lanes": 2,
        "length": 3,
        "dtype": "float64",
    }
    header = json.dumps({"runs": [shared]})
    table = table.replace_schema_metadata({"jaxcalc": header})
    pq.write_table(table, tmp_path / "runs.parquet")
    timings = {
        "compile_seconds": [1.0],
        "run_seconds": [2.0],
        "seconds_per_step": [3.0],
    }
    pq.write_table(pa.table(timings), tmp_path / "timings.parquet")
    (tmp_path / "protocol.json").write_text('{"protocol": {}, "environment": {}}')
    found = load(tmp_path)
    (runs,) = found.runs
    assert found.unfinished == ()
    nan = np.nan
    np.testing.assert_array_equal(runs.value, [[5.0, 7.0], [4.0, nan], [nan, nan]])
    np.testing.assert_array_equal(runs.work["hvps"], [[1, 1], [2, -1], [-1, -1]])
    assert (runs.settings, runs.metrics, runs.recompiled) == ({}, {}, 0)
    assert np.isnan([runs.gradient_flops, runs.peak_bytes, runs.trace_seconds]).all()
    assert runs.run_seconds == 2.0


def test_a_comparison_of_a_newer_version_is_refused(tmp_path):
    found = Comparison(runs=(made_up(),), protocol={}, environment={})
    file = found.save(tmp_path) / "protocol.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(ValueError, match=r"newer.*format 99.*format 2"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["runs.parquet", "timings.parquet", "protocol.json"])
def test_a_damaged_file_of_a_comparison_is_named(tmp_path, name):
    found = Comparison(runs=(made_up(),), protocol={}, environment={})
    file = found.save(tmp_path) / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{name} can't be read"):
        load(tmp_path)


def damaged_unseen(folder, stride):
    """Which bytes of a stored file may change so that other runs are read from it."""
    store = Store(folder)
    runs = made_up(lanes=2, points=4)
    store.save_runs(DIGEST, runs)
    file = runs_file(folder, DIGEST)
    sound = file.read_bytes()
    unseen = []
    for place in range(0, len(sound), stride):
        flipped = bytearray(sound)
        flipped[place] ^= 1 << (place % 8)
        file.write_bytes(flipped)
        try:
            read, _ = read_runs(file)
        except Exception:
            continue
        try:
            assert_equal_runs(read[0], runs)
        except AssertionError:
            unseen.append(place)
    return unseen


def test_a_flipped_bit_is_found_or_does_no_harm(tmp_path):
    assert damaged_unseen(tmp_path, stride=37) == []


@pytest.mark.slow
def test_any_flipped_bit_is_found_or_does_no_harm(tmp_path):
    assert damaged_unseen(tmp_path, stride=1) == []


def test_runs_in_the_place_of_others_are_not_taken_for_them(tmp_path):
    store = Store(tmp_path)
    store.save_runs(DIGEST, made_up())
    other = runs_file(tmp_path, "cd" * 32)
    other.parent.mkdir()
    shutil.copy(runs_file(tmp_path, DIGEST), other)
    with pytest.warns(UserWarning, match=r"holds the runs abab.*quarantine"):
        assert store.load_runs("cd" * 32) is None
    assert store.load_runs(DIGEST) is not None


def seconds_to_read(folder, files, lanes):
    """Seconds of CPU time for the store, and for Parquet alone: the least of five."""
    store = Store(folder)
    kept = made_up(lanes=lanes, points=200, width=10)
    digests = [f"{n:02x}{n:062x}"[-64:] for n in range(files)]
    for digest in digests:
        store.save_runs(digest, replace(kept, rates=np.full(lanes, float(lanes))))
    ours, parquet = [], []
    for _ in range(5):
        begin = time.process_time()
        assert all(store.load_runs(digest) for digest in digests)
        middle = time.process_time()
        for digest in digests:
            pq.ParquetFile(runs_file(folder, digest)).read(use_threads=False)
        ours.append(middle - begin)
        parquet.append(time.process_time() - middle)
    return min(ours), min(parquet)


def test_1000_runs_are_read_in_less_than_a_second(tmp_path, unchecked):
    assert seconds_to_read(tmp_path, files=125, lanes=8)[0] < 1.0


@pytest.mark.slow
def test_a_file_costs_little_more_than_parquet_itself(tmp_path):
    # 1,000 files are 1,000 times this. In a process of its own: tests check types at
    # every call.
    here = (
        f"from comparison import {Path(__file__).stem} as t; from pathlib import Path"
    )
    call = f"t.seconds_to_read(Path({str(tmp_path)!r}), files=1000, lanes=1)"
    seconds = subprocess.run(
        [sys.executable, "-c", f"{here}; print(*{call})"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ours, parquet = map(float, seconds.split())
    assert ours < 3 * parquet


def test_a_table_knows_what_its_runs_are_called():
    table = runs_table((made_up(lanes=2), made_up(lanes=1, problem="q")), {})
    assert table.column("problem").to_pylist() == ["a problem"] * 2 + ["q"]
    assert table.column("metric_R² score").to_numpy().dtype == float
