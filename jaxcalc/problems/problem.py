"""The record of a problem: a loss, where to start, and what is known of it."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jaxcalc.problems import batches


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A loss to minimize, with its data and what is known of its minimum.

    Attributes:
        name: Short and unique; it names files and table rows.
        loss: `loss(params, *args) -> scalar`.
        init: `init(key) -> params`, a start drawn from a `jax.random` key.
        args: The data, passed to the loss as arguments.
        hessian: `hessian(params, *args) -> (n, n)`, in the order of
            `jax.flatten_util.ravel_pytree`, where it is cheaper than `jax.hessian`.
        minimum: The lowest value, where it is known.
        minimizers: Points where it is reached, as arrays of shape `(n,)`.
        residual: `residual(params, *args) -> (m,)`, where the loss is the sum of its
            squares: `loss = sum(residual**2)`, with no factor of one half.
        standard_start: The one start that the literature prescribes, in the structure
            of `params`, as NumPy arrays; `init` then draws starts near it.
        local_minima: Other values at which a descent may end in truth: local minima,
            and limits at infinity that no point reaches.
        box: `(lower, upper)`, arrays of shape `(n,)`: where starts lie and a picture
            is worth drawing; for losses of a few variables.
        draw: `draw(key, step, *args) -> args`, the data of one step, where steps see
            batches; `in_batches` sets it.
        metrics: What is measured beside the loss at the end of a run, by name:
            `metric(params, *args) -> scalar`, for example the accuracy.
        validation: The data that `metrics` are measured on, in place of `args`: held
            out of the loss. Empty where nothing is held out.
        title: The name that people read.
        source: Where it comes from.
    """

    name: str
    loss: Callable[..., jax.Array]
    init: Callable[[jax.Array], PyTree]
    args: tuple[Any, ...] = ()
    hessian: Callable[..., jax.Array] | None = None
    minimum: float | None = None
    minimizers: tuple[np.ndarray, ...] = ()
    residual: Callable[..., jax.Array] | None = None
    standard_start: PyTree | None = None
    local_minima: tuple[float, ...] = ()
    box: tuple[np.ndarray, np.ndarray] | None = None
    draw: Callable[..., tuple[Any, ...]] | None = None
    metrics: Mapping[str, Callable[..., jax.Array]] = field(default_factory=dict)
    validation: tuple[Any, ...] = ()
    title: str = ""
    source: str = ""

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"`name` must be a non-empty string, got {self.name!r}")
        for name in ("loss", "init"):
            if not callable(getattr(self, name)):
                raise TypeError(f"`{name}` must be a function")
        if self.residual is not None and not callable(self.residual):
            raise TypeError("`residual` must be a function or None")
        for name in ("args", "validation"):
            given = getattr(self, name)
            if not isinstance(given, tuple):
                raise TypeError(
                    f"`{name}` must be a tuple, got {type(given).__name__}: "
                    f"write {name}=(data,) for a single argument"
                )

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        shapes = jax.eval_shape(self.init, jax.random.key(0))
        return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))

    def start(self, seed: int) -> PyTree:
        """The start that belongs to a seed, the same for every optimizer.

        Args:
            seed: Any integer.

        Returns:
            Parameters drawn by `init`.
        """
        return self.init(jax.random.key(seed))

    def astype(self, dtype: Any) -> "Problem":
        """The same problem in another floating dtype: its starts and its data.

        Args:
            dtype: For example `jnp.float32`, which is twice as fast on a CPU.

        Returns:
            A problem of the same name.
        """
        return replace(
            self,
            init=functools.partial(_cast_start, self.init, dtype),
            args=_cast(self.args, dtype),
            validation=_cast(self.validation, dtype),
        )

    def in_batches(self, size: int) -> "Problem":
        """The same problem, each step of which sees some of the data only.

        A run's batches belong to its seed: every optimizer sees the same rows in the
        same order, each row once an epoch. What is reported are still the loss and the
        gradient norm over all the data.

        Args:
            size: Rows in a batch.

        Returns:
            A problem with a name and a title of its own.

        Raises:
            ValueError: The size is not positive or above the number of rows, or there
                is no data.
        """
        size = batches.checked_size(size, self.args)
        return replace(
            self,
            name=f"{self.name}_batch_{size}",
            title=f"{self.title or self.name}, batches of {size}",
            draw=functools.partial(batches.draw_batch, size),
        )


@functools.lru_cache(maxsize=256)
def sum_of_squares(residual: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    r"""The loss that belongs to a residual, $f(x) = \sum_i r_i(x)^2$.

    Equal residuals get the identical function, as compiled programs are kept by the
    identity of the functions in them.

    Args:
        residual: `residual(params, *args) -> (m,)`.

    Returns:
        `loss(params, *args) -> scalar`.
    """

    def loss(params: PyTree, *args: Any) -> jax.Array:
        return jnp.sum(residual(params, *args) ** 2)

    return loss


def _cast_start(init: Callable[..., PyTree], dtype: Any, key: jax.Array) -> PyTree:
    return _cast(init(key), dtype)


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    def cast(leaf: Any) -> Any:
        floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, dtype) if floating else leaf

    return jax.tree.map(cast, tree)
