"""The benchmark: what it computes, what it skips, what it says when a row cannot run."""

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from fedsynth_common.errors import InputError
from fedsynth_common.tables import as_text
from fedsynth_release.table_writer import write_table
from fedsynth_simulations.benchmarks import run_one_cell, runner
from fedsynth_simulations.benchmarks.cell_results import ROWS, Cell, Outcome, Results
from fedsynth_simulations.benchmarks.cli import app
from fedsynth_simulations.benchmarks.external import External, rho_of, zcdp_epsilon
from fedsynth_simulations.benchmarks.memory import peak_megabytes
from fedsynth_simulations.benchmarks.plot import plot
from fedsynth_simulations.benchmarks.report import groups, show
from fedsynth_simulations.benchmarks.row_makers import SIMPLE, maker_of
from fedsynth_simulations.benchmarks.study_rows import STUDIES, site_frames
from fedsynth_simulations.benchmarks.tables import KNOWN, Source, find, load
from fedsynth_simulations.holdout import benchmark_split

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NOWHERE = External("no-such-environment", 10.0)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    """300 records; age decides illness, and `clinic` names a site."""
    rng = np.random.default_rng(0)
    age = rng.integers(20, 80, 300)
    frame = pd.DataFrame(
        {
            "age": age,
            "ill": np.where(rng.random(300) < (age - 20) / 60, "sick", "well"),
            "ward": rng.choice(["a", "b", "c"], 300),
            "clinic": rng.choice(["north", "south"], 300),
        }
    )
    path = tmp_path_factory.mktemp("bench") / "tiny.csv"
    write_table(frame, path)
    return find(str(path), Path("unused"), "ill", natural=False)


def request(source: Source, **changes) -> runner.Request:
    fields = {"sources": [source], "rows": ["real"], "epsilons": [1.0], "seeds": 1, "quick": True}
    return runner.Request(**(fields | changes))


def federated(**changes) -> Cell:
    fields = {"table": "tiny", "row": "marginals", "seed": 0, "epsilon": 1.0, "delta": 1e-5}
    return Cell(**(fields | {"sites": 2, "partition": "iid", "quick": True} | changes))


class TestTables:
    def test_held_out_rows_shape_nothing(self, source):
        table = load(source)
        raw = pd.read_csv(source.path)
        train, test = benchmark_split(len(raw))
        assert as_text(table.train["age"]).tolist() == as_text(raw["age"][train]).tolist()
        assert as_text(table.test["age"]).tolist() == as_text(raw["age"][test]).tolist()
        assert table.schema.target == "ill"

    def test_schema_does_not_change_with_the_test_rows(self, source, tmp_path):
        raw = pd.read_csv(source.path)
        raw.loc[benchmark_split(len(raw))[1], ["age", "ward"]] = [999, "z"]
        write_table(raw, tmp_path / "tiny.csv")
        assert load(replace(source, path=str(tmp_path / "tiny.csv"))).schema == load(source).schema

    def test_site_column_is_taken_out_of_both_parts(self, source):
        table = load(replace(source, site_column="clinic"))
        assert "clinic" not in table.train.columns
        assert "clinic" not in table.test.columns
        assert "clinic" not in [column.name for column in table.schema.columns]
        frames = site_frames(federated(sites=None, partition="natural"), table)
        assert set(frames) == {"north", "south"}
        assert sum(map(len, frames.values())) == len(table.train)

    def test_made_up_sites_hold_every_train_row_once(self, source):
        table = load(source)
        frames = site_frames(federated(sites=3), table)
        ages = np.sort(pd.concat(frames.values())["age"].astype(int))
        assert ages.tolist() == sorted(table.train["age"].astype(int))

    def test_unknown_tables_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="expected one of adult"):
            find("adlut", tmp_path, None, natural=False)
        with pytest.raises(InputError, match="--data"):
            find("adult", tmp_path, None, natural=False)
        with pytest.raises(InputError, match="adult: .*--data DIR or FEDSYNTH_DATA=DIR.*README"):
            find("adult", None, None, natural=False)
        with pytest.raises(InputError, match="--natural"):
            find("adult", tmp_path, None, natural=True)

    def test_another_version_of_a_file_or_another_target_is_another_table(self, source, tmp_path):
        write_table(pd.read_csv(source.path).head(200), tmp_path / "tiny.csv")
        path = str(tmp_path / "tiny.csv")
        sources = [find(path, tmp_path, target, natural=False) for target in ("ill", "ward")]
        cells = [runner.cells_of(request(s))[0][0] for s in (source, *sources)]
        assert len(set(cells)) == 3

    @pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
    def test_hospitals_are_the_sites_of_heart_disease(self):
        table = load(find("heart_disease", DATA, None, natural=False))
        assert table.sites.nunique() == 4
        assert table.schema.column("num").categories == ("no", "yes")

    def test_the_built_table_hides_its_answer_from_pairs_alone(self, tmp_path):
        table = load(find("exclusive_ors", tmp_path, None, natural=False))
        assert len(table.train) == 40_000
        assert table.schema.target == "c0"
        yes = table.train[["a0", "b0", "c0"]] == "yes"
        assert (yes["c0"] == (yes["a0"] ^ yes["b0"])).mean() == pytest.approx(0.9, abs=0.01)
        assert yes.corr().abs().to_numpy()[[0, 0, 1], [1, 2, 2]].max() < 0.25

    @pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
    @pytest.mark.parametrize("name", KNOWN)
    def test_declared_targets_exist(self, name):
        columns = pd.read_csv(DATA / f"{name}.csv.gz", nrows=1).columns
        known = KNOWN[name]
        assert known.target in columns
        assert known.site_column is None or known.site_column in columns


