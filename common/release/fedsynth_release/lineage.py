"""lineage.json: the studies that a release builds on, each with the papers that it was released with.

A refresh adds noisy counts of earlier cohorts to those of its own, so its generator tells about all of
them. The lineage holds the plan and the privacy statement of each earlier study, word for word, oldest
first. The statement of a refresh has the SHA-256 of its lineage, and so has each statement within it of
the part before it. `fedsynth verify` follows this chain and computes every ε again.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.limits import MAX_PLAN_BYTES, MAX_STATEMENT_BYTES, read_limited
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Cohort
from fedsynth_common.validated import read_model, validated
from fedsynth_release.generator_files import LINEAGE, PLAN, STATEMENT
from fedsynth_release.statement.costs import CohortCost
from fedsynth_release.statement.privacy_statement import PrivacyStatement
from fedsynth_release.statement.promises import is_private

MAX_ANCESTORS = 400
MAX_LINEAGE_BYTES = 256 * 2**20
HalfLife = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ancestor(_Part):
    """One earlier study: the texts of its plan and statement, and the half-life if it was a refresh."""

    half_life: HalfLife | None = None
    plan: str
    statement: str

    def read(self) -> tuple[Plan, PrivacyStatement]:
        """Both as they were written.

        Raises:
            InputError: one of them is none.
        """
        stated = validated(PrivacyStatement, self.statement, "statement")
        return Plan.from_json(self.plan), stated


class Lineage(_Part):
    """What a refresh builds on; `half_life` is that of the refresh itself."""

    format_version: Literal[1] = 1
    half_life: HalfLife
    ancestors: Annotated[tuple[Ancestor, ...], Field(min_length=1, max_length=MAX_ANCESTORS)]

    def to_json(self) -> str:
        """The text of the file; equal lineages give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False) + "\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def before(self, number: int) -> "Lineage | None":
        """The lineage of the ancestor of this number: None of the first one."""
        half_life = self.ancestors[number].half_life
        if number == 0 or half_life is None:
            return None
        return Lineage(half_life=half_life, ancestors=self.ancestors[:number])

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            InputError: missing or damaged.
        """
        return read_model(path, cls, MAX_LINEAGE_BYTES, "damaged")


def lineage_after(folder: Path, half_life: float) -> Lineage:
    """The lineage of a study that refreshes the generator in `folder`.

    Raises:
        InputError: the folder is no generator of a study.
    """
    path = folder / LINEAGE
    earlier = Lineage.load(path) if path.is_file() else None
    parent = Ancestor(
        half_life=earlier.half_life if earlier else None,
        plan=read_limited(folder / PLAN, MAX_PLAN_BYTES).decode(),
        statement=read_limited(folder / STATEMENT, MAX_STATEMENT_BYTES).decode(),
    )
    return Lineage(half_life=half_life, ancestors=(*(earlier.ancestors if earlier else ()), parent))


def sites_over_cohorts(plan: Plan, lineage: Lineage | None) -> dict[str, tuple[str, str]]:
    """The first and the last cohort of every site that any study of a chain asked.

    Raises:
        InputError: the lineage holds what is no plan.
    """
    earlier = [ancestor.read()[0] for ancestor in lineage.ancestors] if lineage else []
    found: dict[str, tuple[str, str]] = {}
    for study in (*earlier, plan):
        for site in study.sites:
            name = study.cohort or "all records"
            found[site] = (found.get(site, (name, name))[0], name)
    return found


def with_cohorts(
    statement: PrivacyStatement, plan: Plan, lineage: Lineage | None
) -> PrivacyStatement:
    """The statement of a study of a cohort, with what each study of the chain charged to whom.

    What voids the promise of an earlier study voids that of a refresh too.

    Raises:
        InputError: the lineage holds what is no plan or no statement.
    """
    if (own := plan.served) is None:
        return statement
    studies = [ancestor.read() for ancestor in lineage.ancestors] if lineage else []
    costs = [_cost(earlier, stated) for earlier, stated in studies]
    costs.append(_cost(plan, statement))
    cohorts = [earlier.served for earlier, _ in studies]
    caveats = [*statement.caveats, *(c for _, stated in studies for c in stated.caveats)]
    return statement.model_copy(
        update={
            "caveats": tuple(dict.fromkeys(caveats)),
            "private": is_private(caveats),
            "cohorts": tuple(costs),
            "epsilon_of_any_record": _most([*cohorts, own], [cost.epsilon for cost in costs]),
        }
    )


def _cost(plan: Plan, statement: PrivacyStatement) -> CohortCost:
    return CohortCost(
        cohort=plan.cohort or "all records",
        study=plan.study,
        plan_digest=plan.digest,
        epsilon=statement.epsilon_if_people_are_at_one_site_only,
        delta=statement.delta,
    )


def _most(cohorts: Sequence[Cohort | None], costs: Sequence[float]) -> float:
    """The largest sum of costs over studies that one record at one site can have been part of.

    Of persons it is that of one person, who may be in several cohorts.
    """
    most = max((c.per_person for c in cohorts if c is not None), default=1)
    if most > 1:  # each study is about one cohort, or about everybody
        priced: dict[Cohort | None, float] = {}
        for cohort, cost in zip(cohorts, costs, strict=True):
            priced[cohort] = priced.get(cohort, 0.0) + cost
        everybody = priced.pop(None, 0.0)
        return round(everybody + sum(sorted(priced.values(), reverse=True)[:most]), 4)

    def at(place: Cohort) -> float:
        covering = (
            cost
            for cohort, cost in zip(cohorts, costs, strict=True)
            if cohort is None or cohort.covers(place.column, place.label, place.first)
        )
        return sum(covering)

    return round(max(at(cohort) for cohort in cohorts if cohort is not None), 4)
