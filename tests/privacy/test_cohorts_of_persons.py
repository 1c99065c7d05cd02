"""Persons in several cohorts: one cohort has its cap, and the whole person has one as well."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cohort_site import SCHEMA as RECORDS
from cohort_site import STEP, WAVES, CohortSite, plan_of, set_clock
from small_histories import HISTORIES

from fedsynth_client.budget.cohort_accounts import of_any_person
from fedsynth_client.budget.spending import spending
from fedsynth_client.records.records import RecordsBuilder, load_records
from fedsynth_client.vault.cohorts import seal_anew
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp, share_of_cap
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol.codec import unpack_counts
from fedsynth_common.schema import Cohorts, IdColumn, Schema

pytestmark = pytest.mark.privacy
DAYS = ("2026-02-01", "2026-05-01", "2026-08-01", "2026-11-01")
QUARTERS = ("2026Q1", "2026Q2", "2026Q3", "2026Q4")


def schema(per_person=2, rows=1, **changes):
    fields = {
        "name": "visits",
        "columns": (*RECORDS.columns, IdColumn(name="who")),
        "person_key": "who",
        "rows_per_person": rows,
        "cohorts": Cohorts(column="arrived", every="quarter", per_person=per_person),
    }
    return Schema(**(fields | changes))


SCHEMA = schema()


def visits(persons=150, days=DAYS, ward="a"):
    """Every person has a row on each day."""
    who = np.repeat([f"p{k}" for k in range(persons)], len(days))
    return pd.DataFrame({"ward": ward, "arrived": np.tile(days, persons), "who": who})


def site(frame=None, table=SCHEMA, **limits):
    return CohortSite(visits() if frame is None else frame, table, **limits)


def plan(study, cohort, table=SCHEMA, noise=3.0):
    return plan_of(study, cohort, table, noise)


ONE = epsilon(plan("one", "2026Q1").planned_events(), 1e-5)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    set_clock(monkeypatch, "2027-02-01")


def units(frame, table=SCHEMA):
    """How many persons and rows each quarter's study is computed from."""
    records = load_records(frame, table, Randomness())
    parts = [records.of(table.cohort(quarter)) for quarter in QUARTERS]
    return [(part.units, len(part)) for part in parts]


def test_a_person_is_in_the_first_cohorts_that_hold_rows_and_in_no_more():
    assert units(visits()) == [(150, 150), (150, 150), (0, 0), (0, 0)]
    late = visits(10, DAYS[1:]).assign(who=lambda f: "late " + f["who"])
    both = pd.concat([visits(), late], ignore_index=True)
    assert units(both) == [(150, 150), (160, 160), (10, 10), (0, 0)]
    assert units(visits(), schema(3)) == [(150, 150), (150, 150), (150, 150), (0, 0)]


def test_a_person_more_changes_at_most_so_many_cohorts_and_no_one_else():
    """The rows that are used of the others are the same with and without the person."""
    one = visits(1).assign(who="new", ward="c")
    without = load_records(visits(), SCHEMA, Randomness())
    with_one = load_records(pd.concat([visits(), one], ignore_index=True), SCHEMA, Randomness())
    changed = 0
    for quarter in QUARTERS:
        cohort = SCHEMA.cohort(quarter)
        before, after = (
            part.take(np.arange(len(part)))[:, 0]
            for part in (without.of(cohort), with_one.of(cohort))
        )
        assert np.array_equal(before, after[after != 2])
        changed += len(before) != len(after)
    assert changed == 2


def test_rows_of_a_person_are_bounded_within_a_cohort():
    frame = pd.concat([visits(1)] * 7, ignore_index=True)
    assert units(frame, schema(4, rows=3)) == [(1, 3)] * 4
    records = load_records(frame, schema(4, rows=3), Randomness())
    part = records.of(schema(4, rows=3).cohort("2026Q2"))
    rows, groups = part.rows_of(np.array([0]))
    assert (len(rows), groups.tolist()) == (3, [0, 0, 0])


