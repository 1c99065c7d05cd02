"""What a site finds and keeps does not depend on the pieces that a table comes in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_site import make_policy

from fedsynth_client.preflight.preflight import Inspection
from fedsynth_client.records.person_keys import PersonKeys
from fedsynth_client.records.records import load_records
from fedsynth_client.records.sources import FrameSource
from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.identifiers.distinct_texts import DistinctTexts, K
from fedsynth_common.identifiers.findings import Watch, findings
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    DurationColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
    domains,
)

SCHEMA = Schema(
    name="t",
    columns=(
        IdColumn(name="who"),
        CategoricalColumn(name="ward", categories=("a", "b")),
        IntegerColumn(name="age", minimum=0, maximum=99, nullable=True),
    ),
    person_key="who",
    rows_per_person=2,
)
people = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", "c"]), st.integers(-5, 120)),
    min_size=1,
    max_size=40,
)


def frame_of(rows):
    cells = [[str(cell) for cell in column] for column in zip(*rows, strict=True)]
    return pd.DataFrame(dict(zip(("who", "ward", "age"), cells, strict=True)), dtype="str")


@settings(deadline=None, max_examples=30)
@given(people, st.integers(1, 9))
def test_records_and_reports_are_the_same_in_pieces(rows, size):
    frame, found = frame_of(rows), []
    for piece in (1 << 16, size):
        inspection = Inspection(SCHEMA, make_policy(), max_repaired=1.0, keep=True)
        inspection.read(FrameSource(frame, rows=piece))
        result = inspection.result()
        records = inspection.records.finish(SeededRandomness(1))
        found.append((result, records.codes.tolist(), records.person.tolist(), records.digest))
    assert found[0] == found[1]
    whole = load_records(frame, SCHEMA, SeededRandomness(1))
    assert whole.codes.tolist() == found[0][1]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 7))
def test_persons_are_numbered_by_first_appearance(numbers, size):
    keys = PersonKeys("who")
    frame = pd.DataFrame({"who": [f"p{n}" for n in numbers]}, dtype="str")
    for start in range(0, len(frame), size):
        keys.add(frame.iloc[start : start + size])
    expected = pd.factorize(np.array(numbers, dtype=np.int64))[0]
    assert keys.numbers().tolist() == expected.tolist()
    assert keys.count() == len(set(numbers))


TEXTS = {
    "mail": [f"person{n}@example.org" for n in range(60)],
    "own": [f"text {n}" for n in range(200)],
    "wordy": [f"the patient says that number {n} hurts a lot" for n in range(50)] * 3,
    "plain": ["a", "b", "c"] * 50,
    "names": ["Mario Rossi", "Anna Schmidt", "Jean Dupont", "Mary Ann Smith", "Luca Bianchi"] * 9,
}


@pytest.mark.parametrize("name", list(TEXTS))
@pytest.mark.parametrize("size", [1, 7, 64])
def test_findings_are_the_same_in_pieces(name, size):
    column = CategoricalColumn(name="x", categories=("a", "b"))
    series = pd.Series(TEXTS[name], dtype="str")
    watch = Watch(column)
    for start in range(0, len(series), size):
        watch.add(series[start : start + size])
    assert watch.findings() == findings(column, series)
    assert bool(watch.findings()) == (name != "plain")


def test_distinct_texts_are_counted_exactly_and_then_estimated():
    texts = DistinctTexts()
    for start in range(0, 3 * K, 10_000):
        chunk = [f"text {n:09}" for n in range(start, start + 10_000)]
        texts.add(chunk)
        if start + 10_000 < K:
            assert texts.count == start + 10_000
            assert texts.add(chunk[::2]) == []
    true = -(-3 * K // 10_000) * 10_000
    assert abs(texts.count / true - 1) < 0.02  # five standard errors
    assert texts.median_length == 14


# whatever a cell holds: encoding gives declared codes, or InputError and nothing else
cells = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=True),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.binary(max_size=4),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["1,5", "٣", "1e400", "-0", "2020-02-30", "P1D", "true", "a", "NaN"]),
)
COLUMNS = [
    CategoricalColumn(name="x", categories=("a", "1")),
    CategoricalColumn(name="x", categories=("a", "1"), other=False, nullable=True),
    BooleanColumn(name="x", nullable=True),
    IntegerColumn(name="x", minimum=-5, maximum=1000, atoms=(7,), nullable=True),
    IntegerColumn(name="x", minimum=0, maximum=9),
    NumericColumn(name="x", minimum=-1.0, maximum=1e6, decimals=3, nullable=True),
    NumericColumn(name="x", minimum=0.0, maximum=1e9, decimals=2, scale="log", nullable=True),
    DateColumn(name="x", minimum="1900-01-01", maximum="2100-12-31", nullable=True),
    DurationColumn(name="x", minimum=0, maximum=100, unit="day", nullable=True),
]


@pytest.mark.parametrize("place", range(len(COLUMNS)))
@settings(deadline=None, max_examples=40)
@given(values=st.lists(cells, min_size=1, max_size=12), text=st.booleans())
def test_encoding_gives_declared_codes_or_an_input_error(place, values, text):
    schema = Schema(name="t", columns=(COLUMNS[place],))
    if text:
        values = [None if value is None else str(value) for value in values]
    frame = pd.DataFrame({"x": pd.Series(values, dtype="str" if text else object)})
    try:
        codes = encode(frame, schema).codes
    except InputError as refused:
        assert "\n" not in str(refused)
        return
    assert codes.shape == (len(values), 1)
    assert codes.dtype == np.uint16
    assert int(codes.max()) < domains(schema)[0].width
