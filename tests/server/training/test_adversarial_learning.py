"""The adversarial rounds alone teach a generator what no marginal told it.

Two columns that always agree; the generator knows their one-way marginals, precisely, and nothing
else. Discriminators are trained without noise here: this is about learning, not about privacy. A stiff
marginal loss, a wrong sign or a missing predictor of the generator all fail it.
"""

import numpy as np
import pytest
import torch

from fedsynth_common.networks import one_hot, predictions
from fedsynth_release.sampling.latents import cumulative_tables, draw_codes
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.adversary import Adversary
from fedsynth_server.training.fit import new_generator
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.predictor_pass import by_column
from fedsynth_server.training.rounds import ALONE
from fedsynth_server.training.settings import TrainingSettings

WIDTHS = (3, 3)
SETTINGS = TrainingSettings(latents=256, latent_size=16, hidden=32, adversarial_batch=512)


def agreement(network, rng):
    codes = draw_codes(cumulative_tables(network), 20_000, rng)
    return float((codes[:, 0] == codes[:, 1]).mean())


def made(network, rng):
    return by_column(draw_codes(cumulative_tables(network), 4_000, rng))


@pytest.mark.parametrize("variance", [1e-4, 1e-8])
def test_a_discriminator_teaches_dependence(variance):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    real = np.repeat(rng.integers(0, 3, (4_000, 1)), 2, axis=1).astype(np.uint16)
    first = [
        MarginalEstimate(
            columns=(j,), frequencies=np.bincount(real[:, j]) / len(real), variance=variance
        )
        for j in (0, 1)
    ]
    marginal_loss = MarginalLoss(first, WIDTHS)
    network = new_generator(first, WIDTHS, SETTINGS)
    assert agreement(network, rng) < 0.45
    adversary = Adversary(network, marginal_loss.excess, ALONE, SETTINGS)
    source = torch.Generator().manual_seed(0)
    log_ratio = LogRatio(WIDTHS, (32,), made(network, rng), source, first_steps=200)
    log_ratio.record_predictor.requires_grad_(True)
    log_ratio.signal_share.fill_(1.0)
    optimiser = torch.optim.Adam(
        log_ratio.record_predictor.parameters(), lr=2e-3, betas=(0.5, 0.999)
    )
    for _ in range(25):
        for _ in range(12):
            rows = one_hot(real[rng.integers(0, len(real), 512)], WIDTHS)
            loss = -predictions(log_ratio.record_predictor, rows, WIDTHS).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        log_ratio.follow(made(network, rng))
        adversary.round(log_ratio)
    assert agreement(adversary.release(), rng) > 0.7
    soft = adversary.release().soft_rows().detach().mean(0)
    assert float((soft - marginal_loss.first_target).abs().max()) < 0.06
