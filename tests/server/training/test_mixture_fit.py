"""The finished generator is fitted to what was measured, no closer than its noise allows."""

import numpy as np
import pytest
import torch

from fedsynth_release.generator_mixture import GeneratorMixture
from fedsynth_release.generator_network import softmax_by_code
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.fit import new_generator
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.mixture_fit import (
    LONGEST,
    calibrate,
    fit_mixture,
    natural_gradient,
    new_mixture,
)
from fedsynth_server.training.settings import TrainingSettings

WIDTHS = (2, 3)
SETTINGS = TrainingSettings(latents=64, latent_size=8, hidden=16)
PAIR = np.array([[0.4, 0.05, 0.05], [0.05, 0.05, 0.4]])


def measured(variance=1e-6):
    rows = [((0,), PAIR.sum(1)), ((1,), PAIR.sum(0)), ((0, 1), PAIR)]
    return [MarginalEstimate(columns=c, frequencies=f, variance=variance) for c, f in rows]


def pair_of(mixture):
    soft = mixture.soft_rows().double().numpy()
    return soft[:, :2].T @ soft[:, 2:] / len(soft)


def fitted(settings=SETTINGS, steps=300, target=1.0, **watch):
    mixture = new_mixture(measured()[:2], WIDTHS, settings)
    loss = MarginalLoss(measured(), WIDTHS, target_loss=target)
    return mixture, fit_mixture(mixture, loss, steps, **watch)


def test_a_new_mixture_is_nearly_independent_with_the_measured_margins():
    pair = pair_of(new_mixture(measured()[:2], WIDTHS, TrainingSettings(latents=20_000)))
    assert pair == pytest.approx(np.outer(pair.sum(1), pair.sum(0)), abs=0.005)
    assert pair.sum(1) == pytest.approx(PAIR.sum(1), abs=0.02)
    assert pair.sum(0) == pytest.approx(PAIR.sum(0), abs=0.02)


def test_dependence_is_learned():
    mixture, loss = fitted()
    assert np.abs(pair_of(mixture) - PAIR).max() < 0.004  # four standard deviations
    assert loss <= 1.0


def test_the_fit_ends_as_soon_as_the_noise_explains_what_is_left():
    seen, ticks = [], []
    mixture, last = fitted(
        tick=lambda done, total: ticks.append((done, total)),
        record=lambda step, loss: seen.append((step, loss)),
    )
    assert seen[-1] == (len(seen) - 1, last)
    assert last <= 1.0 < min(loss for _, loss in seen[:-1])
    assert ticks[-1] == (300, 300)
    before = mixture.logits.detach().clone()
    fit_mixture(mixture, MarginalLoss(measured(), WIDTHS, target_loss=1.0), 300)
    assert torch.equal(before, mixture.logits)


def test_no_more_steps_are_taken_than_allowed_and_none_is_longer_than_its_bound():
    before = new_mixture(measured()[:2], WIDTHS, SETTINGS)
    after, _ = fitted(steps=1)
    moved = (after.logits - before.logits).detach()
    soft = before.soft_rows().t()
    length = float(((moved.square() * soft).sum(0).mean()).sqrt())
    assert 0 < length <= LONGEST * 1.001
    with pytest.raises(AssertionError):
        torch.testing.assert_close(fitted(steps=2)[0].logits, after.logits)


def test_the_same_seed_gives_the_same_logits():
    torch.manual_seed(1)
    first = fitted()[0].logits
    torch.manual_seed(2)  # the global generator has no say
    assert torch.equal(first, fitted()[0].logits)
    other = fitted(SETTINGS.model_copy(update={"seed": 1}))[0].logits
    assert not torch.equal(first, other)


def test_the_natural_gradient_times_the_metric_is_the_gradient():
    """The metric of a softmax is diag(p) - p pᵀ; the gradient at its logits is the metric times s."""
    source = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 7, generator=source, dtype=torch.float64, requires_grad=True)
    slopes = torch.randn(5, 7, generator=source, dtype=torch.float64)
    soft = torch.cat([part.softmax(0) for part in torch.split(logits, WIDTHS)])
    (soft * slopes).sum().backward()
    p = softmax_by_code(logits.detach(), WIDTHS)
    natural = natural_gradient(slopes.clone(), p, WIDTHS)
    metric_times = natural * p  # the centred gradient has mean zero, so that p pᵀ adds nothing
    torch.testing.assert_close(metric_times, logits.grad)


def test_a_column_without_pairs_and_a_target_of_zero_end_without_a_fault():
    first = [MarginalEstimate(columns=(0,), frequencies=np.array([0.2, 0.8]), variance=1e-6)]
    mixture = new_mixture(first, (2,), SETTINGS)
    last = fit_mixture(mixture, MarginalLoss(first, (2,)), 200)
    assert last < 1e-3
    assert torch.isfinite(mixture.logits).all()
    assert mixture.soft_rows().mean(0).numpy() == pytest.approx([0.2, 0.8], abs=1e-3)


def test_a_mixture_of_a_network_has_its_distribution():
    network = new_generator(measured()[:2], WIDTHS, SETTINGS)
    mixture = GeneratorMixture.of(network)
    before = network.soft_rows().detach()
    torch.testing.assert_close(mixture.soft_rows(), before)
    mixture.shift(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]))
    assert torch.equal(network.soft_rows().detach(), before)  # nothing is shared


def test_calibration_brings_the_margins_back():
    mixture, _ = fitted()
    mixture.shift(torch.tensor([1.0, -1.0, 0.5, 0.0, -2.0]))
    calibrate(mixture, measured()[:2])
    assert pair_of(mixture).sum(1) == pytest.approx(PAIR.sum(1), abs=0.005)
    assert pair_of(mixture).sum(0) == pytest.approx(PAIR.sum(0), abs=0.005)


def test_a_code_that_was_never_seen_stays_rare_and_finite():
    first = [
        MarginalEstimate(columns=(0,), frequencies=np.array([1.0, 0.0]), variance=1e-4),
        MarginalEstimate(columns=(1,), frequencies=np.array([0.5, 0.5, 0.0]), variance=1e-4),
    ]
    mixture = new_mixture(first, WIDTHS, SETTINGS)
    calibrate(mixture, first)
    mean = mixture.soft_rows().mean(0)
    assert torch.isfinite(mean).all()
    assert mean[1] < 1e-3
    assert mean[4] < 1e-3
