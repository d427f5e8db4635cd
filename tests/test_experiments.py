"""The command line of the experiments, as people type it."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import experiments

ROOT = Path(__file__).parents[1]
HELPERS = {"__main__", "benchmarks", "finding", "running"}
NAMES = sorted({m.name for m in pkgutil.iter_modules(experiments.__path__)} - HELPERS)


def run(*words, folder):
    """Run `python -m experiments` somewhere else, as a child process."""
    return subprocess.run(
        [sys.executable, "-m", "experiments", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_list_names_every_experiment_and_its_question(tmp_path):
    listed = run("--list", folder=tmp_path)
    assert listed.returncode == 0, listed.stderr
    lines = listed.stdout.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    for line, name in zip(lines, NAMES, strict=True):
        module = importlib.import_module(f"experiments.{name}")
        assert line.endswith(module.__doc__.strip().splitlines()[0])
        assert "?" in line
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    said = run("linear_regresion", folder=tmp_path)
    assert said.returncode != 0
    assert "unknown experiment 'linear_regresion'" in said.stderr
    assert "Traceback" not in said.stderr
    for name in NAMES:
        assert name in said.stderr
    assert not list(tmp_path.iterdir())


def test_help_shows_the_options_of_one_experiment(tmp_path):
    said = run("linear_regression", "--help", folder=tmp_path)
    assert said.returncode == 0
    assert "python -m experiments linear_regression" in said.stdout
    for option in ("--out", "--rates", "--max-steps", "--seeds"):
        assert option in said.stdout


def test_an_option_of_the_wrong_kind_is_refused(tmp_path):
    said = run("linear_regression", "--max-steps", "many", folder=tmp_path)
    assert said.returncode != 0
    assert "Traceback" not in said.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_tiny_run_writes_a_page_that_holds_it(tmp_path):
    out = tmp_path / "results"
    said = run("linear_regression", "--tiny", "--out", out, folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert str(out / "index.html") in said.stdout
    page = (out / "index.html").read_text()
    assert "How many steps does a line through five points take?" in page
    assert "The line is y = 0.6x + 2.2." in page
    made = {path.name for path in (out / "linear_regression").iterdir()}
    finding = json.loads((out / "linear_regression" / "finding.json").read_text())
    assert finding["picture"] in made
    assert {"finding.json", "table.parquet", "runs.parquet"} <= made
    assert {path.name for path in tmp_path.iterdir()} == {"results"}


@pytest.mark.slow
def test_one_experiment_with_options_of_its_own_writes_where_it_is_told(tmp_path):
    words = ("linear_regression", "--max-steps", "5", "--seeds", "1", "--out")
    own = run(*words, tmp_path / "mine", folder=tmp_path)
    assert own.returncode == 0, own.stderr
    assert (tmp_path / "mine" / "runs.parquet").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
    usual = run(*words[:-1], folder=tmp_path)
    assert usual.returncode == 0, usual.stderr
    assert "linear_regression" in (tmp_path / "results" / "index.html").read_text()


@pytest.mark.slow
def test_a_folder_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    said = run("linear_regression", "--tiny", "--out", "file", folder=tmp_path)
    assert said.returncode != 0
    assert "error: the folder file" in said.stderr
    assert "Traceback" not in said.stderr
    assert (tmp_path / "file").read_text() == "mine"
