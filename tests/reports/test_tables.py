"""Tables say what the runs say, in the words of people, whatever the names hold."""

import math

import numpy as np
import pytest
from closeness import close
from reports.synthetic_comparisons import comparison, decay, runs

from jaxcalc.minimization import Status
from jaxcalc.reports import _numbers, tables

ENDED, SPENT, FAILED = Status.CONVERGED, Status.MAX_STEPS, Status.NONFINITE


def test_a_row_holds_medians_to_the_target_over_all_runs():
    made = comparison(
        runs(
            [decay(8.0, 0.09, 9), decay(8.0, 0.009, 9), [8.0, 7.0], [8.0, 0.1, 0.0]],
            gradients=[np.arange(10) * 2, np.arange(10) * 2, [0, 2], [0, 2, 4]],
            status=[ENDED, ENDED, SPENT, ENDED],
            seconds=0.5,
        )
    )
    (row,) = tables.summary(made, accuracy=1e-6)
    # A millionth is reached after 6, 3 and 2 steps, and never.
    assert (row.runs, row.reached) == (4, 3)
    close(row.steps, 4.5)
    close(row.work, 9.0)
    close(row.seconds, 2.25)
    gaps = 8 * 0.09**9, 8 * 0.009**9
    close(row.gap, sum(gaps) / 2, atol=0)
    close(row.grad_norm, (math.sqrt(gaps[0]) + math.sqrt(gaps[1])) / 2, atol=0)
    assert row.rate == 0.1
    assert row.ended == {ENDED: 3, SPENT: 1}
    assert row.words == "3 converged, 1 ran out of steps"


def test_the_target_can_be_chosen():
    made = comparison(runs([decay(8.0, 0.1, 9)]))
    assert [tables.summary(made, accuracy=a)[0].steps for a in (0.05, 5e-4)] == [2, 4]


def test_by_default_half_of_the_optimizers_reach_the_target():
    good, fair, poor, bad = (decay(8.0, 0.1, n) for n in (8, 5, 3, 0))
    made = comparison(
        runs([fair * 0.9, poor, fair * 0.8], optimizer="fair"),
        runs([good, good, bad], optimizer="good"),
        runs([poor] * 3, optimizer="poor"),
        runs([bad] * 3, optimizer="bad"),
        runs([bad], problem="cup"),
        minimum={"bowl": 0.0, "cup": 0.0},
    )
    found = {row.optimizer: row for row in tables.summary(made, "bowl")}
    # A 1e-4 is reached by two of four in most of their runs, 1e-5 by one.
    assert {row.accuracy for row in found.values()} == {1e-4}
    assert [found[name].reached for name in ("fair", "good", "poor", "bad")] == [
        2,
        2,
        0,
        0,
    ]
    assert tables.summary(made, "cup")[0].accuracy == 0.1


def test_half_of_the_runs_never_there_means_never():
    made = comparison(runs([decay(8.0, 0.1, 9), [8.0, 7.0]], status=[ENDED, SPENT]))
    (row,) = tables.summary(made, accuracy=1e-6)
    assert row.reached == 1
    assert math.isinf(row.steps)
    assert tables.cells(row)[2:6] == ("1 of 2", "—", "—", "—")


def test_runs_that_diverged_are_counted_and_said():
    made = comparison(runs([[8.0, np.inf], [8.0, 99.0]], status=[FAILED, SPENT]))
    (row,) = tables.summary(made)
    assert row.diverged == 2
    assert tables.cells(row)[6] == "diverged"
    assert row.words == "1 ran out of steps, 1 became non-finite"


def test_gaps_below_rounding_are_not_told_apart():
    made = comparison(runs([[8.0, 4e-16]]), runs([[8.0, 0.0]], optimizer="adam"))
    shown = {tables.cells(row)[6] for row in tables.summary(made)}
    assert shown == {"< 1.8×10⁻¹⁵"}


def test_optimizers_without_a_rate_are_said_to_be_untuned():
    (row,) = tables.summary(comparison(runs([[8.0, 4.0]], rates=[np.nan])))
    assert not row.has_rate
    assert tables.cells(row)[1] == "untuned"


