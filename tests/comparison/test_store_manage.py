"""Stores are listed, merged, verified and deleted from, in Python and from a shell."""

import os
import shutil
import sys
import time

import numpy as np
import pytest
from comparison.equality import assert_equal_runs
from comparison.test_store_records import made_up

from jaxcalc.comparison import manage, naming
from jaxcalc.comparison.__main__ import main
from jaxcalc.comparison.layout import part_file, runs_file
from jaxcalc.comparison.store import Store

A, B, C = "aa" + "1" * 62, "ab" + "2" * 62, "cc" + "3" * 62
FIRST = made_up(problem="first", optimizer="sgd", lanes=2)
SECOND = made_up(problem="second", optimizer="sgd", lanes=3, seed=1)
THIRD = made_up(problem="second", optimizer="adam", phase="evaluation", seed=2)


@pytest.fixture
def one(tmp_path):
    """A store with two records, one of them half run again."""
    store = Store(tmp_path / "one")
    store.save_runs(A, FIRST)
    store.save_runs(B, SECOND)
    store.save_part(B, 0, {"x": np.arange(3.0)})
    return tmp_path / "one"


@pytest.fixture
def other(tmp_path):
    """A store with one record of its own, one that `one` has, and an unfinished one."""
    store = Store(tmp_path / "other")
    store.save_runs(B, SECOND)
    store.save_runs(C, THIRD)
    store.save_part("dd" + "4" * 62, 1, {"x": np.arange(4.0)})
    return tmp_path / "other"


def digests(folder):
    return {entry.digest for entry in manage.entries(folder)}


def damage(file, runs):
    """Change one bit of a learning rate: Parquet itself does not notice."""
    content = bytearray(file.read_bytes())
    content[content.index(runs.rates.tobytes())] ^= 1
    file.write_bytes(content)


def test_entries_tell_what_the_files_hold(one):
    first, second = manage.entries(one)
    assert (first.digest, first.problem, first.optimizer) == (A, "first", "sgd")
    assert (second.phase, second.runs) == ("tuning", 3)
    assert second.steps == SECOND.steps.sum()
    assert second.bytes == runs_file(one, B).stat().st_size
    assert second.created["jax"] == sys.modules["jax"].__version__
    assert abs(second.made_at - time.time()) < 600
    assert manage.unfinished(one) == 1


def test_entries_are_read_from_headers_alone(one):
    damage(runs_file(one, A), FIRST)
    assert digests(one) == {A, B}


def test_one_record_is_shown_by_its_first_digits(one):
    entry, runs = manage.show(one, "ab")
    assert entry.digest == B
    assert_equal_runs(runs, SECOND)
    for prefix, says in (("a", "2 records .*give more digits"), ("e", "0 records")):
        with pytest.raises(ValueError, match=says):
            manage.show(one, prefix)
    damage(runs_file(one, A), FIRST)
    with pytest.raises(ValueError, match=r"parquet can't be read"):
        manage.show(one, "aa")


def test_merged_stores_hold_what_either_held(one, other, tmp_path):
    done = manage.merge(tmp_path / "both", one, other)
    assert (done.copied, done.known, done.damaged) == ([A, B, C], [B], [])
    both = Store(tmp_path / "both")
    for digest, runs in ((A, FIRST), (B, SECOND), (C, THIRD)):
        assert_equal_runs(both.load_runs(digest), runs)
    np.testing.assert_array_equal(
        both.load_part("dd" + "4" * 62, 1)["x"], np.arange(4.0)
    )
    assert both.load_part(B, 0) is None  # its runs have ended
    assert digests(one) == {A, B}
    again = manage.merge(tmp_path / "both", one, other)
    assert again.copied == again.parts == []


def test_a_store_is_shared_by_copying_its_files(one, other):
    shutil.copytree(one, other, dirs_exist_ok=True)
    assert digests(other) == {A, B, C}
    assert manage.verify(other) == []


def test_damage_is_not_merged(one, other):
    damage(runs_file(other, C), THIRD)
    done = manage.merge(one, other)
    assert [lost.file for lost in done.damaged] == [runs_file(other, C)]
    assert digests(one) == {A, B}
    assert runs_file(other, C).exists()


def test_a_store_is_not_merged_into_itself(one):
    with pytest.raises(ValueError, match="into itself"):
        manage.merge(one, one / ".." / "one")


def test_verify_sets_aside_what_is_damaged_and_keeps_the_rest(one):
    damage(runs_file(one, A), FIRST)
    part_file(one, B, 0).write_bytes(b"PK")
    left = manage.verify(one, keep=True)
    assert [lost.moved for lost in left] == [None, None]
    found = manage.verify(one)
    assert [lost.file for lost in found] == [runs_file(one, A), part_file(one, B, 0)]
    assert found[0].reason == "its content does not match its checksum"
    assert all(lost.moved.exists() for lost in found)
    assert digests(one) == {B}
    assert manage.verify(one) == []