def test_a_study_counts_the_bounded_rows_of_its_cohort():
    """150 persons with four rows each in a quarter count 150 times, and not 600."""
    frame = pd.concat([visits()] * 4, ignore_index=True)
    served = site(frame).served(plan("s", "2026Q2"))
    assert served.enroll() == "OK"
    counts = unpack_counts(CohortSite.measure(served).counts, 3)
    assert abs(counts - np.array([150, 0, 0])).max() < 25


@pytest.mark.parametrize("cohort", [None, "2026Q1..2026Q2", "..2026Q2"])
def test_a_study_of_several_cohorts_is_refused(cohort):
    with pytest.raises(ValueError, match="rows of persons into cohorts"):
        plan("s", cohort)
    records = load_records(visits(), SCHEMA, Randomness())
    with pytest.raises(ValueError, match="bounded within one cohort"):
        records.of(None if cohort is None else SCHEMA.cohort(cohort))


def test_each_cohort_has_its_cap_and_a_person_in_several_the_other():
    """Of 2.3 for a person in two cohorts, two studies of 1.2 fit; a third is of a third cohort."""
    two = epsilon_rdp([*plan("s", "2026Q1").planned_events()] * 2, 1e-5)
    assert ONE < 1.6 < two < 2.3
    held = site()
    assert held.run(plan("first", "2026Q1")) == "OK"
    assert held.run(plan("again", "2026Q1")) == "ERR_BUDGET"
    assert held.run(plan("second", "2026Q2")) == "OK"
    low = site(max_epsilon=two - 0.05)
    assert low.run(plan("first", "2026Q1")) == "OK"
    assert low.run(plan("second", "2026Q2")) == "ERR_BUDGET"


def test_a_person_in_two_cohorts_may_be_in_the_two_fullest_and_in_no_third():
    """The second quarter is charged most; a study of the fourth is held against both together."""
    late = [visits(150, DAYS[k:]).assign(who=lambda f, k=k: f"{k} " + f["who"]) for k in range(4)]
    held = site(pd.concat(late, ignore_index=True), max_epsilon=9.0, max_epsilon_per_cohort=9.0)
    for number, quarter in enumerate(QUARTERS):
        assert held.run(plan(f"study-{number}", quarter)) == "OK"
    assert held.run(plan("second", "2026Q2", noise=4.0)) == "OK"
    charges = held.ledger.charged()
    more = plan("more", "2026Q4", noise=6.0)
    fullest = [c for c in charges if c.study in ("study-1", "second", "study-3")]
    spent = epsilon_rdp([e for c in fullest for e in c.events], 1e-5)
    assert spending(charges, held.policy).spent == pytest.approx(spent, abs=1e-3)
    with_it = [*more.planned_events(), *(e for c in fullest for e in c.events)]
    for cap, status in (
        (epsilon_rdp(with_it, 1e-5) - 0.05, "ERR_BUDGET"),
        (epsilon_rdp(with_it, 1e-5) + 0.05, "OK"),
    ):
        low = site(held.frame, ledger=held.ledger, max_epsilon=cap, max_epsilon_per_cohort=cap)
        assert low.run(more) == status


def test_what_is_about_everybody_counts_for_every_person():
    held = site()
    for number, quarter in enumerate(QUARTERS[:2]):
        assert held.run(plan(f"study-{number}", quarter)) == "OK"
    charges = held.ledger.charged()
    share = lambda part: share_of_cap([e for c in part for e in c.events], 2.3, 1e-5)  # noqa: E731
    third = SCHEMA.cohort("2026Q3")
    assert len(of_any_person(third, charges, share)) == 1
    year = SCHEMA.cohorts.model_copy(update={"every": "year"}).cohort("2025")
    wide = [charges[0]._replace(study="x", cohort=cohort) for cohort in (None, year)]
    assert of_any_person(third, [*charges, *wide], share)[1:] == tuple(wide)


