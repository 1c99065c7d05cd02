"""The DP-SGD optimiser of Opacus for ghost clipping, with our own clipping, noise and divisor.

`opacus.optimizers.DPOptimizerFastGradientClipping` adds up the clipped sums of a batch that comes in
pieces (`signal_skip_step`), and adds the noise once, after the last piece. Two parts are replaced.
Its noise comes from torch's global generator, and ours from the entropy of the operating system. Its
divisor follows the data unless it is given, and ours is the plan's expected batch. Nothing else
happens between clipping and noise:
update = (sum of clipped gradients + N(0, (sigma C)^2 I)) / L  (Abadi et al. 2016, Algorithm 1).

The clipped sums are not computed by Opacus' `GradSampleModuleFastGradientClipping`, for four reasons.
Its hooks process a layer's whole input and output, which here are one-hot rows and all D logits for
each of a row's M copies, and most of these are zero. At 15 columns of 20 codes that is fifteen times
the work of `RowGradients`, which knows the block that each copy is about. It needs a second backward
pass. It has no norm of all rows of a person together. And it lets a gradient through that is not
finite, where `clip_and_sum` drops the unit.
"""

from collections.abc import Sequence

import torch
from opacus.optimizers import DPOptimizerFastGradientClipping

from fedsynth_common.privacy.noise import gaussian
from fedsynth_common.privacy.randomness import Randomness


class GuardedDPOptimizer(DPOptimizerFastGradientClipping):  # type: ignore[misc]  # opacus is untyped
    """Adds noise to sums of units that are already clipped to `clipping_norm`.

    `slack` bounds what rounding adds to the sensitivity, as a share of the clipping norm
    (`rounding.slack`). It is public, and the noise is larger by this share.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        noise_multiplier: float,
        clipping_norm: float,
        expected_batch: int,
        slack: float,
        randomness: Randomness,
    ) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=noise_multiplier,
            max_grad_norm=clipping_norm,
            expected_batch_size=expected_batch,
            loss_reduction="sum",
        )
        self._randomness, self._slack = randomness, slack

    def add(self, sums: Sequence[torch.Tensor], *, last: bool) -> None:
        """Add the clipped sums of a piece of the batch; after the last, add noise and divide."""
        for parameter, total in zip(self.params, sums, strict=True):
            parameter.grad = total.view_as(parameter)
        self.signal_skip_step(do_skip=not last)
        self.pre_step()

    def add_noise(self) -> None:
        """Set `grad` to the clipped sum plus Gaussian noise of std sigma C on every coordinate."""
        std = self.noise_multiplier * self.max_grad_norm * (1.0 + self._slack)
        sizes = [parameter.numel() for parameter in self.params]
        noise = torch.from_numpy(gaussian(sum(sizes), std, self._randomness))
        parts = torch.split(noise, sizes)
        for parameter, part in zip(self.params, parts, strict=True):
            parameter.grad = parameter.summed_grad + part.view_as(parameter)

    def scale_grad(self) -> None:
        """Divide by the public expected batch."""
        for parameter in self.params:
            parameter.grad /= self.expected_batch_size
