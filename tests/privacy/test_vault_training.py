"""DP-SGD through the production path: sensitivity, noise, sampling, crafted weights, a white-box audit.

The audit's adversary is the strongest that the guarantee speaks of: it knows every other record
(none), chooses weights and canary, and sees the noisy gradient itself.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from small_site import WIDTHS, Site, make_plan, make_records

from fedsynth_client.records.records import Records
from fedsynth_client.vault.assignment import Assignment
from fedsynth_client.vault.discriminate import Trainer
from fedsynth_common.networks import (
    Discriminator,
    column_blocks,
    flatten,
    load_flat,
    one_hot,
    prediction,
)
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness

pytestmark = pytest.mark.privacy
CANARY = np.array([[2, 1, 3]], np.uint16)
NOBODY = Records(np.zeros((0, 3), np.uint16))
SIGMA = 1.0


def assignment(hidden=(4,), **training):
    """All columns are blanked, each in its copy, so that only the noise is random."""
    common = {"sampling_rate": 1.0, "noise_multiplier": SIGMA, "masked_columns": len(WIDTHS)}
    plan = make_plan(training={**common, "hidden": hidden, **training}).discriminator
    network = Discriminator(sum(WIDTHS), hidden)
    weights = np.random.default_rng(0).normal(0, 0.5, flatten(network).size).astype(np.float32)
    return Assignment(
        plan=plan,
        views=tuple(np.arange(width, dtype=np.uint16) for width in WIDTHS),
        widths=WIDTHS,
        weights=weights,
        moments=np.zeros(2 * weights.size, np.float32),
        message=0,
    )


def gradient_sum(order, records, randomness=None, noise=None):
    """Noisy sum of clipped gradients, in units of the clipping norm."""
    trainer = Trainer(order, randomness or Randomness())
    if noise is not None:
        trainer.optimizer.noise_multiplier = noise
    gradient = trainer.private_gradient(records)
    return gradient * order.plan.expected_batch / order.plan.clipping_norm


def canary_direction(order):
    network = Discriminator(sum(WIDTHS), order.plan.hidden)
    load_flat(network, order.weights)
    copies = one_hot(CANARY, WIDTHS).expand(len(WIDTHS), -1)
    loss = -prediction(network, copies, column_blocks(WIDTHS)).mean()
    parts = torch.autograd.grad(loss, list(network.parameters()))
    gradient = torch.cat([part.reshape(-1) for part in parts]).double().numpy()
    return gradient / np.linalg.norm(gradient), np.linalg.norm(gradient)


def lower_bound(absent, present, threshold=0.5, confidence=0.99):
    """Lower confidence bound of the Gaussian-DP mu that separates two samples of scores.

    Clopper-Pearson bounds of both error rates of one threshold (chosen beforehand), as in Nasr et
    al. 2023 (arXiv:2302.07956).
    """
    n, tail = len(absent), (1 - confidence) / 2
    errors = [np.sum(absent > threshold), np.sum(present <= threshold)]
    rates = [stats.beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0 for k in errors]
    return -stats.norm.ppf(rates[0]) - stats.norm.ppf(rates[1])


def audit(records_with, records_without, order, direction, runs=400):
    randomness = SeededRandomness(11)  # repeatable verdict; the streams of two runs never coincide
    return [
        np.array([gradient_sum(order, records, randomness) @ direction for _ in range(runs)])
        for records in (records_without, records_with)
    ]


def test_white_box_audit_finds_no_more_than_the_claimed_mu():
    order = assignment(clipping_norm=1e-3)
    direction, norm = canary_direction(order)
    assert norm > 10 * order.plan.clipping_norm  # the canary uses up its whole share
    absent, present = audit(Records(CANARY), NOBODY, order, direction)
    bound = lower_bound(absent, present)
    assert bound <= 1 / SIGMA
    assert bound >= 0.5 / SIGMA  # the audit has teeth: a mechanism of mu 2 would be caught


def test_the_audit_catches_half_the_noise():
    order = assignment(clipping_norm=1e-3, noise_multiplier=SIGMA / 2)
    absent, present = audit(Records(CANARY), NOBODY, order, canary_direction(order)[0], runs=200)
    assert lower_bound(absent, present) > 1 / SIGMA


def noise_fits(samples, sigma):
    """Whether zero-mean samples have standard deviation sigma, to 5 %."""
    return abs(np.sqrt(np.mean(np.square(samples))) / sigma - 1) < 0.05


def test_noise_on_every_coordinate_has_the_claimed_scale():
    order = assignment(noise_multiplier=3.0)
    draws = np.array([gradient_sum(order, NOBODY) for _ in range(300)])
    assert noise_fits(draws, 3.0)
    assert not noise_fits(draws, 3.0 * 2 / 3)
    assert not noise_fits(draws, 3.0 * 3 / 2)
    per_coordinate = np.sqrt(np.mean(draws**2, axis=0))
    assert np.abs(per_coordinate / 3.0 - 1).max() < 0.2  # sigma of each 4 %
    correlation = np.corrcoef(draws, rowvar=False) - np.eye(draws.shape[1])
    assert np.abs(correlation).max() < 0.3  # sigma of each 6 %


def test_every_step_adds_fresh_noise_also_when_nobody_is_drawn():
    order = assignment(steps_per_message=5)
    trainer = Trainer(order, Randomness())
    seen = []
    for _ in range(5):
        trainer.step(NOBODY)
        seen.append(np.concatenate([p.grad.reshape(-1) for p in trainer.optimizer.params]))
    assert len({gradient.tobytes() for gradient in seen}) == 5
    assert {float(s["step"]) for s in trainer.optimizer.state.values()} == {5.0}


EXTREME = st.sampled_from([0.0, 1e-30, 1.0, 1e4, 1e18, 3e38])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 20), st.integers(0, 10**6), EXTREME, st.sampled_from([1, 3]))
def test_a_unit_moves_the_sum_by_at_most_the_clipping_norm(others, seed, scale, rows):
    """Also with weights at the edge of float32, and for a person with several rows."""
    order = replace(assignment(clipping_norm=0.5), rows_per_person=rows)
    rng = np.random.default_rng(seed)
    weights = (order.weights.astype(np.float64) * scale).clip(-3e38, 3e38)
    order = replace(order, weights=weights.astype(np.float32))
    codes = np.stack([rng.integers(0, width, others + rows) for width in WIDTHS], 1)
    person = np.r_[np.arange(others), np.full(rows, others)]
    whole = Records(codes.astype(np.uint16), person)
    without = Records(whole.codes[:others], person[:others])
    moved = gradient_sum(order, whole, noise=1e-12) - gradient_sum(order, without, noise=1e-12)
    assert np.linalg.norm(moved) <= 1 + 1e-6 * max(1.0, scale)  # no bound of rounding holds there


def test_samples_are_poisson_samples():
    order = assignment(sampling_rate=0.25)
    trainer, records = Trainer(order, Randomness()), make_records(400)
    sizes = [sum(len(p.rows) for p in trainer._pieces(records)) for _ in range(800)]
    assert abs(np.mean(sizes) - 100) < 1.5  # sigma 0.31
    assert 55 < np.var(sizes) < 100  # q (1 - q) n = 75; a batch of fixed size has 0


def crafted(order):
    """Float64 weights under which the canary's gradient alone overflows.

    It is the copy without column 1 that does: the first layer tells whether columns 0 and 2 are the
    canary's. If not, the second feature is saturated and nothing comes back through it. If so, the
    head is certain that column 1 is 0. That costs records which have it nothing; the canary's error
    comes back times 1e200 twice, and that is beyond float64.
    """
    network = Discriminator(sum(WIDTHS), order.plan.hidden).double()
    first, second, owner = network.features[0], network.features[2], column_blocks(WIDTHS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        first.weight.copy_(one_hot(CANARY, WIDTHS).masked_fill(owner[1], 0.0) * 100.0)
        first.bias.fill_(-200.0)
        second.weight.fill_(1e200)
        second.bias.fill_(0.5)
        network.heads.weight[owner[1], 0] = torch.tensor([1e200, -1e200], dtype=torch.float64)
    return network


def others_and_canary():
    """Every record that there can be but the canary; and all of them."""
    records = np.array(list(np.ndindex(WIDTHS)), np.uint16)
    others = records[(records != CANARY).any(axis=1)]
    return Records(others), Records(np.concatenate([others, CANARY]))


def crafted_trainer(rows_per_person=1):
    order = replace(assignment(hidden=(1, 1)), rows_per_person=rows_per_person)
    trainer = Trainer(order, Randomness())
    trainer.network.load_state_dict(crafted(order).state_dict())
    return trainer


def test_crafted_weights_make_only_the_canary_overflow():
    """The attack is real: without a guard, non-finite would mean present."""
    for records, finite in zip(others_and_canary(), (True, False), strict=True):
        rows = np.arange(len(records))
        gradients = crafted_trainer()._gradients(records, rows, np.random.default_rng(0))
        assert bool(torch.isfinite(gradients.squared_norms()).all()) == finite


@pytest.mark.parametrize("rows_per_person", [1, 2])
def test_crafted_weights_reveal_nothing(rows_per_person):
    """200 + 200 runs, past the check at the door: never non-finite, never without its noise."""
    for records in others_and_canary():
        if rows_per_person > 1:
            records = Records(records.codes, np.arange(len(records)))
        trainer = crafted_trainer(rows_per_person)
        for _ in range(200):
            gradient = trainer.private_gradient(records)
            assert np.isfinite(gradient).all()
            assert (gradient != 0).all()


def test_crafted_weights_are_refused_at_the_door():
    site = Site(plan=make_plan(training={"hidden": (1, 1)})).enrolled()
    limited = flatten(crafted(assignment(hidden=(1, 1)))).clip(-1e4, 1e4)
    weights = limited.tobytes()
    assert site.vault.discriminate(site.discriminate_request(weights=weights)).status == (
        "ERR_PAYLOAD"
    )
    assert site.ledger.head()[0] == 0


def test_global_seeds_have_no_influence():
    replies = []
    for _ in range(2):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 - the point of the test
        site = Site().enrolled()
        replies.append(
            (
                site.vault.measure(site.measure_request()).counts,
                site.vault.discriminate(site.discriminate_request()).weights,
            )
        )
    assert replies[0][0] != replies[1][0]
    assert replies[0][1] != replies[1][1]
