"""One function of one variable, its derivatives at points and over boxes."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxcalc import _checks, _programs
from jaxcalc.analysis._isolate import Enclosed
from jaxcalc.analysis.intervals import (
    Interval,
    IntervalFunction,
    interval_function,
)

BATCH = 1024
_BOXED: dict[Hashable, "_Boxed"] = {}


class Samples(NamedTuple):
    """Values and two derivatives at points."""

    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


class _Boxed(NamedTuple):
    """Interval functions: (f, f', f'') and (f'', f''')."""

    first: IntervalFunction
    second: IntervalFunction
    forward: bool
    tried: set[int]  # orders that were evaluated once: every rule has the cases needed


def forward(g: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The derivative of a function of a scalar, by forward mode."""
    return lambda x: jax.jvp(g, (x,), (jnp.ones_like(x),))[1]


def _chain(f: Callable[..., Any], args: tuple[Any, ...], ahead: bool) -> list[Any]:
    """The function and its first three derivatives."""
    derivative = forward if ahead else jax.grad
    chain: list[Any] = [lambda x: jnp.asarray(f(x, *args), jnp.float64)]
    for _ in range(3):
        chain.append(derivative(chain[-1]))
    return chain


def _sampler(f: Callable[..., Any], ahead: bool) -> Callable[..., Any]:
    def sample(points: Array, args: tuple[Any, ...]) -> Array:
        chain = _chain(f, args, ahead)[:3]
        return jax.vmap(lambda x: jnp.stack([g(x) for g in chain]))(points)

    return sample


class Traced:
    """A function, traced once for points and once for boxes; in float64.

    Attributes:
        unknown: Primitives that the interval arithmetic has no rule for.
    """

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...]):
        self.f, self.args = f, args
        self._boxed = _boxed(f, args)
        self._failed: tuple[str, ...] = ()
        self._trusted = True

    def untrusted(self) -> "Traced":
        """The same function; its derivatives are not to be proved anything from."""
        other = Traced(self.f, self.args)
        other._trusted = False
        return other

    @property
    def unknown(self) -> tuple[str, ...]:
        found = (*self._boxed.first.unknown, *self._boxed.second.unknown, *self._failed)
        return tuple(dict.fromkeys(found))

    def sample(self, points: np.ndarray) -> Samples:
        """Values and derivatives at points of any number, shape `(n,)`."""
        flat = np.asarray(points, np.float64)
        if not flat.size:
            return Samples(flat, flat, flat)
        size = -(-flat.size // BATCH) * BATCH
        padded = np.concatenate([flat, np.full(size - flat.size, flat[-1])])
        program = _programs.compiled(_sampler, self.f, self._boxed.forward)
        parts = [np.asarray(program(p, self.args)) for p in padded.reshape(-1, BATCH)]
        rows = np.concatenate(parts)[: flat.size]
        return Samples(rows[:, 0], rows[:, 1], rows[:, 2])

    def enclose(
        self, order: int
    ) -> Callable[[np.ndarray, np.ndarray], Enclosed] | None:
        """The derivative of an order over boxes, with the one above it.

        Args:
            order: 1 or 2.

        Returns:
            A function of boxes, or None where there is no rule for a primitive.
        """
        function = self._boxed.first if order == 1 else self._boxed.second
        if function.unknown or not self._trusted:
            return None

        def evaluate(lo: np.ndarray, hi: np.ndarray) -> Enclosed:
            found = function((lo, hi))
            value, slope = found[-2:]
            regular = np.logical_and.reduce([x.regular for x in found])
            lower, upper = value.lo, value.hi
            # No derivative where there are values is no end of the domain.
            lost = np.isnan(lower) & ~np.isnan(found[0].lo)
            if lost.any():
                lower = np.where(lost, -np.inf, lower)
                upper = np.where(lost, np.inf, upper)
            nowhere = np.isnan(found[0].lo)
            if nowhere.any():
                lower, upper = (np.where(nowhere, np.nan, x) for x in (lower, upper))
            enclosed = Interval(lower, upper, value.regular & ~lost)
            return Enclosed(enclosed, slope, regular & ~lost)

        if order not in self._boxed.tried:
            try:
                evaluate(np.zeros(1), np.zeros(1))
            except NotImplementedError as problem:  # a rule that lacks a case
                self._failed = (*self._failed, str(problem))
                return None
            self._boxed.tried.add(order)
        return evaluate

    def noise(self, points: np.ndarray, order: int) -> np.ndarray:
        """How far rounding may move f (order 0) or f' (order 1) at points."""
        found = self._boxed.first
        if not found.unknown and not self._failed:
            value = found((points, points))[order]
            return value.hi - value.lo
        return 64 * np.finfo(float).eps * np.abs(self.sample(points)[order])


def _check_function(f: Any, args: tuple[Any, ...]) -> None:
    if not callable(f):
        raise TypeError(f"`f` must be a function, got {f!r}")
    try:
        value = jax.eval_shape(f, jax.ShapeDtypeStruct((), np.float64), *args)
    except Exception as problem:
        raise TypeError(
            "`f` must take a number and be written with jax.numpy, with jnp.where "
            f"instead of if; tracing it in float64 raised {type(problem).__name__}: "
            f"{problem}"
        ) from problem
    _checks.scalar_loss("f", value)


def _boxed(f: Callable[..., Any], args: tuple[Any, ...]) -> _Boxed:
    key = _programs.fingerprint((f, args))
    known = _BOXED.get(key)
    if known is None:
        _check_function(f, args)
        known = _trace(f, args)
        _programs.remember(_BOXED, key, known)
    return known


def _trace(f: Callable[..., Any], args: tuple[Any, ...]) -> _Boxed:
    try:
        return _both(f, args, ahead=True)
    except (TypeError, NotImplementedError):  # a custom_vjp rule is for reverse mode
        return _both(f, args, ahead=False)


def _both(f: Callable[..., Any], args: tuple[Any, ...], ahead: bool) -> _Boxed:
    chain = _chain(f, args, ahead)
    first, second = (
        interval_function(lambda x, chosen=orders: tuple(g(x) for g in chosen), 0.0)
        for orders in (chain[:3], chain[2:])
    )
    return _Boxed(first, second, ahead, set())
