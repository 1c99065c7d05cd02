"""The exact marginals of the mixture of Markov chains, against every path and against draws."""

import itertools
from dataclasses import dataclass

import pytest
import torch

from fedsynth_release.histories.expected import (
    Emitted,
    expected_marginals,
    itself,
)
from fedsynth_release.histories.network import (
    Chains,
    HistoryNetwork,
    HistoryShape,
    blocks_of,
)
from fedsynth_release.histories.recursion import Recursion, event_weights

WEIGHT, LAGS = 60, (1, 2, 3)
SHAPE = HistoryShape(
    static=(2, 3, 3),
    events=(2, 3, 2, 2),
    length_column=1,
    length_codes=(0, 1, 2, 2),
    absent_codes=(-1, 2, -1, 0),
    latents=2,
    regimes=2,
    latent_size=3,
    hidden=4,
)


def a_network(shape: HistoryShape = SHAPE) -> HistoryNetwork:
    network, source = HistoryNetwork(shape).double(), torch.Generator().manual_seed(0)
    static, events = (torch.rand(sum(w), generator=source) for w in (shape.static, shape.events))
    lengths = torch.full((shape.max_events,), 1.0 / shape.max_events, dtype=torch.float64)
    network.initialise(static, lengths, events, source)
    with torch.no_grad():
        network.head.weight.mul_(4)  # so that latents and regimes differ
    return network


@dataclass
class Path:
    """One way that a person's life can go: its probability, its static codes, and its events'."""

    probability: torch.Tensor
    static: torch.Tensor
    events: list[torch.Tensor]


def every_path(chains: Chains, shape: HistoryShape) -> list[Path]:
    paths, first = [], Emitted(chains.emissions, shape).at_first()
    places = blocks_of(shape.static)[shape.length_column]
    for z, n in itertools.product(range(shape.latents), range(1, shape.max_events + 1)):
        static = chains.static[:, z].clone()
        static[places] = 0
        static[places.start + shape.length_codes[n - 1]] = 1
        for regimes in itertools.product(range(shape.regimes), repeat=n):
            p = chains.initial[regimes[0], z] / shape.latents
            for t, (r, s) in enumerate(itertools.pairwise(regimes)):
                p = p * (1 - chains.stop[t, r, z]) * chains.moves[r, s, z]
            p = p * chains.stop[n - 1, regimes[-1], z]
            emissions = [(chains.emissions if t else first)[:, r, z] for t, r in enumerate(regimes)]
            paths.append(Path(p, static, emissions))
    return paths


@pytest.fixture(scope="module")
def paths() -> list[Path]:
    return every_path(a_network()(), SHAPE)


@pytest.fixture(scope="module")
def expected():
    return expected_marginals(a_network()(), SHAPE, WEIGHT, LAGS, ends=True)


def total(paths: list[Path], one) -> torch.Tensor:
    return torch.stack([path.probability * one(path) for path in paths]).sum(0)


def different_columns(table: torch.Tensor, widths: tuple[int, ...]) -> torch.Tensor:
    """The table without the blocks of a column with itself, which nobody measures."""
    table = table.clone()
    for block in blocks_of(widths):
        table[block, block] = 0
    return table


def test_the_paths_are_all_there_is(paths) -> None:
    assert sum(path.probability for path in paths).item() == pytest.approx(1.0)


def test_pairs_of_static_columns(paths, expected) -> None:
    by_path = total(paths, lambda path: torch.outer(path.static, path.static))
    wanted, seen = (different_columns(t, SHAPE.static) for t in (by_path, expected.persons))
    torch.testing.assert_close(seen, wanted)


def test_static_and_event_columns(paths, expected) -> None:
    def one(path: Path) -> torch.Tensor:
        share = WEIGHT // len(path.events) / WEIGHT
        return share * torch.outer(path.static, torch.stack(path.events).sum(0))

    torch.testing.assert_close(expected.mixed, total(paths, one))


def test_pairs_of_columns_of_an_event(paths, expected) -> None:
    def one(path: Path) -> torch.Tensor:
        share = WEIGHT // len(path.events) / WEIGHT
        return share * torch.stack([torch.outer(e, e) for e in path.events]).sum(0)

    wanted, seen = (
        different_columns(t, SHAPE.events) for t in (total(paths, one), expected.events)
    )
    torch.testing.assert_close(seen, wanted)


