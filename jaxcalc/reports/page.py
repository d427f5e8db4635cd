"""One offline page for a comparison, and an index of experiments.

A page is whole without scripts: sentences, tables, and pictures that follow the
reader's theme. Scripts, its own and Plotly's beside it, replace pictures by figures to
zoom and to recompute. Nothing is fetched from a network, which the page forbids itself.
What users named is shown as text, whatever it contains.
"""

import os
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote

from jaxcalc.comparison import Comparison, store
from jaxcalc.problems import Problem
from jaxcalc.reports import (
    _files,
    _frame,
    failures,
    interactive,
    ledger,
    methods,
    overview,
    sections,
    tables,
)
from jaxcalc.reports import (
    bundle as script,
)
from jaxcalc.reports._files import slug

try:
    import jinja2
    from markupsafe import Markup, escape
except ImportError as missing:
    raise ImportError(
        "pages need jinja2, which is not installed: pip install 'jaxcalc[reports]'"
    ) from missing

__all__ = ["Found", "slug", "write", "write_index"]


@runtime_checkable
class Found(Protocol):
    """What an experiment hands over: a sentence, a picture, and perhaps a page."""

    @property
    def sentence(self) -> str:
        """What was found."""
        ...

    @property
    def picture(self) -> Path:
        """The PNG that shows it."""
        ...

    @property
    def page(self) -> Path | None:
        """A report with more."""
        ...


def write(
    comparison: Comparison,
    folder: str | Path,
    *,
    title: str,
    problems: Iterable[Problem] = (),
    intro: str = "",
    bundle: str | Path | None = None,
) -> Path:
    """Write the report of a comparison: a page, its figures and its tables.

    The page is `report.html`. Beside it lie `table.md`, `table.tex`, each figure as a
    PNG of 200 dots per inch, as SVG and as PDF, and the script that draws interactive
    figures. Each file is written beside its place and renamed, so that none is ever
    half-written. What `Comparison.save` wrote to the same folder is linked.

    Args:
        comparison: What was run; it may be empty.
        folder: Where to; it is made if it does not exist.
        title: The heading.
        problems: Records of problems; those of two parameters get a figure of paths.
        intro: What the comparison is about, in a paragraph of plain text.
        bundle: Where Plotly's script is or is to be (5 MB), for several reports to
            share it; `plotly.min.js` in the folder by default. Without it, and without
            the package plotly, figures are pictures.

    Returns:
        The path of the page.

    Raises:
        OSError: The folder can't be written to.
    """
    folder = Path(folder)
    store.writable(folder)  # known before everything is drawn
    rows = tables.summary(comparison)
    records = {problem.name: problem for problem in problems}
    accuracy = overview.usual_accuracy(comparison)
    data = interactive.dumps(interactive.payload(comparison, accuracy))
    drawn = sections.Pictures(folder, sections.ROOM - len(data))
    overall = sections.overall(comparison, accuracy, drawn)
    parts = [
        sections.of_problem(comparison, k, name, records.get(problem), rows, drawn)
        for k, (problem, name) in enumerate(_files.slugs(comparison.problems).items())
    ]
    _files.write(folder / "table.md", tables.markdown(rows))
    _files.write(folder / "table.tex", tables.latex(rows))
    address, why_still = script.place(folder, bundle)
    page = _render(
        "report.html.jinja",
        title=title,
        intro=intro,
        summary=overview.summary(comparison),
        unfinished=_unfinished(comparison),
        overall=overall,
        sections=parts,
        looks=list(sections.looks(comparison).values()),
        inside=drawn.inside,
        failures=failures.groups(comparison),
        tuning=failures.tuning(comparison),
        ledger=ledger.table(comparison),
        alarms=ledger.alarms(comparison),
        totals=ledger.totals(comparison),
        protocol=methods.paragraph(comparison),
        spaces=methods.spaces(comparison),
        settings=_settings(comparison.protocol),
        environment=comparison.environment,
        thinned=interactive.sentence(comparison),
        data=Markup(data),
        bundle=address,
        why_still=why_still,
        files_beside=[name for name in _DATA if (folder / name).is_file()],
        sources=[
            (_frame.title_of(comparison, name), text)
            for name, text in comparison.sources.items()
            if text
        ],
    )
    _files.write(folder / "report.html", page)
    return folder / "report.html"


