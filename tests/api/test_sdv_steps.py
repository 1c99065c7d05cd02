"""The right column of docs/SDV.md runs as it stands, one step after the other."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fedsynth

pytestmark = pytest.mark.filterwarnings("ignore::fedsynth.notices.FedsynthWarning")
PAGE = (Path(__file__).parents[2] / "docs/SDV.md").read_text()
STEPS = [
    re.findall(r"`([^`]+)`", line.split("|")[3])
    for line in PAGE.splitlines()
    if re.match(r"\| \d+ ", line)
]


def patients(rows=300):
    rng = np.random.default_rng(0)
    admitted = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D")
    ward = rng.choice([1, 2, 3, 7], rows)
    age = np.clip(rng.normal(30 + 8 * ward, 10), 0, 99).astype(int)
    return pd.DataFrame(
        {
            "case": [f"C-{k:06d}" for k in rng.permutation(rows)],
            "ward": ward,
            "age": age,
            "admitted": admitted,
            "left": admitted + pd.to_timedelta(rng.integers(0, 20, rows), unit="D"),
            "outcome": np.where(rng.random(rows) < age / 120, "died", "home"),
        }
    )


def test_the_ten_steps_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    patients().to_csv("patients.csv", index=False)
    assert len(STEPS) == 10
    names = {"fedsynth": fedsynth, "pd": pd}
    for step in STEPS:
        assert step
        for line in step:
            exec(line, names)  # noqa: S102 - our own page
    schema, rows, table = names["schema"], names["rows"], names["table"]
    assert schema.column("ward").kind == "categorical"
    assert schema.column("case").kind == "id"
    assert [rule.rule for rule in schema.rules if rule.name == "dates"] == ["inequality"]
    assert rows.shape == (500, 6)
    assert (rows["admitted"] <= rows["left"]).all()
    assert not set(rows["case"]) & set(table["case"])
    assert set(names["old"]["ward"].astype(int)) == {2}
    assert names["whole"]["age"].tolist() == table["age"].head(20).tolist()
    assert "2-way TVD" in repr(names["judged"])
    assert names["page"].private
    assert len(names["again"].sample(5)) == 5


def test_the_one_line_and_the_resampler_of_the_page_run():
    table = patients()
    columns = {name: {"sdtype": "numerical"} for name in ("ward", "age")}
    columns |= {"case": {"sdtype": "id"}, "outcome": {"sdtype": "categorical"}}
    columns |= {name: {"sdtype": "datetime"} for name in ("admitted", "left")}
    names = {
        "fedsynth": fedsynth,
        "table": table,
        "metadata": {"columns": columns, "primary_key": "case"},
        "features": table[["ward", "age"]],
        "labels": table["outcome"],
    }
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    assert len(names["rows"]) == 500
    assert names["classes"].value_counts().nunique() == 1
    assert names["kinds"].value_counts().to_dict() == names["labels"].value_counts().to_dict()
