"""The page: complete, offline, readable by machines too, and harmless."""

import base64
import errno
import importlib
import re
import sys
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from reports.synthetic_comparisons import (
    comparison,
    decay,
    runs,
    study,
    valley,
    wander,
)

from jaxcalc.comparison import Comparison
from jaxcalc.minimization import Status
from jaxcalc.reports import methods, page, pictures, prose, tables

VOID = {"meta", "img", "source", "br", "line", "link", "hr", "input"}
SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert('x')</script>"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


class Reader(HTMLParser):
    """Elements with their attributes; fails where elements are not nested."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.said = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.said.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def both():
    """A comparison on two problems, one of them with paths."""
    one, two = study(("sgd", "lion", "newton")), wander(("sgd", "newton"))
    return Comparison(
        runs=one.runs + two.runs,
        protocol=one.protocol | {"rule": "The best one.", "tol": None},
        environment=one.environment,
        titles=one.titles | two.titles,
        minimum=one.minimum | two.minimum,
        sources={"valley": "Rosenbrock (1960), see https://example.org"},
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A written report and the reader of its page."""
    folder = tmp_path_factory.mktemp("report")
    path = page.write(
        both(), folder, title="Three optimizers", problems=[valley()], intro="Why?"
    )
    return path, Reader(path.read_text())


def test_a_small_page_is_one_file_with_all_its_figures(written):
    _, reader = written
    pictures = reader.all("img")
    # Four of all problems, three of convergence on each, rates on one, paths on one.
    assert len(pictures) == 12
    for image in pictures:
        kind, drawing = image["src"].split(",", 1)
        assert kind == "data:image/svg+xml"
        assert not re.search(r"\s", image["src"])
        assert ET.fromstring(unquote(drawing)).tag == f"{SVG}svg"


def test_pictures_follow_the_theme(written):
    _, reader = written
    for image in reader.all("img"):
        drawing = unquote(image["src"])
        both = re.search(
            r"<style>svg\{(.*?)\}@media\(prefers-color-scheme:dark\)", drawing
        )
        assert both, drawing[:300]
        # Every colour is a variable, of which the drawing has both values.
        used = set(re.findall(r"var\((--c\d+)\)", drawing))
        assert used <= set(re.findall(r"(--c\d+):#", both[1]))
        assert not re.search(r"(fill|stroke): ?#[0-9a-f]{6}", drawing)


def test_the_page_loads_nothing_from_a_network(written):
    path, reader = written
    refused = {"link", "iframe", "object", "embed", "base", "source", "video", "audio"}
    assert not refused & {tag for tag, _ in reader.elements}
    assert not any("src" in attrs for attrs in reader.all("script"))
    (data,) = (a for a in reader.all("script") if a.get("id") == "data")
    assert data["data-bundle"] == "plotly.min.js"
    for tag, attrs in reader.elements:
        for name in ("src", "srcset", "data", "poster", "background"):
            assert attrs.get(name, "data:").startswith("data:"), (tag, name)
        assert not any(name.startswith("on") for name in attrs)
        assert "url(" not in attrs.get("style", "")
    text = path.read_text()
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    # An address in the page is one that a source names, for people to read.
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert not any(re.search(r"https?:|//[a-z]+\.", part) for part in scripts)
    for drawing in reader.all("img"):
        inside = unquote(drawing["src"])
        assert set(re.findall(r'href="(.)', inside)) == {"#"}
        assert "<script" not in inside


def test_the_page_forbids_itself_what_it_does_not_hold(written):
    path, reader = written
    (policy,) = (a["content"] for a in reader.all("meta") if "http-equiv" in a)
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert not re.search(r"https?:|\*|unsafe-eval", policy)
    assert "unsafe-inline" not in rules["script-src"]
    # The two scripts in the page are those whose hashes are allowed.
    scripts = re.findall(r"<script>(.*?)</script>", path.read_text(), re.DOTALL)
    hashes = {base64.b64encode(sha256(s.encode()).digest()).decode() for s in scripts}
    assert len(hashes) == 2
    assert hashes == set(re.findall("'sha256-([^']+)'", rules["script-src"]))


