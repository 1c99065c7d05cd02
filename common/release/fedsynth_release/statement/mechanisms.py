"""The mechanisms of a plan, and the smallest group of records that a generator can represent.

Both are computed from public facts. A mechanism repeats a step of the plan with all its constants,
so that a reader of the statement can compute its cost without another file. The smallest visible
group follows from the noise that the sites signed for. The coordinator adds the counts of all
sites, so the variances of their noise add up too. A count below twice the standard deviation of
this noise cannot be told from 0.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import (
    CountsEvent,
    DpSgdEvent,
    EitherEvent,
    GaussianEvent,
    from_dict,
)
from fedsynth_common.privacy.secure_noise import alone
from fedsynth_common.protocol.plan import DiscriminatorPlan, MessageRun, Plan, Purpose

COUNTS = "discrete Gaussian noise on the counts of marginals"
SUMMED = "discrete Gaussian noise of several sites together on the sums of their counts"
SUMMED_TRAINING = (
    "DP-SGD with Poisson sampling, flat clipping per privacy unit and discrete Gaussian noise of "
    "several sites together on the sums of their gradients"
)
TRAINING = "DP-SGD with Poisson sampling, flat clipping per privacy unit and Gaussian noise"
EITHER = (
    f"one of two, chosen after what was seen before: more {TRAINING}, or {COUNTS} once more; the cost "
    "covers both"
)


class Mechanism(BaseModel):
    """One step at every site, or a run of equal steps from `first_step` to `last_step`.

    Attributes:
        noise_multiplier: standard deviation of the noise, divided by the L2 sensitivity.
        sampling_rate: the rate q of Poisson sampling; None if every record is used.
        clipping_norm: the clipping norm C; None if nothing is clipped.
        expected_batch: the public number L that sums of gradients are divided by.
        sgd_steps: the number of DP-SGD steps of all these steps together.
        shares: of how many sites the noise is made; with 1 each site makes all of its own.
        otherwise: of a choice, the noise multiplier of the counts that may take the place of the
            training, whose constants the other fields hold; None, and not written, for other steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_step: int
    last_step: int
    purpose: Purpose | Literal["discriminator", "either"]
    mechanism: str
    noise_multiplier: float
    sampling_rate: float | None = None
    clipping_norm: float | None = None
    expected_batch: int | None = None
    sgd_steps: int | None = None
    shares: int = 1
    otherwise: float | None = None

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        if self.otherwise is None:
            del fields["otherwise"]
        return fields

    @property
    def event(self) -> GaussianEvent | DpSgdEvent | EitherEvent:
        """The privacy event of the step at a site, computed from the constants above."""
        if self.sampling_rate is None or self.sgd_steps is None:
            return GaussianEvent(noise_multiplier=self.noise_multiplier, shares=self.shares)
        training = DpSgdEvent(
            sampling_rate=self.sampling_rate,
            noise_multiplier=self.noise_multiplier,
            steps=self.sgd_steps,
            shares=self.shares,
        )
        if self.otherwise is None:
            return training
        counts = GaussianEvent(noise_multiplier=self.otherwise)
        return EitherEvent(training=training, counts=counts)


def mechanisms_of(plan: Plan) -> tuple[Mechanism, ...]:
    """The mechanisms that the sites approved, in the order in which they run."""
    return tuple(_mechanism(run, plan.discriminator) for run in plan.message_runs)


