"""docs/FAULTS.md names tests that exist, and leaves no fault of the matrix out."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = (TESTS.parent / "docs/FAULTS.md").read_text()
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ") and "`" in line]


def named():
    """(file, test) pairs; `::test` goes on with the file named before it."""
    file = None
    for row in ROWS:
        for path, test in re.findall(r"`([\w/]*(?:\.py)?)::(\w+)`", row):
            file = TESTS / path if path else file
            yield file, test


def test_every_named_test_exists():
    missing = [
        f"{file}::{test}"
        for file, test in named()
        if not file.is_file() or f"\ndef {test}(" not in file.read_text()
    ]
    assert missing == []
    assert len(list(named())) > 45


def test_every_fault_of_the_matrix_has_a_row():
    rows = {word for row in ROWS for word in row[2:].split()[:1]}
    assert {f"F{number}" for number in range(1, 14)} <= rows


def test_every_test_of_this_folder_is_in_the_table():
    told = {test for _, test in named()}
    found = {
        name
        for file in sorted(Path(__file__).parent.glob("test_*.py"))
        if file.name != Path(__file__).name
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE)
    }
    assert found - told == {"test_the_search_finds_what_it_should"}
