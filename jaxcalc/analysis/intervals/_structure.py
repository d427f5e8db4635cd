"""Operations that move numbers without changing them, and sums along axes.

Each acts on the lower bounds, the upper bounds and the flags alike. Parameters are
those of the primitives of `jax.lax`; axes count without the batch axis.
"""

import string
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcalc.analysis.intervals._basic import Interval, add, make, mul, total
from jaxcalc.analysis.intervals._piecewise import both, maximum, minimum

_Params = dict[str, Any]


def on_each(
    function: Callable[..., np.ndarray],
) -> Callable[[_Params, Interval], Interval]:
    """A rule that does the same to both bounds and to the flags."""
    return lambda params, x: Interval(*(function(part, params) for part in x))


def _broadcast_in_dim(x: np.ndarray, params: _Params) -> np.ndarray:
    shape, places = params["shape"], params["broadcast_dimensions"]
    full = [1] * len(shape)
    for axis, place in enumerate(places):
        full[place] = x.shape[axis + 1]
    return np.broadcast_to(x.reshape(x.shape[0], *full), (x.shape[0], *shape))


def _slice(x: np.ndarray, params: _Params) -> np.ndarray:
    starts, limits = params["start_indices"], params["limit_indices"]
    strides = params["strides"] or (1,) * len(starts)
    cuts = map(slice, starts, limits, strides)
    return x[(slice(None), *cuts)]


def _transpose(x: np.ndarray, params: _Params) -> np.ndarray:
    return np.transpose(x, (0, *(a + 1 for a in params["permutation"])))


STRUCTURE: dict[str, Callable[[_Params, Interval], Interval]] = {
    "broadcast_in_dim": on_each(_broadcast_in_dim),
    "reshape": on_each(lambda x, p: x.reshape(x.shape[0], *p["new_sizes"])),
    "squeeze": on_each(
        lambda x, p: np.squeeze(x, tuple(a + 1 for a in p["dimensions"]))
    ),
    "expand_dims": on_each(
        lambda x, p: np.expand_dims(x, tuple(a + 1 for a in p["dimensions"]))
    ),
    "transpose": on_each(_transpose),
    "rev": on_each(lambda x, p: np.flip(x, tuple(a + 1 for a in p["dimensions"]))),
    "slice": on_each(_slice),
    "sort": lambda p, x: _sorted(x, p),
}


def _sorted(x: Interval, params: _Params) -> Interval:
    axis = params["dimension"] + 1
    # The k-th smallest number lies between the k-th smallest bounds; which number it
    # is may change within the box.
    lo, hi = np.sort(x.lo, axis), np.sort(x.hi, axis)
    return Interval(lo, hi, np.zeros(lo.shape, bool))


def _same_batch(parts: tuple[Interval, ...]) -> list[Interval]:
    count = max(x.lo.shape[0] for x in parts)
    return [
        Interval(*(np.broadcast_to(a, (count, *a.shape[1:])) for a in x)) for x in parts
    ]


def concatenate(params: _Params, *parts: Interval) -> Interval:
    axis = params["dimension"] + 1
    columns = zip(*_same_batch(parts), strict=True)
    return Interval(*(np.concatenate(c, axis) for c in columns))


def stack(params: _Params, *parts: Interval) -> Interval:
    axis = params["axis"] + 1
    columns = zip(*_same_batch(parts), strict=True)
    return Interval(*(np.stack(c, axis) for c in columns))


def unstack(params: _Params, x: Interval) -> list[Interval]:
    axis = params["axis"] + 1
    count = x.lo.shape[axis]
    return [Interval(*(np.take(part, k, axis) for part in x)) for k in range(count)]


def split(params: _Params, x: Interval) -> list[Interval]:
    ends = np.cumsum(params["sizes"])[:-1]
    parts = (np.split(part, ends, params["axis"] + 1) for part in x)
    return [Interval(*piece) for piece in zip(*parts, strict=True)]


def pad(params: _Params, x: Interval, value: Interval) -> Interval:
    shape, inner, kept = [], [], []
    for size, (low, high, gap) in zip(
        x.lo.shape[1:], params["padding_config"], strict=True
    ):
        width = max(size + (size - 1) * gap, 0)
        # A negative padding cuts off.
        cut = max(-low, 0)
        kept.append(slice(cut, cut + low + width + high))
        shape.append(max(low, 0) + width + max(high, 0))
        first = max(low, 0)
        inner.append(slice(first, first + width, gap + 1))
    count = max(x.lo.shape[0], value.lo.shape[0])

    def filled(part: np.ndarray, fill: np.ndarray) -> np.ndarray:
        fill = fill.reshape(fill.shape[0], *(1 for _ in shape))
        whole = np.broadcast_to(fill, (count, *shape)).copy()
        whole[(slice(None), *inner)] = part
        return whole[(slice(None), *kept)]

    return Interval(*(filled(a, b) for a, b in zip(x, value, strict=True)))


