from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from small_site import WIDTHS, make_plan, make_records

from fedsynth_client.records.records import Records
from fedsynth_client.vault import assignment as assigned
from fedsynth_client.vault import discriminate as module
from fedsynth_client.vault.assignment import Assignment, Sizes, within_bounds
from fedsynth_client.vault.discriminate import (
    Trainer,
    discriminate,
    get_moments,
    set_moments,
)
from fedsynth_common.networks import (
    Discriminator,
    column_blocks,
    flatten,
    load_flat,
    one_hot,
    prediction,
)
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness

VIEWS = tuple(np.arange(width, dtype=np.uint16) for width in WIDTHS)


def assignment(message=0, rows_per_person=1, **training):
    plan = make_plan(training={"masked_columns": 3} | training).discriminator
    torch.manual_seed(0)
    weights = flatten(Discriminator(sum(WIDTHS), plan.hidden))
    return Assignment(
        plan=plan,
        views=VIEWS,
        widths=WIDTHS,
        weights=weights,
        moments=np.zeros(2 * weights.size, np.float32),
        message=message,
        rows_per_person=rows_per_person,
    )


def gradient_of_record(order, codes, blanked=range(3)):
    """The oracle: autograd on one record, one blanked column after the other."""
    network = Discriminator(sum(WIDTHS), order.plan.hidden).double()
    load_flat(network, order.weights)
    losses = []
    for column in blanked:
        ends = np.cumsum(WIDTHS)
        block = slice(ends[column] - WIDTHS[column], ends[column])
        row = one_hot(codes[None], WIDTHS)[0].double()
        row[block] = 0.0
        losses.append(-torch.log_softmax(network(row)[block], dim=0)[int(codes[column])])
    return list(torch.autograd.grad(sum(losses) / len(losses), list(network.parameters())))


def expected_gradient(order, records, units=None):
    """Clipped average over all units, when every column is blanked."""
    units = [[i] for i in range(len(records))] if units is None else units
    samples = []
    for unit in units:
        rows = [gradient_of_record(order, records.codes[i]) for i in unit]
        samples.append([sum(parts) for parts in zip(*rows, strict=True)])
    stacked = [torch.stack(parts) for parts in zip(*samples, strict=True)]
    flat = torch.cat([part.flatten(1) for part in stacked], dim=1)
    factors = (order.plan.clipping_norm / flat.norm(dim=1)).clamp(max=1.0)
    return (factors @ flat).numpy() / order.plan.expected_batch


TINY_NOISE = {"noise_multiplier": 0.3, "sampling_rate": 1.0, "clipping_norm": 0.5}


def average_gradient(order, records, repeats=1):
    trainer = Trainer(order, Randomness())
    trainer.optimizer.noise_multiplier = 1e-9
    return np.mean([trainer.private_gradient(records).copy() for _ in range(repeats)], axis=0)


@pytest.mark.parametrize("rows", [0, 1, 2, 33])
@pytest.mark.parametrize("piece", [1, 7, 512])
@pytest.mark.parametrize("hidden", [(4,), (5, 3)])
@pytest.mark.parametrize("masked", [3, 64])
def test_gradients_are_those_of_single_records(monkeypatch, rows, piece, masked, hidden):
    """Also where the plan asks for more columns than there are: all are blanked, each once."""
    monkeypatch.setattr(assigned, "_ROWS", piece)
    order = assignment(masked_columns=masked, hidden=hidden, **TINY_NOISE)
    records = make_records(rows)
    expected = expected_gradient(order, records) if rows else 0.0
    np.testing.assert_allclose(average_gradient(order, records), expected, atol=1e-6)


@pytest.mark.parametrize("masked", [1, 2, 3])
@pytest.mark.parametrize("hidden", [(4,), (5, 3)])
def test_each_records_gradient_is_that_of_its_blanked_columns(masked, hidden):
    order = assignment(sampling_rate=1.0, masked_columns=masked, hidden=hidden)
    found, records = gradients_of(order, make_records(40)), make_records(40)
    norms, ones = found.squared_norms().sqrt(), torch.eye(found.rows, dtype=torch.float64)
    assert len(found.owner) == found.rows * masked
    for i, codes in enumerate(records.codes):
        blanked = found.predicted[found.owner.numpy() == i]
        expected = gradient_of_record(order, codes, blanked)
        whole = torch.cat([part.reshape(-1) for part in expected])
        assert float(norms[i]) == pytest.approx(float(whole.norm()), rel=1e-5)
        for one, wanted in zip(found.weighted_sum(ones[i]), expected, strict=True):
            torch.testing.assert_close(one, wanted, atol=1e-6, rtol=1e-4)


def gradients_of(order, records):
    """Gradients of all records, in one piece that may be filled up."""
    trainer = Trainer(order, Randomness())
    return trainer._gradients(records, np.arange(len(records)), np.random.default_rng(0))


@pytest.mark.parametrize("piece", [(1, 1), (2, 64), (4, 2), (128, 64)])
@pytest.mark.parametrize("hidden", [(4,), (5, 3)])
def test_a_persons_rows_are_clipped_together(monkeypatch, piece, hidden):
    """Whatever the size of a piece, which holds at least a person."""
    monkeypatch.setattr(assigned, "_ROWS_OF_UNITS", piece[0])
    monkeypatch.setattr(assigned, "_UNITS", piece[1])
    order = assignment(rows_per_person=3, hidden=hidden, **TINY_NOISE)
    person = np.array([2, 0, 1, 0, 2, 0], np.int64)
    records = Records(make_records(6).codes, person)
    units = [np.flatnonzero(person == p) for p in range(3)]
    expected = expected_gradient(order, records, units)
    np.testing.assert_allclose(average_gradient(order, records), expected, atol=1e-6)


