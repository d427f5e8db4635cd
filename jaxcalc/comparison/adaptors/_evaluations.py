"""Counts of evaluations that happen inside compiled programs of other packages."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import linear_call


class EvaluationCounter:
    """Counts evaluations inside compiled programs, by calls back from them."""

    def __init__(self, fits: bool):
        self._fits = fits  # a residual, not a loss
        self._counts: Counter[str] = Counter()

    def clear(self) -> None:
        """Begin again."""
        self._counts.clear()

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose evaluations are counted.

        Args:
            function: `function(point, args)`.

        Returns:
            The function; a loss can be differentiated once, in either mode.
        """

        def tick(kind: str, number: Any) -> None:
            # What it is given makes it happen once for each point of a batch.
            jax.debug.callback(partial(self._tick, kind), number)

        if self._fits:
            return function

        @jax.custom_jvp
        def watched(y: Any, args: Any) -> Any:
            tick("evaluated", _some_number(y))
            return function(y, args)

        def forward(known: Any, tangent: Any) -> Any:
            y, args = known
            return jax.jvp(lambda z: function(z, args), (y,), (tangent,))[1]

        def backward(known: Any, cotangent: Any) -> Any:
            y, args = known
            tick("transposed", cotangent)
            return jax.vjp(lambda z: function(z, args), y)[1](cotangent)[0]

        @watched.defjvp
        def rule(primals: Any, tangents: Any) -> Any:
            y, args = primals
            tick("evaluated", _some_number(y))
            slope = linear_call(forward, backward, (y, args), tangents[0])
            return function(y, args), slope

        return watched

    def note(self, state: Any) -> None:
        """Wait for the counts of a step, or read them from a solver's state.

        Args:
            state: The solver's state after it.
        """
        if self._fits:
            while hasattr(state, "state"):  # the best so far of another solver
                state = state.state
            self._counts["evaluated"] += 1
            self._counts["accepted"] = int(state.num_accepted_steps)
        else:
            jax.effects_barrier()

    def work(self) -> dict[str, int]:
        """All evaluations so far.

        Returns:
            The counts, as fields of `Work`.
        """
        evaluated = self._counts["evaluated"]
        if self._fits:
            return {"residuals": evaluated, "jacobians": self._counts["accepted"]}
        gradients = self._counts["transposed"]
        return {"values": evaluated - gradients, "gradients": gradients}

    def _tick(self, kind: str, number: Any) -> None:
        del number
        self._counts[kind] += 1


def _some_number(tree: Any) -> Any:
    return jnp.ravel(jax.tree.leaves(tree)[0])[0]