def test_every_link_leads_somewhere(written):
    path, reader = written
    anchors = {attrs["id"] for _, attrs in reader.elements if "id" in attrs}
    for link in (attrs["href"] for attrs in reader.all("a")):
        if link.startswith("#"):
            assert link[1:] in anchors
        else:
            assert (path.parent / link).is_file(), link


def test_data_that_lies_beside_the_page_is_linked(tmp_path, undrawn):
    made = comparison(runs([[2.0, 1.0]]))
    made.save(tmp_path)
    reader = Reader(page.write(made, tmp_path, title="Data").read_text())
    links = {attrs["href"] for attrs in reader.all("a")}
    names = {"runs.parquet", "table.parquet", "timings.parquet", "protocol.json"}
    assert names | {"table.md", "table.tex"} <= links


def test_ids_are_unique_and_labels_refer_to_them(written):
    _, reader = written
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in reader.elements:
        assert attrs.get("aria-labelledby", ids[0]) in ids


def test_people_who_cannot_see_it_can_read_it(written):
    _, reader = written
    assert all(image["alt"].strip() for image in reader.all("img"))
    assert all(image["width"] and image["height"] for image in reader.all("img"))
    assert reader.all("html")[0]["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer", "form"):
        assert len(reader.all(landmark)) == 1
    assert len(reader.all("h1")) == 1
    assert len(reader.all("figcaption")) == len(reader.all("figure"))
    # Two of results, one of costs, and one for each group of runs that failed.
    groups = len(reader.all("summary")) - 3
    assert groups > 0
    assert len(reader.all("caption")) == len(reader.all("table")) == 3 + groups
    assert all(cell["scope"] in ("row", "col") for cell in reader.all("th"))
    for box in (d for d in reader.all("div") if "scroll" in d.get("class", "").split()):
        assert box["tabindex"] == "0"
        assert box["aria-label"]


def test_the_page_says_what_was_run_and_what_came_out(written):
    _, reader = written
    for words in (
        "Three optimizers Dark theme Why?",
        "newton brought the gap down to 0.01 of its start with the least work",
        "lion diverged in 3 of 8 runs.",
        "newton took part untuned: without a learning rate to choose.",
        "The rule of choice: The best one.",
        "8 evaluation seeds, none of which was used for tuning",
        Status.NONFINITE.describe,
        "lion on A bowl: 3 of 8",
        "Rosenbrock (1960)",
        "0.10.2",
        "by default",
        "untuned",
    ):
        assert words in reader.text, words


def test_the_tables_and_figures_lie_beside_it(written):
    path, _ = written
    rows = tables.summary(both())
    folder = path.parent
    assert (folder / "table.md").read_text() == tables.markdown(rows)
    assert (folder / "table.tex").read_text() == tables.latex(rows)
    kinds = {"bowl-convergence", "bowl-rates", "valley-convergence", "valley-paths"}
    kinds |= {"all-performance", "all-data", "all-wins", "all-success"}
    for suffix, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<svg")):
        found = {p.stem: p for p in folder.glob(f"*.{suffix}")}
        assert set(found) == kinds
        assert all(p.read_bytes().startswith(magic) for p in found.values())
    assert not list(folder.glob("*.partial"))


@pytest.mark.slow
def test_the_same_comparison_writes_the_same_bytes(tmp_path):
    made = comparison(runs([decay(s, 0.5, 9) for s in (1.0, 2.0)]))
    for name in ("one", "two"):
        page.write(made, tmp_path / name, title="Twice")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path


