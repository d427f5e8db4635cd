"""Two processes may use a store at once."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import optax
import pytest
from comparison.equality import assert_equal_runs
from comparison.test_store_records import made_up
from comparison.test_store_resume import begin, finish, same

from jaxcalc.comparison import compare, lanes, manage
from jaxcalc.comparison.store import Store

DIGEST = "ab" * 32
ROOT = Path(__file__).parents[2]


def test_writers_and_readers_never_see_half_a_file(tmp_path):
    runs = made_up(lanes=4, points=50)
    part = {"x": np.arange(100.0)}
    failures = []

    def work():
        try:
            store = Store(tmp_path)
            for _ in range(15):
                store.save_part(DIGEST, 0, part)
                held = store.load_part(DIGEST, 0)
                if held is not None:
                    np.testing.assert_array_equal(held["x"], part["x"])
                store.save_runs(DIGEST, runs)
                assert_equal_runs(store.load_runs(DIGEST), runs)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []  # a warning would be an error, too
    assert manage.verify(tmp_path) == []
    assert not list(tmp_path.rglob("*.partial"))


def test_what_is_in_the_store_is_traced_and_not_compiled(valley, tmp_path, monkeypatch):
    optimizers = {"sgd": optax.sgd, "adam": optax.adam(0.1)}
    run = {"rates": (0.01, 0.1), "seeds": 2, "max_steps": 4, "store": tmp_path}
    compare(valley, optimizers, **run)
    store = Store(tmp_path)
    for entry in manage.entries(tmp_path):  # so short a run may have taken no time
        runs = store.load_runs(entry.digest)
        store.save_runs(entry.digest, replace(runs, seconds_per_step=1.0))
    lanes._EXECUTABLES.clear()  # as in a new process
    monkeypatch.setattr(lanes.Executable, "compile", None)
    again = compare(valley, optimizers, **run)
    assert {runs.seconds_per_step for runs in again.runs} == {1.0}


def test_comparisons_that_share_a_store_share_their_runs(valley, tmp_path):
    run = {"rates": (0.01, 0.1), "seeds": 1, "max_steps": 4, "store": tmp_path}
    compare(valley, {"sgd": optax.sgd}, **run)
    compare(valley, {"sgd": optax.sgd, "adam": optax.adam}, **run)
    held = [(e.optimizer, e.phase) for e in manage.entries(tmp_path)]
    assert sorted(held) == [
        (name, phase) for name in ("adam", "sgd") for phase in ("evaluation", "tuning")
    ]


@pytest.mark.slow
def test_two_processes_at_once_find_the_same(tmp_path):
    store = tmp_path / "store"
    outs = [tmp_path / "one", tmp_path / "other"]
    for process in [begin(store, out) for out in outs]:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert "Warning" not in errors
    finish(tmp_path / "alone", tmp_path / "out")
    for out in outs:
        same(tmp_path / "out", out)
    assert manage.verify(store) == []
    assert manage.unfinished(store) == 0
