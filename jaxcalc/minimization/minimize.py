"""Minimize a loss with any optax optimizer."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from jaxtyping import Array, Float, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.minimization._examine import (
    check_arguments,
    examine_hessian,
    tolerance,
)
from jaxcalc.minimization.implicit import differentiable
from jaxcalc.minimization.loop import run_lane
from jaxcalc.minimization.solution import Solution, Trace
from jaxcalc.minimization.step import (
    Functions,
    is_costly,
    make_step,
    start_lane,
)


def minimize(
    loss: Callable[..., Any],
    params: PyTree,
    optimizer: optax.GradientTransformation,
    *,
    args: tuple[Any, ...] = (),
    max_steps: int = 1000,
    tol: float | Float[Array, ""] | None = None,
    observe: Callable[..., Any] | None = None,
    hessian_fn: Callable[..., Any] | None = None,
    residual_fn: Callable[..., Any] | None = None,
) -> Solution:
    r"""Minimize `loss(params, *args)`, recording every step.

    $$x_{k+1} = x_k + u(\nabla f(x_k)), \qquad
      \text{until } \|\nabla f(x_k)\|_\infty \le \mathrm{tol}$$

    The whole run is one compiled loop. It is compiled once for equal functions, equal
    optimizers and equal shapes; pass data in `args`, since an array that the loss
    closes over becomes a constant of the program. Works under `jax.jit` and `jax.vmap`.

    The parameters and value of a solution can be differentiated with respect to the
    data, in forward and reverse mode, by the implicit function theorem:

    $$\frac{dx^\star}{da} = -H^{-1} \frac{\partial^2 f}{\partial x\,\partial a}, \qquad
      \frac{df^\star}{da} = \frac{\partial f}{\partial a}$$

    It is the derivative of the critical point, whatever led there: start, optimizer and
    `tol` have none, nor has the trace. It is as accurate as the point. Where the run
    did not converge it is NaN, unless it stalled where the default `tol` would have
    been content. Along directions in which the loss is flat the shortest change is
    taken, in parameters scaled to a curvature of one; NaN if the data push along them.
    Up to 300 parameters the Hessian is formed; beyond, conjugate gradients multiply by
    it, and give NaN where they find no solution.

    A loss that diverges, or a run that can't go on, is no exception but a `Status`. A
    vanishing gradient does not tell a minimum from a saddle point; an optimizer that
    knows the curvature, such as `jaxcalc.newton`, leaves a saddle point and goes on.

    Args:
        loss: `loss(params, *args)`, a floating scalar.
        params: Where to start: a pytree of floating arrays, or a number.
        optimizer: Any optax optimizer. It is passed `value`, `grad` and `value_fn` by
            keyword, and `hessian_fn` and `residual_fn` where they are given.
        args: Data of the loss.
        max_steps: Steps after which the run ends.
        tol: Bound on the gradient's infinity norm, in units of loss per parameter. By
            default what rounding allows on the scale of the loss: the square root of
            the dtype's rounding unit (1.5e-8 in float64, 3.5e-4 in float32), times the
            largest value or gradient met if no such was as large as 1; or a gradient
            that could change the value by no more than half a rounding unit over the
            size of the parameters; or, for least squares, a residual orthogonal to the
            columns of the Jacobian.
        observe: `observe(params, *args)`, a pytree of arrays to record at every point.
        hessian_fn: `hessian_fn(params, *args)`, the curvature where a cheaper form than
            `jax.hessian` is known: a matrix, a tree as of `jax.hessian`, or a function
            that multiplies a tangent, see `jaxcalc.curvature`.
        residual_fn: `residual_fn(params, *args)`, for least-squares optimizers.

    Returns:
        The last point, how the run ended, and its trace of `max_steps + 1` entries.

    Raises:
        TypeError: `params` are not floating, `args` is not a tuple, `optimizer` is not
            an optax optimizer, or the loss is not a floating scalar.
        ValueError: `params` is empty or not finite, `max_steps` or `tol` is negative,
            or `hessian_fn` returns no symmetric matrix of the right shape.
    """
    params = _checks.floating_params("params", params)
    _checks.finite("params", params)
    max_steps = _checks.positive_int("max_steps", max_steps, minimum=0)
    functions = Functions(loss, observe, hessian_fn, residual_fn)
    check_arguments(functions, optimizer, args)

    def quickly() -> bool:  # asked when the program is new
        if hessian_fn is not None:
            examine_hessian(hessian_fn, params, args)
        return is_costly(jax.eval_shape(optimizer.init, params))

    # Only what is being traced can be differentiated, or hide in a closure.
    hidden = _programs.sees_tracers(functions, optimizer)
    build = _build_hoisted if hidden else _build
    run = _programs.compiled(build, functions, optimizer, max_steps, quickly=quickly)
    return run(params, tolerance(tol, params), args)


def _build(
    functions: Functions, optimizer: optax.GradientTransformation, max_steps: int
) -> Callable[..., Any]:
    return differentiable(
        _build_run(functions, optimizer, max_steps),
        lambda params, args: functions.loss(params, *args),
    )


def _build_hoisted(
    functions: Functions, optimizer: optax.GradientTransformation, max_steps: int
) -> Callable[..., Any]:
    """The same for functions that close over what may be differentiated."""

    def run(params: PyTree, tol: Float[Array, ""] | None, args: tuple[Any, ...]) -> Any:
        alone = _build_run(functions, optimizer, max_steps)
        alone, seen = jax.closure_convert(alone, params, tol, args)
        loss, held = jax.closure_convert(
            lambda params, *args: functions.loss(params, *args), params, *args
        )
        solve = differentiable(
            lambda params, fixed, data: alone(params, fixed[0], data[0], *fixed[1]),
            lambda params, data: loss(params, *data[0], *data[1]),
        )
        return solve(params, (tol, seen), (args, held))

    return run


def _build_run(
    functions: Functions, optimizer: optax.GradientTransformation, max_steps: int
) -> Callable[..., Any]:
    def run(params: PyTree, tol: Float[Array, ""] | None, args: tuple[Any, ...]) -> Any:
        lane = start_lane(functions, params, optimizer, args)
        step = make_step(functions, optimizer, args, max_steps, tol)
        lane, entries = run_lane(step, lane, max_steps + 1)
        value, grad_norm, step_norm, counts, observed = entries
        trace = Trace(value, grad_norm, step_norm, lane.steps + 1, counts, observed)
        last = (value[lane.steps], grad_norm[lane.steps])
        return Solution(lane.point, *last, lane.status, lane.steps, trace)

    return run
