"""A function of several variables: its derivatives at points and over boxes."""

import functools
import math
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxcalc import _checks, _programs
from jaxcalc.analysis._boxes_newton import Solved, solver
from jaxcalc.analysis.intervals import Interval, IntervalFunction, interval_function

BATCH = 256
_BOXED: dict[Hashable, "_Boxed"] = {}
_MODES = ("forward-reverse", "reverse-reverse", "forward-forward")


class Samples(NamedTuple):
    """Values, gradients and Hessians at points."""

    value: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray


class Enclosed(NamedTuple):
    """Values, gradients and Hessians over boxes."""

    value: Interval
    gradient: Interval
    hessian: Interval
    regular: np.ndarray  # per box: smooth all over it


class Layout(NamedTuple):
    """How a flat vector is folded into what the function takes."""

    tree: Any
    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes)

    def fold(self, flat: Any) -> Any:
        """A vector as the tree that the function takes."""
        leaves, start = [], 0
        for shape in self.shapes:
            stop = start + math.prod(shape)
            leaves.append(flat[start:stop].reshape(shape))
            start = stop
        return jax.tree.unflatten(self.tree, leaves)


class _Boxed(NamedTuple):
    function: IntervalFunction
    mode: str
    failed: list[str]  # rules that lack a case, found in use


def layout(x: Any) -> tuple[np.ndarray, Layout]:
    """A tree of numbers as a float64 vector, and the way back."""
    leaves, tree = jax.tree.flatten(x)
    shapes = tuple(np.shape(leaf) for leaf in leaves)
    parts = [np.ravel(np.asarray(leaf, np.float64)) for leaf in leaves]
    return np.concatenate(parts), _layout(tree, shapes)


@functools.lru_cache(maxsize=256)
def _layout(tree: Any, shapes: tuple[tuple[int, ...], ...]) -> Layout:
    """One object for all equal ones: compiled programs are found by it."""
    return Layout(tree, shapes)


def _flat(f: Callable[..., Any], form: Layout) -> Callable[..., Any]:
    return lambda x, args: jnp.asarray(f(form.fold(x), *args), jnp.float64)


def _derivatives(
    f: Callable[..., Any], form: Layout, mode: str
) -> Callable[..., tuple[Any, Any, Any]]:
    value = _flat(f, form)
    outer, inner = mode.split("-")
    first = (jax.jacfwd if inner == "forward" else jax.jacrev)(value)
    second = (jax.jacfwd if outer == "forward" else jax.jacrev)(first)
    return lambda x, args: (value(x, args), first(x, args), second(x, args))


def _sampler(f: Callable[..., Any], form: Layout, mode: str) -> Callable[..., Any]:
    chain = _derivatives(f, form, mode)
    return jax.vmap(chain, in_axes=(0, None))


def _solver(f: Callable[..., Any], form: Layout, mode: str) -> Callable[..., Any]:
    chain = _derivatives(f, form, mode)

    def solve(starts: Array, low: Array, width: Array, args: Any) -> Solved:
        def scaled(t: Array) -> tuple[Array, Array]:
            _, gradient, hessian = chain(low + t * width, args)
            return gradient * width, hessian * width * width[:, None]

        return jax.vmap(solver(scaled))(starts)

    return solve


