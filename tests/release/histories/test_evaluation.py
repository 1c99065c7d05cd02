"""Evaluating persons with histories, against plain loops and tables of which the answer is known."""

import numpy as np
import pandas as pd
import pytest
from small_histories import HISTORIES, L, events_of, expected_codes

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    Histories,
    IdColumn,
    IntegerColumn,
    Schema,
)
from fedsynth_release.evaluation import Evaluation, evaluate_table
from fedsynth_release.evaluation.histories import history_distances
from fedsynth_release.evaluation.histories.model_rows import HistoryRows
from fedsynth_release.evaluation.histories.next_event import before, inputs, next_event_utility
from fedsynth_release.evaluation.histories.person_table import person_schema, person_table
from fedsynth_release.evaluation.histories.references import dealt, independent
from fedsynth_release.evaluation.histories.variance import memory, within_shares

LASTING = Schema(
    name="lasting",
    columns=(
        IdColumn(name="id"),
        CategoricalColumn(name="sex", categories=("f", "m"), other=False),
        IntegerColumn(name="year", minimum=1, maximum=9),
        IntegerColumn(name="age", minimum=0, maximum=99),
        IntegerColumn(name="visits", minimum=0, maximum=50),
        BooleanColumn(name="admitted", true="y", false="n"),
    ),
    target="admitted",
    person_key="id",
    histories=Histories(
        order="year",
        max_events=4,
        events=("year", "age", "visits", "admitted"),
        largest_gap=3,
        grows=("age",),
    ),
)


