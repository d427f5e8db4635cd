"""What is said about a point: a verdict, and the numbers that it rests on."""

from dataclasses import dataclass
from enum import Enum

from jaxtyping import PyTree


class Verdict(Enum):
    """What a point is, as far as its derivatives tell.

    `describe` says it in a sentence, `remedy` what to do next.
    """

    MINIMUM = "minimum"
    SADDLE = "saddle"
    MAXIMUM = "maximum"
    FLAT = "flat"
    NOT_CRITICAL = "not critical"
    UNDECIDED = "undecided"

    @property
    def describe(self) -> str:
        """One sentence for people."""
        return _SENTENCES[self][0]

    @property
    def remedy(self) -> str:
        """What to do next."""
        return _SENTENCES[self][1]


_SENTENCES = {
    Verdict.MINIMUM: (
        "A strict local minimum: the gradient vanishes and the loss curves upwards in "
        "every direction.",
        "Nothing is left to do here; whether another minimum lies lower, other starts "
        "may tell.",
    ),
    Verdict.SADDLE: (
        "A saddle point: the gradient vanishes, and the loss curves upwards in some "
        "directions and downwards in others.",
        "Add `direction` to the parameters and go on from there, best with an "
        "optimizer that knows the curvature.",
    ),
    Verdict.MAXIMUM: (
        "A strict local maximum: the gradient vanishes and the loss curves downwards "
        "in every direction.",
        "Add `direction` to the parameters and go on from there; if a maximum was "
        "wanted, it is one.",
    ),
    Verdict.FLAT: (
        "A degenerate critical point: the gradient vanishes, and so does the curvature "
        "in some direction.",
        "If the parameters are redundant, a small penalty on them makes the minimum "
        "unique; on a plateau, start elsewhere.",
    ),
    Verdict.NOT_CRITICAL: (
        "Not a critical point: the gradient is larger than rounding explains.",
        "Go on from here with a smaller `tol`, best with an optimizer that knows the "
        "curvature; if the parameters run off, the loss has no minimum there.",
    ),
    Verdict.UNDECIDED: (
        "It can't be told what this point is.",
        "Look closer in float64, or from a point nearby.",
    ),
}


@dataclass(frozen=True, eq=False)
class Certificate:
    """What a point is, and the numbers that say so.

    Eigenvalues are given twice: of the Hessian, and of the Hessian scaled to the
    natural size of each parameter, which has as many of each sign (Sylvester's law of
    inertia). The verdict rests on the scaled ones.

    Attributes:
        verdict: What the point is.
        reason: What that rests on, in plain sentences.
        is_minimum: True if it is a local minimum, False if it is none; None if that is
            not known. A flat point may be known to be either.
        value: The loss.
        grad_norm: The gradient's infinity norm.
        distance: Infinity norm of a Newton step, which is about how far away the
            critical point lies; NaN where there is none.
        eigenvalues: The smallest and the largest eigenvalue of the Hessian.
        error: How far off they may be, by rounding and by the distance.
        scaled_eigenvalues: The same of the scaled Hessian.
        scaled_error: How far off those may be.
        direction: Added to the parameters, it leads to a lower loss. None where no
            such step was found, or none is called for.
        complete: Whether all eigenvalues were computed. Of many parameters only the
            extreme ones were looked for.
    """

    verdict: Verdict
    reason: str
    is_minimum: bool | None
    value: float
    grad_norm: float
    distance: float
    eigenvalues: tuple[float, float]
    error: float
    scaled_eigenvalues: tuple[float, float]
    scaled_error: float
    direction: PyTree
    complete: bool

    @property
    def remedy(self) -> str:
        """What to do next."""
        if self.verdict is Verdict.FLAT and self.is_minimum:
            return Verdict.MINIMUM.remedy
        if self.direction is not None:
            return Verdict.SADDLE.remedy
        if self.verdict in (Verdict.SADDLE, Verdict.MAXIMUM):
            return "Go on from a point beside this one."
        return self.verdict.remedy

    def describe(self) -> str:
        """What the point is, why, and what to do, in plain sentences.

        Returns:
            A few sentences.
        """
        return f"{self.finding()} {self.remedy}"

    def finding(self) -> str:
        """What the point is and why, without what to do.

        Returns:
            A few sentences.
        """
        name = self.verdict.name.replace("_", " ")
        said = f"{name} at value {self.value:.6g}, gradient norm {self.grad_norm:.2g}."
        return f"{said} {self.verdict.describe} {self.reason}"

    def __str__(self) -> str:
        return self.describe()
