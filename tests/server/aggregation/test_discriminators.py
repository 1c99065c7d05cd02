"""Averaging: exact where sites behave, bounded where one does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import MOMENT_LIMIT, WEIGHT_LIMIT, pack
from fedsynth_server.aggregation.discriminators import NORM_FACTOR, average

SIZE = 5
START = np.zeros(SIZE, np.float32)
MOMENTS = np.zeros(2 * SIZE, np.float32)
EVEN = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}


def reply(weights, moments=0.0):
    return pb.DiscriminateReply(
        status="OK",
        weights=pack(np.broadcast_to(np.float32(weights), SIZE), "f4"),
        moments=pack(np.broadcast_to(np.float32(moments), 2 * SIZE), "f4"),
    )


def test_the_mean_is_weighted_by_the_public_shares():
    replies = {"a": reply(1.0, 2.0), "b": reply(2.0, 4.0)}
    result = average(replies, {"a": 0.75, "b": 0.25}, START, MOMENTS)
    assert result.weights == pytest.approx(np.full(SIZE, 1.25))
    assert result.moments == pytest.approx(np.full(2 * SIZE, 2.5))
    assert result.excluded == result.scaled == []


def test_shares_are_of_those_that_answered():
    result = average({"a": reply(1.0), "b": reply(3.0)}, EVEN, START, MOMENTS)
    assert result.weights == pytest.approx(np.full(SIZE, 2.0))


def test_a_site_without_a_share_counts_as_an_average_one():
    """It was away when shares were measured and came back."""
    shares = {"a": 0.25, "b": 0.75}
    result = average({"a": reply(1.0), "new": reply(2.0)}, shares, START, MOMENTS)
    assert result.weights == pytest.approx(np.full(SIZE, (0.25 * 1 + 0.5 * 2) / 0.75))
    assert average({"new": reply(4.0)}, {}, START, MOMENTS).weights == pytest.approx([4.0] * SIZE)


@pytest.mark.parametrize(
    "bad",
    [
        pb.DiscriminateReply(status="OK"),
        pb.DiscriminateReply(status="OK", weights=b"\x00" * 3, moments=b""),
        reply(float("nan")),
        reply(float("inf")),
        reply(2 * WEIGHT_LIMIT),
        reply(1.0, float("nan")),
        reply(1.0, 2 * MOMENT_LIMIT),
    ],
)
def test_an_unusable_reply_is_left_out(bad):
    result = average({"a": reply(1.0), "b": bad, "c": reply(1.0)}, EVEN, START, MOMENTS)
    assert result.excluded == ["b"]
    assert result.weights == pytest.approx(np.ones(SIZE))


def test_without_any_usable_reply_nothing_changes():
    start = np.arange(SIZE, dtype=np.float32)
    result = average({"a": reply(float("nan"))}, EVEN, start, MOMENTS)
    assert (result.weights == start).all()
    assert (result.moments == MOMENTS).all()
    assert average({}, EVEN, start, MOMENTS).excluded == []


def test_an_update_far_longer_than_the_others_is_scaled_to_the_limit():
    replies = {"a": reply(1.0), "b": reply(1000.0), "c": reply(1.0)}
    result = average(replies, EVEN, START, MOMENTS)
    assert result.scaled == ["b"]
    assert result.weights == pytest.approx(np.full(SIZE, (1 + NORM_FACTOR + 1) / 3), rel=1e-5)


def test_no_update_at_all_is_no_division_by_zero():
    result = average({"a": reply(0.0), "b": reply(0.0)}, EVEN, START, MOMENTS)
    assert (result.weights == 0).all()
    assert np.isfinite(result.moments).all()


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3))
def test_one_site_moves_the_average_by_a_bounded_amount(values):
    """Two sites agree: whatever the third sends, the step is hardly longer than theirs."""
    replies = {"a": reply(1.0), "b": reply(1.0), "c": reply(values[0])}
    result = average(replies, EVEN, START, MOMENTS)
    assert np.linalg.norm(result.weights) <= NORM_FACTOR * SIZE**0.5 * (1 + 1e-5)


def test_the_order_of_sites_is_the_order_of_summation():
    rng = np.random.default_rng(0)
    replies = {site: reply(rng.normal(size=SIZE)) for site in "abc"}
    first = average(replies, EVEN, START, MOMENTS).weights
    assert (first == average(dict(replies), EVEN, START, MOMENTS).weights).all()


@given(st.floats(-1e8, 1e8, width=32))
def test_one_site_moves_adams_moments_by_a_bounded_amount(value):
    """A huge second moment would freeze the others' next steps, a huge first one would throw them."""
    replies = {"a": reply(1.0, 2.0), "b": reply(1.0, 2.0), "c": reply(1.0, value)}
    result = average(replies, EVEN, START, MOMENTS)
    assert np.abs(result.moments).max() <= 2.0 * NORM_FACTOR * (1 + 1e-5)
