"""Files stay in their folder, whole, whatever a disk or a name is like."""

import errno
import os
import warnings
from pathlib import Path

import numpy as np
import optax
import pyarrow.parquet as pq
import pytest
from comparison.equality import assert_equal, assert_equal_runs

from jaxcalc.comparison import compare, load, manage
from jaxcalc.comparison.files import slug, write_atomically
from jaxcalc.comparison.store import Store
from jaxcalc.problems import Problem


def test_a_file_in_the_place_of_a_folder_is_named(compared, valley, tmp_path):
    file = tmp_path / "results"
    file.write_text("mine")
    for folder in (file, file / "deeper"):
        with pytest.raises(OSError, match=str(folder)):
            compared.save(folder)
        with pytest.raises(OSError, match=str(folder)):
            compare(valley, {"sgd": optax.sgd(0.1)}, store=folder)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("where", ["write", "rename"])
def test_a_full_disk_is_an_error_that_leaves_earlier_files_alone(
    compared, tmp_path, monkeypatch, where
):
    compared.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_, **options):
        del options
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "write":
        monkeypatch.setattr(pq, "write_table", full)
    else:
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=f"{tmp_path}.*No space left.*is kept"):
        compared.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class Disk:
    """Takes so many files, and no more until there is room again."""

    def __init__(self, monkeypatch, room):
        self.room, self.replace = room, os.replace
        monkeypatch.setattr(os, "replace", self)

    def __call__(self, source, target):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= 1
        self.replace(source, target)


def stored(folder):
    return len(list(folder.glob("runs/*/*.parquet")))


def test_a_disk_that_fills_up_is_one_warning_and_nothing_is_lost(
    valley, tmp_path, monkeypatch
):
    optimizers = {f"sgd {rate}": optax.sgd(rate) for rate in (0.1, 0.05, 0.02)}
    run = {"seeds": 1, "max_steps": 2}
    wanted = compare(valley, optimizers, **run)
    disk = Disk(monkeypatch, room=2)  # for format.json and one record
    with pytest.warns(UserWarning, match=r"No space left.*goes on") as warned:
        found = compare(valley, optimizers, **run, store=tmp_path)
    assert len(warned) == 1
    assert_equal(found, wanted, timings=False)
    assert stored(tmp_path) == 1
    assert not list(tmp_path.rglob("*.partial"))
    disk.room = 100
    assert_equal(compare(valley, optimizers, **run, store=tmp_path), wanted, False)
    assert stored(tmp_path) == 3


def test_what_had_no_room_is_written_when_there_is_some(
    compared, tmp_path, monkeypatch
):
    disk = Disk(monkeypatch, room=1)
    store = Store(tmp_path)
    first, second = compared.runs[:2]
    with pytest.warns(UserWarning, match="No space left"):
        store.save_runs("a" * 64, first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.save_part("c" * 64, 0, {"x": np.zeros(2)})
    assert stored(tmp_path) == 0
    assert store.has_runs("a" * 64)
    assert_equal_runs(store.load_runs("a" * 64), first)
    disk.room = 2
    store.save_runs("b" * 64, second)
    fresh = Store(tmp_path)
    assert_equal_runs(fresh.load_runs("a" * 64), first)
    assert_equal_runs(fresh.load_runs("b" * 64), second)


def test_a_store_that_can_only_be_read_is_refused_at_the_start(
    valley, tmp_path, monkeypatch
):
    def refuses(self, *_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_text", refuses)
    with pytest.raises(OSError, match=rf"{tmp_path} can't be written.*Read-only"):
        compare(valley, {"sgd": optax.sgd}, store=tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("format.json", '{"format": 99}', r"newer.*format 99.*up to format 2.*update"),
        ("format.json", "{", r"format\.json can't be read.*choose another"),
        ("format.json", '{"version": 2}', r"format\.json can't be read"),
        ("settings.json", "{}", r"older.*format 1.*format 2.*delete this one"),
    ],
)
def test_a_store_of_another_version_is_refused(valley, tmp_path, file, text, says):
    (tmp_path / file).write_text(text)
    with pytest.raises(ValueError, match=says):
        compare(valley, {"sgd": optax.sgd}, store=tmp_path)
    with pytest.raises(ValueError, match=says):
        manage.entries(tmp_path)


HOSTILE = [
    "../../up",
    "/etc/x",
    "<b>&amp;</b>",
    "a/b",
    "a--b",
    ".hidden",
    "ü" * 300,
]


def test_names_of_any_kind_stay_inside_the_folder(valley, tmp_path):
    inside = tmp_path / "inside"
    problems = [
        Problem(name=name, loss=valley.loss, init=valley.init) for name in HOSTILE[:2]
    ]
    optimizers = {name: optax.sgd(0.1) for name in HOSTILE}
    comparison = compare(problems, optimizers, seeds=1, max_steps=2, store=inside)
    comparison.save(inside / "saved")
    assert {path.name for path in tmp_path.iterdir()} == {"inside"}
    assert_equal(load(inside / "saved"), comparison)


def test_slugs_are_harmless_and_differ():
    texts = [
        *HOSTILE,
        "",
        "plain",
        "Plain_1.5",
        "a-b",
        "-",
        "--",
        "a",
        "b--c",
        "x" * 200,
    ]
    slugs = [slug(text) for text in texts]
    assert len(set(slugs)) == len(texts)
    for text in slugs:
        assert set(text) <= set(map(chr, range(33, 127))) - set('/\\:*?"<>|')
        assert text.strip(".-") == text
        assert "--" not in text
        assert 0 < len(text) <= 80
    assert slug("plain") == "plain"


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    file = tmp_path / "file"
    write_atomically(file, lambda path: path.write_text("old"))

    def fails(path):
        path.write_text("half of")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, fails)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "old"


def test_warnings_are_not_raised_by_an_undisturbed_store(valley, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            compare(
                valley, {"sgd": optax.sgd(0.1)}, seeds=1, max_steps=2, store=tmp_path
            )
