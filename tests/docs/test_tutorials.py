"""The tutorials and how-to pages do what they say: each is typed into a shell, from top to bottom.

A block of `sh` or `python` is run as it stands; of `text`, `toml`, `ini` and `yaml` it is read by a
person (or by another test). What `pip install` brings is tested in tests/distributions.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from fences import ROOT, fences

SCRIPTS = str(Path(sys.executable).parent)
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
HOWTO = sorted((ROOT / "docs/howto").glob("*.md"))
LEFT_BEHIND = {
    "analyst": ["persons.csv", "women.parquet"],
    "auditor": ["verdict.json", "fedsynth.fab"],
    "coordinator": [
        "rehearsal/report.html",
        "study/plan.json",
        "study/invitations/dayton.invitation",
    ],
    "data_steward": [
        "dayton/covid.answer",
        "dayton/ledger.db",
        "dayton/courier/flower/apps",
        "by-hand/courier/flower/apps",
    ],
    "researcher": ["out/year/evaluation.json", "out/skewed/report.html", "year.json"],
    "conditions": ["poor.csv", "few.csv", "even.csv", "stays.csv", "completed.csv", "next.csv"],
    "histories": ["events.csv", "persons.csv", "events_of_them.csv"],
    "review_a_schema": ["schema.json"],
    "sql": ["dayton/policy.toml"],
}
"""Files that show that the commands of a page ran to their end; pages without commands have none."""

PRACTICE = """
set -eo pipefail
fedsynth demo --quick --out practice
awk -F, 'NR == 1 || $3 == 1' practice/randhie.csv | cut -d, -f4-7,9,15,18-20 > year.csv
fedsynth simulate year.csv --sites 2 --target admitted --quick --out plain
"""
READY = "\nuntil find . -name '*.sock' | grep --quiet .; do sleep 0.2; done"
"""After a command that goes on in the background: a person goes on when the vault is ready."""


def script(page):
    """One shell script of a page's blocks; it ends at the first command that fails."""
    parts = ["set -eo pipefail"]
    for language, code in fences(page.read_text(encoding="utf-8")):
        if language == "sh":
            lines = [line for line in code.splitlines() if not line.startswith("pip install")]
            parts.append("\n".join(line + (READY if line.endswith(" &") else "") for line in lines))
        elif language == "python":
            parts.append(f"python - <<'END_OF_PYTHON'\n{code}END_OF_PYTHON")
    return "\n".join(parts) if len(parts) > 1 else ""


def type_in(text, folder):
    """Run a script in a folder of its own and end whatever it left running."""
    paths = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        ["bash", "-c", text],
        cwd=folder,
        env=os.environ | {"PATH": paths, "COLUMNS": "100"},
        stdout=(folder / "output.txt").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        status = process.wait(timeout=500)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    return status, (folder / "output.txt").read_text()


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    """What the how-to pages start from: a release of persons with events, and one of plain rows."""
    folder = tmp_path_factory.mktemp("practice")
    status, output = type_in(PRACTICE, folder)
    assert status == 0, output
    return folder


@pytest.fixture
def prepared(practice, tmp_path):
    """A folder with what the how-to pages take for granted: a table, its schema, a release."""
    persons = practice / "practice"
    frame = pd.read_csv(persons / "randhie.csv", dtype=str).drop(columns="hospital")
    frame.to_csv(tmp_path / "visits.csv", index=False)
    frame.to_csv(tmp_path / "table.csv", index=False)
    shutil.copy(persons / "schema.json", tmp_path / "schema.json")
    shutil.copytree(persons, tmp_path / "persons")
    shutil.copytree(practice / "plain", tmp_path / "release")
    return tmp_path


def check(page, folder):
    status, output = type_in(script(page), folder)
    assert status == 0, output[-3000:]
    for name in LEFT_BEHIND[page.stem]:
        assert (folder / name).exists(), (name, output[-3000:])
    return output


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs_from_top_to_bottom(page, tmp_path):
    check(page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in HOWTO if script(page)], ids=lambda p: p.stem)
def test_a_how_to_page_runs_from_top_to_bottom(page, prepared):
    check(page, prepared)


@pytest.mark.slow
def test_a_command_that_fails_ends_a_page(tmp_path):
    status, _ = type_in("set -eo pipefail\nfedsynth verify nowhere\necho after", tmp_path)
    assert status == 2


def test_every_page_with_commands_is_run():
    assert {page.stem for page in [*TUTORIALS, *HOWTO] if script(page)} == set(LEFT_BEHIND)
    assert len(TUTORIALS) == 5
