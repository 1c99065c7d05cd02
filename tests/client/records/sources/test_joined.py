"""Events and persons in two tables are the same histories as in one."""

import numpy as np
import pandas as pd
import pytest
from small_histories import HISTORIES, events_of

from fedsynth_client.records.records import load_records
from fedsynth_client.records.sources import FolderSource, FrameSource, open_source
from fedsynth_client.records.sources.joined import JoinedSource
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.randomness import SeededRandomness

pytestmark = pytest.mark.privacy


def two_tables():
    """Events of 30 persons, and the persons in another order, one of them without an event."""
    rng = np.random.default_rng(2)
    events = events_of(rng, 30)
    names = [*events["id"].unique(), "nobody"]
    sexes = dict(zip(names, rng.choice(["f", "m", None], len(names)), strict=True))
    whole = events.assign(sex=events["id"].map(sexes))
    persons = pd.DataFrame({"id": names, "sex": [sexes[name] for name in names]})
    return whole, events.drop(columns="sex"), persons.sample(frac=1, random_state=0)


def loaded(source):
    return load_records(source, HISTORIES, SeededRandomness(1))


@pytest.mark.parametrize("rows", [5, 1000])
def test_two_tables_are_the_same_histories_as_one(rows, tmp_path):
    whole, events, persons = two_tables()
    expected = loaded(whole)
    joined = JoinedSource(FrameSource(events, rows=rows), FrameSource(persons, rows=7), "id")
    events.to_csv(tmp_path / "visits.csv", index=False)
    persons.to_parquet(tmp_path / "persons.parquet")
    (tmp_path / "both.toml").write_text(
        'file = "visits.csv"\npersons = "persons.parquet"\nperson_key = "id"\n'
    )
    for source in (joined, open_source(tmp_path / "both.toml")):
        found = loaded(source)
        assert np.array_equal(found.codes, expected.codes)
        assert found.digest == expected.digest


def test_a_key_is_one_whatever_type_holds_it():
    _, events, persons = two_tables()
    number = {name: k for k, name in enumerate(persons["id"])}
    events["id"], persons["id"] = events["id"].map(number), persons["id"].map(number).astype(float)
    texts = events.assign(id=events["id"].astype(str))
    tables = [JoinedSource(FrameSource(e), FrameSource(persons), "id") for e in (events, texts)]
    first, second = map(loaded, tables)
    assert np.array_equal(first.codes, second.codes)


def test_another_person_changes_no_event_of_the_others():
    _, events, persons = two_tables()
    source = JoinedSource(FrameSource(events), FrameSource(persons), "id")
    whole = pd.concat(source.chunks())
    fewer = persons[persons["id"] != "p3"]
    rest = events[events["id"] != "p3"]
    without = pd.concat(JoinedSource(FrameSource(rest), FrameSource(fewer), "id").chunks())
    pd.testing.assert_frame_equal(whole[whole["id"] != "p3"], without)


def test_a_part_of_another_type_changes_no_cell_of_the_others(tmp_path):
    """As a floating-point number 2**53 + 1 would be another code."""
    code = 2**53 + 1
    events = pd.DataFrame({"id": [1, 2], "day": [1, 2]})
    parts = [pd.DataFrame({"id": [1], "code": [code]}), pd.DataFrame({"id": [2], "code": [0.5]})]
    for k, part in enumerate(parts):
        part.to_parquet(tmp_path / f"{k}.parquet")
    source = JoinedSource(FrameSource(events), FolderSource(tmp_path), "id")
    assert pd.concat(source.chunks())["code"].tolist() == [code, 0.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, p: (e, p[p["id"] != "p3"]), "rows are events of persons that"),
        (lambda e, p: (e, pd.concat([p, p[:2]])), "2 rows repeat a person"),
        (lambda e, p: (e, p.drop(columns="id")), "column 'id', the key, is missing"),
        (lambda e, p: (e.assign(id=None), p), "rows have no 'id'"),
        (lambda e, p: (e.assign(sex="f"), p), "both have a column 'sex'"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(change, message):
    _, events, persons = two_tables()
    events, persons = change(events, persons)
    source = JoinedSource(FrameSource(events), FrameSource(persons), "id")
    with pytest.raises(InputError, match=message) as told:
        list(source.chunks())
    assert "p3" not in str(told.value)


def test_descriptions_of_two_tables(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('file = "visits.csv"\npersons = "persons.csv"\n')
    with pytest.raises(InputError, match="persons and person_key: give both"):
        open_source(path)
    path.write_text('file = "visits.csv"\npersons = "a.toml"\nperson_key = "id"\n')
    with pytest.raises(InputError, match="expected one table here, not two"):
        open_source(path)
