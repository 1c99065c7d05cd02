"""`fedsynth sample` of persons with events: two tables, conditions on events, next events, Croissant."""

import hashlib
import json

import pandas as pd
import pytest
from command import fedsynth
from small_histories import HISTORIES, L
from small_sampler import a_network
from small_study import make_generator, make_statement

from fedsynth_common.schema import history_schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator import Generator
from fedsynth_release.statement.model_card import model_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("histories")
    codebook = Codebook.identity(history_schema(HISTORIES))
    Generator(a_network(), codebook, HISTORIES, make_statement()).save(made)
    return made


def sampled(folder, *options):
    done = fedsynth("sample", folder, "--seed", "1", *options)
    assert done.returncode == 0, done.stderr
    return done


def test_persons_and_events_are_two_linked_tables(folder, tmp_path) -> None:
    events, persons = tmp_path / "events.csv", tmp_path / "persons.csv"
    sampled(folder, "--rows", "200", "--out", events, "--persons", persons, "--croissant")
    of_events, of_persons = pd.read_csv(events), pd.read_csv(persons)
    assert list(of_persons.columns) == ["id", "sex"]
    assert list(of_events.columns) == ["id", "day", "age", "ward"]
    assert of_persons["id"].is_unique
    assert set(of_events["id"]) == set(of_persons["id"])
    sampled(folder, "--rows", "200", "--out", tmp_path / "one.csv")
    joined = of_events.merge(of_persons, on="id")[["id", "sex", "day", "age", "ward"]]
    pd.testing.assert_frame_equal(joined, pd.read_csv(tmp_path / "one.csv"))
    said = json.loads((tmp_path / "croissant.json").read_text())
    files = {file["@id"]: file for file in said["distribution"]}
    for table, path in (("persons-table", persons), ("events-table", events)):
        assert files[table]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    first, second = said["recordSet"]
    assert first["key"] == {"@id": "persons/id"}
    links = {field["name"]: field.get("references") for field in second["field"]}
    assert links.pop("id") == {"field": {"@id": "persons/id"}}
    assert set(links.values()) == {None}


def test_one_table_of_events_is_described_as_such(folder, tmp_path) -> None:
    sampled(folder, "--rows", "20", "--out", tmp_path / "t.csv", "--croissant")
    (events,) = json.loads((tmp_path / "croissant.json").read_text())["recordSet"]
    assert "event of an artificial person" in events["description"]


def test_conditions_on_events_and_what_is_likely(folder, tmp_path) -> None:
    done = sampled(folder, "--rows", "100", "--out", tmp_path / "t.csv", "--where", "any(ward)=b")
    drawn = pd.read_csv(tmp_path / "t.csv")
    assert (drawn["ward"] == "b").groupby(drawn["id"]).any().all()
    assert drawn["id"].nunique() == 100
    assert "condition holds for about" in done.stderr


def test_given_histories_go_on(folder, tmp_path) -> None:
    sampled(folder, "--rows", "50", "--out", tmp_path / "t.csv", "--where", "number of events=1")
    sampled(folder, "--given", tmp_path / "t.csv", "--next", "2", "--out", tmp_path / "n.csv")
    before, after = pd.read_csv(tmp_path / "t.csv"), pd.read_csv(tmp_path / "n.csv")
    assert after["id"].tolist() == before["id"].repeat(2).tolist()
    whole = pd.concat([before, after]).sort_values("id", kind="stable")
    assert (whole.groupby("id")["day"].diff().dropna() >= 0).all()
    assert whole.groupby("id")["sex"].nunique().max() == 1  # an empty cell is not known


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--rows", "5", "--next", "1"), "--next: continues the histories of --given"),
        (("--rows", "5", "--persons", "elsewhere/p.csv"), "same folder"),
        (("--rows", "5", "--persons", "t.csv"), "another file than --out"),
        (("--given", "t.csv", "--persons", "p.csv"), "are there already"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    folder, tmp_path, monkeypatch, options, fault
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fedsynth("sample", folder, "--out", "t.csv", *options)
    assert done.returncode == 2
    assert fault in done.stderr
    assert not (tmp_path / "t.csv").exists()


def test_a_generator_of_records_has_no_persons_and_no_next_events(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flat").mkdir()
    make_generator().save(tmp_path / "flat")
    (tmp_path / "t.csv").write_text("age\n3\n")
    for options in (("--rows", "5", "--persons", "p.csv"), ("--given", "t.csv", "--next", "1")):
        done = fedsynth("sample", "flat", "--out", "o.csv", *options)
        assert done.returncode == 2
        assert "draws records without events" in done.stderr


def test_the_model_card_says_what_histories_are() -> None:
    card = model_card(HISTORIES, make_statement())
    assert f"has 1 to {L} events in the order of day" in card
    assert "age never fall" in card
    assert "## Histories" not in model_card(make_generator().schema, make_statement())