def test_more_rows_of_a_person_than_the_schema_allows_are_refused():
    with pytest.raises(PrivacyError, match="more rows"):
        average_gradient(assignment(**TINY_NOISE), Records(make_records(2).codes, np.zeros(2, int)))


@pytest.mark.parametrize("rows_per_person", [1, 60])
def test_pieces_have_a_public_size(rows_per_person):
    """Whatever the records are: that of an empty table and of one with large persons is the same."""
    order = assignment(rows_per_person=rows_per_person, sampling_rate=1.0)
    sizes = set()
    for rows in (0, 1, 1000):
        person = None if rows_per_person == 1 else np.arange(rows) // 60
        trainer, records = Trainer(order, Randomness()), Records(make_records(rows).codes, person)
        for piece in trainer._pieces(records):
            assert len(piece.rows) <= trainer.sizes.rows
            assert piece.groups.max(initial=0) < trainer.sizes.units
            sizes.add(trainer._gradients(records, piece.rows, np.random.default_rng(0)).rows)
    assert len(sizes) == 1


def test_a_person_whose_rows_would_not_fit_into_memory_is_refused_whoever_is_there():
    """From the plan alone: 60 rows for a network of 2.9 million parameters."""
    order = assignment(hidden=(150_000,))
    assert within_bounds(order)
    assert Sizes.of(order).values <= 1 << 22
    assert not within_bounds(replace(order, rows_per_person=60))


@pytest.mark.parametrize("masked", [1, 2])
def test_blanked_columns_are_distinct_and_uniformly_random(masked):
    order = assignment(sampling_rate=1.0, masked_columns=masked)
    trainer, seen = Trainer(order, Randomness()), []
    generator, records = Randomness().generator(), make_records(60)
    for _ in range(100):
        found = trainer._gradients(records, np.arange(60), generator)
        owned = [found.predicted[found.owner.numpy() == row].tolist() for row in range(60)]
        seen += [tuple(sorted(set(columns))) for columns in owned]
    counts = Counter(seen)
    assert set(counts) == set(combinations(range(3), masked))
    assert all(abs(count - 2000) < 220 for count in counts.values())  # sigma 37


def test_views_are_applied_to_records():
    views = (*VIEWS[:2], np.array([1, 0, 1, 0], np.uint16))
    records = make_records(50)
    seen = module._through(views, records.codes)
    assert (seen[:, 2] == views[2][records.codes[:, 2]]).all()
    assert (seen[:, :2] == records.codes[:, :2]).all()


def test_messages_in_a_row_equal_one_long_message():
    """Moments and step count carry over: two messages of two steps are one of four."""
    records, randomness = make_records(100), SeededRandomness(3)
    first = assignment(message=0)
    weights, moments = discriminate(records, first, randomness)
    second = replace(first, weights=weights, moments=moments, message=1)
    weights, moments = discriminate(records, second, randomness)
    long = replace(first, plan=first.plan.model_copy(update={"steps_per_message": 4}))
    expected, expected_moments = discriminate(records, long, SeededRandomness(3))
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(moments, expected_moments, rtol=1e-5, atol=1e-7)


def test_moments_read_back_and_second_moments_are_not_negative():
    network = Discriminator(sum(WIDTHS), (4,))
    size = flatten(network).size
    adam = torch.optim.Adam(network.parameters())
    moments = np.linspace(-1, 1, 2 * size).astype(np.float32)
    set_moments(adam, moments, 7)
    expected = np.concatenate([moments[:size], moments[size:].clip(min=0)])
    assert get_moments(adam).tolist() == expected.tolist()
    assert {float(state["step"]) for state in adam.state.values()} == {7.0}


def test_training_teaches_the_discriminator():
    """With little noise, a column that copies another is predicted, one that is chance is not."""
    training = {"noise_multiplier": 0.3, "steps_per_message": 80, "sampling_rate": 1.0}
    order = assignment(expected_batch=500, learning_rate=0.05, hidden=(16,), **training)
    codes = make_records(500).codes
    codes[:, 2] = codes[:, 1]
    weights, _ = discriminate(Records(codes), order, Randomness())
    network = Discriminator(sum(WIDTHS), order.plan.hidden)
    load_flat(network, weights)
    rows, blocks = one_hot(codes, WIDTHS), column_blocks(WIDTHS)
    with torch.no_grad():
        right = [prediction(network, rows, block.expand_as(rows)).exp().mean() for block in blocks]
    assert right[1] > 0.9
    assert right[2] > 0.9
    assert right[0] < 0.5


def test_the_network_has_no_buffers():
    assert list(Discriminator(sum(WIDTHS), (4, 3)).named_buffers()) == []


def test_a_step_beyond_the_bound_of_rounding_is_undone():
    """Adam's first moments, which the coordinator sends, throw the weights out of it."""
    order = assignment(learning_rate=1.0)
    moments = np.concatenate([np.full(order.weights.size, 1e8), np.zeros(order.weights.size)])
    order = replace(order, moments=moments.astype(np.float32))
    weights, moments = discriminate(make_records(20), order, Randomness())
    assert (weights == order.weights).all()
    assert np.isfinite(moments).all()
    assert (moments != order.moments).all()


def test_weights_at_the_edge_of_float32_give_finite_results():
    order = assignment()
    order = replace(order, weights=np.full_like(order.weights, np.finfo(np.float32).max))
    assert not within_bounds(order)
    weights, moments = discriminate(make_records(20), order, Randomness())
    assert np.isfinite(weights).all()
    assert np.isfinite(moments).all()
    assert weights.size == order.weights.size
