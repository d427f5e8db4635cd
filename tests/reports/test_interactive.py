"""The page in a real browser: what it computes, what it asks for, how it is used."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from closeness import close
from matplotlib.figure import Figure
from reports.browser import Browser
from reports.synthetic_comparisons import SPEEDS, comparison, decay, runs, study

from jaxcalc.comparison import profiles
from jaxcalc.comparison.profiles import Costs
from jaxcalc.minimization import Status
from jaxcalc.reports import interactive, page

EVIL = '<img src=x onerror="document.title=\'bad\'"><b>bold</b> & "more"'


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of this file."""
    opened = Browser()
    yield opened
    opened.close()


def uneven(run):
    """Work that grows from step to step, for one of the optimizers."""
    if run.optimizer != "newton":
        return run
    counts = run.work["gradients"]
    grown = np.where(counts < 0, -1, counts * (counts + 1) // 2)
    return replace(run, work=run.work | {"gradients": grown})


def several(names=("sgd", "adam", "lion", "newton", EVIL)):
    """Three problems, with FLOPs for all but one optimizer and seconds for all."""
    SPEEDS[EVIL] = 0.9
    made = [study(names, f"bowl {k}", 120, 4, seed=k) for k in range(3)]
    records = [
        replace(uneven(run), gradient_flops=np.nan if run.optimizer == "lion" else 10.0)
        for one in made
        for run in one.runs
    ]
    titles = {f"bowl {k}": f"Bowl <{k}>" for k in range(3)}
    return comparison(*records, titles=titles, minimum=dict.fromkeys(titles, 0.0))


@pytest.fixture(scope="module")
def written(tmp_path_factory, plain_pictures):
    """A report, and what it is about."""
    made = several()
    return page.write(made, tmp_path_factory.mktemp("live"), title="Live"), made


@pytest.fixture(scope="module")
def plain_pictures():
    """Pages whose pictures are empty drawings: scripts are tested here."""
    from jaxcalc.reports import figures, pictures
    from jaxcalc.reports import profiles as drawn

    empty = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    blank = {"source": pictures.address(empty), "width": 9, "height": 9, "alt": "x"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "save", lambda *_, **__: None)
        patch.setattr(pictures, "image", lambda *_: blank)
        for module in (figures, drawn):
            for name in module.__all__:
                if not name.endswith("_caption"):
                    patch.setattr(module, name, lambda *_, **__: Figure())
        yield


@pytest.fixture
def live(browser, written):
    """The page, opened anew."""
    browser.prefer("light")
    browser.resize(1280, 900)
    browser.open(written[0])
    browser.wait("document.documentElement.dataset.ready === 'yes'")
    return browser


def choose(browser, name, value):
    """Choose an option, as a person does."""
    browser.run(
        f"""(() => {{
        const field = document.getElementById("controls").elements["{name}"];
        if (field.type === "checkbox") field.checked = {json.dumps(value)};
        else field.value = {json.dumps(value)};
        field.dispatchEvent(new Event("change", {{bubbles: true}})); }})()"""
    )


def toggle(browser, place):
    browser.run(f"document.querySelectorAll('.legend li button')[{place}].click()")


def shares(browser, kind):
    """The table of shares: headings, names, numbers."""
    return json.loads(
        browser.run(
            f"""JSON.stringify([...document.querySelectorAll("#shares-{kind} tbody tr")]
            .map((row) => [row.cells[0].textContent,
            [...row.querySelectorAll("data")].map((one) => one.value)]))"""
        )
    )


MEASURES = {
    "work": "gradient_equivalents",
    "steps": "steps",
    "flops": "flops",
    "seconds": "seconds",
}


def same_as_python(browser, made, measure, accuracy, subset):
    """Compare all shares that the page tells with those of the package."""
    spent = profiles.costs(made, MEASURES[measure], accuracy)
    performance = profiles.performance_profile(spent, subset=subset)
    data = profiles.data_profile(spent, subset=subset)
    first = next((x for x in data.x if x > 0), 1.0)
    low, last = int(np.floor(np.log10(first))) + 1, data.x[-1]
    powers = [10.0**k for k in range(low, low + 6) if 10.0**k < last]
    for kind, found, at in (
        ("performance", performance, [1, 2, 5, 10, 100, np.inf]),
        ("data", data, [*powers, np.inf]),
    ):
        told = shares(browser, kind)
        assert [name for name, _ in told] == list(subset)
        numbers = [[float(value) for value in row] for _, row in told]
        close(numbers, found.at(np.array(at)), rtol=1e-12)


def test_shares_are_those_of_the_package_whatever_is_hidden(live, written):
    made = written[1]
    everyone = list(made.optimizers)
    for measure, place, hidden in (
        ("work", 0, []),
        ("steps", 1, [0]),
        ("flops", 2, [3]),
        ("seconds", 1, [1, 3, 4]),
    ):
        choose(live, "x", measure)
        choose(live, "accuracy", str(place))
        live.run("document.getElementById('controls').elements.all.click()")
        for one in hidden:
            toggle(live, one)
        subset = [name for k, name in enumerate(everyone) if k not in hidden]
        same_as_python(live, made, measure, profiles.ACCURACIES[place], subset)


def cases(count=150):
    """Costs at random, with failures, gaps, ties and zeros; and who is shown."""
    draw = np.random.default_rng(7)
    pick = random.Random(7)
    for _ in range(count):
        shape = tuple(draw.integers(1, [4, 5, 6]))
        values = draw.integers(0, 9, shape) * draw.choice([1.0, 0.1, 1e6])
        values[draw.random(shape) < 0.2] = np.inf
        values[draw.random(shape) < 0.1] = np.nan
        whole = list(range(shape[2]))
        yield values, sorted(pick.sample(whole, pick.randint(1, len(whole))))


def costs_of(values):
    """Costs with names for everything."""
    problems, seeds, optimizers = values.shape
    return Costs(
        problems=tuple(f"p{k}" for k in range(problems)),
        seeds=tuple(range(seeds)),
        optimizers=tuple(f"o{k}" for k in range(optimizers)),
        values=values,
    )


def in_script(values):
    """An array as JavaScript, which has NaN and Infinity."""
    text = json.dumps(values.tolist())
    return text.replace("-Infinity", "Infinity")


def test_the_page_computes_profiles_as_the_package_does(browser, tmp_path):
    blank = tmp_path / "blank.html"
    blank.write_text("<!DOCTYPE html><title>x</title>")
    browser.open(blank)
    browser.run(page._asset("profiles.js"))
    for values, chosen in cases():
        costs = costs_of(values)
        subset = [f"o{k}" for k in chosen]
        for kind in ("performance", "data"):
            call = f'profile("{kind}", {in_script(values)}, {chosen})'
            told = json.loads(browser.run(f"JSON.stringify({call})"))
            profile = getattr(profiles, f"{kind}_profile")(costs, subset=subset)
            assert (told["pairs"], told["leftOut"]) == (
                profile.pairs,
                profile.left_out,
            )
            close(told["x"], profile.x, rtol=1e-14)
            share = np.array(told["share"], float)  # null, where there is no pair
            close(share, profile.share, rtol=1e-14)


def reversal(costs, chosen, margin=0.05):
    """Pairs that stand the other way round without the others, by the definition."""
    whole = profiles.performance_profile(costs)
    part = profiles.performance_profile(costs, subset=chosen)
    x = np.unique(np.concatenate([whole.x, part.x]))
    before = dict(zip(whole.optimizers, whole.at(x), strict=True))
    after = dict(zip(part.optimizers, part.at(x), strict=True))
    for k, a in enumerate(chosen):
        for b in chosen[k + 1 :]:
            one, two = before[a] - before[b], after[a] - after[b]
            size = np.where(one * two < 0, np.minimum(abs(one), abs(two)), 0)
            if size.max() > margin + 1e-12:
                yield {a, b}


def test_pairs_that_hiding_turns_around_are_found(browser, tmp_path):
    blank = tmp_path / "blank.html"
    blank.write_text("<!DOCTYPE html><title>x</title>")
    browser.open(blank)
    browser.run(page._asset("profiles.js"))
    seen = 0
    for values, chosen in cases():
        everybody = list(range(values.shape[2]))
        call = f"turned({in_script(values)}, {everybody}, {chosen})"
        told = json.loads(browser.run(f"JSON.stringify({call})"))
        expected = list(reversal(costs_of(values), [f"o{k}" for k in chosen]))
        found = [{f"o{one['a']}", f"o{one['b']}"} for one in told]
        assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
        seen += len(found)
    assert seen > 3  # or nothing was tried


def test_hiding_an_optimizer_that_turns_two_others_around_is_said(
    browser, tmp_path, plain_pictures
):
    # Gould and Scott's effect: without the third, second leads at once.
    costs = {"first": [2, 2, 9, 9], "second": [3, 3, 6, 1], "third": [9, 9, 3, 9]}
    made = comparison(
        *[
            runs([[1.0] * n + [0.0] for n in steps], optimizer=name)
            for name, steps in costs.items()
        ]
    )
    browser.open(page.write(made, tmp_path, title="Turned"))
    choose(browser, "x", "steps")
    line = "document.getElementById('turned')"
    assert browser.run(f"{line}.hidden")
    expected = {
        k: list(
            reversal(profiles.costs(made, "steps"), [*costs][:k] + [*costs][k + 1 :])
        )
        for k in range(3)
    }
    for k, turned in expected.items():
        toggle(browser, k)
        assert browser.run(f"{line}.hidden") == (not turned)
        toggle(browser, k)


def test_nothing_is_asked_for_but_the_script_beside(live, written):
    live.wait("document.querySelector('.is-live .main-svg') !== null")
    live.run("window.scrollTo(0, document.body.scrollHeight)")
    asked = {url for url in live.requests() if not url.startswith(("data:", "blob:"))}
    folder = written[0].parent.as_uri()
    assert asked == {f"{folder}/report.html", f"{folder}/plotly.min.js"}
    assert live.errors() == []


def test_the_policy_refuses_a_network(live):
    refused = live.run(
        "fetch('https://example.org').then(() => 'fetched', () => 'refused')"
    )
    assert refused == "refused"
    assert any("Content Security Policy" in str(said) for said in live.errors())


def test_names_are_shown_as_they_are(live):
    live.wait("document.querySelector('.is-live .main-svg') !== null")
    assert live.run("document.title") == "Live"
    assert live.run("document.querySelectorAll('img[src=x]').length") == 0
    names = live.run(
        "JSON.stringify([...document.querySelectorAll('.legend')][0].textContent)"
    )
    assert EVIL in json.loads(names)
    inside = "Plotly.d3 === undefined && document.querySelector('.canvas').data"
    assert "&lt;img" in live.run(f"JSON.stringify({inside}.map((one) => one.name))")


def drawn(browser, kind, place=0):
    """What Plotly draws in a figure."""
    figure = f"document.querySelectorAll('figure[data-chart={kind}]')[{place}]"
    browser.run(f"{figure}.scrollIntoView()")
    browser.wait(f"{figure}.querySelector('.main-svg') !== null")
    return f"{figure}.querySelector('.canvas')"


def test_axes_can_be_chosen_and_optimizers_hidden(live, written):
    canvas = drawn(live, "convergence")
    lines = f"{canvas}.data.filter((one) => one.name).length"
    assert live.run(lines) == 5
    toggle(live, 1)
    live.wait(f"{lines} === 4")
    assert live.run(f"{canvas}.layout.xaxis.title.text").startswith("work")
    newton = f"{canvas}.data.find((one) => one.name === 'newton')"
    work = written[1].select("bowl 0", "newton", "evaluation")[0].gradient_equivalents
    close(live.run(f"Math.max(...{newton}.x)"), np.nanmax(work))
    choose(live, "x", "seconds")
    # A figure that has just moved is drawn when it is in view again.
    live.wait(f"{canvas}.layout.xaxis.title.text.startsWith('seconds')")
    assert live.run(f"{canvas}.layout.xaxis.type") == "linear"
    choose(live, "log-x", True)
    choose(live, "log-y", False)
    live.wait(f"{canvas}.layout.xaxis.type === 'log'")
    live.wait(f"{canvas}.layout.yaxis.type === 'linear'")
    smallest = f"Math.min(...{canvas}.data.flatMap((one) => one.x))"
    assert live.run(smallest) > 0
    choose(live, "runs", True)
    # Four runs of each of the four that are left.
    live.wait(f"{canvas}.data.length === 16")
    told = live.run("document.getElementById('now').textContent")
    assert "seconds of one run" in told
    assert "without adam" in told
    # FLOPs were not counted for one of them: it is not drawn.
    choose(live, "x", "flops")
    live.wait(f"{canvas}.data.length === 12")


def test_figures_zoom_by_keys(live):
    canvas = drawn(live, "data")
    width = f"{canvas}.layout.xaxis.range[1] - {canvas}.layout.xaxis.range[0]"
    before = live.run(width)
    live.run(f"{canvas}.focus()")
    live.press("+")
    live.wait(f"{width} < {before}")
    close(live.run(width), before / 1.5)
    live.press("0")
    live.wait(f"Math.abs({width} - {before}) < 1e-6 * {before}")


def test_tables_sort_by_keys_and_say_so(live):
    table = "document.querySelector('table.sortable')"
    column = [
        float(text) if text else np.inf
        for text in json.loads(
            live.run(
                f"JSON.stringify([...{table}.tBodies[0].rows].map((row) => "
                "row.cells[4].dataset.sort))"
            )
        )
    ]
    rows = f"[...{table}.tBodies[0].rows]"
    order = f"JSON.stringify({rows}.map((row) => row.cells[4].dataset.sort))"
    live.run(f"{table}.tHead.rows[0].cells[4].querySelector('button').focus()")
    live.press("Enter")
    state = f"{table}.tHead.rows[0].cells[4].getAttribute('aria-sort')"
    assert live.run(state) == "ascending"
    told = [float(t) if t else np.inf for t in json.loads(live.run(order))]
    assert told == sorted(column)
    live.press("Enter")
    assert live.run(state) == "descending"
    told = [float(t) if t else -np.inf for t in json.loads(live.run(order))]
    finite = [-np.inf if np.isinf(v) else v for v in column]
    # What is missing stays last.
    assert told == sorted(finite, reverse=True)


def test_rows_are_filtered_by_words_and_by_who_is_shown(live):
    box = "document.querySelector('[aria-label^=\"Filter rows\"]')"
    visible = (
        "[...document.querySelector('.tall table').tBodies[0].rows]"
        ".filter((row) => !row.hidden).map((row) => row.dataset.optimizer)"
    )
    assert len(live.run(visible)) == 15
    live.run(f"{box}.value = 'ADAM <1>'; {box}.dispatchEvent(new Event('input'))")
    assert live.run(visible) == ["adam"]
    status = live.run(f"{box}.parentElement.querySelector('[role=status]').textContent")
    assert status == "1 of 15 rows"
    live.run(f"{box}.value = ''; {box}.dispatchEvent(new Event('input'))")
    toggle(live, 0)
    assert live.run(visible).count("sgd") == 0
    assert len(live.run(visible)) == 12


def test_a_failed_run_opens_and_says_why(live):
    failed = (
        "[...document.querySelectorAll('#failures ~ details')]"
        ".find((one) => one.textContent.includes('lion'))"
    )
    live.run(f"{failed}.querySelector('summary').focus()")
    live.press("Enter")
    live.wait(f"{failed}.open")
    text = live.run(f"{failed}.innerText")
    assert "learning rate 0.1" in text
    assert "infinite" in text
    assert live.run(f"{failed}.querySelectorAll('polyline').length") > 0
    assert Status.NONFINITE.remedy in live.run("document.body.innerText")


def test_the_theme_can_be_chosen(live):
    back = "getComputedStyle(document.body).backgroundColor"
    light = live.run(back)
    live.run("document.getElementById('theme').click()")
    dark = live.run(back)
    assert light != dark
    assert live.run("document.getElementById('theme').textContent") == "Light theme"
    live.run("document.getElementById('theme').click()")
    assert live.run(back) == light
    live.prefer("dark")
    assert live.run(back) == light  # what was chosen goes before the system
    live.run("localStorage.clear()")


def test_everything_can_be_reached_and_has_a_name(live):
    drawn(live, "performance")
    nameless = live.run(
        """[...document.querySelectorAll(
        "button, select, input, a[href], [tabindex='0']")]
        .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label")
        || one.labels?.length)).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    live.run("document.activeElement.blur()")
    live.press("Tab")
    assert live.run("document.activeElement.textContent") == "Skip to the results"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    live.press("Tab")
    assert live.run(outline) == "solid"


def test_a_phone_does_not_scroll_sideways(live):
    live.resize(390, 844, mobile=True)
    drawn(live, "convergence")
    assert live.run("document.documentElement.scrollWidth") <= 390


STILLS = "[...document.querySelectorAll('.still')].every((one) => one.offsetHeight > 0)"


def test_without_the_script_the_pictures_stay(browser, written, tmp_path):
    alone = tmp_path / "alone.html"
    alone.write_text(written[0].read_text())
    browser.open(alone)
    browser.wait("!document.getElementById('still').hidden")
    visible = (
        "[...document.querySelectorAll('.still')].every((one) => one.offsetHeight > 0)"
    )
    assert browser.run(visible)
    # What needs no drawing goes on.
    assert len(shares(browser, "performance")) == 5


def test_without_any_script_it_is_whole(browser, written):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(written[0])
        # No control is seen that would do nothing.
        for control in ("controls", "theme", "turned"):
            assert browser.run(f"document.getElementById('{control}').hidden")
        text = browser.run("document.body.textContent")
        assert "What did not converge, and why" in text
        assert browser.run(STILLS)
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_it_prints_its_pictures_and_no_controls(live):
    drawn(live, "performance")
    live.prefer("light", media="print")
    assert live.run(
        "[...document.querySelectorAll('#controls, .zoom, #theme, nav, .filter')]"
        ".every((one) => one.offsetHeight === 0)"
    )
    assert live.run(STILLS)
    assert live.pdf().startswith(b"%PDF")


FORTY = [f"{'long' * 30} {k}" for k in range(40)]


@pytest.mark.parametrize(
    "made",
    [
        comparison(protocol={}, environment={}),
        comparison(runs([[2.0, 1.0]], phase="tuning")),
        comparison(runs([[np.nan, np.nan]] * 2, status=[Status.NONFINITE] * 2)),
        comparison(runs([[1.0]], seconds=np.nan), minimum={}),
        comparison(runs([decay(1.0, 0.5, 9)]), unfinished=(("bowl", "x", "tuning"),)),
        comparison(*[runs([decay(1.0, 0.5, 9)], optimizer=name) for name in FORTY]),
    ],
    ids=["empty", "tuning", "nan", "point", "unfinished", "forty"],
)
def test_odd_comparisons_have_pages_without_errors(
    browser, tmp_path, plain_pictures, made
):
    browser.prefer("light")
    browser.resize(390, 844, mobile=True)
    browser.open(page.write(made, tmp_path, title="Odd"))
    browser.wait("document.documentElement.dataset.ready === 'yes'")
    if made.select(phase="evaluation"):
        drawn(browser, "performance")
        toggle(browser, 0)
        choose(browser, "y", "value")
    assert browser.errors() == []
    assert browser.run("document.documentElement.scrollWidth") <= 390
    if made.unfinished:
        assert "Not finished." in browser.run("document.body.innerText")


def test_data_in_a_page_cannot_end_it():
    told = interactive.dumps({"name": "</script><!--\u2028&", "many": [1.5, None]})
    assert not re.search("[<>&\u2028]", told)
    assert json.loads(told) == {"name": "</script><!--\u2028&", "many": [1.5, None]}


@pytest.mark.slow
def test_two_hundred_thousand_points_open_within_a_second(
    browser, tmp_path, plain_pictures
):
    made = [study(tuple(SPEEDS), f"bowl {k}", 400, 8, seed=k) for k in range(12)]
    whole = comparison(*[run for one in made for run in one.runs])
    points = sum(int((run.steps + 1).sum()) for run in whole.select(phase="evaluation"))
    assert points > 200_000
    path = page.write(whole, tmp_path, title="Many")
    assert path.stat().st_size < 3e6
    times = []
    for _ in range(5):
        browser.open(path)
        browser.wait("document.documentElement.dataset.ready === 'yes'")
        entry = "performance.getEntriesByType('navigation')[0].domComplete"
        times.append(browser.run(entry))
    assert sorted(times)[1] < 1000, times