class Field:
    """A function with its data, traced once for points and once for boxes.

    Everything runs in float64: call it within `jax.enable_x64(True)`.
    """

    def __init__(self, f: Callable[..., Any], form: Layout, args: tuple[Any, ...]):
        self.f, self.form, self.size = f, form, form.size
        self.args = jax.tree.map(_wide, args)
        self.trusted = True
        key = _programs.fingerprint((f, form.shapes, self.args))
        key = (key, form.tree)
        known = _BOXED.get(key)
        if known is None:
            _check_function(f, form, self.args)
            known = _trace(f, form, self.args)
            _programs.remember(_BOXED, key, known)
        self._boxed = known

    @property
    def unknown(self) -> tuple[str, ...]:
        """Primitives without an interval rule."""
        return tuple(
            dict.fromkeys((*self._boxed.function.unknown, *self._boxed.failed))
        )

    @property
    def provable(self) -> bool:
        """Whether there is an interval rule for everything in the function."""
        if self.unknown or not self.trusted:
            return False
        try:
            self._boxed.function((np.zeros((1, self.size)), np.ones((1, self.size))))
        except NotImplementedError as problem:  # a rule that lacks a case
            self._boxed.failed.append(str(problem))
            return False
        return True

    def sample(self, points: np.ndarray) -> Samples:
        """Values and derivatives at points, shape `(m, n)`."""
        program = _programs.compiled(_sampler, self.f, self.form, self._boxed.mode)
        parts = self._batched(points, lambda p: program(p, self.args))
        return Samples(*parts)

    def solve(self, starts: np.ndarray, low: np.ndarray, width: np.ndarray) -> Solved:
        """Roots of the gradient from starts in the unit box."""
        program = _programs.compiled(
            _solver, self.f, self.form, self._boxed.mode, quickly=lambda: True
        )
        parts = self._batched(starts, lambda p: program(p, low, width, self.args))
        return Solved(*parts)

    def _batched(
        self, points: np.ndarray, call: Callable[[np.ndarray], Any]
    ) -> list[np.ndarray]:
        # One batch size is one compiled program.
        batch = max(1, min(BATCH, 2**16 // self.size**2))
        points = np.asarray(points, np.float64).reshape(-1, self.size)
        count = len(points)
        fill = -count % batch
        padded = np.concatenate([points, np.zeros((fill, self.size))])
        if count and fill:
            padded[count:] = points[-1]
        rows = padded.reshape(-1, batch, self.size)
        parts = [[np.asarray(a) for a in call(chunk)] for chunk in rows]
        if not parts:
            parts = [[np.asarray(a) for a in call(np.zeros((batch, self.size)))]]
        return [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]

    def enclose(self, lo: np.ndarray, hi: np.ndarray) -> Enclosed:
        """The function and its derivatives over boxes, shape `(boxes, n)` each."""
        size = max(1, 2**22 // self.size**2)  # at once, to bound the memory
        parts = [
            self._boxed.function((lo[k : k + size], hi[k : k + size]))
            for k in range(0, max(len(lo), 1), size)
        ]
        found = [
            Interval(*(np.concatenate(bound) for bound in zip(*column, strict=True)))
            for column in zip(*parts, strict=True)
        ]
        value, gradient, hessian = found
        regular = (
            value.regular
            & gradient.regular.all(axis=1)
            & hessian.regular.all(axis=(1, 2))
        )
        return Enclosed(value, gradient, _symmetric(hessian), regular)


def _symmetric(h: Interval) -> Interval:
    """Both halves hold the same derivatives: the sharper bound of the two."""
    turned = [np.swapaxes(bound, 1, 2) for bound in h]
    # Where the function is not smooth the order of derivatives may matter.
    smooth = h.regular & turned[2]
    lo = np.where(smooth, np.maximum(h.lo, turned[0]), np.minimum(h.lo, turned[0]))
    hi = np.where(smooth, np.minimum(h.hi, turned[1]), np.maximum(h.hi, turned[1]))
    return Interval(lo, hi, smooth)


def _wide(leaf: Any) -> Any:
    """Data in float64, so that floats of two lengths do not meet."""
    dtype = getattr(leaf, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jnp.floating):
        return np.asarray(leaf, np.float64)
    return leaf


def _check_function(f: Any, form: Layout, args: tuple[Any, ...]) -> None:
    if not callable(f):
        raise TypeError(f"`f` must be a function, got {f!r}")
    structs = [jax.ShapeDtypeStruct(shape, np.float64) for shape in form.shapes]
    try:
        value = jax.eval_shape(f, jax.tree.unflatten(form.tree, structs), *args)
    except Exception as problem:
        raise TypeError(
            "`f` must take a point of the shape of the bounds and be written with "
            "jax.numpy, with jnp.where instead of if; tracing it in float64 raised "
            f"{type(problem).__name__}: {problem}"
        ) from problem
    _checks.scalar_loss("f", value)


def _trace(f: Callable[..., Any], form: Layout, args: tuple[Any, ...]) -> _Boxed:
    problem: Exception | None = None
    for mode in _MODES:  # a custom rule may know one of them alone
        chain = _derivatives(f, form, mode)
        try:
            function = interval_function(
                lambda x, chain=chain: chain(x, args), np.zeros(form.size)
            )
        except (TypeError, ValueError, NotImplementedError) as found:
            problem = problem or found
            continue
        return _Boxed(function, mode, [])
    raise TypeError(
        f"`f` must have two derivatives; differentiating it raised {problem}"
    ) from problem
