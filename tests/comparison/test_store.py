"""What is written can be read, belongs to its folder, and is never half there."""

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from comparison.equality import assert_equal

from jaxcalc.comparison import compare, load, runner
from jaxcalc.problems import Problem

SETTINGS = {"rates": (0.01, 0.1), "seeds": 2, "max_steps": 40, "tol": 0.0}
SEARCH = optax.scale_by_backtracking_linesearch(5)
OPTIMIZERS = {
    "sgd": optax.sgd,
    "noisy": lambda rate: optax.noisy_sgd(rate, key=1),
    "coarse": lambda rate: optax.adam(rate, mu_dtype=jnp.bfloat16),
    "search": optax.chain(optax.sgd(0.5), SEARCH),
}


def test_what_is_saved_is_loaded(compared, tmp_path):
    folder = compared.save(tmp_path / "a" / "new" / "folder")
    assert_equal(load(folder), compared)
    names = {"protocol.json", "runs.parquet", "table.parquet", "timings.parquet"}
    assert {path.name for path in folder.iterdir()} == names


def test_problems_of_several_precisions_are_saved_together(valley, tmp_path):
    narrow = [
        Problem(name=str(dtype), loss=valley.loss, init=valley.astype(dtype).init)
        for dtype in ("float32", "bfloat16")
    ]
    comparison = compare(
        [valley, *narrow], {"sgd": optax.sgd(0.05)}, seeds=2, max_steps=5
    )
    dtypes = [runs.value.dtype for runs in comparison.runs]
    assert dtypes == ["float64", "float32", "bfloat16"]
    comparison.save(tmp_path)
    assert_equal(load(tmp_path), comparison)


def test_a_folder_without_a_comparison_is_said_to_hold_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no comparison"):
        load(tmp_path)


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def undisturbed(valley):
    return compare(valley, OPTIMIZERS, **SETTINGS)


class Interruptions:
    """Stands for the progress bar, and presses Ctrl-C now and then."""

    def __init__(self, every):
        self.every, self.count = every, 0

    def __call__(self, _):
        self.count += 1
        if self.count % self.every == 0:
            raise KeyboardInterrupt


def test_a_comparison_interrupted_again_and_again_ends_the_same(
    undisturbed, valley, tmp_path, monkeypatch
):
    monkeypatch.setattr(runner, "_CHUNK_SECONDS", 1e-9)  # a point in each call
    pressed = Interruptions(every=15)
    monkeypatch.setattr(runner.Progress, "advance", pressed)
    comparison, interruptions = None, 0
    while comparison is None and interruptions < 100:
        try:
            comparison = compare(valley, OPTIMIZERS, **SETTINGS, store=tmp_path)
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions > 4
    assert_equal(comparison, undisturbed, timings=False)
    assert {path.suffix for path in files(tmp_path)} == {".json", ".parquet"}


def test_parts_that_have_ended_survive_an_interrupt(valley, tmp_path, monkeypatch):
    # Five evaluation runs, three advances each: the interrupt hits the last run.
    monkeypatch.setattr(runner.Progress, "advance", Interruptions(every=15))
    settings = {**SETTINGS, "seeds": 5}
    with pytest.raises(KeyboardInterrupt):
        compare(valley, {"sgd": optax.sgd(0.01)}, **settings, store=tmp_path)
    assert len(list(tmp_path.glob("parts/*.npz"))) >= 4


def test_what_is_in_the_store_is_not_run_again(valley, tmp_path, monkeypatch):
    first = compare(valley, {"sgd": optax.sgd(0.1)}, **SETTINGS, store=tmp_path)
    monkeypatch.setattr(runner, "_finish", None)
    again = compare(valley, {"sgd": optax.sgd(0.1)}, **SETTINGS, store=tmp_path)
    assert_equal(again, first)


@pytest.mark.parametrize(
    "setting", ["loss", "number", "data", "start", "optimizer", "steps", "tol"]
)
def test_what_is_run_otherwise_is_run(tmp_path, setting):
    def run(power=2, number=1.0, data=1.0, start=1.0, rate=0.1, steps=2, tol=0.0):
        problem = Problem(
            name="p",
            loss=lambda x, c: jnp.sum(jnp.abs(x - number * c) ** power),
            init=lambda key: start + jax.random.normal(key, (2,)),
            args=(jnp.asarray(data),),
        )
        optimizers = {"sgd": optax.sgd(rate)}
        compare(problem, optimizers, seeds=1, max_steps=steps, tol=tol, store=tmp_path)
        return len(list(tmp_path.glob("runs/*/*.parquet")))

    changed = {
        "loss": {"power": 4},
        "number": {"number": 2.0},
        "data": {"data": 2.0},
        "start": {"start": 2.0},
        "optimizer": {"rate": 0.2},
        "steps": {"steps": 3},
        "tol": {"tol": 1e-3},
    }[setting]
    assert [run(), run(), run(**changed), run()] == [1, 1, 2, 2]


def test_runs_under_other_names_are_the_same_runs(tmp_path, monkeypatch):
    def run(name, optimizer, seed, **options):
        problem = Problem(name=name, loss=lambda x: x**2, init=lambda _: 3.0)
        optimizers = {optimizer: optax.sgd(0.1)}
        return compare(problem, optimizers, seeds=[seed], max_steps=3, **options)

    run("one", "first", 1, store=tmp_path)
    wanted = run("two", "second", 2)
    monkeypatch.setattr(runner, "_finish", None)
    assert_equal(run("two", "second", 2, store=tmp_path), wanted, timings=False)


def test_a_damaged_file_is_set_aside_and_computed_anew(
    undisturbed, valley, tmp_path, monkeypatch
):
    run = {"optimizers": OPTIMIZERS, **SETTINGS, "store": tmp_path}
    compare(valley, **run)
    finished = max(tmp_path.glob("runs/*/*.parquet"), key=lambda f: f.stat().st_size)
    finished.write_bytes(finished.read_bytes()[:100])
    with pytest.warns(UserWarning, match="computed anew"):
        again = compare(valley, **run)
    assert_equal(again, undisturbed, timings=False)
    assert (tmp_path / "quarantine" / finished.name).exists()
    finished.unlink()
    part = tmp_path / "parts" / f"{finished.stem}-0.npz"
    part.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.warns(UserWarning, match="npz can't be read"):
        again = compare(valley, **run)
    assert_equal(again, undisturbed, timings=False)


def test_nothing_in_a_store_can_run_code(valley, tmp_path):
    class Trap:
        def __reduce__(self):
            return (builtins.exit, ())

    compare(valley, {"sgd": optax.sgd(0.1)}, seeds=1, max_steps=2, store=tmp_path)
    (finished,) = tmp_path.glob("runs/*/*.parquet")
    finished.unlink()
    trap = {"digest": np.array([Trap()], dtype=object)}
    np.savez(tmp_path / "parts" / f"{finished.stem}-0.npz", **trap)
    with pytest.warns(UserWarning, match="allow_pickle=False"):
        compare(valley, {"sgd": optax.sgd(0.1)}, seeds=1, max_steps=2, store=tmp_path)