def test_names_that_hold_html_or_a_path_do_no_harm(tmp_path):
    problem, optimizer = f"../../{EVIL}", f'"><img src=x onerror=a>{EVIL}'
    made = comparison(
        runs([decay(1.0, 0.5, 9)] * 3, problem=problem, optimizer=optimizer),
        titles={problem: EVIL},
        sources={problem: EVIL},
        environment={EVIL: EVIL},
        protocol={EVIL: [EVIL]},
    )
    path = page.write(made, tmp_path / "in" / "here", title=EVIL, intro=EVIL)
    reader = Reader(path.read_text())
    assert len(reader.all("script")) == 3  # its own, and its data
    assert all(image["src"].startswith("data:") for image in reader.all("img"))
    assert reader.text.count(EVIL) > 8
    everything = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.parent for p in everything} == {path.parent}
    assert all(re.fullmatch(r"[a-z0-9-]+(\.min)?\.[a-z]+", p.name) for p in everything)


@pytest.fixture
def brief(monkeypatch):
    """Pages without the figures of all problems, where those do not matter."""
    monkeypatch.setattr(page.sections, "overall", lambda *_: [])


def test_problems_whose_file_names_coincide_keep_apart(tmp_path, brief):
    made = comparison(*[runs([[2.0, 1.0]], problem=name) for name in ("a b", "A/b")])
    reader = Reader(page.write(made, tmp_path, title="Two").read_text())
    assert {p.name for p in tmp_path.glob("a-b*.png")} == {
        "a-b-convergence.png",
        "a-b-2-convergence.png",
    }
    assert {s.get("aria-labelledby") for s in reader.all("section")} >= {
        "problem-a-b",
        "problem-a-b-2",
    }


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without their figures, where only the text matters."""
    blank = {"source": "data:,", "width": 1, "height": 1, "alt": "x"}
    monkeypatch.setattr(pictures, "save", lambda *_, **__: None)
    monkeypatch.setattr(pictures, "image", lambda *_: blank)


@pytest.mark.usefixtures("undrawn")
def test_a_problem_may_be_called_like_a_part_of_the_page(tmp_path):
    names = ["failures", "protocol", "In short", "sources"]
    made = comparison(*[runs([[2.0, 1.0]], problem=name) for name in names])
    reader = Reader(page.write(made, tmp_path, title="Clash").read_text())
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids)) >= len(names) + 4


@pytest.mark.usefixtures("undrawn")
def test_a_comparison_in_which_all_failed_still_has_a_report(tmp_path):
    made = comparison(
        runs([[1.0, float("inf")]] * 2, status=[Status.NONFINITE] * 2),
        protocol={},
        environment={},
    )
    text = Reader(page.write(made, tmp_path, title="Failure").read_text()).text
    assert "No optimizer brought the gap down" in text
    assert "sgd diverged in every run." in text


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Breast cancer", "breast-cancer"),
        ("../../etc/passwd", "etc-passwd"),
        (EVIL, "script-alert-x-script"),
        ("Müller–Brown", "mullerbrown"),
        ("漢字", "unnamed"),
        ("", "unnamed"),
        ("a" * 200, "a" * 60),
        ("..", "unnamed"),
    ],
)
def test_slugs_are_harmless_file_names(name, slug):
    assert page.slug(name) == slug


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    made = comparison(runs([[1.0]]))
    for refused in (
        lambda folder: page.write(made, folder, title="No"),
        lambda folder: page.write_index({}, folder, title="No"),
    ):
        with pytest.raises(OSError, match=r"file/report can't be written.*choose"):
            refused(tmp_path / "file" / "report")


def full(self, data):
    """What a disk without space does: half a file, and an error."""
    with self.open("wb") as file:
        file.write(data[:1])
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_without_space_leaves_what_was_there(tmp_path, monkeypatch, brief):
    made = comparison(runs([[2.0, 1.0]]))
    page.write(made, tmp_path, title="Old")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left.*free some space"):
        page.write(made, tmp_path, title="New")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_read_only_folder_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    def refuse(self, text):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(page, "sections", None)
    with pytest.raises(OSError, match="change its permissions"):
        page.write(comparison(runs([[1.0]])), tmp_path, title="No")


def test_the_index_shows_each_experiment(tmp_path):
    folder = tmp_path / "newton"
    folder.mkdir()
    picture, report = folder / "a b.png", folder / "report.html"
    picture.write_bytes(base64.b64decode(PIXEL))
    report.write_text("")
    findings = {
        "newton_or_not": SimpleNamespace(
            sentence=f"6 steps, not 200 {EVIL}", picture=picture, page=report
        ),
        "paths": SimpleNamespace(sentence="Narrow.", picture=picture, page=None),
    }
    path = page.write_index(
        findings, tmp_path, title="Results", questions={"newton_or_not": "How many?"}
    )
    assert path == tmp_path / "index.html"
    reader = Reader(path.read_text())
    assert not reader.all("script")
    assert [image["src"] for image in reader.all("img")] == ["newton/a%20b.png"] * 2
    assert all(image["width"] and image["alt"] for image in reader.all("img"))
    links = [a["href"] for a in reader.all("a") if not a["href"].startswith("#")]
    assert links == ["newton/report.html"]
    assert "Newton or not How many? 6 steps, not 200" in reader.text


def test_a_picture_that_is_no_png_is_refused(tmp_path):
    (tmp_path / "x.png").write_text("<svg/>, which is long enough to be read")
    finding = SimpleNamespace(sentence="", picture=tmp_path / "x.png", page=None)
    with pytest.raises(OSError, match="is not a PNG"):
        page.write_index({"x": finding}, tmp_path, title="No")


def test_without_jinja2_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "jaxcalc.reports.page")
    with pytest.raises(ImportError, match=r"pip install 'jaxcalc\[reports\]'"):
        importlib.import_module("jaxcalc.reports.page")


def test_the_templates_are_part_of_the_package():
    folder = Path(page.__file__).parent / "templates"
    assert {p.name for p in folder.glob("*.jinja")} == {
        "base.html.jinja",
        "parts.html.jinja",
        "report.html.jinja",
        "index.html.jinja",
    }
    assert {p.suffix for p in folder.with_name("static").iterdir()} == {".js", ".css"}


def row(**fields):
    """A row of a summary."""
    given = {
        "problem": "bowl",
        "optimizer": "sgd",
        "rate": 0.1,
        "accuracy": 1e-6,
        "runs": 8,
        "reached": 8,
        "steps": 10.0,
        "work": 20.0,
        "seconds": 1e-3,
        "gap": 1e-9,
        "rounding": 1e-12,
        "grad_norm": 1e-6,
        "ended": {Status.CONVERGED: 8},
        "diverged": 0,
    }
    return tables.Row(**given | fields)


def test_the_verdict_names_the_first_the_next_and_the_quickest():
    said = prose.verdict(
        [row(optimizer="slow", work=50.0, seconds=1e-5), row(optimizer="fast")]
    )
    assert said == [
        "fast brought the gap down to 10⁻⁶ of its start with the least work: "
        "20 gradients, in 10 steps and 1\N{NO-BREAK SPACE}ms.",
        "Next came slow with 50 gradients, 2.5 times as much.",
        "By the clock slow was first, at 10\N{NO-BREAK SPACE}µs.",
    ]


def test_the_verdict_says_who_came_nearest_where_the_target_is_mild():
    rows = [row(accuracy=0.1), row(optimizer="adam", accuracy=0.1, gap=1e-13)]
    assert prose.verdict(rows)[-1] == (
        "In the end adam came down to the rounding of the loss."
    )
    assert prose.verdict(rows[:1])[-1] == "In the end sgd came nearest, to 10⁻⁹."


def test_lists_read_as_sentences_do():
    assert [prose.listed(["a", "b", "c"][:n]) for n in range(4)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert prose.plural(1, "seed") == "1 seed"
    assert prose.plural(8, "seed") == "8 seeds"


def test_rates_that_were_given_are_not_called_tuned():
    said = " ".join(methods.paragraph(comparison(runs([[2.0, 1.0]], rates=[0.5]))))
    assert "The learning rate of sgd was given, not tuned." in said
    assert "took part untuned" not in said
