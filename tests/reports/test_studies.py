"""Pictures of studies show what was found."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.analysis import study
from jaxcalc.reports import studies


@pytest.fixture(scope="module")
def cubic():
    return study(lambda x: x**3 - 3 * x**2 - 9 * x + 5, -3, 5)


def test_the_curve_its_turns_and_both_strips_are_drawn(cubic):
    figure = studies.draw(cubic, title="a cubic")
    curve, first, second = figure.axes
    assert curve.get_title(loc="left") == "a cubic"
    assert curve.get_xlim() == (-3, 5)
    longest = max(curve.lines, key=lambda line: line.get_xdata().size)
    x, y = longest.get_data()
    np.testing.assert_allclose(y, x**3 - 3 * x**2 - 9 * x + 5, rtol=1e-12, atol=1e-12)
    marks = {line.get_marker(): line.get_xdata()[0] for line in curve.lines}
    assert (marks["^"], marks["v"], marks["o"]) == (-1, 3, 1)
    assert [text.get_text() for text in first.texts] == ["+", "−", "+"]
    assert [text.get_text() for text in second.texts] == ["−", "+"]


def test_tangents_at_turns_are_level(cubic):
    (curve, *_) = studies.draw(cubic, theme="dark").axes
    level = [line for line in curve.lines if len(set(line.get_ydata())) == 1]
    spans = [line for line in level if len(line.get_xdata()) == 2]
    assert [line.get_ydata()[0] for line in spans] == [10, -22]


def test_a_pole_does_not_squeeze_the_picture():
    figure = studies.draw(study(lambda x: 1 / x, -1, 2))
    low, high = figure.axes[0].get_ylim()
    assert -100 < low < -1
    assert 1 < high < 100


def test_a_function_without_values_can_be_drawn():
    figure = studies.draw(study(lambda x: jnp.log(-1 - x**2), -1, 1))
    assert len(figure.axes) == 3
