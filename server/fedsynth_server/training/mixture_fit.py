"""Fits a mixture to measured marginals: the finished generator, free of privacy cost.

The logits of all latents move along the natural gradient (Amari 1998, "Natural gradient works
efficiently in learning"): for a softmax p whose probabilities have the gradient s, that is s - Σ p s.
With the ordinary gradient p (s - Σ p s) a rare code hardly moves, however wrong it is. Successive
gradients are averaged (momentum: Polyak 1964). The length of a step follows from the loss at which
the fit ends, because that is known: (loss - end) / |gradient|² (Polyak 1987, "Introduction to
Optimization", section 5.3.1). So there is no learning rate, and steps become shorter by themselves.

Measured on Adult at ε = 10: 5 processor seconds and the target is reached, where Adam on the MLP of
`generator_network.py` takes 50 and does not reach it (simulations/RESULTS.md).

Everything is deterministic given the settings' seed, the marginals and the library versions.
"""

import math
from collections.abc import Sequence

import torch

from fedsynth_release.generator_mixture import GeneratorMixture, MixtureShape
from fedsynth_release.generator_network import softmax_by_code
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.fit import Record, Tick, frequencies_of
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.settings import TrainingSettings

SPREAD = 0.5
"""Standard deviation of a new mixture's logits around those of independent columns."""
MOMENTUM = 0.9
CAUTION = 0.15
"""Share of Polyak's step that is taken: more is faster at first, and unsteady where noise is low."""
AIM = 0.9
"""The steps aim at this share of the target, because they would only approach the target itself."""
LONGEST = 0.3
"""No step changes logits by more, as a root mean square over the records of the mixture."""


def new_mixture(
    first: Sequence[MarginalEstimate], widths: Sequence[int], settings: TrainingSettings
) -> GeneratorMixture:
    """A mixture of nearly independent columns with the measured one-way marginals."""
    mixture = GeneratorMixture(MixtureShape(widths=tuple(widths), latents=settings.latents))
    source = torch.Generator().manual_seed(settings.seed)
    with torch.no_grad():
        mixture.logits.normal_(std=SPREAD, generator=source)
    mixture.shift(frequencies_of(first).clamp(min=1e-5).log())
    return mixture.to(settings.device)


@torch.no_grad()
def fit_mixture(
    mixture: GeneratorMixture,
    marginal_loss: MarginalLoss,
    steps: int,
    tick: Tick | None = None,
    record: Record | None = None,
) -> float:
    """Fit in place, at most to the target of the loss; returns the final loss.

    The measured marginals differ from the true ones by noise, and a generator that is fitted to them
    exactly learns this noise. The fit therefore ends at the target loss. The discrepancy principle
    (Engl, Hanke & Neubauer 1996, "Regularization of inverse problems", section 4.3) ends an iteration
    where its residual is what the noise explains.
    """
    logits, widths = mixture.logits, mixture.shape.widths
    average = torch.zeros_like(logits)
    for step in range(steps + 1):
        soft = softmax_by_code(logits, widths)
        residual = marginal_loss.residual(soft)
        if record is not None:
            record(step, residual.loss)
        if residual.loss <= marginal_loss.target_loss or step == steps:
            break
        slopes = natural_gradient(residual.slopes(soft, 1.0), soft, widths)
        average.lerp_(slopes, 1 - MOMENTUM)
        logits.sub_(average, alpha=_length(average, soft, residual.loss, marginal_loss.target_loss))
        if tick is not None:
            tick(step + 1, steps)
    if tick is not None:
        tick(steps, steps)
    return residual.loss


def natural_gradient(
    slopes: torch.Tensor, soft: torch.Tensor, widths: Sequence[int]
) -> torch.Tensor:
    """Natural gradient at the logits (D, B), in place of the gradient at their softmax `soft`."""
    for slope, part in zip(
        torch.split(slopes, list(widths)), torch.split(soft, list(widths)), strict=True
    ):
        slope.sub_((slope * part).sum(0, keepdim=True))
    return slopes


def _length(average: torch.Tensor, soft: torch.Tensor, loss: float, target: float) -> float:
    """By what the averaged gradient is multiplied: Polyak's step, within its bound."""
    square = float((average.square() * soft).sum())
    if square == 0:
        return 0.0
    usual = CAUTION * (loss - AIM * target) / square
    return min(usual, LONGEST * math.sqrt(average.shape[1] / square))


def calibrate(
    mixture: GeneratorMixture, first: Sequence[MarginalEstimate], rounds: int = 20
) -> None:
    """Shift the logits until the generator's one-way marginals are the measured ones.

    Each round adds log(target / current) per code: iterative proportional fitting. A code whose
    measured frequency is zero keeps a floor of 1e-6.
    """
    target = frequencies_of(first).clamp(min=1e-6)
    mixture.cpu()  # where the finished generator is kept, whatever it was trained on
    for _ in range(rounds):
        current = mixture.soft_rows().mean(0).clamp(min=1e-6)
        mixture.shift(torch.log(target / current).clamp(-1.0, 1.0))
