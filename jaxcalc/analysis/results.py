"""The answer to `study`: a table for people, JSON for programs."""

import dataclasses
import json
import math
from enum import Enum
from typing import Any

import numpy as np

from jaxcalc.analysis.records import (
    Convexity,
    CriticalPoint,
    Evidence,
    Extreme,
    Inflection,
    Piece,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What a function does on an interval; `print` shows it as a table.

    `jaxcalc.reports.studies.draw(study)` draws it.

    Attributes:
        a: Left end.
        b: Right end.
        critical_points: Zeros of f', points without f', and the ends; left to right.
        inflections: Where f'' changes its sign.
        monotone: Where f increases, decreases, or is constant.
        curvature: Where f is convex, concave, or straight.
        convex: Whether f is convex on the whole interval.
        concave: Whether f is concave on the whole interval.
        minimum: The smallest value; None where f has no values.
        maximum: The largest value.
        proved: Whether it is proved that there is no other critical point.
        undecided: Intervals in which nothing could be proved: low, high.
        unknown: Primitives that have no interval rule, for which nothing was proved.
        notes: What else should be known, in sentences.
        curve: Samples for drawing, shape `(4, n)`: x, f, f' and f''.
    """

    a: float
    b: float
    critical_points: tuple[CriticalPoint, ...]
    inflections: tuple[Inflection, ...]
    monotone: tuple[Piece, ...]
    curvature: tuple[Piece, ...]
    convex: Convexity
    concave: Convexity
    minimum: Extreme | None
    maximum: Extreme | None
    proved: bool
    undecided: tuple[tuple[float, float], ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    curve: np.ndarray = dataclasses.field(repr=False, compare=False)

    @property
    def minima(self) -> tuple[float, ...]:
        """Where the local minima inside of the interval are."""
        return tuple(p.x for p in self.critical_points if "minimum" in p.kind.value)

    @property
    def maxima(self) -> tuple[float, ...]:
        """Where the local maxima inside of the interval are."""
        return tuple(p.x for p in self.critical_points if "maximum" in p.kind.value)

    def rows(self) -> list[tuple[str, ...]]:
        """The table of critical points and inflections, as text."""
        found = [
            (
                p.x,
                (
                    _number(p.x),
                    f"{p.error:.0e}",
                    *(map(_number, (p.value, p.slope, p.curvature))),
                    _kind(p),
                    p.evidence.value,
                ),
            )
            for p in self.critical_points
        ]
        found += [
            (
                i.x,
                (
                    _number(i.x),
                    f"{i.error:.0e}",
                    *map(_number, (i.value, i.slope, 0.0)),
                    f"inflection, {i.change}",
                    i.evidence.value,
                ),
            )
            for i in self.inflections
        ]
        return [row for _, row in sorted(found, key=lambda pair: pair[0])]

    def __str__(self) -> str:
        sure = "all critical points proved" if self.proved else "not all is proved"
        lines = [f"f on [{self.a:g}, {self.b:g}]: {sure}"]
        lines += _aligned([HEAD, *self.rows()])
        lines += self.sentences()
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """The table in Markdown, with the pieces below it."""
        lines = ["| " + " | ".join(HEAD) + " |", "|--:|--:|--:|--:|--:|:--|:--|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows()]
        return "\n".join([*lines, "", *(f"* {s}" for s in self.sentences())])

    def sentences(self) -> list[str]:
        """Pieces, convexity, extremes and notes, in words."""
        said = []
        for pieces in (self.monotone, self.curvature):
            for what in dict.fromkeys(piece.what for piece in pieces):
                parts = [p for p in pieces if p.what == what]
                where = ", ".join(f"[{_short(p.low)}, {_short(p.high)}]" for p in parts)
                if (what, where) not in said:
                    said.append((what, where))
        lines = [f"{what}: {where}" for what, where in said]
        lines += [
            _verdict("convex", self.convex),
            _verdict("concave", self.concave),
            _extreme("minimum", self.minimum),
            _extreme("maximum", self.maximum),
        ]
        return [*lines, *self.notes]

    def to_json(self) -> str:
        """Everything but the curve as a JSON object; NaN and infinities as strings."""
        return json.dumps(
            {
                field.name: _plain(getattr(self, field.name))
                for field in dataclasses.fields(self)
                if field.name != "curve"
            }
        )


HEAD = ("x", "error", "f", "f'", "f''", "kind", "evidence")


def _kind(point: CriticalPoint) -> str:
    words = [point.kind.value]
    if point.nature and point.nature not in point.kind.value:
        words.append(point.nature)
    if point.kind.value == "flat" and point.high - point.low > 2 * point.error:
        words.append(f"from {_short(point.low)} to {_short(point.high)}")
    if point.order is not None and point.order > 2:
        words.append(f"by the {point.order}th derivative".replace("3th", "3rd"))
    if point.global_minimum:
        words.append("global minimum")
    if point.global_maximum:
        words.append("global maximum")
    return ", ".join(words)


def _number(value: float) -> str:
    return f"{value + 0.0:.10g}"


def _short(value: float) -> str:
    return f"{value + 0.0:.6g}"


def _verdict(word: str, found: Convexity) -> str:
    if found.holds is None:
        return f"{word} on the whole interval: cannot tell, {found.reason}"
    if found.holds:
        return f"{word} on the whole interval: yes, {found.evidence.value}"
    where = f"x = {_short(found.x)}"
    grade = found.evidence.value
    return f"{word} on the whole interval: no, see {where}: {found.reason} ({grade})"


def _extreme(word: str, found: Extreme | None) -> str:
    if found is None:
        return f"global {word}: none, f has no values"
    if math.isinf(found.value):
        sign = "-" if found.value < 0 else ""
        return f"global {word}: none, f runs to {sign}infinity at {_short(found.x)}"
    value, x = _number(found.value), _number(found.x)
    if found.evidence is Evidence.UNRESOLVED:
        bound = "at most" if word == "minimum" else "at least"
        return f"global {word}: {bound} {value}, see x = {x} (unresolved)"
    if not found.attained:
        return f"global {word}: none, f comes close to {value} at {x}"
    return f"global {word}: {value} at x = {x} ({found.evidence.value})"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = len(HEAD) - 2
    return [
        "  ".join(
            cell.rjust(width) if k < numbers else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