class TestCells:
    def test_every_row_has_a_maker(self):
        assert set(ROWS) == {*SIMPLE, *STUDIES}
        assert not set(SIMPLE) & set(STUDIES)

    def test_a_cell_holds_only_what_its_row_depends_on(self, source):
        cells = [
            cell
            for cell, _ in runner.cells_of(
                request(source, rows=list(ROWS), epsilons=[1.0, 3.0], seeds=2)
            )
        ]
        assert len(cells) == len(set(cells)) == 1 + 3 * 2 + 19 * 4
        by_row = {name: [c for c in cells if c.row == name] for name in ROWS}
        assert by_row["real"] == [Cell("tiny (target: ill)", "real", 0, source.digest)]
        assert {c.epsilon for c in by_row["independent"]} == {None}
        assert {c.sites for c in by_row["central"]} == {None}
        assert {(c.sites, c.partition) for c in by_row["both"]} == {(5, "iid")}
        assert {c.quick for c in by_row["mst"]} == {False}

    def test_results_survive_a_restart(self, tmp_path):
        path = tmp_path / "r.json"
        done, failed, stopped = (federated(seed=seed) for seed in range(3))
        results = Results(path)
        results.add(done, Outcome(figures={"mean_auc": 0.7}))
        results.add(failed, Outcome(not_run="no environment"))
        results.add(stopped, Outcome(not_run="stopped after 10 s", limit=10.0))
        again = Results(path)
        assert again[done] == Outcome(figures={"mean_auc": 0.7})
        assert again.finished(done, limit=10)
        assert not again.finished(failed, limit=10)
        assert again.finished(stopped, limit=10)
        assert not again.finished(stopped, limit=20)
        assert not again.finished(federated(seed=9), limit=10)
        assert Results(path, fresh=True)[done] is None

    @pytest.mark.parametrize("content", ["", "{}", '{"format": "other", "cells": []}', "[1]"])
    def test_another_file_is_not_overwritten_in_silence(self, tmp_path, content):
        path = tmp_path / "r.json"
        path.write_text(content)
        with pytest.raises(InputError, match="not a results file"):
            Results(path)


