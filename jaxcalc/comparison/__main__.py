"""What to do with stores, from a shell: python -m jaxcalc.comparison --help."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from jaxcalc.comparison import manage
from jaxcalc.minimization import Status

_SHORT = 12  # digits of a digest that people see


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What was typed; by default that of this process.

    Returns:
        0 if all is well, 1 if something is damaged, 2 if the command makes no sense.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxcalc.comparison",
        description="Look after stores, the folders that compare(store=...) fills.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run: Any, name: str, says: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says, description=says)
        added.add_argument("store", metavar="STORE", help="a folder")
        added.set_defaults(run=run)
        return added

    command(_list, "list", "List what a store holds.")
    shown = command(_show, "show", "Show one record: its runs, and what made them.")
    shown.add_argument("digest", metavar="DIGEST", help="first digits of its digest")
    checked = command(
        _verify, "verify", "Read everything; move what is damaged to quarantine/."
    )
    checked.add_argument("--keep", action="store_true", help="move nothing")
    merged = command(_merge, "merge", "Copy into a store what others hold.")
    merged.add_argument("others", metavar="OTHER", nargs="+", help="a store")
    deleted = command(_delete, "delete", "Delete what matches all that is given.")
    deleted.add_argument("digests", metavar="DIGEST", nargs="*", help="first digits")
    deleted.add_argument("--problem", metavar="NAME")
    deleted.add_argument("--optimizer", metavar="NAME")
    deleted.add_argument("--older-than", metavar="DAYS", type=float)
    deleted.add_argument("--dry-run", action="store_true", help="only say what")
    return parser


def _list(options: argparse.Namespace) -> int:
    entries, damaged = manage.scan(options.store)
    _print_entries(entries)
    runs, size = sum(e.runs for e in entries), sum(e.bytes for e in entries)
    parts = manage.unfinished(options.store)
    print(
        f"{_count(len(entries), 'record')}, {_count(runs, 'run')}, {_size(size)}"
        + (f"; {_count(parts, 'unfinished part')}" if parts else "")
    )
    return _print_damaged(damaged)


def _show(options: argparse.Namespace) -> int:
    entry, runs = manage.show(options.store, options.digest)
    facts = {
        "digest": entry.digest,
        "problem": entry.problem,
        "optimizer": entry.optimizer,
        "phase": entry.phase,
        "file": f"{entry.file} ({_size(entry.bytes)})",
        "dtype": runs.value.dtype.name,
        "parameters": runs.params.shape[1],
        **{name.replace("at", "made"): text for name, text in entry.created.items()},
    }
    _print_rows([(name, str(fact)) for name, fact in facts.items()])
    print()
    settings = {"rate": runs.rates, **runs.settings}
    header = ("seed", *settings, "status", "steps", "first value", "last value")
    rows = [
        (
            str(seed),
            *(f"{values[lane]:.4g}" for values in settings.values()),
            Status(int(runs.status[lane])).name.lower(),
            str(runs.steps[lane]),
            f"{runs.value[0, lane]:.6g}",
            f"{runs.final_value[lane]:.6g}",
        )
        for lane, seed in enumerate(runs.seeds)
    ]
    _print_rows([header, *rows])
    return 0


def _verify(options: argparse.Namespace) -> int:
    damaged = manage.verify(options.store, keep=options.keep)
    sound = len(manage.scan(options.store)[0])
    print(f"{_count(sound, 'sound record')}, {_count(len(damaged), 'damaged file')}")
    return _print_damaged(damaged)


def _merge(options: argparse.Namespace) -> int:
    done = manage.merge(options.store, *options.others)
    print(
        f"{_count(len(done.copied), 'record')} copied, {len(done.known)} known already"
        + (f"; {_count(len(done.parts), 'unfinished part')} copied" * bool(done.parts))
    )
    return _print_damaged(done.damaged)


def _delete(options: argparse.Namespace) -> int:
    gone = manage.delete(
        options.store,
        digests=options.digests,
        problem=options.problem,
        optimizer=options.optimizer,
        older_than=options.older_than,
        pretend=options.dry_run,
    )
    _print_entries(gone)
    done = "would be deleted" if options.dry_run else "deleted"
    print(f"{_count(len(gone), 'record')} {done}, {_size(sum(e.bytes for e in gone))}")
    return 0


def _print_entries(entries: list[manage.Entry]) -> None:
    if not entries:
        return
    header = ("digest", "problem", "optimizer", "phase", "runs", "steps", "size")
    rows = [
        (
            entry.digest[:_SHORT],
            entry.problem,
            entry.optimizer,
            entry.phase,
            str(entry.runs),
            str(entry.steps),
            _size(entry.bytes),
            entry.created["at"][:16].replace("T", " "),
            f"jax {entry.created['jax']}",
            entry.created["device"],
        )
        for entry in entries
    ]
    _print_rows([(*header, "made", "with", "on"), *rows])


def _print_damaged(damaged: list[manage.Damage]) -> int:
    for damage in damaged:
        where = f"; moved to {damage.moved}" if damage.moved else ""
        print(f"damaged: {damage.file}: {damage.reason}{where}", file=sys.stderr)
    return 1 if damaged else 0


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    """Columns side by side; those of numbers to the right."""
    columns = list(zip(*rows, strict=True))
    for row in rows:
        cells = []
        for cell, column in zip(row, columns, strict=True):
            width = max(map(len, column))
            numeric = all(_is_number(text) for text in column[1:])
            cells.append(cell.rjust(width) if numeric else cell.ljust(width))
        print("  ".join(cells).rstrip())


def _is_number(text: str) -> bool:
    try:
        float(text.partition(" ")[0])
    except ValueError:
        return False
    return True


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _size(count: int) -> str:
    size, units = float(count), ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"


if __name__ == "__main__":
    sys.exit(main())
