"""Secants, tangents and the limit as a table."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.derivatives import limit_table, secant_line, tangent_line


@pytest.mark.parametrize("x", [-1.0, 0.0, 2.0])
def test_tangents_of_the_parabola_have_slope_2x(x):
    line = tangent_line(lambda t: t * t, x)
    assert line.slope == 2 * x
    close(line.intercept, -x * x)
    close(line(np.array([x, x + 1])), [x * x, x * x + 2 * x])


def test_a_secant_goes_through_both_points():
    line = secant_line(jnp.exp, 0.0, 1.0)
    close(line.slope, np.e - 1)
    close(line(np.array([0.0, 1.0])), [1, np.e])
    assert str(line) == "y = 1.718281828 x + 1"
    assert json.loads(line.to_json())["intercept"] == 1.0


def test_a_tangent_does_not_believe_a_wrong_rule():
    @jax.custom_jvp
    def wrong(x):
        return x * x

    wrong.defjvp(lambda primals, tangents: (primals[0] ** 2, 3.0 * tangents[0]))
    close(tangent_line(wrong, 1.0).slope, 2.0)


@pytest.mark.parametrize("f", [jnp.abs, jnp.sign, jnp.cbrt])
def test_there_is_no_tangent_where_there_is_no_slope(f):
    with pytest.raises(ValueError, match="no tangent"):
        tangent_line(f, 0.0)


def test_there_is_no_line_outside_of_the_domain():
    with pytest.raises(ValueError, match="no tangent"):
        tangent_line(jnp.log, -1.0)
    with pytest.raises(ValueError, match="not finite"):
        secant_line(jnp.log, -1.0, 0.5)


@pytest.mark.parametrize(("kind", "order"), [("forward", 1), ("central", 2)])
def test_the_observed_order_is_that_of_theory(kind, order):
    table = limit_table(jnp.exp, 0.5, [0.1, 0.05, 0.025, 0.0125], kind)
    close(table.order[-1], order, rtol=0.02)  # at steps of about 0.01
    close(table.limit, np.exp(0.5))
    assert table.limit_error < 1e-10
    assert np.all(np.diff(table.error) < 0)


def test_a_table_of_exact_quotients_has_no_order():
    table = limit_table(lambda x: 3 * x, 0.0, [1.0, 0.5], exact=3.0)
    assert table.error == (0.0, 0.0)
    assert np.isnan(table.order[1])
    assert json.loads(table.to_json())["order"] == [None, None]


def test_a_table_reads_as_text_and_as_markdown():
    table = limit_table(lambda x: x**2, 1.0, [1.0, 0.1])
    assert "2.1" in str(table)
    assert str(table).count("\n") == 3
    assert table.to_markdown().count("\n") == 3


def test_a_zero_step_is_refused():
    with pytest.raises(ValueError, match="not zero"):
        limit_table(jnp.sin, 1.0, [0.1, 0.0])
    with pytest.raises(ValueError, match="not zero"):
        secant_line(jnp.sin, 1.0, 0.0)
