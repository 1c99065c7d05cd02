"""report.html is complete, self-contained, and shows foreign text without ever obeying it."""

import html.parser
import re

import pytest
from command import fedsynth
from small_evaluation import make_attack, make_evaluation
from small_study import SCHEMA, make_generator, make_small_plan, run_seeded

from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, NumericColumn, Schema
from fedsynth_release.generator import Generator
from fedsynth_release.report import Curve, StudyHistory, summary_lines, write_report
from fedsynth_release.report.budget import budget_rows
from fedsynth_release.report.page import render
from fedsynth_release.statement.model_card import model_card
from fedsynth_server.study.export import export

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'&{{7*7}}"
VOID = {"meta", "link", "img", "br"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("report") / "generator"
    plan = make_small_plan("both", study="reported")
    export(plan, run_seeded(plan, seed=None), place)  # noise from the operating system
    return place


class Page(html.parser.HTMLParser):
    """The elements of a page, their attributes and ids; checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        self.words.append(" " if self.open and self.open[-1] in ("td", "th") else "")

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def history():
    loss = Curve(name="loss on the measured marginals", steps=range(500), values=range(500, 0, -1))
    pair = [
        Curve(name=n, panel="verdict", note=f"how to read {n}", steps=(1, 2), values=(0.25, 0.5))
        for n in ("output", "accuracy")
    ]
    return StudyHistory(curves=(loss, *pair), notes=("step 3: south left out",))


@pytest.fixture(scope="module")
def plain(folder):
    return Page(render(folder))


@pytest.fixture(scope="module")
def full(folder):
    return Page(render(folder, make_evaluation(SCHEMA), history()))


# --- what a reader finds -------------------------------------------------------------------------


def test_every_section_is_there_and_reached_from_the_top(full):
    ids = {attributes["id"] for _, attributes in full.elements if "id" in attributes}
    links = [a["href"].removeprefix("#") for a in full.all("a")]
    assert set(links) <= ids
    assert {a["id"] for a in full.all("section")} <= set(links)
    sections = (
        "first",
        "sample",
        "summary",
        "trust",
        "columns",
        "pairs",
        "utility",
        "attacks",
        "budget",
    )
    assert {*sections, "training", "limits"} == {a["id"] for a in full.all("section")}


def test_sections_without_facts_are_left_out(plain):
    assert not {"utility", "attacks", "training"} & {a["id"] for a in plain.all("section")}
    assert "Do not publish this page" not in plain.text


def test_each_column_has_a_verdict_a_reason_and_a_drawing(plain):
    for place, column in enumerate(SCHEMA.modelled):
        assert f"column-{place}" in {a.get("id") for a in plain.all("article")}
        assert any(column.name in (a.get("aria-label") or "") for a in plain.all("svg"))
    assert plain.text.count("the expected distance from the real records is") == 2 * len(
        SCHEMA.modelled
    )


def test_a_drawing_has_a_title_and_a_table_behind_it(full):
    assert all(a["role"] == "img" and a["aria-label"] for a in full.all("svg"))
    assert len(full.all("caption")) == len(full.all("table"))
    assert all(a.get("scope") in ("col", "row") for a in full.all("th"))


def test_curves_are_drawn_by_panel_with_words_and_tables(full):
    labels = [a["aria-label"] for a in full.all("svg") if a["class"] == "curves"]
    assert len(labels) == 2
    assert labels[0].startswith("loss on the measured marginals: ")
    assert "output from 0.25 at step 1 to 0.5 at 2" in labels[1]
    assert len(full.all("polyline")) == 3
    axes = (
        "Horizontal axis: step. The vertical axis is logarithmic. Loss on the measured marginals; "
    )
    assert f"{axes}the last value is" in full.text
    assert "Output: how to read output; the last value is 0.5. Accuracy: how to read" in full.text
    assert {"output", "accuracy", "verdict"} <= set(full.words)


def test_a_history_without_curves_has_no_drawing_of_them(folder):
    page = Page(render(folder, history=StudyHistory(notes=("step 3: south left out",))))
    assert "training" not in {a["id"] for a in page.all("section")}
    assert "#training" not in {a["href"] for a in page.all("a")}
    assert not page.all("polyline")
    assert "During the study: step 3: south left out." in page.text


def test_figures_stand_between_floor_and_ceiling(full):
    for expected in ("0.100 0.0300.010", "0.500 0.8500.900"):
        assert expected in full.text


def test_the_budget_is_that_of_the_statement(plain, folder):
    statement = Generator.load(folder).statement
    rows = budget_rows(statement)
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    assert [row.mechanism for row in rows] == list(statement.mechanisms)
    for row in rows:
        assert 0 < row.epsilon_alone < statement.epsilon_if_people_are_at_one_site_only
        assert f"{row.epsilon_alone:.4f} {100 * row.share:.1f} %" in plain.text
    for cost in statement.sites:
        assert f"{cost.site} {cost.epsilon:.4f} {cost.epsilon_rdp_upper_bound:.4f}" in plain.text
    assert f"fewer than about {statement.smallest_visible_group} records" in plain.text


def test_a_number_has_its_quantiles_without_real_records(plain, full):
    assert "Mean, standard deviation and quantiles of age" in plain.text
    assert "figure noisy counts generator mean" in plain.text
    assert "99 % lie below" in plain.text
    assert "figure noisy counts generator mean" not in full.text


def test_an_evaluation_is_marked_as_not_for_release(full):
    assert "Do not publish this page" in full.text
    assert full.text.count("not differentially private and must not be published") >= 4


def test_an_attack_that_works_is_red(folder):
    works = make_evaluation(SCHEMA, attacks=(make_attack(0.4, flagged=True),))
    assert (
        "1 of 1 attacks found a leak. Do not release this table."
        in Page(render(folder, works)).text
    )
    beyond = make_evaluation(SCHEMA, attacks=(make_attack(0.0, within_claim=False),))
    assert "more than the claimed ε allows" in Page(render(folder, beyond)).text


def test_a_generator_without_guarantee_says_so_first(tmp_path):
    made = tmp_path / "generator"
    made.mkdir()
    make_generator(seeded=True).save(made)
    page = Page(render(made))
    assert "The privacy promise is void. The reason is: not private: seeded" in page.text
    assert page.text.index("promise is void") < page.text.index("This page describes")


def test_void_means_void_everywhere(tmp_path):
    """No sentence of a void release goes on as if anything were private."""
    made = tmp_path / "generator"
    made.mkdir()
    generator = make_generator(seeded=True)
    generator.save(made)
    text = Page(render(made)).text
    card = model_card(generator.schema, generator.statement)
    for words in (text, card):
        assert "No privacy promise" in words
        assert "The guarantee of this study is" not in words
        assert "It holds against" not in words
        assert "no record left" not in words.lower()
        assert "made-up record shows" in words or "artificial record" in words
        assert "right in at most" not in words
        assert "privacy promise for every" not in words
    assert "What this ε means for an attacker" not in text
    lines = summary_lines(write_report(made, tmp_path / "r.html"))
    assert lines[0] == "privacy: No privacy promise"
    assert not any("right in at most" in line for line in lines)


def test_one_score_stands_in_report_card_statement_and_terminal(folder, tmp_path):
    quality = Generator.load(folder).statement.quality
    assert quality.words == f"{quality.score} of 100 ({quality.light})"
    lines = summary_lines(write_report(folder, tmp_path / "r.html"))
    assert f"quality: {quality.words}; columns: {quality.counted}" in lines
    assert f"The score is {quality.how}." in lines
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert f"{quality.score} of 100" in page
    assert f"The score is {quality.how}." in page
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{quality.words}; columns: {quality.counted}." in card
    assert quality.how in card.replace("\n", " ")
    internal = Page(render(folder, make_evaluation(SCHEMA))).text
    assert f"The report that may be published says {quality.words}." in internal


def test_no_word_promises_that_nobody_can_be_found(full, plain):
    for page in (full, plain):
        assert not re.search(r"\banonym", page.text, re.IGNORECASE)


# --- one file that asks for nothing --------------------------------------------------------------


def test_the_page_asks_for_nothing_and_runs_nothing(full):
    assert not full.all("script")
    assert not full.all("img")
    assert not full.all("iframe")
    assert [a["href"] for a in full.all("link")] == ["data:,"]
    policy = next(a["content"] for a in full.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    for _, attributes in full.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert not any((value or "").startswith(("http", "//")) for value in attributes.values())


def test_css_asks_for_nothing(folder):
    style = re.search(r"<style>(.*?)</style>", render(folder), re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style


# --- foreign text --------------------------------------------------------------------------------


def hostile_schema():
    return Schema(
        name=HOSTILE,
        columns=(
            CategoricalColumn(name=HOSTILE, description=HOSTILE, categories=(HOSTILE, "b")),
            BooleanColumn(name="</style>", true=HOSTILE + "t", false=HOSTILE + "f"),
            NumericColumn(name="x", minimum=0, maximum=1, decimals=2),
        ),
    )


def test_foreign_text_is_shown_and_not_obeyed(tmp_path):
    schema = hostile_schema()
    made = tmp_path / "generator"
    made.mkdir()
    generator = make_generator(schema, study=HOSTILE, caveats=[HOSTILE])
    generator.save(made)
    evil = make_evaluation(schema, notes=(HOSTILE,), notice=HOSTILE)
    bad = StudyHistory(curves=(Curve(name=HOSTILE, steps=(0,), values=(1,)),), notes=(HOSTILE,))
    text = render(made, evil, bad)
    page = Page(text)
    assert HOSTILE in "".join(page.words)
    assert not page.all("script")
    assert not page.all("img")
    assert len(page.all("style")) == 1
    assert "{{7*7}}" in text
    assert all(not name.startswith("on") for _, a in page.elements for name in a)


# --- size, wide and strange tables ---------------------------------------------------------------


def wide(columns: int) -> Schema:
    half = tuple(
        NumericColumn(name=f"n{i}", minimum=0, maximum=99.5, decimals=1)
        for i in range(columns // 2)
    )
    rest = tuple(
        CategoricalColumn(name=f"c{i}", categories=tuple(f"category {k}" for k in range(30)))
        for i in range(columns - columns // 2)
    )
    return Schema(name="wide", columns=half + rest)


@pytest.mark.parametrize("columns", [1, 50, 120])
def test_a_wide_table_stays_a_small_file(tmp_path, columns):
    made = tmp_path / "generator"
    made.mkdir()
    schema = wide(columns)
    make_generator(schema).save(made)
    evaluation = make_evaluation(schema, attacks=())
    size = len(render(made, evaluation).encode())
    assert size < 5_000_000
    assert columns > 50 or size < 2_500_000


# --- the command ---------------------------------------------------------------------------------


def test_the_command_writes_beside_the_folder_and_not_twice(folder):
    out = folder.parent / "report.html"
    done = fedsynth("report", folder)
    assert (done.returncode, done.stdout.strip()) == (0, str(out))
    assert done.stderr.startswith("privacy: ")
    assert "\nquality: " in done.stderr
    text = out.read_text()
    again = fedsynth("report", folder)
    assert (again.returncode, "exists" in again.stderr) == (2, True)
    assert fedsynth("report", folder, "--force").returncode == 0
    assert out.read_text() == text  # equal folders are equal reports
    assert not list(folder.parent.glob(".report*"))


def test_an_evaluation_comes_from_a_file(folder, tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(make_evaluation(SCHEMA).to_json())
    out = tmp_path / "internal.html"
    past = tmp_path / "history.json"
    past.write_text(history().to_json())
    done = fedsynth("report", folder, "--evaluation", path, "--history", past, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "Do not publish this page" in out.read_text()
    assert 'id="training"' in out.read_text()
    assert out.stat().st_mode & 0o077 == 0  # facts about real records


@pytest.mark.parametrize(
    ("make", "mention"),
    [
        (lambda p: ["report", p / "none"], "expected a generator folder"),
        (lambda p: ["report", "GENERATOR", "--evaluation", p / "none.json"], "none.json"),
        (lambda p: ["report", "GENERATOR", "--out", p], "is a folder"),
        (lambda p: ["report", "GENERATOR", "--out", p / "no" / "r.html"], "cannot be written"),
    ],
    ids=["no folder", "no evaluation", "out is a folder", "out has no folder"],
)
def test_what_cannot_be_used_ends_with_2(folder, tmp_path, make, mention):
    arguments = [folder if part == "GENERATOR" else part for part in make(tmp_path)]
    done = fedsynth(*arguments)
    assert done.returncode == 2
    assert mention in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_evaluation_of_another_table_is_refused(folder, tmp_path):
    other = make_evaluation(wide(3))
    with pytest.raises(InputError, match="not those of the generator"):
        write_report(folder, tmp_path / "r.html", evaluation=other)
    assert not (tmp_path / "r.html").exists()


def test_a_curve_is_thinned_but_keeps_its_end():
    long = Curve(name="x", steps=range(1000), values=range(1000))
    short = long.thinned()
    assert len(short.steps) <= 201
    assert short.steps[-1] == 999
