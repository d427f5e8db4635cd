"""What a minimization answers: how it ended, where, and what it cost on the way."""

from enum import IntEnum
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree


class Status(IntEnum):
    """How a minimization ended.

    Inside compiled code a status is an integer array; `Status(int(s))` gives it back
    its name, `describe` a sentence and `remedy` what to try.
    """

    RUNNING = 0
    CONVERGED = 1
    STALLED = 2
    MAX_STEPS = 3
    NONFINITE = 4
    UNBOUNDED = 5

    @property
    def describe(self) -> str:
        """One sentence for people."""
        return _SENTENCES[self][0]

    @property
    def remedy(self) -> str:
        """What to try next."""
        return _SENTENCES[self][1]


_SENTENCES = {
    Status.RUNNING: ("The run has not ended yet.", "Let it go on."),
    Status.CONVERGED: (
        "The gradient's largest entry is at most `tol`.",
        "Nothing; the gradient alone does not tell a minimum from a saddle.",
    ),
    Status.STALLED: (
        "No further decrease can be represented in this dtype, and the gradient is "
        "still above `tol`.",
        "Use float64, rescale the loss or its parameters, or accept a larger `tol`.",
    ),
    Status.MAX_STEPS: (
        "The steps ran out before the gradient fell to `tol`.",
        "Raise `max_steps`, change the learning rate, or use a second-order optimizer.",
    ),
    Status.NONFINITE: (
        "The loss or its gradient became infinite or NaN.",
        "Lower the learning rate, clip the gradient, or start elsewhere; if it is so "
        "at the very start, the loss is not defined there.",
    ),
    Status.UNBOUNDED: (
        "The loss falls without bound.",
        "Add a penalty or a constraint: this loss has no minimum.",
    ),
}


class Work(NamedTuple):
    """Counts of evaluations; each field an int32 array, or a trace of them.

    `gradients` counts evaluations of the value and gradient together, `values` those
    of the value alone, so that nothing is counted twice.
    """

    values: Int[Array, "*t"]
    gradients: Int[Array, "*t"]
    hvps: Int[Array, "*t"]
    hessians: Int[Array, "*t"]
    residuals: Int[Array, "*t"]
    jacobians: Int[Array, "*t"]

    @classmethod
    def of(cls, **counts) -> "Work":
        """Counts by name, zero where none is given.

        Args:
            **counts: Any of the fields, as integers or integer arrays.

        Returns:
            The record, with int32 scalars for what was not named.
        """
        zero = jnp.zeros((), jnp.int32)
        given = {name: jnp.asarray(n, jnp.int32) for name, n in counts.items()}
        return cls(**{name: given.pop(name, zero) for name in cls._fields}, **given)

    def plus(self, other: "Work") -> "Work":
        """Sum of both counts.

        Args:
            other: Counts to add, field by field.

        Returns:
            The sums.
        """
        return Work(*(a + b for a, b in zip(self, other, strict=True)))


class Trace(NamedTuple):
    """One entry for each step, measured before the step is taken, and a last one.

    Entry `k` belongs to the `k`-th point; what was not reached is NaN. All norms are
    infinity norms. `work` is cumulative and holds -1 where nothing was reached.
    """

    value: Float[Array, " t"]
    grad_norm: Float[Array, " t"]
    step_norm: Float[Array, " t"]
    work: Work
    observed: PyTree = None


class Solution(NamedTuple):
    """Where a minimization ended and how; every field an array, so it batches."""

    params: PyTree
    value: Float[Array, ""]
    grad_norm: Float[Array, ""]
    status: Int[Array, ""]
    steps: Int[Array, ""]
    work: Work
    trace: Trace

    @property
    def converged(self) -> jax.Array:
        """Whether the gradient fell to `tol`."""
        return self.status == Status.CONVERGED

    def describe(self) -> str:
        """How it ended and what to try, in plain sentences.

        Returns:
            A few sentences; one line for each member of a batch.
        """
        if jnp.ndim(self.status):
            names = [Status(int(s)).name for s in jnp.ravel(self.status)]
            counts = [f"{names.count(s.name)} {s.name}" for s in Status]
            ended = [c for c in counts if not c.startswith("0 ")]
            return f"{len(names)} runs: " + ", ".join(ended)
        status = Status(int(self.status))
        return (
            f"{status.name} after {int(self.steps)} steps at value "
            f"{float(self.value):.6g}, gradient norm {float(self.grad_norm):.2g}. "
            f"{status.describe} {status.remedy}"
        )
