"""Makes a plan for ε: how much noise each step needs so that the whole study costs no more than ε.

The budget is split in shares of μ², the squared Gaussian-DP parameter, because squares add under
composition (Dong, Roth & Su 2022, Cor. 3.3). One factor then scales all noise until the true
accountant (PLD over the planned events) says ε. Everything here is a function of public facts:
ε, δ, the schema, the number of sites and the declared order of magnitude of records per site.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.errors import InputError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon as epsilon_of
from fedsynth_common.privacy.events import DpSgdEvent, EitherEvent, Event, GaussianEvent
from fedsynth_common.protocol.plan import (
    DiscriminatorPlan,
    Listening,
    MeasureStep,
    Plan,
    SecureSum,
)
from fedsynth_common.schema import Schema
from fedsynth_server.study.calibration import calibrate, dpsgd_noise_multiplier
from fedsynth_server.study.plan_refusals import (
    refuse_huge_noise,
    refuse_site_marginals,
    refuse_three_way,
    refuse_unusable,
)
from fedsynth_server.study.screening import SCREENING, screening_pays

Variant = Literal["both", "listen", "marginals", "three-way", "gan"]
"""Marginals and discriminators, the same but for a choice, marginals of pairs alone, marginals of pairs
and of the triples that stand out, or discriminators with one-way margins alone. With "listen" the first
messages of the discriminators decide: if no column says more than noise, what is left of the budget
goes to a second measurement of pairs."""
Choice = Variant | Literal["auto"]
"""`auto` is `three-way` where a screening of triples can tell interactions from noise
(`screening.pays`), else `marginals`. Discriminators are never chosen: triples hold more of what is
beyond pairs at every ε that was tried, in a hundredth of the seconds (simulations/RESULTS.md)."""

SHARES: dict[Variant, dict[str, float]] = {
    "both": {"histograms": 0.10, "marginals": 0.80, "discriminator": 0.10},
    "listen": {"histograms": 0.10, "marginals": 0.80, "discriminator": 0.10},
    "marginals": {"histograms": 0.10, "marginals": 0.90},
    "three-way": {
        "histograms": 0.10,
        "marginals": 0.70,
        "screening": SCREENING,
        "three-way marginals": 0.17,
    },
    "gan": {"histograms": 0.15, "discriminator": 0.85},
}
LISTENED = 4
"""One of so many of the discriminators' messages is for listening."""
SITE_MARGINALS = 0.15
"""Share of μ² that each site's own one-way marginals get in a secure sum, where they are asked for."""
HISTORIES: dict[Variant, dict[str, float]] = {
    "marginals": {"histograms": 0.20, "marginals": 0.80},
    "both": {"histograms": 0.18, "marginals": 0.72, "discriminator": 0.10},
}
"""Of persons with events: codes are narrower where histograms are noisier (simulations/RESULTS.md)."""


class Rounds(BaseModel):
    """Size of the adversarial phase. A message costs seconds at a site, so there are few."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: int = Field(default=24, ge=1, le=1000)
    steps_per_message: int = Field(default=12, ge=1)
    sampling_rate: float = Field(default=0.125, gt=0, le=1)
    learning_rate: float = Field(default=2e-2, gt=0, le=1e3)


SUMMED_ROUNDS = Rounds(messages=96, steps_per_message=1, sampling_rate=0.25, learning_rate=6e-2)
"""The same in a secure sum: a message is one step, of many records, and steps are longer.

