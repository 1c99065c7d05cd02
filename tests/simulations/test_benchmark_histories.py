"""The benchmark of histories: its tables, its figures, and what it prints."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fedsynth_common.errors import InputError
from fedsynth_release.evaluation.histories import history_distances
from fedsynth_simulations.benchmarks.external import External
from fedsynth_simulations.benchmarks.histories import par, results
from fedsynth_simulations.benchmarks.histories.figures import HistoryCell, Judge, Options, make
from fedsynth_simulations.benchmarks.histories.tables import HistoryTable, by_month, load

pytest.importorskip("statsmodels", reason="the demonstration table comes with statsmodels")


def part(table: HistoryTable, persons: int) -> HistoryTable:
    """The same table with fewer persons."""
    key = table.schema.person_key or ""
    train, test = (
        frame[frame[key].isin(frame[key].unique()[:count])].reset_index(drop=True)
        for frame, count in ((table.train, persons), (table.test, persons // 2))
    )
    kept = table.train[key].isin(table.train[key].unique()[:persons]).to_numpy()
    sites = None if table.sites is None else table.sites[kept].reset_index(drop=True)
    fields = {"train": train, "test": test, "sites": sites, "persons_per_site": 100}
    return HistoryTable(**{**table.__dict__, **fields})


@pytest.fixture(scope="module")
def rand() -> HistoryTable:
    return load("RAND", None)


def test_no_person_is_on_both_sides_or_at_two_sites(rand):
    persons = [set(frame["person_id"]) for frame in (rand.train, rand.test)]
    assert not persons[0] & persons[1]
    assert [len(side) for side in persons] == [4730, 1182]
    sites = rand.by_site(0)
    assert list(sites) == ["dayton", "massachusetts", "seattle", "south-carolina"]
    assert sum(frame["person_id"].nunique() for frame in sites.values()) == 4730
    assert "hospital" not in rand.train
    assert rand.schema.histories.max_events == 5


def test_a_customer_has_a_row_a_month_from_april_to_september():
    raw = pd.DataFrame(
        {
            **{name: [1, 2] for name in ("LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE")},
            **{f"PAY_{k}": [10 + k, 20 + k] for k in (0, 2, 3, 4, 5, 6)},
            **{f"BILL_AMT{k}": [k, -k] for k in range(1, 7)},
            **{f"PAY_AMT{k}": [100 * k, 200 * k] for k in range(1, 7)},
            "default payment next month": [0, 1],
        }
    )
    one = by_month(raw)[lambda frame: frame["customer"] == 0]
    assert one["month"].tolist() == [1, 2, 3, 4, 5, 6]
    assert one["PAY"].tolist() == [16, 15, 14, 13, 12, 10]
    assert one["BILL_AMT"].tolist() == [6, 5, 4, 3, 2, 1]
    assert one["PAY_AMT"].tolist() == [600, 500, 400, 300, 200, 100]


def test_unknown_tables_rows_and_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected one of RAND"):
        load("adult", None)
    with pytest.raises(InputError, match="--data"):
        load("credit", None)
    with pytest.raises(InputError, match="--rows 'mine'"):
        results.check_rows("mine")
    (tmp_path / "a.json").write_text('{"cells": []}')
    with pytest.raises(InputError, match="not a results file"):
        results.HistoryResults.read(tmp_path / "a.json")


def test_figures_of_a_study_stand_between_real_persons_and_dealt_events(rand, tmp_path):
    small = part(rand, 600)
    cells = [
        *results.cells_of("RAND", ["real", "dealt"], [3.0], 1e-5, 1),
        *results.cells_of("RAND", ["local"], [50.0], 1e-5, 1),
    ]
    said: list[str] = []
    found = results.HistoryResults.read(tmp_path / "out.json")
    options = Options()
    results.compute(small, cells, found, options, said.append)
    assert len(said) == 3
    real, floor, study = (found.figures[cell] for cell in cells)
    assert floor["within_event"] == 0
    assert real["lag_1_itself"] < floor["lag_1_itself"]
    assert study["lag_1_itself"] < floor["lag_1_itself"]
    assert real["next_auc"] > 0.7 > floor["next_auc"]
    assert study["next_auc"] > floor["next_auc"]
    assert study["epsilon_spent"] <= 50
    again = results.HistoryResults.read(tmp_path / "out.json")
    results.compute(small, cells, again, Options(), said.append)
    assert len(said) == 3  # nothing is computed twice
    assert again.figures == found.figures
    stream = io.StringIO()
    Console(file=stream, width=250).print(results.shown("RAND", cells, again))
    text = stream.getvalue()
    assert "real events dealt at random" in text
    assert "100.0 %" in text


def test_the_printed_figure_is_the_median_with_its_range():
    cells = results.cells_of("RAND", ["real", "local"], [3.0], 1e-5, 3)
    figures = {cells[0]: {"next_auc": 0.8, "lag_1": 0.01}}
    figures |= {
        c: {"next_auc": v, "lag_1": v} for c, v in zip(cells[1:], (0.4, 0.6, 0.1), strict=True)
    }
    stream = io.StringIO()
    table = results.shown("RAND", cells, results.HistoryResults(None, figures))
    Console(file=stream, width=200).print(table)
    assert "0.400 (0.100-0.600) 50.0 %" in stream.getvalue()


def test_peers_have_seeds_and_need_their_environment(rand, tmp_path):
    cells = results.cells_of("RAND", ["real", "par"], [1.0, 3.0], 1e-5, 2)
    assert [(cell.row, cell.epsilon, cell.seed) for cell in cells] == [
        ("real", None, 0),
        ("par", None, 0),
        ("par", None, 1),
    ]
    nowhere = Options(external=External(str(tmp_path / "none")))
    with pytest.raises(InputError, match="external-env"):
        make(cells[1], rand, nowhere)


def test_persons_reach_par_with_their_events_in_order_and_come_back(rand, tmp_path, monkeypatch):
    """What PAR would return if it repeated what it got."""
    small, seen = part(rand, 60), {}

    def repeat(driver, method, arrays, external):
        seen.update(arrays)
        return arrays["codes"], 0.0

    monkeypatch.setattr(par, "drive", repeat)
    monkeypatch.setattr(External, "check", lambda self, arguments: None)
    made = par.synthesise_par(small.train, small.schema, 0, External(str(tmp_path)), epochs=7)
    assert seen["epochs"] == 7
    assert seen["static"].sum() == 11
    assert len(seen["static"]) == len(seen["ordered"]) == 18
    assert (np.diff(seen["codes"][:, 0]) >= 0).all()  # the events of a person together
    assert (made.groupby("person_id")["study_year"].diff().dropna() > 0).all()
    found = history_distances(small.train, made, small.schema)
    assert found["lengths"] == found["gaps"] == 0

    def stories(frame):
        ordered = frame.sort_values(["person_id", "study_year"])
        cells = ordered["sex"] + ordered["study_year"].astype(str) + ordered["admitted"]
        return sorted(cells.groupby(ordered["person_id"]).sum())

    assert stories(made) == stories(small.train)


def test_one_cell_is_a_line_of_the_results_file(tmp_path):
    kept = results.HistoryResults(tmp_path / "r.json")
    cell = HistoryCell("RAND", "local", 3.0, 1e-5, 2)
    kept.add(cell, {"next_auc": 0.5})
    assert json.loads((tmp_path / "r.json").read_text())[0]["cell"]["seed"] == 2
    assert results.HistoryResults.read(tmp_path / "r.json").figures == {cell: {"next_auc": 0.5}}


DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the public tables are not here")
@pytest.mark.parametrize(
    ("name", "persons", "most"), [("credit", 24_000, 6), ("diabetes130", 57_215, 5)]
)
def test_the_other_tables_are_read_and_judged(name, persons, most):
    table = load(name, DATA)
    key = table.schema.person_key
    assert table.train[key].nunique() == pytest.approx(persons, abs=2)
    assert table.schema.histories.max_events == most
    assert len(table.by_site(0)) == 5
    small = part(table, 1500)
    judge = Judge(small)
    floor, _ = make(HistoryCell(name, "dealt", None, None, 0), small, Options())
    figures = [judge.figures(frame) for frame in (None, floor)]
    assert figures[0]["lag_1_itself"] < figures[1]["lag_1_itself"]
    assert figures[0]["next_auc"] > figures[1]["next_auc"]
    assert (figures[0]["event_auc"] is None) == (name == "credit")
    assert np.isfinite([v for v in figures[0].values() if v is not None]).all()
