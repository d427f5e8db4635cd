"""What `critical_points`, `classify` and `convexity` hand back."""

import dataclasses
import json
import math
from enum import Enum
from typing import Any

import jax
import numpy as np

from jaxcalc.analysis.records import Evidence


class PointKind(Enum):
    """What a point is to a function of several variables."""

    MINIMUM = "local minimum"
    MAXIMUM = "local maximum"
    SADDLE = "saddle"
    DEGENERATE = "degenerate"
    FLAT = "flat"
    NOT_CRITICAL = "not critical"
    UNDECIDED = "undecided"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification:
    """What a point is, and by which numbers.

    Attributes:
        x: The point, in the structure that was given, as NumPy arrays.
        value: The function there.
        gradient_norm: Euclidean norm of the gradient there.
        eigenvalues: Of the Hessian, in rising order.
        kind: What it is. Degenerate: the Hessian is singular, as far as rounding lets
            it be told. Flat: critical points go on without a gap.
        index: How many eigenvalues are below zero; None where it is not certain.
        evidence: How the kind is known.
        error: How far `x` may be from the critical point, in the Euclidean norm.
        note: What else is known of it, in words.
    """

    x: Any
    value: float
    gradient_norm: float
    eigenvalues: tuple[float, ...]
    kind: PointKind
    index: int | None
    evidence: Evidence
    error: float
    note: str = ""

    def __str__(self) -> str:
        values = _spectrum(self.eigenvalues, 6)
        lines = [
            f"{_named(self)} ({self.evidence.value}) at {place(self.x)}",
            f"value {self.value:.10g}, gradient norm {self.gradient_norm:.1e}, "
            f"known to {self.error:.1e}",
            f"eigenvalues of the Hessian: {values}",
        ]
        return "\n".join([*lines, *([self.note] if self.note else [])])

    def to_json(self) -> str:
        """Everything as a JSON object; NaN and infinities as strings."""
        return json.dumps(plain(self))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxPoint(Classification):
    """A critical point in a box.

    Attributes:
        boundary: Whether it lies on the boundary of the box, as far as rounding lets it
            be told.
    """

    boundary: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Region:
    """A part of the box in which nothing could be proved.

    Attributes:
        low: Its lower corner, flat.
        high: Its upper corner, flat.
        boxes: How many boxes it was divided into.
        share: Their volume as a share of that of the whole box.
        smooth: Whether the function is smooth all over them.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    boxes: int
    share: float
    smooth: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class CriticalPoints:
    """The critical points of a function in a box; `print` shows them as a table.

    Attributes:
        lower: Lower corner of the box.
        upper: Upper corner.
        points: By rising value.
        evidence: How it is known that there is no other. Proved: by interval
            arithmetic. Numerical: further starts of Newton's method found none.
            Unresolved: there may be others, in the regions if there are any.
        regions: Where nothing could be proved.
        smooth: Whether the function was seen to be smooth all over the box; False also
            where it could not be told. Kinks and jumps are not critical points.
        starts: From how many starts Newton's method ran.
        boxes: How many boxes interval arithmetic looked at.
        unknown: Primitives without an interval rule, for which nothing was proved.
        notes: What else should be known, in sentences.
    """

    lower: Any
    upper: Any
    points: tuple[BoxPoint, ...]
    evidence: Evidence
    regions: tuple[Region, ...] = ()
    smooth: bool = True
    starts: int = 0
    boxes: int = 0
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def of_kind(self, kind: PointKind) -> tuple[BoxPoint, ...]:
        """The points of one kind."""
        return tuple(p for p in self.points if p.kind is kind)

    @property
    def minima(self) -> tuple[BoxPoint, ...]:
        """Local minima with a positive definite Hessian."""
        return self.of_kind(PointKind.MINIMUM)

    @property
    def maxima(self) -> tuple[BoxPoint, ...]:
        """Local maxima with a negative definite Hessian."""
        return self.of_kind(PointKind.MAXIMUM)

    @property
    def saddles(self) -> tuple[BoxPoint, ...]:
        """Points where the Hessian has eigenvalues of both signs, and none of zero."""
        return self.of_kind(PointKind.SADDLE)

    def rows(self) -> list[tuple[str, ...]]:
        """The table as text, without its head."""
        return [
            (
                place(p.x),
                f"{p.error:.0e}",
                f"{p.value + 0.0:.8g}",
                f"{p.gradient_norm:.0e}",
                _spectrum(p.eigenvalues, 4),
                _named(p) + (", on the boundary" if p.boundary else ""),
                p.evidence.value,
            )
            for p in self.points
        ]

    def sentences(self) -> list[str]:
        """What is known of the rest of the box, in words."""
        known = {
            Evidence.PROVED: "it is proved that there is no other",
            Evidence.NUMERICAL: f"further ones were not found from {self.starts} "
            "starts, which is no proof",
            Evidence.UNRESOLVED: "there may be others",
        }[self.evidence]
        count = "1 critical point" if len(self) == 1 else f"{len(self)} critical points"
        lines = [f"{count}; {known}"]
        for region in self.regions[:8]:
            low, high = _numbers(region.low), _numbers(region.high)
            lines.append(
                f"unresolved: {region.boxes} boxes from {low} to {high}, "
                f"{100 * region.share:.2g}% of the volume"
                + ("" if region.smooth else ", where the function is not smooth")
            )
        if len(self.regions) > 8:
            lines.append(f"and {len(self.regions) - 8} more unresolved regions")
        return [*lines, *self.notes]

    def __str__(self) -> str:
        return "\n".join([*self.sentences(), *_aligned([HEAD, *self.rows()])])

    def to_markdown(self) -> str:
        """The table in Markdown, with what is known of the rest below it."""
        lines = ["| " + " | ".join(HEAD) + " |", "|:--|--:|--:|--:|--:|:--|:--|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows()]
        return "\n".join([*lines, "", *(f"* {s}" for s in self.sentences())])

    def to_json(self) -> str:
        """Everything as a JSON object; NaN and infinities as strings."""
        return json.dumps(plain(self))


HEAD = ("x", "error", "f", "gradient", "eigenvalues", "kind", "evidence")


def plain(value: Any) -> Any:
    """What JSON can hold: records as objects, arrays as lists, NaN as a string."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return plain(np.asarray(value).tolist())
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _named(point: Classification) -> str:
    name = point.kind.value
    if point.kind is PointKind.SADDLE:
        name += f" of index {point.index}"
    if point.kind is PointKind.DEGENERATE and point.note:
        name += f" ({point.note})"
    return name


def _spectrum(values: tuple[float, ...], digits: int) -> str:
    """Eigenvalues in one line; of many those at both ends."""
    shown = [f"{v + 0.0:.{digits}g}" for v in values]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "…", *shown[-3:]])


def place(x: Any) -> str:
    """A point in one line; of many numbers the first ones."""
    leaves = jax.tree.leaves(x)
    flat = np.concatenate([np.ravel(leaf) for leaf in leaves])
    return _numbers(flat)


def _numbers(flat: Any) -> str:
    shown = ", ".join(f"{v + 0.0:.8g}" for v in flat[:6])
    more = f", … ({len(flat)} numbers)" if len(flat) > 6 else ""
    return f"({shown}{more})"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if 0 < k < 5 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