class TestRows:
    def test_ceiling_and_floors(self, source):
        real = run_one_cell.compute(Cell("tiny", "real", 0), source, NOWHERE).figures
        floor = run_one_cell.compute(Cell("tiny", "independent", 0), source, NOWHERE).figures
        assert real["tvd_1"] == real["tvd_2"] == 0
        assert 0 < floor["tvd_1"] < floor["tvd_2"]
        assert real["target_auc_logistic"] > 0.75 > 0.65 > floor["target_auc_logistic"]
        assert real["epsilon_spent"] is None
        assert real["peak_megabytes"] > 50

    def test_a_federated_row_spends_its_budget_and_sends_bytes(self, source):
        outcome = run_one_cell.compute(federated(), source, NOWHERE)
        assert outcome.not_run == ""
        assert 0.98 < outcome.figures["epsilon_spent"] <= 1.0
        assert outcome.figures["bytes_per_site"] > 500
        known = {name: value for name, value in outcome.figures.items() if value is not None}
        assert all(math.isfinite(value) for value in known.values())
        assert all(name.startswith("number_") for name in outcome.figures.keys() - known.keys())

    def test_alone_rows_send_nothing(self, source):
        alone = maker_of("site-alone")(federated(row="site-alone"), load(source), NOWHERE)
        pooled = maker_of("alone-pooled")(federated(row="alone-pooled"), load(source), NOWHERE)
        assert alone.bytes_per_site is pooled.bytes_per_site is None
        assert len(alone.frame) == 120
        assert len(pooled.frame) == 240
        assert pooled.epsilon_spent <= 1.0

    def test_the_control_ignores_discriminators_and_differs_in_nothing_else(
        self, source, monkeypatch
    ):
        from fedsynth_simulations.benchmarks import study_rows

        asked = []
        monkeypatch.setattr(study_rows, "simulate", lambda *args: asked.append(args) or 1 / 0)
        table = load(source)
        big = replace(table, train=pd.concat([table.train] * 12, ignore_index=True))
        for row in ("both", "control"):
            with pytest.raises(ZeroDivisionError):
                maker_of(row)(federated(row=row), big, NOWHERE)
        both, control = (simulation for _, _, simulation, _ in asked)
        assert both.settings.adversarial_weight > 0 == control.settings.adversarial_weight
        assert both == replace(
            control,
            settings=control.settings.model_copy(
                update={"adversarial_weight": both.settings.adversarial_weight}
            ),
        )

    def test_a_missing_environment_is_a_reason(self, source):
        cell = Cell("tiny", "mst", 0, epsilon=1.0, delta=1e-5)
        assert "external-env" in run_one_cell.compute(cell, source, NOWHERE).not_run

    def test_an_unexpected_error_names_its_place_and_no_content(self, source, monkeypatch):
        def broken(cell, table, external):
            raise ValueError(f"bad cell {table.train['ward'].iloc[0]}")

        monkeypatch.setitem(SIMPLE, "nb", broken)
        outcome = run_one_cell.compute(Cell("tiny", "nb", 0), source, NOWHERE)
        assert outcome.not_run.startswith("ValueError at test_benchmarks.py:")


class TestExternal:
    def test_rho_uses_the_budget_and_no_more(self):
        for epsilon in (0.1, 1.0, 10.0):
            rho = rho_of(epsilon, 1e-5)
            assert zcdp_epsilon(rho, 1e-5) <= epsilon
            assert zcdp_epsilon(1.001 * rho, 1e-5) > epsilon

    def test_conversion_is_an_upper_bound_on_a_gaussian(self):
        from fedsynth_common.privacy.accounting import epsilon
        from fedsynth_common.privacy.events import GaussianEvent

        exact = epsilon([GaussianEvent(noise_multiplier=5.0)], 1e-5)
        assert exact < zcdp_epsilon(1 / (2 * 25), 1e-5) < 1.2 * exact

    def test_a_slow_method_is_stopped_and_not_tried_again(self, source, tmp_path):
        environment = tmp_path / "env" / "bin"
        environment.mkdir(parents=True)
        sleeper = environment / "python"
        sleeper.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
        sleeper.chmod(0o755)
        cell = Cell("tiny", "aim", 0, epsilon=1.0, delta=1e-5)
        outcome = run_one_cell.compute(cell, source, External(str(tmp_path / "env"), 0.5))
        assert outcome.not_run == "stopped after 0.5 s (--external-limit)"
        assert outcome.limit == 0.5


class TestRun:
    def test_cells_run_in_fresh_processes_and_finished_ones_are_skipped(self, source, tmp_path):
        path, said = tmp_path / "r.json", []
        wanted = request(source, rows=["real", "mst"])
        runner.run(wanted, Results(path), said.append)
        assert [line.split("]")[0] for line in said] == ["[1/2", "[2/2"]
        stored = json.loads(path.read_text())["cells"]
        assert [entry["row"] for entry in stored] == ["real", "mst"]
        assert stored[0]["figures"]["seconds"] < 5
        assert "external-env" in stored[1]["not_run"]

        stored[0]["figures"]["mean_auc"] = 0.123
        path.write_text(json.dumps({"format": "fedsynth-benchmark-1", "cells": stored}))
        results, said = Results(path), []
        cells = runner.run(replace(wanted, rows=["real"]), results, said.append)
        assert said == ["1 of 1 cells are finished already"]
        assert results[cells[0]].figures["mean_auc"] == 0.123

    def test_a_process_that_dies_is_a_reason(self, source, monkeypatch):
        monkeypatch.setattr(sys, "executable", "/bin/false")
        results = Results(None)
        (cell,) = runner.run(request(source), results, lambda line: None)
        assert results[cell].not_run == "the process ended with code 1"

    def test_peak_memory_is_this_processs(self):
        assert 20 < peak_megabytes() < 100_000
        assert peak_megabytes(2**22 + 1) == 0.0


