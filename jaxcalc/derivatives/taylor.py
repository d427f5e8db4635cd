r"""Taylor polynomials of any order, by propagating truncated series.

$$f(x + t v) = \sum_{k=0}^{n} \frac{D_v^k f(x)}{k!} t^k + O(t^{n+1})$$

`jax.experimental.jet` carries all coefficients through a function at once, at a cost
that grows like $n^2$ (nested derivatives: exponentially). It lacks rules for some
primitives, `atan`, `cbrt` and loops among them; there the derivatives are nested.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import jet
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from jaxcalc import _checks, _programs


@dataclasses.dataclass(frozen=True)
class Taylor:
    """A Taylor polynomial; call it with a number or an array.

    Attributes:
        center: Where it was made: the polynomial is in powers of `x - center`. Zero
            for one along a line through a tree of parameters.
        coefficients: One for each power, the constant first.
        method: `"jet"` or `"nested"`: how the derivatives were found.
    """

    center: float
    coefficients: tuple[float, ...]
    method: str = "jet"

    @property
    def degree(self) -> int:
        """The highest power."""
        return len(self.coefficients) - 1

    @property
    def derivatives(self) -> tuple[float, ...]:
        """Derivatives of each order at the center, the value first."""
        return tuple(math.factorial(k) * c for k, c in enumerate(self.coefficients))

    def __call__(self, x: ArrayLike) -> Array:
        """Value of the polynomial at `x`, by Horner's rule."""
        t = jnp.asarray(x) - self.center
        total = jnp.zeros_like(t)
        for coefficient in reversed(self.coefficients):
            total = total * t + coefficient
        return total

    def __str__(self) -> str:
        base = f"(x - {self.center:g})" if self.center else "x"
        terms = [
            f"{c:+.6g}" + (f" {base}" if k else "") + (f"^{k}" if k > 1 else "")
            for k, c in enumerate(self.coefficients)
            if c != 0
        ]
        return " ".join(terms) or "0"

    def to_json(self) -> str:
        """The polynomial as a JSON object."""
        return json.dumps(dataclasses.asdict(self))


def taylor_polynomial(
    f: Callable[..., Any],
    x: PyTree,
    degree: int,
    *,
    direction: PyTree = None,
    method: str | None = None,
    args: tuple[Any, ...] = (),
) -> Taylor:
    r"""Taylor polynomial of $f$ around $x$, or along a line $t \mapsto f(x + t v)$.

    The derivatives are automatic ones, and share their faults: at a kink they describe
    one side, and in deep saturation, as of `tanh`, a few digits may be lost.

    Args:
        f: A function `f(x, *args) -> scalar`.
        x: The center: a float, or with `direction` any tree of floating arrays.
        degree: The highest power, zero or more.
        direction: The direction $v$, a tree like `x`; for a scalar `x` it is 1.
        method: `"jet"`, `"nested"`, or None for jet where it has all the rules.
        args: Data handed on to `f`.

    Returns:
        The polynomial, callable, with its coefficients.

    Raises:
        TypeError: `x` is not floating, or `f` does not return a floating scalar.
        ValueError: `x` is not a scalar and there is no direction; or `direction` is
            unlike `x`; or jet lacks a rule and `method` insists on it.
    """
    degree = _checks.positive_int("degree", degree, minimum=0)
    _checks.known("method", method, (None, "jet", "nested"))
    x = _checks.floating_params("x", x)
    _checks.scalar_loss("f", jax.eval_shape(f, x, *args))
    along = direction is not None
    if not along:
        if jax.tree.map(jnp.shape, x) != ():
            raise ValueError("`x` must be a scalar, or come with a `direction`")
        direction = jnp.ones_like(x)
    direction = _checks.floating_params("direction", direction)
    if jax.tree.map(jnp.shape, direction) != jax.tree.map(jnp.shape, x):
        raise ValueError("`direction` must have the structure and shapes of `x`")
    used, values = _derivatives(f, x, direction, degree, method, args)
    coefficients = [v / math.factorial(k) for k, v in enumerate(values)]
    return Taylor(0.0 if along else float(x), tuple(coefficients), used)


def _derivatives(
    f: Callable[..., Any],
    x: PyTree,
    direction: PyTree,
    degree: int,
    method: str | None,
    args: tuple[Any, ...],
) -> tuple[str, list[float]]:
    if degree > 0 and method != "nested":
        try:
            program = _programs.compiled(_by_jet, f, degree)
            return "jet", np.asarray(program(x, direction, args), float).tolist()
        except Exception as problem:
            # A missing rule shows as KeyError, NotImplementedError, or a leaked tracer
            # out of a custom rule that jet does not know; all mean the same.
            if method == "jet":
                raise ValueError(f"jet cannot expand f: {problem!r}") from problem
    program = _programs.compiled(_by_nesting, f, degree)
    return "nested", np.asarray(program(x, direction, args), float).tolist()


def _by_jet(f: Callable[..., Any], degree: int) -> Callable[..., Any]:
    def derivatives(x: PyTree, direction: PyTree, args: tuple[Any, ...]) -> Array:
        leaves, structure = jax.tree.flatten(x)
        zeros = [jnp.zeros_like(leaf) for leaf in leaves]
        series = tuple(
            [v, *(zero for _ in range(degree - 1))]
            for v, zero in zip(jax.tree.leaves(direction), zeros, strict=True)
        )
        value, terms = jet.jet(
            lambda *leaves: f(structure.unflatten(leaves), *args), tuple(leaves), series
        )
        return jnp.stack([jnp.asarray(v, value.dtype) for v in (value, *terms)])

    return derivatives


def _by_nesting(f: Callable[..., Any], degree: int) -> Callable[..., Any]:
    def derivatives(x: PyTree, direction: PyTree, args: tuple[Any, ...]) -> Array:
        def along(t: Array) -> Array:
            return f(jax.tree.map(lambda a, v: a + t * v, x, direction), *args)

        dtype = jnp.result_type(*jax.tree.leaves(x))
        orders: list[Callable[..., Array]] = [along]
        for _ in range(degree):
            orders.append(_derivative(orders[-1]))
        return jnp.stack([g(jnp.zeros((), dtype)) for g in orders])

    return derivatives


def _derivative(g: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda t: jax.jvp(g, (t,), (jnp.ones_like(t),))[1]
