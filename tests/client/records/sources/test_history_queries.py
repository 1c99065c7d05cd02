"""The queries of docs/HISTORIES.md on made rows: every source gives the same histories."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import postgres
import pytest
import sqlalchemy
from small_site import make_policy

from fedsynth_client.preflight.preflight import preflight
from fedsynth_client.records.records import load_records
from fedsynth_client.records.sources import DatabaseSource, FileSource, FolderSource
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.schema import Schema, layout_of

pytestmark = pytest.mark.privacy
DOCS = Path(__file__).parents[4] / "docs/HISTORIES.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", DOCS.read_text(), re.DOTALL)
OMOP, BANK = (
    Schema.from_json(text) for kind, text in BLOCKS if kind == "json" and text.startswith("{")
)
PERSONS, POLICY = 40, make_policy()


def query(name, database):
    text = next(sql for kind, sql in BLOCKS if kind == "sql" and f"{name}, " in sql)
    if database == "sqlite" and "to_char" in text:
        text = text.replace("to_char(t.booked, 'YYYY-MM')", "strftime('%Y-%m', t.booked)")
        return text.partition("\n")[2]
    named = (sql for kind, sql in BLOCKS if kind == "sql" and f"-- {name}, {database}" in sql)
    return next(named).partition("\n")[2]


def tables():
    """Rows of the four tables that the queries read, in no order."""
    rng = np.random.default_rng(0)
    persons = pd.DataFrame(
        {
            "person_id": np.arange(PERSONS),
            "gender_concept_id": rng.choice([8507, 8532, 0], PERSONS),
            "year_of_birth": rng.integers(1930, 2009, PERSONS),
        }
    )
    visits = PERSONS * 4
    start = np.datetime64("2009-06-01") + rng.integers(0, 5800, visits)
    stays = {
        "visit_occurrence_id": rng.permutation(visits),
        "person_id": rng.integers(0, PERSONS, visits),
        "visit_concept_id": rng.choice([9201, 9202, 9203, 5], visits),
        "visit_start_date": start,
        "visit_end_date": start + rng.integers(0, 20, visits),
    }
    customers = {
        "customer_id": range(PERSONS),
        "segment": rng.choice(["private", "business"], PERSONS),
    }
    booked = {
        "customer_id": rng.integers(0, PERSONS, 800),
        "booked": np.datetime64("2024-01-01") + rng.integers(0, 366, 800),
        "amount": np.round(rng.normal(0, 500, 800), 2),
    }
    return {
        "person": persons,
        "visit_occurrence": pd.DataFrame(stays),
        "customers": pd.DataFrame(customers),
        "transactions": pd.DataFrame(booked),
    }


def fill(url):
    """Write the tables; SQLite holds dates as texts."""
    engine = sqlalchemy.create_engine(url)
    for name, frame in tables().items():
        for column in frame.select_dtypes("datetime"):
            days = frame[column].dt.date
            frame[column] = days.astype(str) if engine.dialect.name == "sqlite" else days
        frame.to_sql(name, engine, index=False)
    engine.dispose()


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('db') / 'omop.sqlite'}"
    fill(url)
    return url


@pytest.fixture(scope="module")
def postgresql():
    with postgres.server() as url:
        fill(url)
        yield url


@pytest.fixture(scope="module")
def databases(sqlite, postgresql):
    return {"sqlite": sqlite, "postgresql": postgresql}


def loaded(source, schema):
    return load_records(source, schema, SeededRandomness(1))


@pytest.mark.parametrize(("name", "schema"), [("omop", OMOP), ("bank", BANK)])
def test_both_databases_give_the_same_histories(name, schema, databases):
    found = []
    for database, url in databases.items():
        source = DatabaseSource(url=url, query=query(name, database))
        assert preflight(source, schema, POLICY).problems == ()
        found.append(loaded(source, schema))
    assert found[0].units > PERSONS / 2
    assert np.array_equal(found[0].codes, found[1].codes)
    assert np.array_equal(found[0].person, found[1].person)
    assert found[0].digest == found[1].digest


def test_the_histories_are_those_of_the_tables(sqlite):
    made = tables()
    visits = made["visit_occurrence"].merge(made["person"], on="person_id")
    visits = visits[visits["visit_start_date"].between("2010-01-01", "2024-12-31")]
    records = loaded(DatabaseSource(url=sqlite, query=query("omop", "sqlite")), OMOP)
    layout = layout_of(OMOP)
    for number, own in visits.groupby("person_id"):
        own = own.sort_values(["visit_start_date", "visit_occurrence_id"])
        person = sorted(visits["person_id"].unique()).index(number)
        codes = records.codes[records.person == person]
        assert len(codes) == len(own) <= 20
        days = own["visit_start_date"].to_numpy("datetime64[D]").astype(int)
        ages = own["visit_start_date"].dt.year - own["year_of_birth"]
        first_age, increase = layout.grows[0]
        assert (codes[:, layout.length] + 1 == len(own)).all()
        assert (codes[:, first_age] == ages.iloc[0]).all()
        assert codes[1:, increase].tolist() == np.diff(ages).tolist()
        assert (codes[1:, layout.gap] == leaves(layout, np.minimum(np.diff(days), 3650))).all()
        kinds = {9203: 0, 9201: 1, 5: 2, 9202: 3}
        assert codes[:, -2].tolist() == [kinds[k] for k in own["visit_concept_id"]]


def leaves(layout, gaps):
    from fedsynth_common.encoding.encoder import codes_of_ticks
    from fedsynth_common.schema import domain_of

    return codes_of_ticks(gaps, domain_of(layout.columns[layout.gap]))


def test_files_give_the_same_histories_as_the_database(sqlite, tmp_path):
    expected = loaded(DatabaseSource(url=sqlite, query=query("omop", "sqlite")), OMOP)
    engine = sqlalchemy.create_engine(sqlite)
    frame = pd.read_sql(sqlalchemy.text(query("omop", "sqlite").replace(":", "\\:")), engine)
    engine.dispose()
    frame.to_csv(tmp_path / "visits.csv", index=False)
    frame.to_parquet(tmp_path / "visits.parquet")
    (tmp_path / "parts").mkdir()
    for k, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[part].to_parquet(tmp_path / f"parts/{k}.parquet")
    sources = [
        frame,
        FileSource(tmp_path / "visits.csv"),
        FileSource(tmp_path / "visits.parquet"),
        FolderSource(tmp_path / "parts"),
    ]
    for source in sources:
        records = loaded(source, OMOP)
        assert np.array_equal(records.codes, expected.codes)
        assert records.digest == expected.digest
