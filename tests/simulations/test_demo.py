"""`fedsynth demo` runs a whole study, says what it protects, and replaces only its own folder."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.generator import Generator
from fedsynth_release.report import StudyHistory
from fedsynth_simulations.demo import FLOOR, app
from fedsynth_simulations.demo_data import demo_histories, demo_table
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
    return out, run("--quick", "--epsilon", 2, "--out", out)


def test_an_earlier_demo_is_replaced_as_a_whole(finished):
    out, result = finished
    assert result.exit_code == 0
    names = {path.name for path in out.iterdir()}
    tables = {"randhie.csv", "schema.json", "synthetic.csv"}
    assert names == {"demo.json", "generator", "history.json", "report.html", *tables}
    curves = StudyHistory.load(out / "history.json").curves
    page = (out / "report.html").read_text()
    assert page.count("<polyline") == len(curves) > 0
    assert page.count(">person ") == 12
    assert not list(out.parent.glob(".fedsynth-*"))


def test_every_hospital_pays_less_than_epsilon_and_the_unit_is_the_person(finished):
    out, result = finished
    statement = Generator.load(out / "generator").statement
    assert statement.private
    assert statement.unit == "one person, at most 5 records"
    assert {site.site for site in statement.sites} == {
        "dayton",
        "massachusetts",
        "seattle",
        "south-carolina",
    }
    assert all(1.9 < site.epsilon <= 2 for site in statement.sites)
    assert "protects one person, with all years of that person, against" in " ".join(
        result.output.split()
    )


def test_synthetic_persons_have_years_in_order(finished):
    out, _ = finished
    synthetic = pd.read_csv(out / "synthetic.csv")
    assert list(synthetic.columns) == [column.name for column in demo_histories().columns]
    measured = json.loads((out / "generator" / "measurements.json").read_text())
    years = synthetic.groupby("person_id")["study_year"]
    assert abs(years.ngroups - measured["records"]) <= 0.56  # the file keeps one decimal
    assert years.size().max() <= 5
    assert (years.diff().dropna() >= 0).all()
    assert (synthetic.groupby("person_id")["age"].diff().dropna() >= 0).all()


def test_the_command_that_the_demo_points_to_takes_its_files(finished):
    out, _ = finished
    table = pd.read_csv(out / "randhie.csv")
    assert {"hospital", "person_id"} <= set(table.columns)
    assert Schema.load(out / "schema.json") == demo_histories()


def test_real_synthetic_and_dealt_years_stand_side_by_side(finished):
    out, result = finished
    summary = json.loads((out / "demo.json").read_text())
    assert (out / "demo.json").stat().st_mode & 0o777 == 0o600
    assert "not for release" in summary["notice"]
    assert list(summary["figures"]) == [figure.name for figure in FIGURES]
    quality = summary["quality"]
    assert list(quality) == ["real", "synthetic", FLOOR]
    assert quality[FLOOR]["within_event"] == 0
    assert quality["real"]["lag_1_itself"] < quality[FLOOR]["lag_1_itself"]
    assert quality["real"]["next_target_auc"] > quality["synthetic"]["next_target_auc"]
    assert quality["real"]["next_target_auc"] > 0.65 > quality[FLOOR]["next_target_auc"]
    assert FLOOR in " ".join(result.output.split())


def test_a_year_follows_the_year_before_of_the_same_person():
    frame = pd.DataFrame(
        {
            "person_id": ["a", "a", "a", "b", "b", "c"],
            "study_year": [2, 1, 4, 1, 2, 2],
            "admitted": ["yes", "yes", "yes", "yes", "no", "yes"],
        }
    )
    (figure,) = (f for f in FIGURES if f.name == "  of those admitted the year before")
    assert figure.of(frame) == 50.0  # a in year 2 and not b; a's year 4 and c have no year before


def test_figures_are_those_of_the_table():
    by_name = {figure.name: figure.of(demo_table()) for figure in FIGURES}
    assert by_name["mean visits"] == pytest.approx(2.86, abs=0.01)  # Deb and Trivedi 2002
    again, else_ = "  of those admitted the year before", "  of those not admitted then"
    assert by_name[again] > 1.5 * by_name[else_]
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
