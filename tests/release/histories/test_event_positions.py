"""Values inside codes over the events of a person: they go together, and everything else stays."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest, spearmanr

from fedsynth_common.schema import (
    Histories,
    IdColumn,
    IntegerColumn,
    Schema,
    domains,
    history_schema,
    layout_of,
)
from fedsynth_release.decoding import Codebook
from fedsynth_release.histories.continuation import continued
from fedsynth_release.histories.event_positions import EventPositions
from fedsynth_release.histories.history_sampler import HistorySampler
from fedsynth_release.histories.network import HistoryNetwork, blocks_of
from fedsynth_release.histories.shape import shape_of

L, MOST = 4, 999
SCHEMA = Schema(
    name="spending",
    columns=(
        IdColumn(name="id"),
        IntegerColumn(name="year", minimum=1, maximum=L),
        IntegerColumn(name="spent", minimum=0, maximum=MOST),
        IntegerColumn(name="noise", minimum=0, maximum=MOST),
    ),
    person_key="id",
    histories=Histories(
        order="year", max_events=L, events=("year", "spent", "noise"), largest_gap=3
    ),
)
LAYOUT = layout_of(SCHEMA)
SPENT, NOISE = LAYOUT.events[1:]


def halves() -> Codebook:
    """Codes that are the lower and the upper half of both amounts; all other columns stay fine."""
    usual = Codebook.identity(history_schema(SCHEMA))
    views, shapes = [*usual.views], [*usual.shapes]
    for place in (SPENT, NOISE):
        cells = domains(history_schema(SCHEMA))[place].width
        views[place] = (np.arange(cells) >= cells // 2).astype(np.uint16)
        shapes[place] = np.full(cells, 2 / cells)
    return Codebook(tuple(views), tuple(shapes))


@pytest.fixture(scope="module")
def sampler() -> HistorySampler:
    """Half of the persons spend much in nearly every year, the others little; noise has no memory."""
    codebook = halves()
    shape = shape_of(SCHEMA, codebook, latents=2, regimes=1, latent_size=2, hidden=2)
    network = HistoryNetwork(shape)
    static, events = (torch.ones(sum(widths)) for widths in (shape.static, shape.events))
    network.initialise(
        static, torch.tensor([0.1, 0.1, 0.1, 0.7]), events, torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        network.latent.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        network.hidden.weight.zero_()
        network.head.weight.zero_()
        spent = blocks_of(shape.events)[1]
        rows = network.head.weight[-sum(shape.events) :][spent]
        rows[:, shape.hidden] = torch.tensor([-1.5, 1.5])
    return HistorySampler.of(network, codebook, SCHEMA)


@pytest.fixture(scope="module")
def drawn(sampler) -> pd.DataFrame:
    frame, person = sampler.frame(20_000, np.random.default_rng(0))
    return frame.assign(id=person)


def both_in_the_upper_half(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Amounts of consecutive events of which both are in the upper code, (pairs, 2)."""
    values, person = frame[column].to_numpy(), frame["id"].to_numpy()
    pairs = np.column_stack([values[:-1], values[1:]])[person[:-1] == person[1:]]
    return pairs[(pairs > MOST // 2).all(axis=1)]


def test_who_spends_more_than_others_of_the_same_code_goes_on_to_do_so(sampler, drawn) -> None:
    assert [column.place for column in sampler.positions.columns] == [SPENT]
    assert spearmanr(both_in_the_upper_half(drawn, "spent")).statistic > 0.25
    assert abs(spearmanr(both_in_the_upper_half(drawn, "noise")).statistic) < 0.03


def test_inside_a_code_values_are_as_even_as_before(drawn) -> None:
    first = drawn[~drawn["id"].duplicated()]["spent"].to_numpy()
    for low, values in ((0, first[first < 500]), (500, first[first >= 500])):
        assert kstest((values - low + 0.5) / 500, "uniform").statistic < 0.03


def test_codes_and_values_that_are_known_stay(sampler) -> None:
    rng = np.random.default_rng(1)
    values, person, _, _ = sampler._drawn(500, rng)
    before, known = values[SPENT].copy(), np.arange(len(person)) % 3 == 0
    sampler.positions.redraw(values, person, rng, known)
    assert (values[SPENT][known] == before[known]).all()
    assert ((values[SPENT] >= 500) == (before >= 500)).all()
    assert (values[SPENT][~known] != before[~known]).mean() > 0.95


def test_the_next_events_are_drawn_to_go_with_the_given_ones(sampler) -> None:
    given = pd.DataFrame(
        [(f"p{k}", year, 990 if k % 2 else 510, 0) for k in range(4000) for year in (1, 2, 3)],
        columns=["id", "year", "spent", "noise"],
    )
    later = continued(sampler, given, 1, np.random.default_rng(2))
    high = later["spent"] >= 500
    odd = later["id"].str[1:].astype(int) % 2 == 1
    assert later["spent"][high & odd].mean() > later["spent"][high & ~odd].mean() + 100
    hidden = given.assign(spent=given["spent"].where(given["year"] > 1))
    assert len(continued(sampler, hidden, 1, np.random.default_rng(2))) == 4000


def test_conditions_do_not_change_the_law(sampler) -> None:
    under = sampler.conditioned(["any(spent)>600"])
    assert under.positions is sampler.positions
    frame, person = under.frame(500, np.random.default_rng(3))
    assert frame["spent"].groupby(person).max().gt(600).all()


def test_persons_with_one_event_have_nothing_to_go_with(sampler) -> None:
    alone = replace(LAYOUT, max_events=1)
    codebook = sampler.events.codebook
    assert EventPositions.of(sampler.recursion, codebook, alone).columns == ()
    assert EventPositions.of(sampler.recursion, codebook, LAYOUT, [SPENT]).columns == ()
