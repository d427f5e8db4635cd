"""The 35 problems of Moré, Garbow and Hillstrom, in the paper's order.

Sums of squares that were chosen to be hard in different ways: badly scaled variables,
singular Hessians, nearly dependent parameters, minima at infinity, large residuals.
Each has one standard start; the paper starts from 10 and 100 times it too.
"""

from typing import Any, overload

from jaxcalc import _checks
from jaxcalc.problems.mgh.any_dimension import (
    brown_almost_linear,
    chebyquad,
    extended_powell_singular,
    extended_rosenbrock,
    penalty_1,
    penalty_2,
    trigonometric,
    variably_dimensioned,
    watson,
)
from jaxcalc.problems.mgh.curves import (
    bard,
    biggs_exp6,
    box_3d,
    brown_dennis,
    gaussian,
    gulf,
    jennrich_sampson,
    kowalik_osborne,
    meyer,
    osborne_1,
    osborne_2,
)
from jaxcalc.problems.mgh.equations import (
    broyden_banded,
    broyden_tridiagonal,
    discrete_boundary_value,
    discrete_integral_equation,
    linear_full_rank,
    linear_rank_1,
    linear_rank_1_zero,
)
from jaxcalc.problems.mgh.few_variables import (
    beale,
    brown_badly_scaled,
    freudenstein_roth,
    helical_valley,
    powell_badly_scaled,
    powell_singular,
    rosenbrock,
    wood,
)
from jaxcalc.problems.problem import Problem

__all__ = ["FACTORIES", "more_garbow_hillstrom"]

# The place in this tuple, counted from 1, is the number in the paper.
FACTORIES = (
    rosenbrock,
    freudenstein_roth,
    powell_badly_scaled,
    brown_badly_scaled,
    beale,
    jennrich_sampson,
    helical_valley,
    bard,
    gaussian,
    meyer,
    gulf,
    box_3d,
    powell_singular,
    wood,
    kowalik_osborne,
    brown_dennis,
    osborne_1,
    biggs_exp6,
    osborne_2,
    watson,
    extended_rosenbrock,
    extended_powell_singular,
    penalty_1,
    penalty_2,
    variably_dimensioned,
    trigonometric,
    brown_almost_linear,
    discrete_boundary_value,
    discrete_integral_equation,
    broyden_tridiagonal,
    broyden_banded,
    linear_full_rank,
    linear_rank_1,
    linear_rank_1_zero,
    chebyquad,
)
_BY_NAME = {factory.__name__: factory for factory in FACTORIES}


@overload
def more_garbow_hillstrom() -> tuple[Problem, ...]: ...
@overload
def more_garbow_hillstrom(which: int | str, **options: Any) -> Problem: ...


def more_garbow_hillstrom(
    which: int | str | None = None, **options: Any
) -> Problem | tuple[Problem, ...]:
    r"""The test set of Moré, Garbow and Hillstrom, or one problem of it.

    Each problem is a sum of squares, $f(x) = \sum_i r_i(x)^2$, of an array `x` of shape
    `(n,)`, with its `residual`, its `standard_start` and its `minimum`. A descent may
    end in another minimum, or run to infinity: `local_minima` has those values.

    `init(key)` draws starts near the standard start, which moves each number by up to
    a tenth of its size (a zero by up to 0.1). For the starts of the paper take
    `problem.standard_start`, 10 and 100 times it; for Watson, where it is zero, an
    array filled with 10 and 100.

    Args:
        which: The number in the paper, 1 to 35, or the name, with or without "mgh_";
            all problems at their default sizes where it is None.
        **options: `dimension` and `terms`, where the problem leaves them to the caller;
            `help(jaxcalc.problems.mgh.watson)` and so on tell.

    Returns:
        One problem, or a tuple of all 35 in the paper's order.

    Raises:
        TypeError: `which` is neither an integer nor a string; the problem has no such
            option; or options are given for the whole set.
        ValueError: There is no such number or name, or an option is out of range.

    References:
        Moré, Garbow and Hillstrom (1981), Testing unconstrained optimization software,
        ACM Transactions on Mathematical Software 7(1), section 3.
    """
    if which is None:
        if options:
            raise TypeError(
                f"options {sorted(options)} need one problem: pass its number or name"
            )
        return tuple(factory() for factory in FACTORIES)
    if isinstance(which, str):
        name = which.removeprefix("mgh_")
        return _BY_NAME[_checks.known("problem", name, _BY_NAME)](**options)
    number = _checks.positive_int("which", which)
    if number > len(FACTORIES):
        raise ValueError(f"`which` must be from 1 to {len(FACTORIES)}, got {number}")
    return FACTORIES[number - 1](**options)
