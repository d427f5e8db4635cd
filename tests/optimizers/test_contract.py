"""What every optimizer of the package keeps, in optax's protocol."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc import optimizers
from jaxcalc.minimization import Status, Work, minimize

# A mechanism `scale_by_x` is tried in `x`, and these two by themselves.
ALONE = {
    "scale_by_newton": lambda: optax.chain(
        optimizers.scale_by_newton(), optax.scale_by_learning_rate(1.0)
    ),
    "scale_by_backtracking": lambda: optax.chain(
        optax.scale(-1.0), optimizers.scale_by_backtracking()
    ),
}
PUBLIC = [name for name in optimizers.__all__ if name[0].islower()]
OPTIMIZERS = {
    **{name: getattr(optimizers, name) for name in PUBLIC if "scale_by_" not in name},
    **ALONE,
}
PARAMS = {
    "scalar": np.float64(3.0),
    "dictionary": {"b": jnp.ones(2), "a": (jnp.asarray(2.0), jnp.zeros((2, 1)))},
    "32 bits": {"w": jnp.ones(3, np.float32)},
}


def loss(params):
    return sum(
        jnp.sum((leaf - 0.5) ** 2 + leaf**4 / 20) for leaf in jax.tree.leaves(params)
    )


def residual(params):
    """The same loss for those that fit: the sum of the squares of this."""
    return jax.tree.map(lambda leaf: (leaf - 0.5, leaf**2 / 20**0.5), params)


def test_every_public_optimizer_is_under_this_contract():
    for name in PUBLIC:
        assert name in OPTIMIZERS or name.removeprefix("scale_by_") in OPTIMIZERS


@functools.partial(jax.jit, static_argnums=0)
def update(make, params):
    optimizer = make()
    value, grad = jax.value_and_grad(loss)(params)
    state = optimizer.init(params)
    functions = {"value_fn": loss, "residual_fn": residual, "unheard_of": 3}
    updates, new = optimizer.update(
        grad, state, params, value=value, grad=grad, **functions
    )
    return updates, state, new


def types(tree):
    return jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), tree)


@pytest.mark.parametrize(
    "params",
    [
        PARAMS["dictionary"],
        pytest.param(PARAMS["scalar"], marks=pytest.mark.slow),
        pytest.param(PARAMS["32 bits"], marks=pytest.mark.slow),
    ],
    ids=["dictionary", "scalar", "32 bits"],
)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_structure_shapes_and_dtypes_are_kept(make, params):
    updates, state, new = update(make, params)
    assert types(updates) == types(params)
    assert types(new) == types(state)
    assert loss(optax.apply_updates(params, updates)) < loss(params)


def count(state):
    leaves = jax.tree.leaves(state, is_leaf=lambda leaf: isinstance(leaf, Work))
    return sum(sum(map(int, leaf)) for leaf in leaves if isinstance(leaf, Work))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.slow
def test_it_counts_its_own_work(name):
    _, state, new = update(OPTIMIZERS[name], PARAMS["scalar"])
    before, after = map(count, (state, new))
    assert before == 0
    assert after > 0


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.slow
def test_lanes_of_a_batch_are_runs_of_their_own(make):
    starts = jnp.array([[3.0, 1.0], [-1.0, 0.2]])
    batch = jax.vmap(lambda x: update(make, x)[0])(starts)
    for lane, start in enumerate(starts):
        close(batch[lane], update(make, start)[0])


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.slow
def test_it_reaches_the_minimum(make):
    solution = minimize(
        loss,
        PARAMS["dictionary"],
        make(),
        max_steps=300,
        tol=1e-7,
        residual_fn=residual,
    )
    assert Status(int(solution.status)) == Status.CONVERGED
    for leaf in jax.tree.leaves(solution.params):
        close(2 * (leaf - 0.5) + leaf**3 / 5, np.zeros(leaf.shape))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_one_made_anew_shares_the_program(make):
    def once():
        start = PARAMS["32 bits"]
        return minimize(loss, start, make(), max_steps=3, tol=0.0, residual_fn=residual)

    first = once()
    with jax.no_tracing():
        np.testing.assert_array_equal(once().trace.value, first.trace.value)