_DATA = ("runs.parquet", "table.parquet", "timings.parquet", "protocol.json")


def _unfinished(comparison: Comparison) -> list[tuple[str, str]]:
    """What is missing: problems, and who has not run there."""
    found: dict[str, list[str]] = {}
    for problem, optimizer, phase in comparison.unfinished:
        title = _frame.title_of(comparison, problem)
        found.setdefault(title, []).append(f"{optimizer} ({phase})")
    return [(title, ", ".join(names)) for title, names in found.items()]


def write_index(
    findings: Mapping[str, Found],
    folder: str | Path,
    *,
    title: str,
    questions: Mapping[str, str] | None = None,
    intro: str = "",
) -> Path:
    """Write `index.html`: for each experiment its question, picture and sentence.

    Args:
        findings: What each experiment found, by the experiment's name, in order.
        folder: Where to; pictures and pages are linked relative to it.
        title: The heading.
        questions: The question that each experiment asks, by name.
        intro: A paragraph of plain text.

    Returns:
        The path of the index.

    Raises:
        OSError: The folder can't be written to, or a picture can't be read.
    """
    folder = Path(folder)
    store.writable(folder)
    entries = [
        {
            "name": name.replace("_", " "),
            "id": anchor,
            "question": (questions or {}).get(name, ""),
            "sentence": findings[name].sentence,
            "picture": _relative(findings[name].picture, folder),
            "size": _png_size(findings[name].picture),
            "page": _relative(findings[name].page, folder),
        }
        for name, anchor in _files.slugs(findings).items()
    ]
    page = _render("index.html.jinja", title=title, intro=intro, entries=entries)
    _files.write(folder / "index.html", page)
    return folder / "index.html"


def _render(template: str, **values: Any) -> str:
    """Fill a template; everything that is filled in is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    style = _asset("report.css")
    scripts = {"theme": _asset("theme.js"), "script": _whole_script()}
    policy = _policy(scripts.values())
    trusted = {name: Markup(text) for name, text in scripts.items()}
    return environment.get_template(template).render(
        **values, **trusted, style=Markup(style), policy=policy
    )


_SCRIPTS = ("numbers", "profiles", "state", "traces", "charts", "tables", "main")
"""Parts of the page's own script, in the order in which they need one another."""


def _asset(name: str) -> str:
    return (Path(__file__).parent / "static" / name).read_text(encoding="utf-8")


def _whole_script() -> str:
    """The page's own script: its parts in one scope that nobody else sees."""
    parts = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


def _policy(scripts: Iterable[str]) -> str:
    """What the page may load: its own scripts, files beside it, and nothing else."""
    hashes = (b64encode(sha256(text.encode()).digest()).decode() for text in scripts)
    own = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {own} 'self' file:; "
        "style-src 'unsafe-inline'; img-src 'self' file: data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _code(text: str) -> Markup:
    """Text in which what stands between backticks is code; all of it escaped."""
    parts = str(text).split("`")
    marked = (
        Markup("<code>{}</code>").format(part) if k % 2 else escape(part)
        for k, part in enumerate(parts)
    )
    return Markup("").join(marked)


def _settings(protocol: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The protocol's entries as text."""
    return [(str(key).replace("_", " "), _shown(v)) for key, v in protocol.items()]


def _shown(value: Any) -> str:
    """A setting for people: numbers are short, and so are long lists."""
    if value is None:
        return "by default"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_shown(v)}" for key, v in value.items())
    if isinstance(value, Iterable):
        parts = [_shown(part) for part in value]
        return ", ".join(parts if len(parts) <= 40 else [*parts[:39], "…", parts[-1]])
    return str(value)


def _relative(path: Path | None, folder: Path) -> str | None:
    """A link from a page in `folder` to a file."""
    if path is None:
        return None
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def _png_size(path: Path) -> tuple[int, int]:
    """Width and height to show a PNG of 200 dots per inch at, a little enlarged."""
    with Path(path).open("rb") as file:
        head = file.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise OSError(f"'{path}' is not a PNG: a finding's picture must be one")
    width, height = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
    return round(width * 0.75), round(height * 0.75)
