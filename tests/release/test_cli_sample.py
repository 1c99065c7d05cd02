"""`fedsynth sample` as a person runs it."""

import os

import pandas as pd
import pytest
from command import fedsynth
from small_study import SCHEMA, make_generator

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import CategoricalColumn, IntegerColumn, Schema
from fedsynth_common.tables import read_table
from fedsynth_release.cli.sample import sample


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    make_generator().save(folder)
    return folder


def test_a_table_is_drawn_and_nothing_is_printed(generator, tmp_path):
    out = tmp_path / "s.csv"
    result = fedsynth("sample", generator, "--rows", 123, "--out", out, "--seed", 7)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    table = read_table(out)
    assert len(table) == 123
    assert encode(table, SCHEMA).codes.shape == (123, 4)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_seed_repeats_the_file(generator, tmp_path, suffix):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        sample(generator, rows=50, out=tmp_path / f"{name}{suffix}", seed=seed)
    a, b, c = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_a_format_is_added_to_the_name(generator, tmp_path, kind):
    arguments = ("sample", generator, "--rows", 5, "--format", kind)
    assert fedsynth(*arguments, "--out", tmp_path / "made.of").returncode == 0
    assert os.listdir(tmp_path) == [f"made.of.{kind}"]
    assert len(read_table(tmp_path / f"made.of.{kind}")) == 5
    assert fedsynth(*arguments, "--out", tmp_path / f"whole.{kind}").returncode == 0
    assert len(os.listdir(tmp_path)) == 2
    other = "csv" if kind == "parquet" else "parquet"
    refused = fedsynth(*arguments, "--out", tmp_path / f"made.{other}")
    assert refused.returncode == 2
    assert f"does not end in .{kind}, the --format" in refused.stderr
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("command", ["sample", "report", "verify"])
def test_a_folder_that_is_not_there_is_said_to_be_absent(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    more = ("--rows", 5, "--out", "s.csv") if command == "sample" else ()
    refused = fedsynth(command, "nowhere", *more)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: nowhere: no such folder")


def test_caveats_are_told(tmp_path, capsys):
    make_generator(seeded=True).save(tmp_path)
    sample(tmp_path, rows=5, out=tmp_path / "s.csv")
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("note: not private: seeded")


def test_an_existing_file_is_kept_unless_forced(generator, tmp_path):
    out = tmp_path / "s.csv"
    out.write_text("mine")
    with pytest.raises(InputError, match="--force"):
        sample(generator, rows=5, out=out)
    assert out.read_text() == "mine"
    sample(generator, rows=5, out=out, force=True)
    assert len(pd.read_csv(out)) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere", "--rows", 5, "--out", "s.csv"),
        ("GENERATOR", "--rows", 0, "--out", "s.csv"),
        ("GENERATOR", "--rows", -3, "--out", "s.csv"),
        ("GENERATOR", "--rows", 5, "--out", "s.xlsx"),
        ("GENERATOR", "--rows", 5, "--out", "none/s.csv"),
        ("GENERATOR", "--rows", 5, "--out", "s.csv", "--seed", -1),
        ("GENERATOR", "--rows", 5),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(generator, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = fedsynth("sample", *[generator if a == "GENERATOR" else a for a in arguments])
    assert result.returncode == 2
    assert result.stderr.strip()
    assert result.stdout == ""
    assert os.listdir(tmp_path) == []


def test_a_damaged_generator_is_one_line(tmp_path):
    make_generator().save(tmp_path)
    content = (tmp_path / "generator.safetensors").read_bytes()
    (tmp_path / "generator.safetensors").write_bytes(content[:-100])
    result = fedsynth("sample", tmp_path, "--rows", 5, "--out", tmp_path / "s.csv")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "s.csv").exists()


def test_what_a_spreadsheet_would_run_is_escaped_on_demand(tmp_path):
    """Headings and texts come from a schema, which comes from somebody else; numbers stay numbers."""
    schema = Schema(
        name="s",
        columns=(
            CategoricalColumn(name="@cell", categories=("=1+1", "-2", "plain"), other=False),
            IntegerColumn(name="change", minimum=-3, maximum=-1),
        ),
    )
    (tmp_path / "g").mkdir()
    make_generator(schema).save(tmp_path / "g")
    drawn = {}
    for name, options in (("as it is", ()), ("escaped", ("--escape-formulas", "--croissant"))):
        out = tmp_path / name / "s.csv"
        out.parent.mkdir()
        done = fedsynth(
            "sample", tmp_path / "g", "--rows", 300, "--out", out, "--seed", 1, *options
        )
        assert done.returncode == 0, done.stderr
        drawn[name] = pd.read_csv(out, dtype=str)
    assert set(drawn["as it is"]["@cell"]) == {"=1+1", "-2", "plain"}
    assert set(drawn["escaped"]["'@cell"]) == {"'=1+1", "-2", "plain"}
    assert list(drawn["escaped"]["change"]) == list(drawn["as it is"]["change"])
    assert '"\'@cell"' in (tmp_path / "escaped/croissant.json").read_text()
    refused = fedsynth(
        *("sample", tmp_path / "g", "--rows", 3, "--out", tmp_path / "s.parquet"),
        "--escape-formulas",
    )
    assert refused.returncode == 2
    assert "--escape-formulas: is for .csv" in refused.stderr
