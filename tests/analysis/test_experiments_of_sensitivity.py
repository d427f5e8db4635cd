"""The experiments of this folder run, and find something."""

import importlib

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["activations", "vanishing_gradients", "feature_importance"]
)
def test_a_tiny_run_writes_its_picture_and_table(name, tmp_path):
    module = importlib.import_module(f"experiments.{name}")
    finding = module.main(tmp_path, **module.TINY)
    assert finding.picture.stat().st_size > 10_000
    assert finding.sentence.endswith(".")
    assert (tmp_path / "table.md").read_text().count("|") > 20
