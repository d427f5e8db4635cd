"""What does a study cost, beside the same questions asked of SymPy?

SymPy is asked for what a study says: roots of f' and f'' and their kinds, where the
function rises and where it is convex, its smallest and its largest value. Its cache is
emptied before every run; with it SymPy takes about two thirds of the time.
"""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy
from sympy.calculus.util import maximum, minimum
from sympy.core.cache import clear_cache

from experiments.benchmarks.timing import interleaved, report
from jaxcalc.analysis import study

CUBICS = (
    ((1, -3, -9, 5), -3, 5),
    ((1, -6, 9, 0), -1, 5),
    ((1, -1, -5, 2), -3, 4),
)


def cubics() -> None:
    """The three cubics of the text books."""
    x = sympy.Symbol("x", real=True)
    for (p, q, r, s), a, b in CUBICS:
        f = p * x**3 + q * x**2 + r * x + s

        def ours(t: jax.Array, c=(p, q, r, s)) -> jax.Array:
            return c[0] * t**3 + c[1] * t**2 + c[2] * t + c[3]

        begin = time.perf_counter()
        study(ours, a, b)
        first = time.perf_counter() - begin
        seconds, answers = interleaved(
            {
                "study": partial(study, ours, a, b),
                "roots": partial(_roots, f, x, a, b),
                "sympy": partial(_whole, f, x, a, b),
            },
            repeats=5,
            calls=5,
        )
        found = [point.x for point in answers["study"].critical_points[1:-1]]
        expected = sorted(map(float, answers["roots"]))
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        print(f"{f}: the first study takes {first:.2f} s")
        report("a study / SymPy's solveset of f'", seconds, "study", "roots", 1)
        report("a study / the same from SymPy", seconds, "study", "sympy", 1 / 100)


def wave() -> None:
    """A proof of all 22 turns of sin(x) + sin(10x/3), compiling included."""

    def f(x: jax.Array) -> jax.Array:
        return jnp.sin(x) + jnp.sin(10 * x / 3)

    begin = time.perf_counter()
    found = study(f, -10, 10)
    first = time.perf_counter() - begin
    seconds, _ = interleaved({"study": partial(study, f, -10, 10)})
    again = float(np.median(seconds["study"]))
    print(
        f"{len(found.critical_points) - 2} turns of a wave, proved: {found.proved}; "
        f"{first:.2f} s the first time (within 2 s: {first < 2}), "
        f"{1e3 * again:.0f} ms after that (within 50 ms: {again < 0.05})"
    )


def _roots(f: Any, x: Any, a: int, b: int) -> list[Any]:
    clear_cache()
    return _set(sympy.diff(f, x), x, sympy.Interval(a, b))


def _set(equation: Any, x: Any, inside: Any) -> list[Any]:
    found: Any = sympy.solveset(equation, x, inside)
    return list(found)


def _whole(f: Any, x: Any, a: int, b: int) -> tuple[Any, ...]:
    clear_cache()
    inside = sympy.Interval(a, b)
    slope, curvature = sympy.diff(f, x), sympy.diff(f, x, 2)
    turns = _set(slope, x, inside)
    return (
        [(root, sympy.sign(curvature.subs(x, root))) for root in turns],
        _set(curvature, x, inside),
        sympy.solveset(slope > 0, x, inside),
        sympy.solveset(curvature > 0, x, inside),
        minimum(f, x, inside),
        maximum(f, x, inside),
    )


if __name__ == "__main__":
    cubics()
    wave()
