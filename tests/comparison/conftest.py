"""Small problems, and one comparison of them that many tests read."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from jaxcalc.comparison import compare
from jaxcalc.optimizers import newton
from jaxcalc.problems import Problem

RATES = (0.01, 0.1, 0.3, 3.0)
SETTINGS = {"rates": RATES, "seeds": 2, "tuning_seeds": 3, "max_steps": 30}


def bowl_loss(params, X, y):
    """Linear least squares with a quartic penalty, over a dictionary."""
    w, b = params["w"], params["b"]
    return jnp.mean((X @ w + b - y) ** 2) / 2 + jnp.sum(w**4) / 20


def bowl_start(key):
    """A normal start."""
    w, b = jax.random.normal(key, (2, 3))
    return {"w": w, "b": b[0]}


def valley_loss(x):
    """A curved valley in the plane."""
    return (1 - x[0]) ** 2 + 5 * (x[1] - x[0] ** 2) ** 2


def valley_start(key):
    """A start within the valley."""
    return jax.random.uniform(key, (2,), minval=-1.0)


@pytest.fixture
def unchecked():
    """Run as users do: without the type and shape checks of the tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="package")
def bowl():
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(8, 3)), rng.normal(size=8))
    return Problem(name="bowl", loss=bowl_loss, init=bowl_start, args=data)


@pytest.fixture(scope="package")
def valley():
    return Problem(
        name="valley",
        loss=valley_loss,
        init=valley_start,
        minimum=0.0,
        title="Valley",
        source="made up",
    )


def optimizers():
    """Newly made every time, as in a script that is run again."""
    return {
        "adam": lambda rate: optax.adam(rate, b1=0.8),
        "sgd": optax.sgd,
        "newton": newton(),
    }


@pytest.fixture(scope="package")
def compared(bowl, valley):
    return compare([bowl, valley], optimizers(), **SETTINGS)
