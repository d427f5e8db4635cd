r"""Interval arithmetic on functions that JAX can trace, rounded outward.

$$x \in [\underline{x}, \overline{x}] \;\Longrightarrow\;
f(x) \in [\underline{y}, \overline{y}]$$

An interval result is a proof: whatever the rounding, no value of the function over the
box lies outside. From it follow the proofs of `jaxcalc.analysis`: a derivative whose
interval does not hold zero has no root there.

`interval_function(f, *examples)` traces `f` once, in float64, and evaluates its jaxpr
equation by equation in NumPy, on a whole batch of boxes at a time:

    F = interval_function(jax.grad(f), np.zeros(2))      # examples give the shapes
    F.unknown                                            # () if it can be evaluated
    y = F((lo, hi))                                      # lo and hi: (boxes, 2)
    y.lo, y.hi, y.regular                                # each (boxes, 2)

* Every argument of `f` is an array (or a number) with its example; a box for it is a
  pair `(lo, hi)` of arrays with a leading batch axis. The result has the structure of
  what `f` returns, with an `Interval` for each array.
* `regular` is true where the value is proved to be defined, and to depend on the inputs
  by smooth operations alone, all over the box. It is false where the box reaches a kink
  or a jump (of `abs`, `max`, a comparison), a pole, or the boundary of a domain. The
  bounds then hold all values that exist; those of a derivative also the hull of the
  slopes on both sides of a kink. The true derivative of a function with a jump is no
  number there: trust a derivative only where the function is regular too, so let `f`
  return both.
* NaN in `lo` and `hi` says that the function is proved to be defined nowhere.

The function is the one of real numbers that the jaxpr denotes: constants have the
values that they were rounded to, and conversions to shorter floats are exact. The
derivative is the one of JAX, with the custom rules on the way.

Every primitive needs a rule. `F.unknown` names those without one; calling `F` then
raises `UnknownPrimitiveError`. The loss of sharpness is that of all interval
arithmetic: where a variable occurs twice its two occurrences are taken for independent,
so that bounds become sharp only as boxes become small.
"""

from jaxcalc.analysis.intervals._basic import Interval
from jaxcalc.analysis.intervals._rules import UnknownPrimitiveError
from jaxcalc.analysis.intervals.function import IntervalFunction, interval_function
from jaxcalc.analysis.intervals.interpreter import evaluate, unknown_primitives

__all__ = [
    "Interval",
    "IntervalFunction",
    "UnknownPrimitiveError",
    "evaluate",
    "interval_function",
    "unknown_primitives",
]