def finished(**medians: tuple[float, ...]) -> Results:
    results = Results(None)
    for row, values in medians.items():
        for seed, value in enumerate(values):
            epsilon = 1.0 if ROWS[row].private else None
            cell = Cell("tiny", row, seed, epsilon=epsilon, delta=1e-5 if epsilon else None)
            results.add(cell, Outcome(figures={"mean_auc": value}))
    return results


def printed(results: Results, width: int) -> str:
    screen = Console(width=width, record=True, force_terminal=False)
    show(screen, [cell for cell, _ in results], results)
    return screen.export_text()


class TestReport:
    def test_median_range_and_share_of_real(self):
        results = finished(real=(0.8,), central=(0.6, 0.5, 0.64))
        text = printed(results, 200)
        assert "0.600" in text
        assert "(0.500-0.640)" in text
        assert "75.0" in text
        assert [g.cell.row for g in groups([c for c, _ in results], results)] == ["real", "central"]

    def test_narrow_screens_lose_no_column(self):
        text = printed(finished(real=(0.8,)), 80)
        for heading in ("1-way", "mean AUC", "detection", "kB/site"):
            assert heading in text
        assert "…" not in text

    def test_failures_are_printed_beside_what_ran(self):
        results = finished(real=(0.8,), central=(0.6,))
        results.add(
            Cell("tiny", "mst", 0, epsilon=1.0, delta=1e-5), Outcome(not_run="no environment")
        )
        results.add(
            Cell("tiny", "central", 1, epsilon=1.0, delta=1e-5),
            Outcome(not_run="killed by signal 9"),
        )
        text = printed(results, 200)
        assert "mst, ε=1: not run: no environment" in text
        assert "central, ε=1: not run: killed by signal 9" in text
        assert "0.600" in text


class TestCommand:
    def test_prints_and_resumes(self, source, tmp_path):
        path = tmp_path / "r.json"
        results = finished(real=(0.8,))
        ((cell, outcome),) = list(results)
        stored = Results(path)
        stored.add(replace(cell, table="tiny (target: ill)", data=source.digest), outcome)
        options = [source.path, "--target", "ill", "--rows", "real", "--out", str(path)]
        done = CliRunner().invoke(app, ["run", *options])
        assert done.exit_code == 0, done.output
        assert "0.800" in done.output
        assert "finished already" in done.output
        assert "0.800" in CliRunner().invoke(app, ["show", str(path)]).output

    def test_the_folder_of_the_tables_comes_from_the_environment(self, tmp_path):
        for data, fault in ((None, "FEDSYNTH_DATA=DIR"), (tmp_path, f"{tmp_path}/adult.csv.gz")):
            variables = {"FEDSYNTH_DATA": data and str(data)}
            done = CliRunner(env=variables).invoke(app, ["run", "adult"])
            assert fault in str(done.exception)

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            (["--rows", "real,fast"], "'fast'"),
            (["--rows", ","], "--rows"),
            (["--epsilon", "0"], "--epsilon"),
            (["--delta", "1"], "--delta"),
        ],
    )
    def test_bad_options_are_refused_before_work(self, source, options, fault):
        done = CliRunner().invoke(app, ["run", source.path, *options])
        assert isinstance(done.exception, InputError)
        assert fault in str(done.exception)

    def test_plot(self, tmp_path):
        results = finished(real=(0.8,), central=(0.6, 0.5))
        with pytest.raises(InputError, match="expected a name in"):
            plot(results, tmp_path / "a.gif")
        with pytest.raises(InputError, match="no finished cell"):
            plot(Results(None), tmp_path / "a.png")
        if importlib.util.find_spec("matplotlib") is None:
            with pytest.raises(InputError, match=r"fedsynth-simulations\[bench\]"):
                plot(results, tmp_path / "a.png")
        else:
            plot(results, tmp_path / "a.html")
            assert "<svg" in (tmp_path / "a.html").read_text()
