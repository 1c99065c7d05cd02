"""Fits a generator of histories to the cleaned blocks, and sets its margins at the end."""

import torch

from fedsynth_common.array_types import Float64Array
from fedsynth_common.schema import Schema, domain_of, layout_of
from fedsynth_release.decoding import Codebook
from fedsynth_release.histories.network import HistoryNetwork, hazards
from fedsynth_release.histories.recursion import Recursion
from fedsynth_release.histories.shape import shape_of
from fedsynth_server.histories.cleaned import CleanBlocks
from fedsynth_server.histories.history_loss import HistoryLoss
from fedsynth_server.training.fit import Record, Tick, descend
from fedsynth_server.training.settings import TrainingSettings

LATENTS, REGIMES, HISTORY_STEPS = 512, 6, 500
LEAST, MARGIN = 1e-6, 1e-5
ROUNDS = 20


def history_steps(settings: TrainingSettings) -> int:
    """Steps of a fit of histories, at most."""
    return min(settings.fit_steps, HISTORY_STEPS)


def new_history_generator(
    cleaned: CleanBlocks, codebook: Codebook, schema: Schema, settings: TrainingSettings
) -> HistoryNetwork:
    """A generator of independent columns with the measured margins and lengths."""
    shape = shape_of(
        schema,
        codebook,
        latents=min(settings.latents, LATENTS),
        regimes=REGIMES,
        latent_size=settings.latent_size,
        hidden=settings.hidden,
    )
    network = HistoryNetwork(shape)
    static, events = (torch.from_numpy(m) for m in HistoryLoss(cleaned, shape).margins())
    lengths = torch.from_numpy(measured_lengths(cleaned, codebook, schema)).float()
    source = torch.Generator().manual_seed(settings.seed)
    network.initialise(static, lengths, events, source)
    return network.to(settings.device)


def measured_lengths(cleaned: CleanBlocks, codebook: Codebook, schema: Schema) -> Float64Array:
    """P(n events) for n = 1..L; inside a code by the codebook's shape."""
    layout = layout_of(schema)
    start = domain_of(layout.columns[layout.length]).atoms
    cells = slice(start, start + layout.max_events)
    codes = codebook.views[layout.length][cells]
    found = (
        cleaned.one_way[layout.length].frequencies[codes] * codebook.shapes[layout.length][cells]
    )
    lengths: Float64Array = found / found.sum()
    return lengths


def fit_histories(
    network: HistoryNetwork,
    loss: HistoryLoss,
    steps: int,
    learning_rate: float,
    tick: Tick | None = None,
    record: Record | None = None,
) -> float:
    """Train in place, at most to the target of the loss; returns the final loss."""
    return descend(
        network.parameters(),
        lambda: loss.loss(network()),
        loss.target_loss,
        steps,
        learning_rate,
        tick,
        record,
    )


def calibrate_histories(network: HistoryNetwork, loss: HistoryLoss, lengths: Float64Array) -> None:
    """Shift biases until lengths and one-way marginals are the measured ones.

    Each round adds log(target / current) per code, as for the flat generator (`mixture_fit`), and
    to each number of events the difference of the log odds to stop there.
    """
    network.cpu()
    static, events = (torch.from_numpy(m).clamp(min=LEAST) for m in loss.margins())
    hazard = hazards(torch.from_numpy(lengths).float(), LEAST, MARGIN)
    with torch.no_grad():
        for _ in range(ROUNDS):
            chains = network()
            now = loss.expected(chains)
            lived = Recursion(chains, network.shape).lengths().sum(1)
            shift = torch.logit(hazard) - torch.logit(hazards(lived, LEAST, MARGIN))
            network.shift(
                static=torch.log(static / now.static_margin.clamp(min=LEAST)).clamp(-1, 1),
                stop=shift.clamp(-1, 1),
                events=torch.log(events / now.event_margin.clamp(min=LEAST)).clamp(-1, 1),
            )
