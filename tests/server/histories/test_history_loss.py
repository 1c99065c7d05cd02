"""The loss of a fit of histories: zero where all is met, and what a cell weighs in it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_sampler import a_network

from fedsynth_common.protocol.counting import Over
from fedsynth_release.histories.expected import expected_marginals
from fedsynth_release.histories.network import blocks_of
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.histories.blocks import Block, Place, person_weight
from fedsynth_server.histories.cleaned import CleanBlocks
from fedsynth_server.histories.history_loss import HistoryLoss

VARIANCE, OFF = 1e-4, 0.02


@pytest.fixture(scope="module")
def network():
    return a_network()


@pytest.fixture(scope="module")
def met(network) -> CleanBlocks:
    """What the network itself expects: ward and ward, ward and age, at an event and the next."""
    shape, chains = network.shape, network()
    found = expected_marginals(chains, shape, person_weight(shape.max_events))
    static, places = len(shape.static), blocks_of(shape.events)
    margins = [found.static_margin[b] for b in blocks_of(shape.static)]
    margins += [found.event_margin[b] for b in places]
    one_way = [estimate((k,), margin) for k, margin in enumerate(margins)]
    ward = len(places) - 1
    pairs = [(ward, ward), (ward, ward - 1)]
    blocks = [
        Block(
            Over.NEXT, 1, (Place(static + a, Over.NEXT, 1, 0), Place(static + b, Over.NEXT, 1, 1))
        )
        for a, b in pairs
    ]
    estimates = [
        estimate((static + a, static + b), found.following[1][places[a], places[b]])
        for a, b in pairs
    ]
    return CleanBlocks(one_way, blocks, estimates, static, expected_loss=1.0)


def estimate(columns: tuple[int, ...], frequencies: torch.Tensor) -> MarginalEstimate:
    values = frequencies.detach().double().numpy()
    return MarginalEstimate(columns=columns, frequencies=values, variance=VARIANCE)


def off(cleaned: CleanBlocks, which: int) -> CleanBlocks:
    """One cell of one block is further away."""
    moved = cleaned.estimates[which].frequencies.copy()
    moved[np.unravel_index(0, moved.shape)] += OFF
    changed = [*cleaned.estimates]
    changed[which] = replace(changed[which], frequencies=moved)
    return replace(cleaned, estimates=changed)


def test_a_network_that_meets_everything_has_no_loss(network, met) -> None:
    assert HistoryLoss(met, network.shape).loss(network()).item() < 1e-6


@pytest.mark.parametrize("which", [0, 1])
def test_a_cell_weighs_what_its_noise_says(network, met, which: int) -> None:
    loss = HistoryLoss(off(met, which), network.shape)
    wanted = OFF**2 / VARIANCE / loss.cells
    assert loss.loss(network()).item() == pytest.approx(wanted, rel=1e-2)
