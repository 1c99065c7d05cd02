"""`fedsynth benchmark first-sight`: it counts what a newcomer would call wrong."""

import json

import numpy as np
import pandas as pd
from command import fedsynth

from fedsynth_release.drafting.draft import draft_schema
from fedsynth_simulations.benchmarks.first_sight import judged

ROWS = 400


def real_table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "mrn": [f"MRN{10_000 + 7 * i}" for i in range(ROWS)],
            "ward": rng.choice(["north", "south"], ROWS),
            "weight": np.round(rng.normal(70, 9, ROWS), 1).astype(str),
            "seen": [f"2019-0{1 + i % 9}-1{i % 10}" for i in range(ROWS)],
        }
    )


def seen(**changes):
    real = real_table()
    schema = draft_schema(real, "t")
    drawn = real.assign(**{"mrn": "made up", **changes})
    return judged("t", real, drawn, schema, 1)


def test_a_right_table_has_no_fault():
    found = seen()
    assert (found.rows, found.columns, found.made_up, found.missing) == (ROWS, 4, 1, 0)
    assert found.unknown == found.outside == found.unreadable == found.identifiers == 0


def test_each_fault_is_counted():
    real = real_table()
    assert seen(mrn=real["mrn"]).identifiers == 1
    assert seen(ward=["east", *real["ward"][1:]]).unknown == 1 / ROWS
    assert seen(ward=["other"] * ROWS).mostly_other == 1
    assert seen(weight=["900", *real["weight"][1:]]).outside == 0.5 / ROWS  # of two such columns
    assert seen(seen=["soon", *real["seen"][1:]]).unreadable == 0.5 / ROWS


def test_missing_and_empty_columns_are_counted():
    real = real_table()
    schema = draft_schema(real, "t")
    assert judged("t", real, real.drop(columns="ward"), schema, 1).missing == 1
    assert judged("t", real, real.assign(mrn=None), schema, 1).empty == 1


def test_the_command_tries_each_table_and_names_those_that_are_refused(tmp_path):
    real_table().to_csv(tmp_path / "good.csv", index=False)
    (tmp_path / "bad.csv").write_text("a,a\n1,2\n")
    run = fedsynth(
        "benchmark", "first-sight", tmp_path / "bad.csv", tmp_path / "good.csv", "--json"
    )
    assert "bad.csv" in run.stderr
    found = json.loads(run.stdout)
    assert (found["table"], found["identifiers"], found["unknown"]) == ("good.csv", 0.0, 0.0)
