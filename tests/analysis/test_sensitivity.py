"""Sensitivity: derivatives, elasticities, propagated errors, and when not to trust."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from closeness import close

from jaxcalc.analysis.sensitivity import sensitivity


def resistance(p):
    """A product of powers: its elasticities are the exponents."""
    return 4.7 * p["length"] * p["width"][0] ** -1.5 * p["width"][1] ** 0.25


def wires(dtype):
    return {
        "length": jnp.asarray(3.0, dtype),
        "width": jnp.asarray([0.2, 7.0], dtype),
    }


def polar(x):
    return jnp.stack([x[0] * jnp.cos(x[1]), x[0] * jnp.sin(x[1])])


def quotient(x):
    return x[0] / x[1]


QUOTIENT = jnp.array([12.0, 4.0])
DEVIATIONS = np.array([0.3, 0.02])
COVARIANCE = np.array([[0.09, 0.004], [0.004, 0.0004]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elasticities_of_a_product_of_powers_are_the_exponents(dtype):
    found = sensitivity(resistance, wires(dtype))
    close(found.elasticity["length"], np.asarray(1, dtype))
    close(found.elasticity["width"], np.asarray([-1.5, 0.25], dtype))
    assert found.derivative["width"].dtype == dtype
    assert found.first_order_holds is None


def test_the_jacobian_of_a_vector_is_that_of_sympy():
    r, t = sympy.symbols("r t")
    exact = sympy.Matrix([r * sympy.cos(t), r * sympy.sin(t)]).jacobian([r, t])
    at = jnp.array([2.0, 0.7])
    found = sensitivity(polar, at)
    close(found.derivative, np.array(exact.subs({r: 2.0, t: 0.7}), float))
    close(found.elasticity, found.derivative * at / polar(at)[:, None])


def test_relative_errors_of_a_quotient_add_in_squares():
    found = sensitivity(quotient, QUOTIENT, uncertainty=DEVIATIONS)
    relative = np.hypot(0.3 / 12, 0.02 / 4)
    close(found.standard_deviation, 3 * relative)
    close(found.share, np.array([0.025, 0.005]) ** 2 / relative**2)
    assert found.first_order_holds
    assert "First order holds" in str(found)


def test_a_covariance_goes_through_the_jacobian():
    at = jnp.array([2.0, 0.7])
    found = sensitivity(polar, at, uncertainty=COVARIANCE)
    J = np.asarray(found.derivative)
    close(found.covariance, J @ COVARIANCE @ J.T)
    close(found.standard_deviation**2, np.diag(J @ COVARIANCE @ J.T))
    close(found.share.sum(axis=1), np.ones(2))
    want = J * (J @ COVARIANCE) / np.diag(J @ COVARIANCE @ J.T)[:, None]
    close(found.share, want)
    close(found.uncertainty, np.sqrt(np.diag(COVARIANCE)))


@pytest.mark.slow
def test_equal_deviations_as_a_matrix_give_the_same_answer():
    a = sensitivity(quotient, QUOTIENT, uncertainty=DEVIATIONS)
    b = sensitivity(quotient, QUOTIENT, uncertainty=np.diag(DEVIATIONS**2))
    close(a.standard_deviation, b.standard_deviation)
    close(a.share, b.share)


@pytest.mark.slow
def test_units_of_very_different_size_do_not_drown_each_other():
    # In float32 the small variance is 1e-20 of the large one.
    x = jnp.array([1e-6, 1e6], jnp.float32)
    covariance = np.diag(np.array([1e-8, 1e2], np.float32) ** 2)
    found = sensitivity(lambda x: x[0] * x[1], x, uncertainty=covariance)
    close(found.standard_deviation, np.float32(np.hypot(1e-2, 1e-4)))
    tiny = sensitivity(
        lambda x: 1e-25 * jnp.sum(x),
        jnp.ones(2, jnp.float32),
        uncertainty=np.full(2, 1e-2, np.float32),
    )
    close(tiny.standard_deviation / 1e-27, np.float32(np.sqrt(2)))
    close(tiny.share, np.float32([0.5, 0.5]))


@pytest.mark.slow
def test_the_distance_from_linear_is_that_of_the_second_order():
    # Of x² the rest is δ², whose root mean square is √3 σ².
    found = sensitivity(
        lambda x: x**2, 3.0, uncertainty=0.5, samples=4000, key=jax.random.key(3)
    )
    close(found.nonlinearity, np.sqrt(3) * 0.25 / (6 * 0.5), rtol=0.1)  # 4000 draws
    assert found.first_order_holds is False
    assert "Do not trust" in str(found)


@pytest.mark.slow
def test_the_stated_deviation_is_the_one_of_many_draws():
    found = sensitivity(quotient, QUOTIENT, uncertainty=COVARIANCE)
    draws = np.random.default_rng(0).multivariate_normal(QUOTIENT, COVARIANCE, 100_000)
    close(found.standard_deviation, np.std(draws[:, 0] / draws[:, 1]), rtol=0.02)


def test_a_flat_point_is_not_called_certain():
    found = sensitivity(lambda x: x**2, 0.0, uncertainty=0.1)
    assert found.standard_deviation == 0
    assert np.isinf(found.nonlinearity)
    assert "the derivatives are zero" in str(found)
    assert np.isnan(found.share)


@pytest.mark.slow
def test_a_constant_is_certain():
    found = sensitivity(lambda x: 0 * x + 2, 1.0, uncertainty=0.1)
    assert found.nonlinearity == 0
    assert found.first_order_holds


def test_draws_outside_of_the_domain_are_counted():
    found = sensitivity(jnp.log, 0.1, uncertainty=0.1)
    assert 0.1 < found.failed < 0.25  # the normal distribution says 16%
    assert not found.first_order_holds
    assert "left the model's domain" in str(found)


@pytest.mark.slow
def test_rounding_alone_is_not_called_nonlinear():
    # The deviation is far below the rounding of the output.
    found = sensitivity(lambda x: x + 1e8, jnp.float32(1.0), uncertainty=1e-3)
    assert found.nonlinearity == 0


def test_an_elasticity_of_zero_output_is_not_a_number():
    found = sensitivity(lambda x: x[0] - x[1], jnp.ones(2))
    assert np.all(np.isnan(found.elasticity))
    assert "no meaning" in str(found)


@pytest.mark.slow
def test_a_derivative_that_is_not_finite_is_said():
    found = sensitivity(jnp.sqrt, 0.0, uncertainty=1e-3)
    assert not found.first_order_holds
    assert "not finite" in str(found)


@pytest.mark.slow
def test_it_works_under_vmap_and_prints_one_at_a_time():
    def one(x, deviation):
        return sensitivity(lambda x: jnp.sum(x**2), x, uncertainty=deviation)

    x = jnp.array([[1.0, 2.0], [3.0, -4.0], [0.5, 0.0]])
    batch = jax.vmap(one)(x, jnp.full((3, 2), 1e-3))
    close(batch.standard_deviation, 2e-3 * np.linalg.norm(x, axis=1))
    with pytest.raises(ValueError, match="print one"):
        str(batch)
    assert "5 ±" in str(jax.tree.map(lambda a: a[0], batch))


def test_the_table_names_every_input_and_shortens_long_ones():
    printed = str(sensitivity(resistance, wires(np.float64), names=("l", "a", "b")))
    assert [line.split()[0] for line in printed.splitlines()[2:]] == ["l", "a", "b"]
    printed = str(sensitivity(resistance, wires(np.float64)))
    assert "width[1]" in printed
    many = str(sensitivity(lambda x: x @ x, jnp.arange(30.0)))
    assert "… and 10 more" in many
    assert "x[29]" in many
    assert "x[3]" not in many
    table = sensitivity(polar, QUOTIENT, names=["<a>", "b"])._repr_html_()
    assert table.count("<table>") == 2
    assert "&lt;a&gt;" in table


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"uncertainty": np.ones(3)}, ValueError, r"`uncertainty`.*\(3,\)"),
        ({"uncertainty": {"a": 1.0}}, ValueError, "`uncertainty`"),
        ({"uncertainty": np.array([0.1, -0.1])}, ValueError, "got -0.1"),
        ({"uncertainty": np.array([0.1, np.nan])}, ValueError, "got nan"),
        ({"uncertainty": np.array([[1.0, 0.5], [0.4, 1.0]])}, ValueError, "symmetric"),
        ({"uncertainty": np.array([[1.0, 2.0], [2.0, 1.0]])}, ValueError, "negative"),
        ({"uncertainty": np.array([[-1.0, 0], [0, 1.0]])}, ValueError, "diagonal"),
        ({"uncertainty": np.array(["a", "b"])}, TypeError, "`uncertainty`"),
        ({"names": ["a"]}, ValueError, "`names` has 1 names"),
        ({"names": "ab"}, TypeError, "`names`"),
        ({"samples": 0}, ValueError, "`samples`"),
        ({"x": jnp.array([1, 2])}, TypeError, "`x` must be floating"),
        ({"model": lambda x: jnp.outer(x, x)}, TypeError, "`model`"),
        ({"model": lambda x: (x, x)}, TypeError, "`model`"),
        ({"model": lambda x: x > 0}, TypeError, "`model`"),
    ],
)
def test_bad_input_is_named(wrong, error, match):
    given = {"model": quotient, "x": QUOTIENT} | wrong
    with pytest.raises(error, match=match):
        sensitivity(**given)
