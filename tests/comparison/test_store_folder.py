"""Files stay in their folder, whole, whatever a disk or a name is like."""

import errno
import os
import warnings

import optax
import pyarrow.parquet as pq
import pytest
from comparison.equality import assert_equal

from jaxcalc.comparison import compare, load
from jaxcalc.comparison.files import slug, write_atomically
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


def test_a_full_disk_in_the_middle_keeps_what_was_finished(
    valley, tmp_path, monkeypatch
):
    optimizers = {"first": optax.sgd(0.1), "second": optax.sgd(0.2)}
    run = {"seeds": 1, "max_steps": 2, "store": tmp_path}
    replace = os.replace

    def fills_up(source, target):
        if list(tmp_path.glob("runs/*/*.parquet")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fills_up)
    with pytest.raises(OSError, match="No space left"):
        compare(valley, optimizers, **run)
    held = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in held) == [".json", ".parquet"]


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
