"""Whatever ends a comparison, the next one goes on with the same numbers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SCRIPT = Path(__file__).with_name("killed.py")
ROOT = SCRIPT.parents[2]


def begin(store, out):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(store), str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(store, out):
    process = begin(store, out)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert said.split() == ["ready", "done"]


def written(path):
    try:
        return path.name, path.stat().st_mtime_ns
    except FileNotFoundError:  # its runs have ended since
        return path.name, 0


def interrupt(store, out, finished, sent):
    """Send a signal amid parts, once they were saved twice over and some runs ended."""
    process = begin(store, out)
    ended = time.monotonic() + 120
    seen = set()
    while len(seen) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < ended
        if len(list(store.glob("runs/*/*.parquet"))) >= finished:
            seen |= set(map(written, store.glob("parts/*.npz")))
        time.sleep(0.01)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert not (out / "runs.parquet").exists()
    return process.returncode, errors


def same(one, other):
    first, second = (pq.read_table(p / "table.parquet") for p in (one, other))
    for name in set(first.column_names) - {"seconds"}:
        # Cell by cell, NaN included: equal buffers, not equal numbers.
        a, b = (t.column(name).combine_chunks() for t in (first, second))
        if hasattr(a, "indices"):
            assert a.to_pylist() == b.to_pylist(), name
        else:
            assert a.buffers()[-1].equals(b.buffers()[-1]), name
    runs = [(p / "runs.parquet").read_bytes() for p in (one, other)]
    assert runs[0] == runs[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder / "store", folder / "out")
    return folder / "out"


@pytest.mark.slow
def test_a_killed_comparison_ends_with_the_same_bits(undisturbed, tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    store.mkdir()
    # Once in the middle of tuning, once after it.
    for finished in (0, 1):
        status, _ = interrupt(store, out, finished, signal.SIGKILL)
        assert status == -signal.SIGKILL
    finish(store, out)
    same(undisturbed, out)
    assert not list(store.glob("parts/*.npz"))


@pytest.mark.slow
def test_ctrl_c_loses_nothing(undisturbed, tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    store.mkdir()
    status, errors = interrupt(store, out, 1, signal.SIGINT)
    assert status != 0
    assert "KeyboardInterrupt" in errors
    held = [path.suffix for path in store.rglob("*") if path.is_file()]
    assert ".parquet" in held
    assert ".npz" in held
    assert ".partial" not in held
    finish(store, out)
    same(undisturbed, out)
