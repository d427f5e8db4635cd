"""Colours that can be told apart by everybody, and text that can always be drawn."""

import itertools

import numpy as np
import pytest
from closeness import close

from jaxcalc.reports import _text, palette

# Linear RGB as seen without one kind of cones, at full severity: Machado, Oliveira and
# Fernandes (2009), A Physiologically-based Model for Simulation of Color Vision
# Deficiency, table 1.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour):
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE 1976 L*a*b* of linear sRGB, for white D65."""
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    """Ratio of luminances as the Web Content Accessibility Guidelines define it."""
    light = [linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (one, other)]
    return max(light) / min(light)


@pytest.mark.parametrize("kind", DEFICIENCIES)
@pytest.mark.parametrize("theme", palette.THEMES)
def test_lines_differ_by_colour_or_by_pattern_for_every_eye(kind, theme):
    for one, other in itertools.combinations(palette.LOOKS, 2):
        seen = [
            lab(np.array(DEFICIENCIES[kind]) @ linear(look.colour(theme)))
            for look in (one, other)
        ]
        distance = np.linalg.norm(seen[0] - seen[1])
        assert distance > 12 or one.dash != other.dash, (one, other)


def test_in_grayscale_pattern_or_marker_still_tells_lines_apart():
    assert len({(look.dash, look.marker) for look in palette.LOOKS}) == 12
    assert len({look.marker for look in palette.LOOKS}) == 12


@pytest.mark.parametrize("theme", palette.THEMES)
def test_text_and_lines_stand_out_from_the_page(theme):
    paint = palette.THEMES[theme]
    assert contrast(paint.ink, paint.surface) > 7
    assert contrast(paint.muted, paint.surface) > 4.5
    for look in palette.LOOKS:
        assert contrast(look.colour(theme), paint.surface) > 2.1


def test_well_known_optimizers_keep_their_look_in_every_comparison():
    one = palette.looks(["adam", "newton", "mine"])
    other = palette.looks(["theirs", "Newton", "L-BFGS", "Adam"])
    assert one["adam"] == other["Adam"]
    assert one["newton"] == other["Newton"]
    assert other["L-BFGS"] == palette.LOOKS[2]


def test_two_names_for_one_look_get_one_each():
    found = palette.looks(["sgd", "gradient_descent"])
    assert found["sgd"] == palette.LOOKS[0] != found["gradient_descent"]


def test_forty_optimizers_have_forty_looks():
    found = palette.looks([f"optimizer {k}" for k in range(40)])
    assert len({(look.light, look.dash, look.marker) for look in found.values()}) == 40


def test_every_colour_has_one_counterpart_in_the_dark():
    pairs = palette._pairs()
    lights = [look.light for look in palette.LOOKS] + palette.ramp("light", 14)
    assert len(pairs) == len(set(lights)) + 5
    svg = f'<a style="fill:{lights[0]}"/><use href="#m0072b2"/><b/>'
    changed = svg.replace(lights[0], palette.LOOKS[0].dark)
    assert palette.recolour(svg) == changed


def test_labels_are_one_safe_line():
    assert _text.label("a\n b\t c") == "a b c"
    assert _text.label("cost in $") == r"cost in \$"
    assert _text.label("漢") == "□"
    assert _text.label("  ") == "unnamed"
    long = _text.label("x" * 100, most=20)
    assert len(long) == 20
    assert "…" in long


def test_the_width_of_text_grows_with_its_size():
    close(_text.width("optimizer", 20.0), 2 * _text.width("optimizer", 10.0), rtol=0.1)