@pytest.mark.parametrize("lag", LAGS)
def test_an_event_and_a_later_one(paths, expected, lag: int) -> None:
    def one(path: Path) -> torch.Tensor:
        pairs = list(zip(path.events, path.events[lag:], strict=False))
        share = WEIGHT // max(1, len(pairs)) / WEIGHT
        zero = torch.zeros_like(expected.events)
        return share * sum((torch.outer(a, b) for a, b in pairs), zero)

    torch.testing.assert_close(expected.following[lag], total(paths, one))


@pytest.mark.parametrize("lag", LAGS)
def test_a_column_and_itself_at_a_later_event(paths, lag: int) -> None:
    recursion = Recursion(a_network()(), SHAPE)
    for number, block in enumerate(blocks_of(SHAPE.events)):
        absent = SHAPE.absent_codes[number] >= 0

        def one(path: Path, block: slice = block, absent: bool = absent) -> torch.Tensor:
            events = path.events[1:] if absent else path.events
            pairs = zip(events, events[lag:], strict=False)
            size = block.stop - block.start
            zero = torch.zeros(size, size, dtype=torch.float64)
            return sum((torch.outer(a[block], b[block]) for a, b in pairs), zero)

        torch.testing.assert_close(itself(recursion, number, lag), total(paths, one))


def test_the_first_and_the_last_event(paths, expected) -> None:
    def one(path: Path) -> torch.Tensor:
        pair = torch.outer(path.events[0], path.events[-1])
        if len(path.events) == 1:  # one event is both: a column with itself has one code
            for block in blocks_of(SHAPE.events):
                pair[block, block] = torch.diag(path.events[0][block])
        return pair

    torch.testing.assert_close(expected.ends, total(paths, one))


def test_columns_that_look_back_are_absent_at_the_first_event_and_only_there() -> None:
    chains = a_network()()
    place = blocks_of(SHAPE.events)[1].start + SHAPE.absent_codes[1]
    assert (Emitted(chains.emissions, SHAPE).at_first()[place] == 1).all()
    assert (chains.emissions[place] == 0).all()


def test_persons_with_one_event_at_most_have_marginals_too() -> None:
    shape = SHAPE.model_copy(update={"length_codes": (0,)})
    network = a_network(HistoryShape.model_validate(shape.model_dump()))
    seen = expected_marginals(network(), network.shape, WEIGHT, (), ends=True)
    assert seen.mixed[:2, :2].sum().item() == pytest.approx(1.0)
    assert seen.ends is not None
    assert seen.ends.isfinite().all()


def test_a_persons_events_share_its_weight_and_long_histories_lose_what_is_rounded_down() -> None:
    assert event_weights(5, 60).tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert event_weights(4, 10, lag=1).tolist() == pytest.approx([0, 1, 0.5, 0.3])


def test_a_start_has_the_lengths_and_margins_that_it_is_given() -> None:
    shape = SHAPE.model_copy(update={"latents": 4096})
    network = HistoryNetwork(shape)
    lengths = torch.tensor([0.4, 0.1, 0.3, 0.2])
    events = torch.tensor([0.2, 0.8, 0.3, 0.7, 0.5, 0.9, 0.1, 0.6, 0.4])
    network.initialise(torch.ones(8) / 3, lengths, events, torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.head.weight.zero_()
        chains = network()
    torch.testing.assert_close(Recursion(chains, shape).lengths().sum(1), lengths)
    torch.testing.assert_close(chains.emissions[:2, 0, 0], events[:2])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"length_column": 3}, "no such static column"),
        ({"length_codes": (0, 3)}, "more codes"),
        ({"absent_codes": (-1, 2)}, "one for each"),
        ({"absent_codes": (-1, 3, -1, 0)}, "a code of the column"),
        ({"latents": 65536, "events": (65536, 3, 2, 2)}, "at most"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(change: dict, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        HistoryShape.model_validate(SHAPE.model_dump() | change)
