"""One offline page for a comparison, and an index of experiments.

A page holds its figures itself, in a light and a dark variant, and loads nothing. What
users named is shown as text, whatever it contains.
"""

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote

import numpy as np
from matplotlib.figure import Figure

from jaxcalc.comparison import Comparison, store
from jaxcalc.problems import Problem
from jaxcalc.reports import _files, _frame, _numbers, figures, pictures, prose, tables
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
) -> Path:
    """Write the report of a comparison: a page, its figures and its tables.

    The page is `report.html`. Beside it lie `table.md`, `table.tex`, and each figure
    as a PNG of 200 dots per inch and as a PDF. Each file is written beside its place
    and renamed, so that none is ever half-written.

    Args:
        comparison: What was run.
        folder: Where to; it is made if it does not exist.
        title: The heading.
        problems: Records of problems; those of two parameters get a figure of paths.
        intro: What the comparison is about, in a paragraph of plain text.

    Returns:
        The path of the page.

    Raises:
        OSError: The folder can't be written to.
    """
    folder = Path(folder)
    store.writable(folder)  # known before everything is drawn
    rows = tables.summary(comparison)
    records = {problem.name: problem for problem in problems}
    names = _files.slugs(comparison.problems)
    sections = [
        _section(comparison, problem, name, records.get(problem), rows, folder)
        for problem, name in names.items()
    ]
    _files.write(folder / "table.md", tables.markdown(rows))
    _files.write(folder / "table.tex", tables.latex(rows))
    page = _render(
        "report.html.jinja",
        title=title,
        intro=intro,
        sections=sections,
        protocol=prose.protocol(comparison),
        settings=_settings(comparison.protocol),
        environment=comparison.environment,
        failures=prose.failures(rows, comparison.titles),
        headings=tables.HEADINGS,
        sources=[
            (_frame.title_of(comparison, name), text)
            for name, text in comparison.sources.items()
            if text
        ],
    )
    _files.write(folder / "report.html", page)
    return folder / "report.html"


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
    return environment.get_template(template).render(**values)


def _code(text: str) -> Markup:
    """Text in which what stands between backticks is code; all of it escaped."""
    parts = str(text).split("`")
    marked = (
        Markup("<code>{}</code>").format(part) if k % 2 else escape(part)
        for k, part in enumerate(parts)
    )
    return Markup("").join(marked)


def _section(
    comparison: Comparison,
    problem: str,
    name: str,
    record: Problem | None,
    rows: list[tables.Row],
    folder: Path,
) -> dict[str, Any]:
    """What the page says and shows of one problem; writes its figures."""
    title = _frame.title_of(comparison, problem)
    mine = [row for row in rows if row.problem == problem]

    def picture(kind: str, draw: Callable[..., Figure], alt: str) -> dict[str, Any]:
        """A figure in the page, and the same with its legend in two files."""
        stem = f"{name}-{kind}"
        pictures.save(draw(), folder / stem)
        return {"files": stem, "images": [pictures.image(draw(bare=True), alt)]}

    panels = {
        "files": f"{name}-convergence",
        "images": [
            pictures.image(
                figures.convergence(comparison, problem, x, bare=True),
                f"{title}: loss above the reference against {_frame.XLABEL[x]}, "
                "a line for each optimizer. The table has the numbers.",
            )
            for x in ("steps", "work", "seconds")
        ],
    }
    pictures.save(
        figures.convergence_panels(comparison, problem), folder / panels["files"]
    )
    rates = None
    if _has_rates(comparison, problem):
        rates = picture(
            "rates",
            functools.partial(figures.rate_sensitivity, comparison, problem),
            f"{title}: final loss above the reference against the learning rate.",
        )
    paths = None
    if record is not None and _has_paths(comparison, record):
        paths = picture(
            "paths",
            functools.partial(figures.paths, comparison, record),
            f"{title}: the path of each optimizer over the contours of the loss.",
        )
    return {
        "id": f"problem-{name}",
        "title": title,
        "verdict": prose.verdict(mine),
        "accuracy": _numbers.number(mine[0].accuracy) if mine else "",
        "legend": _legend(comparison, problem),
        "convergence": panels,
        "rates": rates,
        "paths": paths,
        "rows": [tables.cells(row) for row in mine],
    }


def _has_rates(comparison: Comparison, problem: str) -> bool:
    """Whether more than one learning rate was tried: then there is a line."""
    tuning = comparison.select(problem, phase="tuning")
    return any(np.unique(run.rates[np.isfinite(run.rates)]).size > 1 for run in tuning)


def _has_paths(comparison: Comparison, record: Problem) -> bool:
    """Whether a figure of paths can be drawn."""
    return record.size == 2 and any(
        run.path is not None for run in comparison.select(record.name)
    )


def _legend(comparison: Comparison, problem: str) -> list[dict[str, str]]:
    """Name and look of each optimizer that ran on a problem."""
    there = {run.optimizer for run in comparison.select(problem)}
    return [
        {
            "name": name,
            "light": look.light,
            "dark": look.dark,
            "dash": " ".join(str(1.8 * part) for part in look.dash[1]),
        }
        for name, look in _frame.looks_of(comparison).items()
        if name in there
    ]


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
