"""Which inputs matter: derivatives, elasticities, and how errors propagate."""

import dataclasses
import functools
import html
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from jaxcalc import _checks, _programs
from jaxcalc.analysis import _sensitivity_linear as _linear
from jaxcalc.analysis import _sensitivity_spread as _spread
from jaxcalc.analysis import _sensitivity_text as _text

LINEAR = 0.1
"""First order is trusted while the rest is at most this share of the deviation."""


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "x",
        "value",
        "derivative",
        "elasticity",
        "uncertainty",
        "standard_deviation",
        "covariance",
        "share",
        "nonlinearity",
        "failed",
    ],
    meta_fields=["names", "samples"],
)
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What a model's outputs owe to each input; `str` gives a table.

    A pytree: `jax.vmap` over `sensitivity` gives one with leading axes. What depends on
    an uncertainty is None where none was given.

    Attributes:
        x: The inputs.
        value: The outputs, shape `()` or `(k,)`.
        derivative: A tree like `x`, of shapes `(*value.shape, *leaf.shape)`.
        elasticity: The same for relative changes; NaN where an output is zero.
        uncertainty: Standard deviations, a tree like `x`.
        standard_deviation: Of each output, to first order.
        covariance: Of the outputs, shape `()` or `(k, k)`, to first order.
        share: Part of each output's variance that an input brings, shaped like
            `derivative`; sums to 1. With correlated inputs it may be negative.
        nonlinearity: What lies beyond first order, as a share of the deviation.
        failed: Share of draws for which an output was not finite.
        names: Names of the entries; empty if none were given.
        samples: How many draws were made.
    """

    x: Any
    value: Any
    derivative: Any
    elasticity: Any
    uncertainty: Any = None
    standard_deviation: Any = None
    covariance: Any = None
    share: Any = None
    nonlinearity: Any = None
    failed: Any = None
    names: tuple[str, ...] = ()
    samples: int = 0

    @property
    def first_order_holds(self) -> bool | None:
        """Whether the deviations of all outputs can be trusted; None without any.

        That is where no draw failed and `nonlinearity` is at most 0.1: then the
        outputs' root mean square deviation lies within a tenth of what is stated, by
        the triangle inequality.
        """
        if self.nonlinearity is None:
            return None
        good = np.all(np.asarray(self.nonlinearity) <= LINEAR)
        return bool(good and np.all(np.asarray(self.failed) == 0))

    @property
    def head(self) -> list[str]:
        """Names of the table's columns."""
        head = ["input", "value", "derivative", "elasticity"]
        return head if self.share is None else [*head, "deviation", "share"]

    def rows(self, output: int = 0) -> list[list[str]]:
        """The table of one output: the inputs that matter most, 20 at most.

        Args:
            output: Which output.

        Returns:
            Rows of text under `head`.
        """
        _check_single(self)
        names = self.names or tuple(_text.entry_names(self.x))
        columns = [_flat(self.x)]
        columns += [self._of(t, output) for t in (self.derivative, self.elasticity)]
        weight = np.abs(columns[1] * np.where(columns[0] == 0, 1, columns[0]))
        if self.share is not None:
            columns += [_flat(self.uncertainty), self._of(self.share, output)]
            weight = np.abs(columns[-1])
        order = np.arange(len(names))
        if len(names) > _text.MOST_ROWS:
            weight = np.nan_to_num(weight, nan=np.inf)
            order = np.argsort(-weight, kind="stable")[: _text.MOST_ROWS]
        return [[names[i], *(_text.number(c[i]) for c in columns)] for i in order]

    def _of(self, tree: PyTree, output: int) -> np.ndarray:
        if np.ndim(self.value):
            tree = jax.tree.map(lambda leaf: leaf[output], tree)
        return _flat(tree)

    def sentence(self, output: int = 0) -> str:
        """An output in words, with its deviation and whether to trust it.

        Args:
            output: Which output.

        Returns:
            One or two sentences.
        """
        _check_single(self)
        value = np.atleast_1d(self.value)[output]
        said = f"output {output}: " if np.ndim(self.value) else ""
        if self.standard_deviation is None:
            zero = ": an elasticity of it has no meaning" if value == 0 else ""
            return f"{said}{_text.number(value, 7)}{zero}"
        deviation, beyond, failed = (
            float(np.atleast_1d(a)[output])
            for a in (self.standard_deviation, self.nonlinearity, self.failed)
        )
        said += f"{_text.number(value, 7)} ± {deviation:.3g}. "
        if not np.isfinite(deviation):
            return f"{said}The derivative is not finite: first order does not apply."
        if failed:
            return (
                f"{said}Do not trust the deviation: {failed:.0%} of {self.samples} "
                "draws of the inputs left the model's domain or overflowed."
            )
        if beyond > LINEAR and deviation == 0:
            return (
                f"{said}Do not trust the deviation: the derivatives are zero, yet the "
                f"output moves with the inputs ({self.samples} draws). Take second "
                "order, or look at the draws themselves."
            )
        if beyond > LINEAR:
            return (
                f"{said}Do not trust the deviation: what lies beyond first order is "
                f"{beyond:.2g} times as large ({self.samples} draws). Make the "
                "uncertainty smaller, or look at the draws themselves."
            )
        return (
            f"{said}First order holds: what lies beyond is {beyond:.1%} of the "
            f"deviation ({self.samples} draws)."
        )

    def __str__(self) -> str:
        _check_single(self)
        left = len(_flat(self.x)) - _text.MOST_ROWS
        more = f"\n… and {left} more" if left > 0 else ""
        return "\n\n".join(
            f"{self.sentence(k)}\n{_text.text(self.head, self.rows(k))}{more}"
            for k in range(np.size(self.value))
        )

    def _repr_html_(self) -> str:
        return "".join(
            f"<p>{html.escape(self.sentence(k))}</p>"
            + _text.as_html(self.head, self.rows(k))
            for k in range(np.size(self.value))
        )


