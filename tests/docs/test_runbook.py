"""docs/RUNBOOK.md: every failure has words at both ends, and the programs do say these words."""

import ast
import re
from pathlib import Path

from fedsynth_common.errors import ErrorCode

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SECTION = (ROOT / "docs/RUNBOOK.md").read_text().partition("## Every failure")[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in SECTION.splitlines()
    if line.startswith("| ") and not line.startswith("| failure")
]
SILENT = "nothing"


def spoken():
    """Every text in the programs; what an f-string fills in is left out."""
    for package in ("client", "server", "common"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(
                        part.value if isinstance(part, ast.Constant) else "…"
                        for part in node.values
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def quoted(cell):
    return re.findall(r"\*([^*]+)\*", cell)


def test_every_failure_has_words_at_both_ends_a_remedy_and_a_test():
    assert len(ROWS) > 30
    for row in ROWS:
        assert len(row) == 5, row[0]
        assert all(row), row[0]
        assert quoted(row[1]) != [SILENT] or quoted(row[2]) != [SILENT], row[0]
        assert "::" in row[4], row[0]


def test_what_is_in_italics_is_said_in_these_words():
    texts = " ".join(set(spoken()))
    said = {words for row in ROWS for cell in row[1:3] for words in quoted(cell)} - {SILENT}
    assert len(said) > 50
    assert sorted(words for words in said if words not in texts) == []


def test_every_code_that_can_leave_a_site_has_a_row():
    told = " ".join(cell for row in ROWS for cell in row[:3])
    assert [code for code in ErrorCode if code != ErrorCode.OK and code.value not in told] == []


def test_every_named_test_exists():
    file, missing = None, []
    for row in ROWS:
        for path, test in re.findall(r"`([\w/]*(?:\.py)?)::(\w+)`", row[4]):
            file = TESTS / path if path else file
            if not file.is_file() or f"\ndef {test}(" not in file.read_text():
                missing.append(f"{file}::{test}")
    assert missing == []
