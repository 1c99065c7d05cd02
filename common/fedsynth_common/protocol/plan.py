"""The study plan: everything about a study that a site approves, and nothing else.

A plan fixes the schema, the sites and every privacy parameter before the first record is touched.
Requests carry no privacy parameter of their own for DP-SGD, and for marginals only a noise scale
that must be at least as large as the plan's, so a coordinator cannot weaken the guarantee later. How
the server trains its generator is not in here: it costs no privacy.

The digest is SHA-256 over canonical JSON (sorted keys, no white space): sites approve the digest.
"""

import hashlib
import json
import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fedsynth_common.errors import InputError
from fedsynth_common.privacy.events import DpSgdEvent, Event, GaussianEvent
from fedsynth_common.schema import Schema

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Purpose = Literal["histograms", "marginals"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MeasureStep(_Frozen):
    """One `query.measure` message: a list of marginals, together one Gaussian mechanism.

    A request with noise scales s_k (standard deviations) fits the step when
    1 / sqrt(sum_k (rows_per_person / s_k)^2) >= noise_multiplier.
    """

    step: int = Field(ge=1)
    purpose: Purpose
    noise_multiplier: Positive


ADAM_BETAS = (0.5, 0.999)
"""Of the sites' Adam; the coordinator imagines the same training, so both must have the same."""


class DiscriminatorPlan(_Frozen):
    """DP-SGD at the sites: all parameters are public constants.

    Message i of `messages` has step number `first_step + i` and runs `steps_per_message` steps on
    Poisson samples of rate `sampling_rate`, each unit clipped to `clipping_norm`, with Gaussian
    noise of standard deviation `noise_multiplier * clipping_norm`, divided by `expected_batch`.
    `learning_rate` is Adam's. Signal over noise of a sum of steps does not depend on it, but a small one
    leaves the discriminators where they began (simulations/RESULTS.md). Of every record drawn,
    `masked_columns` columns, or all where there are fewer, are predicted from the others.
    """

    first_step: int = Field(ge=1)
    messages: int = Field(ge=1)
    steps_per_message: int = Field(ge=1)
    sampling_rate: float = Field(gt=0, le=1)
    noise_multiplier: Positive
    clipping_norm: Positive = 1.0
    expected_batch: int = Field(ge=1)
    learning_rate: Positive = 2e-2
    hidden: tuple[int, ...] = Field(default=(64,), min_length=1)
    masked_columns: int = Field(default=8, ge=1, le=64)

    @property
    def steps(self) -> range:
        """The step numbers of the messages, in order."""
        return range(self.first_step, self.first_step + self.messages)

    @property
    def message_event(self) -> DpSgdEvent:
        """What one message costs."""
        return DpSgdEvent(
            sampling_rate=self.sampling_rate,
            noise_multiplier=self.noise_multiplier,
            steps=self.steps_per_message,
        )


@dataclass(frozen=True)
class MessageRun:
    """Messages of a plan that are alike and follow each other: one measurement, or all training.

    Attributes:
        numbers: the step numbers of the messages.
        purpose: what they are for.
        event: what each of them costs a site.
    """

    numbers: range
    purpose: Purpose | Literal["discriminator"]
    event: GaussianEvent | DpSgdEvent

    @property
    def count(self) -> int:
        """How many messages there are."""
        return len(self.numbers)

    @property
    def label(self) -> str:
        """The step numbers for a person: the first and, if there are more, the last."""
        first, last = self.numbers[0], self.numbers[-1]
        return str(first) if first == last else f"{first}-{last}"

    def event_of(self, messages: int) -> Event:
        """What this many of the messages cost a site together, as one event."""
        if isinstance(self.event, DpSgdEvent):
            return replace(self.event, steps=self.event.steps * messages)
        return self.event


class Plan(_Frozen):
    """A study as a site approves it.

    `records_per_site` is a public order of magnitude, declared by hand and never counted. With
    `epsilon` and `delta` the coordinator states what the whole plan may cost one site's records;
    each vault recomputes it and refuses a plan that costs more.
    """

    format_version: Literal[1] = 1
    study: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    table: Schema
    sites: tuple[str, ...] = Field(min_length=1)
    records_per_site: int = Field(ge=1)
    epsilon: Positive
    delta: float = Field(gt=0, lt=1)
    trust: Literal["local"] = "local"
    measure: tuple[MeasureStep, ...]
    discriminator: DiscriminatorPlan | None = None

    @model_validator(mode="after")
    def _steps_are_unique(self) -> Self:
        numbers = [m.step for m in self.measure]
        numbers += list(self.discriminator.steps) if self.discriminator else []
        if len(set(numbers)) != len(numbers):
            raise ValueError("plan: two messages have the same step number")
        if len(set(self.sites)) != len(self.sites):
            raise ValueError("plan: two sites have the same name")
        return self

    @property
    def message_runs(self) -> tuple[MessageRun, ...]:
        """What the plan asks of a site, in order: the one place where a plan becomes events."""
        runs = [
            MessageRun(
                range(measure.step, measure.step + 1),
                measure.purpose,
                GaussianEvent(noise_multiplier=measure.noise_multiplier),
            )
            for measure in self.measure
        ]
        if training := self.discriminator:
            runs.append(MessageRun(training.steps, "discriminator", training.message_event))
        return tuple(runs)

    def planned_events(self) -> tuple[Event, ...]:
        """The events that one site is charged if every step of the plan runs."""
        return tuple(run.event_of(run.count) for run in self.message_runs)

    def measure_step(self, step: int) -> MeasureStep | None:
        """The measure step with this number, if the plan has one."""
        return next((m for m in self.measure if m.step == step), None)

    def to_json(self) -> bytes:
        """Canonical JSON: the bytes that are sent, hashed and approved."""
        fields = self.model_dump(mode="json")
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes | str) -> "Plan":
        """Parse and validate.

        Raises:
            InputError: naming the field of the first fault.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"]) or "plan"
            raise InputError(f"plan: {where}: {fault['msg']}") from None


def noise_multiplier(variances: list[int], sensitivity: int) -> float:
    """Noise multiplier of a list of noisy marginals taken together.

    A record (or a person with up to `sensitivity` rows) moves one cell of marginal k by at most
    `sensitivity`, so the list is a Gaussian mechanism of multiplier
    1 / sqrt(sum_k sensitivity^2 / variance_k).

    >>> noise_multiplier([100, 100, 100, 100], sensitivity=1)
    5.0
    """
    return 1.0 / math.sqrt(sum(sensitivity**2 / variance for variance in variances))
