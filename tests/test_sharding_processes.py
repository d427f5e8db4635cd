"""Two processes of two devices each, over loopback: the same digits, and clear ends."""

import json
import time

import numpy as np
import pytest
from comparison.equality import assert_equal_runs
from sharding.running import begin, finish, free_port, together

from jaxcalc.comparison import load


def found(check, folder, processes, devices):
    """What each process found; they must all end well."""
    folder.mkdir()
    ended = together("several.py", check, folder, processes=processes, devices=devices)
    for code, _, complaint in ended:
        assert code == 0, complaint
    files = [folder / f"{check}-{index}.json" for index in range(processes)]
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path):
    first, second = found("fits", tmp_path / "two", 2, 2)
    (same,) = found("fits", tmp_path / "four", 1, 4)
    (alone,) = found("fits", tmp_path / "one", 1, 1)
    assert first == second
    for name, values in first.items():
        # Processes may add up what four devices bring in another order.
        np.testing.assert_allclose(same[name], values, 1e-12, err_msg=name)
        np.testing.assert_allclose(alone[name], values, 1e-10, err_msg=name)


@pytest.mark.slow
def test_each_process_may_bring_its_own_rows(tmp_path):
    for each in found("own_rows", tmp_path / "two", 2, 2):
        assert "the processes hold 8, 16 rows" in each["uneven"]


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_other_and_nothing_is_lost(tmp_path, killed):
    (whole, _) = found("chunks", tmp_path / "whole", 2, 2)
    assert whole["ran"] == 12
    folder = tmp_path / "killed"
    folder.mkdir()
    ended = together(
        "several.py", "chunks", folder, killed, processes=2, devices=2, timeout=120
    )
    assert ended[killed][0] == -9
    code, _, complaint = ended[1 - killed]
    assert code not in (0, -9)
    assert "another task died" in complaint or "Gloo" in complaint, complaint
    again = together("several.py", "chunks", folder, processes=2, devices=2)
    assert [code for code, *_ in again] == [0, 0], again
    rest = json.loads((folder / "chunks-0.json").read_text())
    assert rest["ran"] == 12 - 7
    assert rest["ends"] == whole["ends"]


@pytest.mark.slow
def test_a_comparison_of_two_processes_survives_the_death_of_one(tmp_path):
    first, second = found("comparison", tmp_path / "whole", 2, 2)
    (alone,) = found("comparison", tmp_path / "alone", 1, 1)
    assert first == second  # each process has all runs
    assert first == alone
    folder = tmp_path / "killed"
    folder.mkdir()
    ended = together(
        "several.py", "comparison", folder, 1, processes=2, devices=2, timeout=120
    )
    codes = [code for code, *_ in ended]
    assert codes[1] == -9
    assert codes[0] not in (0, -9)
    assert list(folder.glob("store/parts/*.npz"))
    assert not (folder / "comparison-0.json").exists()
    again = together("several.py", "comparison", folder, processes=2, devices=2)
    assert [code for code, *_ in again] == [0, 0], again
    assert json.loads((folder / "comparison-1.json").read_text()) == first


@pytest.mark.slow
def test_processes_with_one_index_end_in_words(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    ended = finish(
        [
            begin("several.py", address, 3, index, "own_rows", tmp_path, devices=1)
            for index in (0, 1, 1)
        ]
    )
    for code, _, complaint in ended:
        assert code == 1
        assert "ValueError: two processes have the index 1" in complaint


@pytest.mark.slow
def test_slices_of_a_store_survive_a_death_and_make_a_whole(tmp_path):
    whole, store = tmp_path / "whole", tmp_path / "store"

    def share(*words):
        return begin("shares.py", store, tmp_path / "out", *words, devices=1)

    first, second = share(0, 2), share(1, 2)
    try:
        ended = time.monotonic() + 120
        while not list(store.glob("parts/*.npz")):
            assert second.poll() is None, second.communicate()
            assert time.monotonic() < ended
            time.sleep(0.01)
        second.kill()
    finally:
        (one, out, complaint), (other, *_) = finish([first, second])
    assert (one, other) == (0, -9), complaint
    assert out.split()[0] == "4"  # tuning and evaluation of one optimizer on each
    again = [share(0, 2), share(1, 2), begin("shares.py", *[whole] * 2, devices=1)]
    assert [code for code, *_ in finish(again)] == [0] * 3
    kept = {file: file.stat().st_mtime_ns for file in store.glob("runs/*/*.parquet")}
    assert len(kept) == 8
    ((code, _, complaint),) = finish([share()])
    assert code == 0, complaint
    # Nothing was run again, and nothing differs from what one process finds.
    assert {f: f.stat().st_mtime_ns for f in store.glob("runs/*/*.parquet")} == kept
    for ours, theirs in zip(load(tmp_path / "out").runs, load(whole).runs, strict=True):
        assert_equal_runs(ours, theirs, timings=False)
