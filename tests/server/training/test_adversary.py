"""The adversarial rounds: who is changed, what moves, and that an idle adversary is harmless."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from small_log_ratio import log_ratio_of_second_code

from fedsynth_common.networks import flatten, one_hot, predictions
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.adversary import Adversary, draw_by_code
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.rounds import ALONE, adversarial_weight
from fedsynth_server.training.settings import TrainingSettings

WIDTHS = (2, 3)
SETTINGS = TrainingSettings(latents=32, adversarial_steps=5, adversarial_batch=64, ema=0.5)


def new_network():
    network = GeneratorNetwork(GeneratorShape(widths=WIDTHS, latents=32, latent_size=4, hidden=8))
    network.initialise(torch.tensor([0.5, 0.5, 0.4, 0.3, 0.3]), torch.Generator().manual_seed(0))
    return network


def nothing(soft):
    return 0.0, None


def share(network):
    return float(network.soft_rows().mean(0)[1].detach())


def test_the_generator_climbs_the_discriminator_which_stays_as_it_is():
    settings = SETTINGS.model_copy(
        update={
            "adversarial_steps": 60,
            "adversarial_learning_rate": 0.01,
        }
    )
    network, log_ratio = new_network(), log_ratio_of_second_code(WIDTHS, 8.0)
    before = [
        flatten(predictor).copy()
        for predictor in (log_ratio.record_predictor, log_ratio.generator_predictor)
    ]
    adversary = Adversary(network, nothing, 1.0, settings)
    start = share(network)
    adversary.round(log_ratio)
    assert share(network) > start + 0.2
    after = [
        flatten(predictor)
        for predictor in (log_ratio.record_predictor, log_ratio.generator_predictor)
    ]
    assert all((a == b).all() for a, b in zip(after, before, strict=True))


def test_the_marginal_loss_holds_it():
    settings = SETTINGS.model_copy(update={"adversarial_steps": 60})

    def held(soft):
        slopes, off = torch.zeros_like(soft), float(soft.mean(1)[1]) - 0.5
        slopes[1] = 2e4 * off / soft.shape[1]
        return 1e4 * off**2, slopes

    network = new_network()
    Adversary(network, held, 1.0, settings).round(log_ratio_of_second_code(WIDTHS, 8.0))
    assert share(network) == pytest.approx(0.5, abs=0.03)


def test_what_is_released_is_the_moving_average():
    network = new_network()
    start = flatten(network).copy()
    adversary = Adversary(
        network,
        nothing,
        SETTINGS.adversarial_weight,
        SETTINGS.model_copy(update={"adversarial_steps": 1}),
    )
    assert (flatten(adversary.release()) == start).all()
    adversary.round(log_ratio_of_second_code(WIDTHS, 8.0))
    released, last = flatten(adversary.release()), flatten(network)
    assert released == pytest.approx((start + last) / 2, abs=1e-6)
    assert not np.array_equal(last, start)


def test_the_control_without_adversary_draws_no_rows():
    network = new_network()
    adversary = Adversary(network, nothing, 0.0, SETTINGS)
    state = adversary.source.get_state()
    adversary.round(log_ratio_of_second_code(WIDTHS, 8.0))
    assert torch.equal(adversary.source.get_state(), state)
    assert flatten(network) == pytest.approx(flatten(new_network()))


def test_rounds_repeat_with_the_seed_alone():
    results = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        network = new_network()
        Adversary(network, nothing, SETTINGS.adversarial_weight, SETTINGS).round(
            log_ratio_of_second_code(WIDTHS, 8.0)
        )
        results.append(flatten(network))
    assert (results[0] == results[1]).all()


def test_codes_are_drawn_with_their_probabilities():
    probabilities = torch.tensor([0.2, 0.8, 0.5, 0.0, 0.5])
    soft = probabilities.unsqueeze(1).expand(5, 40_000)
    codes = draw_by_code(soft, WIDTHS, torch.Generator().manual_seed(0))
    found = torch.cat([torch.bincount(c, minlength=w) for c, w in zip(codes, WIDTHS, strict=True)])
    np.testing.assert_allclose(found.numpy() / 40_000, probabilities.numpy(), atol=0.01)
    assert found[3] == 0


def test_a_step_follows_the_gradient_that_autograd_finds_with_straight_through_rows():
    """Hard rows in the forward pass, the gradient of the probabilities in the backward pass."""
    settings = SETTINGS.model_copy(update={"adversarial_batch": 16, "adversarial_steps": 1})
    log_ratio, weight = log_ratio_of_second_code(WIDTHS, 2.0), 0.3
    with torch.no_grad():
        for seed, of in enumerate((log_ratio.record_predictor, log_ratio.generator_predictor)):
            for parameter in of.parameters():
                parameter.normal_(0.0, 0.5, generator=torch.Generator().manual_seed(seed))
    log_ratio.signal_share = torch.tensor([0.7, 0.4])
    marginal_loss, network = marginal_loss_of(2, 0.03), new_network()
    adversary = Adversary(network, marginal_loss.excess, weight, settings)
    state = adversary.source.get_state()
    adversary.round(log_ratio)
    again, source = new_network(), torch.Generator()
    source.set_state(state)
    soft = again.soft_rows()
    codes = draw_by_code(soft[:16].detach().t(), WIDTHS, source)
    rows = one_hot(codes.t().numpy().astype(np.uint16), WIDTHS) + soft[:16] - soft[:16].detach()
    records, generator = (
        predictions(of, rows, WIDTHS)
        for of in (log_ratio.record_predictor, log_ratio.generator_predictor)
    )
    ratios = ((records - generator) @ log_ratio.signal_share).mean()
    loss = marginal_loss.loss(soft) * marginal_loss.excess_scale - weight * ratios
    loss.backward()
    for ours, theirs in zip(network.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_all_latents_take_turns():
    adversary = Adversary(
        new_network(), nothing, 1.0, SETTINGS.model_copy(update={"adversarial_batch": 12})
    )
    turns = [adversary._turn() for _ in range(5)]
    places = [0, 12, 24, 32]  # 32 latents
    assert turns[:3] == [slice(*ends) for ends in pairwise(places)]
    assert turns[3:] == turns[:2]


def marginal_loss_of(order, noise):
    shape = WIDTHS[:order]
    uniform = np.full(shape, 1 / np.prod(shape))
    return MarginalLoss(
        [MarginalEstimate(columns=tuple(range(order)), frequencies=uniform, variance=noise**2)],
        WIDTHS,
    )


def test_the_weight_bends_a_cell_further_in_its_noise_the_less_noise_there_is():
    noises = [0.03, 0.003, 0.0003]
    weights = [adversarial_weight(SETTINGS, marginal_loss_of(2, noise)) for noise in noises]
    assert weights == sorted(weights, reverse=True)
    bends = [weight / noise for weight, noise in zip(weights, noises, strict=True)]
    assert bends == sorted(bends)
    assert [b / a for a, b in zip(bends, bends[1:], strict=False)] == pytest.approx([10**0.5] * 2)


def test_the_weight_without_pairs_and_of_the_control():
    assert adversarial_weight(SETTINGS, marginal_loss_of(1, 0.003)) == ALONE
    control = SETTINGS.model_copy(update={"adversarial_weight": 0.0})
    assert [adversarial_weight(control, marginal_loss_of(order, 0.003)) for order in (1, 2)] == [
        0.0,
        0.0,
    ]
