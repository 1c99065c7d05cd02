"""The imagined federation: it does what sites do, and tells a discriminator's noise from its news."""

import copy

import numpy as np
import pytest
import torch
from small_site import WIDTHS, make_plan

from fedsynth_client.records.records import Records
from fedsynth_client.vault.assignment import Assignment
from fedsynth_client.vault.discriminate import discriminate
from fedsynth_common.networks import Discriminator, flatten
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.null_training import NullTraining
from fedsynth_server.training.predictor_pass import by_column

ROW = np.array([[2, 1, 3]], dtype=np.uint16)


def discriminator_plan(**training):
    training = {"sampling_rate": 1.0, "masked_columns": 3, **training}
    return make_plan(training=training).discriminator


def null_of(start, plan, sites=1, seed=0):
    source = torch.Generator().manual_seed(seed)
    return NullTraining(copy.deepcopy(start), plan, sites, WIDTHS, source)


@pytest.mark.parametrize("clipping_norm", [1e-2, 100.0])
def test_without_noise_it_makes_the_steps_of_a_site(clipping_norm):
    """Records that are all the same: then it does not matter which ones a step takes."""
    plan = discriminator_plan(
        clipping_norm=clipping_norm, steps_per_message=3, expected_batch=50
    ).model_copy(update={"noise_multiplier": 1e-13})  # far below what a plan may ask for
    torch.manual_seed(0)
    start = Discriminator(sum(WIDTHS), plan.hidden)
    null, rows = null_of(start, plan), np.repeat(ROW, 50, axis=0)
    weights, moments = flatten(start), np.zeros(2 * flatten(start).size, np.float32)
    for message in range(2):
        order = Assignment(
            plan=plan,
            views=tuple(np.arange(width, dtype=np.uint16) for width in WIDTHS),
            widths=WIDTHS,
            weights=weights,
            moments=moments,
            message=message,
        )
        records = Records(np.repeat(ROW, 50, axis=0))
        weights, moments = discriminate(records, order, SeededRandomness(0))
        null.message(rows)
    assert flatten(null.network) == pytest.approx(weights, abs=1e-5)
    assert null.moments.reshape(-1).numpy() == pytest.approx(moments, abs=1e-6)
    assert np.abs(weights - flatten(start)).max() > 0.05


def test_sites_average_their_noise_away():
    plan = discriminator_plan(noise_multiplier=50.0, steps_per_message=1, learning_rate=0.1)
    start = Discriminator(sum(WIDTHS), plan.hidden)
    rows, moved = np.repeat(ROW, 50, axis=0), {}
    for sites in (1, 4, 16):
        draws = [null_of(start, plan, sites, seed) for seed in range(20)]
        for null in draws:
            null.message(rows)
        ends = np.array([flatten(null.network) for null in draws])
        moved[sites] = ends.std(axis=0).mean()
    assert moved[4] / moved[1] == pytest.approx(0.5, rel=0.15)
    assert moved[16] / moved[4] == pytest.approx(0.5, rel=0.15)


def agreeing(share, n=4_000):
    """Two binary columns that agree in a share of the rows, and one of noise."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, n)
    other = np.where(rng.random(n) < share, first, 1 - first)
    codes = np.stack([first, other, rng.integers(0, 4, n)], axis=1)
    return codes.astype(np.uint16)


def signal_of(of, seed=0, messages=6):
    """What the coordinator believes of discriminators trained, with noise, on the rows `of`."""
    plan = discriminator_plan(
        noise_multiplier=2.0, steps_per_message=12, expected_batch=100, hidden=(8,)
    )
    made = agreeing(0.5)
    source = torch.Generator().manual_seed(seed)
    log_ratio = LogRatio(WIDTHS, plan.hidden, by_column(made), source)
    assert log_ratio.signal_share.tolist() == [0.0] * 3
    sites = null_of(
        log_ratio.record_predictor, plan, 5, seed + 100
    )  # the same training, with records
    null = null_of(log_ratio.record_predictor, plan, 5, seed + 200)
    for _ in range(messages):
        sites.message(of)
        null.message(made)
    log_ratio.record_predictor = sites.network
    log_ratio.estimate_signal(null.network, by_column(made))
    return log_ratio.signal_share.numpy()


def test_what_is_new_is_signal_and_noise_is_not():
    found = np.mean([signal_of(agreeing(0.95), seed) for seed in range(3)], axis=0)
    assert (found[:2] > 0.8).all()  # the columns that agree
    assert np.mean([signal_of(agreeing(0.5), seed) for seed in range(5)]) < 0.4


def test_it_repeats_with_the_seed_alone():
    plan, ends = discriminator_plan(), []
    torch.manual_seed(0)
    start, rows = Discriminator(sum(WIDTHS), plan.hidden), agreeing(0.7)
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        null = null_of(start, plan, 2)
        null.message(rows)
        ends.append(flatten(null.network))
    assert (ends[0] == ends[1]).all()
    assert (ends[0] != flatten(start)).any()
