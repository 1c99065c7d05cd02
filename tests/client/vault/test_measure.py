import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedsynth_client.records.records import Records
from fedsynth_client.vault import measure as module
from fedsynth_client.vault.measure import Axis, Marginal, Measurement, contingency, noisy_counts_of
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.schema import IdColumn, IntegerColumn, Schema

WIDTHS = (3, 2, 4)
PERSONS = Schema(
    name="two rows a person",
    columns=(IdColumn(name="key"), IntegerColumn(name="age", minimum=0, maximum=9)),
    person_key="key",
    rows_per_person=2,
)
VIEW = np.array([0, 1, 0, 1], np.uint16)  # of the third column
CODES = arrays(np.uint16, st.tuples(st.integers(0, 40), st.just(3)), elements=st.integers(0, 1))
MARGINALS = [
    Marginal((Axis(0, 3),), 9),
    Marginal((Axis(2, 4), Axis(1, 2)), 16),
    Marginal((Axis(1, 2), Axis(2, 2, view=0)), 9),
    Marginal((Axis(0, 3), Axis(1, 2), Axis(2, 2, view=0)), 25),
]


def by_hand(codes, marginal):
    table = np.zeros([axis.width for axis in marginal.axes], int)
    for row in codes:
        cell = [row[a.column] if a.view is None else VIEW[row[a.column]] for a in marginal.axes]
        table[tuple(cell)] += 1
    return table.ravel()


@settings(deadline=None)
@given(CODES)
def test_counts_are_those_of_counting_by_hand(codes):
    for table, marginal in zip(contingency(codes, [VIEW], MARGINALS), MARGINALS, strict=True):
        assert table.tolist() == by_hand(codes, marginal).tolist()


def test_counts_do_not_depend_on_the_chunks(monkeypatch):
    codes = np.stack([np.random.default_rng(0).integers(0, w, 1000) for w in WIDTHS], 1)
    whole = contingency(codes.astype(np.uint16), [VIEW], MARGINALS)
    monkeypatch.setattr(module, "_ROWS", 7)
    for a, b in zip(whole, contingency(codes.astype(np.uint16), [VIEW], MARGINALS), strict=True):
        assert (a == b).all()


def test_the_reply_holds_the_marginals_in_order_whatever_their_variances():
    codes = np.repeat(np.array([[1, 1, 2]], np.uint16), 100_000, axis=0)
    request = Measurement((VIEW,), tuple(MARGINALS))
    flat = noisy_counts_of(Records(codes), request, Randomness())
    expected = np.concatenate([by_hand(codes[:1], m) * 100_000 for m in MARGINALS])
    assert np.abs(flat - expected).max() < 60


def test_empty_tables_give_noise_of_the_same_length():
    request = Measurement((VIEW,), tuple(MARGINALS))
    counts = noisy_counts_of(Records(np.zeros((0, 3), np.uint16)), request, Randomness())
    assert len(counts) == 3 + 8 + 4 + 12


def test_events_group_marginals_of_equal_variance():
    events = Measurement((VIEW,), tuple(MARGINALS)).events(PERSONS)
    assert [(e.scale, e.sensitivity, e.blocks) for e in events] == [(3, 2, 2), (4, 2, 1), (5, 2, 1)]


@pytest.mark.slow
def test_all_pairs_of_a_wide_table_are_fast():
    codes = np.random.default_rng(0).integers(0, 20, (100_000, 50)).astype(np.uint16)
    pairs = [Marginal((Axis(i, 20), Axis(j, 20)), 9) for i in range(50) for j in range(i)]
    start = time.process_time()
    contingency(codes, [], pairs)
    assert time.process_time() - start < 15
