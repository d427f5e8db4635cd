"""Meshes of devices, and arrays spread over them.

Data are spread by rows over the first axis of a mesh, parameters by leaves over the
last one; on a mesh of one axis take one or the other. Everything works across processes
too, where each holds its own part and no one the whole.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float, PyTree

from jaxcalc import _checks


def mesh(
    *names: str,
    shape: Sequence[int] | None = None,
    devices: Sequence[Any] | None = None,
) -> Mesh:
    """Devices in a row, or in a grid, with named axes.

    The axes are JAX's automatic ones: the compiler decides where to compute, and any
    loss works as it is.

    Args:
        *names: A name for each axis; by default one axis, `"data"`.
        shape: How many devices along each axis, -1 once for as many as are left; needed
            for more than one axis.
        devices: Which; by default all devices of all processes.

    Returns:
        The mesh.

    Raises:
        TypeError: A name is not a string.
        ValueError: Two axes have one name, or the shape does not fit the names or the
            devices.
    """
    names = names or ("data",)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(f"names of axes must be strings, got {wrong[0]!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"every axis needs a name of its own, got {names}")
    devices = jax.devices() if devices is None else list(devices)
    if shape is None:
        if len(names) > 1:
            raise ValueError(
                f"`shape` is needed for {len(names)} axes: say how many of the "
                f"{len(devices)} devices lie along each, for example "
                f"shape=(-1, {'1, ' * (len(names) - 2)}1)"
            )
        shape = (-1,)
    return jax.make_mesh(
        _filled(shape, names, len(devices)),
        names,
        axis_types=(AxisType.Auto,) * len(names),
        devices=devices,
    )


def shard_rows(
    tree: PyTree, mesh: Mesh, axis: str | None = None, *, local: bool = False
) -> PyTree:
    """Spread data over devices, by rows: the first axis of every array.

    A loss that is a mean or a sum over rows then costs each device its own part, and
    one reduction. Rows that can't be shared evenly: see `pad_rows`.

    Args:
        tree: A tree of arrays whose first axes have the same length. In every process
            all rows, of which each keeps its own.
        mesh: The devices.
        axis: The axis of the mesh; by default its first.
        local: Whether each process passes its own rows alone, all of them as many. They
            are joined in the order of the processes.

    Returns:
        The tree with its arrays spread over the devices.

    Raises:
        ValueError: An array has no rows, they can't be shared evenly, the processes
            hold different numbers of them, or the mesh has no such axis.
    """
    axis = _axis(mesh, axis, 0)
    count = _rows("tree", tree)
    sharding = NamedSharding(mesh, PartitionSpec(axis))
    joint = jax.process_count() if local else 1
    if local and joint > 1:
        _same_everywhere(count)
    parts = mesh.shape[axis]
    if count * joint % parts:
        raise ValueError(
            f"{count * joint} rows can't be shared evenly by {parts} devices: drop the "
            f"last {count * joint % parts}, or pad them with "
            f"pad_rows(tree, {parts // math.gcd(parts, joint)}) and weight the loss by "
            "what it returns"
        )
    if not local:
        return jax.tree.map(lambda leaf: placed(leaf, sharding), tree)
    join = functools.partial(jax.make_array_from_process_local_data, sharding)
    return jax.tree.map(lambda leaf: join(_as_numbers(leaf)), tree)


def pad_rows(tree: PyTree, multiple: int) -> tuple[PyTree, Float[np.ndarray, " n"]]:
    r"""Repeat the first rows at the end, until their number is a multiple.

    $$\frac{1}{n} \sum_{i=1}^{n} \ell_i = \frac{\sum_i w_i \ell_i}{\sum_i w_i}$$

    Repeated rows are as good as any to compute with, and count for nothing once a loss
    weights its rows by what is returned.

    Args:
        tree: A tree of arrays whose first axes have the same length.
        multiple: Of what, for example `mesh.shape["data"]`.

    Returns:
        The tree, and weights: 1 for each row of its own, 0 for the repeated ones.

    Raises:
        TypeError: `multiple` is not an integer.
        ValueError: An array has no rows, or `multiple` is below 1.
    """
    multiple = _checks.positive_int("multiple", multiple)
    count = _rows("tree", tree)
    index = np.arange(-(-count // multiple) * multiple)
    weights = (index < count).astype(jnp.result_type(float))
    if len(index) == count:
        return tree, weights
    return jax.tree.map(lambda leaf: leaf[index % count], tree), weights


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Put the same arrays on every device.

    Args:
        tree: A tree of arrays or numbers, the same in every process.
        mesh: The devices.

    Returns:
        The tree with its arrays on all of them.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda leaf: placed(leaf, everywhere), tree)


def shard_leaves(params: PyTree, mesh: Mesh, axis: str | None = None) -> PyTree:
    """Spread parameters over devices, each leaf along its longest axis that divides.

    Leaves that can't be shared evenly are put on every device. Take another axis of the
    mesh than for the rows of the data: along the same one every product of the two
    would have to gather one of them.

    Args:
        params: A tree of arrays, the same in every process.
        mesh: The devices.
        axis: The axis of the mesh; by default its last.

    Returns:
        The tree with its arrays spread over the devices.

    Raises:
        ValueError: No leaf can be shared, or the mesh has no such axis.
    """
    axis = _axis(mesh, axis, -1)
    parts = mesh.shape[axis]
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    if not any(_shared_axis(shape, parts) is not None for shape in shapes):
        raise ValueError(
            f"no leaf of `params` has an axis that {parts} devices can share evenly, "
            f"got shapes {shapes}: replicate them, or choose a mesh of another shape"
        )

    def place(leaf: Any) -> jax.Array:
        along = _shared_axis(np.shape(leaf), parts)
        before = () if along is None else (*(None,) * along, axis)
        return placed(leaf, NamedSharding(mesh, PartitionSpec(*before)))

    return jax.tree.map(place, params)


def placed(leaf: Any, sharding: NamedSharding) -> jax.Array:
    """An array where it belongs; each process fills its own part.

    Args:
        leaf: An array or a number, the same in every process.
        sharding: Where it belongs.

    Returns:
        The array.
    """
    spread = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
    if spread or sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    if is_key(leaf):
        bits = placed(jax.random.key_data(leaf), sharding)
        wrap = functools.partial(
            jax.random.wrap_key_data, impl=jax.random.key_impl(leaf)
        )
        return jax.jit(wrap, out_shardings=sharding)(bits)
    # jax.device_put would compare the numbers of all processes first.
    numbers = _as_numbers(leaf)
    return jax.make_array_from_callback(numbers.shape, sharding, numbers.__getitem__)


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a key of random numbers.

    Args:
        leaf: Any leaf.

    Returns:
        True for the arrays of `jax.random.key`.
    """
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def _as_numbers(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, jnp.result_type(leaf))


