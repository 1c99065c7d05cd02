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
    fit_steps: int = Field(default=1000, ge=1, description="of the generator, at most")
    network_steps: int = Field(
        default=400, ge=1, description="of the network before the rounds, at most"
    )
    enough: float = Field(default=0.4, ge=0, description="see target_loss_for; 0: take all steps")
    enough_of_histories: float = Field(
        default=1.0, ge=0, description="the same for histories at ε = 1"
    )
    learning_rate: float = Field(default=1e-2, gt=0)
    predictor_steps: int = Field(
        default=300, ge=1, description="of both predictors, before the first message"
    )
    adversarial_steps: int = Field(default=30, ge=0, description="generator steps per message")
    adversarial_batch: int = Field(default=512, ge=2)
    adversarial_learning_rate: float = Field(default=5e-3, gt=0)
    adversarial_weight: float = Field(
        default=1.0, ge=0, description="factor of λ; 0 is the control"
    )
    ema: float = Field(default=0.95, ge=0, lt=1)

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

    def target_loss_for(self, expected_loss: float, *, histories_at: float | None = None) -> float:
        """Loss at which a fit ends; measured on six tables (simulations/RESULTS.md).

        Args:
            expected_loss: the loss that the true distribution has (`Denoised.expected_loss`); 0
                without pairs.
            histories_at: ε of a study of persons with events. At ε = 1 the last steps make models
                that learn from the persons worse; from ε = 3 on they still bring distances down.

        >>> usual = TrainingSettings()
        >>> [round(usual.target_loss_for(1.0, histories_at=epsilon), 2) for epsilon in (1, 3)]
        [1.0, 0.65]
        """
        share = self.enough
        if histories_at is not None:
            share = self.enough_of_histories * (1.175 - 0.175 * min(max(histories_at, 1.0), 3.0))
        target = share * expected_loss
        return max(target, NEGLIGIBLE) if target > 0 else 0.0

    def quick(self) -> Self:
        """The same settings with few steps, for smoke tests."""
        return self.model_copy(
            update={
                "fit_steps": 60,
                "network_steps": 60,
                "latents": 256,
                "predictor_steps": 60,
                "adversarial_steps": 2,
                "adversarial_batch": 256,
            }
        )