A sampling rate of 1 changes signal over noise by less than a tenth up to ε = 3. With few steps their
number and the learning rate decide how far the discriminators get from where they began
(simulations/RESULTS.md).
"""


def make_plan(
    *,
    study: str,
    table: Schema,
    sites: Sequence[str],
    records_per_site: int,
    epsilon: float,
    delta: float,
    variant: Choice = "auto",
    rounds: Rounds | None = None,
    secure_sum: SecureSum | None = None,
    site_marginals: bool = False,
    cohort: str | None = None,
) -> Plan:
    """A plan whose composed ε at `delta` is between 0.992 and 0.995 of `epsilon`.

    With `secure_sum` (`roster.make_secure_sum`) the sites make one noise together, and ε is that against
    the coordinator and all readers. With `site_marginals` each site also answers for its own one-way
    marginals, to which it adds all of the noise itself. With `cohort` it is about the records of that
    cohort alone.

    Raises:
        InputError: for an ε or δ outside (0.01..100) and (1e-12..0.1), an ε without a plan, site
            marginals without a secure sum or without pairs, or a cohort that the schema does not have.
    """
    refuse_unusable(table, epsilon, delta, cohort, secure_sum)
    rounds = _rounds(rounds, secure_sum)
    spent = _spent_on(
        variant, table, sites, records_per_site, epsilon, delta, secure_sum, site_marginals, cohort
    )
    by_purpose = (SHARES if table.histories is None else HISTORIES)[spent]
    if site_marginals:
        refuse_site_marginals(secure_sum, table, spent)
        by_purpose = {
            purpose: share * (1 - SITE_MARGINALS) for purpose, share in by_purpose.items()
        }
        by_purpose["site marginals"] = SITE_MARGINALS
    shares = [(name, share) for name, share in by_purpose.items() if name != "discriminator"]
    refuse_huge_noise(epsilon, table, spent == "three-way")
    gan_share = by_purpose.get("discriminator", 0.0)
    listened = _listened(rounds, secure_sum) if spent == "listen" else None
    measures, sigma, again = _noise_multipliers(shares, gan_share, rounds, listened, epsilon, delta)
    return Plan(
        format_version=3 if secure_sum else 2 if listened is None else 4,
        trust="secure-sum" if secure_sum else "local",
        secure_sum=secure_sum,
        study=study,
        table=table,
        sites=tuple(sites),
        records_per_site=records_per_site,
        epsilon=epsilon,
        delta=delta,
        measure=_measures(shares, measures),
        discriminator=_discriminator(len(shares) + 1, rounds, sigma, records_per_site),
        listening=_listening(len(shares) + 1 + rounds.messages, listened, again),
        cohort=cohort,
    )


def _spent_on(
    variant: Choice,
    table: Schema,
    sites: Sequence[str],
    records_per_site: int,
    epsilon: float,
    delta: float,
    secure_sum: SecureSum | None,
    site_marginals: bool,
    cohort: str | None,
) -> Variant:
    """What the budget is spent on, where `auto` decides from public facts."""
    if table.histories is not None:
        return _of_histories(variant, secure_sum)
    if variant == "auto":
        makers = len(sites) - secure_sum.colluders if secure_sum else 1
        flat = cohort is None and not site_marginals
        pays = flat and screening_pays(table, len(sites), makers, records_per_site, epsilon, delta)
        return "three-way" if pays else "marginals"
    if variant == "three-way":
        refuse_three_way(table, cohort, site_marginals)
    return variant


def _measures(
    shares: Sequence[tuple[str, float]], noise: Sequence[float]
) -> tuple[MeasureStep, ...]:
    return tuple(
        MeasureStep(step=i, purpose=purpose, noise_multiplier=z)  # type: ignore[arg-type]
        for i, ((purpose, _), z) in enumerate(zip(shares, noise, strict=True), 1)
    )


def _listened(rounds: Rounds, secure_sum: SecureSum | None) -> int:
    """How many of the discriminators' messages are for listening."""
    if secure_sum is not None:
        raise InputError(
            "--variant listen: goes with local noise only; take marginals or both with --trust "
            "secure-sum"
        )
    if rounds.messages < 2:
        raise InputError("--variant listen: takes at least two messages of the discriminators")
    return max(1, rounds.messages // LISTENED)


def _listening(step: int, listened: int | None, again: float) -> Listening | None:
    if listened is None:
        return None
    second = MeasureStep(step=step, purpose="marginals", noise_multiplier=again)
    return Listening(messages=listened, otherwise=second)


def _rounds(rounds: Rounds | None, secure_sum: SecureSum | None) -> Rounds:
    """The given or else the usual rounds; in a secure sum a message is one step."""
    if secure_sum is None:
        return rounds or Rounds()
    return (rounds or SUMMED_ROUNDS).model_copy(update={"steps_per_message": 1})


def _noise_multipliers(
    shares: Sequence[tuple[str, float]],
    gan_share: float,
    rounds: Rounds,
    listened: int | None,
    epsilon: float,
    delta: float,
) -> tuple[list[float], float, float]:
    """The least noise multipliers under ε: of each measurement, of training and of a second measurement.

    Those of training and of a second measurement are 0 without it.

    Raises:
        InputError: there is no such noise.
    """
    steps, later = rounds.messages * rounds.steps_per_message, 0
    if listened is not None:
        later = (rounds.messages - listened) * rounds.steps_per_message

    def multipliers(factor: float) -> tuple[list[float], float, float]:
        measures = [factor / math.sqrt(share) for _, share in shares]
        if not gan_share:
            return measures, 0.0, 0.0
        mu = math.sqrt(gan_share) / factor
        again = 1 / (mu * math.sqrt(later / steps)) if later else 0.0
        return measures, dpsgd_noise_multiplier(mu, rounds.sampling_rate, steps), again

    def events(factor: float) -> list[Event]:
        measures, sigma, again = multipliers(factor)
        planned: list[Event] = [GaussianEvent(noise_multiplier=z) for z in measures]
        if gan_share:
            trained = DpSgdEvent(
                sampling_rate=rounds.sampling_rate, noise_multiplier=sigma, steps=steps - later
            )
            planned.append(trained)
        if later:
            counts = GaussianEvent(noise_multiplier=again)
            planned.append(EitherEvent(training=replace(trained, steps=later), counts=counts))
        return planned

    try:
        factor = calibrate(events, epsilon, delta)
    except PrivacyError:
        factor = math.nan
    # beyond `accounting.LARGE` the accountant is coarse, so that ε jumps over a large target
    if math.isnan(factor) or epsilon_of(events(factor), delta) < 0.95 * epsilon:
        raise InputError(f"--epsilon {epsilon:g}: too large for this study; try 50 or less")
    return multipliers(factor)


def _of_histories(variant: Choice, secure_sum: SecureSum | None) -> Variant:
    if variant not in ("auto", *HISTORIES):
        raise InputError(
            f"--variant {variant}: persons with events are studied with marginals, or with both; take "
            "one of these"
        )
    if variant == "both" and secure_sum is not None:
        raise InputError(
            "--variant both: discriminators of histories go with local noise only; leave out --trust "
            "secure-sum or take marginals"
        )
    return "marginals" if variant == "auto" else variant


def _discriminator(
    first_step: int, rounds: Rounds, sigma: float, records_per_site: int
) -> DiscriminatorPlan | None:
    if sigma == 0.0:
        return None
    return DiscriminatorPlan(
        first_step=first_step,
        messages=rounds.messages,
        steps_per_message=rounds.steps_per_message,
        sampling_rate=rounds.sampling_rate,
        noise_multiplier=sigma,
        learning_rate=rounds.learning_rate,
        expected_batch=max(1, round(rounds.sampling_rate * records_per_site)),
    )
