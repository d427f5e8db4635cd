"""The parts of a page that hold figures: all problems together, and each by itself."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxcalc.comparison import Comparison
from jaxcalc.problems import Problem
from jaxcalc.reports import (
    _frame,
    _numbers,
    captions,
    figures,
    pictures,
    profiles,
    prose,
    tables,
)

ROOM = 1_950_000
"""Bytes of data and pictures that a page holds itself; further pictures are files."""


class Pictures:
    """Draws figures for a page: into it while there is room, or else beside it.

    Args:
        folder: Where the files go.
        room: How many bytes of pictures the page may hold.
    """

    def __init__(self, folder: Path, room: int):
        self._folder, self._left = folder, room

    @property
    def inside(self) -> bool:
        """Whether the next picture goes into the page."""
        return self._left > 0

    def add(
        self, stem: str, whole: Figure, alt: str, bare: Sequence[Callable[[], Figure]]
    ) -> dict[str, Any]:
        """Save a figure as files, and show it.

        Args:
            stem: The files' name without suffix.
            whole: The figure with title and legend.
            alt: What it shows, in words.
            bare: What draws it for a page, perhaps in several panels.

        Returns:
            `files` and `images`, for the template.
        """
        pictures.save(whole, self._folder / stem, as_svg=True)
        if not self.inside:
            return {"files": stem, "images": [pictures.linked(whole, stem, alt)]}
        images = [pictures.image(draw(), alt) for draw in bare]
        self._left -= sum(len(one["source"]) for one in images)
        return {"files": stem, "images": images}


def overall(
    comparison: Comparison, accuracy: float, drawn: Pictures
) -> list[dict[str, Any]]:
    """Figures over all problems with their captions; writes their files.

    Args:
        comparison: What was run.
        accuracy: The target.
        drawn: Where pictures go.

    Returns:
        A record for each figure; none without evaluation runs.
    """
    if not comparison.select(phase="evaluation"):
        return []
    shown = _numbers.number(accuracy)
    found = []
    for kind, title, draw, caption in (
        (
            "performance",
            "Performance profile",
            profiles.performance_profile,
            profiles.performance_caption,
        ),
        ("data", "Data profile", profiles.data_profile, profiles.data_caption),
        ("wins", "Odds of being cheaper", profiles.wins, profiles.wins_caption),
    ):
        call = functools.partial(draw, comparison, accuracy=accuracy)
        alt = f"{title} over all problems, to {shown} of the starting gap."
        found.append(
            drawn.add(f"all-{kind}", call(), alt, [functools.partial(call, bare=True)])
            | {
                "kind": kind,
                "title": title,
                "caption": caption(comparison, accuracy=accuracy),
                "chart": kind != "wins",
            }
        )
    call = functools.partial(profiles.success, comparison)
    alt = "The share of each optimizer's runs that reach each target."
    found.append(
        drawn.add("all-success", call(), alt, [functools.partial(call, bare=True)])
        | {
            "kind": "success",
            "title": "Runs that reach each target",
            "caption": profiles.success_caption(comparison),
            "chart": False,
        }
    )
    return found


def of_problem(
    comparison: Comparison,
    place: int,
    name: str,
    record: Problem | None,
    rows: Sequence[tables.Row],
    drawn: Pictures,
) -> dict[str, Any]:
    """What the page says and shows of one problem; writes its figures.

    Args:
        comparison: What was run.
        place: Which of the comparison's problems.
        name: Its name in files and addresses.
        record: The problem itself; those of two parameters get a figure of paths.
        rows: Rows of all problems.
        drawn: Where pictures go.

    Returns:
        A record for the template.
    """
    problem = comparison.problems[place]
    title = _frame.title_of(comparison, problem)
    mine = [row for row in rows if row.problem == problem]
    names = tables.metrics(mine)
    return {
        "id": f"problem-{name}",
        "place": place,
        "title": title,
        "verdict": prose.verdict(mine),
        "accuracy": _numbers.number(mine[0].accuracy) if mine else "",
        "legend": _legend(comparison, problem),
        "convergence": _convergence(comparison, problem, name, drawn)
        | {"here": captions.convergence(mine)},
        "rates": _rates(comparison, problem, name, drawn),
        "paths": _paths(comparison, name, record, drawn),
        "headings": tables.headings(mine),
        "rows": [
            list(
                zip(tables.cells(row, names), tables.sort_keys(row, names), strict=True)
            )
            for row in mine
        ],
    }


def _convergence(
    comparison: Comparison, problem: str, name: str, drawn: Pictures
) -> dict[str, Any]:
    draw = functools.partial(figures.convergence, comparison, problem, bare=True)
    title = _frame.title_of(comparison, problem)
    return drawn.add(
        f"{name}-convergence",
        figures.convergence_panels(comparison, problem),
        f"{title}: loss above the reference against steps, work and time, a line for "
        "each optimizer. The table has the numbers.",
        [functools.partial(draw, x) for x in ("steps", "work", "seconds")],
    )


def _rates(
    comparison: Comparison, problem: str, name: str, drawn: Pictures
) -> dict[str, Any] | None:
    if not _has_rates(comparison, problem):
        return None
    draw = functools.partial(figures.rate_sensitivity, comparison, problem)
    title = _frame.title_of(comparison, problem)
    alt = f"{title}: final loss above the reference against the learning rate."
    bare = functools.partial(draw, bare=True)
    return drawn.add(f"{name}-rates", draw(), alt, [bare]) | {
        "here": captions.rates(comparison, problem)
    }


def _paths(
    comparison: Comparison, name: str, record: Problem | None, drawn: Pictures
) -> dict[str, Any] | None:
    if record is None or not _has_paths(comparison, record):
        return None
    draw = functools.partial(figures.paths, comparison, record)
    title = _frame.title_of(comparison, record.name)
    alt = f"{title}: the path of each optimizer over the contours of the loss."
    bare = functools.partial(draw, bare=True)
    return drawn.add(f"{name}-paths", draw(), alt, [bare]) | {
        "here": captions.paths(comparison, record.name)
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


_MARKS = {
    "o": "M13 6a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "s": "M13.5 2.5h7v7h-7z",
    "^": "M17 1.5l4.5 8h-9z",
    "v": "M17 10.5l4.5-8h-9z",
    "D": "M17 1l5 5l-5 5l-5-5z",
    "d": "M17 1l3.2 5l-3.2 5l-3.2-5z",
    "<": "M12.5 6l8-4.5v9z",
    ">": "M21.5 6l-8-4.5v9z",
    "P": "M15.6 2h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
    "X": "M14 1.5l3 3l3-3l1.5 1.5l-3 3l3 3l-1.5 1.5l-3-3l-3 3l-1.5-1.5l3-3l-3-3z",
    "p": "M17 1.3l4.7 3.4l-1.8 5.6h-5.8l-1.8-5.6z",
    "h": "M17 1.2l4.2 2.4v4.8l-4.2 2.4l-4.2-2.4v-4.8z",
}
"""Markers of lines as drawings around (17, 6), by matplotlib's letters."""


def looks(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Name and look of each optimizer, for legends.

    Args:
        comparison: What was run.

    Returns:
        Place, colours, dashes and marker, by name.
    """
    return {
        name: {
            "name": name,
            "place": place,
            "mark": _MARKS[look.marker],
            "light": look.light,
            "dark": look.dark,
            "dash": " ".join(str(1.8 * part) for part in look.dash[1]),
        }
        for place, (name, look) in enumerate(_frame.looks_of(comparison).items())
    }


def _legend(comparison: Comparison, problem: str) -> list[dict[str, Any]]:
    there = {run.optimizer for run in comparison.select(problem)}
    return [one for name, one in looks(comparison).items() if name in there]
