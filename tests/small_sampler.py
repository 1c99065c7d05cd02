"""A sampler of histories whose network has random weights, so that latents and regimes differ."""

import torch
from small_histories import HISTORIES

from fedsynth_common.schema import Schema, history_schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.histories.history_sampler import HistorySampler
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_release.histories.shape import shape_of


def a_network(schema: Schema = HISTORIES) -> HistoryNetwork:
    codebook = Codebook.identity(history_schema(schema))
    shape = shape_of(schema, codebook, latents=4, regimes=2, latent_size=4, hidden=8)
    network, source = HistoryNetwork(shape), torch.Generator().manual_seed(3)
    static, events = (torch.rand(sum(w), generator=source) for w in (shape.static, shape.events))
    network.initialise(static, torch.tensor([0.3, 0.3, 0.4]), events, source)
    with torch.no_grad():
        network.head.weight.mul_(4)
    return network


def a_sampler(schema: Schema = HISTORIES) -> HistorySampler:
    return HistorySampler.of(a_network(schema), Codebook.identity(history_schema(schema)), schema)
