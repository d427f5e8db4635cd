"""What the figures show is what the runs say."""

import io
import re

import jax.numpy as jnp
import jaxtyping
import matplotlib as mpl
import numpy as np
import pytest
from closeness import close
from reports.synthetic_comparisons import (
    SPEEDS,
    comparison,
    decay,
    runs,
    study,
    valley,
    wander,
)

from jaxcalc.minimization import Status
from jaxcalc.problems import Problem
from jaxcalc.reports import _terrain, figures, palette, pictures

ENDED, FAILED = Status.CONVERGED, Status.NONFINITE
FORMATS = ("png", "pdf", "svg")


def line_of(figure, optimizer, comparison, panel=-1, theme="light"):
    """The data of an optimizer's line: the longest one in its colour."""
    colour = palette.looks(comparison.optimizers)[optimizer].colour(theme)
    lines = [ln for ln in figure.axes[panel].lines if ln.get_color() == colour]
    return max(lines, key=lambda line: line.get_xdata().size).get_data()


def texts(figure):
    """Everything a figure says inside its axes."""
    return " ".join(t.get_text() for ax in figure.axes for t in ax.texts)


def legend(figure):
    """The entries of a figure's legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def draw(figure):
    """Draw in every format: warnings are errors here."""
    for kind in FORMATS:
        figure.savefig(io.BytesIO(), format=kind)


def test_the_line_is_the_median_over_seeds():
    made = comparison(runs([decay(s, 0.5, 20) for s in (1.0, 4.0, 16.0)]))
    x, y = line_of(figures.convergence(made, "bowl"), "sgd", made)
    close(x, np.arange(21))
    close(y, decay(4.0, 0.5, 20))


def test_the_band_is_the_middle_half():
    made = comparison(runs([decay(s, 0.5, 3) for s in (1.0, 2.0, 3.0, 4.0, 5.0)]))
    (band,) = figures.convergence(made, "bowl").axes[0].collections
    corners = band.get_paths()[0].vertices
    at_start = corners[corners[:, 0] == 0][:, 1]
    close([at_start.min(), at_start.max()], [2.0, 4.0])


def test_gaps_start_from_the_known_minimum_and_say_so():
    made = comparison(runs([3.0 + decay(4.0, 0.5, 9)]), minimum={"bowl": 3.0})
    figure = figures.convergence(made, "bowl")
    close(line_of(figure, "sgd", made)[1], decay(4.0, 0.5, 9))
    assert figure.axes[0].get_ylabel() == "loss − minimum"
    assert figure.axes[0].get_yscale() == "log"
    blind = comparison(runs([3.0 + decay(4.0, 0.5, 9)]), minimum={})
    assert figures.convergence(blind, "bowl").axes[0].get_ylabel() == (
        "loss − lowest seen"
    )


def test_a_gap_of_zero_is_drawn_at_rounding():
    made = comparison(runs([[4.0, 1.0, 0.0]]))
    y = line_of(figures.convergence(made, "bowl"), "sgd", made)[1]
    close(y[-1], 4.0 * np.finfo(float).eps)


def test_work_and_seconds_have_their_own_axes():
    made = comparison(
        runs([decay(4.0, 0.5, 4)], gradients=[[1, 3, 5, 7, 9]], seconds=0.5)
    )
    panels = figures.convergence_panels(made, "bowl")
    close(line_of(panels, "sgd", made, 0)[0], [0, 1, 2, 3, 4])
    close(line_of(panels, "sgd", made, 1)[0], [1, 3, 5, 7, 9])
    close(line_of(panels, "sgd", made, 2)[0], [0, 0.5, 1, 1.5, 2])
    assert len(panels.legends) == 1


def test_the_axis_is_logarithmic_where_some_optimizers_end_early():
    slow, quick = decay(4.0, 0.9, 200), decay(4.0, 0.1, 5)
    made = comparison(runs([slow]), runs([quick], optimizer="newton"))
    assert figures.convergence(made, "bowl").axes[0].get_xscale() == "symlog"
    alone = comparison(runs([slow]))
    assert figures.convergence(alone, "bowl").axes[0].get_xscale() == "linear"


def test_a_median_that_diverged_ends_in_a_cross_and_is_named():
    made = comparison(
        runs([decay(1.0, 0.5, 9), *[decay(1.0, 2.0, 30)] * 2], status=[ENDED] + [4] * 2)
    )
    figure = figures.convergence(made, "bowl")
    assert legend(figure) == ["sgd (diverged)"]
    assert [ln.get_marker() for ln in figure.axes[0].lines] == ["o", "x"]
    # Far values neither stretch the picture nor overflow a PDF.
    assert figure.axes[0].get_ylim()[1] < 100
    assert line_of(figure, "sgd", made)[1].max() < 1000
    draw(figure)


@pytest.mark.parametrize("x", ["steps", "work", "seconds"])
@pytest.mark.parametrize("values", [decay(1.0, 3.0, 40), [np.nan], [1.0, np.inf]])
def test_a_panel_where_all_diverged_says_so(values, x):
    made = comparison(runs([values] * 3, status=[FAILED] * 3))
    figure = figures.convergence(made, "bowl", x)
    assert "Every optimizer diverged." in texts(figure)
    draw(figure)


def test_a_panel_without_measured_seconds_says_so():
    made = comparison(runs([decay(1.0, 0.5, 4)], seconds=float("nan")))
    figure = figures.convergence_panels(made, "bowl")
    assert "not measured" in texts(figure)
    draw(figure)


def test_a_panel_without_evaluation_runs_says_so():
    made = comparison(runs([decay(1.0, 0.5, 4)], phase="tuning"))
    assert "no evaluation runs" in texts(figures.convergence(made, "bowl"))


def test_one_seed_has_no_band():
    made = comparison(runs([decay(1.0, 0.5, 4)]))
    assert not figures.convergence(made, "bowl").axes[0].collections


def test_losses_that_cross_zero_are_drawn_on_a_linear_axis():
    made = comparison(runs([5.0 - np.arange(11.0)]), minimum={})
    figure = figures.convergence(made, "bowl", y="value")
    assert figure.axes[0].get_yscale() == "linear"
    close(line_of(figure, "sgd", made)[1], 5.0 - np.arange(11.0))


def test_long_runs_are_thinned():
    made = comparison(runs([decay(1.0, 0.9999, 50_000)]))
    x, y = line_of(figures.convergence(made, "bowl"), "sgd", made)
    assert x.size < 1000
    close(y, 0.9999**x)


def test_rates_show_medians_and_mark_what_diverged_and_what_was_chosen():
    tuning = runs(
        [[8.0, v] for v in (4.0, 6.0, 1.0, 2.0, 0.5, 99.0, 99.0, 99.0)],
        phase="tuning",
        rates=np.repeat([0.01, 0.1, 1.0, 10.0], 2),
        status=[ENDED] * 5 + [FAILED] * 3,
    )
    made = comparison(tuning, runs([[8.0, 0.5]], rates=[0.1]))
    figure = figures.rate_sensitivity(made, "bowl")
    strip, panel = figure.axes
    close(panel.lines[0].get_xdata(), [0.01, 0.1, 1.0, 10.0])
    close(panel.lines[0].get_ydata(), [5.0, 1.5, np.nan, np.nan])
    close(panel.lines[1].get_data(), [[0.1], [1.5]])
    crosses, dots = strip.lines
    close(crosses.get_xdata(), [1.0, 10.0])
    assert dots.get_xdata().size == 0
    assert strip.get_ylabel() == "diverged"
    assert panel.get_xscale() == panel.get_yscale() == "log"


def test_rates_at_which_some_seeds_diverge_have_a_dot():
    tuning = runs(
        [[8.0, v] for v in (4.0, 2.0, 99.0)],
        phase="tuning",
        rates=[0.1] * 3,
        status=[ENDED, ENDED, FAILED],
    )
    crosses, dots = figures.rate_sensitivity(comparison(tuning), "bowl").axes[0].lines
    close(dots.get_xdata(), [0.1])
    assert crosses.get_xdata().size == 0


def test_without_divergence_there_is_no_strip():
    made = comparison(runs([[8.0, 4.0]] * 2, phase="tuning", rates=[0.1, 1.0]))
    assert len(figures.rate_sensitivity(made, "bowl").axes) == 1


def test_an_optimizer_without_a_rate_is_a_level_line_with_a_note():
    made = comparison(
        runs([[8.0, 4.0]] * 2, phase="tuning", rates=[0.1, 1.0]),
        runs([[8.0, 2.0]], optimizer="newton", rates=[np.nan]),
    )
    figure = figures.rate_sensitivity(made, "bowl")
    assert legend(figure) == ["sgd", "newton (untuned)"]
    close(figure.axes[0].lines[-1].get_ydata(), [2.0, 2.0])


@pytest.mark.parametrize("rates", [[0.1, 1.0], [np.nan] * 2])
def test_rates_that_all_diverge_are_said_to(rates):
    made = comparison(runs([[1.0, 99.0]] * 2, rates=rates, status=[FAILED] * 2))
    figure = figures.rate_sensitivity(made, "bowl")
    assert "Every rate diverged." in texts(figure)
    draw(figure)


def test_paths_are_the_recorded_points_from_one_start():
    made = wander()
    figure = figures.paths(made, valley())
    x, y = line_of(figure, "newton", made)
    close(np.stack([x, y], 1), made.runs[2].path[:, 0])
    ends = [
        line.get_data() for line in figure.axes[0].lines if line.get_marker() == "*"
    ]
    close(ends[0], [[1.0], [1.0]])
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    assert ax.get_xlim()[0] < -2 < 2 < ax.get_xlim()[1]


def test_a_path_that_flies_off_does_not_ruin_the_view():
    made = wander(("sgd", "lion"))
    figure = figures.paths(made, valley())
    low, high = figure.axes[0].get_xlim()
    assert high - low < 10
    assert np.abs(line_of(figure, "lion", made)[0]).max() < 1e3
    draw(figure)


def test_many_optimizers_get_a_panel_each():
    made = wander(tuple(SPEEDS)[:6])
    figure = figures.paths(made, valley())
    named = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert named == list(SPEEDS)[:6]
    assert not figure.legends
    assert len(figures.paths(made, valley(), together=True).axes) == 1


def test_contours_are_those_of_the_loss_with_its_data():
    shifted = Problem(
        name="valley",
        loss=lambda p, c: (p[0] - c) ** 2 + p[1] ** 2,
        init=lambda _: np.zeros(2),
        args=(np.array(1.0),),
        box=(np.array([-2.0, -1.0]), np.array([2.0, 3.0])),
    )
    made = wander(("sgd", "newton"), start=(0.0, 0.0))
    figure = figures.paths(made, shifted)
    # The lowest level is a small circle around the minimum at (1, 0).
    (lowest,) = figure.axes[0].collections[-1].get_paths()
    corners = lowest.vertices.min(axis=0), lowest.vertices.max(axis=0)
    close(corners[0] + corners[1], [2.0, 0.0], atol=0.02)
    close(*(corners[1] - corners[0]), rtol=0.1)
    assert (corners[1] - corners[0] < 0.5).all()


def test_contours_rise_in_equal_factors():
    cone = Problem(
        name="valley",
        loss=lambda p: jnp.hypot(p[0], p[1]),
        init=lambda _: np.zeros(2),
        minimum=0.0,
    )
    outlines = _terrain.contours(cone, np.full(2, -1.0), np.full(2, 1.0))
    radii = [np.abs(o.vertices[:, 0]).max() for o in outlines][2:]
    ratios = np.divide(radii[:-1], radii[1:])
    close(ratios, np.full_like(ratios, ratios[0]), rtol=0.05)


@pytest.mark.parametrize("loss", [lambda p: 0.0 * p[0], lambda p: jnp.log(-(p @ p))])
def test_a_loss_that_is_flat_or_not_finite_has_no_contours(loss):
    flat = Problem(name="valley", loss=loss, init=lambda _: np.ones(2))
    assert not _terrain.contours(flat, np.full(2, 0.5), np.full(2, 1.0))
    draw(figures.paths(wander(), flat))


def test_where_a_loss_is_not_finite_the_rest_is_drawn():
    half = Problem(
        name="valley",
        loss=lambda p: jnp.log(p[0]) ** 2 + p[1] ** 2,
        init=lambda _: np.ones(2),
    )
    outlines = _terrain.contours(half, np.full(2, -1.0), np.full(2, 2.0))
    assert len(outlines) == palette.RAMP - 1
    assert all((o.vertices[:, 0] > 0).all() for o in outlines)
    draw(figures.paths(wander(), half))


def test_a_simpler_line_stays_close_to_the_line():
    angle = np.linspace(0, 2 * np.pi, 2001)
    line = 300 * np.stack([np.cos(angle), np.sin(3 * angle)], axis=1)
    keep = _terrain._kept(line)
    assert 10 < keep.sum() < 200
    kept = line[keep]
    starts, chords = kept[:-1], np.diff(kept, axis=0)
    away = line[:, None] - starts
    share = np.clip((away * chords).sum(-1) / (chords**2).sum(-1), 0, 1)
    off = np.linalg.norm(away - share[..., None] * chords, axis=-1).min(axis=1)
    assert off.max() <= 1


@pytest.mark.parametrize("box", [None, (np.full(2, -2.0), np.full(2, 2.0))])
@pytest.mark.parametrize("end", [np.nan, np.inf, 1e200])
def test_paths_that_end_at_once_leave_a_picture_of_the_ground(end, box):
    bowl = Problem(
        name="bowl", loss=lambda p: p @ p, init=lambda _: np.ones(2), box=box
    )
    lost = [np.full((2, 2), np.nan), np.array([[1.0, 1.0], [end, end]])]
    made = comparison(
        *[
            runs([[1.0, 9.0]], path=[path], status=[FAILED], optimizer=str(k))
            for k, path in enumerate(lost)
        ]
    )
    figure = figures.paths(made, bowl)
    assert figure.axes[0].collections
    draw(figure)


def test_paths_need_two_parameters_and_a_recorded_path():
    line = Problem(name="valley", loss=lambda p: p**2, init=lambda _: np.zeros(()))
    with pytest.raises(ValueError, match="two parameters, 'valley' has 1"):
        figures.paths(wander(), line)
    with pytest.raises(ValueError, match="no paths on 'valley'"):
        figures.paths(comparison(runs([[1.0]])), valley())
    with pytest.raises(ValueError, match=r"seed 7; all ran \[0\]"):
        figures.paths(wander(), valley(), seed=7)


@pytest.mark.parametrize(
    "draw_it",
    [figures.convergence, figures.convergence_panels, figures.rate_sensitivity],
)
def test_unknown_names_list_the_known_ones(draw_it):
    with pytest.raises(ValueError, match="unknown problem 'bowels'; there are 'bowl'"):
        draw_it(comparison(runs([[1.0]])), "bowels")


@pytest.fixture
def unchecked():
    """Call as users do, without the checks of types that tests have."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_axis_or_theme_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown y axis 'height'"):
        figures.convergence(comparison(runs([[1.0]])), "bowl", y="height")
    with pytest.raises(ValueError, match="'steps', 'work', 'seconds'"):
        figures.convergence(comparison(runs([[1.0]])), "bowl", "hours")
    with pytest.raises(ValueError, match="'light', 'dark'"):
        figures.convergence(comparison(runs([[1.0]])), "bowl", theme="sepia")


