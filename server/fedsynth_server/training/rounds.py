"""The adversarial rounds: discriminators out, discriminators back, generator steps in between."""

import copy
from collections.abc import Mapping

import numpy as np
import torch

from fedsynth_common.array_types import Float32Array, UInt16Array
from fedsynth_common.networks import flatten, load_flat, parameter_count
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views
from fedsynth_release.generator_network import GeneratorNetwork
from fedsynth_release.sampling.latents import cumulative_tables, draw_codes
from fedsynth_server.aggregation.discriminators import Agreement, Average, average
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.training.adversary import Adversary
from fedsynth_server.training.curves import (
    ACCURACY,
    ADVERSARIAL,
    IN_ROUNDS,
    OUTPUT,
    Losses,
    Recorder,
)
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.null_training import NullTraining
from fedsynth_server.training.predictor_pass import by_column
from fedsynth_server.training.settings import TrainingSettings

ROWS = 20_000
"""Rows of the generator, drawn for its predictor before every message."""
JUDGED = 1_000
"""How many of these rows `LogRatio.estimate_signal` and the curves of the report use."""
PULL, ALONE = 0.76, 0.5
"""λ with pairs, over the root of their noise, and without (simulations/RESULTS.md)."""
AGAINST = "its updates pointed against the other sites': it has other records, or sends wrong ones"


def adversarial_rounds(
    session: Session,
    network: GeneratorNetwork,
    marginal_loss: MarginalLoss,
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
    device = network.latent.device
    rows = by_column(_rows(network, rng), device)
    log_ratio = LogRatio(widths, plan.hidden, rows, source, settings.predictor_steps)
    start = copy.deepcopy(log_ratio.record_predictor).cpu()
    null_training = NullTraining(start, plan, len(session.plan.sites), widths, source)
    weight = adversarial_weight(settings, marginal_loss)
    adversary = Adversary(network, marginal_loss.excess, weight, settings)
    size = parameter_count(log_ratio.record_predictor)
    state = Average(flatten(log_ratio.record_predictor), np.zeros(2 * size, dtype=np.float32))
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
        state = _round(session, request, histograms.shares, state.weights, state.moments)
        agreement.see(state.updates)
        load_flat(log_ratio.record_predictor, state.weights)
        codes = _rows(network, rng)
        rows = by_column(codes, device)
        progress.doing(f"message {done + 1}: null training")
        log_ratio.follow(rows)
        null_training.message(codes)
        log_ratio.estimate_signal(null_training.network, rows[:, :JUDGED])
        _note_verdict(recorder, done + 1, log_ratio.logits(rows[:, :JUDGED]))
        losses = adversary.round(log_ratio, lambda i, n: progress.doing(f"generator step {i}/{n}"))
        _note_losses(recorder, done * len(losses), losses, marginal_loss)
        note = session.spent(step) if progress.shown else ""
        progress.update("adversarial rounds", done + 1, plan.messages, note)
    session.notes += [f"{site}: {AGAINST}" for site in agreement.against]
    return adversary.release()


def adversarial_weight(settings: TrainingSettings, marginal_loss: MarginalLoss) -> float:
    """λ: with pairs `PULL` times the root of their noise, without them `ALONE`.

    The pull of the marginal loss grows with a cell's distance from the measured value. So λ over the
    noise says by how many standard deviations of the noise the rounds may change a cell. With the root,
    that number grows as the noise shrinks, since discriminators are more exact then too: it is 17, 28
    and 48 at ε = 1, 3 and 10 with five sites of 10,000 records and 14 columns. Without pairs the
    generator learns from the discriminators alone.
    """
    return settings.adversarial_weight * (
        PULL * marginal_loss.noise**0.5 if marginal_loss.has_pairs else ALONE
    )


def _rows(network: GeneratorNetwork, rng: np.random.Generator) -> UInt16Array:
    """Rows of the generator, as codes (ROWS, columns)."""
    return draw_codes(cumulative_tables(network), ROWS, rng)


def _round(
    session: Session,
    request: pb.DiscriminateRequest,
    shares: Mapping[str, float],
    weights: Float32Array,
    moments: Float32Array,
) -> Average:
    result = average(session.discriminate(request), shares, weights, moments)
    session.notes += [f"step {request.step}: {site} left out" for site in result.excluded]
    session.notes += [f"step {request.step}: {site} scaled down" for site in result.scaled]
    return result


def _note_verdict(recorder: Recorder, message: int, logits: torch.Tensor) -> None:
    """The logit of the averaged discriminator for each of the generator's rows (n,)."""
    recorder.add(OUTPUT, message, torch.sigmoid(logits).mean().item())
    recorder.add(ACCURACY, message, (logits < 0).float().mean().item())


def _note_losses(
    recorder: Recorder, start: int, losses: list[Losses], marginal_loss: MarginalLoss
) -> None:
    """The losses of a message's generator steps, the marginals' in units of their noise."""
    for step, seen in enumerate(losses, start):
        recorder.add(
            IN_ROUNDS, step, marginal_loss.target_loss + seen.marginal / marginal_loss.excess_scale
        )
        if seen.adversarial is not None:
            recorder.add(ADVERSARIAL, step, seen.adversarial)
