"""`fedsynth simulate` and `fedsynth evaluate` on persons with histories, as a person runs them."""

import json

import numpy as np
import pandas as pd
from command import fedsynth
from small_histories import HISTORIES

from fedsynth_release.evaluation import Evaluation


def visits(persons: int) -> pd.DataFrame:
    """Wards that last; women have three events and men two."""
    rng, rows = np.random.default_rng(0), []
    for k in range(persons):
        sex, ward = rng.choice(["f", "m"]), rng.choice(["a", "b"])
        day, age = int(rng.integers(0, 3)), float(rng.integers(0, 50)) / 10
        for _ in range(3 if sex == "f" else 2):
            rows.append((f"p{k}", sex, day, age, ward))
            day, age = day + int(rng.integers(1, 4)), round(age + 0.2, 1)
    return pd.DataFrame(rows, columns=["id", "sex", "day", "age", "ward"])


def test_a_hold_out_of_persons_is_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    visits(300).to_csv("visits.csv", index=False)
    HISTORIES.save(tmp_path / "schema.json")
    usual = ("--schema", "schema.json", "--sites", "3", "--epsilon", "20", "--quick")
    usual = (*usual, "--holdout", "0.3", "--no-attacks", "--out", "out", "--json")
    ended = fedsynth("simulate", "visits.csv", *usual)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert set(summary["quality"]) == {"real records", "synthetic", "independent columns"}
    assert summary["quality"]["synthetic"]["lag_1_itself"] > 0
    found = Evaluation.load("out/evaluation.json")
    assert (found.histories.persons_train, found.histories.persons_holdout) == (210, 90)
    assert "Distance of histories" in (tmp_path / "out" / "report.html").read_text()
    # the same table once more, by the command of its own
    tables = ("--real", "visits.csv", "--holdout", "visits.csv", "--synthetic", "out/synthetic.csv")
    ended = fedsynth("evaluate", *tables, "--schema", "schema.json", "--quick", "--no-attacks")
    assert ended.returncode == 0, ended.stderr
    assert "next, same column" in ended.stdout
    said = " ".join(ended.stdout.split())
    assert "predict the next event of held-out persons" in said
    assert "300 real persons" in said


def test_a_synthetic_table_without_the_person_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    visits(60).to_csv("visits.csv", index=False)
    visits(60).drop(columns="id").to_csv("made.csv", index=False)
    HISTORIES.save(tmp_path / "schema.json")
    tables = ("--real", "visits.csv", "--holdout", "visits.csv", "--synthetic", "made.csv")
    ended = fedsynth("evaluate", *tables, "--schema", "schema.json", "--quick")
    assert ended.returncode == 2
    assert "no column 'id'" in ended.stderr
