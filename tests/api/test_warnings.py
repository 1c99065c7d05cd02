"""What a user is told through `warnings`: once, at the user's own line, and nothing on any stream."""

import warnings

import numpy as np
import pandas as pd
import pytest
from small_frames import SMALL, mixed_frame
from small_study import SCHEMA, make_frame

import fedsynth


def told(call):
    """The warnings of a call, as (category, text, file)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [(w.category, str(w.message), w.filename) for w in caught]


def test_a_drafted_dealt_and_seeded_study_says_so_at_the_users_line(capfd):
    found = told(lambda: fedsynth.fit(mixed_frame(150), seed=1, **SMALL))
    assert {file for _, _, file in found} == {__file__}
    private = [text for kind, text, _ in found if kind is fedsynth.NotPrivateWarning]
    assert len(private) == 3
    for part in ("seeded", "drafted from the records", "a rehearsal on pooled data"):
        assert any(part in text for text in private), part
    method = [text for kind, text, _ in found if kind is fedsynth.MethodNotice]
    assert len(method) == 1
    assert "marginals of all pairs" in method[0]
    assert "on this computer" in method[0]
    assert capfd.readouterr() == ("", "")


def test_a_private_study_says_its_method_and_time_alone():
    apart = {"north": make_frame(100, 1), "south": make_frame(100, 2)}
    found = told(lambda: fedsynth.fit(apart, schema=SCHEMA, records_per_site=100, **SMALL))
    assert [kind for kind, _, _ in found] == [fedsynth.MethodNotice]


def test_persons_with_several_rows_are_told():
    people = np.repeat([f"P-{k:05d}" for k in range(60)], 3)
    table = pd.DataFrame({"person_id": people, "ward": np.resize(list("abcde"), 180)})
    found = told(lambda: fedsynth.draft(table))
    persons = [text for kind, text, _ in found if kind is fedsynth.PersonsWarning]
    assert len(persons) == 1
    assert "the privacy of one ROW is protected" in persons[0]
    assert "P-00" not in persons[0]
    assert [kind for kind, _, _ in found].count(fedsynth.NotPrivateWarning) == 1


def test_a_column_that_is_lost_is_told():
    table = mixed_frame(150)[["age", "outcome"]].assign(empty=None)
    found = told(lambda: fedsynth.draft(table.set_index("age")))
    columns = [text for kind, text, _ in found if kind is fedsynth.ColumnWarning]
    assert any("column 'empty': not modelled" in text for text in columns)
    assert any("the index 'age' is left out" in text for text in columns)


def test_each_kind_can_be_silenced_or_made_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", fedsynth.NotPrivateWarning)
        with pytest.raises(fedsynth.NotPrivateWarning, match="drafted"):
            fedsynth.draft(mixed_frame(100))
