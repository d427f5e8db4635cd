"""The figures over all problems show what the profiles say."""

import io
import itertools
import re

import numpy as np
import pytest
from closeness import close
from reports.synthetic_comparisons import SPEEDS, comparison, decay, runs

from jaxcalc.comparison import profiles as numbers
from jaxcalc.minimization import Status
from jaxcalc.reports import _profiles_lines, palette, pictures, profiles

FIGURES = ("performance_profile", "data_profile", "success", "wins")
NAMES = tuple(SPEEDS)


def race(names=NAMES[:5], problems=3, lanes=4, steps=120):
    """Optimizers from the same starts; problems differ in how hard they are."""
    made = []
    for p in range(problems):
        for order, name in enumerate(names):
            speed = SPEEDS[name] ** (0.5 + p + 0.2 * (order * 7 % 5))
            values = [decay(1.0 + k, speed ** (1 + k / 9), steps) for k in range(lanes)]
            status = [Status.MAX_STEPS] * lanes
            made.append(runs(values, problem=f"p{p}", optimizer=name, status=status))
    return comparison(*made, minimum={f"p{p}": 0.0 for p in range(problems)})


def line_of(figure, name, made, theme="light"):
    """The data of an optimizer's line: the longest one in its colour."""
    colour = palette.looks(made.optimizers)[name].colour(theme)
    lines = [ln for ln in figure.axes[0].lines if ln.get_color() == colour]
    return max(lines, key=lambda line: len(line.get_xdata()))


def named_by_order(svg):
    """A drawing whose parts are named by their order, not by what is in them."""
    names = dict.fromkeys(re.findall(r'id="([mpC][0-9a-f_]{8,})"', svg))
    for order, name in enumerate(names):
        svg = svg.replace(name, f"part{order}")
    return svg


def texts(figure):
    """Everything that stands within the axes."""
    return [t.get_text() for ax in figure.axes for t in ax.texts]


@pytest.mark.parametrize("kind", ["performance_profile", "data_profile"])
def test_the_lines_are_the_step_functions(kind):
    made = race()
    figure = getattr(profiles, kind)(made, accuracy=1e-3, resamples=0)
    found = getattr(numbers, kind)(numbers.costs(made, accuracy=1e-3))
    assert figure.axes[0].get_xscale() == "log"
    for name in made.optimizers:
        line = line_of(figure, name, made)
        assert line.get_drawstyle() == "steps-post"
        x, y = line.get_data()
        close(y, found.at(x)[found.optimizers.index(name)])
        inside = found.x[(found.x >= x[0]) & (found.x <= x[-1])]
        assert np.isin(inside, x).all()
        assert x[-1] > found.x[-1]


def test_the_bands_are_those_of_the_bootstrap():
    made = race(NAMES[:1])
    figure = profiles.data_profile(made, accuracy=1e-2, resamples=100)
    found = numbers.data_profile(numbers.costs(made, accuracy=1e-2), resamples=100)
    (band,) = figure.axes[0].collections
    corners = band.get_paths()[0].vertices
    for x, low, high in zip(found.x[1:], found.low[0, 1:], found.high[0, 1:]):
        heights = corners[corners[:, 0] == x][:, 1]
        assert np.isclose(heights, low).any()
        assert np.isclose(heights, high).any()


def test_names_stand_where_the_lines_end_and_keep_apart():
    made = race(NAMES)
    figure = profiles.performance_profile(made, accuracy=1e-3, resamples=0)
    names = [t for t in figure.axes[0].texts if t.get_text() in made.optimizers]
    assert len(names) == len(NAMES) - 1  # and the long one is shortened
    heights = sorted(t.get_position()[1] for t in figure.axes[0].texts)
    panel = figure.get_size_inches()[1] - 0.55
    assert np.diff(heights).min() * panel > 0.1
    shares = numbers.performance_profile(numbers.costs(made, accuracy=1e-3)).at(1e9)
    ends = dict(zip(made.optimizers, shares))
    order = sorted(names, key=lambda t: t.get_position()[1])
    assert np.all(np.diff([ends[t.get_text()] for t in order]) >= 0)


