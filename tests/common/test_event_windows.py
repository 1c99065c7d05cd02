"""What a discriminator sees of an event: the event, the person, and that person's events before."""

import numpy as np
import pytest
from small_histories import HISTORIES

from fedsynth_common.networks.event_windows import REACH, EventWindows, windows_of
from fedsynth_common.schema import domains, history_schema, layout_of

WIDTHS = (3, 4, 2, 5)
STATIC = 2


def events(seed, persons=20, most=6):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), rng.integers(1, most + 1, persons))
    codes = np.stack([rng.integers(0, width, len(person)) for width in WIDTHS], 1)
    return codes.astype(np.uint16), person


def slow_rows(codes, person, reach):
    found = []
    for k in range(len(codes)):
        row = codes[k].tolist()
        for lag in range(1, reach + 1):
            there = k >= lag and person[k - lag] == person[k]
            row += codes[k - lag, STATIC:].tolist() if there else list(WIDTHS[STATIC:])
        found.append(row)
    return found


@pytest.mark.parametrize("most", [1, 2, 3, 6])
def test_a_row_is_the_event_and_the_events_before(most):
    windows, (codes, person) = EventWindows(STATIC, WIDTHS, most), events(most, most=most)
    rows = windows.rows(codes, person)
    assert windows.reach == min(REACH, most - 1)
    assert rows.tolist() == slow_rows(codes, person, windows.reach)
    assert rows.shape[1] == len(windows.widths)
    assert (rows < np.array(windows.widths)).all()
    assert windows.rows(codes[:0], person[:0]).shape == (0, len(windows.widths))


def test_the_events_own_columns_are_predicted_in_any_order():
    windows = EventWindows(STATIC, WIDTHS, 3)
    order = windows.order(np.random.default_rng(0), 400)
    assert (np.sort(order, axis=1) == np.arange(len(windows.widths))).all()
    own = len(windows.predicted)
    assert set(order[:, :own].ravel()) == set(windows.predicted) == {2, 3}
    assert 150 < (order[:, 0] == 2).sum() < 250


def test_windows_of_a_schema_have_its_columns():
    layout = layout_of(HISTORIES)
    widths = [domain.width for domain in domains(history_schema(HISTORIES))]
    windows = windows_of(HISTORIES, widths)
    assert (windows.static, windows.max_events) == (len(layout.static), layout.max_events)
    assert list(windows.predicted) == list(layout.events)
