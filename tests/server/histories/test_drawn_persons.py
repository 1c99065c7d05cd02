"""Persons drawn from the chains, and how likely each was: against sums over all persons."""

import itertools

import pytest
import torch

from fedsynth_release.histories.expected import expected_marginals
from fedsynth_release.histories.network import HistoryNetwork, HistoryShape
from fedsynth_release.histories.recursion import Recursion
from fedsynth_server.histories.drawn_persons import DrawnPersons, draw_persons, log_likelihoods

SHAPE = HistoryShape(
    static=(2, 2),
    events=(2, 3),
    length_column=1,
    length_codes=(0, 1),
    absent_codes=(-1, 2),
    latents=3,
    regimes=2,
    latent_size=4,
    hidden=5,
)
"""One event or two; the second event column compares an event with the one before."""


@pytest.fixture(scope="module")
def network():
    network, source = HistoryNetwork(SHAPE), torch.Generator().manual_seed(0)
    events = torch.tensor([0.3, 0.7, 0.3, 0.4, 0.3])
    network.initialise(torch.ones(4) / 2, torch.tensor([0.4, 0.6]), events, source)
    with torch.no_grad():
        network.head.weight.normal_(generator=source)
    return network


def everybody() -> list[DrawnPersons]:
    """All persons that there can be, each once from every latent."""
    found = []
    for sex, first in itertools.product(range(2), repeat=2):
        for second in [None, *itertools.product(range(2), repeat=2)]:
            events = torch.zeros(2, 2, SHAPE.latents, dtype=torch.int64)
            events[0] = torch.tensor([[first], [2]])
            n = 1 if second is None else 2
            if second is not None:
                events[1] = torch.tensor(second)[:, None]
            static = torch.tensor([[sex], [n - 1]]).repeat(1, SHAPE.latents)
            found.append(DrawnPersons(static, events, torch.full((SHAPE.latents,), n)))
    return found


def test_probabilities_of_all_persons_add_up_to_one(network):
    chains = network()
    total = sum(log_likelihoods(chains, SHAPE, person).exp() for person in everybody())
    torch.testing.assert_close(total, torch.ones(SHAPE.latents), rtol=1e-5, atol=1e-5)


def test_persons_are_drawn_as_often_as_they_are_likely(network):
    chains, each = network(), 20_000
    drawn = draw_persons(chains, SHAPE, each, torch.Generator().manual_seed(1))
    for person in everybody():
        same = (drawn.static.view(2, each, -1) == person.static[:, None]).all(0)
        same &= drawn.lengths.view(each, -1) == person.lengths
        lived = slice(0, int(person.lengths[0]))
        events = drawn.events.view(2, 2, each, -1)[lived] == person.events[lived, :, None]
        share = (same & events.all(0).all(0)).float().mean(0)
        likely = log_likelihoods(chains, SHAPE, person).exp().detach()
        torch.testing.assert_close(share, likely, rtol=0, atol=5 * (0.25 / each) ** 0.5)


def test_rows_are_the_persons_events_in_order(network):
    drawn = draw_persons(network(), SHAPE, 50, torch.Generator().manual_seed(2))
    codes, person = drawn.rows()
    assert len(codes) == int(drawn.lengths.sum())
    assert (person == torch.arange(150).repeat_interleave(drawn.lengths).numpy()).all()
    first = [k == 0 or person[k] != person[k - 1] for k in range(len(person))]
    for k, (row, who) in enumerate(zip(codes.tolist(), person, strict=True)):
        t = 0 if first[k] else 1
        assert row == [*drawn.static[:, who].tolist(), *drawn.events[t, :, who].tolist()]
        assert (row[3] == 2) == first[k]


def test_the_score_is_the_gradient_of_a_mean(network):
    """That of the mean number of events, which the recursion gives exactly."""
    network.zero_grad()
    lived = Recursion(network(), SHAPE).lengths().sum(1)
    (lived[0] + 2 * lived[1]).backward()
    exact = network.head.weight.grad.clone()
    network.zero_grad()
    chains = network()
    mean = sum(
        (likely.detach().exp() * likely * person.lengths).sum() / SHAPE.latents
        for person in everybody()
        for likely in [log_likelihoods(chains, SHAPE, person)]
    )
    mean.backward()
    torch.testing.assert_close(network.head.weight.grad, exact, rtol=1e-3, atol=1e-5)
    assert exact.abs().max() > 1e-3


def test_drawn_events_have_the_expected_margin(network):
    chains = network()
    drawn = draw_persons(chains, SHAPE, 20_000, torch.Generator().manual_seed(3))
    codes, person = drawn.rows()
    weights = 1 / drawn.lengths[torch.from_numpy(person)].double()
    ward = torch.bincount(torch.from_numpy(codes[:, 2].astype("int64")), weights) / 60_000
    expected = expected_marginals(chains, SHAPE, 60).event_margin[:2].detach().double()
    torch.testing.assert_close(ward, expected, rtol=0, atol=0.01)
