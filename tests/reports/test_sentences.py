"""What the page says: summary, methods, captions, costs and failures, from the data."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from reports.synthetic_comparisons import comparison, decay, runs, study, wander

from jaxcalc.minimization import Status
from jaxcalc.reports import (
    bundle,
    captions,
    failures,
    interactive,
    ledger,
    methods,
    overview,
    tables,
)


def test_the_summary_says_who_leads_and_how_sure_that_is():
    made = comparison(
        runs([decay(1.0, 0.01, 9)] * 4, optimizer="fast"),
        runs([decay(1.0, 0.3, 5)] * 4, optimizer="slow"),
    )
    said = overview.summary(made)
    assert said[0] == "2 optimizers made 8 runs on 1 problem."
    assert said[1] == (
        "Down to 0.1 of the starting gap fast and slow came most often, in 100% of the "
        "runs; with the fewest gradient evaluations fast, in 100% of them (90% "
        "interval 100 to 100%, from resampling problems and seeds)."
    )
    # Wilson's interval of 4 of 4 at 95%, by its formula: 4 / (4 + 1.96²).
    assert "10⁻⁵ of the starting gap fast came most often, in 100%" in said[3]
    assert "(95% interval 51 to 100%)" in said[3]


def test_the_summary_ends_where_nobody_gets():
    made = comparison(runs([[1.0, 0.5]] * 2))
    assert overview.summary(made)[1:] == [
        "Nobody came down to 0.1 of the starting gap."
    ]
    assert overview.summary(comparison()) == [
        "Nothing was evaluated yet: there are no evaluation runs."
    ]


def test_the_usual_accuracy_is_what_half_of_the_optimizers_reach():
    made = comparison(
        runs([decay(1.0, 0.1, 8)] * 2, optimizer="far"),
        runs([decay(1.0, 0.1, 4)] * 2, optimizer="near"),
        runs([decay(1.0, 0.1, 2)] * 2, optimizer="nearer"),
    )
    assert overview.usual_accuracy(made) == 1e-3
    assert overview.usual_accuracy(comparison(runs([[1.0, 1.0]]))) == 0.1
    assert overview.usual_accuracy(comparison()) == 0.1


def test_methods_say_searches_batches_and_the_tolerance():
    tuned = runs([[2.0, 1.0]] * 4, phase="tuning", rates=[0.1] * 4, seeds=[9] * 4)
    tuned = replace(
        tuned,
        settings={"learning_rate": tuned.rates, "momentum": np.array([0, 0.5, 0.9, 0])},
    )
    shown = replace(runs([[2.0, 1.0]]), metrics={"accuracy": np.array([0.9])})
    made = comparison(
        tuned,
        shown,
        protocol={
            "trials": 4,
            "spaces": {"sgd": {"learning_rate": "log-uniform from 0.1 to 1"}},
            "batches": {"bowl": "a bowl"},
            "rule": "The best.",
            "tol": 1e-6,
            "unsupported": {"lstsq": {"bowl": "it has no residuals"}},
        },
    )
    said = " ".join(methods.paragraph(made))
    for words in (
        "4 trials for each optimizer that has any, each tried on 1 tuning seed.",
        "The rule of choice: The best.",
        "Steps on A bowl use minibatches",
        "accuracy was measured",
        "no entry of the gradient is above 10⁻⁶",
        "lstsq did not run on bowl: it has no residuals.",
        "none of which was used for tuning",
    ):
        assert words in said, words
    assert methods.spaces(made) == [("sgd", "learning rate: log-uniform from 0.1 to 1")]


@pytest.mark.parametrize(
    "protocol", [{}, {"spaces": 3, "batches": [], "rule": None, "trials": None}]
)
def test_methods_leave_out_what_is_not_known(protocol):
    made = comparison(study(("sgd",)).runs[0], protocol=protocol)
    said = " ".join(methods.paragraph(made))
    assert "None" not in said
    assert "rule" not in said
    assert methods.spaces(made) == []
    assert methods.paragraph(comparison(protocol=protocol))


def test_a_caption_says_what_convergence_shows():
    made = comparison(
        runs([decay(1.0, 0.1, 7)] * 2, optimizer="good"),
        runs([[1.0, 0.7]] * 2, optimizer="poor"),
        runs([[1.0, 5.0]] * 2, optimizer="bad"),
    )
    assert captions.convergence(tables.summary(made, accuracy=1e-3)) == (
        "Here 1 of 3 optimizers came down to 0.001 of the starting gap in most of "
        "their runs; lowest, at 10⁻⁷, ended good, highest of those that did not "
        "diverge poor, at 0.7."
    )
    assert captions.convergence([]) == ""


def test_a_caption_says_whose_rates_are_easy():
    def tuned(name, ends):
        values = [[1.0, end] for end in ends]
        status = [
            Status.CONVERGED if np.isfinite(e) else Status.NONFINITE for e in ends
        ]
        return runs(
            values, optimizer=name, phase="tuning", rates=[0.1, 1, 10], status=status
        )

    made = comparison(
        tuned("easy", [1e-3, 2e-3, 5e-3]), tuned("hard", [0.5, 1e-3, np.inf])
    )
    assert captions.rates(made, "bowl") == (
        "Here easy ends within ten times of the best gap at 3 of 3 rates; hard "
        "diverges at the largest rate."
    )
    assert captions.rates(comparison(runs([[1.0]])), "bowl") == ""


def test_a_caption_measures_paths():
    corner = [np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])]
    straight = [np.array([[0.0, 0.0], [3.0, 4.0]])]
    made = comparison(
        runs([[2.0, 1.0, 0.0]], optimizer="round", path=corner),
        runs([[2.0, 0.0]], optimizer="straight", path=straight),
    )
    assert captions.paths(made, "bowl") == (
        "Over all starts the shortest way is that of straight (median length 5), the "
        "longest that of round (7)."
    )
    assert captions.paths(wander(("sgd",)), "valley") == ""


def test_the_ledger_holds_medians_of_whole_runs():
    made = runs(
        [[1.0] * 3, [1.0] * 5], gradients=[np.array([1, 2, 4]), np.arange(1, 6) * 2]
    )
    made = replace(
        made,
        gradient_flops=100.0,
        peak_bytes=3 * 2.0**20,
        transfer_seconds=0.001,
        seconds_per_step_low=9e-6,
        seconds_per_step_high=2e-5,
        recompiled=2,
    )
    found = ledger.table(comparison(made))
    row = dict(zip(found.headings, found.rows[0][2], strict=True))
    assert row["gradients"] == ("7", 7.0)  # of 4 and 10
    assert row["FLOPs"].value == 700.0
    assert row["peak memory"].text == "3\N{NO-BREAK SPACE}MiB"
    assert row["tracing"] == ("—", None)
    assert row["copying"].text == "1\N{NO-BREAK SPACE}ms"
    step = row["time of a step (quartiles)"].text.replace("\N{NO-BREAK SPACE}", " ")
    assert step == "10 µs (9 µs to 20 µs)"
    assert row["compiled again"].text == "2 times"
    assert "residuals" not in row
    (alarm,) = ledger.alarms(comparison(made))
    assert "compiled again, 2 times: sgd on bowl" in alarm
    assert ledger.alarms(comparison(runs([[1.0]]))) == []
    total = ledger.totals(comparison(made)).replace("\N{NO-BREAK SPACE}", " ")
    assert total == (
        "All runs together, tuning included, spent 400 ms compiling, 20 ms running and "
        "1 ms copying results."
    )


def test_failures_are_told_run_by_run():
    made = comparison(
        runs(
            [[4.0, 2.0, 8.0, np.inf], decay(4.0, 0.5, 3), [4.0, 1.0]],
            status=[Status.NONFINITE, Status.MAX_STEPS, Status.CONVERGED],
        )
    )
    bad, slow = failures.groups(made)
    assert (bad["words"], slow["words"]) == ("became non-finite", "ran out of steps")
    assert bad["why"] == Status.NONFINITE.describe
    assert bad["remedy"] == Status.NONFINITE.remedy
    (who,) = bad["who"]
    assert (who["count"], who["of"]) == (1, 3)
    assert who["settings"] == [("learning rate", "0.1")]
    (run,) = who["runs"]
    assert (run["seed"], run["steps"], run["last"]) == (0, "3", "infinite")
    assert (run["lowest"], run["finite"]) == ("2", "8 at step 2")
    # The trace has the three finite points, highest loss on top.
    heights = [float(point.split(",")[1]) for point in run["trace"].split()]
    assert np.argmin(heights) == 2
    assert np.argmax(heights) == 1
    assert failures.groups(comparison(runs([[1.0, 0.0]]))) == []


def test_all_settings_of_a_failure_are_told():
    made = runs([[1.0, np.nan]] * 2, status=[Status.NONFINITE] * 2)
    settings = {"learning_rate": np.full(2, 0.3), "decay": np.array([0.9, np.nan])}
    (group,) = failures.groups(comparison(replace(made, settings=settings)))
    assert group["who"][0]["settings"] == [("learning rate", "0.3"), ("decay", "0.9")]
    assert group["who"][0]["runs"][0]["last"] == "NaN"


def test_the_data_of_a_page_hold_costs_exactly_and_failures_as_minus_one():
    made = comparison(
        runs([[1.0, 0.1, 1e-9], [1.0, 0.9]]),
        runs([[1.0, 0.0]], optimizer="adam", gradients=[np.array([1, 3]) / 7]),
    )
    data = json.loads(interactive.dumps(interactive.payload(made, 1e-3)))
    assert data["costs"]["steps"][1] == [[[2, 1], [-1, None]]]
    assert data["accuracy"] == 1
    lane = data["runs"][0]["lanes"][1]
    assert (lane["k"], lane["gap"]) == ([0, 1], [1, 0.9])
    assert interactive.sentence(made).startswith("The figures draw all 7 points")


def test_large_traces_are_said_to_be_thinned():
    made = comparison(runs([decay(1.0, 0.999, 5_000)] * 3))
    assert "15,003 points" in interactive.sentence(made)
    data = interactive.payload(made, 0.1)
    assert all(len(lane["k"]) <= 300 for lane in data["runs"][0]["lanes"])


def test_metrics_and_settings_have_columns():
    made = runs([[1.0, 0.0]] * 3)
    made = replace(
        made,
        metrics={"val_accuracy": np.array([0.7, 0.9, 0.8])},
        settings={"learning_rate": made.rates, "momentum": np.full(3, 0.9)},
    )
    rows = tables.summary(comparison(made, runs([[1.0]], optimizer="adam")))
    names = tables.metrics(rows)
    assert names == ("val_accuracy",)
    assert tables.headings(rows)[1] == "settings"
    assert tables.headings(rows)[-2] == "val accuracy"
    cells = [tables.cells(row, names) for row in rows]
    assert [c[1] for c in cells] == ["0.1, momentum 0.9", "0.1"]
    assert [c[-2] for c in cells] == ["0.8", "—"]
    keys = [tables.sort_keys(row, names) for row in rows]
    assert [key[-2] for key in keys] == [0.8, None]
    assert all(len(key) == len(cell) for key, cell in zip(keys, cells, strict=True))
    lines = tables.markdown(rows).splitlines()
    assert len({line.count("|") for line in lines}) == 1


def test_the_script_is_written_once_and_shared(tmp_path):
    shared = tmp_path / "plotly.min.js"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        address, why = bundle.place(tmp_path / name, shared)
        assert (address, why) == ("../plotly.min.js", "")
        written = shared.stat().st_mtime_ns if name == "one" else written
    assert shared.stat().st_mtime_ns == written
    shared.write_text("cut off")
    bundle.place(tmp_path / "one", shared)
    assert shared.stat().st_size > 1e6
    assert not list(tmp_path.rglob("*.partial"))


def test_without_plotly_pages_say_so_or_use_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    address, why = bundle.place(tmp_path, None)
    assert address is None
    assert "pip install 'jaxcalc[reports]'" in why
    (tmp_path / bundle.NAME).write_text("there")
    assert bundle.place(tmp_path, None) == (bundle.NAME, "")