def test_names_may_hold_anything():
    made = comparison(
        runs([decay(1.0, 0.5, 4)], optimizer="_$x^{ <b>漢\n" + "long " * 30),
        titles={"bowl": r"$\frac <script>" + "long " * 40},
    )
    for figure in (
        figures.convergence(made, "bowl"),
        figures.rate_sensitivity(made, "bowl"),
    ):
        draw(figure)
        assert len(legend(figure)[0]) < 30


def test_twelve_optimizers_fit_in_the_legend():
    figure = figures.convergence(study(), "bowl")
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert not box.overlaps(figure.axes[0].get_tightbbox())
    assert len(legend(figure)) == 12


def test_colours_are_the_same_in_every_figure():
    made = study(("sgd", "adam", "newton"))
    for figure in (
        figures.convergence(made, "bowl"),
        figures.rate_sensitivity(made, "bowl"),
    ):
        shown = [h.get_color() for h in figure.legends[0].legend_handles]
        looks = palette.looks(made.optimizers)
        assert shown == [looks[name].light for name in ("sgd", "adam", "newton")]


def named_by_order(svg):
    """A drawing whose parts are named by their order, not by what they look like."""
    names = dict.fromkeys(re.findall(r'id="([^"]+)"', svg))
    for order, name in enumerate(names):
        names[name] = f"part{order}"
    return re.sub(r'(id="|#)([^")]+)', lambda m: m[1] + str(names.get(m[2], m[2])), svg)


