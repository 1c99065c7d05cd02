"""The probe finds what no pair of columns shows, and finds nothing where pairs hold all."""

import json

import numpy as np
import pandas as pd
from command import fedsynth

from fedsynth_release.drafting.draft import draft_schema
from fedsynth_simulations.benchmarks.beyond_pairs import beyond_pairs
from fedsynth_simulations.benchmarks.tables import BenchmarkTable

ROWS = 4_000


def table_of(exclusive: bool) -> BenchmarkTable:
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(0, 2, ROWS) for _ in range(3))
    truth = a ^ b if exclusive else a
    target = np.where(rng.random(ROWS) < 0.1, 1 - truth, truth)
    frame = pd.DataFrame({"a": a, "b": b, "c": c, "target": target}).astype(str)
    schema = draft_schema(frame, "probed", "target")
    return BenchmarkTable(frame[: ROWS // 2], frame[ROWS // 2 :], schema, None)


def by_name(table):
    return {found.column: found for found in beyond_pairs(table)}


def test_an_exclusive_or_is_in_no_pair_and_trees_find_it():
    target = by_name(table_of(exclusive=True))["target"]
    assert target.logistic < 0.55
    assert 0.85 < target.boosting < 0.95
    assert target.gap > 0.3
    assert target.nats > 0.3


def test_where_pairs_hold_all_trees_gain_nothing():
    found = by_name(table_of(exclusive=False))
    assert set(found) == {"a", "b", "c", "target"}
    assert found["target"].logistic > 0.85
    assert max(one.gap for one in found.values()) < 0.03
    assert max(one.nats for one in found.values()) < 0.01


def test_the_command_prints_a_line_for_every_column(tmp_path):
    table = table_of(exclusive=True)
    file = tmp_path / "probed.csv"
    pd.concat([table.train, table.test]).to_csv(file, index=False)
    shown = fedsynth("benchmark", "probe", file, "--target", "target")
    assert shown.returncode == 0, shown.stderr
    assert "mean of the columns" in shown.stdout
    told = fedsynth("benchmark", "probe", file, "--target", "target", "--json")
    columns = json.loads(told.stdout)["columns"]
    assert [column["column"] for column in columns] == ["a", "b", "c", "target"]
    missing = fedsynth("benchmark", "probe", tmp_path / "none.csv")
    assert missing.returncode == 2