def sensitivity(
    model: Callable[..., Any],
    x: PyTree,
    *args: Any,
    uncertainty: Any = None,
    names: Sequence[str] | None = None,
    samples: int = 256,
    key: Array | None = None,
) -> Sensitivity:
    r"""How a model's outputs answer to each of its inputs.

    $$\frac{\partial f}{\partial x_i}, \qquad
      \frac{x_i}{f} \frac{\partial f}{\partial x_i}, \qquad
      \operatorname{cov} f \approx J \Sigma J^\top$$

    The elasticity says by how many percent an output grows when an input grows by one.
    With an uncertainty of the inputs, that of the outputs follows to first order. Such
    a deviation can be far off: at a minimum the derivative is zero, and near a pole no
    deviation exists. So the model is also evaluated at `samples` normal draws of the
    inputs, and compared with its linear form at each draw. The root mean square of the
    difference, as a share of the deviation, is `nonlinearity`. A check by second
    derivatives would miss kinks, poles and every higher order, and cost more.

    Costs one Jacobian (in the cheaper of both modes) and `samples` values. Works under
    `jit` and `vmap`; there the values of an uncertainty are not checked.

    Args:
        model: `model(x, *args)`, of shape `()` or `(k,)`.
        x: The inputs: a pytree of floating arrays, or a number.
        *args: Whatever else the model takes; it is held fixed.
        uncertainty: Standard deviations in the structure of `x`, or a covariance matrix
            of all entries in the order of `jax.flatten_util.ravel_pytree`, in squared
            units of `x`.
        names: A name for each entry of `x`, for the table.
        samples: How many draws test the first order.
        key: A `jax.random` key for them; fixed by default.

    Returns:
        Arrays and trees, which print as a table.

    Raises:
        TypeError: `x` is not floating, or the model does not return one floating array.
        ValueError: `uncertainty` fits neither form or is negative, `names` has another
            length than `x`, or `samples` is not positive.

    References:
        JCGM 100:2008, Guide to the expression of uncertainty in measurement, section
        5; JCGM 101:2008 for the draws.
    """
    x = _checks.floating_params("x", x)
    samples = _checks.positive_int("samples", samples)
    _check_output(jax.eval_shape(model, x, *args))
    size = sum(leaf.size for leaf in jax.tree.leaves(x))
    labels = () if names is None else _text.checked_names("names", names, size)
    if uncertainty is None:
        found = _programs.compiled(_linear.plain, model)(x, args)
        return Sensitivity(x=x, names=labels, **found)
    spread = _spread.checked(uncertainty, x)
    key = jax.random.key(0) if key is None else key
    found = _programs.compiled(_linear.uncertain, model, samples)(x, args, spread, key)
    return Sensitivity(x=x, names=labels, samples=samples, **found)


def _flat(tree: PyTree) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves)


def _check_output(value: Any) -> None:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None or len(shape) > 1 or 0 in shape:
        given = shape if shape is not None else jax.tree.structure(value)
        raise TypeError(
            f"`model` must return a number or a vector of numbers, got {given}: "
            "pick or flatten outputs, for example with jnp.ravel"
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"`model` must return floating numbers, got {dtype}")


def _check_single(found: Sensitivity) -> None:
    leaf, part = (jax.tree.leaves(t)[0] for t in (found.x, found.derivative))
    if (
        np.ndim(part) != np.ndim(found.value) + np.ndim(leaf)
        or np.ndim(found.value) > 1
    ):
        raise ValueError(
            "a batch of sensitivities has no table: print one of them, "
            "jax.tree.map(lambda a: a[0], found)"
        )
