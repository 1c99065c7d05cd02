"""Cohorts: a record has one budget, whatever is moved, renamed, cut anew, or set back."""

import numpy as np
import pandas as pd
import pytest
from cohort_site import SCHEMA, WAVES, YEARLY, CohortSite, plan_of, set_clock, table
from small_site import make_plan

from fedsynth_client.budget.cohort_seals import SealBook
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.spending import spending
from fedsynth_client.records.records import load_records
from fedsynth_client.vault.cohorts import seal_anew
from fedsynth_common.errors import FedsynthError, InputError, RefusalError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol.codec import unpack_counts
from fedsynth_common.schema import Cohorts, Schema

pytestmark = pytest.mark.privacy
EVENTS = plan_of("one").planned_events()
ONE = epsilon(EVENTS, 1e-5)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    set_clock(monkeypatch, "2027-02-01")


def moved(frame, old, new):
    """The table with one record of a day moved to another day."""
    frame = frame.copy()
    frame.loc[frame.index[frame["arrived"] == old][0], "arrived"] = new
    return frame


def test_one_study_costs_more_than_half_of_the_cap_of_a_cohort():
    assert 1.6 / 2 < ONE < 1.6
    assert epsilon([*EVENTS, *EVENTS], 1e-5) > 1.6


def test_a_study_of_a_cohort_counts_its_records_and_no_others():
    """With noise of a standard deviation of 3, 100 records cannot pass for 300."""
    frame = table()
    frame.loc[frame["arrived"] != "2026-05-01", "ward"] = "a"
    frame.loc[frame["arrived"] == "2026-05-01", "ward"] = "b"
    site = CohortSite(frame).served(plan_of("s", "2026Q2"))
    assert site.enroll() == "OK"
    counts = unpack_counts(CohortSite.measure(site).counts, 3)
    assert abs(counts - np.array([0, 100, 0])).max() < 25


def test_training_on_a_cohort_draws_its_records_alone():
    records = load_records(table(), SCHEMA, Randomness())
    part = records.of(SCHEMA.cohort("2026Q2"))
    rows, _ = part.rows_of(np.arange(part.units))
    assert part.units == 100
    expected = records.codes[table()["arrived"] == "2026-05-01"]
    assert np.array_equal(part.take(rows), expected)


def test_studies_of_different_cohorts_do_not_add_up():
    site = CohortSite()
    for number in (1, 2, 3):
        assert site.run(plan_of(f"study-{number}", f"2026Q{number}")) == "OK"
    spent = spending(site.ledger.charged(), site.policy)
    assert {name: each.spent for name, each in spent.cohorts.items()} == pytest.approx(
        {"all others": 0.0, "2026Q1": ONE, "2026Q2": ONE, "2026Q3": ONE}, abs=1e-2
    )
    assert spent.spent == pytest.approx(ONE, abs=1e-2)


def test_what_a_range_was_charged_is_shown_where_a_single_cohort_is_within_it():
    site = CohortSite()
    assert site.run(plan_of("wide", "2026Q1..2026Q3")) == "OK"
    assert site.run(plan_of("part", "2026Q2", noise=30.0)) == "OK"
    cohorts = spending(site.ledger.charged(), site.policy).cohorts
    assert {name: each.studies for name, each in cohorts.items()} == {
        "all others": (),
        "2026Q1..2026Q3": ("wide",),
        "2026Q2": ("wide", "part"),
    }


def test_two_studies_of_one_cohort_add_up():
    site = CohortSite()
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    assert site.run(plan_of("second", "2026Q1")) == "ERR_BUDGET"


def test_a_study_of_all_records_is_charged_to_every_cohort():
    site = CohortSite()
    assert site.run(plan_of("all")) == "OK"
    assert site.run(plan_of("part", "2026Q1")) == "ERR_BUDGET"
    assert site.run(plan_of("later", "2026Q4")) == "ERR_BUDGET"


