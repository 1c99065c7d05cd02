"""What a release promises in plain words: one source, per person, with lights by ε and δ."""

import pytest
from small_study import make_generator

from fedsynth_common.promise.meaning import best_accuracy
from fedsynth_common.promise.plain_words import group
from fedsynth_release.report.first_page import attack_sentence, first_page, summary_lines
from fedsynth_release.report.scores import Judgement
from fedsynth_release.report.verdicts import Verdict
from fedsynth_release.statement.promised import promise_of


@pytest.fixture(scope="module")
def stated():
    return make_generator().statement


def promise(stated, epsilon=1.0, delta=1e-6, rows=None, records=None, **more):
    changes = {
        "private": True,
        "caveats": (),
        "epsilon_if_people_are_at_one_site_only": epsilon,
        "delta": delta,
        "rows_per_person": rows,
    }
    return promise_of(stated.model_copy(update=changes | more), records)


@pytest.mark.parametrize(
    ("epsilon", "delta", "records", "light"),
    [
        (1.0, 1e-6, 1e4, "good"),
        (3.0, 1e-6, 1e4, "good"),
        (3.01, 1e-6, 1e4, "fair"),
        (10.0, 1e-6, 1e4, "fair"),
        (10.01, 1e-6, 1e4, "poor"),
        (38.5, 0.1, 1e4, "poor"),
        (1.0, 0.1, 1e4, "poor"),
        (1.0, 1.1e-4, 1e4, "poor"),
        (1.0, 0.9e-4, 1e4, "good"),
        (1.0, 0.1, None, "poor"),
    ],
)
def test_lights_by_epsilon_and_delta(stated, epsilon, delta, records, light):
    assert promise(stated, epsilon, delta, rows=1, records=records).light == light


def test_a_delta_above_one_in_the_records_is_told(stated):
    told = promise(stated, delta=0.1, rows=1, records=500)
    assert any("may fail altogether" in warning for warning in told.warnings)
    assert any("1 in 500" in warning for warning in told.warnings)


def test_a_promise_about_records_says_what_holds_if_somebody_has_five(stated):
    told = promise(stated, epsilon=0.9936)
    assert told.headline.endswith("for every single record")
    assert "of a record is 1.00." in told.protected
    assert "would be 5 times as much, 4.97" in told.protected
    five = best_accuracy(*group(0.9936, 1e-6, 5))
    assert f"would be right in at most {100 * five:.1f} %" in told.attacker


@pytest.mark.parametrize(("epsilon", "protects"), [(0.9936, True), (2.98, False)])
def test_where_five_records_have_no_protection_left_it_says_so(stated, epsilon, protects):
    told = promise(stated, epsilon=epsilon).attacker
    assert ("they would be right in at most" in told) == protects
    assert ("the promise would not protect them" in told) != protects
    assert "100.0 %" not in told


def test_no_sentence_says_that_somebody_has_five_records(stated):
    """A table with one row a person must not read as if its persons had five: each "5" has its if."""
    told = promise(stated, epsilon=0.9936)
    several = [part for text in told.sentences for part in text.split(". ") if "5 records" in part]
    assert len(several) == 2
    assert all(part.startswith("If somebody ha") for part in several)


def test_a_promise_about_persons_is_not_multiplied(stated):
    told = promise(stated, epsilon=1.0, rows=5)
    assert told.headline.endswith("for every person")
    assert "uses at most 5 records of a person" in told.protected
    assert "If somebody has more, the site leaves the others out" in told.protected
    assert "5 times" not in " ".join(told.sentences)
    assert "73.1 %" in told.attacker  # the figure of docs/EPSILON.md


def test_group_privacy_is_that_of_the_definition():
    epsilon, delta = group(0.5, 1e-6, 3)
    assert epsilon == 1.5
    assert delta == pytest.approx(1e-6 * (1 + 2.718281828**0.5 + 2.718281828))
    assert group(400.0, 1e-6, 5) == (2000.0, 1.0)


def test_a_void_promise_has_no_figure(stated):
    caveats = ("not private: seeded (noise came from a known seed)",)
    told = promise(stated, private=False, caveats=caveats)
    assert (told.light, told.holds, told.attacker) == ("poor", False, "")
    words = " ".join((told.headline, *told.sentences))
    assert "void" in words
    assert "seeded" in words
    assert "privacy loss" not in words


def test_the_board_reads_no_greek(stated):
    for rows in (None, 1, 5):
        words = " ".join(promise(stated, 38.5, 0.1, rows).sentences)
        assert not any("α" <= letter <= "ω" for letter in words)


@pytest.mark.parametrize(
    ("lights", "words"),
    [
        ([], ""),
        (["good"] * 5, "None of 5 attacks found anything."),
        (["good"] * 4 + ["unknown"], "4 of 5 attacks found nothing; of 1 nobody can tell"),
        (["poor", "good", "unknown"], "1 of 3 attacks found a leak. Do not release this table."),
    ],
)
def test_an_unknown_attack_is_not_counted_as_failed(lights, words):
    assert attack_sentence(lights).startswith(words)


def test_the_terminal_says_what_the_page_says(stated):
    verdicts = [
        Verdict.of(f"column {k}", [Judgement(light, f"values: {light}", score)])
        for k, (light, score) in enumerate(
            [("good", 95.0), ("good", 90.0), ("fair", 60.0), ("poor", 10.0), ("unknown", None)]
        )
    ]
    page = first_page(stated, verdicts, None, None, ["unknown"])
    assert page.score == 64  # 63.75
    assert [one.name for one in page.best][:2] == ["column 0", "column 1"]
    assert [one.name for one in page.worst] == ["column 3", "column 4", "column 2"]
    lines = summary_lines(page)
    assert lines[0] == f"privacy: {page.promise.headline}"
    assert set(page.promise.sentences) <= set(lines)
    assert "quality: 64 of 100 (fair); columns: 2 good, 1 fair, 1 poor, 1 unknown" in lines
    assert lines[-1] == f"attacks: {page.attacks}"
