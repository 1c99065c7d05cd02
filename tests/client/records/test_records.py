import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedsynth_client.records.records import Records, load_records
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness
from fedsynth_common.schema import CategoricalColumn, IdColumn, Schema

WARDS = CategoricalColumn(name="ward", categories=("a", "b", "c"), other=False)


def schema(limit=2):
    columns = (IdColumn(name="patient"), WARDS)
    return Schema(name="t", columns=columns, person_key="patient", rows_per_person=limit)


def test_records_without_a_key_are_their_own_units(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("ward\na\nc\nb\n")
    records = load_records(path, Schema(name="t", columns=(WARDS,)), Randomness())
    assert records.codes.tolist() == [[0], [2], [1]]
    assert records.codes.dtype == np.uint16
    assert (len(records), records.units) == (3, 3)
    rows, groups = records.rows_of(np.array([2, 0]))
    assert rows.tolist() == [2, 0]
    assert groups is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 4))
def test_each_person_keeps_as_many_rows_as_allowed(people, limit):
    frame = pd.DataFrame({"patient": [f"p{p}" for p in people], "ward": ["a"] * len(people)})
    records = load_records(frame, schema(limit), Randomness())
    sizes = pd.Series(people).value_counts().clip(upper=limit)
    assert len(records) == sizes.sum()
    assert sorted(np.bincount(records.person)) == sorted(sizes)
    assert records.units == len(sizes)


def test_the_rows_kept_are_a_uniform_choice():
    frame = pd.DataFrame({"patient": ["p"] * 3, "ward": ["a", "b", "c"]})
    draws = [int(load_records(frame, schema(1), Randomness()).codes[0, 0]) for _ in range(600)]
    assert (np.bincount(draws, minlength=3) > 150).all()  # 200 expected, sigma 12


def test_a_persons_rows_do_not_depend_on_anyone_else():
    """Removing a person leaves the distribution of the others' rows alone: here, the very rows."""
    people = pd.DataFrame({"patient": ["p"] * 2 + ["q"] * 2, "ward": ["a", "b", "c", "c"]})
    with_q = load_records(people, schema(2), SeededRandomness(1))
    without = load_records(people[:2], schema(2), SeededRandomness(1))
    assert sorted(with_q.codes[with_q.person == 0, 0]) == sorted(without.codes[:, 0])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.data())
def test_rows_of_finds_exactly_the_rows_of_the_units(people, data):
    person = np.unique(people, return_inverse=True)[1]
    records = Records(np.zeros((len(person), 1), np.uint16), person)
    units = np.array(data.draw(st.lists(st.integers(0, records.units - 1), unique=True)), int)
    rows, groups = records.rows_of(units)
    assert sorted(rows) == sorted(np.flatnonzero(np.isin(person, units)))
    assert (units[groups] == person[rows]).all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"ward": ["a"]}), "patient"),
        (pd.DataFrame({"patient": ["p", None], "ward": ["a", "a"]}), "1 rows have no person key"),
        (pd.DataFrame({"patient": ["p"], "ward": ["SECRET"]}), "ward"),
        (pd.DataFrame({"patient": ["p"], "ward": ["a"], "note": ["SECRET"]}), "note"),
    ],
)
def test_unusable_tables_are_refused_without_quoting_a_cell(frame, message):
    with pytest.raises(InputError, match=message) as caught:
        load_records(frame, schema(), Randomness())
    assert "SECRET" not in str(caught.value)
