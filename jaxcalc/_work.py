"""Counts of evaluations, which optimizers keep and the loop adds up."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int


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
