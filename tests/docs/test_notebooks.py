"""The notebooks run from top to bottom, together in less than five minutes, and hold no outputs."""

import json
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs/notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_SECONDS = 300
"""For all of them together."""


def cells(path, kind):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def test_there_are_four():
    names = ["bank_customers", "first_steps", "four_hospitals", "judging_a_table"]
    assert [path.stem for path in NOTEBOOKS] == names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs_and_begins_with_a_title(path):
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert cells(path, "markdown")[0]["source"][0].startswith("# ")


@pytest.mark.slow
def test_all_run_in_five_minutes(tmp_path):
    """Each in a process of its own, whose working folder stays empty."""
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    start = time.monotonic()
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        here = {"metadata": {"path": str(tmp_path)}}
        done = client.NotebookClient(notebook, timeout=200, resources=here).execute()
        shown = [out for cell in done.cells for out in cell.get("outputs", ())]
        assert any("text/html" in out.get("data", {}) for out in shown), path
        assert any("NotPrivateWarning" in out.get("text", "") for out in shown) or (
            path.stem in ("four_hospitals", "judging_a_table")
        ), path
        assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - start < MOST_SECONDS
