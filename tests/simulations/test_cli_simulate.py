"""`fedsynth simulate` as a person runs it: results, and bad input that leaves no trace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import fedsynth
from small_study import SCHEMA, make_frame

from fedsynth_common.schema import CategoricalColumn
from fedsynth_release.evaluation import Evaluation
from fedsynth_release.generator import Generator
from fedsynth_release.report import StudyHistory
from fedsynth_release.statement.promises import REHEARSAL

FEDSYNTH = Path(sys.executable).with_name("fedsynth")


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """A table in an otherwise empty working folder."""
    monkeypatch.chdir(tmp_path)
    frame = make_frame(300)
    frame["site"] = ["s1", "s2", "s3"] * 100
    frame.to_csv("t.csv", index=False)
    return tmp_path


def simulate(*arguments):
    return fedsynth("simulate", *arguments)


SITE = CategoricalColumn(name="site", categories=("s1", "s2", "s3"), other=False)
LISTED = {"columns": (*SCHEMA.columns, SITE), "site_column": "site"}


USUAL = ("--quick", "--epsilon", "3", "--sites", "3", "--variant", "marginals")


def schema_file(**changes):
    SCHEMA.model_copy(update=changes).save("schema.json")


# --- results -----------------------------------------------------------------------------------


def test_a_result_is_complete_and_json_is_all_there_is_on_standard_output(table):
    """In a process of its own: progress, warnings and logs must not reach either output."""
    command = [FEDSYNTH, "simulate", "t.csv", "--out", "out", "--json", *USUAL, "--holdout", "0.2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    summary = json.loads(run.stdout)
    assert summary["variant"] == "marginals"
    assert sorted(summary["sites"]) == ["site-1", "site-2", "site-3"]
    assert set(summary["quality"]) == {"real records", "synthetic", "independent columns"}
    assert json.loads(Path("out/summary.json").read_text()) == summary
    assert sorted(os.listdir("out")) == [
        "evaluation.json",
        "generator",
        "history.json",
        "report.html",
        "summary.json",
        "synthetic.csv",
    ]
    assert sorted(os.listdir()) == ["out", "t.csv"]
    evaluation = Evaluation.load("out/evaluation.json")
    assert (evaluation.sizes.train, evaluation.sizes.holdout) == (240, 60)
    assert evaluation.settings.epsilon == pytest.approx(summary["epsilon"])
    assert [attack.on("synthetic") is None for attack in evaluation.attacks] == [False] * 5
    assert 160 < len(pd.read_csv("out/synthetic.csv")) < 320  # a noisy number of records
    Generator.load("out/generator")


def test_the_quasi_identifiers_of_the_reference_are_chosen(table):
    named = ("--holdout", "0.3", "--quasi-identifier", "age", "--quasi-identifier", "ward")
    result = simulate("t.csv", "--out", "out", *USUAL, *named)
    assert result.returncode == 0, result.stderr
    assert Evaluation.load("out/evaluation.json").settings.quasi_identifiers == ("age", "ward")


def test_a_schema_a_site_column_and_parquet(table):
    schema_file(**LISTED)
    result = simulate(
        "t.csv", "--out", "deep/er/out", "--site-column", "site", "--schema", "schema.json",
        "--quick", "--epsilon", "3", "--format", "parquet", "--rows", "77",
        "--records-per-site", "100",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for text in ("s1", "s2", "s3", "deep/er/out"):
        assert text in result.stdout
    rows = pd.read_parquet("deep/er/out/synthetic.parquet")
    assert rows.shape == (77, 5)
    statement = json.loads(Path("deep/er/out/generator/privacy_statement.json").read_text())
    assert (statement["private"], statement["caveats"]) == (True, [])
    assert (
        json.loads(Path("deep/er/out/generator/plan.json").read_text())["records_per_site"] == 100
    )


def test_it_says_what_it_decided_and_how_to_change_it(table):
    """Only what was left open; and at the end what to do next."""
    told = simulate("t.csv", "--out", "out", *USUAL).stdout
    listed = told.split("method")[0]
    for part in ("drafted", "--schema", "--target", "--records-per-site", "--holdout", "--rows"):
        assert part in listed, part
    for given in ("--epsilon", "--sites"):
        assert given not in listed
    for part in (
        "next     open out/report.html",
        "fedsynth sample out/generator",
        "a private result",
    ):
        assert part in told, part
    schema_file(**LISTED)
    whole = ("--schema", "schema.json", "--site-column", "site", "--records-per-site", "100")
    told = simulate(
        "t.csv", "--out", "two", *whole, "--epsilon", "3", "--quick", "--rows", "9"
    ).stdout
    listed = told.split("method")[0]
    assert "hold-out" in listed
    for given in ("--schema", "--sites", "--records-per-site", "--target", "--rows"):
        assert given not in listed, given
    assert "a private result" not in told


def test_persons_are_named_on_the_command_line(table):
    people = pd.DataFrame({"who": [f"p{k}" for k in range(100)] * 3, "x": np.arange(300) % 7})
    people.to_csv("t.csv", index=False)
    arguments = ("--person-key", "who", "--quick", "--sites", "2", "--epsilon", "3")
    assert simulate("t.csv", "--out", "out", *arguments).returncode == 0
    statement = Generator.load("out/generator").statement
    assert statement.rows_per_person == 3
    one_line("t.csv", *OUT, "--order", "x", mention="pass --person-key too")


def test_a_seed_repeats_everything(table):
    for out in ("a", "b"):
        assert simulate("t.csv", "--out", out, "--seed", "0", *USUAL).returncode == 0
    for name in ("synthetic.csv", "generator/generator.safetensors", "generator/schema.json"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()
    statement = json.loads(Path("a/generator/privacy_statement.json").read_text())
    assert "not private: seeded (noise came from a known seed)" in statement["caveats"]


def test_label_skew_uses_the_schemas_target(table):
    schema_file()
    make_frame(300).to_csv("t.csv", index=False)
    result = simulate(
        "t.csv", "--out", "out", "--schema", "schema.json", "--partition", "dirichlet:10", *USUAL
    )
    assert result.returncode == 0, result.stderr


def test_force_replaces_an_earlier_result_and_nothing_else(table):
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    Path("out/synthetic.parquet").write_text("of an earlier run")
    Path("out/generator").write_text("a file in the way")
    result = simulate("t.csv", "--out", "out", "--force", *USUAL)
    assert result.returncode == 0, result.stderr
    results = ["generator", "history.json", "report.html", "summary.json", "synthetic.csv"]
    names = sorted([*results, "mine.txt"])
    assert sorted(os.listdir("out")) == names
    assert simulate("t.csv", "--out", "out", "--force", *USUAL).returncode == 0
    assert sorted(os.listdir("out")) == names


def test_the_training_is_told_and_drawn(table):
    """Curves of everything that is trained: finite, the fit's falls, each is a line in the report."""
    schema_file()
    make_frame(6000).to_csv("t.csv", index=False)
    arguments = ("--quick", "--epsilon", "8", "--sites", "3", "--schema", "schema.json")
    arguments += ("--variant", "both")
    assert simulate("t.csv", "--out", "out", *arguments).returncode == 0
    told = StudyHistory.load(Path("out/history.json"))
    curves = {curve.name: curve for curve in told.curves}
    assert {"fit", "rounds", "refit", "adversarial loss"} < set(curves)
    assert len(curves) == 6
    assert np.isfinite([value for curve in told.curves for value in curve.values]).all()
    assert curves["fit"].values[-1] < curves["fit"].values[0] / 2
    assert curves["refit"].values[-1] < curves["refit"].values[0]
    assert told.seconds == {}
    report = Path("out/report.html").read_text()
    assert report.count("<polyline") == 6
    assert all(curve.panel in report for curve in told.curves)


