"""The adversarial rounds: discriminators out, discriminators back, generator steps in between."""

from collections.abc import Mapping

import numpy as np
import torch

from fedsynth_common.artefact.drawing import cumulative_tables, draw_codes
from fedsynth_common.networks import (
    Discriminator,
    GeneratorNetwork,
    flatten,
    load_flat,
    one_hot,
    parameter_count,
)
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views
from fedsynth_common.protocol.plan import DiscriminatorPlan
from fedsynth_server.aggregate import Agreement, Average, Vector, average
from fedsynth_server.histograms import Histograms
from fedsynth_server.progress import StudyProgress
from fedsynth_server.session import Session
from fedsynth_server.training.adversary import Adversary, pretrain
from fedsynth_server.training.anchor import Anchor
from fedsynth_server.training.curves import (
    ACCURACY,
    ADVERSARIAL,
    IN_ROUNDS,
    OUTPUT,
    Losses,
    Recorder,
)
from fedsynth_server.training.settings import TrainingSettings

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
    rng = np.random.default_rng(settings.seed + 2)
    discriminator = first_discriminator(network, plan, rng, settings.seed + 3)
    weight = adversarial_weight(settings, session.plan.epsilon, pairs=anchor.order > 1)
    adversary = Adversary(network, anchor.softened, weight, settings)
    size = parameter_count(discriminator)
    state = Average(flatten(discriminator), np.zeros(2 * size, dtype=np.float32))
    agreement = Agreement()
    for done, step in enumerate(plan.steps):
        codes = draw_codes(cumulative_tables(network), plan.synthetic_rows, rng)
        request = pb.DiscriminateRequest(
            plan_digest=session.digest,
            step=step,
            views=pack_views(histograms.codebook.views),
            weights=pack(state.weights, "f4"),
            moments=pack(state.moments, "f4"),
            synthetic=pack(codes, "u2"),
        )
        state = _round(session, request, histograms.weights, state.weights, state.moments)
        agreement.see(state.updates)
        load_flat(discriminator, state.weights)
        _note_verdict(recorder, done + 1, discriminator, one_hot(codes, network.shape.widths))
        losses = adversary.round(discriminator)
        _note_losses(recorder, done * len(losses), losses, anchor)
        note = session.spent(step) if progress.shown else ""
        progress.update("adversarial rounds", done + 1, plan.messages, note)
    session.notes += [f"{site}: {AGAINST}" for site in agreement.against]
    return adversary.release()


def adversarial_weight(settings: TrainingSettings, epsilon: float, *, pairs: bool) -> float:
    """λ. Where pairs hold the generator, a noisy discriminator has a say in proportion to ε.

    Without pairs the discriminators are all there is to learn from.

    >>> adversarial_weight(TrainingSettings(), 1.0, pairs=True)
    0.1
    """
    return settings.adversarial_weight * (min(1.0, epsilon / 10) if pairs else 1.0)


def first_discriminator(
    network: GeneratorNetwork, plan: DiscriminatorPlan, rng: np.random.Generator, seed: int
) -> Discriminator:
    """A discriminator that already tells dependence from independence, at no cost."""
    widths = network.shape.widths
    discriminator = Discriminator(sum(widths), plan.hidden)
    joint = draw_codes(cumulative_tables(network), plan.synthetic_rows, rng)
    independent = np.stack([rng.permutation(column) for column in joint.T], axis=1)
    rows = [one_hot(codes, widths) for codes in (joint, independent)]
    pretrain(discriminator, rows, torch.Generator().manual_seed(seed))
    return discriminator


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


def _note_verdict(
    recorder: Recorder, message: int, discriminator: Discriminator, synthetic: torch.Tensor
) -> None:
    """What the averaged discriminator makes of the rows (n, D) that the sites were sent."""
    with torch.no_grad():
        logits = discriminator(synthetic)
    recorder.add(OUTPUT, message, torch.sigmoid(logits).mean().item())
    recorder.add(ACCURACY, message, (logits < 0).float().mean().item())


def _note_losses(recorder: Recorder, start: int, losses: list[Losses], anchor: Anchor) -> None:
    """The losses of a message's generator steps, the marginals' in units of their noise."""
    for step, seen in enumerate(losses, start):
        recorder.add(IN_ROUNDS, step, anchor.goal + seen.held / anchor.softening)
        if seen.against is not None:
            recorder.add(ADVERSARIAL, step, seen.against)
