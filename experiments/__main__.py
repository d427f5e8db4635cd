"""Run experiments: `python -m experiments [name ...]`.

Without a name all of them run. With one name, what follows are that experiment's own
options: `python -m experiments linear_regression --help`. How comparisons are run can
be said of any experiment, see the options at the end.
"""

import argparse
import atexit
import importlib
import json
import pkgutil
import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

import experiments
from experiments import running
from experiments.finding import Finding
from jaxcalc import _checks, sharding

_HELPERS = {"__main__", "benchmarks", "finding", "running"}
_WAYS = """
how comparisons are run, of any experiment:
  --no-resume            compute everything anew, and keep no runs; otherwise a
                         comparison goes on from where it stopped
  --time-budget SECONDS  begin no more after so many, and report what is there
  --slice I/N            do the I-th of N shares of the work, I from 1 to N, on any
                         machine that sees the results folder; afterwards the same
                         command without it gathers them all
  --distributed          be one of the processes that Slurm, Open MPI, Kubernetes or
                         a TPU pod has started, or elsewhere one of those named by
    --coordinator HOST:PORT --processes N --process-index I
"""


def names() -> list[str]:
    """Names of all experiments: the modules of this folder."""
    found = [module.name for module in pkgutil.iter_modules(experiments.__path__)]
    return sorted(set(found) - _HELPERS)


def question(module: ModuleType) -> str:
    """What an experiment asks: the first line of its docstring."""
    return (module.__doc__ or "").strip().split("\n")[0]


def main(
    names_: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    out: Path = Path("results"),
    list: bool = False,  # noqa: A002
    tiny: bool = False,
) -> None:
    """Run experiments, and write index.html with a picture and a sentence for each.

    Args:
        names_: Which experiments to run; all, if none is named. With a single name,
            options that follow are the experiment's own (try: NAME --help).
        out: Where to write.
        list: List the experiments, and run nothing.
        tiny: Run the smallest version of each, to see that it works.
    """
    chosen = [_checks.known("experiment", name, names()) for name in names_] or names()
    if list:
        _print_list(chosen)
        return
    begin = time.perf_counter()
    for index, name in enumerate(chosen, 1):
        module = importlib.import_module(f"experiments.{name}")
        print(f"[{index}/{len(chosen)}] {name}: {question(module)}", flush=True)
        options = module.TINY if tiny else {}
        try:
            finding = module.main(out=out / name, **options)
        except running.NothingToWrite:
            continue
        _keep(out, name, finding)
    if running.way.share is not None:
        print("This slice is done. Without --slice the same command gathers them all.")
        return
    if not sharding.is_main():
        return
    _gather(out)
    print(f"Done in {time.perf_counter() - begin:.0f} s. Look at {out / 'index.html'}")


def _print_list(chosen: list[str]) -> None:
    width = max(map(len, chosen))
    for name in chosen:
        module = importlib.import_module(f"experiments.{name}")
        print(f"{name:{width}}  {question(module)}")


def _run_one(name: str, options: list[str]) -> None:
    """Run one experiment with its own options."""
    module = importlib.import_module(f"experiments.{name}")
    prog = f"python -m experiments {name}"
    try:
        finding: Finding = tyro.cli(module.main, args=options, prog=prog)
    except running.NothingToWrite:
        print(f"{name}: this process has done its part.")
        return
    print(finding.sentence)
    folder = finding.picture.parent
    if folder.name != name:  # a folder of its own, beside no others
        print(f"Look at {finding.page or finding.picture}")
        return
    _keep(folder.parent, name, finding)
    _gather(folder.parent)
    print(f"Look at {folder.parent / 'index.html'}")


def _keep(out: Path, name: str, finding: Finding) -> None:
    """Remember a finding, so that the index holds it whatever is run next."""
    from jaxcalc.comparison.store import write_atomically

    held: dict[str, Any] = {
        "sentence": finding.sentence,
        "picture": finding.picture.name,
        "page": finding.page and finding.page.name,
    }
    text = json.dumps(held, indent=1, ensure_ascii=False) + "\n"
    write_atomically(out / name / "finding.json", lambda p: p.write_text(text))


def _gather(out: Path) -> None:
    """Write the index of everything that was found so far."""
    from jaxcalc.reports import page

    findings, questions = {}, {}
    for name in names():
        file = out / name / "finding.json"
        if not file.exists():
            continue
        held = json.loads(file.read_text())
        findings[name] = Finding(
            sentence=held["sentence"],
            picture=out / name / held["picture"],
            page=held["page"] and out / name / held["page"],
        )
        questions[name] = question(importlib.import_module(f"experiments.{name}"))
    page.write_index(findings, out, title="jaxcalc: experiments", questions=questions)


def _way(words: list[str]) -> list[str]:
    """Take from the command line how comparisons are run; return the rest of it."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments", add_help=False, allow_abbrev=False
    )
    add = parser.add_argument
    add("--no-resume", action="store_true")
    add("--time-budget", type=float)
    add("--slice")
    add("--distributed", action="store_true")
    add("--coordinator")
    add("--processes", type=int)
    add("--process-index", type=int)
    given, rest = parser.parse_known_args(words)
    who = (given.coordinator, given.processes, given.process_index)
    if given.distributed:
        sharding.start(*who)
    elif any(part is not None for part in who):
        raise ValueError(
            "--coordinator, --processes and --process-index belong to --distributed"
        )
    running.way = running.Way(
        share=None if given.slice is None else _share(given.slice),
        resume=not given.no_resume,
        time_budget=given.time_budget,
        distributed=given.distributed,
    )
    return rest


def _share(text: str) -> tuple[int, int]:
    """A slice such as 2/4 as (index, count), counted from zero."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(
            f"--slice must be I/N with I from 1 to N, such as 2/4, got {text!r}"
        )
    return number - 1, count


def _command_line() -> None:
    try:
        words = _way(sys.argv[1:])
        own_options = len(words) > 1 and words[0] in names() and words[1][:1] == "-"
        shared = any(word.split("=")[0] in ("--tiny", "--list") for word in words)
        if own_options and not shared:
            _run_one(words[0], words[1:])
        else:
            if {"-h", "--help"} & set(words):
                atexit.register(print, _WAYS)  # behind what is printed now
            prog = "python -m experiments"
            tyro.cli(main, args=words, prog=prog, description=__doc__)
    except KeyboardInterrupt:
        sys.exit("\nStopped. What was finished is kept; run it again to go on.")
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _command_line()
