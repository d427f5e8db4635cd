"""What `convexity` hands back."""

import dataclasses
import json
from typing import Any

from jaxcalc.analysis._boxes_records import place, plain
from jaxcalc.analysis.records import Evidence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Witness:
    """What speaks against convexity, or against concavity.

    Attributes:
        x: A point, in the structure of the bounds.
        direction: Along which the function bends the other way; or half of the way
            between two points with `x` in their middle.
        curvature: The second derivative along `direction`, per unit of length; NaN for
            a chord.
        gap: How far the value in the middle lies beyond the chord; NaN for a curvature.
    """

    x: Any
    direction: Any
    curvature: float
    gap: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a function is convex (or concave) in a box.

    Attributes:
        holds: True, False, or None where it could not be told.
        evidence: How it is known: a True is always proved.
        bound: No eigenvalue of the Hessian, anywhere in the box, is smaller (of a
            concave function: larger); infinite where nothing is proved.
        strong: Whether that bound makes the function strongly convex (concave).
        witness: What speaks against it.
        reason: In words.
    """

    holds: bool | None
    evidence: Evidence
    bound: float
    strong: bool
    witness: Witness | None
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxConvexity:
    """Whether a function is convex or concave in a box.

    Attributes:
        lower: Lower corner of the box.
        upper: Upper corner.
        convex: The answer for convex.
        concave: The answer for concave.
        boxes: How many boxes interval arithmetic looked at.
        unknown: Primitives without an interval rule, for which nothing was proved.
    """

    lower: Any
    upper: Any
    convex: Verdict
    concave: Verdict
    boxes: int
    unknown: tuple[str, ...]

    @property
    def modulus(self) -> float:
        r"""A proved $\mu$ with $f - \mu \|x\|^2 / 2$ convex; it may be negative."""
        return self.convex.bound

    def __str__(self) -> str:
        return "\n".join(
            _sentence(word, verdict)
            for word, verdict in (("convex", self.convex), ("concave", self.concave))
        )

    def to_json(self) -> str:
        """Everything as a JSON object; NaN and infinities as strings."""
        return json.dumps(plain(self))


def _sentence(word: str, verdict: Verdict) -> str:
    answer = {True: "yes", False: "no", None: "cannot tell"}[verdict.holds]
    if verdict.strong:
        answer += f", strongly, with modulus {abs(verdict.bound):.6g}"
    text = f"{word}: {answer} ({verdict.evidence.value}), {verdict.reason}"
    if verdict.witness is not None:
        text += f" at {place(verdict.witness.x)}"
    return text
