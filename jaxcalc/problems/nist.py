"""Fits from NIST's Statistical Reference Datasets, with their certified parameters.

Each has two starts: the first is far, the second near. Parameters and sums of squares
were certified to eleven digits in extended precision.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcalc import _checks
from jaxcalc.problems import _data
from jaxcalc.problems.nonlinear_regression import nonlinear_regression
from jaxcalc.problems.problem import Problem

__all__ = ["nist", "nist_names"]

_X = Float[Array, " n"]


def _saturation(b: Float[Array, "2"], x: _X) -> _X:
    return -b[0] * jnp.expm1(-b[1] * x)


def _misra1b(b: Float[Array, "2"], x: _X) -> _X:
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2)


def _misra1c(b: Float[Array, "2"], x: _X) -> _X:
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def _misra1d(b: Float[Array, "2"], x: _X) -> _X:
    return b[0] * b[1] * x / (1 + b[1] * x)


def _power(b: Float[Array, "2"], x: _X) -> _X:
    return b[0] * x ** b[1]


def _rat42(b: Float[Array, "3"], x: _X) -> _X:
    return b[0] / (1 + jnp.exp(b[1] - b[2] * x))


def _rat43(b: Float[Array, "4"], x: _X) -> _X:
    return b[0] / (1 + jnp.exp(b[1] - b[2] * x)) ** (1 / b[3])


def _eckerle4(b: Float[Array, "3"], x: _X) -> _X:
    return b[0] / b[1] * jnp.exp(-(((x - b[2]) / b[1]) ** 2) / 2)


def _lanczos3(b: Float[Array, "6"], x: _X) -> _X:
    return sum((b[k] * jnp.exp(-b[k + 1] * x) for k in (0, 2, 4)), jnp.zeros_like(x))


def _thurber(b: Float[Array, "7"], x: _X) -> _X:
    top = b[0] + x * (b[1] + x * (b[2] + x * b[3]))
    return top / (1 + x * (b[4] + x * (b[5] + x * b[6])))


class _Fit(NamedTuple):
    model: Callable[..., jax.Array]
    formula: str
    x: Any
    y: Any
    starts: tuple[tuple[float, ...], tuple[float, ...]]
    certified: tuple[float, ...]
    squares: float


_MISRA_X = (
    *(77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8),
    *(378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0),
)
_MISRA_Y = (
    *(10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02),
    *(44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78),
)
_FITS = {
    "misra1a": _Fit(
        _saturation,
        "b1 (1 - exp(-b2 x))",
        _MISRA_X,
        _MISRA_Y,
        ((500, 1e-4), (250, 5e-4)),
        (2.3894212918e2, 5.5015643181e-4),
        1.2455138894e-1,
    ),
    "misra1b": _Fit(
        _misra1b,
        "b1 (1 - (1 + b2 x / 2)^-2)",
        _MISRA_X,
        _MISRA_Y,
        ((500, 1e-4), (300, 2e-4)),
        (3.3799746163e2, 3.9039091287e-4),
        7.5464681533e-2,
    ),
    "misra1c": _Fit(
        _misra1c,
        "b1 (1 - (1 + 2 b2 x)^-0.5)",
        _MISRA_X,
        _MISRA_Y,
        ((500, 1e-4), (600, 2e-4)),
        (6.3642725809e2, 2.0813627256e-4),
        4.0966836971e-2,
    ),
    "misra1d": _Fit(
        _misra1d,
        "b1 b2 x / (1 + b2 x)",
        _MISRA_X,
        _MISRA_Y,
        ((500, 1e-4), (450, 3e-4)),
        (4.3736970754e2, 3.0227324449e-4),
        5.6419295283e-2,
    ),
    "danwood": _Fit(
        _power,
        "b1 x^b2",
        (1.309, 1.471, 1.490, 1.565, 1.611, 1.680),
        (2.138, 3.421, 3.597, 4.340, 4.882, 5.660),
        ((1, 5), (0.7, 4)),
        (7.6886226176e-1, 3.8604055871),
        4.3173084083e-3,
    ),
    "boxbod": _Fit(
        _saturation,
        "b1 (1 - exp(-b2 x))",
        (1, 2, 3, 5, 7, 10),
        (109, 149, 149, 191, 213, 224),
        ((1, 1), (100, 0.75)),
        (2.1380940889e2, 5.4723748542e-1),
        1.1680088766e3,
    ),
    "rat42": _Fit(
        _rat42,
        "b1 / (1 + exp(b2 - b3 x))",
        (9, 14, 21, 28, 42, 57, 63, 70, 79),
        (8.930, 10.800, 18.590, 22.330, 39.350, 56.110, 61.730, 64.620, 67.080),
        ((100, 1, 0.1), (75, 2.5, 0.07)),
        (7.2462237576e1, 2.6180768402, 6.7359200066e-2),
        8.0565229338,
    ),
    "rat43": _Fit(
        _rat43,
        "b1 / (1 + exp(b2 - b3 x))^(1 / b4)",
        np.arange(1, 16),
        (
            *(16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53),
            *(590.03, 651.92, 724.93, 699.56, 689.96, 637.56, 717.41),
        ),
        ((100, 10, 1, 1), (700, 5, 0.75, 1.3)),
        (6.9964151270e2, 5.2771253025, 7.5962938329e-1, 1.2792483859),
        8.7864049080e3,
    ),
    "eckerle4": _Fit(
        _eckerle4,
        "b1 / b2 exp(-((x - b3) / b2)^2 / 2)",
        (
            *(400, 405, 410, 415, 420, 425, 430),
            *np.arange(435, 465, 1.5),
            *(465, 470, 475, 480, 485, 490, 495, 500),
        ),
        (
            *(0.0001575, 0.0001699, 0.0002350, 0.0003102, 0.0004917, 0.0008710),
            *(0.0017418, 0.0046400, 0.0065895, 0.0097302, 0.0149002, 0.0237310),
            *(0.0401683, 0.0712559, 0.1264458, 0.2073413, 0.2902366, 0.3445623),
            *(0.3698049, 0.3668534, 0.3106727, 0.2078154, 0.1164354, 0.0616764),
            *(0.0337200, 0.0194023, 0.0117831, 0.0074357, 0.0022732, 0.0008800),
            *(0.0004579, 0.0002345, 0.0001586, 0.0001143, 0.0000710),
        ),
        ((1, 10, 500), (1.5, 5, 450)),
        (1.5543827178, 4.0888321754, 4.5154121844e2),
        1.4635887487e-3,
    ),
    "lanczos3": _Fit(
        _lanczos3,
        "b1 exp(-b2 x) + b3 exp(-b4 x) + b5 exp(-b6 x)",
        np.arange(24) / 20,
        (
            *(2.5134, 2.0443, 1.6684, 1.3664, 1.1232, 0.9269, 0.7679, 0.6389),
            *(0.5338, 0.4479, 0.3776, 0.3197, 0.2720, 0.2325, 0.1997, 0.1723),
            *(0.1493, 0.1301, 0.1138, 0.1000, 0.0883, 0.0783, 0.0698, 0.0624),
        ),
        ((1.2, 0.3, 5.6, 5.5, 6.5, 7.6), (0.5, 0.7, 3.6, 4.2, 4, 6.3)),
        (
            *(8.6816414977e-2, 9.5498101505e-1, 8.4400777463e-1),
            *(2.9515951832, 1.5825685901, 4.9863565084),
        ),
        1.6117193594e-8,
    ),
    "thurber": _Fit(
        _thurber,
        "(b1 + b2 x + b3 x^2 + b4 x^3) / (1 + b5 x + b6 x^2 + b7 x^3)",
        (
            *(-3.067, -2.981, -2.921, -2.912, -2.840, -2.797, -2.702, -2.699),
            *(-2.633, -2.481, -2.363, -2.322, -1.501, -1.460, -1.274, -1.212),
            *(-1.100, -1.046, -0.915, -0.714, -0.566, -0.545, -0.400, -0.309),
            *(-0.109, -0.103, 0.010, 0.119, 0.377, 0.790, 0.963, 1.006),
            *(1.115, 1.572, 1.841, 2.047, 2.200),
        ),
        (
            *(80.574, 84.248, 87.264, 87.195, 89.076, 89.608, 89.868, 90.101),
            *(92.405, 95.854, 100.696, 101.060, 401.672, 390.724, 567.534, 635.316),
            *(733.054, 759.087, 894.206, 990.785, 1090.109, 1080.914, 1122.643),
            *(1178.351, 1260.531, 1273.514, 1288.339, 1327.543, 1353.863, 1414.509),
            *(1425.208, 1421.384, 1442.962, 1464.350, 1468.705, 1447.894, 1457.628),
        ),
        ((1000, 1000, 400, 40, 0.7, 0.3, 0.03), (1300, 1500, 500, 75, 1, 0.4, 0.05)),
        (
            *(1.2881396800e3, 1.4910792535e3, 5.8323836877e2, 7.5416644291e1),
            *(9.6629502864e-1, 3.9797285797e-1, 4.9727297349e-2),
        ),
        5.6427082397e3,
    ),
}


def nist_names() -> tuple[str, ...]:
    """Names of the fits.

    Returns:
        The names that `nist` takes, sorted.
    """
    return tuple(sorted(_FITS))


def nist(name: str, start: int = 1) -> Problem:
    r"""A fit of NIST's Statistical Reference Datasets.

    $$f(b) = \sum_i \left(\mathrm{model}(b, x_i) - y_i\right)^2$$

    The title has the model's formula. The set's MGH09, MGH10 and MGH17 are problems 15,
    10 and 17 of `more_garbow_hillstrom`.

    Args:
        name: One of `nist_names()`.
        start: 1 for the far one, 2 for the near one; it becomes `standard_start`.

    Returns:
        The problem; its minimum and minimizer are the certified ones, to 11 digits.

    Raises:
        TypeError: `start` is not an integer.
        ValueError: There is no such fit or start.

    References:
        National Institute of Standards and Technology, Statistical Reference Datasets:
        nonlinear regression, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml.
    """
    fit = _FITS[_checks.known("fit", name, nist_names())]
    if _checks.positive_int("start", start) > 2:
        raise ValueError(f"`start` must be 1 or 2, got {start}")
    return nonlinear_regression(
        _data.named(f"nist_{name}", ("start", start, 1)),
        fit.model,
        fit.x,
        fit.y,
        np.array(fit.starts[start - 1], float),
        minimum=fit.squares,
        minimizers=[fit.certified],
        title=f"NIST {name.capitalize()}, start {start}: {fit.formula}",
        source="NIST Statistical Reference Datasets, nonlinear regression",
    )
