"""About how long a study of histories will compute here, as `training.duration` says it of records.

The probe is a step of the real fit, at the size that the plan's schema makes likely and at a part of the
latents. Nothing in it reads a record.
"""

import math
import time

import numpy as np
import torch

from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import HistoryLayout, domains, history_schema, layout_of
from fedsynth_release.histories.network import HistoryNetwork, HistoryShape
from fedsynth_server.aggregation.binning import FEW_BINS
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.histories.blocks import BIN_NOISE, blocks_of, lags_for
from fedsynth_server.histories.cleaned import CleanBlocks
from fedsynth_server.histories.history_fit import LATENTS, REGIMES, fit_histories, history_steps
from fedsynth_server.histories.history_loss import HistoryLoss
from fedsynth_server.histories.round_probe import round_seconds
from fedsynth_server.training.duration import CELL, PAIR, SITE, Duration, codes_apart
from fedsynth_server.training.log_ratio import STEPS
from fedsynth_server.training.null_training import SIMULATED
from fedsynth_server.training.settings import TrainingSettings

PART = 4
"""The probe takes a part of the latents: a step's cost is nearly proportional to them."""
USUAL_STEPS = 120
"""Steps after which a fit of histories reached its target loss (simulations/RESULTS.md)."""


def estimated_of_histories(plan: Plan, settings: TrainingSettings) -> Duration:
    """How long the plan's parts take on this computer."""
    layout = layout_of(plan.table)
    columns = len(layout.columns)
    pairs = len(blocks_of(layout, [1.0] * columns, lags_for(plan.epsilon)))
    counting = plan.records_per_site * layout.max_events * (CELL * columns + PAIR * pairs)
    steps, probed = likely_history_steps(plan, settings), _probed(plan, layout, settings)
    fitting = steps * _step_seconds(*probed)
    if (d := plan.discriminator) is None:
        return Duration(fitting, 0.0, counting)
    adversarial, predictor, private = round_seconds(*probed, plan, settings)
    taken = d.messages * d.steps_per_message * private
    rounds = d.messages * settings.adversarial_steps * adversarial * PART
    rounds += (settings.predictor_steps + STEPS * d.messages) * predictor
    rounds += taken * min(len(plan.sites), SIMULATED)
    return Duration(2 * fitting, rounds, counting + SITE * taken)


def likely_history_steps(plan: Plan, settings: TrainingSettings) -> int:
    """Steps after which a fit is likely to reach its target loss."""
    most = history_steps(settings)
    return min(most, USUAL_STEPS) if settings.enough_of_histories else most


def likely_history_widths(plan: Plan) -> list[int]:
    """Codes per model column, as far as the noise of the histograms leaves them apart."""
    columns = domains(history_schema(plan.table))
    made = len(columns) * len(plan.sites) / plan.noise_shares
    noise = plan.measure[0].noise_multiplier * math.sqrt(made)
    persons = plan.records_per_site * len(plan.sites)
    few, many = (round(share * persons / noise) for share in (BIN_NOISE, 1 / 3))
    apart = max(2, min(few, FEW_BINS), many)
    return [codes_apart(domain, apart) for domain in columns]


def _probed(
    plan: Plan, layout: HistoryLayout, settings: TrainingSettings
) -> tuple[HistoryNetwork, HistoryLoss]:
    """A generator of a part of the latents, and the loss of its blocks."""
    widths = likely_history_widths(plan)
    static = len(layout.static)
    absent = [
        widths[place] - 1 if place in layout.since_previous else -1 for place in layout.events
    ]
    lengths = widths[layout.length]
    shape = HistoryShape(
        static=tuple(widths[:static]),
        events=tuple(widths[static:]),
        length_column=layout.length,
        length_codes=tuple(min(n, lengths - 1) for n in range(layout.max_events)),
        absent_codes=tuple(absent),
        latents=max(16, min(settings.latents, LATENTS) // PART),
        regimes=REGIMES,
        latent_size=settings.latent_size,
        hidden=settings.hidden,
    )
    network = HistoryNetwork(shape)
    even = [torch.full((sum(part),), 1.0) for part in (shape.static, shape.events)]
    network.initialise(
        even[0], torch.ones(layout.max_events), even[1], torch.Generator().manual_seed(0)
    )
    return network, HistoryLoss(_even(plan, layout, widths), shape)


def _step_seconds(network: HistoryNetwork, loss: HistoryLoss) -> float:
    """Seconds of a step of the fit: the shorter of two, after one that warms up."""
    found = []
    for _ in range(3):
        start = time.perf_counter()
        fit_histories(network, loss, 1, 1e-3)
        found.append(time.perf_counter() - start)
    # a fit ends with another pass of the generator and of the loss, without a gradient
    return min(found[1:]) * PART * 0.75


def _even(plan: Plan, layout: HistoryLayout, widths: list[int]) -> CleanBlocks:
    """All blocks of the plan, with equal frequencies."""
    blocks = blocks_of(layout, [1.0] * len(widths), lags_for(plan.epsilon))
    one_way = [
        MarginalEstimate(columns=(c,), frequencies=np.full(w, 1 / w), variance=1.0)
        for c, w in enumerate(widths)
    ]
    estimates = []
    for block in blocks:
        a, b = (place.column for place in block.places)
        even = np.full((widths[a], widths[b]), 1 / (widths[a] * widths[b]))
        estimates.append(MarginalEstimate(columns=(a, b), frequencies=even, variance=1.0))
    return CleanBlocks(one_way, blocks, estimates, len(layout.static), expected_loss=0.0)
