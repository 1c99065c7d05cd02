"""Events of persons: their order, the stretch that is kept, and the model's codes of it."""

import numpy as np
import pandas as pd
import pytest
from small_histories import HISTORIES, REPAIRED, L, events_of, expected_codes, history_schema_of

from fedsynth_client.records import code_store, person_events
from fedsynth_client.records.records import RecordsBuilder, load_records
from fedsynth_client.records.sources import FrameSource
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness

pytestmark = pytest.mark.privacy


def persons_of(records):
    """The codes of each person, a list of rows."""
    numbers = np.unique(records.person)
    assert numbers.tolist() == list(range(records.units))
    assert (np.diff(records.person) >= 0).all()
    return [records.codes[records.person == number].tolist() for number in numbers]


def stretches(frame):
    """For each person in order of appearance, every stretch that may be kept."""
    for name in frame["id"].unique():
        own = frame[frame["id"] == name].sort_values("day", kind="stable")
        starts = range(max(0, len(own) - L) + 1)
        yield [expected_codes(own.iloc[start : start + L]) for start in starts]


@pytest.mark.parametrize("seed", range(6))
def test_codes_are_those_of_a_stretch_of_the_persons_events(seed):
    frame = events_of(np.random.default_rng(seed), 40)
    found = persons_of(load_records(frame, HISTORIES, Randomness()))
    allowed = list(stretches(frame))
    assert len(found) == len(allowed)
    for codes, ways in zip(found, allowed, strict=True):
        assert codes in ways


def test_every_stretch_is_as_likely_as_any_other():
    one = pd.DataFrame(
        {"id": "p", "sex": "f", "day": [0, 1, 2, 3, 4], "age": 1.0, "ward": list("abcab")}
    )
    firsts = [int(load_records(one, HISTORIES, Randomness()).codes[0, 1]) for _ in range(300)]
    counts = np.bincount(firsts, minlength=3)
    assert counts.tolist() == [*counts[:3]]
    assert counts.min() > 60  # 100 expected, five standard deviations


def test_what_is_kept_of_a_person_does_not_depend_on_anybody_else():
    frame = events_of(np.random.default_rng(3), 30)
    names = list(frame["id"].unique())
    for left_out in (names[-1], names[-2]):
        whole = persons_of(load_records(frame, HISTORIES, SeededRandomness(5)))
        rest = frame[frame["id"] != left_out]
        same = names.index(left_out)
        others = persons_of(load_records(rest, HISTORIES, SeededRandomness(5)))
        assert whole[:same] == others[:same]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_table_in_pieces_gives_the_same_codes(rows, monkeypatch, tmp_path):
    frame = events_of(np.random.default_rng(4), 50)
    whole = load_records(frame, HISTORIES, SeededRandomness(1))
    monkeypatch.setattr(code_store, "IN_MEMORY", 500)  # the rest goes to the file
    monkeypatch.setattr(person_events, "CHUNK", 7)
    pieces = load_records(
        FrameSource(frame, rows=rows), HISTORIES, SeededRandomness(1), scratch=tmp_path
    )
    assert np.array_equal(whole.codes, pieces.codes)
    assert np.array_equal(whole.person, pieces.person)
    assert whole.digest == pieces.digest


def test_the_site_is_told_what_the_bound_cuts_and_what_was_repaired():
    builder = RecordsBuilder(HISTORIES)
    builder.add(REPAIRED)
    counts = builder.history_counts
    assert (counts.persons, counts.events, counts.cut, counts.left_out) == (3, 7, 1, 1)
    assert counts.most == 4
    builder.finish(Randomness())
    kept = builder.kept_counts
    assert kept.long_gaps == 1
    assert kept.falls == {"age": 2}
    assert kept.changing == {"sex": 1}


def test_an_event_without_a_place_in_the_order_is_refused():
    frame = events_of(np.random.default_rng(0), 5).astype({"day": object})
    frame.loc[2, "day"] = None
    with pytest.raises(InputError, match="'day': 1 cell is missing"):
        load_records(frame, HISTORIES, Randomness())


def test_persons_of_one_event_each():
    schema = history_schema_of(max_events=1)
    frame = events_of(np.random.default_rng(0), 20)
    records = load_records(frame, schema, Randomness())
    assert records.units == len(records) == 20
    assert (records.codes[:, 2] == 0).all()
