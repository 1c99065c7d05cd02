"""Fits the generator to measured marginals: the warm start of a study, free of privacy cost.

Full-batch Adam over all latents with a cosine schedule. Deterministic given the settings' seed, the
marginals and the library versions.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.settings import TrainingSettings

Tick = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""
Record = Callable[[int, float], None]
"""Called with (steps done, the loss then)."""


def new_generator(
    first: Sequence[MarginalEstimate], widths: Sequence[int], settings: TrainingSettings
) -> GeneratorNetwork:
    """A generator of independent columns with the measured one-way marginals."""
    shape = GeneratorShape(
        widths=tuple(widths),
        latents=settings.latents,
        latent_size=settings.latent_size,
        hidden=settings.hidden,
    )
    frequencies = np.concatenate([marginal.frequencies for marginal in first])
    generator = GeneratorNetwork(shape)
    generator.initialise(
        torch.from_numpy(frequencies).float(), torch.Generator().manual_seed(settings.seed)
    )
    return generator.to(settings.device)


def fit(
    generator: GeneratorNetwork,
    marginal_loss: MarginalLoss,
    steps: int,
    learning_rate: float,
    tick: Tick | None = None,
    record: Record | None = None,
) -> float:
    """Train in place on the marginal loss alone, at most to its target; returns the final loss.

    The measured marginals differ from the true ones by noise, and a generator that is fitted to them
    exactly learns this noise. The fit therefore ends at the target loss. The discrepancy principle
    (Engl, Hanke & Neubauer 1996, "Regularization of inverse problems", section 4.3) ends an iteration
    where its residual is what the noise explains.
    """
    return descend(
        generator.parameters(),
        lambda: marginal_loss.loss(generator.soft_rows()),
        marginal_loss.target_loss,
        steps,
        learning_rate,
        tick,
        record,
    )


def descend(
    parameters: Iterable[torch.nn.Parameter],
    loss_now: Callable[[], torch.Tensor],
    target_loss: float,
    steps: int,
    learning_rate: float,
    tick: Tick | None = None,
    record: Record | None = None,
) -> float:
    """Change the parameters until the loss is at its target; returns the final loss."""
    optimiser = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    schedule = CosineAnnealingLR(optimiser, steps)
    done = 0
    for step in range(steps):
        optimiser.zero_grad()
        loss = loss_now()
        if loss.item() <= target_loss:
            break
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        schedule.step()
        if record is not None:
            record(step, loss.item())
        done = step + 1
        if tick is not None:
            tick(done, steps)
    if tick is not None and done < steps:
        tick(steps, steps)
    with torch.no_grad():
        last = float(loss_now())
    if record is not None:
        record(done, last)
    return last


def calibrate(
    generator: GeneratorNetwork, first: Sequence[MarginalEstimate], rounds: int = 20
) -> None:
    """Shift the head's bias until the generator's one-way marginals are the measured ones.

    Each round adds log(target / current) per code: iterative proportional fitting on the bias. A code
    whose measured frequency is zero keeps a floor of 1e-6.
    """
    target = torch.from_numpy(np.concatenate([m.frequencies for m in first])).float()
    target = target.clamp(min=1e-6)
    generator.cpu()  # where the finished generator is kept, whatever it was trained on
    with torch.no_grad():
        for _ in range(rounds):
            current = generator.soft_rows().mean(0).clamp(min=1e-6)
            generator.head.bias.add_(torch.log(target / current).clamp(-1.0, 1.0))