def test_a_study_of_all_records_is_held_against_the_fullest_cohort():
    site = CohortSite(max_epsilon=1.6)
    assert site.run(plan_of("part", "2026Q2")) == "OK"
    assert site.run(plan_of("all")) == "ERR_BUDGET"


def test_a_range_is_charged_to_each_of_its_cohorts_and_to_no_later_one():
    site = CohortSite()
    assert site.run(plan_of("start", "..2026Q2")) == "OK"
    assert site.run(plan_of("second", "2026Q2")) == "ERR_BUDGET"
    assert site.run(plan_of("third", "2026Q3")) == "OK"


def test_a_longer_cohort_is_held_against_the_fullest_part_of_it():
    site = CohortSite()
    assert site.run(plan_of("part", "2026Q2")) == "OK"
    assert site.run(plan_of("wide", "2026Q1..2026Q3")) == "ERR_BUDGET"


def test_another_way_to_cut_by_the_same_dates_starts_no_new_budget():
    quarterly = CohortSite(table(("2025-02-01", "2026-05-01")))
    assert quarterly.run(plan_of("quarter", "2026Q2")) == "OK"
    yearly = CohortSite(quarterly.frame, YEARLY, ledger=quarterly.ledger)
    assert yearly.run(plan_of("year", "2026", YEARLY)) == "ERR_BUDGET"
    assert yearly.run(plan_of("before", "2025", YEARLY)) == "OK"


def test_a_column_of_another_name_starts_no_new_budget():
    """The steward renames the column in table and schema: the charges of the old name count on."""
    first = CohortSite()
    assert first.run(plan_of("first", "2026Q1")) == "OK"
    renamed = Schema.from_json(SCHEMA.to_json().replace('"arrived"', '"came"'))
    again = CohortSite(table().rename(columns={"arrived": "came"}), renamed, ledger=first.ledger)
    assert "cuts the table by 'came' now" in again.problems()[0]
    unsealed = SealBook(first.ledger.cohort_key())
    inspection = type("Unsealed", (CohortSite,), {"book": unsealed})
    site = inspection(again.frame, renamed, ledger=first.ledger)
    assert site.run(plan_of("second", "2026Q1", renamed)) == "ERR_BUDGET"


def test_a_renamed_category_starts_no_new_budget():
    frame = table().drop(columns="arrived").assign(wave=np.resize(["one", "two"], 300))
    site = CohortSite(frame, WAVES)
    assert site.run(plan_of("first", "one", WAVES)) == "OK"
    assert site.run(plan_of("second", "two", WAVES)) == "OK"
    first = CohortSite(frame, WAVES)
    assert first.run(plan_of("first", "one", WAVES)) == "OK"
    assert first.run(plan_of("again", "one", WAVES)) == "ERR_BUDGET"
    columns = WAVES.columns[0], WAVES.columns[1].model_copy(update={"categories": ("1", "two")})
    schema = WAVES.model_copy(update={"columns": columns})
    renamed = CohortSite(frame.replace({"wave": {"one": "1"}}), schema, ledger=first.ledger)
    assert "under other columns" in renamed.problems()[0]
    swapped = frame.replace({"wave": {"one": "two", "two": "one"}})
    assert "has changed" in CohortSite(swapped, WAVES, ledger=first.ledger).problems()[0]


@pytest.mark.parametrize("new", ["2026-05-01", "2026-12-01", ""])
def test_a_record_moved_out_of_a_charged_cohort_is_noticed(new):
    site = CohortSite()
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    assert site.problems() == ()
    site.frame = moved(site.frame, "2026-02-01", new)
    assert "cohort 2026Q1 ('arrived'): has changed" in site.problems()[0]
    with pytest.raises(FedsynthError, match="not fit to be served"):
        site.run(plan_of("second", "2026Q2"))


def test_a_record_moved_into_a_charged_cohort_is_noticed():
    site = CohortSite()
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    site.frame = moved(site.frame, "2026-08-01", "2026-01-31")
    assert "2026Q1" in site.problems()[0]


