"""Breaks on an interval, against where they are known to be."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.derivatives import Kind, find_breaks

K, w = Kind, jnp.where
ROOT, PI = np.sqrt(2), np.pi


CASES = [
    (jnp.abs, -1, 1.3, {0: K.CORNER}),
    (jax.nn.relu6, -1, 7, {0: K.CORNER, 6: K.CORNER}),
    (jnp.floor, -0.5, 2.5, {0: K.JUMP, 1: K.JUMP, 2: K.JUMP}),
    (lambda x: jnp.round(3 * x), 0, 1, {1 / 6: K.JUMP, 0.5: K.JUMP, 5 / 6: K.JUMP}),
    (lambda x: 1 / x, -1, 2, {0: K.INFINITE}),
    (jnp.tan, 0.5, 5, {PI / 2: K.INFINITE, 1.5 * PI: K.INFINITE}),
    (lambda x: jnp.sqrt(x - 0.5), 0, 1, {0.5: K.VERTICAL_TANGENT}),
    (lambda x: jnp.sqrt(jnp.abs(x - PI / 4)), -1, 1, {PI / 4: K.CUSP}),
    (lambda x: jax.nn.relu(x - 0.2) ** 2, -1, 1, {0.2: K.C1_NOT_C2}),
    (lambda x: jnp.sin(x) + 1e-6 * jnp.abs(x - ROOT), 0, 3, {ROOT: K.CORNER}),
    (lambda x: jnp.sin(1 / x), -1, 1, {0: K.OSCILLATION}),
    (lambda x: jnp.sin(x) / x, -1, 1.5, {0: K.HOLE}),
    (lambda x: jnp.abs(jnp.cos(x)), 0, 3, {PI / 2: K.CORNER}),
    (lambda x: jnp.abs(x - 1e6), 999999.0, 1000002.0, {1e6: K.CORNER}),
    (
        lambda x: jax.nn.relu(x - 0.1) - jax.nn.relu(x - 0.101),
        0,
        1,
        {0.1: K.CORNER, 0.101: K.CORNER},
    ),
    (lambda x: jnp.tanh(1e5 * (x - 0.123)), -1, 1, {}),
    (lambda x: x**5 - 3 * x**3 + x, -2, 2, {}),
    (lambda x: 1 / (1e-6 + x * x), -1, 1, {}),
    # slow: nothing is seen at -3 with the rounding of the default compiler options
    (jax.nn.gelu, -4, 4, {}),
]


@pytest.mark.parametrize(
    ("f", "a", "b", "breaks"),
    [
        pytest.param(
            *case, marks=[pytest.mark.slow] if i % 2 or case[0] is jax.nn.gelu else []
        )
        for i, case in enumerate(CASES)
    ],
)
def test_all_breaks_are_found_and_nothing_else(f, a, b, breaks):
    found = find_breaks(f, a, b)
    assert len(found) == len(breaks), str(found)
    for one, (x, kind) in zip(found, sorted(breaks.items()), strict=True):
        assert abs(one.x - x) <= 4 * np.spacing(abs(x) + 1e-3)
        assert one.kind is kind


def test_a_long_list_is_cut_and_says_so():
    found = find_breaks(lambda x: jnp.floor(10 * x), 0.05, 1.95, limit=5)
    assert len(found) == 5
    assert not found.complete
    assert "more" in str(found)
    assert len(json.loads(found.to_json())) == 5
    assert str(find_breaks(jnp.sin, 0.0, 1.0)) == "no breaks"