def test_a_first_study_that_takes_all_leaves_no_room_for_a_person_in_two_cohorts():
    """By PLD it fits alone; although it ends early, nothing is charged beside it elsewhere."""
    steps = (STEP, STEP.model_copy(update={"step": 2}))
    first = plan("first", "2026Q1").model_copy(update={"measure": steps})
    cap = epsilon(first.planned_events(), 1e-5) + 0.01
    small = plan("small", "2026Q2", noise=500.0)
    assert (
        share_of_cap([*plan("x", "2026Q1").planned_events(), *small.planned_events()], cap, 1e-5)
        < 1
    )
    held = site(max_epsilon=cap, max_epsilon_per_cohort=cap)
    assert held.run(first) == "OK"  # its first step alone
    assert held.run(small) == "ERR_BUDGET"


def test_a_row_that_gets_another_person_is_noticed():
    """Under another key the person would begin anew, and be in more cohorts than may be."""
    held = site()
    assert held.run(plan("first", "2026Q1")) == "OK"
    assert held.problems() == ()
    held.frame = held.frame.assign(who=held.frame["who"].replace({"p0": "somebody else"}))
    assert "cohort 2026Q1 ('arrived'): has changed" in held.problems()[0]


def test_a_late_row_that_pushes_a_person_out_of_a_charged_cohort_is_noticed():
    """Else the person would be in three: the charged second and third, and now the first."""
    held = site(visits(150, DAYS[1:]))
    for number, quarter in enumerate(QUARTERS[1:3]):
        assert held.run(plan(f"study-{number}", quarter)) == "OK"
    early = visits(1, DAYS[:1])
    held.frame = pd.concat([held.frame, early], ignore_index=True)
    assert "2026Q3" in held.problems()[0]


def test_later_cohorts_change_nothing_about_earlier_ones():
    held = site(visits(150, DAYS[:2]))
    assert held.run(plan("first", "2026Q1")) == "OK"
    held.frame = visits().sample(frac=1, random_state=1)
    assert held.problems() == ()


@pytest.mark.parametrize("per_person", [1, 3])
def test_another_bound_on_the_cohorts_of_a_person_is_noticed(per_person):
    held = site()
    assert held.run(plan("first", "2026Q1")) == "OK"
    other = CohortSite(held.frame, schema(per_person), ledger=held.ledger)
    assert "under other columns" in other.problems()[0]
    without = CohortSite(held.frame, RECORDS, ledger=held.ledger)
    without.frame = held.frame.drop(columns="who")
    assert "under other columns" in without.problems()[0]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cohorts": Cohorts(column="arrived", every="quarter")}, "say with per_person"),
        ({"person_key": None, "rows_per_person": 1}, "per_person needs a person_key"),
        (
            {
                "columns": (*WAVES.columns, IdColumn(name="who")),
                "cohorts": Cohorts(column="wave", per_person=2),
            },
            "must hold dates",
        ),
    ],
)
def test_schemas_of_persons_that_cannot_be_cut(changes, fault):
    with pytest.raises(ValueError, match=fault):
        schema(**changes)


def test_histories_are_not_cut_into_cohorts():
    with pytest.raises(ValueError, match="histories cannot be cut into cohorts"):
        Schema.model_validate(
            {**dict(HISTORIES), "cohorts": Cohorts(column=HISTORIES.histories.order, every="month")}
        )


def test_a_person_who_withdraws_is_out_and_frees_nothing():
    """The steward accepts the cohort without the person; what it was charged stays charged."""
    held = site()
    assert held.run(plan("first", "2026Q1")) == "OK"
    held.frame = held.frame[held.frame["who"] != "p7"].reset_index(drop=True)
    assert "cohort 2026Q1 ('arrived'): has changed" in held.problems()[0]
    builder = RecordsBuilder(SCHEMA, keep=False, cohort_key=held.ledger.cohort_key())
    builder.add(held.frame)
    assert seal_anew(["2026Q1"], builder.cohorts, held.ledger, date(2027, 2, 1)) == ("2026Q1",)
    assert held.problems() == ()
    assert units(held.frame)[:2] == [(149, 149), (149, 149)]
    assert held.run(plan("again", "2026Q1")) == "ERR_BUDGET"
