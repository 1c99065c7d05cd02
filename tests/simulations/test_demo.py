"""`fedsynth demo` runs a whole study, says what it protects, and replaces only its own folder."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from fedsynth_common.errors import InputError
from fedsynth_release.generator import Generator
from fedsynth_release.report import StudyHistory
from fedsynth_simulations.demo import app
from fedsynth_simulations.demo_data import demo_schema, demo_table
from fedsynth_simulations.demo_figures import FIGURES

pytest.importorskip("statsmodels", reason="the demonstration table comes with statsmodels")


def run(*options):
    return CliRunner().invoke(app, [*map(str, options)], catch_exceptions=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A quick demo written over the remains of an earlier one."""
    out = tmp_path_factory.mktemp("demo") / "demo-out"
    out.mkdir()
    (out / "demo.json").write_text("{}")
    (out / "stale.csv").write_text("of an earlier demo")
    return out, run("--quick", "--people", "--epsilon", 2, "--out", out)


def test_an_earlier_demo_is_replaced_as_a_whole(finished):
    out, result = finished
    assert result.exit_code == 0
    names = {path.name for path in out.iterdir()}
    tables = {"randhie.csv", "schema.json", "synthetic.csv"}
    assert names == {"demo.json", "generator", "history.json", "report.html", *tables}
    assert len(StudyHistory.load(out / "history.json").curves) == 6
    assert (out / "report.html").read_text().count("<polyline") == 6
    assert not list(out.parent.glob(".fedsynth-*"))


def test_every_hospital_pays_less_than_epsilon_and_the_unit_is_the_person(finished):
    out, result = finished
    statement = Generator.load(out / "generator").statement
    assert statement.private
    assert statement.unit == "one person, at most 1 records"
    assert {site.site for site in statement.sites} == {
        "dayton",
        "massachusetts",
        "seattle",
        "south-carolina",
    }
    assert all(1.9 < site.epsilon <= 2 for site in statement.sites)
    assert "protects one person against" in " ".join(result.output.split())


def test_synthetic_records_have_the_columns_of_the_schema(finished):
    out, _ = finished
    synthetic = pd.read_csv(out / "synthetic.csv")
    assert list(synthetic.columns) == [column.name for column in demo_schema().modelled]
    measured = json.loads((out / "generator" / "measurements.json").read_text())
    assert abs(len(synthetic) - measured["records"]) <= 0.56  # the file keeps one decimal


def test_report_compares_real_synthetic_and_floor(finished):
    out, result = finished
    summary = json.loads((out / "demo.json").read_text())
    assert (out / "demo.json").stat().st_mode & 0o777 == 0o600
    assert "not for release" in summary["notice"]
    assert list(summary["figures"]) == [figure.name for figure in FIGURES]
    quality = summary["quality"]
    assert quality["real"]["tvd_1"] == 0
    assert quality["real"]["mean_auc"] > quality["synthetic"]["mean_auc"]
    assert "independent" in result.output


def test_figures_are_those_of_the_table():
    by_name = {figure.name: figure.of(demo_table()) for figure in FIGURES}
    assert by_name["mean visits"] == pytest.approx(2.86, abs=0.01)  # Deb and Trivedi 2002
    assert by_name["  where care is free, %"] < by_name["  where the patient pays 95 %, %"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_a_demo_is_left_alone(tmp_path, kind):
    out = tmp_path / "mine"
    kept = out if kind == "file" else out / "thesis.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(InputError, match="--out"):
        run("--quick", "--out", out)
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("epsilon", ["0", "-1", "1000", "nan"])
def test_an_epsilon_that_cannot_be_is_refused_before_a_word_is_said(tmp_path, capsys, epsilon):
    with pytest.raises(InputError, match="--epsilon"):
        run("--quick", "--epsilon", epsilon, "--out", tmp_path / "out")
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "out").exists()
