r"""Interval vectors and matrices: products, inertia, bounds on eigenvalues.

Sylvester's law: $Q^T H Q$ has as many positive and negative eigenvalues as $H$, for any
regular $Q$. With the eigenvectors of a matrix in the middle of an interval matrix the
products are nearly diagonal, and Gershgorin's discs tell the signs.

References:
    Horn and Johnson (2013), Matrix Analysis, theorems 4.3.1, 4.5.8, 6.1.1 and 8.1.26.
"""

from typing import NamedTuple

import numpy as np

from jaxcalc.analysis.intervals import Interval
from jaxcalc.analysis.intervals._basic import add, down, mul, neg, sub, total, up


class Eigenvalues(NamedTuple):
    """What is proved about all matrices of an interval, one row for each box."""

    below: np.ndarray  # at least so many eigenvalues are negative
    above: np.ndarray  # at least so many are positive
    low: np.ndarray  # none is smaller
    high: np.ndarray  # none is larger


def points(values: np.ndarray) -> Interval:
    """Numbers as intervals."""
    return Interval(values, values, np.ones(values.shape, bool))


def matmul(a: Interval, b: Interval) -> Interval:
    """Products of matrices, `(boxes, i, j)` by `(boxes, j, k)`."""
    left = Interval(*(part[..., None] for part in a))
    right = Interval(*(part[:, None] for part in b))
    return total(mul(left, right), (1,))


def matvec(a: Interval, x: Interval) -> Interval:
    """Products of matrices and vectors, `(boxes, i, j)` by `(boxes, j)`."""
    return total(mul(a, Interval(*(part[:, None] for part in x))), (1,))


def middle(x: Interval) -> np.ndarray:
    """Floats in the middle; zero where there is no bound."""
    half = x.lo + (x.hi - x.lo) / 2
    return np.where(np.isfinite(half), half, 0.0)


def eigenvalues(h: Interval) -> Eigenvalues:
    """Signs and bounds of the eigenvalues of symmetric matrices, `(boxes, n, n)`."""
    with np.errstate(all="ignore"):
        center = middle(h)
        center = (center + np.swapaxes(center, 1, 2)) / 2
        q = np.linalg.eigh(center)[1]
        turned = matmul(matmul(points(np.swapaxes(q, 1, 2)), h), points(q))
        defect = _defect(q)
        known = np.isfinite(h.lo).all((1, 2)) & np.isfinite(h.hi).all((1, 2))
        regular = known & (defect < 1)
        lows, highs = _discs(turned)
        sums = _discs(h)
        low, high = _extremes(lows.min(1), highs.max(1), defect)
        wide = _of_middle_and_radius(h, center, q)
        low = np.fmax(np.fmax(low, sums[0].min(1)), wide[0])
        high = np.fmin(np.fmin(high, sums[1].max(1)), wide[1])
        # Half of the discs on one side count half of the eigenvalues there, if they
        # are apart from the others: each is, for none of the counted reaches zero.
        whole = np.all((lows > 0) | (highs < 0), axis=1)
        below = np.where(regular, _count(highs < 0, whole, high < 0), 0)
        above = np.where(regular, _count(lows > 0, whole, low > 0), 0)
    low = np.where(known, low, -np.inf)
    high = np.where(known, high, np.inf)
    return Eigenvalues(below, above, low, high)


def _count(signs: np.ndarray, whole: np.ndarray, every: np.ndarray) -> np.ndarray:
    count = np.where(whole, signs.sum(1), 0)
    return np.where(every, signs.shape[1], count)


def _discs(h: Interval) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Gershgorin's discs, `(boxes, n)` each."""
    size = np.maximum(np.abs(h.lo), np.abs(h.hi))
    axis = np.arange(size.shape[1])
    size[:, axis, axis] = 0.0
    around = total(points(size), (1,))
    center = Interval(h.lo[:, axis, axis], h.hi[:, axis, axis], h.regular[:, axis, 0])
    return sub(center, around).lo, add(center, around).hi


