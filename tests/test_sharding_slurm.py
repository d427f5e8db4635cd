"""The script that puts slices of an experiment into Slurm's queue."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FILE = Path(__file__).parents[1] / "scripts" / "slurm.py"


@pytest.fixture
def slurm():
    spec = importlib.util.spec_from_file_location("slurm_script", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["slurm_script"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["slurm_script"]


@pytest.fixture
def submitted(monkeypatch):
    """What is submitted to a submitit that submits nothing, in its order."""
    seen = []

    class AutoExecutor:
        def __init__(self, cluster, **_):
            self.parameters = {"cluster": cluster}

        @staticmethod
        def which():
            return "slurm"

        def update_parameters(self, **parameters):
            self.parameters.update(parameters)

        def submit(self, task):
            seen.append((task, self.parameters))
            number = len(seen)
            return SimpleNamespace(
                job_id=f"7_{number}", wait=lambda: seen.append(number), result=int
            )

        def submit_array(self, tasks):
            return [self.submit(task) for task in tasks]

    helpers = SimpleNamespace(DelayedSubmission=lambda task: ("again", task))
    fake = SimpleNamespace(AutoExecutor=AutoExecutor, helpers=helpers)
    monkeypatch.setitem(sys.modules, "submitit", fake)
    return seen


def test_every_slice_is_submitted_and_then_what_gathers(slurm, submitted, capsys):
    words = ["linear_regression", "--slices", "3", "--partition", "p", "--"]
    slurm.main([*words, "--max-steps", "5"])
    tasks = [task for task, _ in submitted]
    ends = [" ".join(task.command[3:]) for task in tasks]
    own = "linear_regression --max-steps 5"
    assert ends == [*(f"{own} --slice {i}/3" for i in (1, 2, 3)), own]
    *slices, (_, last) = submitted
    assert all("slurm_dependency" not in parameters for _, parameters in slices)
    assert last["slurm_dependency"] == "afterany:7"
    assert last["slurm_partition"] == "p"
    assert last["timeout_min"] == 60
    assert "Submitted 7_1, 7_2, 7_3, 7_4" in capsys.readouterr().out


def test_without_slurm_what_gathers_waits_for_the_slices(slurm, submitted):
    slurm.main(["linear_regression", "--slices", "2", "--cluster", "local"])
    assert submitted[2:4] == [1, 2]
    task, parameters = submitted[4]
    assert task.command[-1] == "linear_regression"
    assert "slurm_dependency" not in parameters


def test_an_interrupted_task_goes_into_the_queue_again(slurm, submitted):
    task = slurm.Task(("true",), "/")
    assert task.checkpoint() == ("again", task)


def test_a_task_runs_its_command_and_a_failure_is_an_error(slurm, tmp_path):
    python = (sys.executable, "-c")
    slurm.Task((*python, "open('here', 'w')"), str(tmp_path))()
    assert (tmp_path / "here").exists()
    with pytest.raises(slurm.subprocess.CalledProcessError):
        slurm.Task((*python, "raise SystemExit(3)"), str(tmp_path))()


def test_a_dry_run_needs_no_submitit(slurm, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    slurm.main(["linear_regression", "--slices", "2", "--dry-run"])
    assert capsys.readouterr().out.count("-m experiments linear_regression") == 3
    with pytest.raises(ImportError, match="pip install submitit"):
        slurm.main(["linear_regression", "--slices", "2"])


def test_there_is_at_least_one_slice(slurm):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        slurm.commands("linear_regression", 0)