def lasting(seed: int, persons: int = 400) -> pd.DataFrame:
    """Persons of 2-4 years who are always ill or never: each event says what the next will be."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, persons)
    person = np.repeat(np.arange(persons), sizes)
    place = np.arange(len(person)) - (np.cumsum(sizes) - sizes)[person]
    ill = rng.random(persons) < 0.4
    frame = pd.DataFrame(
        {
            "id": [f"p{k}" for k in person],
            "sex": rng.choice(["f", "m"], persons)[person],
            "year": 1 + place,
            "age": rng.integers(0, 90, persons)[person] + place,
            "visits": np.where(ill[person], 20, 0) + rng.integers(0, 20, len(person)),
            "admitted": np.where(ill[person], "y", "n"),
        }
    )
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def test_model_columns_are_those_of_a_site():
    frame = events_of(np.random.default_rng(3), 60, most=L)  # nobody is cut: no random stretch
    rows = HistoryRows.of(frame, HISTORIES)
    codes = encode(rows.frame[[c.name for c in rows.model.columns]], rows.model).codes.tolist()
    expected = []
    for name in pd.unique(frame["id"].sort_values(key=lambda s: pd.factorize(frame["id"])[0])):
        own = frame[frame["id"] == name].sort_values("day", kind="stable")
        expected += expected_codes(own)
    assert sorted(codes) == sorted(expected)
    assert rows.persons == 60


def test_a_person_with_more_events_keeps_a_stretch_of_them():
    frame = pd.DataFrame({"id": "a", "sex": "f", "day": range(9), "age": 1.0, "ward": "a"})
    starts = set()
    for seed in range(40):
        days = HistoryRows.of(frame, HISTORIES, seed).frame["day"].tolist()
        assert days == list(range(days[0], days[0] + L))
        starts.add(days[0])
    assert starts == set(range(9 - L + 1))


def test_the_order_of_rows_in_the_table_does_not_matter():
    frame, other = lasting(1), lasting(2)
    shuffled = other.sample(frac=1, random_state=5).reset_index(drop=True)
    figures = (history_distances(frame, table, LASTING) for table in (other, shuffled))
    assert len({tuple(found.values()) for found in figures}) == 1


def test_distances_are_zero_for_the_same_table_and_follow_their_definition():
    frame = lasting(3)
    assert set(history_distances(frame, frame, LASTING).values()) == {0.0}
    other = frame.assign(admitted=np.where(frame["admitted"] == "y", "n", "y"))
    found = history_distances(frame, other, LASTING)
    share = float((frame["admitted"] == "y").mean())
    firsts = frame[frame["year"] == 1]
    later = frame.merge(frame.assign(year=frame["year"] + 1), on=["id", "year"])
    ill = float((later["admitted_x"] == "y").mean())
    # of the columns year, age, visits and admitted only the last is wrong: swapped with its opposite
    assert found["lag_1_itself"] == pytest.approx(abs(1 - 2 * ill) / 4)
    assert found["static"] == found["lengths"] == found["gaps"] == found["within_person"] == 0
    assert found["static_event"] == pytest.approx(_swapped_with_static(frame) / 8)
    assert 0.2 < share < 0.6
    assert len(firsts) == 400


def _swapped_with_static(frame: pd.DataFrame) -> float:
    """The sum of the distances of (static column, admitted) when y and n are exchanged."""
    counts = frame.groupby("id")["id"].transform("size")
    total = 0.0
    for static in (frame["sex"], counts):
        table = pd.crosstab(static, frame["admitted"]).to_numpy() / len(frame)
        total += 0.5 * float(np.abs(table - table[:, ::-1]).sum())
    return total


def test_dealt_events_are_right_within_an_event_and_forget_the_person():
    frame, rng = lasting(4), np.random.default_rng(0)
    found = history_distances(frame, dealt(frame, LASTING, rng), LASTING)
    assert found["within_event"] == found["static"] == 0
    assert found["lag_1_itself"] > 0.3
    assert found["within_person"] > 0.3
    apart = history_distances(frame, independent(frame, LASTING, rng), LASTING)
    assert apart["within_event"] > 0.1
    assert apart["lengths"] == 0
    rows = [HistoryRows.of(table, LASTING) for table in (frame, dealt(frame, LASTING, rng))]
    remembered = [memory(table)[3] for table in rows]
    assert remembered[0] == pytest.approx((1.0, 1.0, 1.0))
    assert max(abs(strength) for strength in remembered[1]) < 0.2
    shares = within_shares(rows[0])
    assert np.isnan(shares[[0, 3]]).all()  # the order, and a category
    assert shares[1] < 0.05 < shares[2] < 0.6 < within_shares(rows[1])[2]


def test_the_next_event_is_predicted_from_earlier_ones_only():
    train, test = (HistoryRows.of(lasting(seed), LASTING) for seed in (5, 6))
    known = before(train)
    assert {column.name for column in inputs(LASTING)} == set(known.columns)
    assert [column.name for column in inputs(LASTING)] == [
        *("sex", "events (so far)"),
        *("year (previous)", "year (before previous)", "year (mean so far)"),
        *("age (previous)", "age (before previous)", "age (mean so far)"),
        *("visits (previous)", "visits (before previous)", "visits (mean so far)"),
        *("admitted (previous)", "admitted (before previous)"),
        *("admitted (share of 0)", "admitted (share of 1)"),
    ]
    frame, (earlier, later) = train.frame, train.pairs(1)
    assert len(known) == len(later)
    for row in (0, 1, 2, 7):
        own = frame[train.person == train.person[later[row]]]
        past = own.loc[: earlier[row]]
        assert known["events (so far)"][row] == len(past)
        assert known["visits (mean so far)"][row] == pytest.approx(past["visits"].mean())
        assert known["visits (previous)"][row] == past["visits"].iloc[-1]
        second = past["visits"].iloc[-2] if len(past) > 1 else np.nan
        assert known["visits (before previous)"][row] == pytest.approx(second, nan_ok=True)
    rng = np.random.default_rng(0)
    tables = {
        "synthetic": HistoryRows.of(lasting(7), LASTING),
        "independent": HistoryRows.of(independent(lasting(5), LASTING, rng), LASTING),
    }
    utility = next_event_utility(train, test, tables, learners=("boosting",))
    asked = {target.column: target for target in utility.targets}
    assert set(asked) == {"admitted", "visits"}  # gaps are all one year
    assert asked["admitted"].real == asked["admitted"].synthetic == 1
    assert 0.3 < asked["admitted"].independent < 0.7


def test_a_row_of_the_table_of_persons_holds_all_events_of_a_person():
    frame = pd.DataFrame(
        {
            "id": ["a", "a", "b"],
            "sex": ["f", "f", "m"],
            "year": [2, 1, 3],
            "age": [41, 40, 7],
            "visits": [5, 4, 9],
            "admitted": ["y", "n", "n"],
        }
    )
    rows = HistoryRows.of(frame, LASTING)
    table = person_table(rows)
    assert list(table.columns) == [column.name for column in person_schema(rows).columns]
    assert len(table.columns) == 2 + 4 * (4 + 1)
    one, other = table.iloc[0], table.iloc[1]
    assert (one["sex"], one["number of events"], other["number of events"]) == ("f", 2, 1)
    assert [one[f"visits (event {k})"] for k in (1, 2)] == [4, 5]
    assert one["visits (last event)"] == 5
    assert (other["visits (event 1)"], other["visits (last event)"]) == (9, 9)
    assert table[["visits (event 3)", "admitted (event 4)"]].isna().all(axis=None)
    assert pd.isna(other["visits (event 2)"])


def test_events_without_person_or_order_are_refused():
    frame = lasting(1, persons=30)
    with pytest.raises(InputError, match="column 'year': 1 events have no order"):
        HistoryRows.of(frame.assign(year=frame["year"].where(frame.index > 0)), LASTING)
    with pytest.raises(InputError, match="column 'id': 1 rows have no person key"):
        HistoryRows.of(frame.assign(id=frame["id"].where(frame.index > 0)), LASTING)
    with pytest.raises(InputError, match="the table has no column 'id'"):
        HistoryRows.of(frame.drop(columns="id"), LASTING)


def test_an_evaluation_of_histories():
    frames = (lasting(1), lasting(2), lasting(3))
    found = evaluate_table(*frames, LASTING, quick=True, epsilon=1.0, delta=1e-5)
    assert Evaluation.from_json(found.to_json()) == found
    assert found.histories is not None
    assert found.histories.persons_train == 400
    assert [f.role for f in found.histories.figures] == [
        "synthetic",
        "hold-out",
        "dealt",
        "independent",
    ]
    assert [c.name for c in found.fidelity.columns] == [
        c.name for c in HistoryRows.of(frames[0], LASTING).model.columns
    ]
    assert [c.name for c in found.histories.columns] == ["year", "age", "visits", "admitted"]
    assert {a.name for a in found.attacks} == {
        "membership",
        "singling-out-univariate",
        "singling-out-multivariate",
    }
    membership = found.attacks[0]
    assert membership.on("leaky").flagged
    assert membership.on("pseudonymised").advantage.value > 0.9
    assert not membership.on("synthetic").flagged
    assert membership.on("synthetic").within_claim
    assert membership.on("synthetic").attacks == 400  # persons, not events
    assert all("Singling out" in note for note in found.notes)  # nobody is rare in this table


def test_too_few_persons_are_refused():
    frame = lasting(1, persons=60)
    with pytest.raises(InputError, match="the held-out table has 10 persons; expected 20 or more"):
        evaluate_table(frame, lasting(2, persons=10), frame, LASTING, quick=True)
