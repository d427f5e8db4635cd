"""Hessian-vector products against differences of gradients, entry by entry."""

from typing import NamedTuple

import numpy as np

from jaxcalc.derivatives._check.directions import (
    Known,
    Look,
    far_steps,
    leaf_ends,
    look,
)
from jaxcalc.derivatives._check.probe import Probe
from jaxcalc.derivatives._check.slopes import NOISE, measure

_MARGIN = 1.5
_ROUNDINGS = 1e3
_RESOLVED = 0.05


class Second(NamedTuple):
    """What was found about the second derivative.

    Attributes:
        wrong: Entries of the product that contradict the differences, a mask `(n,)`.
        kink: Entries of the gradient that have a kink here, a mask `(n,)`.
        resolved: Entries about which the differences say something, a mask `(n,)`.
        product: The Hessian-vector product, shape `(n,)`.
        difference: The same by differences of gradients, shape `(n,)`.
        error: How far that may be off, shape `(n,)`.
        half_gap: Half the difference between the one-sided slopes, shape `(n,)`.
        asymmetry: How much $u^T H v$ and $v^T H u$ differ, relative to their size.
        asymmetric: Whether that is more than rounding.
        curvature: The second differences of values that contradict the product, as
            `(product, difference, error)`, or None.
    """

    wrong: np.ndarray
    kink: np.ndarray
    resolved: np.ndarray
    product: np.ndarray
    difference: np.ndarray
    error: np.ndarray
    half_gap: np.ndarray
    asymmetry: float
    asymmetric: bool
    curvature: tuple[float, float, float] | None


def check_second(
    probe: Probe, known: Known, looks: list[Look], products: np.ndarray
) -> Second:
    """Hold two Hessian-vector products against differences.

    Args:
        probe: The function at its point.
        known: What automatic differentiation says of the first order.
        looks: The two directions, looked at with wide steps.
        products: The products with them, shape `(2, n)`.

    Returns:
        Masks and numbers for every entry.
    """
    order = sorted(range(2), key=lambda i: _relative(looks[i]))
    best = order[0]
    found = _quick(probe, known, looks[best], products[best])
    if found.wrong.any() or found.resolved.mean() < 0.9:
        found = _thorough(probe, known, looks[best], products[best])
        if found.wrong.any() or found.kink.any():
            other = _thorough(probe, known, looks[order[1]], products[order[1]])
            certain = len(found.wrong) == 1 or (other.wrong | other.kink).any()
            found = found._replace(
                wrong=found.wrong & certain, kink=found.kink & certain
            )
    asymmetry, asymmetric = _asymmetry(known, looks, products)
    return found._replace(
        asymmetry=asymmetry,
        asymmetric=asymmetric,
        curvature=_curvature(probe, known, looks, products),
    )


def _relative(one: Look) -> float:
    slope = one.slopes.slope
    return float(slope.error / (np.fmax(one.size, np.abs(slope.value)) + 1e-300))


def _quick(probe: Probe, known: Known, one: Look, product: np.ndarray) -> Second:
    """Two steps: four gradients."""
    steps, slope = one.slopes.steps, one.slopes.slope
    last = int(slope.rung)
    fine = steps[last] if last > int(slope.first) else steps[last] / 8
    fine = min(fine, steps[1])
    ratio = 8.0
    signed = fine * np.array([ratio, -ratio, 1.0, -1.0])
    g = probe.gradients(one.row, signed)
    with np.errstate(invalid="ignore", over="ignore"):
        wide, near = (g[0] - g[1]) / (2 * signed[0]), (g[2] - g[3]) / (2 * fine)
        bend, bent = ((p + q) / 2 - known.gradient for p, q in ((g[0], g[1]), g[2:4]))
        scatter = np.abs(bent - bend / ratio**2)
    noise = _pooled(probe, scatter)
    noise = np.fmax(noise, 2 * known.eps * _pooled(probe, known.gradient))
    difference = near + (near - wide) / (ratio**2 - 1)
    error = _MARGIN * np.abs(near - wide) + NOISE * noise / fine
    error = np.where(np.isfinite(error), error, np.inf)
    return _judged(probe, known, one, product, difference, error, None)


