"""Everything that the README shows is so."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)
SCRIPT = next(block for block in BLOCKS if "def main(" in block)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to work in, with the experiments in reach."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    return tmp_path


def test_the_code_runs_from_top_to_bottom(elsewhere, capsys):
    names = {}
    for block in BLOCKS:
        if block is not SCRIPT:
            exec(compile(block, "README.md", "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("CONVERGED")
    assert names["best"].final_value.max() < 1e-3
    assert (elsewhere / "results" / "mine" / "report.html").exists()


def test_the_experiment_runs_and_finds_something(elsewhere):
    file = elsewhere / "valley.py"
    file.write_text(SCRIPT)
    spec = importlib.util.spec_from_file_location("valley", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    finding = module.main(out=elsewhere / "out", **module.TINY)
    assert finding.picture.exists()
    assert finding.page.exists()
    assert re.search(r"\d+ steps", finding.sentence)


def test_pictures_and_commands_are_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).exists(), picture
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for command in re.findall(r"^\$ make (\w+)", README, re.M):
        assert command in targets
    for module in re.findall(r"python -m ([\w.]+)", README):
        assert importlib.util.find_spec(module), module


def test_the_library_needs_only_the_core():
    # Whoever only imports pays for nothing that is drawn, stored or downloaded.
    import subprocess

    code = "import jaxcalc, sys; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"matplotlib", "pyarrow", "sklearn", "tqdm", "jinja2", "tyro", "scipy"}
    assert not heavy & set(run.stdout.split())
