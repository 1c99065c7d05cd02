"""The policy: what a site allows, in a file that only the site can change.

A coordinator sends requests, and the policy decides which of them are answered. If the file is missing
or unreadable, the vault does not start; there is no default policy (fail closed). A vault that runs
reads it again before every answer (`policy_file`). The policy holds the limits of privacy only, and
nothing about speed.

`dataset` names the *people* in the table, and not a file, a study or a run. The charges of all studies
are added up under this name, so that a new run or a refreshed export does not start a new budget.
"""

from pathlib import Path
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.validated import read_settings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Template(BaseModel):
    """Allows that an approved plan of a cohort is repeated for later ones, each once.

    `plan` is the digest of the approved plan, `until` the last cohort that may be studied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    plan: Digest
    until: str = Field(min_length=1, max_length=40)


class Policy(BaseModel):
    """The limits of one site.

    `max_epsilon` is the cap on everything ever charged to `dataset`, at `max_delta`.
    `max_epsilon_per_study` is the most that one study may cost (default: the whole cap).
    In a secure sum the sites make one noise together. `max_epsilon_alone` then caps what everything
    ever charged would cost, at `max_delta`, if all other sites and the coordinator worked together
    against this one. Without it the site takes part in no secure sum.
    `max_epsilon_per_cohort` allows studies of cohorts: one is refused if with it more than this would
    ever have been charged to a record of the cohort, studies of all records included. Both caps are then
    held for each cohort by itself. Without it every study is charged to everybody.
    `approved_plans` lists the digests of the plans that a person at the site has read, or is "any"
    to accept every plan that stays within the limits.
    `templates` lists approved plans that may be repeated for later cohorts without a person.
    If `site` is given, a plan must name it among its participants.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dataset: str = Field(min_length=1, max_length=128)
    site: str | None = None
    max_epsilon: Positive
    max_delta: float = Field(gt=0, lt=1)
    max_epsilon_per_study: Positive | None = None
    max_epsilon_alone: Positive | None = None
    max_epsilon_per_cohort: Positive | None = None
    min_noise_multiplier: Positive = 0.3
    max_sampling_rate: float = Field(default=0.5, gt=0, le=1)
    max_steps: int = Field(default=20_000, ge=1)
    min_records: int = Field(default=100, ge=1)
    approved_plans: tuple[Digest, ...] | Literal["any"]
    templates: tuple[Template, ...] = Field(default=(), max_length=64)

    @model_validator(mode="after")
    def _study_within_cap(self) -> Self:
        if self.max_epsilon_per_study is not None and self.max_epsilon_per_study > self.max_epsilon:
            raise ValueError("max_epsilon_per_study must not exceed max_epsilon")
        if self.max_epsilon_alone is not None and self.max_epsilon_alone < self.max_epsilon:
            raise ValueError("max_epsilon_alone must not be below max_epsilon")
        per_cohort = self.max_epsilon_per_cohort
        if per_cohort is not None and per_cohort > self.max_epsilon:
            raise ValueError("max_epsilon_per_cohort must not exceed max_epsilon")
        return self

    @property
    def study_limit(self) -> float:
        """The epsilon that one study may cost."""
        return self.max_epsilon_per_study or self.max_epsilon

    @property
    def alone_limit(self) -> float:
        """The cap if all others work together; that against outsiders where no other is stated."""
        return self.max_epsilon_alone or self.max_epsilon

    def current(self) -> "Policy":
        """This policy itself: one that nobody changes, as in simulations."""
        return self

    def approves(self, digest: str) -> bool:
        """Whether a plan with this digest may run here."""
        return self.approved_plans == "any" or digest in self.approved_plans

    @classmethod
    def load(cls, path: Path | str) -> "Policy":
        """Read a policy from JSON (.json) or TOML (.toml).

        Raises:
            InputError: if the file is missing or unreadable, or naming every faulty field.
        """
        return read_settings(Path(path), cls, f"policy {path}")


class PolicySource(Protocol):
    """Where a vault learns which policy is in force."""

    def current(self) -> Policy:
        """The policy in force now."""
        ...
