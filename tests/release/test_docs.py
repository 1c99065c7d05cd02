"""The pages for deciders say what the code computes, and name tests that exist."""

import re
from pathlib import Path

import pytest

from fedsynth_common.promise.meaning import best_accuracy, best_rate, highest_posterior

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
OURS = [page for page in DOCS if page.name in ("EPSILON.md", "OVERLAP.md", "STANDARDS.md")]
DELTA = 1e-5


def all_tests():
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def test_the_pages_are_there():
    assert {page.name for page in DOCS} >= {"EPSILON.md", "OVERLAP.md", "STANDARDS.md"}


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    files = set(re.findall(r"\btest_\w+\.py\b", text))
    assert files - {path.name for path in (ROOT / "tests").rglob("test_*.py")} == set()
    named = set(re.findall(r"\btest_\w+\b(?!\.py|/)", text))
    assert named - all_tests() == set()
    if page.name == "STANDARDS.md":
        assert len(named) > 30


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.name)
def test_no_page_promises_that_nobody_can_be_found(page):
    assert not re.search(r"\banonymous", page.read_text(encoding="utf-8"), re.IGNORECASE)


def rows(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = [
        line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| [\d.]+ \|", line)
    ]
    return [[float(cell.strip(" %")) for cell in row] for row in found]


def computed(epsilon):
    return [
        epsilon,
        100 * best_accuracy(epsilon, DELTA),
        100 * best_rate(epsilon, DELTA, 0.01),
        100 * best_rate(epsilon, DELTA, 0.001),
        *(100 * highest_posterior(epsilon, prior) for prior in (0.01, 0.1, 0.5)),
    ]


def test_the_table_of_epsilon_is_computed():
    table = rows("EPSILON.md")
    assert [row[0] for row in table] == [0.1, 0.5, 1, 2, 3, 5, 10]
    for row in table:
        assert row == pytest.approx([row[0], *(round(value, 1) for value in computed(row[0])[1:])])


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0, 4.0])
def test_bounds_are_those_of_randomised_response(epsilon):
    """Randomised response tells the truth with probability e^ε / (1 + e^ε) and reaches the bounds."""
    truth = highest_posterior(epsilon, 0.5)
    assert best_accuracy(epsilon, 0.0) == pytest.approx(truth)
    assert best_rate(epsilon, 0.0, 1 - truth) == pytest.approx(truth)


def test_bounds_end_at_certainty_and_grow():
    assert best_accuracy(0.0, 0.0) == 0.5
    assert best_accuracy(1.0, 1.0) == 1.0
    assert best_rate(1.0, 1e-5, 1.0) == 1.0
    rates = [best_rate(1.0, 1e-5, f / 100) for f in range(101)]
    assert rates == sorted(rates)
    assert all(rate >= f / 100 for f, rate in enumerate(rates))
