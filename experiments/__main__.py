"""Run experiments: `python -m experiments [name ...]`.

Without a name all of them run. With one name, what follows are that experiment's own
options: `python -m experiments linear_regression --help`.
"""

import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

import experiments
from experiments.finding import Finding
from jaxcalc import _checks

_HELPERS = {"__main__", "benchmarks", "finding"}


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
        _keep(out, name, module.main(out=out / name, **options))
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
    finding: Finding = tyro.cli(
        module.main, args=options, prog=f"python -m experiments {name}"
    )
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


def _command_line() -> None:
    words = sys.argv[1:]
    try:
        own_options = len(words) > 1 and words[0] in names() and words[1][:1] == "-"
        shared = any(word.split("=")[0] in ("--tiny", "--list") for word in words)
        if own_options and not shared:
            _run_one(words[0], words[1:])
        else:
            tyro.cli(main, prog="python -m experiments", description=__doc__)
    except KeyboardInterrupt:
        sys.exit("\nStopped. What was finished is kept; run it again to go on.")
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _command_line()
