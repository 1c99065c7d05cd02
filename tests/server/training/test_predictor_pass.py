"""Closed-form predictions and gradients against those that autograd finds with one-hot rows."""

import numpy as np
import pytest
import torch

from fedsynth_common.networks import Discriminator, one_hot, predictions
from fedsynth_server.training.predictor_pass import PredictorPass, by_column

WIDTHS = (3, 1, 4, 6)
EXACT = {"rtol": 1e-4, "atol": 1e-6}
"""Both are single precision."""


def setting(hidden, seed=0):
    """A network that has learned something, and codes of rows."""
    torch.manual_seed(seed)
    network = Discriminator(sum(WIDTHS), hidden)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.7)
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, width, 40) for width in WIDTHS], 1).astype(np.uint16)
    return network, codes


@pytest.mark.parametrize("hidden", [(5,), (7, 5), (6, 5, 4)])
def test_predictions_are_those_of_the_network(hidden):
    network, codes = setting(hidden)
    found = PredictorPass(network, by_column(codes), WIDTHS).chosen()
    with torch.no_grad():
        torch.testing.assert_close(
            found.t(), predictions(network, one_hot(codes, WIDTHS), WIDTHS), **EXACT
        )


@pytest.mark.parametrize("hidden", [(5,), (7, 5), (6, 5, 4)])
def test_gradients_of_the_loss_are_autograds(hidden):
    network, codes = setting(hidden)
    (-predictions(network, one_hot(codes, WIDTHS), WIDTHS).mean()).backward()
    found = PredictorPass(network, by_column(codes), WIDTHS).loss_gradients()
    for gradient, parameter in zip(found, network.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, **EXACT)


@pytest.mark.parametrize("hidden", [(5,), (7, 5), (6, 5, 4)])
@pytest.mark.parametrize("weights", [(1.0, 0.5, 2.0, -3.0), (0.0, 1.0, 0.5, 0.0), (0.0,) * 4])
def test_gradients_in_soft_rows_are_autograds(hidden, weights):
    network, codes = setting(hidden)
    rows = one_hot(codes, WIDTHS).requires_grad_()
    value = (predictions(network, rows, WIDTHS) * torch.tensor(weights)).sum()
    value.backward()
    into = torch.ones(sum(WIDTHS), len(codes))  # what is there is added to
    found = PredictorPass(network, by_column(codes), WIDTHS).add_row_slopes(weights, into)
    assert found == pytest.approx(value.item(), rel=1e-5)
    torch.testing.assert_close(into.t() - 1.0, rows.grad, rtol=1e-4, atol=1e-5)


def test_large_weights_saturate_and_stay_finite():
    network, codes = setting((5,))
    with torch.no_grad():
        network.features[0].weight.mul_(1e6)
    one_pass = PredictorPass(network, by_column(codes), WIDTHS)
    assert torch.isfinite(one_pass.chosen()).all()
    assert all(torch.isfinite(gradient).all() for gradient in one_pass.loss_gradients())


def test_only_some_columns_may_be_predicted():
    network, codes = setting((7, 5))
    some = PredictorPass(network, by_column(codes), WIDTHS, range(2, 4))
    both = predictions(network, one_hot(codes, WIDTHS), WIDTHS)[:, 2:]
    torch.testing.assert_close(some.chosen().t(), both.detach(), **EXACT)
    (-both.mean()).backward()
    for gradient, parameter in zip(some.loss_gradients(), network.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, **EXACT)