def test_two_records_that_change_places_are_noticed():
    """The number of records stays, and so does every count of the table as a whole."""
    site = CohortSite()
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    frame = site.frame.copy()
    a = frame.index[(frame["arrived"] == "2026-02-01") & (frame["ward"] == "a")][0]
    b = frame.index[(frame["arrived"] == "2026-05-01") & (frame["ward"] == "b")][0]
    frame.loc[[a, b], "arrived"] = ["2026-05-01", "2026-02-01"]
    site.frame = frame
    assert "2026Q1" in site.problems()[0]


def test_order_and_new_cohorts_change_no_charged_cohort():
    site = CohortSite()
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    more = pd.DataFrame({"ward": ["a"] * 150, "arrived": ["2026-11-11"] * 150})
    site.frame = pd.concat([site.frame.sample(frac=1, random_state=1), more], ignore_index=True)
    assert site.problems() == ()
    assert site.run(plan_of("second", "2026Q4")) == "OK"


def test_a_changed_cell_of_a_charged_cohort_is_noticed():
    site = CohortSite()
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    site.frame = site.frame.copy()
    row = site.frame.index[site.frame["arrived"] == "2026-02-01"][0]
    site.frame.loc[row, "ward"] = "a" if site.frame.loc[row, "ward"] != "a" else "b"
    assert "2026Q1" in site.problems()[0]


def test_a_cohort_that_was_sealed_anew_keeps_its_charges():
    site = CohortSite()
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    site.frame = site.frame.drop(index=site.frame.index[site.frame["arrived"] == "2026-02-01"][0])
    records = load_records(site.frame, SCHEMA, Randomness())
    with pytest.raises(InputError, match="no study was charged"):
        seal_anew(["2026Q2"], records.cohorts, site.ledger, _today())
    rows = _with_key(site)
    assert seal_anew(["2026Q1"], rows, site.ledger, _today()) == ("2026Q1",)
    assert site.problems() == ()
    assert site.run(plan_of("second", "2026Q1")) == "ERR_BUDGET"
    assert len(site.ledger.seals().seals) == 1


def _today():
    from fedsynth_client.vault.service import today

    return today()


def _with_key(site):
    from fedsynth_client.records.records import RecordsBuilder

    builder = RecordsBuilder(SCHEMA, keep=False, cohort_key=site.ledger.cohort_key())
    builder.add(site.frame)
    return builder.cohorts


def test_a_study_whose_cohort_changed_between_its_steps_is_not_continued():
    site = CohortSite()
    running = site.served(plan_of("first", "2026Q1"))
    assert running.enroll() == "OK"
    assert site.measure(running).status == "OK"
    unsealed = type("Unsealed", (CohortSite,), {"book": SealBook(site.ledger.cohort_key())})
    other = unsealed(moved(site.frame, "2026-02-01", "2026-05-01"), ledger=site.ledger)
    assert other.run(plan_of("second", "2026Q1", noise=30.0)) == "ERR_LEDGER"


def test_a_cohort_that_is_not_over_is_not_studied(monkeypatch):
    site = CohortSite()
    for day, status in (("2026-09-30", "ERR_POLICY"), ("2026-10-02", "OK")):
        set_clock(monkeypatch, day)
        assert site.run(plan_of("first", "2026Q3")) == status


def test_a_clock_that_was_set_back_stops_studies_of_cohorts(monkeypatch):
    site = CohortSite()
    set_clock(monkeypatch, "2026-07-02")
    assert site.run(plan_of("first", "2026Q2")) == "OK"
    set_clock(monkeypatch, "2026-05-02")
    assert site.run(plan_of("second", "2026Q1")) == "ERR_POLICY"
    assert site.run(plan_of("third", "2026Q2")) == "ERR_POLICY"
    set_clock(monkeypatch, "2026-07-02")
    assert site.run(plan_of("third", "2026Q2")) == "ERR_BUDGET"


