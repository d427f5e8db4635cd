"""What a minimization answers: how it ended, where, and what it cost on the way."""

from enum import IntEnum
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxcalc._work import Work
from jaxcalc.minimization._certify_record import Certificate


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
        "To tell a minimum from a saddle takes the Hessian as well.",
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


class Trace(NamedTuple):
    """One entry for each step, measured before the step is taken, and a last one.

    Entry `k` belongs to the `k`-th point; what was not reached is NaN. All norms are
    infinity norms.

    Attributes:
        value: The loss at each point.
        grad_norm: The gradient's norm at each point.
        step_norm: The norm of the step from each point; NaN at the last.
        length: How many points were reached.
        counts: Cumulative evaluations, for optimizers that count; None for those that
            evaluate one gradient a step. Read `work`, which knows both.
        observed: What `observe` returned at each point, None without it.
    """

    value: Float[Array, "*b t"]
    grad_norm: Float[Array, "*b t"]
    step_norm: Float[Array, "*b t"]
    length: Int[Array, "*b"]
    counts: Work | None = None
    observed: PyTree = None

    @property
    def work(self) -> Work:
        """Cumulative evaluations at each point; -1 where none was reached."""
        if self.counts is not None:
            return self.counts
        index = jnp.arange(self.value.shape[-1], dtype=jnp.int32)
        reached = index < jnp.expand_dims(self.length, -1)
        nothing = jnp.where(reached, 0, -1)
        return Work(*(nothing,) * len(Work._fields))._replace(
            gradients=jnp.where(reached, index + 1, -1)
        )


class Solution(NamedTuple):
    """Where a minimization ended and how; every field an array, so it batches.

    Attributes:
        params: The last point.
        value: The loss there.
        grad_norm: The gradient's infinity norm there.
        status: How the run ended, a `Status`.
        steps: How many steps were taken.
        trace: What was measured on the way.
    """

    params: PyTree
    value: Float[Array, "*b"]
    grad_norm: Float[Array, "*b"]
    status: Int[Array, "*b"]
    steps: Int[Array, "*b"]
    trace: Trace

    @property
    def work(self) -> Work:
        """All evaluations, by kind."""
        last = jnp.expand_dims(self.steps, -1)
        counts = self.trace.work
        return Work(*(jnp.take_along_axis(n, last, -1)[..., 0] for n in counts))

    @property
    def converged(self) -> jax.Array:
        """Whether the gradient fell to `tol`."""
        return self.status == Status.CONVERGED

    def describe(self, certificate: Certificate | None = None) -> str:
        """How it ended and what to try, in plain sentences.

        Args:
            certificate: What `jaxcalc.certify` says of `params`. What to try then
                follows from it, unless the run diverged.

        Returns:
            A few sentences; one line for a batch.

        Raises:
            ValueError: A certificate is given for a batch.
        """
        if jnp.ndim(self.status):
            if certificate is not None:
                raise ValueError(
                    "`certificate` belongs to one run, and this is a batch of shape "
                    f"{jnp.shape(self.status)}: take one run out of it, with jax.tree."
                    "map(lambda leaf: leaf[i], solution)"
                )
            names = [Status(int(s)).name for s in jnp.ravel(self.status)]
            counts = [f"{names.count(s.name)} {s.name}" for s in Status]
            ended = [c for c in counts if not c.startswith("0 ")]
            return f"{len(names)} runs: " + ", ".join(ended)
        status = Status(int(self.status))
        ended = (
            f"{status.name} after {int(self.steps)} steps at value "
            f"{float(self.value):.6g}, gradient norm {float(self.grad_norm):.2g}. "
            f"{status.describe}"
        )
        if certificate is None:
            return f"{ended} {status.remedy}"
        diverged = status in (Status.NONFINITE, Status.UNBOUNDED)
        remedy = status.remedy if diverged else certificate.remedy
        return f"{ended} {certificate.finding()} {remedy}"
