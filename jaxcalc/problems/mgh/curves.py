r"""Problems 6, 8 to 12 and 15 to 19: a curve with few parameters, fitted to data.

In all of them $f(x) = \sum_i r_i(x)^2$, and indices count from 1 as in the paper. The
data are arguments of the residual.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcalc.problems.mgh import _build
from jaxcalc.problems.problem import Problem

# The minima and minimizers below were found by Newton's method in 60 digits.

_BARD = (
    *(0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39),
    *(0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39),
)
_GAUSSIAN = (0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989)
_MEYER = (
    *(34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744),
    *(8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872),
)
_KOWALIK_OSBORNE = (
    *(0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627),
    *(0.0456, 0.0342, 0.0323, 0.0235, 0.0246),
)
_KOWALIK_OSBORNE_U = (4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)
_OSBORNE_1 = (
    *(0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751),
    *(0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490),
    *(0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406),
)
_OSBORNE_2 = (
    *(1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746),
    *(0.679, 0.608, 0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649),
    *(0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395),
    *(0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653),
    *(0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739),
    *(0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054),
)


def _jennrich_sampson(
    x: Float[Array, "2"], i: Float[Array, " m"]
) -> Float[Array, " m"]:
    return 2 + 2 * i - (jnp.exp(i * x[0]) + jnp.exp(i * x[1]))


def jennrich_sampson(terms: int = 10) -> Problem:
    r"""Problem 6, Jennrich and Sampson: a large residual, and growing exponentials.

    $$r_i = 2 + 2i - (e^{i x_1} + e^{i x_2})$$

    Args:
        terms: How many residuals there are, at least 2.

    Returns:
        The problem; for 10 residuals its minimum is 124.362..., at (0.2578, 0.2578).
        As one variable tends to minus infinity the value sinks towards 259.580..., as
        both do it tends to $\sum_i (2 + 2i)^2$.
    """
    i = np.arange(1, _build.terms(terms, 2) + 1)
    return _build.problem(
        6,
        "jennrich_sampson",
        "Jennrich and Sampson",
        _jennrich_sampson,
        (0.3, 0.4),
        options=[("terms", len(i), 10)],
        args=(i,),
        minimum=124.36218235561485 if len(i) == 10 else None,
        minimizers=[(0.2578252136703641,) * 2] if len(i) == 10 else [],
        local_minima=[
            *([259.5801901342533] if len(i) == 10 else []),
            float(np.sum((2 + 2 * i) ** 2)),
        ],
    )


def _bard(x: Float[Array, "3"], y: Float[Array, "15"]) -> Float[Array, "15"]:
    u = jnp.arange(1, 16, dtype=x.dtype)
    v = 16 - u
    return y - (x[0] + u / (v * x[1] + jnp.minimum(u, v) * x[2]))


def bard() -> Problem:
    r"""Problem 8, Bard: a rational curve, which has a second minimum at infinity.

    $$r_i = y_i - \left(x_1 + \frac{u_i}{v_i x_2 + w_i x_3}\right), \qquad
    u_i = i,\; v_i = 16 - i,\; w_i = \min(u_i, v_i)$$

    Returns:
        The problem; its minimum is 8.21487...e-3. At (0.8406..., -inf, -inf) the value
        tends to 17.4286..., the fit of a constant.
    """
    return _build.problem(
        8,
        "bard",
        "Bard",
        _bard,
        (1, 1, 1),
        args=(_BARD,),
        minimum=0.008214877306578975,
        minimizers=[(0.08241055974978893, 1.1330360920297216, 2.343695178642537)],
        local_minima=[float(np.sum((np.array(_BARD) - np.mean(_BARD)) ** 2))],
    )


def _gaussian(x: Float[Array, "3"], y: Float[Array, "15"]) -> Float[Array, "15"]:
    t = (8 - jnp.arange(1, 16, dtype=x.dtype)) / 2
    return x[0] * jnp.exp(-x[1] * (t - x[2]) ** 2 / 2) - y


def gaussian() -> Problem:
    r"""Problem 9, Gaussian: the start is within 0.3% of the minimizer.

    $$r_i = x_1 e^{-x_2 (t_i - x_3)^2 / 2} - y_i, \qquad t_i = (8 - i) / 2$$

    Returns:
        The problem; its minimum is 1.12793...e-8.
    """
    return _build.problem(
        9,
        "gaussian",
        "Gaussian",
        _gaussian,
        (0.4, 1, 0),
        args=(_GAUSSIAN + _GAUSSIAN[-2::-1],),
        minimum=1.127932769618648e-08,
        minimizers=[(0.39895613783875666, 1.0000190844878056, 0)],
    )


def _meyer(x: Float[Array, "3"], y: Float[Array, "16"]) -> Float[Array, "16"]:
    t = 45 + 5 * jnp.arange(1, 17, dtype=x.dtype)
    return x[0] * jnp.exp(x[1] / (t + x[2])) - y


def meyer() -> Problem:
    r"""Problem 10, Meyer: the resistance of a thermistor, of very strong curvature.

    $$r_i = x_1 e^{x_2 / (t_i + x_3)} - y_i, \qquad t_i = 45 + 5i$$

    The Hessian's condition number at the minimizer is 1e16, and still 9e6 with every
    parameter in units of its own: they are badly scaled and nearly dependent. From ten
    times the start MINPACK's method needs hundreds of steps.

    Returns:
        The problem; its minimum is 87.9458....
    """
    return _build.problem(
        10,
        "meyer",
        "Meyer",
        _meyer,
        (0.02, 4000, 250),
        args=(_MEYER,),
        minimum=87.94585517085112,
        minimizers=[(0.005609636471028053, 6181.346346286372, 345.2236346241365)],
    )


def _gulf(
    x: Float[Array, "3"], t: Float[Array, " m"], y: Float[Array, " m"]
) -> Float[Array, " m"]:
    return jnp.exp(-(jnp.abs(y - x[1]) ** x[2]) / x[0]) - t


def gulf(terms: int = 99) -> Problem:
    r"""Problem 11, Gulf research and development: a Weibull curve, with corners.

    $$r_i = \exp\left(-\frac{|y_i - x_2|^{x_3}}{x_1}\right) - t_i, \qquad
    t_i = i / 100,\; y_i = 25 + (-50 \ln t_i)^{2/3}$$

    The paper prints a product in place of the difference $y_i - x_2$; with it the
    minimizer that the paper gives would not be one.

    Args:
        terms: How many residuals there are, from 3 to 100.

    Returns:
        The problem; its minimum is 0, at (50, 25, 1.5).

    Raises:
        ValueError: `terms` is not from 3 to 100.
    """
    m = _build.terms(terms, 3)
    if m > 100:
        raise ValueError(f"`terms` must be at most 100, got {m}")
    t = np.arange(1, m + 1) / 100
    return _build.problem(
        11,
        "gulf",
        "Gulf research and development",
        _gulf,
        (5, 2.5, 0.15),
        options=[("terms", m, 99)],
        args=(t, 25 + (-50 * np.log(t)) ** (2 / 3)),
        minimizers=[(50, 25, 1.5)],
    )


def _box_3d(x: Float[Array, "3"], t: Float[Array, " m"]) -> Float[Array, " m"]:
    shape = jnp.exp(-t) - jnp.exp(-10 * t)
    return jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - x[2] * shape


def box_3d(terms: int = 10) -> Problem:
    r"""Problem 12, Box three-dimensional: a difference of exponentials.

    $$r_i = e^{-t_i x_1} - e^{-t_i x_2} - x_3 (e^{-t_i} - e^{-10 t_i}), \qquad
    t_i = i / 10$$

    Args:
        terms: How many residuals there are, at least 3.

    Returns:
        The problem; its minimum is 0, at (1, 10, 1), at (10, 1, -1), and wherever
        $x_1 = x_2$ and $x_3 = 0$.
    """
    m = _build.terms(terms, 3)
    return _build.problem(
        12,
        "box_3d",
        "Box three-dimensional",
        _box_3d,
        (0, 10, 20),
        options=[("terms", m, 10)],
        args=(np.arange(1, m + 1) / 10,),
        minimizers=[(1, 10, 1), (10, 1, -1)],
    )


def _kowalik_osborne(
    x: Float[Array, "4"], u: Float[Array, "11"], y: Float[Array, "11"]
) -> Float[Array, "11"]:
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def kowalik_osborne() -> Problem:
    r"""Problem 15, Kowalik and Osborne: the speed of an enzyme's reaction.

    $$r_i = y_i - \frac{x_1 (u_i^2 + u_i x_2)}{u_i^2 + u_i x_3 + x_4}$$

    Returns:
        The problem; its minimum is 3.07505...e-4. At (inf, -14.07..., -inf, -inf) the
        value tends to 1.02734...e-3.
    """
    return _build.problem(
        15,
        "kowalik_osborne",
        "Kowalik and Osborne",
        _kowalik_osborne,
        (0.25, 0.39, 0.415, 0.39),
        args=(_KOWALIK_OSBORNE_U, _KOWALIK_OSBORNE),
        minimum=0.00030750560384923745,
        minimizers=[
            (
                0.19280693457903786,
                0.19128232873436696,
                0.12305650692632066,
                0.13606233068379484,
            )
        ],
        local_minima=[0.001027343048695458],
    )


def _brown_dennis(x: Float[Array, "4"], t: Float[Array, " m"]) -> Float[Array, " m"]:
    line = x[0] + t * x[1] - jnp.exp(t)
    wave = x[2] + x[3] * jnp.sin(t) - jnp.cos(t)
    return line**2 + wave**2


def brown_dennis(terms: int = 20) -> Problem:
    r"""Problem 16, Brown and Dennis: a very large residual.

    $$r_i = (x_1 + t_i x_2 - e^{t_i})^2 + (x_3 + x_4 \sin t_i - \cos t_i)^2, \qquad
    t_i = i / 5$$

    Args:
        terms: How many residuals there are, at least 4.

    Returns:
        The problem; for 20 residuals its minimum is 85822.2....
    """
    m = _build.terms(terms, 4)
    return _build.problem(
        16,
        "brown_dennis",
        "Brown and Dennis",
        _brown_dennis,
        (25, 5, -5, -1),
        options=[("terms", m, 20)],
        args=(np.arange(1, m + 1) / 5,),
        minimum=85822.20162635634 if m == 20 else None,
        minimizers=[
            (
                -11.594439904762165,
                13.203630051207204,
                -0.40343948817685954,
                0.2367787744557363,
            )
        ]
        if m == 20
        else [],
    )


def _osborne_1(x: Float[Array, "5"], y: Float[Array, "33"]) -> Float[Array, "33"]:
    t = 10 * jnp.arange(33, dtype=x.dtype)
    return y - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))


def osborne_1() -> Problem:
    r"""Problem 17, Osborne 1: two exponentials and a constant.

    $$r_i = y_i - (x_1 + x_2 e^{-t_i x_4} + x_3 e^{-t_i x_5}), \qquad
    t_i = 10 (i - 1)$$

    Returns:
        The problem; its minimum is 5.46489...e-5.
    """
    return _build.problem(
        17,
        "osborne_1",
        "Osborne 1",
        _osborne_1,
        (0.5, 1.5, -1, 0.01, 0.02),
        args=(_OSBORNE_1,),
        minimum=5.464894697482907e-05,
        minimizers=[
            (
                0.37541005210695205,
                1.9358469127123674,
                -1.464687136613423,
                0.012867534640057288,
                0.02212269966167261,
            )
        ],
    )


def _biggs_exp6(x: Float[Array, "6"], t: Float[Array, " m"]) -> Float[Array, " m"]:
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t) + 3 * jnp.exp(-4 * t)
    first = x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1])
    return first + x[5] * jnp.exp(-t * x[4]) - y


def biggs_exp6(terms: int = 13) -> Problem:
    r"""Problem 18, Biggs EXP6: three exponentials, with a second minimum.

    $$r_i = x_3 e^{-t_i x_1} - x_4 e^{-t_i x_2} + x_6 e^{-t_i x_5} - y_i, \qquad
    y_i = e^{-t_i} - 5 e^{-10 t_i} + 3 e^{-4 t_i},\; t_i = i / 10$$

    Args:
        terms: How many residuals there are, at least 6.

    Returns:
        The problem; its minimum is 0, at (1, 10, 1, 5, 4, 3) and wherever the three
        terms are swapped with their signs. For 13 residuals there is another one,
        5.65565...e-3, where two terms merge; and as two rates grow without end the
        value sinks towards 4.46812...e-3, with the first two residuals at zero.
    """
    m = _build.terms(terms, 6)
    return _build.problem(
        18,
        "biggs_exp6",
        "Biggs EXP6",
        _biggs_exp6,
        (1, 2, 1, 1, 1, 1),
        options=[("terms", m, 13)],
        args=(np.arange(1, m + 1) / 10,),
        minimizers=[(1, 10, 1, 5, 4, 3), (4, 10, 3, 5, 1, 1)],
        local_minima=[0.005655649925499931, 0.004468123717599040] if m == 13 else [],
    )


def _osborne_2(x: Float[Array, "11"], y: Float[Array, "65"]) -> Float[Array, "65"]:
    t = jnp.arange(65, dtype=x.dtype) / 10
    peaks = [x[k] * jnp.exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in range(1, 4)]
    return y - (x[0] * jnp.exp(-t * x[4]) + sum(peaks))


def osborne_2() -> Problem:
    r"""Problem 19, Osborne 2: three Gaussian peaks on an exponential.

    $$r_i = y_i - \left(x_1 e^{-t_i x_5} + x_2 e^{-(t_i - x_9)^2 x_6} +
    x_3 e^{-(t_i - x_{10})^2 x_7} + x_4 e^{-(t_i - x_{11})^2 x_8}\right), \qquad
    t_i = (i - 1) / 10$$

    Returns:
        The problem; its minimum is 4.01377...e-2. Where the peaks have left the data
        the best exponential alone leaves 1.78981..., and the gradient vanishes.
    """
    return _build.problem(
        19,
        "osborne_2",
        "Osborne 2",
        _osborne_2,
        (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5),
        args=(_OSBORNE_2,),
        minimum=0.040137736293547735,
        local_minima=[1.789813586881094],
        minimizers=[
            (
                1.3099771546273005,
                0.4315537946029889,
                0.633661698960724,
                0.5994305347859163,
                0.7541832263280113,
                0.9042885798596336,
                1.3658118352370285,
                4.8236988172271555,
                2.3986848661317546,
                4.568874597667672,
                5.6753414705806415,
            )
        ],
    )
