"""The adversarial rounds: discriminators out, discriminators back, generator steps in between."""

import copy
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from fedsynth_common.array_types import UInt16Array
from fedsynth_common.networks import Discriminator, flatten, load_flat
from fedsynth_common.protocol.plan import DiscriminatorPlan
from fedsynth_release.generator_network import GeneratorNetwork
from fedsynth_release.sampling.latents import cumulative_tables, draw_codes
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.messages.secure_session import SecureSums
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
from fedsynth_server.training.listening import HEARD, loudness
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.null_training import NullTraining
from fedsynth_server.training.predictor_pass import by_column
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_server.training.site_training import LocalTraining, SiteTraining, SummedTraining

ROWS = 20_000
"""Rows of the generator, drawn for its predictor before every message."""
JUDGED = 1_000
"""How many of these rows `LogRatio.estimate_signal` and the curves of the report use."""


class Pulling(Protocol):
    """What the curves need of a marginal loss: its target, and its excess per unit of loss above."""

    target_loss: float
    excess_scale: float


PULL, ALONE = 0.76, 0.5
"""λ with pairs, over the root of their noise, and without (simulations/RESULTS.md)."""
ROUNDS = 24
"""Rounds of generator steps in a secure sum, whose messages are single steps."""


def adversarial_rounds(
    session: Session,
    network: GeneratorNetwork,
    marginal_loss: MarginalLoss,
    histograms: Histograms,
    settings: TrainingSettings,
    progress: StudyProgress,
    recorder: Recorder,
    sums: SecureSums | None = None,
) -> GeneratorNetwork | None:
    """Train the generator against the sites' discriminators; returns its moving average.

    A plan without a discriminator returns the generator as it is. In a secure sum, `sums` asks for the
    sums of gradients; then a round of generator steps follows on several messages.

    If the plan listens first, its first messages pass without a step of the generator. None: they said
    no more than noise, so that the generator is as it was and the second measurement is due.
    """
    if (plan := session.plan.discriminator) is None:
        return network
    rng, widths = np.random.default_rng(settings.seed + 2), network.shape.widths
    source = torch.Generator().manual_seed(settings.seed + 3)
    device = network.latent.device
    codes, steps = _rows(network, rng), settings.predictor_steps
    log_ratio = LogRatio(widths, plan.hidden, by_column(codes, device), source, steps)
    start = copy.deepcopy(log_ratio.record_predictor).cpu()
    training = _training(session, sums, log_ratio.record_predictor, histograms)
    null_training = NullTraining(start, *training.imagined, widths, source)
    weight = adversarial_weight(settings, marginal_loss)
    adversary = Adversary(network, marginal_loss.excess, weight, settings)
    progress.update("adversarial rounds", 0, plan.messages)
    rounds = in_rounds(plan, sums is not None)
    heard = session.plan.listening.messages if session.plan.listening else 0
    parts = training, null_training, log_ratio
    if heard and not _heard(session, progress, rounds[:heard], *parts, codes):
        training.end()
        return None
    for done, messages in enumerate(rounds[heard:]):
        for step in messages:
            number = step - plan.first_step + 1
            progress.doing(f"message {number}: sites train their discriminators")
            training.message(step)
        load_flat(log_ratio.record_predictor, training.weights)
        codes = _rows(network, rng)
        rows = by_column(codes, device)
        progress.doing(f"message {number}: null training")
        log_ratio.follow(rows)
        for _ in messages:
            null_training.message(codes)
        log_ratio.estimate_signal(null_training.network, rows[:, :JUDGED])
        note_verdict(recorder, done + 1, log_ratio.logits(rows[:, :JUDGED]))
        losses = adversary.round(log_ratio, lambda i, n: progress.doing(f"generator step {i}/{n}"))
        note_losses(recorder, done * len(losses), losses, marginal_loss)
        note, sent = session.spent(messages[-1]) if progress.shown else "", messages[-1] + 1
        progress.update("adversarial rounds", sent - plan.first_step, plan.messages, note)
    training.end()
    return adversary.release()


def _heard(
    session: Session,
    progress: StudyProgress,
    rounds: Sequence[range],
    training: SiteTraining,
    null_training: NullTraining,
    log_ratio: LogRatio,
    codes: UInt16Array,
) -> bool:
    """Whether the first messages say more than noise; `codes` are rows of the generator."""
    for done, messages in enumerate(rounds, 1):
        progress.doing(f"message {done}: listening")
        training.message(messages[0])
        null_training.message(codes)
    load_flat(log_ratio.record_predictor, training.weights)
    rows = by_column(codes[:JUDGED], log_ratio.signal_share.device)
    said = loudness(log_ratio, null_training.network, rows)
    return session.heard(said >= HEARD, said)


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


def _training(
    session: Session, sums: SecureSums | None, network: Discriminator, histograms: Histograms
) -> SiteTraining:
    weights, views = flatten(network), histograms.codebook.views
    if sums is None:
        return LocalTraining(session, views, histograms.shares, weights)
    return SummedTraining(session, sums, views, network)


def in_rounds(plan: DiscriminatorPlan, summed: bool) -> list[range]:
    """The messages of the plan by round: one each, or in a secure sum as many as make `ROUNDS`."""
    each = max(1, plan.messages // ROUNDS) if summed else 1
    steps = plan.steps
    return [steps[start : start + each] for start in range(0, len(steps), each)]


def note_verdict(recorder: Recorder, message: int, logits: torch.Tensor) -> None:
    """The logit of the averaged discriminator for each of the generator's rows (n,)."""
    recorder.add(OUTPUT, message, torch.sigmoid(logits).mean().item())
    recorder.add(ACCURACY, message, (logits < 0).float().mean().item())


def note_losses(
    recorder: Recorder, start: int, losses: list[Losses], marginal_loss: Pulling
) -> None:
    """The losses of a message's generator steps, the marginals' in units of their noise."""
    for step, seen in enumerate(losses, start):
        recorder.add(
            IN_ROUNDS, step, marginal_loss.target_loss + seen.marginal / marginal_loss.excess_scale
        )
        if seen.adversarial is not None:
            recorder.add(ADVERSARIAL, step, seen.adversarial)