def dot_general(params: _Params, x: Interval, y: Interval) -> Interval:
    """Products of all pairs, then their sums; as large as both together."""
    (sum_x, sum_y), (batch_x, batch_y) = params["dimension_numbers"]
    names = iter(string.ascii_lowercase)
    of_x = [next(names) for _ in range(x.lo.ndim - 1)]
    of_y = [next(names) for _ in range(y.lo.ndim - 1)]
    for i, j in zip((*sum_x, *batch_x), (*sum_y, *batch_y), strict=True):
        of_y[j] = of_x[i]
    batch = [of_x[i] for i in batch_x]
    free_x = [n for i, n in enumerate(of_x) if i not in (*sum_x, *batch_x)]
    free_y = [n for j, n in enumerate(of_y) if j not in (*sum_y, *batch_y)]
    summed = [of_x[i] for i in sum_x]
    order = [*batch, *free_x, *free_y, *summed]
    products = mul(_spread(x, of_x, order), _spread(y, of_y, order))
    return total(products, tuple(range(len(order) - len(summed), len(order))))


def _spread(x: Interval, names: list[str], order: list[str]) -> Interval:
    """Put named axes in their order, with an axis of length one where none is."""
    there = [n for n in order if n in names]
    axes = (0, *(names.index(n) + 1 for n in there))
    sizes = {n: x.lo.shape[names.index(n) + 1] for n in there}
    shape = (x.lo.shape[0], *(sizes.get(n, 1) for n in order))
    return Interval(*(np.transpose(part, axes).reshape(shape) for part in x))


def reduce_sum(params: _Params, x: Interval) -> Interval:
    return total(x, tuple(int(axis) for axis in params["axes"]))


def folded(
    rule: Callable[[Interval, Interval], Interval],
) -> Callable[[_Params, Interval], Interval]:
    """Fold a rule of two operands along axes."""

    def reduce(params: _Params, x: Interval) -> Interval:
        axes = sorted(a + 1 for a in params["axes"])
        front = [np.moveaxis(p, axes, range(len(axes))) for p in x]
        rest = front[0].shape[len(axes) :]
        flat = [p.reshape(-1, *rest) for p in front]
        result = Interval(*(p[0] for p in flat))
        for k in range(1, flat[0].shape[0]):
            result = rule(result, Interval(*(p[k] for p in flat)))
        return result

    return reduce


def largest(params: _Params, x: Interval) -> Interval:
    """The maximum; smooth where one number is the largest all over the box."""
    axes = tuple(a + 1 for a in params["axes"])
    lo, hi = np.max(x.lo, axes), np.max(x.hi, axes)
    rivals = np.sum(x.hi >= np.expand_dims(lo, axes), axes)
    return Interval(lo, hi, np.all(x.regular, axes) & (rivals == 1))


def smallest(params: _Params, x: Interval) -> Interval:
    high = largest(params, Interval(-x.hi, -x.lo, x.regular))
    return Interval(-high.hi, -high.lo, high.regular)


def cumulative(
    rule: Callable[[Interval, Interval], Interval],
) -> Callable[[_Params, Interval], Interval]:
    """Running sums, products and extremes."""

    def run(params: _Params, x: Interval) -> Interval:
        axis = params["axis"] + 1
        order = range(x.lo.shape[axis])
        if params["reverse"]:
            order = reversed(order)
        parts, latest = {}, None
        for k in order:
            here = Interval(*(np.take(p, k, axis) for p in x))
            latest = here if latest is None else rule(latest, here)
            parts[k] = latest
        columns = zip(*(parts[k] for k in sorted(parts)), strict=True)
        return Interval(*(np.stack(c, axis) for c in columns))

    return run


REDUCTIONS: dict[str, Callable[[_Params, Interval], Interval]] = {
    "reduce_sum": reduce_sum,
    "reduce_max": largest,
    "reduce_min": smallest,
    "reduce_prod": folded(mul),
    "reduce_and": folded(both),
    "cumsum": cumulative(add),
    "cumprod": cumulative(mul),
    "cummax": cumulative(maximum),
    "cummin": cumulative(minimum),
}


def moved_by_jax(
    primitive: Any, params: _Params, operands: list[Interval], moved: list[int]
) -> Interval:
    """Gather, slice and scatter by JAX itself: bounds move as numbers do.

    Args:
        primitive: The primitive.
        params: Its parameters.
        operands: Its operands; those that are not moved are whole numbers, indices.
        moved: Which operands hold the numbers.

    Returns:
        What they become.

    Raises:
        NotImplementedError: An index is not one number.
    """
    count = max(x.lo.shape[0] for x in operands)
    fixed = [x for k, x in enumerate(operands) if k not in moved]
    if any((x.lo != x.hi).any() or not x.regular.all() for x in fixed):
        raise NotImplementedError(primitive.name)
    indices = [x.lo.astype(np.int64) for x in fixed]

    def act(numbers: list[np.ndarray], integers: list[np.ndarray]) -> Any:
        numbers, integers = list(numbers), list(integers)
        arrays = [
            numbers.pop(0) if k in moved else integers.pop(0)
            for k in range(len(operands))
        ]
        return primitive.bind(*arrays, **params)

    def whole(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (count, *array.shape[1:]))

    with jax.enable_x64(True):
        both_ways = [
            np.asarray(
                jax.vmap(act)(
                    [whole(operands[k][part].astype(float)) for k in moved],
                    [whole(i) for i in indices],
                )
            )
            for part in range(3)
        ]
    lo, hi, flags = both_ways
    return make(lo, hi, flags > 0)