def _mechanism(run: MessageRun, training: DiscriminatorPlan | None) -> Mechanism:
    steps = {"first_step": run.numbers[0], "last_step": run.numbers[-1]}
    event = run.event_of(run.count)
    if isinstance(event, CountsEvent | GaussianEvent) or training is None:
        noise, shares = getattr(event, "noise_multiplier", 0.0), getattr(event, "shares", 1)
        words = COUNTS if shares == 1 else SUMMED
        fields = {"purpose": run.purpose, "noise_multiplier": noise, "shares": shares}
        return Mechanism(**steps, **fields, mechanism=words)
    counts = event.counts if isinstance(event, EitherEvent) else None
    trained = event.training if isinstance(event, EitherEvent) else event
    alone = TRAINING if trained.shares == 1 else SUMMED_TRAINING
    return Mechanism(
        **steps,
        purpose=run.purpose,
        mechanism=alone if counts is None else EITHER,
        noise_multiplier=trained.noise_multiplier,
        sampling_rate=trained.sampling_rate,
        clipping_norm=training.clipping_norm,
        expected_batch=training.expected_batch,
        sgd_steps=trained.steps,
        shares=trained.shares,
        otherwise=getattr(counts, "noise_multiplier", None),
    )


def smallest_group(
    sites: Iterable[Iterable[Mapping[str, Any]]], rows_per_person: int = 1
) -> int | None:
    """The number of records, over all sites, below which a count cannot be told from noise.

    Where sites make one noise together, a site counts with its own share of it, and what each site
    answers for itself beside the sums does not count.

    Args:
        sites: for each site the events it was charged, as the statement lists them. The list of a
            lost site has no scale; the site is taken to be as noisy as the noisiest other site.
        rows_per_person: of the statement. Where a person moves a count by more than that, the events of
            the person share a weight, and each of them counts for at least weight / `rows_per_person`.

    Returns:
        Twice the standard deviation of the noisiest counts, pooled over the sites, rounded up. None
        if no site lists a scale.

    >>> pairs = {"kind": "counts", "sensitivity": 1, "blocks": 10}
    >>> smallest_group([[pairs | {"scale": 30.0}], [pairs | {"scale": 40.0}]])
    100
    >>> shared = {"kind": "counts", "scale": 360.0, "sensitivity": 60, "blocks": 10}
    >>> smallest_group([[shared]], rows_per_person=5)
    60
    """
    scales = [list(_own_scales(events, rows_per_person)) for events in sites]
    known = [max(site) for site in scales if site]
    if not known:
        return None
    noisiest = max(known)
    pooled = math.hypot(*(max(site, default=noisiest) for site in scales))
    return math.ceil(2 * pooled)


def _own_scales(events: Iterable[Mapping[str, Any]], rows_per_person: int) -> Iterator[float]:
    """The scales of the noise that a site added to counts, in records.

    What is no event says nothing.
    """
    counted = []
    for fields in events:
        with suppress(PrivacyError):
            event = from_dict(fields)
            if isinstance(event, CountsEvent):
                counted.append(event)
    summed = [event for event in counted if event.shares > 1]
    for event, own in zip(summed or counted, alone(summed or counted), strict=True):
        if isinstance(own, CountsEvent):
            yield own.scale / max(1.0, event.sensitivity / rows_per_person)


def limits_of(group: int | None) -> tuple[str, ...]:
    """The limits that every generator has, in words."""
    rare = (
        "values and combinations that only few records have cannot be told from noise: the synthetic "
        "records may have them far too often, too rarely or not at all"
        if group is None
        else f"a value or combination that fewer than about {group} records of all sites together have "
        "cannot be told from noise: the synthetic records may have it far too often, too rarely or not "
        "at all"
    )
    return (rare, *_LIMITS)


def earlier_limits_of(group: int | None) -> tuple[str, ...]:
    """The same as releases of earlier versions say it, which stay valid."""
    rare = (
        "values and combinations that only few records have cannot be told from noise, so the "
        "synthetic records do not represent them"
        if group is None
        else f"values and combinations that fewer than about {group} records of all sites "
        "together have cannot be told from noise, so the synthetic records do not represent them"
    )
    return (rare, *_LIMITS)


_LIMITS = (
    "relations between three or more columns are represented only as far as the pairs of "
    "columns and the discriminators show them",
    "drawing more synthetic records does not give more information about the real ones",
)
