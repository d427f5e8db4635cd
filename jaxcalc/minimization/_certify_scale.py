"""The natural size of parameters, of gradients and of curvature around a point."""

from typing import NamedTuple

import numpy as np

from jaxcalc.minimization._certify_tools import TOGETHER, Ends, Evaluation, Tools

# Rounds of equilibration; each halves the distance from one, in logarithms.
_ROUNDS = 20
_PRODUCTS = 300


class Curvature(NamedTuple):
    """A Hessian in the natural scale of the parameters.

    Attributes:
        scales: Each parameter times its scale has a curvature of about one.
        values: Eigenvalues of the scaled Hessian, increasing: all, or both ends.
        vectors: Their eigenvectors, as columns.
        rounding: What rounding may have done to the eigenvalues.
        plain: Both ends of the spectrum of the Hessian itself.
        plain_error: What rounding may have done to those.
        lengths: The size of each parameter, in its own unit.
        reach: The gradient that a change of all parameters by their size makes, scaled.
        ends: How both ends were found, None if all eigenvalues are there.
    """

    scales: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    rounding: float
    plain: tuple[float, float]
    plain_error: float
    lengths: np.ndarray
    reach: np.ndarray
    ends: Ends | None

    @property
    def norm(self) -> float:
        """The largest eigenvalue by absolute value."""
        return float(np.max(np.abs(self.values)))


def curvature(tools: Tools, here: Evaluation) -> Curvature:
    """Scale the Hessian and find its eigenvalues.

    Args:
        tools: The loss.
        here: Its evaluation at the point.

    Returns:
        The scaled curvature.
    """
    return _ends(tools, here) if here.hessian is None else _dense(tools, here)


def lengths_of(tools: Tools, value: float, scales: np.ndarray) -> np.ndarray:
    """How large a parameter is: its value, or what changes the loss by its size.

    A parameter of value zero is as large as what changes a loss by one, or by its own
    value if that is larger; but not larger than one, the unit that people choose.

    Args:
        tools: The loss.
        value: Its value at the point.
        scales: The scales of the parameters.

    Returns:
        A length for each parameter.
    """
    usual = np.minimum(1.0, np.sqrt(max(1.0, abs(value))) / scales)
    return np.maximum(np.abs(tools.x), usual)


def equilibrate(matrix: np.ndarray) -> np.ndarray:
    """Scales that bring the largest entry of each row to one.

    A definite matrix gets a diagonal of ones (Jacobi scaling); others, whose diagonals
    may vanish, are scaled as well. A row of zeros keeps its scale of one.

    Args:
        matrix: A symmetric matrix.

    Returns:
        Positive scales; divide rows and columns by them.

    References:
        Ruiz (2001), A scaling algorithm to equilibrate both rows and columns norms in
        matrices, RAL-TR-2001-034. Van der Sluis (1969), Condition numbers and
        equilibration of matrices, Numerische Mathematik 14, for how near to the best
        scaling this is.
    """
    size = np.abs(matrix)
    start = np.sqrt(np.diagonal(size))
    scales = np.where(start > 0, start, 1.0)
    for _ in range(_ROUNDS):
        largest = np.max(size / scales / scales[:, None], axis=1)
        scales = scales * np.sqrt(np.where(largest > 0, largest, 1.0))
    return np.where(np.max(size, axis=1) > 0, scales, 1.0)


def _dense(tools: Tools, here: Evaluation) -> Curvature:
    hessian = here.hessian
    assert hessian is not None
    scales = equilibrate(hessian)
    scaled = hessian / scales / scales[:, None]
    values, vectors = np.linalg.eigh(scaled)
    plain = np.linalg.eigvalsh(hessian)
    unit = 10 * len(scales) * tools.eps
    lengths = lengths_of(tools, here.value, scales)
    return Curvature(
        scales=scales,
        values=values,
        vectors=vectors,
        rounding=unit * float(np.max(np.abs(values))),
        plain=(float(plain[0]), float(plain[-1])),
        plain_error=unit * float(np.max(np.abs(plain))),
        lengths=lengths,
        reach=np.abs(scaled) @ (scales * lengths),
        ends=None,
    )


def _ends(tools: Tools, here: Evaluation) -> Curvature:
    """The same for many parameters; any positive scales leave the signs as they are."""
    n = len(tools.x)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (TOGETHER, n))
    rows = np.sqrt(np.mean(tools.products(tools.x, signs) ** 2, axis=0))
    scales = np.sqrt(np.where(rows > 0, rows, 1.0))
    ends = tools.ends(scales, _PRODUCTS)
    plain = tools.ends(np.ones(n), _PRODUCTS)
    lengths = lengths_of(tools, here.value, scales)
    sizes = scales * lengths
    unit = 10 * n**0.5 * tools.eps
    return Curvature(
        scales=scales,
        values=ends.values,
        vectors=ends.vectors,
        rounding=float(np.max(ends.residuals) + unit * np.max(np.abs(ends.values))),
        plain=(float(plain.values[0]), float(plain.values[1])),
        plain_error=float(np.max(plain.residuals)),
        lengths=lengths,
        # No row of the Hessian is known; its diagonal is about one.
        reach=np.maximum(sizes, np.sqrt(np.mean(sizes**2))),
        ends=ends,
    )
