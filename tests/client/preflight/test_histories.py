"""A steward is told what a study makes of the persons and events of a table."""

import numpy as np
from small_histories import HISTORIES, REPAIRED, events_of
from small_site import make_policy

from fedsynth_client.preflight.preflight import Inspection, preflight
from fedsynth_client.records.sources import FrameSource
from fedsynth_common.privacy.randomness import Randomness


def test_persons_events_and_whom_the_bound_cuts():
    result = preflight(REPAIRED, HISTORIES, make_policy())
    assert result.problems == ()
    assert (result.units, result.histories.events, result.histories.most) == (3, 7, 4)
    told = "\n".join(result.notes)
    assert "1 of 3 persons have more than max_events (3) events" in told
    assert "leaves out 1 of 7 events" in told
    assert "'day': 1 events come more than largest_gap (5)" in told
    assert "'age': it is listed in grows, but its value falls at 2 events" in told
    assert "'sex': it is static, but changes within 1 persons" in told


def test_nothing_is_noted_of_a_table_that_fits():
    good = REPAIRED.iloc[[0, 1, 3, 4, 6]]
    assert preflight(good, HISTORIES, make_policy()).notes == ()


def test_the_least_number_is_of_persons():
    found = preflight(REPAIRED, HISTORIES, make_policy(min_records=4)).problems
    assert found == ("3 persons: the policy's min_records wants at least 4",)


def test_an_event_that_has_no_place_in_the_order_is_a_problem():
    result = preflight(REPAIRED.assign(day=[0, None, 1, 2, 3, 4, 5]), HISTORIES, make_policy())
    assert "column 'day': 1 cell is missing" in result.problems[0]
    assert result.histories is None


def test_a_vault_serves_what_was_checked():
    frame = events_of(np.random.default_rng(0), 30, most=3)
    inspection = Inspection(HISTORIES, make_policy(), keep=True)
    inspection.read(FrameSource(frame, rows=11))
    inspection.result().require_fit()
    records = inspection.records.finish(Randomness())
    assert (records.units, len(records)) == (30, len(frame))
