"""What ran in terms a reader can check: the mechanisms of a plan, and the smallest visible group.

Both are functions of public facts. A mechanism repeats a step of the plan with all its constants,
so that a reader of the statement needs no other file to compute its cost. The smallest visible group
follows from the noise that sites signed for: counts of all sites are added, so their noise variances
are, and what is smaller than twice the standard deviation cannot be told from nothing.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fedsynth_common.privacy.events import DpSgdEvent, GaussianEvent
from fedsynth_common.protocol.plan import DiscriminatorPlan, MessageRun, Plan

COUNTS = "discrete Gaussian noise on the counts of marginals"
TRAINING = "DP-SGD: Poisson sampling, per-unit flat clipping, Gaussian noise"


class Mechanism(BaseModel):
    """One step, or the run of equal steps from `first_step` to `last_step`, at every site.

    Attributes:
        noise_multiplier: noise standard deviation in units of the L2 sensitivity.
        sampling_rate: q of Poisson sampling; None where every record is used.
        clipping_norm: C.
        expected_batch: the public L that sums are divided by.
        sgd_steps: DP-SGD steps in all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_step: int
    last_step: int
    purpose: Literal["histograms", "marginals", "discriminator"]
    mechanism: str
    noise_multiplier: float
    sampling_rate: float | None = None
    clipping_norm: float | None = None
    expected_batch: int | None = None
    sgd_steps: int | None = None

    @property
    def event(self) -> GaussianEvent | DpSgdEvent:
        """What the step costs a site, computed from the constants above."""
        if self.sampling_rate is None or self.sgd_steps is None:
            return GaussianEvent(noise_multiplier=self.noise_multiplier)
        return DpSgdEvent(
            sampling_rate=self.sampling_rate,
            noise_multiplier=self.noise_multiplier,
            steps=self.sgd_steps,
        )


def mechanisms_of(plan: Plan) -> tuple[Mechanism, ...]:
    """The mechanisms that the sites approved, in order."""
    return tuple(_mechanism(run, plan.discriminator) for run in plan.message_runs)


def _mechanism(run: MessageRun, training: DiscriminatorPlan | None) -> Mechanism:
    steps = {"first_step": run.numbers[0], "last_step": run.numbers[-1]}
    noise = run.event.noise_multiplier
    if training is None or run.purpose != "discriminator":
        return Mechanism(**steps, purpose=run.purpose, mechanism=COUNTS, noise_multiplier=noise)
    return Mechanism(
        **steps,
        purpose=run.purpose,
        mechanism=TRAINING,
        noise_multiplier=noise,
        sampling_rate=training.sampling_rate,
        clipping_norm=training.clipping_norm,
        expected_batch=training.expected_batch,
        sgd_steps=training.messages * training.steps_per_message,
    )


def smallest_group(sites: Iterable[Iterable[Mapping[str, Any]]]) -> int | None:
    """Records of all sites together below which a count cannot be told from noise; None: unknown.

    Args:
        sites: per site the events it was charged, as the statement lists them. A lost site's list
            has no scale: it is taken to be as noisy as the noisiest of the others.

    Returns:
        Twice the standard deviation of the noisiest counts, pooled over the sites, rounded up.

    >>> smallest_group([[{"kind": "counts", "scale": 30.0}], [{"kind": "counts", "scale": 40.0}]])
    100
    """
    scales = [
        [float(event["scale"]) for event in events if event.get("kind") == "counts"]
        for events in sites
    ]
    known = [max(site) for site in scales if site]
    if not known:
        return None
    noisiest = max(known)
    pooled = math.hypot(*(max(site, default=noisiest) for site in scales))
    return math.ceil(2 * pooled)


def limits_of(group: int | None) -> tuple[str, ...]:
    """The limits of every generator, in words."""
    rare = (
        "values and combinations that few records share are lost in noise"
        if group is None
        else f"values and combinations that fewer than about {group} records of all sites "
        "together share cannot be told from noise and are not represented"
    )
    return (
        rare,
        "relations of three or more columns are represented only as far as pairs and the "
        "discriminators show them",
        "more synthetic records do not hold more information",
    )
