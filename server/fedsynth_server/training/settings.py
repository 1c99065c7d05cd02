"""How the coordinator trains its generator: no setting here can change what is private.

The privacy parameters are in the plan (`fedsynth_common.protocol.plan`) and approved by the sites;
these settings only spend computing time.
"""

from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fedsynth_common.errors import InputError

Device = Literal["cpu", "cuda"]

NEGLIGIBLE = 0.01
"""Loss below which no fit goes on: a tenth of the noise's standard deviation in every cell."""


class TrainingSettings(BaseModel):
    """Settings of the generator's training; the defaults are what the benchmarks report."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    device: Device = Field(default="cpu", description="where the generator trains: cpu or cuda")
    latents: int = Field(default=2048, ge=16)
    latent_size: int = Field(default=64, ge=1)
    hidden: int = Field(default=128, ge=1)
    fit_steps: int | None = Field(default=None, ge=1, description="default: by ε, see steps_for")
    enough: float = Field(default=0.4, ge=0, description="see target_loss_for; 0: take all steps")
    enough_of_histories: float = Field(default=1.0, ge=0, description="the same for histories")
    learning_rate: float = Field(default=1e-2, gt=0)
    predictor_steps: int = Field(
        default=600, ge=1, description="of both predictors, before the first message"
    )
    adversarial_steps: int = Field(default=30, ge=0, description="generator steps per message")
    adversarial_batch: int = Field(default=1024, ge=2)
    adversarial_learning_rate: float = Field(default=5e-3, gt=0)
    adversarial_weight: float = Field(
        default=1.0, ge=0, description="factor of λ; 0 is the control"
    )
    ema: float = Field(default=0.95, ge=0, lt=1)
    refit_steps: int | None = Field(default=None, ge=0, description="default: a third of the fit")
    refit_learning_rate: float = Field(default=3e-3, gt=0)

    @field_validator("device")
    @classmethod
    def _seen(cls, device: Device) -> Device:
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("torch sees no CUDA device here; expected cpu")
        return device

    @classmethod
    def on(cls, device: Device) -> Self:
        """The usual settings on a device.

        Raises:
            InputError: torch sees no such device.
        """
        try:
            return cls(device=device)
        except ValidationError:
            fault = (
                "torch sees no CUDA device here; leave it out, or install a build of torch for it"
            )
            raise InputError(f"--device {device}: {fault}") from None

    def steps_for(self, epsilon: float) -> int:
        """Steps of the fit: 1,000 at ε <= 1 up to 3,000 at ε >= 3, where noise no longer limits it.

        >>> TrainingSettings().steps_for(0.5), TrainingSettings().steps_for(10)
        (1000, 3000)
        """
        return self.fit_steps or round(1000 * min(max(epsilon, 1.0), 3.0))

    def refit_steps_for(self, epsilon: float) -> int:
        """Steps of the fit to the marginals after the rounds: a third of the first fit.

        >>> TrainingSettings().refit_steps_for(10)
        1000
        """
        return self.steps_for(epsilon) // 3 if self.refit_steps is None else self.refit_steps

    def target_loss_for(self, expected_loss: float, *, histories: bool = False) -> float:
        """Loss at which a fit ends; measured on six tables (simulations/RESULTS.md).

        Args:
            expected_loss: the loss that the true distribution has (`Denoised.expected_loss`); 0
                without pairs.
            histories: whether persons with events are fitted, who gain nothing from the last steps.
        """
        target = (self.enough_of_histories if histories else self.enough) * expected_loss
        return max(target, NEGLIGIBLE) if target > 0 else 0.0

    def quick(self) -> Self:
        """The same settings with few steps, for smoke tests."""
        return self.model_copy(
            update={
                "fit_steps": 60,
                "refit_steps": 10,
                "latents": 256,
                "predictor_steps": 60,
                "adversarial_steps": 2,
                "adversarial_batch": 256,
            }
        )
