"""The study plan: everything about a study that a site approves, and nothing else.

A plan fixes the schema, the sites and every privacy parameter before the first record is touched.
Requests carry no privacy parameter of their own for DP-SGD, and for marginals only a noise scale
that must be at least as large as the plan's, so a coordinator cannot weaken the guarantee later. How
the server trains its generator is not in here: it costs no privacy.

The digest is SHA-256 over canonical JSON (sorted keys, no white space): sites approve the digest.

Whoever is sent a plan reads it before anybody has approved it. So its text is at most `MAX_PLAN_BYTES`
long, every field is bounded, steps are counted and never listed, and the accountant prices the largest
plan in seconds.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.errors import InputError
from fedsynth_common.limits import (
    MAX_MEASURES,
    MAX_PARAMETERS,
    MAX_PLAN_BYTES,
)
from fedsynth_common.privacy.events import DpSgdEvent, Event, GaussianEvent
from fedsynth_common.schema import Schema
from fedsynth_common.validated import validated

Purpose = Literal["histograms", "marginals"]
Trust = Literal["local", "secure-sum"]
LEAST_NOISE = 0.1
Multiplier = Annotated[float, Field(ge=LEAST_NOISE, le=1e6)]
"""A noise multiplier, within what the accountant composes (`privacy.events`)."""
Step = Annotated[int, Field(ge=1, le=1_000_000)]
Records = Annotated[int, Field(ge=1, le=10**12)]
Width = Annotated[int, Field(ge=1, le=MAX_PARAMETERS)]
SiteName = Annotated[str, Field(min_length=1, max_length=200)]
MAX_SITES = 1_000
MAX_STEPS = 1_000_000
"""Of DP-SGD in a study: as many as one event may hold."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MeasureStep(_Frozen):
    """One `query.measure` message: a list of marginals, together one Gaussian mechanism.

    A request of marginals of sensitivity d_k (`counting.sensitivity`) with noise scales s_k (standard
    deviations) fits the step when 1 / sqrt(sum_k (d_k / s_k)^2) >= noise_multiplier.
    """

    step: Step
    purpose: Purpose
    noise_multiplier: Multiplier


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

    first_step: Step
    messages: int = Field(ge=1, le=10_000)
    steps_per_message: int = Field(ge=1, le=MAX_STEPS)
    sampling_rate: float = Field(ge=1e-9, le=1)
    noise_multiplier: float = Field(gt=0, le=1e6)
    clipping_norm: float = Field(default=1.0, ge=1e-6, le=1e6)
    expected_batch: Records
    learning_rate: float = Field(default=2e-2, gt=0, le=1e3)
    hidden: tuple[Width, ...] = Field(default=(64,), min_length=1, max_length=16)
    masked_columns: int = Field(default=8, ge=1, le=64)

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if self.messages * self.steps_per_message > MAX_STEPS:
            raise ValueError(f"messages times steps_per_message must not exceed {MAX_STEPS}")
        if self.parameters(1) > MAX_PARAMETERS:
            raise ValueError(f"hidden: the network has more than {MAX_PARAMETERS} parameters")
        return self

    def parameters(self, width: int) -> int:
        """Parameters of the discriminator of records that are `width` codes wide in all.

        >>> DiscriminatorPlan(first_step=1, messages=1, steps_per_message=1, sampling_rate=0.1,
        ...     noise_multiplier=1.0, expected_batch=1, hidden=(64,)).parameters(100)
        12964
        """
        sizes = [width, *self.hidden, width]
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))

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


