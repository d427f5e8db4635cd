"""Convexity in boxes: proved, refuted by a witness, or left open."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.analysis import convexity
from jaxcalc.analysis.records import Evidence

LOW, HIGH = [-1.0, -1.0], [1.0, 1.0]
A = np.array([[2.0, 1.0], [1.0, 3.0]])


def test_a_quadratic_is_strongly_convex_with_its_lowest_eigenvalue():
    found = convexity(lambda x: 0.5 * x @ A @ x, LOW, HIGH)
    assert found.convex.holds
    assert found.convex.strong
    assert found.convex.evidence is Evidence.PROVED
    # Gershgorin's discs give at least 1, the eigenvalue is (5 - sqrt 5) / 2.
    assert 1 <= found.modulus <= np.linalg.eigvalsh(A)[0]
    assert found.concave.holds is False


def test_a_saddle_is_refuted_both_ways_by_curvatures_that_are_there():
    found = convexity(lambda x: x[0] ** 2 - x[1] ** 2, LOW, HIGH)
    for verdict, curvature in ((found.convex, -2.0), (found.concave, 2.0)):
        assert verdict.holds is False
        assert verdict.evidence is Evidence.PROVED
        close(verdict.witness.curvature, curvature)


@pytest.mark.slow
def test_a_witness_against_convexity_is_borne_out_by_values():
    def himmelblau(x):
        return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2

    witness = convexity(himmelblau, [-6.0, -6.0], [6.0, 6.0]).convex.witness
    x, d = np.asarray(witness.x), np.asarray(witness.direction)
    step = 1e-3 * d / np.linalg.norm(d)
    ends = float(himmelblau(x + step)) + float(himmelblau(x - step))
    assert ends < 2 * float(himmelblau(x))


@pytest.mark.slow
def test_a_function_that_is_flat_to_second_order_is_convex():
    found = convexity(lambda x: jnp.sum(x**4), LOW, HIGH)
    assert found.convex.holds
    assert not found.convex.strong


@pytest.mark.slow
def test_what_bends_by_a_hair_or_has_kinks_is_left_open():
    softmax = convexity(lambda x: jnp.log(jnp.exp(x[0]) + jnp.exp(x[1])), LOW, HIGH)
    assert softmax.convex.holds in (None, True)
    assert softmax.concave.holds is False
    kinks = convexity(lambda x: jnp.sum(jnp.abs(x)), LOW, HIGH)
    assert kinks.convex.holds in (None, True)
    assert kinks.concave.holds is False


@pytest.mark.slow
def test_logistic_loss_is_convex_and_a_networks_is_not():
    X = np.array([[0.5, 1.0], [-1.0, 0.3], [0.2, -0.7]])
    y = np.array([1.0, -1.0, 1.0])

    def logistic(w):
        return jnp.mean(jnp.log1p(jnp.exp(-y * (X @ w)))) + 0.05 * w @ w

    def network(w):
        return jnp.mean((w[1] * jnp.tanh(w[0] * X[:, 0]) - y) ** 2)

    assert convexity(logistic, [-3.0, -3.0], [3.0, 3.0]).convex.holds
    assert convexity(network, [-3.0, -3.0], [3.0, 3.0]).convex.holds is False


def test_the_answer_reads_and_writes():
    found = convexity(lambda x: jnp.sum(x**2), LOW, HIGH)
    assert "convex: yes, strongly, with modulus 2" in str(found)
    assert json.loads(found.to_json())["convex"]["holds"] is True


@pytest.mark.parametrize(
    ("says", "lower", "upper"),
    [
        ("upper", [1.0, 1.0], [-1.0, 2.0]),
        ("upper", [1.0, 1.0], [1.0, 2.0]),
        ("lower", [np.nan, 0.0], [1.0, 1.0]),
        ("upper", [0.0, 0.0], [np.inf, 1.0]),
        ("upper", [0.0, 0.0], [1.0, 1.0, 1.0]),
    ],
)
def test_bad_bounds_are_named(says, lower, upper):
    with pytest.raises(ValueError, match=f"`{says}`"):
        convexity(lambda x: jnp.sum(x**2), lower, upper)


def test_twenty_variables_get_an_answer_in_bounded_time():
    found = convexity(lambda x: jnp.sum(x**2), np.full(20, -1.0), np.full(20, 1.0))
    assert found.convex.holds in (True, None)


def test_a_function_that_raises_is_named():
    def raises(x):
        raise RuntimeError(f"no such luck {jax.eval_shape(lambda: x).shape}")

    with pytest.raises(TypeError, match="`f`"):
        convexity(raises, LOW, HIGH)
