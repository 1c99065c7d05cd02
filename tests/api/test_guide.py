"""The Python that the README and docs/PYTHON.md show runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fedsynth

pytestmark = pytest.mark.filterwarnings("ignore::fedsynth.notices.FedsynthWarning")
ROOT = Path(__file__).parents[2]


def blocks(page):
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [block for block in found if "fedsynth" in block or "result" in block]


def patients(rows, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 95, rows)
    died = np.where(rng.random(rows) < age / 150, "yes", "no")
    return pd.DataFrame({"age": age, "ward": rng.choice(list("abc"), rows), "died": died})


def run(page, names, between=lambda: None):
    found = blocks(page)
    for block in found:
        exec(block, names)  # noqa: S102 - our own page
        between()
    return len(found)


def review():
    """What a person does with a drafted file."""
    file = Path("schema.json")
    if file.exists():
        file.write_text(file.read_text().replace('"drafted from data"', '"declared"'))


def test_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = {"north": patients(150, 1), "south": patients(150, 2)}
    names = {"table": patients(300), **parts}
    assert run("docs/PYTHON.md", names, review) == 3
    assert (names["rows"]["age"] >= 65).all()
    assert names["result"].private


def test_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = {"quick": True, "sites": 2, "variant": "marginals"}
    fedsynth.fit(patients(200), **quick).save("demo-out")
    names = {"table": patients(300)}
    assert run("README.md", names) == 2
    assert len(names["frame"]) == 1000
    assert (names["rows"]["age"] >= 65).all()


def test_the_page_of_the_simulations_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("statsmodels", reason="the demonstration table comes with statsmodels")
    monkeypatch.chdir(tmp_path)
    names = {}
    assert run("simulations/README.md", names) == 1
    assert names["result"].private
    assert 0.9 < float(capsys.readouterr().out) <= 1
    assert list(tmp_path.iterdir()) == []
