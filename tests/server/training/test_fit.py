"""The warm start of the rounds learns what was measured, the same way each time."""

import numpy as np
import pytest
import torch

from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.fit import fit, new_generator
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.settings import TrainingSettings

WIDTHS = (2, 3)
SETTINGS = TrainingSettings(latents=64, latent_size=8, hidden=16, network_steps=300)
PAIR = np.array([[0.4, 0.05, 0.05], [0.05, 0.05, 0.4]])


def measured(variance=1e-6):
    rows = [((0,), PAIR.sum(1)), ((1,), PAIR.sum(0)), ((0, 1), PAIR)]
    return [MarginalEstimate(columns=c, frequencies=f, variance=variance) for c, f in rows]


def pair_of(network):
    with torch.no_grad():
        soft = network.soft_rows().double().numpy()
    return soft[:, :2].T @ soft[:, 2:] / len(soft)


def fitted(settings=SETTINGS):
    network = new_generator(measured()[:2], WIDTHS, settings)
    return network, fit(
        network, MarginalLoss(measured(), WIDTHS), settings.network_steps, settings.learning_rate
    )


def test_a_new_generator_has_the_margins_in_its_bias():
    network = new_generator(measured()[:2], WIDTHS, SETTINGS)
    bias = network.head.bias.detach()
    assert torch.softmax(bias[:2], 0).numpy() == pytest.approx(PAIR.sum(1), abs=1e-4)
    assert torch.softmax(bias[2:], 0).numpy() == pytest.approx(PAIR.sum(0), abs=1e-4)


def test_dependence_is_learned():
    network, loss = fitted()
    assert np.abs(pair_of(network) - PAIR).max() < 0.01
    start = float(
        MarginalLoss(measured(), WIDTHS).loss(
            new_generator(measured()[:2], WIDTHS, SETTINGS).soft_rows().detach()
        )
    )
    assert loss < start / 100


def test_the_same_seed_gives_the_same_weights():
    torch.manual_seed(1)
    first = fitted()[0].state_dict()
    torch.manual_seed(2)  # the global generator has no say
    again = fitted()[0].state_dict()
    other = fitted(SETTINGS.model_copy(update={"seed": 1}))[0].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_ticks_count_the_steps():
    seen = []
    short = SETTINGS.model_copy(update={"network_steps": 4})
    network = new_generator(measured()[:2], WIDTHS, short)
    fit(
        network,
        MarginalLoss(measured(), WIDTHS),
        short.network_steps,
        short.learning_rate,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_fit_ends_at_its_goal():
    seen, ticks = [], []
    network = new_generator(measured()[:2], WIDTHS, SETTINGS)
    last = fit(
        network,
        MarginalLoss(measured(), WIDTHS, target_loss=1.0),
        300,
        1e-2,
        lambda done, total: ticks.append((done, total)),
        lambda step, loss: seen.append((step, loss)),
    )
    assert last <= 1.0 < seen[-2][1]
    assert 0 < seen[-1][0] < 300
    assert ticks[-1] == (300, 300)


def test_more_doubt_ends_a_fit_sooner():
    assert SETTINGS.target_loss_for(0.5) > SETTINGS.target_loss_for(0.1) > 0
    assert SETTINGS.model_copy(update={"enough": 0.0}).target_loss_for(0.5) == 0