def test_a_policy_without_a_cap_of_a_cohort_serves_no_cohort():
    site = CohortSite(max_epsilon_per_cohort=None)
    assert site.run(plan_of("first", "2026Q1")) == "ERR_POLICY"
    assert site.run(plan_of("all")) == "OK"
    assert site.run(plan_of("again")) == "OK"
    assert site.run(plan_of("third")) == "ERR_BUDGET"


def test_a_charge_without_a_seal_counts_for_every_cohort():
    """So a ledger of an earlier version, or one whose entry is not about a cohort, frees nothing."""
    site = CohortSite()
    plan = plan_of("first", "2026Q1")
    site.ledger.accept(plan.study, plan.digest, plan.to_json())
    site.ledger.charge("first", 1, "h", plan.planned_events())
    assert site.run(plan_of("second", "2026Q2")) == "ERR_BUDGET"


def test_the_seal_is_on_disk_before_the_charge():
    site = CohortSite()
    served, order = site.served(plan_of("first", "2026Q1")), []
    for name in ("commit", "charge"):
        inner = getattr(site.ledger, name)
        setattr(
            site.ledger,
            name,
            lambda *a, inner=inner, name=name, **k: (order.append(name), inner(*a, **k)),
        )
    assert served.enroll() == "OK"
    assert site.measure(served).status == "OK"
    assert order == ["commit", "charge"]


def test_what_the_chain_shows_of_a_cohort_needs_the_key():
    """Equal tables at two sites have different seals, and the key is in no receipt and no reply."""
    one, two = CohortSite(), CohortSite()
    for site in (one, two):
        served = site.served(plan_of("first", "2026Q1"))
        assert served.enroll() == "OK"
        reply = site.measure(served).SerializeToString()
        receipt = served.vault.receipt(served.receipt_request()).SerializeToString()
        key = site.ledger.cohort_key()
        assert key not in reply + receipt
        assert key.hex().encode() not in reply + receipt
        assert site.ledger.seals().seals[0].records.encode() not in reply + receipt
    first, second = (site.ledger.seals().seals[0].records for site in (one, two))
    assert first != second


def test_a_ledger_set_back_to_before_a_seal_blocks(tmp_path):
    site = CohortSite(path=tmp_path / "ledger.db")
    site.ledger.close()
    before = (tmp_path / "ledger.db").read_bytes()
    site = CohortSite(path=tmp_path / "ledger.db")
    assert site.run(plan_of("first", "2026Q1")) == "OK"
    site.ledger.close()
    (tmp_path / "ledger.db").write_bytes(before)
    with pytest.raises(RefusalError, match="ERR_LEDGER"):
        Ledger(tmp_path / "ledger.db", "people")


def test_the_minimum_of_records_is_that_of_the_cohort():
    assert CohortSite(min_records=101).run(plan_of("first", "2026Q1")) == "ERR_RECORDS"
    assert CohortSite(min_records=100).run(plan_of("first", "2026Q1")) == "OK"


@pytest.mark.parametrize(
    ("cohorts", "fault"),
    [
        (Cohorts(column="ward", every="quarter"), "leave out every"),
        (Cohorts(column="arrived"), "every"),
        (Cohorts(column="nowhere", every="year"), "not declared"),
    ],
)
def test_schemas_that_cannot_be_cut(cohorts, fault):
    with pytest.raises(ValueError, match=fault):
        Schema(name="t", columns=SCHEMA.columns, cohorts=cohorts)


@pytest.mark.parametrize(
    "name", ["2026Q5", "2026-01", "2026", "2026Q2..2026Q1", "2026Q1..2026Q1", ""]
)
def test_a_plan_names_a_cohort_of_the_schema(name):
    with pytest.raises(ValueError, match="cohort"):
        plan_of("s", name)
    with pytest.raises(ValueError, match="no cohorts"):
        make_plan(cohort="2026Q1")
