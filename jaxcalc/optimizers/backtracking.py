"""Armijo backtracking that still works when the decrease is below rounding."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxcalc import _checks, _trees
from jaxcalc._work import Work
from jaxcalc.optimizers._trial import require


class BacktrackingState(NamedTuple):
    """What the next step needs: the evaluation at the point that was accepted."""

    value: Float[Array, ""]
    grad: PyTree
    stalled: Bool[Array, ""]
    work: Work


class _Trial(NamedTuple):
    scale: Float[Array, ""]
    value: Float[Array, ""]
    grad: PyTree
    accepted: Bool[Array, ""]
    trials: Int[Array, ""]


def scale_by_backtracking(
    decrease: float = 1e-4, max_trials: int = 40
) -> optax.GradientTransformationExtraArgs:
    r"""Shorten a step until it decreases the loss enough.

    A scale $t \in (0, 1]$ is accepted for the step $d$ if

    $$f(x + td) \le f(x) + c\,t\,g^\top d$$

    or, where that difference has lost its digits
    ($|f(x + td) - f(x)| \le \varepsilon^{2/3} |f(x)|$), if the gradient says so: the
    slope along $d$ has not grown past its mirror image,
    $\nabla f(x + td)^\top d \le (1 - 2c)\,|g^\top d|$, and the gradient is smaller.
    Otherwise $t$ shrinks to the minimum of the parabola through what is known, within
    a tenth and a half.

    Each trial evaluates value and gradient, and the accepted ones are kept in the
    state: the next step needs no evaluation of its own. When no scale is accepted the
    update is zero and `stalled` is set.

    Args:
        decrease: The fraction $c$ of the predicted decrease that is asked for, between
            0 and 1/2.
        max_trials: Scales to try before giving up.

    Returns:
        A transformation that takes `value`, `grad` and `value_fn` by keyword.

    Raises:
        ValueError: `decrease` is not between 0 and 1/2, or `max_trials` is below 1.

    References:
        Nocedal and Wright (2006), Numerical Optimization, section 3.5. Hager and Zhang
        (2005), A new conjugate gradient method with guaranteed descent, section 4, for
        the test by slopes.
    """
    decrease = _checks.positive_float("decrease", decrease)
    if decrease >= 0.5:
        raise ValueError(f"`decrease` must be below 1/2, got {decrease}")
    max_trials = _checks.positive_int("max_trials", max_trials)

    def init(params: PyTree) -> BacktrackingState:
        dtype = _trees.dtype(params)
        return BacktrackingState(
            value=jnp.asarray(jnp.nan, dtype),
            grad=optax.tree.zeros_like(params),
            stalled=jnp.asarray(False),
            work=Work.of(),
        )

    def update(
        updates: PyTree,
        state: Any,
        params: PyTree = None,
        *,
        value: Any = None,
        grad: PyTree = None,
        value_fn: Callable[..., Any] | None = None,
        **extra_args: Any,
    ) -> tuple[PyTree, BacktrackingState]:
        del extra_args
        require(
            "scale_by_backtracking",
            params=params,
            value=value,
            grad=grad,
            value_fn=value_fn,
        )
        assert value_fn is not None  # for the type checker
        trial = _search(updates, params, value, grad, value_fn, decrease, max_trials)
        new_state = BacktrackingState(
            value=jnp.where(trial.accepted, trial.value, value).astype(
                state.value.dtype
            ),
            grad=_trees.where(trial.accepted, trial.grad, grad),
            stalled=~trial.accepted,
            work=state.work.plus(Work.of(gradients=trial.trials)),
        )
        # Not zero times the step, which may be infinite.
        nothing = optax.tree.zeros_like(updates)
        taken = _trees.where(trial.accepted, _scaled(trial.scale, updates), nothing)
        return taken, new_state

    return optax.GradientTransformationExtraArgs(init, update)


def _search(
    step: PyTree,
    params: PyTree,
    value: Float[Array, ""],
    grad: PyTree,
    value_fn: Callable[..., Any],
    decrease: float,
    max_trials: int,
) -> _Trial:
    slope = jnp.asarray(optax.tree.vdot(step, grad))
    grad_norm = _trees.max_abs(grad)
    value = jnp.asarray(value, slope.dtype)
    eps = jnp.finfo(value.dtype).eps
    digits_lost = eps ** (2 / 3) * jnp.abs(value)
    value_and_grad = jax.value_and_grad(value_fn)

    def attempt(trial: _Trial) -> _Trial:
        at = jax.tree.map(jnp.add, params, _scaled(trial.scale, step))
        new_value, new_grad = value_and_grad(at)
        new_value = new_value.astype(value.dtype)
        predicted = trial.scale * slope
        enough = new_value <= value + decrease * predicted
        new_slope = jnp.asarray(optax.tree.vdot(step, new_grad))
        no_overshoot = new_slope <= (1 - 2 * decrease) * jnp.abs(slope)
        smaller = _trees.max_abs(new_grad) < grad_norm
        # A difference of a few rounding units says nothing, not even by its sign. There
        # a step is progress if it shrinks the gradient.
        certain = value - new_value > 4 * eps * jnp.abs(value)
        level = jnp.abs(new_value - value) <= digits_lost
        accepted = (enough & certain) | (level & no_overshoot & smaller)
        parabola = -predicted * trial.scale / (2 * (new_value - value - predicted))
        shorter = jnp.clip(parabola, 0.1 * trial.scale, 0.5 * trial.scale)
        shorter = jnp.where(jnp.isfinite(shorter), shorter, 0.25 * trial.scale)
        scale = jnp.where(accepted, trial.scale, shorter)
        return _Trial(scale, new_value, new_grad, accepted, trial.trials + 1)

    # A slope of zero is no reason to stay: along negative curvature, from a saddle
    # point, any step that certainly decreases the loss will do.
    promising = (slope <= 0) & (_trees.max_abs(step) > 0)

    def goes_on(trial: _Trial) -> Bool[Array, ""]:
        return ~trial.accepted & (trial.trials < max_trials) & promising

    return lax.while_loop(
        goes_on,
        attempt,
        _Trial(
            scale=jnp.ones((), value.dtype),
            value=value,
            grad=grad,
            accepted=jnp.asarray(False),
            trials=jnp.zeros((), jnp.int32),
        ),
    )


def _scaled(scale: Float[Array, ""], step: PyTree) -> PyTree:
    """The step, shortened; each leaf keeps its dtype, be they mixed."""
    return jax.tree.map(lambda leaf: (scale * leaf).astype(leaf.dtype), step)