@pytest.mark.parametrize("kind", ["convergence", "rates", "paths"])
def test_a_recoloured_drawing_is_the_one_drawn_for_the_dark(kind):
    made = study(("sgd", "lion", "newton"))
    drawings = {
        "convergence": lambda theme: figures.convergence(made, "bowl", theme=theme),
        "rates": lambda theme: figures.rate_sensitivity(made, "bowl", theme=theme),
        "paths": lambda theme: figures.paths(wander(), valley(), theme=theme),
    }
    light, dark = (pictures.svg(drawings[kind](t)) for t in ("light", "dark"))
    assert named_by_order(palette.recolour(light)) == named_by_order(dark)
    assert light != dark


def test_drawing_leaves_no_settings_behind():
    before = dict(mpl.rcParams)
    draw(figures.convergence(study(("sgd", "newton")), "bowl"))
    assert dict(mpl.rcParams) == before


def test_settings_of_others_do_not_change_the_figure():
    made = study(("sgd", "newton"))
    plain = pictures.svg(figures.convergence(made, "bowl"))
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "xtick.labelsize": 30}):
        assert pictures.svg(figures.convergence(made, "bowl")) == plain


def test_figures_have_the_width_of_a_column():
    made = study(("sgd", "newton"))
    close(figures.convergence(made, "bowl").get_figwidth() * 25.4, 85)
    close(figures.convergence_panels(made, "bowl").get_figwidth() * 25.4, 175)
