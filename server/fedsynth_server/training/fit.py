"""Fits a network to measured marginals: the warm start of adversarial rounds, free of privacy cost.

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
    generator = GeneratorNetwork(shape)
    generator.initialise(frequencies_of(first), torch.Generator().manual_seed(settings.seed))
    return generator.to(settings.device)


def frequencies_of(first: Sequence[MarginalEstimate]) -> torch.Tensor:
    """The frequencies of all one-way marginals, one column after the other (D,)."""
    return torch.from_numpy(np.concatenate([marginal.frequencies for marginal in first])).float()


def fit(
    generator: GeneratorNetwork,
    marginal_loss: MarginalLoss,
    steps: int,
    learning_rate: float,
    tick: Tick | None = None,
    record: Record | None = None,
) -> float:
    """Train in place on the marginal loss alone, at most to its target; returns the final loss.

    The finished generator is fitted more closely after the rounds (`mixture_fit.py`, which says why a
    fit ends at its target).
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