@pytest.mark.parametrize(
    "wanted", [[1.0, 1.0, 1.0], [0.9, 0.5, 0.48, 0.0], [0.3] * 5, [0.0, 0.0], [0.7]]
)
def test_spreading_keeps_the_order_the_distance_and_the_frame(wanted):
    moved = _profiles_lines.spread(wanted, 0.1)
    assert all(a - b > 0.1 - 1e-12 for a, b in itertools.pairwise(moved))
    assert moved[0] <= 1 + 1e-12
    assert moved[-1] >= -1e-12
    apart = all(a - b >= 0.1 for a, b in itertools.pairwise(wanted))
    assert not apart or moved == wanted


def test_success_shows_counts_and_intervals():
    made = race()
    figure = profiles.success(made, [1e-1, 1e-3])
    found = numbers.success(made, [1e-1, 1e-3])
    for place, ax in enumerate(figure.axes):
        rows = [t.get_text() for t in figure.axes[0].get_yticklabels()]
        for row, name in enumerate(rows):
            k = found.optimizers.index(name)
            bar, dot = ax.lines[2 * row], ax.lines[2 * row + 1]
            close(bar.get_xdata(), [found.low[place, k], found.high[place, k]])
            close(dot.get_xdata(), [found.rate[place, k]])
            close(dot.get_ydata(), [row])


def test_the_matrix_shows_percents_with_the_most_frequent_winner_on_top():
    made = race(NAMES[:3])
    figure = profiles.wins(made, accuracy=1e-3, resamples=0)
    found = numbers.wins(numbers.costs(made, accuracy=1e-3), resamples=0)
    ax = figure.axes[0]
    rows = [t.get_text() for t in ax.get_yticklabels()]
    mean = np.nanmean(found.probability, axis=1)
    assert rows == [found.optimizers[k] for k in np.argsort(-mean, stable=True)]
    for text in ax.texts:
        x, y = text.get_position()
        a, b = (found.optimizers.index(rows[round(v)]) for v in (y, x))
        assert text.get_text() == f"{100 * found.probability[a, b]:.0f}"
    assert len(ax.texts) == 6


@pytest.mark.parametrize("kind", FIGURES)
def test_figures_draw_in_every_format_and_theme(kind):
    made = race(NAMES[:3])
    for theme in ("light", "dark"):
        figure = getattr(profiles, kind)(made, theme=theme, subset=NAMES[1:3])
        figure.savefig(io.BytesIO(), format="svg")
    figure = getattr(profiles, kind)(made, bare=True)
    assert not figure.get_suptitle()
    for form in ("png", "pdf"):
        figure.savefig(io.BytesIO(), format=form)


@pytest.mark.parametrize("kind", FIGURES)
def test_a_drawing_turned_dark_is_the_dark_drawing(kind):
    made = race(NAMES[:3])
    light, dark = (getattr(profiles, kind)(made, theme=t) for t in ("light", "dark"))
    shown = [pictures.svg(figure) for figure in (light, dark)]
    assert named_by_order(palette.recolour(shown[0])) == named_by_order(shown[1])
    assert shown[0] != shown[1]


def test_looks_stay_when_optimizers_are_hidden():
    made = race(NAMES[:4])
    figure = profiles.performance_profile(made, subset=["nesterov"], resamples=0)
    assert line_of(figure, "nesterov", made) is not None


def test_a_target_that_nothing_reaches_is_said():
    made = comparison(runs([[8.0, 7.0]], optimizer="a"), runs([[8.0, 7.5]]))
    for kind in ("performance_profile", "data_profile", "wins"):
        figure = getattr(profiles, kind)(made, accuracy=1e-3)
        assert texts(figure) == ["Nobody reached the target."]
    assert profiles.performance_caption(made)[-1] == "Nobody reached the target."
    assert profiles.data_caption(made)[-1] == "Nobody reached the target."
    assert "nobody got there" in profiles.wins_caption(made)[-1]
    assert "Nobody reached 10⁻⁷." in profiles.success_caption(made)


