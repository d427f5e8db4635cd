"""What each input contributed to one output: three answers, each with its error."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxcalc import _checks, _programs, _trees
from jaxcalc.analysis import _sensitivity_path as _path


class IntegratedGradients(NamedTuple):
    """Attributions along a path, and whether they add up.

    Attributes:
        attribution: A tree like the inputs.
        value: The model at the inputs.
        baseline_value: The model at the baseline.
        gap: Sum of the attributions, less `value - baseline_value`.
        error: Estimate of the sum of all attributions' quadrature errors; a cautious
            one.
        panels: Into how many panels the path was cut; each costs 15 gradients.
        converged: Whether `gap` and `error` are within the tolerance.
    """

    attribution: PyTree
    value: Float[Array, "*b"]
    baseline_value: Float[Array, "*b"]
    gap: Float[Array, "*b"]
    error: Float[Array, "*b"]
    panels: Int[Array, "*b"]
    converged: Bool[Array, "*b"]


class SmoothGradient(NamedTuple):
    """A mean of gradients.

    Attributes:
        mean: A tree like the inputs.
        standard_error: Of the mean, a tree like the inputs.
    """

    mean: PyTree
    standard_error: PyTree


def gradient_times_input(
    model: Callable[..., Any], x: PyTree, *args: Any, baseline: PyTree | None = None
) -> PyTree:
    r"""First order's guess at what each input contributed, $(x_i - b_i) \partial_i f$.

    Exact for a linear model. Where a unit is saturated it gives nothing to an input
    that decided the output; `integrated_gradients` mends that.

    Args:
        model: `model(x, *args) -> scalar`.
        x: The inputs: a pytree of floating arrays, or a number.
        *args: Whatever else the model takes.
        baseline: The inputs that stand for "nothing", a tree like `x`; zero by default.

    Returns:
        A tree like `x`, in units of the output.

    Raises:
        TypeError: `x` is not floating, or the model does not return a floating scalar.
        ValueError: `baseline` differs from `x` in structure or shapes.
    """
    x, baseline = _checked(model, x, baseline, args)
    return _programs.compiled(_times_input, model)(x, baseline, args)


def integrated_gradients(
    model: Callable[..., Any],
    x: PyTree,
    *args: Any,
    baseline: PyTree | None = None,
    tol: float | None = None,
    max_panels: int = 500,
) -> IntegratedGradients:
    r"""Integrated gradients: attributions that add up to the change of the output.

    $$a_i = (x_i - b_i) \int_0^1 \partial_i f(b + t (x - b)) \, dt, \qquad
      \sum_i a_i = f(x) - f(b)$$

    The path is cut into panels until the sum holds in each of them and two quadrature
    rules agree in every coordinate. A smooth model takes a few panels. A model with
    kinks takes about ten for each kink on the path. A jump on the path can't be
    attributed: then `converged` is false and `gap` says how much is missing.

    The answer depends on the baseline, and on the straight path to it.

    Args:
        model: `model(x, *args) -> scalar`.
        x: The inputs: a pytree of floating arrays, or a number.
        *args: Whatever else the model takes.
        baseline: The inputs that stand for "nothing", a tree like `x`; zero by default.
        tol: Tolerance as a share of $|f(x)| + |f(b)|$ and of the attributions' sizes;
            1e-4 by default, or the square root of the dtype's rounding unit if that is
            larger.
        max_panels: How many panels may be tried before the rest is taken as it comes.

    Returns:
        The attributions with their errors.

    Raises:
        TypeError: `x` is not floating, or the model does not return a floating scalar.
        ValueError: `baseline` differs from `x` in structure or shapes, `tol` is
            negative or not finite, or `max_panels` is not positive.

    References:
        Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep networks,
        section 3.
    """
    x, baseline = _checked(model, x, baseline, args)
    most = np.int32(_checks.positive_int("max_panels", max_panels))
    dtype = _trees.dtype(x)
    tol = default_tolerance(dtype) if tol is None else tol
    share = np.asarray(_checks.positive_float("tol", tol, zero=True), dtype)
    return _programs.compiled(_integrated, model)(x, baseline, args, share, most)


def smooth_gradient(
    model: Callable[..., Any],
    x: PyTree,
    *args: Any,
    deviation: float | PyTree,
    samples: int = 64,
    key: Array | None = None,
) -> SmoothGradient:
    r"""SmoothGrad: the mean gradient at inputs with normal noise.

    $$\frac{1}{n} \sum_k \nabla f(x + \sigma z_k), \qquad z_k \sim N(0, I)$$

    It is an unbiased estimate of the gradient of the model smoothed by that noise, so
    fluctuations over lengths below $\sigma$ vanish from it.

    Args:
        model: `model(x, *args) -> scalar`.
        x: The inputs: a pytree of floating arrays, or a number.
        *args: Whatever else the model takes.
        deviation: Standard deviation of the noise, in units of `x`: one number, or a
            tree like `x`.
        samples: How many gradients, at least 2.
        key: A `jax.random` key; fixed by default.

    Returns:
        The mean and its standard error, trees like `x`.

    Raises:
        TypeError: `x` is not floating, or the model does not return a floating scalar.
        ValueError: `deviation` is negative, not finite or unlike `x`, or `samples` is
            less than 2.

    References:
        Smilkov et al. (2017), SmoothGrad: removing noise by adding noise.
    """
    x, _ = _checked(model, x, None, args)
    samples = _checks.positive_int("samples", samples, minimum=2)
    if isinstance(deviation, int | float):
        deviation = jax.tree.map(lambda leaf: jnp.full_like(leaf, deviation), x)
    noise = _like("deviation", deviation, x)
    for leaf in jax.tree.leaves(noise):
        known = not isinstance(leaf, Tracer)
        if known and not np.all(np.isfinite(leaf) & (np.asarray(leaf) >= 0)):
            raise ValueError("`deviation` must be finite and zero or more")
    key = jax.random.key(0) if key is None else key
    return _programs.compiled(_smooth, model, samples)(x, noise, args, key)


def default_tolerance(dtype: Any) -> float:
    """The tolerance of integrated gradients in a dtype.

    Args:
        dtype: A floating dtype.

    Returns:
        A share of the output.
    """
    return max(1e-4, float(jnp.finfo(dtype).eps) ** 0.5)


def _times_input(model: Callable[..., Any]) -> Callable[..., PyTree]:
    def run(x: PyTree, baseline: PyTree, args: tuple[Any, ...]) -> PyTree:
        gradient = jax.grad(lambda x: model(x, *args))(x)
        return jax.tree.map(lambda g, a, b: g * (a - b), gradient, x, baseline)

    return run


def _integrated(model: Callable[..., Any]) -> Callable[..., IntegratedGradients]:
    def run(
        x: PyTree, baseline: PyTree, args: tuple[Any, ...], tol: Array, most: Array
    ) -> IntegratedGradients:
        end, unravel = ravel_pytree(x)
        start, _ = ravel_pytree(baseline)
        path = _path.integrate(
            lambda flat: model(unravel(flat), *args), start, end, tol, most
        )
        return IntegratedGradients(unravel(path.integral), *path[1:])

    return run


def _smooth(model: Callable[..., Any], samples: int) -> Callable[..., SmoothGradient]:
    def run(x: PyTree, noise: PyTree, args: tuple[Any, ...], key: Array) -> Any:
        flat, unravel = ravel_pytree(x)
        sigma, _ = ravel_pytree(noise)
        gradient = jax.grad(lambda v: model(unravel(v), *args))

        # Welford's recurrence: nothing is kept but the mean and the scatter.
        def add(state: tuple[Array, Array], drawn: tuple[Array, Array]) -> Any:
            mean, scatter = state
            count, key = drawn
            z = jax.random.normal(key, flat.shape, flat.dtype)
            off = gradient(flat + sigma * z) - mean
            mean = mean + off / count
            return (mean, scatter + off**2 * (1 - 1 / count)), None

        counts = jnp.arange(1, samples + 1, dtype=flat.dtype)
        keys = jax.random.split(key, samples)
        (mean, scatter), _ = jax.lax.scan(add, (0 * sigma, 0 * sigma), (counts, keys))
        error = jnp.sqrt(scatter / (samples - 1) / samples)
        return SmoothGradient(unravel(mean), unravel(error))

    return run


def _checked(
    model: Callable[..., Any], x: PyTree, baseline: PyTree | None, args: Any
) -> tuple[PyTree, PyTree]:
    x = _checks.floating_params("x", x)
    value = jax.eval_shape(model, x, *args)
    _checks.scalar_loss("model", value)
    if baseline is None:
        return x, jax.tree.map(jnp.zeros_like, x)
    return x, _like("baseline", baseline, x)


def _like(name: str, given: PyTree, x: PyTree) -> PyTree:
    if jax.tree.map(jnp.shape, given) != jax.tree.map(jnp.shape, x):
        raise ValueError(
            f"`{name}` must have the structure and shapes of `x`, "
            f"{jax.tree.map(jnp.shape, x)}, got {jax.tree.map(jnp.shape, given)}"
        )
    return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), given, x)
