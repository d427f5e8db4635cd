"""What a study holds: its points, its pieces, and how each is known."""

import dataclasses
from enum import Enum


class Evidence(Enum):
    """How something is known."""

    PROVED = "proved"
    NUMERICAL = "numerical"
    UNRESOLVED = "unresolved"


class Kind(Enum):
    """What a critical point is."""

    MINIMUM = "local minimum"
    MAXIMUM = "local maximum"
    INFLECTION = "horizontal inflection"
    FLAT = "flat"
    CORNER_MINIMUM = "corner minimum"
    CORNER_MAXIMUM = "corner maximum"
    CORNER = "corner"
    CUSP_MINIMUM = "cusp minimum"
    CUSP_MAXIMUM = "cusp maximum"
    VERTICAL_TANGENT = "vertical tangent"
    BREAK = "break"
    END = "end point"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CriticalPoint:
    """A zero of f', a point without f', or an end.

    Attributes:
        x: Where it is; the middle of a flat stretch.
        value: f there; NaN where f is not defined.
        slope: f', as automatic differentiation gives it.
        curvature: f'', as automatic differentiation gives it.
        error: How far `x` may be off.
        kind: What it is.
        evidence: How it is known. Proved: there is exactly one root of f' within
            `error` of `x`, and its kind is certain.
        low: Left end of the interval that holds it, or of a flat stretch.
        high: Right end of the same.
        nature: What `differentiability` says of a point without f'; else empty.
        order: The first derivative that does not vanish, where it decides the kind.
        global_minimum: Whether f is nowhere smaller on the interval.
        global_maximum: Whether f is nowhere larger.
    """

    x: float
    value: float
    slope: float
    curvature: float
    error: float
    kind: Kind
    evidence: Evidence
    low: float
    high: float
    nature: str = ""
    order: int | None = None
    global_minimum: bool = False
    global_maximum: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inflection:
    """A point where f'' changes its sign.

    Attributes:
        x: Where it is.
        value: f there.
        slope: f' there.
        error: How far `x` may be off.
        change: `"convex to concave"` or `"concave to convex"`.
        evidence: How it is known.
    """

    x: float
    value: float
    slope: float
    error: float
    change: str
    evidence: Evidence


@dataclasses.dataclass(frozen=True)
class Piece:
    """An interval on which f does one thing.

    Attributes:
        low: Left end.
        high: Right end.
        what: `"increasing"`, `"decreasing"`, `"constant"`; or `"convex"`, `"concave"`,
            `"straight"`; or `"undefined"`, `"unresolved"`.
        evidence: How it is known.
    """

    low: float
    high: float
    what: str
    evidence: Evidence


@dataclasses.dataclass(frozen=True)
class Convexity:
    """Whether f is convex on the whole interval.

    Attributes:
        holds: True, False, or None where it could not be told.
        evidence: How it is known.
        x: Where it fails, the witness; NaN if it holds.
        reason: In words.
    """

    holds: bool | None
    evidence: Evidence
    x: float
    reason: str


@dataclasses.dataclass(frozen=True)
class Extreme:
    """The smallest or largest value, or what bounds the values.

    Attributes:
        value: The infimum or supremum, as far as it is known.
        x: Where; several points may share it.
        attained: Whether f takes the value there, or only comes close to it.
        evidence: How it is known; unresolved where a part of the interval is.
    """

    value: float
    x: float
    attained: bool
    evidence: Evidence