def test_verify_removes_what_a_killed_process_left_half_written_long_ago(one):
    old, new = one / "runs" / "x.1.partial", one / "runs" / "y.2.partial"
    for file in (old, new):
        file.write_text("half")
    os.utime(old, (0, time.time() - 2 * 86400))
    manage.verify(one)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"digests": ["aa"]}, {B, C}),
        ({"digests": ["aa", "cc"]}, {B}),
        ({"problem": "second"}, {A}),
        ({"problem": "second", "optimizer": "sgd"}, {A, C}),
        ({"digests": ["aa"], "problem": "second"}, {A, B, C}),
        ({"older_than": 1.0}, {A, B, C}),
        ({"older_than": -1.0}, set()),
        ({"problem": "unheard of"}, {A, B, C}),
    ],
)
def test_what_matches_is_deleted(one, other, chosen, left):
    manage.merge(one, other)
    planned = manage.delete(one, **chosen, pretend=True)
    assert digests(one) == {A, B, C}
    deleted = manage.delete(one, **chosen)
    assert deleted == planned
    assert digests(one) == left
    assert not (set(one.glob(f"parts/{B}-*")) and B not in left)


def test_nothing_is_deleted_unless_something_is_said(one):
    with pytest.raises(ValueError, match="say what to delete"):
        manage.delete(one)
    assert digests(one) == {A, B}


def said(capsys, *arguments):
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_list_is_a_table_with_a_sum(one, capsys):
    code, out, err = said(capsys, "list", one)
    lines = out.splitlines()
    assert (code, err, len(lines)) == (0, "", 4)
    assert lines[0].split()[:5] == ["digest", "problem", "optimizer", "phase", "runs"]
    assert lines[1].split()[:5] == [A[:12], "first", "sgd", "tuning", "2"]
    assert lines[-1].startswith("2 records, 5 runs, ")
    assert lines[-1].endswith("1 unfinished part")


def test_show_lists_every_run(one, capsys):
    code, out, _ = said(capsys, "show", one, B[:6])
    assert code == 0
    assert B in out
    header = " ".join(out.splitlines()[-4].split())
    assert header == "seed rate decay status steps first value last value"
    last = out.splitlines()[-1].split()
    assert last[0] == "2"
    assert float(last[-1]) == pytest.approx(SECOND.final_value[2], rel=1e-5)


def test_verify_says_what_is_damaged_and_returns_1(one, capsys):
    assert said(capsys, "verify", one)[0] == 0
    damage(runs_file(one, A), FIRST)
    code, out, err = said(capsys, "verify", one)
    assert code == 1
    assert out == "1 sound record, 1 damaged file\n"
    assert err.startswith(f"damaged: {runs_file(one, A)}: ")
    assert "quarantine" in err
    assert said(capsys, "verify", one)[0] == 0


def test_merge_and_delete_say_what_they_did(one, other, capsys):
    code, out, _ = said(capsys, "merge", one, other)
    assert (code, out) == (
        0,
        "1 record copied, 1 known already; 1 unfinished part copied\n",
    )
    _, out, _ = said(capsys, "delete", one, "--problem", "second", "--dry-run")
    assert "2 records would be deleted" in out
    code, out, _ = said(capsys, "delete", one, "--optimizer", "adam")
    assert code == 0
    assert out.splitlines()[-1].startswith("1 record deleted")
    assert digests(one) == {A, B}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "nowhere"], "there is no folder nowhere"),
        (["list", "."], "no store: there is no format.json"),
        (["list", "results"], "did you mean results/store?"),
        (["show", "one", "ffff"], "0 records in one"),
        (["delete", "one"], "say what to delete"),
        (["delete", "one", "zz"], "0 records in one"),
        (["merge", "one", "nowhere"], "there is no folder nowhere"),
        (["merge", "one", "one"], "into itself"),
        (["verify", "newer"], "newer jaxcalc (format 99; this one reads up to format"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(
    one, tmp_path, monkeypatch, capsys, arguments, says
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "store").mkdir(parents=True)
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "format.json").write_text('{"format": 99}')
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_command_that_is_none_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["lsit", "store"])
    assert stopped.value.code == 2
    assert "invalid choice: 'lsit'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "flags", "same"),
    [
        ("jax", None, False),
        ("jaxlib", None, False),
        (None, "--xla_cpu_enable_fast_math=true", False),
        (None, "--xla_force_host_platform_device_count=8 --xla_dump_to=x", True),
    ],
)
def test_names_depend_on_what_changes_numbers(monkeypatch, name, flags, same):
    def digest():
        return naming.digest("program", "tuning", [np.zeros(2), np.ones(3)])

    before = digest()
    if name == "jax":
        monkeypatch.setattr(naming.jax, "__version__", "0.0.1")
    elif name == "jaxlib":
        version = naming.importlib.metadata.version
        monkeypatch.setattr(
            naming.importlib.metadata,
            "version",
            lambda package: "0.0.1" if package == name else version(package),
        )
    else:
        known = os.environ.get("XLA_FLAGS", "")
        monkeypatch.setenv("XLA_FLAGS", f"{known} {flags}")
    assert (digest() == before) == same


def test_names_depend_on_every_argument():
    def digest(*arrays, program="program", phase="tuning"):
        return naming.digest(program, phase, arrays)

    zeros = np.zeros((2, 3))
    variants = [
        digest(zeros),
        digest(zeros, program="other"),
        digest(zeros, phase="evaluation"),
        digest(zeros.T),
        digest(zeros.astype(np.float32)),
        digest(zeros, zeros),
        digest(np.full((2, 3), 1e-300)),
        digest(-zeros),
    ]
    assert len(set(variants)) == len(variants)
    assert digest(np.asfortranarray(zeros)) == variants[0]
