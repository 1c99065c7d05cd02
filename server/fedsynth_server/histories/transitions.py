"""How each column of events follows itself from an event to the next: measured, and of the generator.

The block of a column with itself at the next event is measured like every other. What the report can
say of it without real records is how far the generator is from the block, how much of the block is
noise, and how much of it is there to be kept: its distance from events that follow each other by chance.
"""

import math

import numpy as np
import torch

from fedsynth_common.protocol.counting import Over
from fedsynth_release.histories.network import HistoryNetwork, blocks_of
from fedsynth_release.measurements import MeasuredTransition
from fedsynth_server.histories.cleaned import CleanBlocks
from fedsynth_server.histories.history_loss import HistoryLoss


def measured_transitions(
    network: HistoryNetwork, loss: HistoryLoss, cleaned: CleanBlocks
) -> tuple[MeasuredTransition | None, ...]:
    """One for each model column; None of static columns and of those whose block was not measured."""
    found: list[MeasuredTransition | None] = [None] * len(cleaned.one_way)
    with torch.no_grad():
        following = loss.expected(network()).following
    places = blocks_of(network.shape.events)
    for block, estimate in zip(cleaned.blocks, cleaned.estimates, strict=True):
        a, b = (place.column for place in block.places)
        if block.over is Over.NEXT and block.lag == 1 and a == b:
            inside = places[a - cleaned.static]
            made = following[1][inside, inside].double().cpu().numpy()
            joint = np.maximum(estimate.frequencies, 0.0)
            total = max(float(joint.sum()), 1e-9)
            joint, made = joint / total, made / max(float(made.sum()), 1e-9)
            unknown = estimate.unknown
            if unknown is None:
                unknown = np.full(joint.shape, estimate.variance)
            error = np.sqrt(2 / math.pi * unknown).sum() / total
            chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
            found[a] = MeasuredTransition(
                learned=_half(np.abs(made - joint).sum()),
                noise=_half(error),
                chance=_half(np.abs(joint - chance).sum()),
            )
    return tuple(found)


def _half(total: float) -> float:
    return round(min(1.0, float(total) / 2), 4)