def _filled(
    shape: Sequence[int], names: tuple[str, ...], devices: int
) -> tuple[int, ...]:
    """The shape with its -1 replaced, if it fits."""
    shape = tuple(shape)
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known > 0 and devices % known == 0:
        filled = tuple(devices // known if size == -1 else size for size in shape)
    else:
        filled = shape
    fits = len(filled) == len(names) and min(filled, default=0) > 0
    if not fits or math.prod(filled) != devices:
        raise ValueError(
            f"`shape` must have one size for each of the axes {names}, and their "
            f"product must be the number of devices, {devices}; got {shape}: choose "
            "other sizes, or some of the `devices`"
        )
    return filled


def _axis(mesh: Mesh, axis: str | None, default: int) -> str:
    names = mesh.axis_names
    return names[default] if axis is None else _checks.known("axis", axis, names)


def _rows(name: str, tree: PyTree) -> int:
    """The length that the first axes of all arrays have."""
    leaves = jax.tree.leaves_with_path(tree)
    if not leaves:
        raise ValueError(f"`{name}` holds no arrays: pass at least one")
    lengths = {}
    for path, leaf in leaves:
        where = name + jax.tree_util.keystr(path)
        if not np.ndim(leaf) or not np.shape(leaf)[0]:
            raise ValueError(
                f"`{where}` has no rows, got shape {np.shape(leaf)}: replicate what is "
                "no data"
            )
        lengths[where] = np.shape(leaf)[0]
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"`{where}` has {n}" for where, n in lengths.items())
        raise ValueError(f"arrays must have equally many rows, but {shown}")
    return next(iter(lengths.values()))


def _same_everywhere(count: int) -> None:
    counts = multihost_utils.process_allgather(np.asarray(count)).tolist()
    if len(set(counts)) > 1:
        raise ValueError(
            f"the processes hold {', '.join(map(str, counts))} rows, in their order: "
            "every process must pass as many as the others"
        )


def _shared_axis(shape: tuple[int, ...], parts: int) -> int | None:
    """The longest axis that can be shared evenly, the last of equally long ones."""
    fitting = [(size, axis) for axis, size in enumerate(shape) if size % parts == 0]
    fitting = [pair for pair in fitting if pair[0] > 0]
    return max(fitting)[1] if fitting else None