def _defect(q: np.ndarray) -> np.ndarray:
    """How far Q^T Q is from the identity, at most."""
    gram = matmul(points(np.swapaxes(q, 1, 2)), points(q))
    off = sub(gram, points(np.broadcast_to(np.eye(q.shape[1]), q.shape)))
    size = np.maximum(np.abs(off.lo), np.abs(off.hi))
    return total(points(size), (1,)).hi.max(1)


def _extremes(
    low: np.ndarray, high: np.ndarray, defect: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on x^T H x / x^T x from those on y^T Q^T H Q y / y^T y."""
    some, more, one = down(1 - defect), up(1 + defect), np.minimum(defect, 0.5)
    some = np.where(defect < 0.5, some, down(1 - one))
    low = np.where(low >= 0, down(low / more), down(low / some))
    high = np.where(high <= 0, up(high / more), up(high / some))
    bad = ~(defect < 0.5)
    return np.where(bad, -np.inf, low), np.where(bad, np.inf, high)


def _of_middle_and_radius(
    h: Interval, center: np.ndarray, q: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weyl: the eigenvalues of the middle, moved by no more than the radius's norm."""
    turned = matmul(matmul(points(np.swapaxes(q, 1, 2)), points(center)), points(q))
    lows, highs = _discs(turned)
    low, high = _extremes(lows.min(1), highs.max(1), _defect(q))
    off = sub(h, points(center))
    radius = np.maximum(np.abs(off.lo), np.abs(off.hi))
    reach = _norm(np.maximum(radius, np.swapaxes(radius, 1, 2)))
    return down(low - reach), up(high + reach)


def _norm(radius: np.ndarray) -> np.ndarray:
    """The largest eigenvalue of matrices without negative entries, from above."""
    # Collatz and Wielandt: for any positive v no eigenvalue exceeds max (Rv)_i / v_i.
    safe = np.where(np.isfinite(radius), radius, 0.0)
    v = np.abs(np.linalg.eigh(safe)[1][:, :, -1])
    v = np.maximum(v, 1e-3)
    product = matvec(points(radius), points(v)).hi
    return np.minimum(up(product / v).max(1), total(points(radius), (1,)).hi.max(1))


def krawczyk(
    lo: np.ndarray,
    hi: np.ndarray,
    at: Interval,
    center: np.ndarray,
    jacobian: Interval,
) -> tuple[Interval, Interval]:
    r"""Krawczyk's operator and the mean value form of a field over boxes.

    $$K(X) = m - Y g(m) + (I - Y H(X)) (X - m)$$

    holds every root of $g$ in $X$; if it lies inside of $X$ there is exactly one. $Y$
    may be any matrix; here it is the inverse of the middle of $H(X)$.

    Args:
        lo: Lower corners, `(boxes, n)`.
        hi: Upper corners.
        at: The field at the centers.
        center: Points of the boxes.
        jacobian: Its Jacobian over the boxes.

    Returns:
        The operator and the mean value form $g(m) + H(X)(X - m)$, `(boxes, n)` each;
        NaN where there is none.

    References:
        Moore, Kearfott and Cloud (2009), Introduction to Interval Analysis, section
        8.2.
    """
    with np.errstate(all="ignore"):
        y = points(_inverse(middle(jacobian)))
        here = points(center)
        reach = sub(points(lo), here), sub(points(hi), here)
        around = Interval(reach[0].lo, reach[1].hi, reach[0].regular)
        mean = add(at, matvec(jacobian, around))
        identity = points(np.broadcast_to(np.eye(lo.shape[1]), jacobian.lo.shape))
        rest = matvec(sub(identity, matmul(y, jacobian)), around)
        moved = add(add(here, neg(matvec(y, at))), rest)
    return moved, mean


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses; the identity for a matrix that has none."""
    n = matrices.shape[1]
    size = np.abs(matrices).max((1, 2), keepdims=True)
    scaled = matrices / np.where(size > 0, size, 1.0)
    bad = ~(np.abs(np.linalg.det(scaled)) > 0)
    scaled[bad] = np.eye(n)
    inverse = np.linalg.inv(scaled) / np.where(size > 0, size, 1.0)
    inverse[bad] = np.eye(n)
    return np.where(np.isfinite(inverse), inverse, 0.0)