def test_names_with_brackets_are_printed_as_they_are(table):
    frame = pd.read_csv("t.csv")
    frame["site"] = frame["site"] + "[red]"
    frame.to_csv("t.csv", index=False)
    result = simulate("t.csv", "--out", "out", "--site-column", "site", "--quick", "--epsilon", "3")
    assert result.returncode == 0, result.stderr
    assert "s1[red]" in result.stdout


def test_the_adversarial_rounds_are_quiet_too(table):
    command = [FEDSYNTH, "simulate", "t.csv", "--out", "out", *USUAL, "--variant", "gan", "--json"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["variant"] == "gan"
    assert run.stderr == ""


# --- exact facts about records ------------------------------------------------------------------


DECLARED = ("--schema", "schema.json", "--site-column", "site", "--quick", "--variant", "marginals")


def test_a_plan_sized_from_the_records_is_a_rehearsal_and_every_file_says_so(table):
    schema_file()
    result = simulate("t.csv", "--out", "out", *DECLARED)
    assert result.returncode == 0, result.stderr
    assert REHEARSAL in result.stdout.replace("\n", "")
    statement = Generator.load("out/generator").statement
    assert (statement.private, statement.caveats) == (False, (REHEARSAL,))
    assert json.loads(Path("out/summary.json").read_text())["caveats"] == [REHEARSAL]
    for name in ("generator/MODEL_CARD.md", "report.html"):
        assert "a rehearsal on pooled data" in Path("out", name).read_text(), name
    drawn = fedsynth("sample", "out/generator", "--rows", "20", "--out", "more.csv", "--croissant")
    assert "a rehearsal on pooled data" in drawn.stderr
    assert REHEARSAL in Path("croissant.json").read_text()
    verified = fedsynth("verify", "out/generator")
    assert "a rehearsal on pooled data" in verified.stdout


UNLISTED = {"columns": (*SCHEMA.columns, SITE)}
OTHERS = {
    "columns": (*SCHEMA.columns, SITE.model_copy(update={"categories": ("s1",), "other": True}))
}


@pytest.mark.parametrize(
    ("options", "schema", "private"),
    [
        (("--records-per-site", "100", "--site-column", "site"), LISTED, True),
        (("--records-per-site", "100", "--site-column", "site", "--holdout", "0.2"), LISTED, False),
        (("--site-column", "site"), LISTED, False),
        (("--records-per-site", "100", "--site-column", "site"), {}, False),
        (("--records-per-site", "100", "--site-column", "site"), UNLISTED, False),
        (
            ("--records-per-site", "100", "--site-column", "site", "--max-repaired", "1"),
            OTHERS | {"site_column": "site"},
            False,
        ),
        (("--records-per-site", "100", "--sites", "1"), {}, True),
        (("--records-per-site", "100", "--sites", "2"), {}, False),
    ],
)
def test_only_what_took_nothing_from_the_records_is_called_private(table, options, schema, private):
    """Dealing out and holding out depend on all rows: one more record moves others between sites.

    A name that stands in a single record's cell would become the public name of a site.
    """
    schema_file(**schema)
    if "--site-column" not in options:
        make_frame(300).to_csv("t.csv", index=False)
    arguments = ("--schema", "schema.json", "--quick", "--variant", "marginals", "--no-attacks")
    result = simulate("t.csv", "--out", "out", "--json", *arguments, *options)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["private"] is private
    statement = Generator.load("out/generator").statement
    assert statement.private is private
    assert (REHEARSAL in statement.caveats) is not private


def test_the_number_of_synthetic_records_is_the_noisy_one(table):
    schema_file()
    arguments = ("--seed", "1", "--epsilon", "1", "--records-per-site", "100")
    assert simulate("t.csv", "--out", "out", *DECLARED, *arguments).returncode == 0
    measured = json.loads(Path("out/generator/measurements.json").read_text())
    rows = len(pd.read_csv("out/synthetic.csv"))
    assert rows == round(measured["records"]) != 300


def test_what_holds_exact_facts_is_marked_and_closed(table):
    """Whatever the umask; everything else in the folder holds no exact number of records."""
    schema_file()
    before = os.umask(0o022)
    try:
        assert simulate("t.csv", "--out", "out", *DECLARED, "--holdout", "0.3").returncode == 0
    finally:
        os.umask(before)
    closed = {"summary.json", "evaluation.json", "report.html"}
    files = [path for path in Path("out").rglob("*") if path.is_file()]
    modes = {path.name: path.stat().st_mode & 0o777 for path in files}
    open_files = {name for name, mode in modes.items() if mode != 0o600}
    assert closed <= set(modes) - open_files
    assert set(modes) - closed - open_files <= {"generator.safetensors"}  # closed by its library
    summary = json.loads(Path("out/summary.json").read_text())
    assert "not differentially private" in summary["notice"]
    assert sum(site["records"] for site in summary["sites"].values()) == 210
    assert "must not be published" in Evaluation.load("out/evaluation.json").notice
    assert "must not be published" in Path("out/report.html").read_text()


# --- bad input ---------------------------------------------------------------------------------


def snapshot():
    return {str(path): path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


def refused(*arguments, mention=""):
    """Exit code 2, one line that helps, and nothing on disk has changed."""
    before = snapshot()
    result = simulate(*arguments)
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert result.stdout == ""
    assert mention in result.stderr
    assert snapshot() == before
    return result.stderr


def one_line(*arguments, mention):
    text = refused(*arguments, mention=mention)
    assert text.startswith("error: ")
    assert text.count("\n") == 1


OUT = ("--out", "new/out")


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf", "1e9", "1e-9"])
def test_epsilon_out_of_range(epsilon):
    one_line("t.csv", *OUT, f"--epsilon={epsilon}", "--quick", mention="--epsilon")


@pytest.mark.parametrize("delta", ["0", "-1", "nan", "1", "1e-30"])
def test_delta_out_of_range(delta):
    one_line("t.csv", *OUT, f"--delta={delta}", "--quick", mention="delta")


@pytest.mark.parametrize("sites", ["0", "-2", "1000000"])
def test_impossible_numbers_of_sites(sites):
    one_line("t.csv", *OUT, f"--sites={sites}", mention="sites")


@pytest.mark.parametrize(
    ("option", "mention"),
    [
        ("--holdout=1", "--holdout"),
        ("--holdout=-0.1", "--holdout"),
        ("--holdout=nan", "--holdout"),
        ("--holdout=0.0001", "--holdout"),
        ("--holdout=0.05", "expected at least 20 per side"),
        ("--quasi-identifier=age", "pass --holdout too"),
        ("--rows=0", "--rows"),
        ("--target=nothing", "nothing"),
        ("--site-column=nothing", "nothing"),
        ("--partition=alphabet", "alphabet"),
        ("--partition=dirichlet:1", "dirichlet"),
        ("--partition=quantity:0.5,0.5,1", "quantity"),
        ("--schema=none.json", "none.json"),
    ],
)
def test_options_that_do_not_fit(option, mention):
    one_line("t.csv", *OUT, option, mention=mention)


@pytest.mark.parametrize(
    "option",
    ["--seed=-1", "--seed=x", "--variant=magic", "--backend=cloud", "--format=xls", "--nix"],
)
def test_usage_errors(option):
    assert "Usage" in refused("t.csv", *OUT, option)


def test_a_quasi_identifier_that_is_no_column():
    options = ("--holdout", "0.3", "--quasi-identifier", "age", "--quasi-identifier", "nothing")
    one_line("t.csv", *OUT, *options, mention="--quasi-identifier nothing: not a modelled column")


def test_missing_arguments():
    assert "Usage" in refused("t.csv")
    assert "Usage" in refused("--out", "out")


@pytest.mark.parametrize(
    ("content", "mention"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2\n", "1 rows"),
        (b"a,b\n1,2\n3\n", "cells"),
        (b"a,a\n1,2\n", "more than once"),
        (b"a,b\n\xff,1\n", "UTF-8"),
    ],
)
def test_tables_that_are_none(content, mention):
    if content is not None:
        Path("bad.csv").write_bytes(content)
    one_line("bad.csv", *OUT, mention=mention)


def test_one_record():
    Path("bad.csv").write_bytes(b"a,b\n1,2\n")
    one_line("bad.csv", *OUT, "--sites=1", mention="expected at least 2")


def test_a_table_of_ids_alone():
    Path("ids.csv").write_text("id\n" + "\n".join(f"p{i}" for i in range(50)))
    assert refused("ids.csv", *OUT).startswith("error: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x", "columns": []}'])
def test_schemas_that_are_none(text):
    Path("schema.json").write_text(text)
    assert refused("t.csv", *OUT, "--schema=schema.json").startswith("error: schema.json")


def test_a_schema_with_a_column_that_the_table_lacks():
    schema_file(columns=(*SCHEMA.columns, SCHEMA.columns[1].model_copy(update={"name": "extra"})))
    one_line("t.csv", *OUT, "--schema=schema.json", "--site-column=site", mention="extra")


def test_a_table_with_a_column_that_the_schema_lacks():
    schema_file()
    one_line("t.csv", *OUT, "--schema=schema.json", mention="site")


def test_cells_that_the_schema_forbids_are_counted_and_never_quoted():
    frame = make_frame(300)
    frame.loc[5, "outcome"] = "ZZCANARY"
    frame.to_csv("t.csv", index=False)
    schema_file()
    text = refused("t.csv", *OUT, "--schema=schema.json", "--quick", mention="outcome")
    assert "ZZCANARY" not in text
    assert text.count("\n") == 1


def test_a_target_other_than_the_schemas():
    schema_file()
    one_line("t.csv", *OUT, "--schema=schema.json", "--target=ward", mention="--target ward")


def test_a_site_column_that_is_the_target():
    schema_file()
    one_line("t.csv", *OUT, "--schema=schema.json", "--site-column=outcome", mention="outcome")


def test_a_folder_with_something_in_it_is_kept():
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    one_line("t.csv", "--out=out", mention="--force")


def test_a_file_in_place_of_the_folder():
    one_line("t.csv", "--out=t.csv", "--force", mention="is a file")
    one_line("t.csv", "--out=t.csv/out", mention="--out")


def test_a_failure_midway_leaves_an_earlier_result_alone(monkeypatch):
    assert simulate("t.csv", "--out", "out", *USUAL).returncode == 0
    before = snapshot()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fedsynth_simulations.result_folder.TableWriter.write", fail)
        result = simulate("t.csv", "--out", "out", "--force", *USUAL)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    left = {name: data for name, data in snapshot().items() if not name.startswith("out.unf")}
    assert left == before
    assert simulate("t.csv", "--out", "out", "--force", "--resume", *USUAL).returncode == 0
