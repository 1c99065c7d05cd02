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
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_MEASURES, MAX_PLAN_BYTES
from fedsynth_common.privacy.events import EitherEvent, Event, GaussianEvent
from fedsynth_common.protocol.message_run import MessageRun
from fedsynth_common.protocol.plan_parts import (
    ADAM_BETAS,
    LEAST_NOISE,
    LEAST_SITES,
    MAX_KEYED,
    MAX_SITES,
    DiscriminatorPlan,
    Frozen,
    Listening,
    MeasureStep,
    Purpose,
    Records,
    SecureSum,
    SiteName,
    Trust,
    default_colluders,
)
from fedsynth_common.schema import Cohort, Schema
from fedsynth_common.schema.cohorts import MAX_COHORT
from fedsynth_common.validated import validated

__all__ = [
    "ADAM_BETAS",
    "LEAST_NOISE",
    "LEAST_SITES",
    "MAX_KEYED",
    "MAX_SITES",
    "DiscriminatorPlan",
    "Listening",
    "MeasureStep",
    "MessageRun",
    "Plan",
    "Purpose",
    "SecureSum",
    "Trust",
    "default_colluders",
]


class Plan(Frozen):
    """A study as a site approves it.

    `records_per_site` is a public order of magnitude, declared by hand and never counted. With
    `epsilon` and `delta` the coordinator states what the whole plan may cost one site's records;
    each vault recomputes it and refuses a plan that costs more.

    With `trust` "local" every site adds all noise to what it sends. With "secure-sum" the sites make
    one noise together, and `secure_sum` says which sites these are. Such a plan has format 3. One with
    `listening` leaves a choice open, and has format 4.

    With a `cohort` each site serves the records of that cohort alone (`Schema.cohorts`), and charges
    that cohort alone.
    """

    format_version: Literal[2, 3, 4] = 2
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
    listening: Listening | None = None
    cohort: Annotated[str, Field(min_length=1, max_length=MAX_COHORT)] | None = None

    @model_validator(mode="after")
    def _cohort_is_declared(self) -> Self:
        if self.cohort is not None:
            try:
                self.table.cohort(self.cohort)
            except InputError as error:
                raise ValueError(str(error)) from None
        if self.table.in_cohorts_of_persons and (self.cohort is None or ".." in self.cohort):
            raise ValueError(
                "plan: the schema cuts the rows of persons into cohorts, so that a study is about one "
                "cohort: in several a person would have more rows than rows_per_person"
            )
        return self

    @model_validator(mode="after")
    def _steps_are_unique(self) -> Self:
        numbers = [m.step for m in self.measure]
        training = self.discriminator.steps if self.discriminator else range(0)
        if len(set(numbers)) != len(numbers) or any(number in training for number in numbers):
            raise ValueError("plan: two messages have the same step number")
        if self.discriminator and self.discriminator.noise_multiplier < LEAST_NOISE:
            raise ValueError(f"discriminator.noise_multiplier must be at least {LEAST_NOISE}")
        if self.discriminator and self.table.histories is not None:
            if self.secure_sum is not None:
                raise ValueError("discriminator: of histories goes with local noise only")
            if self.listening is not None:
                raise ValueError("listening: goes with a table without histories only")
        if len(set(self.sites)) != len(self.sites):
            raise ValueError("plan: two sites have the same name")
        return self

    @model_validator(mode="after")
    def _choice_is_open(self) -> Self:
        if (listening := self.listening) is None:
            return self
        training, otherwise = self.discriminator, listening.otherwise
        if self.secure_sum is not None:
            raise ValueError("listening: goes with local noise only; leave it out of a secure sum")
        if training is None or listening.messages >= training.messages:
            raise ValueError("listening.messages: expected fewer than the discriminator's")
        if otherwise.step != training.steps.stop:
            raise ValueError("listening.otherwise.step: follows the last message of training")
        pairs = [measure for measure in self.measure if measure.purpose == "marginals"]
        if not pairs or otherwise.purpose != "marginals":
            raise ValueError(
                "listening.otherwise: measures marginals once more, and so needs a first"
            )
        return self

    @model_validator(mode="after")
    def _screening_is_followed(self) -> Self:
        purposes = [measure.purpose for measure in self.measure]
        if not {"screening", "three-way marginals"} & set(purposes):
            return self
        if purposes != ["histograms", "marginals", "screening", "three-way marginals"]:
            raise ValueError(
                'measure: "screening" follows the marginals, and "three-way marginals" follow it'
            )
        if self.discriminator or self.table.histories is not None or self.cohort is not None:
            raise ValueError(
                'measure: "screening" goes without discriminators, histories and cohorts'
            )
        return self

    @model_validator(mode="after")
    def _sum_is_secure(self) -> Self:
        summed = self.secure_sum
        if (self.trust == "secure-sum") != (summed is not None):
            raise ValueError('secure_sum: goes with trust "secure-sum", and only with it')
        usual = 2 if self.listening is None else 4
        if self.format_version != (usual if summed is None else 3):
            raise ValueError("format_version: is 3 for a secure sum, 4 with listening, else 2")
        if summed is None:
            if any(measure.by_site for measure in self.measure):
                raise ValueError('measure: "site marginals" go with a secure sum only')
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
        if self.discriminator and self.discriminator.steps_per_message != 1:
            raise ValueError(
                "discriminator.steps_per_message: is 1 in a secure sum, where the coordinator takes "
                "the steps"
            )
        if sites * len(self.summed_steps) > MAX_KEYED:
            most = MAX_KEYED // sites - len(self.measure)
            raise ValueError(f"discriminator.messages: at most {most} for a sum of {sites} sites")
        return self

    @property
    def served(self) -> Cohort | None:
        """The cohort whose records a site serves; None if it serves all."""
        return None if self.cohort is None else self.table.cohort(self.cohort)

    @property
    def screens(self) -> bool:
        """Whether triples of columns are screened, and those that stand out measured."""
        return any(measure.purpose == "screening" for measure in self.measure)

    @property
    def noise_shares(self) -> int:
        """Of how many sites the noise is made that the ε counts on: 1 where each adds all of it."""
        return len(self.sites) - self.secure_sum.colluders if self.secure_sum else 1

    def summed(self, step: int) -> bool:
        """Whether a step is answered as one sum over the sites."""
        measure, training = self.measure_step(step), self.discriminator
        counted = measure is not None and not measure.by_site
        trained = training is not None and step in training.steps
        return self.secure_sum is not None and (counted or trained)

    @property
    def summed_steps(self) -> tuple[int, ...]:
        """The steps that are answered as one sum over the sites, in order."""
        training = self.discriminator.steps if self.discriminator else ()
        return tuple(n for n in (*(m.step for m in self.measure), *training) if self.summed(n))

    def shares_of(self, step: int) -> int:
        """Of how many sites the noise of a step is made."""
        return self.noise_shares if self.summed(step) else 1

    @property
    def message_runs(self) -> tuple[MessageRun, ...]:
        """What the plan asks of a site, in order: the one place where a plan becomes events."""
        runs = [
            MessageRun(
                range(measure.step, measure.step + 1),
                measure.purpose,
                GaussianEvent(
                    noise_multiplier=measure.noise_multiplier, shares=self.shares_of(measure.step)
                ),
            )
            for measure in self.measure
        ]
        if training := self.discriminator:
            event = training.message_event(self.noise_shares)
            heard = training.messages if self.listening is None else self.listening.messages
            runs.append(MessageRun(training.steps[:heard], "discriminator", event))
            if (choice := self.choice) is not None:
                runs.append(MessageRun(self.chosen_steps, "either", choice))
        return tuple(runs)

    @property
    def chosen_steps(self) -> range:
        """The steps of which a site answers one branch: training's later ones, then `otherwise`."""
        if self.listening is None or self.discriminator is None:
            return range(0)
        steps = self.discriminator.steps
        return range(steps.start + self.listening.messages, steps.stop + 1)

    @property
    def choice(self) -> EitherEvent | None:
        """What the plan's choice costs a site, whichever branch it takes; None without one."""
        if self.listening is None or self.discriminator is None:
            return None
        training = self.discriminator.message_event()
        later = self.discriminator.messages - self.listening.messages
        z = self.listening.otherwise.noise_multiplier
        return EitherEvent(
            training=replace(training, steps=training.steps * later),
            counts=GaussianEvent(noise_multiplier=z),
        )

    def planned_events(self) -> tuple[Event, ...]:
        """The events that one site is charged if every step of the plan runs."""
        return tuple(run.event_of(run.count) for run in self.message_runs)

    def measure_step(self, step: int) -> MeasureStep | None:
        """The measure step with this number, if the plan has one."""
        measures = (
            self.measure if self.listening is None else (*self.measure, self.listening.otherwise)
        )
        return next((m for m in measures if m.step == step), None)

    def to_json(self) -> bytes:
        """Canonical JSON: the bytes that are sent, hashed and approved.

        A plan does not name what it is without: a secure sum, listening, a cohort. Without all of them
        its bytes are those of format 2.
        """
        without = {
            name for name in ("secure_sum", "listening", "cohort") if getattr(self, name) is None
        }
        fields = self.model_dump(mode="json", exclude=without)
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
