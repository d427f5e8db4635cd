"""Bad input is refused at once, by the argument's name."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from jaxcalc.minimization import minimize
from jaxcalc.optimizers import newton


@pytest.fixture(autouse=True)
def unchecked():
    """Run as users do: without the type checks of the tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def square(x, *args):
    del args
    return jnp.sum(jnp.square(x))


@pytest.mark.parametrize(
    ("error", "says", "wrong"),
    [
        (TypeError, "`loss` must be a function", {"loss": 3.0}),
        (
            TypeError,
            r"`loss`.*shape \(2,\)",
            {"loss": jnp.square, "params": np.ones(2)},
        ),
        (TypeError, "`loss`.*auxiliary", {"loss": lambda x: (x, {"aux": x})}),
        (TypeError, "`loss`.*scalar", {"loss": lambda _: None}),
        (TypeError, "`loss`.*floating scalar, got int", {"loss": lambda _: 3}),
        (TypeError, "`params` must be floating, got int", {"params": 3}),
        (TypeError, r"`params\['a'\]`", {"params": {"a": np.arange(3)}}),
        (TypeError, "`params` must be floating, got complex", {"params": 1j}),
        (ValueError, "`params` holds no numbers", {"params": {}}),
        (ValueError, "`params` holds no numbers", {"params": np.zeros((0, 2))}),
        (TypeError, "`optimizer` must be an optax", {"optimizer": optax.sgd}),
        (TypeError, "`optimizer` must be an optax", {"optimizer": "sgd"}),
        (TypeError, "`args` must be a tuple, got ndarray", {"args": np.ones(3)}),
        (TypeError, "`args` must be a tuple, got list", {"args": [1.0]}),
        (ValueError, "`max_steps` must be at least 0, got -1", {"max_steps": -1}),
        (TypeError, "`max_steps` must be an integer", {"max_steps": 2.5}),
        (TypeError, "`max_steps` must be an integer", {"max_steps": None}),
        (ValueError, "`tol` must be finite and zero or more", {"tol": -1e-3}),
        (ValueError, "`tol` must be finite and zero or more", {"tol": np.nan}),
        (TypeError, "`tol` must be a real number", {"tol": np.ones(2)}),
        (TypeError, "`observe` must be a function", {"observe": 1}),
        (TypeError, "`hessian_fn` must be a function", {"hessian_fn": np.eye(2)}),
        (TypeError, "`residual_fn` must be a function", {"residual_fn": np.ones(2)}),
        (TypeError, "learning_rate", {"learning_rate": 0.1}),
    ],
)
def test_bad_input_is_named(error, says, wrong):
    given = {"loss": square, "params": 1.0, "optimizer": optax.sgd(0.1), **wrong}
    with pytest.raises(error, match=says):
        minimize(
            given.pop("loss"), given.pop("params"), given.pop("optimizer"), **given
        )


def test_data_of_the_wrong_shape_is_an_error_of_the_loss():
    with pytest.raises(TypeError, match="shape"):
        minimize(
            lambda x, A: jnp.sum(A @ x),
            jnp.ones(2),
            optax.sgd(0.1),
            args=(np.ones((3, 3)),),
        )


def test_bad_input_is_refused_under_jit_too():
    with pytest.raises(TypeError, match="`params` must be floating"):
        jax.jit(lambda x: minimize(square, x, optax.sgd(0.1)))(3)
    with pytest.raises(TypeError, match="`loss` must return a scalar"):
        jax.vmap(lambda x: minimize(jnp.square, x, optax.sgd(0.1)))(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("says", "hessian_fn"),
    [
        ("symmetric", lambda _: jnp.array([[2.0, 1.0], [0.0, 2.0]])),
        ("symmetric", lambda _: lambda v: jnp.array([2 * v[0] + v[1], 2 * v[1]])),
        (r"shape \(2, 2\)", lambda _: jnp.eye(3)),
        (r"shape \(2, 2\)", lambda x: 2 * x),
    ],
    ids=["matrix", "product", "too large", "gradient"],
)
def test_what_can_be_no_hessian_is_refused(says, hessian_fn):
    with pytest.raises(ValueError, match=f"`hessian_fn`.*{says}"):
        minimize(square, jnp.ones(2), newton(), hessian_fn=hessian_fn)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match=r"`params\['b'\]` must be finite, got 1 of 2"):
        minimize(optax.tree.norm, {"a": 1.0, "b": jnp.array([bad, 1])}, optax.sgd(0.1))
