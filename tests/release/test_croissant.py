"""croissant.json names the table that lies beside it, every column of it, and what is promised."""

import hashlib
import json

import pytest
from command import fedsynth
from small_study import SCHEMA, make_generator, make_statement

from fedsynth_common.errors import InputError
from fedsynth_release.generator import Generator
from fedsynth_release.statement.croissant import RecordSet, croissant, write_croissant

REQUIRED = {
    *("@context", "@type", "conformsTo", "name", "description", "license", "url", "creator"),
    *("datePublished", "distribution", "recordSet"),
}
"""Required of a dataset by the Croissant 1.1 specification, section Dataset-level information."""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "generator"
    made.mkdir()
    make_generator().save(made)
    return made


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.csv.gz"])
def test_sample_writes_it_beside_the_table(folder, tmp_path, name):
    out = tmp_path / name
    done = fedsynth("sample", folder, "--rows", "30", "--out", out, "--croissant", "--seed", "1")
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "croissant.json").read_text())
    assert set(said) >= REQUIRED
    assert said["@type"] == "sc:Dataset"
    assert "http://mlcommons.org/croissant/1.1" in said["conformsTo"]
    (file,) = said["distribution"]
    assert file["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert file["contentSize"] == f"{out.stat().st_size} B"
    (records,) = said["recordSet"]
    assert [f["source"]["extract"]["column"] for f in records["field"]] == [
        column.name for column in SCHEMA.modelled
    ]
    assert len({f["@id"] for f in records["field"]}) == len(records["field"])
    assert all(f["source"]["fileObject"]["@id"] == file["@id"] for f in records["field"])
    assert said["license"] == "no licence is stated; ask the publisher"


def test_it_says_what_is_promised_and_what_is_not(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("age\n1\n")
    private = croissant([RecordSet(table, ["age"])], SCHEMA, make_statement())
    assert "1e-05)-differential privacy for one record" in private["description"]
    seeded = croissant([RecordSet(table, ["age"])], SCHEMA, make_statement(seeded=True), "CC0-1.0")
    assert "not private: seeded" in seeded["description"]
    assert "not private: seeded" in seeded["rai:dataLimitations"]
    assert "differential privacy for" not in seeded["description"]
    assert seeded["license"] == "CC0-1.0"


def test_names_of_columns_cannot_break_out(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("x\n")
    hostile = ['a"}/b', "a b", "ü<script>"]
    described = croissant([RecordSet(table, hostile)], SCHEMA, make_statement())
    fields = described["recordSet"][0]["field"]
    assert [f["name"] for f in fields] == hostile
    assert fields[0]["@id"] == "records/a%22%7D%2Fb"


def test_nothing_is_overwritten_or_made_up(folder, tmp_path):
    out = tmp_path / "t.csv"
    command = ("sample", folder, "--rows", "5", "--out", out, "--croissant")
    assert fedsynth(*command).returncode == 0
    out.unlink()
    again = fedsynth(*command)
    assert again.returncode == 2
    assert "croissant.json: exists" in again.stderr
    assert not out.exists()
    assert fedsynth(*command, "--force").returncode == 0
    alone = fedsynth("sample", folder, "--rows", "5", "--out", tmp_path / "u.csv", "--licence", "x")
    assert (alone.returncode, "--licence" in alone.stderr) == (2, True)
    loaded = Generator.load(folder)
    with pytest.raises(InputError, match="no such table"):
        write_croissant([RecordSet(tmp_path / "none.csv", [])], loaded.schema, loaded.statement)