def test_what_was_not_measured_is_said():
    made = comparison(runs([decay(8.0, 0.5, 20)], seconds=float("nan")))
    (said,) = texts(profiles.performance_profile(made, "seconds"))
    assert "nothing measured" in said
    made = comparison(
        runs([decay(8.0, 0.5, 20)], optimizer="a"),
        runs([decay(8.0, 0.5, 20)], optimizer="b", seeds=[4]),
    )
    (said,) = texts(profiles.data_profile(made))
    assert said.startswith("No run was measured on")
    assert "2 more runs" in " ".join(profiles.data_caption(made))


def test_a_single_optimizer_has_nobody_to_beat():
    made = race(NAMES[:1])
    assert texts(profiles.wins(made)) == ["There are no two to compare."]
    for kind in FIGURES:
        assert getattr(profiles, kind)(made)
    for kind in ("performance", "data", "success", "wins"):
        assert all(getattr(profiles, f"{kind}_caption")(made))


def test_captions_are_written_from_the_data():
    fast = runs([decay(8.0, 0.01, 9), decay(8.0, 0.01, 9)], optimizer="fast")
    slow = runs([decay(8.0, 0.5, 40), decay(8.0, 0.999, 9)], optimizer="slow")
    made = comparison(fast, slow)
    said = profiles.performance_caption(made, "steps", 1e-4)
    assert "Shares are of 2 runs on 1 problem." in said[1]
    assert "Cheapest most often: fast, 100% of the runs." in said
    # One hundredth twice is 1e-4; one half takes 14 steps to get there.
    said = profiles.data_caption(made, "steps", 1e-4)
    assert "The first to solve half of the runs is fast, with 2 steps." in said
    said = profiles.success_caption(made, [1e-4])
    assert said[1] == "Most often down to 10⁻⁴: fast, in 2 of 2 runs."
    said = profiles.wins_caption(made, "steps", 1e-4)
    assert "fast beats every other one beyond chance." in said


def test_the_caption_warns_of_an_order_that_the_set_decides():
    speeds = {
        "a": [1.9] * 3 + [3] * 2,
        "b": [2.1] * 3 + [1] * 2,
        "c": [1] * 3 + [0.9] * 2,
    }
    made = [
        runs(
            [decay(1.0, 0.1, 60)],
            problem=f"p{k}",
            optimizer=name,
            gradients=[10 * cost * np.arange(61)],
        )
        for name, costs in speeds.items()
        for k, cost in enumerate(costs)
    ]
    said = profiles.performance_caption(
        comparison(*made, minimum={f"p{k}": 0.0 for k in range(5)}), accuracy=1e-3
    )
    assert any(s.startswith("The order of a and b depends on who else") for s in said)
    assert not any(s.startswith("No order of two") for s in said)
    alone = profiles.performance_caption(
        comparison(*made, minimum={f"p{k}": 0.0 for k in range(5)}),
        accuracy=1e-3,
        subset=["a", "b"],
    )
    assert not any("depends on who else" in s for s in alone)


@pytest.mark.parametrize("kind", ["performance_profile", "data_profile", "wins"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "hours"}, "unknown measure 'hours'; there are 'steps'"),
        ({"subset": ["sdg"]}, "unknown optimizer in `subset` 'sdg'; there are 'sgd'"),
        ({"theme": "blue"}, "unknown theme 'blue'"),
        ({"accuracy": -1.0}, "`accuracy` must be finite and positive"),
    ],
)
def test_unknown_names_are_refused(kind, options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        getattr(profiles, kind)(race(NAMES[:1], problems=1), **options)


@pytest.fixture
def unchecked():
    """Run as users do: without the type checks of the tests."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
