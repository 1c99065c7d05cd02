"""The adversarial rounds: discriminators out, discriminators back, generator steps in between."""

import copy
from collections.abc import Mapping

import numpy as np
import torch

from fedsynth_common.networks import flatten, load_flat, one_hot, parameter_count
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views
from fedsynth_release.generator_network import GeneratorNetwork
from fedsynth_release.sampling.latents import cumulative_tables, draw_codes
from fedsynth_server.aggregate import Agreement, Average, Vector, average
from fedsynth_server.histograms import Histograms
from fedsynth_server.progress import StudyProgress
from fedsynth_server.session import Session
from fedsynth_server.training.adversary import Adversary
from fedsynth_server.training.anchor import Anchor
from fedsynth_server.training.curves import (
    ACCURACY,
    ADVERSARIAL,
    IN_ROUNDS,
    OUTPUT,
    Losses,
    Recorder,
)
from fedsynth_server.training.null import NullFederation
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_server.training.twins import Twins

ROWS = 20_000
"""Of the generator, drawn for its twin before every message."""
JUDGED = 1_000
"""Of them, by which columns are believed (`Twins.weigh`) and the curves of the report drawn."""
PULL, ALONE = 0.76, 0.5
"""λ with pairs, over the root of their noise, and without (simulations/RESULTS.md)."""
AGAINST = "its updates pointed against the other sites': it has other records, or sends wrong ones"


def adversarial_rounds(
    session: Session,
    network: GeneratorNetwork,
    anchor: Anchor,
    histograms: Histograms,
    settings: TrainingSettings,
    progress: StudyProgress,
    recorder: Recorder,
) -> GeneratorNetwork:
    """Train the generator against the sites' discriminators; returns its moving average.

    A plan without a discriminator returns the generator as it is.
    """
    plan = session.plan.discriminator
    if plan is None:
        return network
    rng, widths = np.random.default_rng(settings.seed + 2), network.shape.widths
    source = torch.Generator().manual_seed(settings.seed + 3)
    twins = Twins(widths, plan.hidden, _rows(network, rng), source)
    null = NullFederation(
        copy.deepcopy(twins.records).cpu(), plan, len(session.plan.sites), widths, source
    )
    adversary = Adversary(network, anchor.softened, adversarial_weight(settings, anchor), settings)
    size = parameter_count(twins.records)
    state = Average(flatten(twins.records), np.zeros(2 * size, dtype=np.float32))
    agreement = Agreement()
    progress.update("adversarial rounds", 0, plan.messages)
    for done, step in enumerate(plan.steps):
        progress.doing(f"message {done + 1}: sites train their discriminators")
        request = pb.DiscriminateRequest(
            plan_digest=session.digest,
            step=step,
            views=pack_views(histograms.codebook.views),
            weights=pack(state.weights, "f4"),
            moments=pack(state.moments, "f4"),
        )
        state = _round(session, request, histograms.weights, state.weights, state.moments)
        agreement.see(state.updates)
        load_flat(twins.records, state.weights)
        rows = _rows(network, rng)
        progress.doing(f"message {done + 1}: twin and imagined sites")
        twins.follow(rows)
        null.message(rows.cpu())
        twins.weigh(null.network, rows[:JUDGED])
        _note_verdict(recorder, done + 1, twins.verdict(rows[:JUDGED]))
        losses = adversary.round(twins, lambda i, n: progress.doing(f"generator step {i}/{n}"))
        _note_losses(recorder, done * len(losses), losses, anchor)
        note = session.spent(step) if progress.shown else ""
        progress.update("adversarial rounds", done + 1, plan.messages, note)
    session.notes += [f"{site}: {AGAINST}" for site in agreement.against]
    return adversary.release()


def adversarial_weight(settings: TrainingSettings, anchor: Anchor) -> float:
    """λ: with pairs `PULL` times the root of their noise, without them `ALONE`.

    The anchor's pull grows with a cell's distance from what was measured, so λ over the noise says by
    how many of its standard deviations the rounds may bend a cell. The root lets that number grow as
    the noise shrinks, for then discriminators are surer too: 17, 28 and 48 at ε = 1, 3 and 10 with five
    sites of 10,000 records and 14 columns. Without pairs discriminators are all there is to learn from.
    """
    return settings.adversarial_weight * (PULL * anchor.noise**0.5 if anchor.order > 1 else ALONE)


def _rows(network: GeneratorNetwork, rng: np.random.Generator) -> torch.Tensor:
    """Hard rows of the generator, (ROWS, D)."""
    rows = one_hot(draw_codes(cumulative_tables(network), ROWS, rng), network.shape.widths)
    return rows.to(network.latent.device)


def _round(
    session: Session,
    request: pb.DiscriminateRequest,
    shares: Mapping[str, float],
    weights: Vector,
    moments: Vector,
) -> Average:
    body = request.SerializeToString(deterministic=True)
    replies = session.ask("discriminate", request.step, body, pb.DiscriminateReply.FromString)
    result = average(replies, shares, weights, moments)
    session.notes += [f"step {request.step}: {site} left out" for site in result.excluded]
    session.notes += [f"step {request.step}: {site} scaled down" for site in result.scaled]
    return result


def _note_verdict(recorder: Recorder, message: int, logits: torch.Tensor) -> None:
    """What the averaged discriminator makes of the generator's rows (n,)."""
    recorder.add(OUTPUT, message, torch.sigmoid(logits).mean().item())
    recorder.add(ACCURACY, message, (logits < 0).float().mean().item())


def _note_losses(recorder: Recorder, start: int, losses: list[Losses], anchor: Anchor) -> None:
    """The losses of a message's generator steps, the marginals' in units of their noise."""
    for step, seen in enumerate(losses, start):
        recorder.add(IN_ROUNDS, step, anchor.goal + seen.held / anchor.softening)
        if seen.against is not None:
            recorder.add(ADVERSARIAL, step, seen.against)