LEAST_SITES = 3
"""Of a secure sum: of two sites, each could subtract its own counts from the sum."""
ReceiptKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""An Ed25519 public key, 32 bytes in hexadecimal."""


class SecureSum(_Frozen):
    """The sites add their counts up under masks, so that the coordinator learns the sum alone.

    `colluders` is c: of the plan's K sites, so many may work together with the coordinator or be
    missing, *together*, and the sum still holds the noise of K - c honest sites, which is what the
    plan's ε counts on. `receipt_keys` names every site's receipt key, so that a site which approves
    the plan approves whom it sums with, and the coordinator can invent nobody.
    """

    colluders: int = Field(ge=1, le=MAX_SITES)
    receipt_keys: dict[SiteName, ReceiptKey] = Field(max_length=MAX_SITES)


def default_colluders(sites: int) -> int:
    """How many of `sites` may collude or be missing unless somebody decides otherwise: a fifth.

    >>> [default_colluders(sites) for sites in (3, 5, 7, 20, 50)]
    [1, 1, 2, 4, 10]
    """
    return max(1, -(-sites // 5))


class Plan(_Frozen):
    """A study as a site approves it.

    `records_per_site` is a public order of magnitude, declared by hand and never counted. With
    `epsilon` and `delta` the coordinator states what the whole plan may cost one site's records;
    each vault recomputes it and refuses a plan that costs more.

    With `trust` "local" every site adds all noise to what it sends. With "secure-sum" the sites make
    one noise together, and `secure_sum` says which sites these are. Such a plan has format 3.
    """

    format_version: Literal[2, 3] = 2
    study: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    table: Schema
    sites: tuple[SiteName, ...] = Field(min_length=1, max_length=MAX_SITES)
    records_per_site: Records
    epsilon: float = Field(gt=0, le=1e6)
    delta: float = Field(ge=1e-12, lt=1)
    trust: Trust = "local"
    secure_sum: SecureSum | None = None
    measure: tuple[MeasureStep, ...] = Field(max_length=MAX_MEASURES)
    discriminator: DiscriminatorPlan | None = None

    @model_validator(mode="after")
    def _steps_are_unique(self) -> Self:
        numbers = [m.step for m in self.measure]
        training = self.discriminator.steps if self.discriminator else range(0)
        if len(set(numbers)) != len(numbers) or any(number in training for number in numbers):
            raise ValueError("plan: two messages have the same step number")
        if self.discriminator and self.discriminator.noise_multiplier < LEAST_NOISE:
            raise ValueError(f"discriminator.noise_multiplier must be at least {LEAST_NOISE}")
        if self.discriminator and self.table.histories is not None:
            raise ValueError(
                "discriminator: a table with histories is studied by marginals alone; leave it out"
            )
        if len(set(self.sites)) != len(self.sites):
            raise ValueError("plan: two sites have the same name")
        return self

    @model_validator(mode="after")
    def _sum_is_secure(self) -> Self:
        summed = self.secure_sum
        if (self.trust == "secure-sum") != (summed is not None):
            raise ValueError('secure_sum: goes with trust "secure-sum", and only with it')
        if self.format_version != (2 if summed is None else 3):
            raise ValueError("format_version: is 3 for a secure sum, else 2")
        if summed is None:
            return self
        sites, most = len(self.sites), (len(self.sites) - 1) // 2
        if sites < LEAST_SITES:
            raise ValueError(f"sites: a secure sum takes at least {LEAST_SITES}")
        if summed.colluders > most:  # no honest majority, and so no set that all agree on
            raise ValueError(f"secure_sum.colluders: at most {most} of {sites} sites")
        if set(summed.receipt_keys) != set(self.sites):
            raise ValueError("secure_sum.receipt_keys: expected the key of every site, no others")
        if len(set(summed.receipt_keys.values())) != sites:
            raise ValueError("secure_sum.receipt_keys: two sites have the same key")
        if self.discriminator:
            raise ValueError("discriminator: a secure sum measures counts and trains nothing yet")
        return self

    @property
    def noise_shares(self) -> int:
        """Of how many sites the noise is made that the ε counts on: 1 where each adds all of it."""
        return len(self.sites) - self.secure_sum.colluders if self.secure_sum else 1

    @property
    def message_runs(self) -> tuple[MessageRun, ...]:
        """What the plan asks of a site, in order: the one place where a plan becomes events."""
        runs = [
            MessageRun(
                range(measure.step, measure.step + 1),
                measure.purpose,
                GaussianEvent(noise_multiplier=measure.noise_multiplier, shares=self.noise_shares),
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
        """Canonical JSON: the bytes that are sent, hashed and approved.

        A plan without a secure sum does not name it: its bytes are those of format 2.
        """
        fields = self.model_dump(mode="json", exclude=None if self.secure_sum else {"secure_sum"})
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes | str) -> "Plan":
        """Parse and validate.

        Raises:
            InputError: too long, or naming the field of the first fault.
        """
        if len(data) > MAX_PLAN_BYTES:
            raise InputError(f"plan: longer than the {MAX_PLAN_BYTES:,} bytes that a plan may have")
        return validated(cls, data, "plan")
