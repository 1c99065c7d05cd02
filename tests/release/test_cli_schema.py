"""`fedsynth schema`: the files it writes, what it warns of, and what it will not overwrite."""

import pytest
from typer.testing import CliRunner

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.cli.schema import app

ROWS = [f"{20 + k % 60},{'yes' if k % 3 else 'no'},p{k * 2 // 3}" for k in range(200)]
CSV = "age,smoker,patient_id\n" + "\n".join(ROWS) + "\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "ward.csv"
    path.write_text(CSV)
    return path


def run(*arguments):
    """Exceptions other than exits reach the test, as they reach the program's own entry."""
    return CliRunner(mix_stderr=False).invoke(
        app, [str(a) for a in arguments], catch_exceptions=False
    )


def test_draft_writes_a_schema_and_warns(table, tmp_path):
    result = run("draft", table, "--target", "smoker")
    assert result.exit_code == 0
    schema = Schema.load(tmp_path / "schema.json")
    assert (schema.name, schema.target, schema.origin) == ("ward", "smoker", "drafted from data")
    assert "NOT private" in result.stderr
    repeats = "It repeats: 133 values with 1 to 2 rows each"
    assert "column 'patient_id': not modelled" in result.stderr
    assert repeats in result.stderr
    assert "3 columns, 2 to model, 1 ids; not modelled: patient_id" in result.stdout


def test_draft_points_at_a_modelled_column_that_is_called_like_an_identifier(table):
    """Few values, each repeated: the draft takes it for a code, its reviewer should look."""
    rows = [f"{20 + k % 60},yes,{k % 9}" for k in range(200)]
    table.write_text("age,smoker,person_id\n" + "\n".join(rows) + "\n")
    assert "'person_id': is called like an identifier" in run("draft", table).stderr


def test_a_draft_is_for_its_owner_alone_until_it_is_reviewed(table, tmp_path):
    """Its categories and bounds are cells of the table."""
    out = tmp_path / "schema.json"
    run("draft", table)
    assert out.stat().st_mode & 0o777 == 0o600
    out.chmod(0o644)
    run("draft", table, "--force")
    assert out.stat().st_mode & 0o777 == 0o600


def test_draft_takes_a_name_and_a_place(table, tmp_path):
    out = tmp_path / "x.json"
    assert run("draft", table, "--out", out, "--name", "north").exit_code == 0
    assert Schema.load(out).name == "north"


def test_draft_never_overwrites_silently(table, tmp_path):
    out = tmp_path / "schema.json"
    out.write_text("reviewed by hand")
    with pytest.raises(InputError, match="already exists"):
        run("draft", table)
    assert out.read_text() == "reviewed by hand"
    assert run("draft", table, "--force").exit_code == 0
    assert Schema.load(out).name == "ward"


def test_draft_explains_a_place_it_cannot_write(table, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        run("draft", table, "--out", tmp_path / "none" / "s.json")


def test_check_accepts_the_table_of_the_draft(table):
    run("draft", table, "--target", "smoker")
    result = run("check", table, "--schema", "schema.json")
    assert result.exit_code == 0
    assert "fits the schema" in result.stdout
    assert "draft from data" in result.stderr


def test_check_counts_repairs_per_column(table):
    run("draft", table)
    table.write_text(CSV + "500,yes,p1\n" + "-3,no,p2\n")
    result = run("check", table, "--schema", "schema.json")
    (line,) = [line for line in result.stdout.splitlines() if "age" in line]
    assert line.split()[3:5] == ["2", "-"]


def test_check_lists_every_problem_without_values(table):
    run("draft", table)
    table.write_text(CSV + "S3CRET,maybe-S3CRET,p1\n")
    with pytest.raises(InputError) as caught:
        run("check", table, "--schema", "schema.json")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["column 'age'", "column 'smoker'"]
    assert "S3CRET" not in str(caught.value)


def test_check_names_columns_that_are_missing_or_unknown(table):
    run("draft", table)
    table.write_text("age,patient_id\n30,p1\n")
    with pytest.raises(InputError, match="lacks columns of the schema: 'smoker'"):
        run("check", table, "--schema", "schema.json")


@pytest.mark.parametrize("command", ["draft", "check"])
def test_help_shows_an_example(command):
    result = run(command, "--help")
    assert f"fedsynth schema {command} patients.csv" in result.stdout