def _thorough(probe: Probe, known: Known, one: Look, product: np.ndarray) -> Second:
    """A whole ladder of gradients, extrapolated for every entry."""
    steps = far_steps(known)
    g = probe.gradients(one.row, np.concatenate([steps, -steps])).T
    g = np.where(np.isfinite(g), g, np.nan)
    right, left = g[:, : len(steps)], g[:, len(steps) :]
    floor = 2 * known.eps * _pooled(probe, known.gradient)
    ladder = (steps, known.gradient, right, left)
    noise = measure(*ladder, eps=known.eps, floor=floor).noise
    slopes = measure(*ladder, eps=known.eps, floor=floor, noise=_pooled(probe, noise))
    slope, kink = slopes.slope, slopes.kink
    # What changes within the smallest step looks like noise: nothing is said of it.
    loud = slopes.noise > 100 * slopes.rounding
    hidden = loud & (10 * np.abs(product) * steps[-1] > slopes.noise)
    error = np.where(hidden, np.inf, slope.error)
    return _judged(probe, known, one, product, slope.value, error, kink)


def _judged(probe, known, one, product, difference, error, kink):
    typical = _pooled(probe, product)
    # A sum that cancels leaves the rounding of its terms, as large as the value's.
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.fmax(typical, abs(known.center) / np.abs(one.row))
    terms = np.where(np.isfinite(terms), terms, typical)
    tolerance = _MARGIN * error + _ROUNDINGS * known.eps * terms
    allowed = known.allowed & np.isfinite(product)
    with np.errstate(invalid="ignore"):
        apart = np.abs(product - difference) > tolerance
        scale = np.fmax(typical, np.abs(difference))
        floor = 1e4 * known.eps * _pooled(probe, known.gradient)
        resolved = error <= np.fmax(_RESOLVED * scale, floor)
    kinked = np.zeros(len(product), bool)
    gap = np.zeros(len(product))
    if kink is not None:
        gap = np.where(np.isfinite(kink.error), kink.value, 0.0)
        least = known.eps**0.4 * np.fmax(scale, 0.0)
        with np.errstate(invalid="ignore"):
            kinked = np.abs(gap) > _MARGIN * kink.error + least
    wrong = apart & np.isfinite(error) & allowed & ~kinked
    return Second(
        wrong,
        kinked & allowed,
        resolved | ~allowed,
        product,
        difference,
        error,
        gap,
        0.0,
        False,
        None,
    )


def _pooled(probe: Probe, entries: np.ndarray) -> np.ndarray:
    # One sample says little about the noise of one entry; a leaf's say much together.
    pooled = []
    for part in np.split(np.abs(entries), leaf_ends(probe)[:-1]):
        known = np.where(np.isfinite(part), part, 0.0)
        top = np.max(known, initial=0.0)
        mean = top * np.sqrt(np.mean((known / top) ** 2)) if top > 0 else 0.0
        pooled.append(np.fmax(part, mean))
    return np.concatenate(pooled)


def _asymmetry(known, looks, products):
    u, v = looks[0].row, looks[1].row
    with np.errstate(invalid="ignore"):
        one, two = u * products[1], v * products[0]
    finite = np.isfinite(one) & np.isfinite(two) & known.allowed
    one, two = one[finite], two[finite]
    size = max(np.sum(np.abs(one)), np.sum(np.abs(two)))
    gap = abs(float(np.sum(one) - np.sum(two)))
    relative = gap / size if size else 0.0
    return relative, relative > np.sqrt(known.eps)


def _curvature(probe, known, looks, products):
    """Second differences of values, where they contradict the products."""
    doubtful = [i for i in range(2) if _bends_otherwise(known, looks[i], products[i])]
    if not doubtful:
        return None
    # What changes within the smallest of the wide steps looks like noise to them.
    rows = np.stack([looks[i].row for i in doubtful])
    again = look(probe, known, rows, far_steps(known), forward=np.zeros(len(rows)))
    for i, one in zip(doubtful, again, strict=True):
        found = _bends_otherwise(known, one, products[i])
        if found is not None:
            return found
    return None


def _bends_otherwise(known, one, product):
    with np.errstate(invalid="ignore"):
        parts = np.where(known.allowed, one.row * product, 0.0)
    curve = one.slopes.curve
    value, error = float(curve.value), float(curve.error)
    if not np.isfinite(error) or not np.all(np.isfinite(parts)):
        return None
    size, total = np.linalg.norm(parts), float(np.sum(parts))
    tolerance = 2 * error + _ROUNDINGS * known.eps * size
    resolved = error < _RESOLVED * max(abs(value), size)
    return (
        (total, value, error) if resolved and abs(total - value) > tolerance else None
    )
