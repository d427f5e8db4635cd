"""Run an experiment in slices on a Slurm cluster, whose nodes share a file system.

    pip install submitit
    python scripts/slurm.py optimizer_study --slices 16 --minutes 60 --partition cpu
    python scripts/slurm.py optimizer_study --slices 16 --dry-run
    python scripts/slurm.py optimizer_study --slices 2 --cluster local   # without Slurm

Each slice is a task of one job array: it runs its share of the work and puts it into
the experiment's store. When all have ended, however they ended, a last job runs the
whole experiment: it finds what the slices did, does what is missing, and writes the
report. A slice that is preempted or out of time is put into the queue again, and goes
on from the store. Options of the experiment follow behind `--`:

    python scripts/slurm.py optimizer_study --slices 16 -- --max-steps 2000
"""

import argparse
import importlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Task:
    """A command to run on some node, which may be interrupted and begun again.

    Attributes:
        command: Program and arguments.
        folder: Where to run it.
    """

    command: tuple[str, ...]
    folder: str

    def __call__(self) -> None:
        """Run the command; an error if it fails."""
        subprocess.run(self.command, cwd=self.folder, check=True)

    def checkpoint(self) -> Any:
        """What to put into the queue when time is up: the same again.

        Returns:
            A submission for submitit.
        """
        return _submitit().helpers.DelayedSubmission(self)


def commands(
    experiment: str, slices: int, options: Sequence[str] = ()
) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """What the slices run, and what runs after them.

    Args:
        experiment: Its name, as in `python -m experiments --list`.
        slices: How many.
        options: The experiment's own options.

    Returns:
        A command for each slice, and the command that gathers.

    Raises:
        ValueError: There is not even one slice.
    """
    if slices < 1:
        raise ValueError(f"`slices` must be at least 1, got {slices}")
    whole = (sys.executable, "-m", "experiments", experiment, *options)
    parts = [(*whole, "--slice", f"{i}/{slices}") for i in range(1, slices + 1)]
    return parts, whole


def submit(
    parts: Sequence[tuple[str, ...]],
    whole: tuple[str, ...],
    *,
    logs: Path,
    cluster: str | None = None,
    **parameters: Any,
) -> list[Any]:
    """Put all slices into the queue, and what gathers behind them.

    Args:
        parts: A command for each slice.
        whole: The command that gathers.
        logs: Where submitit writes what the jobs say; on the shared file system.
        cluster: `"slurm"`, `"local"` for processes of this machine, or None for Slurm
            where there is one.
        **parameters: Of `submitit.AutoExecutor.update_parameters`.

    Returns:
        The jobs, the gathering one last.
    """
    submitit = _submitit()
    cluster = cluster or submitit.AutoExecutor.which()

    def executor(**more: Any) -> Any:
        made = submitit.AutoExecutor(folder=logs, cluster=cluster)
        made.update_parameters(**parameters, **more)
        return made

    tasks = [Task(command, str(ROOT)) for command in parts]
    jobs = executor(name="slice").submit_array(tasks)
    if cluster == "slurm":
        array = jobs[0].job_id.partition("_")[0]
        # Not afterok: what a slice left undone, the last job does.
        last = executor(name="gather", slurm_dependency=f"afterany:{array}")
    else:
        for job in jobs:
            job.wait()
        last = executor(name="gather")
    return [*jobs, last.submit(Task(whole, str(ROOT)))]


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line, and submit.

    Args:
        words: The command line; by default that of this process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("experiment", help="its name, as in python -m experiments --list")
    add("--slices", type=int, required=True, help="how many tasks")
    add("--minutes", type=int, default=60, help="time limit of a task")
    add("--cpus", type=int, default=2, help="cores of a task")
    add("--gpus", type=int, default=0, help="GPUs of a task")
    add("--memory", type=int, default=8, help="memory of a task, GB")
    add("--partition", help="of the cluster")
    add("--logs", type=Path, default=ROOT / "results" / "slurm", help="where to")
    add("--cluster", choices=("slurm", "local"), help="by default what there is")
    add("--dry-run", action="store_true", help="print the commands, submit nothing")
    words = list(sys.argv[1:] if words is None else words)
    end = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:end])
    parts, whole = commands(given.experiment, given.slices, words[end + 1 :])
    if given.dry_run:
        print(*(" ".join(command) for command in (*parts, whole)), sep="\n")
        return
    parameters = {
        "timeout_min": given.minutes,
        "cpus_per_task": given.cpus,
        "mem_gb": given.memory,
    }
    if given.gpus:  # clusters without any refuse even none
        parameters["gpus_per_node"] = given.gpus
    if given.partition:
        parameters["slurm_partition"] = given.partition
    jobs = submit(parts, whole, logs=given.logs, cluster=given.cluster, **parameters)
    print(f"Submitted {', '.join(job.job_id for job in jobs)}; logs in {given.logs}")
    if given.cluster == "local":
        jobs[-1].result()


def _submitit() -> Any:
    try:
        return importlib.import_module("submitit")
    except ImportError as error:
        raise ImportError(
            "jobs are submitted by submitit: pip install submitit"
        ) from error


if __name__ == "__main__":
    main()