def test_times_that_were_not_measured_are_dashes():
    made = comparison(runs([decay(8.0, 0.1, 9)], seconds=math.nan))
    assert tables.cells(tables.summary(made)[0])[5] == "—"


def test_rows_follow_the_problems_and_can_be_of_one():
    made = comparison(
        runs([[2.0, 1.0]], problem="bowl"),
        runs([[2.0, 1.0]], problem="cup"),
        runs([[2.0, 1.0]], problem="bowl", optimizer="adam"),
        runs([[2.0, 1.0]], problem="cup", optimizer="adam", phase="tuning"),
    )
    named = [(row.problem, row.optimizer) for row in tables.summary(made)]
    assert named == [("bowl", "sgd"), ("bowl", "adam"), ("cup", "sgd")]
    assert [r.optimizer for r in tables.summary(made, "cup")] == ["sgd"]
    with pytest.raises(ValueError, match="unknown problem 'mug'; there are 'bowl'"):
        tables.summary(made, "mug")
    with pytest.raises(ValueError, match="`accuracy` must be finite and positive"):
        tables.summary(made, accuracy=0.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.003, "0.003"),
        (0.1, "0.1"),
        (12.0, "12"),
        (1234.5, "1,234"),
        (99999.0, "99,999"),
        (1e5, "10⁵"),
        (3.17e-9, "3.2×10⁻⁹"),
        (1e-6, "10⁻⁶"),
        (9.99e-4, "0.001"),
        (-0.25, "-0.25"),
        (-2e-7, "-2×10⁻⁷"),
        (math.inf, "—"),
        (math.nan, "—"),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert _numbers.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.0, "2 s"),
        (0.0034, "3.4 ms"),
        (45.6e-6, "46 µs"),
        (2e-9, "0.002 µs"),
        (0.0, "0 s"),
        (math.inf, "—"),
    ],
)
def test_times_come_in_the_unit_that_suits_them(seconds, text):
    assert _numbers.duration(seconds) == text.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (3.5, "3.5"), (1234.5, "1,234"), (math.inf, "—")]
)
def test_counts_are_whole_or_half(value, text):
    assert _numbers.count(value) == text


NASTY = "a|b*c_d`e`[f](g) <script>&amp; \\ 100% $x^2$ #{1} ~"


def test_markdown_has_a_row_for_each_and_escapes_names():
    made = comparison(runs([[8.0, 4.0]], optimizer=NASTY), runs([[8.0, 4.0]]))
    lines = tables.markdown(tables.summary(made)).splitlines()
    assert len(lines) == 4
    bars = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines]
    assert bars == [len(tables.HEADINGS) + 2] * 4
    assert "&lt;script>&amp;amp;" in lines[2]
    assert "\\*c\\_d\\`e\\`\\[f\\]" in lines[2]


def test_latex_has_a_row_for_each_and_escapes_names():
    made = comparison(
        runs([[8.0, 1e-5]], optimizer=NASTY, problem="one_way"),
        runs([[8.0, 4.0]], problem="two"),
    )
    text = tables.latex(tables.summary(made))
    assert text.startswith("\\begin{tabular}{ll" + "r" * 7 + "l}\n\\toprule\n")
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    separators = [line.replace(r"\&", "").count("&") for line in body]
    assert separators == [len(tables.HEADINGS)] * 3
    assert r"one\_way & a|b*c\_d`e`" in text
    assert r"\textbackslash{} 100\% \$x\textasciicircum{}2\$ \#\{1\}" in text
    assert r"\textless{}script\textgreater{}\&amp;" in text
    # Problems are set apart by a rule.
    assert text.count(r"\midrule") == 2
    assert text.isascii()


def test_latex_writes_powers_as_mathematics():
    made = comparison(runs([[8.0, 3.2e-9]]), minimum={"bowl": 0.0})
    assert r"3.2$\times$10$^{-9}$" in tables.latex(tables.summary(made))


def test_no_rows_make_an_empty_table():
    assert len(tables.markdown([]).splitlines()) == 2
    assert r"\begin{tabular}" in tables.latex([])
