"""The privacy statement: what was promised, by whom, and the events from which ε can be computed.

It is written into the folder of every generator. Nothing in it is derived from a record except
through the events that it lists, and its quality, which follows from what the sites released. Its
figures can be checked with dp-accounting alone: compose `events` and ask for ε at `delta`.
`fedsynth verify` does this and also checks signatures and files. `fedsynth verify --json-schema`
prints the JSON Schema of the statement.

The texts of a statement come from `promises.py` (fixed texts) and `mechanisms.py` (texts that
follow from plan and events). Three things are left out on purpose. Figures measured on real records
would be a release of their own; they are in `evaluation.json`. Digests of the build could not be
checked. A date would make the files of equal studies differ.
"""

import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from fedsynth_common.limits import MAX_STATEMENT_BYTES
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import ROUNDING, epsilon
from fedsynth_common.privacy.events import from_dict, merged
from fedsynth_common.privacy.secure_noise import at_sites
from fedsynth_common.protocol.plan import MAX_SITES, SecureSum
from fedsynth_common.validated import read_model
from fedsynth_release.statement import promises
from fedsynth_release.statement.costs import CohortCost, SiteCost, StatementPart
from fedsynth_release.statement.mechanisms import Mechanism, limits_of, smallest_group
from fedsynth_release.statement.quality import Quality

SOFTWARE = ("fedsynth-common", "fedsynth-server", "dp-accounting", "flwr", "numpy", "torch")


class Accountant(StatementPart):
    """How ε was computed, and by which other method it was checked."""

    name: str = "dp-accounting with privacy loss distributions (connect the dots, an upper bound)"
    version: str = Field(default_factory=lambda: version("dp-accounting"))
    relation: str = "add or remove one privacy unit; the larger ε of the two directions counts"
    rounding: str = f"up, to a multiple of {ROUNDING:g}"
    cross_check: str = (
        "computing ε again with Rényi DP over the same events "
        "(epsilon_rdp_upper_bound of each site)"
    )


class PrivacyStatement(StatementPart):
    """The statement of one study."""

    spec_version: Literal[2] = 2
    release_id: str = Field(default="", description="SHA-256 over plan_digest and artefacts")
    study: str
    plan_digest: str
    private: bool = Field(description="false if a caveat voids the guarantee")
    caveats: tuple[str, ...] = ()
    definition: str = promises.DEFINITION
    adjacency: str = promises.ADJACENCY
    unit: str
    rows_per_person: int | None = Field(
        default=None,
        description="the most records of one person that are used; null if the unit is a record",
    )
    trust: str = promises.TRUST
    sites: Annotated[tuple[SiteCost, ...], Field(max_length=MAX_SITES)]
    epsilon_if_people_are_at_one_site_only: float
    epsilon_if_people_may_be_at_every_site: float
    epsilon_if_all_others_work_together: float | None = Field(
        default=None,
        description="of a secure sum: the largest of the sites; null where epsilon holds against all",
    )
    delta: float
    delta_if_people_may_be_at_every_site: float
    overlap: str = promises.OVERLAP
    accountant: Accountant
    mechanisms: tuple[Mechanism, ...] = ()
    charged: tuple[str, ...] = promises.CHARGED
    not_charged: tuple[str, ...] = promises.NOT_CHARGED
    unprotected: tuple[str, ...] = promises.UNPROTECTED
    adversary: str = promises.ADVERSARY
    randomness: str
    numerics: str = promises.NUMERICS
    not_promised: tuple[str, ...] = promises.NOT_PROMISED
    smallest_visible_group: int | None = None
    limits: tuple[str, ...]
    cohorts: tuple[CohortCost, ...] = Field(
        default=(), description="of a growing table: the studies that the generator was made from"
    )
    epsilon_of_any_record: float | None = Field(
        default=None,
        description="the most that these studies together charged any record at one site; where the "
        "unit is a person, any person",
    )
    cohorts_per_person: int | None = Field(
        default=None, description="in how many cohorts the records of one person are used, at most"
    )
    quality: Quality | None = Field(
        default=None,
        description="how good the records are, as far as the release itself shows it; null if it has "
        "no measurements",
    )
    software: dict[str, str] = Field(
        default={}, description="versions of the coordinator's packages, by name"
    )
    contact: str = ""
    expires: str = ""
    artefacts: dict[str, str] = Field(
        default={}, description="SHA-256 of the other files of the generator, by name"
    )

    @model_serializer(mode="wrap")
    def _without_what_is_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Statements without cohorts or without a quality stay as they were."""
        fields: dict[str, Any] = handler(self)
        if not self.cohorts:
            fields.pop("cohorts", None)
            fields.pop("epsilon_of_any_record", None)
        if self.cohorts_per_person is None:
            fields.pop("cohorts_per_person", None)
        if self.quality is None:
            fields.pop("quality", None)
        return fields

    @classmethod
    def of(
        cls,
        *,
        study: str,
        plan_digest: str,
        rows_per_person: int | None,
        delta: float,
        sites: Sequence[SiteCost],
        caveats: Sequence[str],
        seeded: bool,
        mechanisms: Sequence[Mechanism] = (),
        secure_sum: SecureSum | None = None,
        cohort: str | None = None,
        cohorts_per_person: int | None = None,
        contact: str = "",
        expires: str = "",
    ) -> "PrivacyStatement":
        """Put together a statement.

        A person at one site is protected by the (ε, δ) of that site, so the statement gives the
        largest. For a person at every site, both ε and δ add up over the sites (basic composition:
        Dwork & Roth 2014, Theorem 3.16). In a secure sum the person's records add up before the
        noise instead (`secure_noise.at_sites`), and δ stays what it is.
        """
        caveats = [promises.SEEDED, *caveats] if seeded else caveats
        everywhere = _everywhere(sites, delta, secure_sum)
        lone = max((s.epsilon_if_all_others_work_together or s.epsilon for s in sites), default=0.0)
        trust = promises.trust_of(secure_sum, len(sites), {m.purpose for m in mechanisms})
        group = smallest_group((site.events for site in sites), rows_per_person or 1)
        return cls(
            study=study,
            plan_digest=plan_digest,
            private=promises.is_private(caveats),
            caveats=tuple(caveats),
            unit=_unit(rows_per_person, cohort),
            rows_per_person=rows_per_person,
            cohorts_per_person=cohorts_per_person,
            trust=trust.trust,
            sites=tuple(sites),
            epsilon_if_people_are_at_one_site_only=max((s.epsilon for s in sites), default=0.0),
            epsilon_if_people_may_be_at_every_site=everywhere[0],
            epsilon_if_all_others_work_together=lone if secure_sum else None,
            delta=delta,
            delta_if_people_may_be_at_every_site=everywhere[1],
            overlap=trust.overlap,
            charged=trust.charged,
            adversary=trust.adversary,
            accountant=Accountant(),
            mechanisms=tuple(mechanisms),
            numerics=trust.numerics,
            randomness=promises.SEEDED_RANDOMNESS if seeded else promises.RANDOMNESS,
            smallest_visible_group=group,
            limits=limits_of(group),
            software=_software(),
            contact=contact,
            expires=expires,
        )

    @property
    def sites_in_sums(self) -> dict[int, int]:
        """By step of a secure sum, over how many sites it was opened, as the sites signed it."""
        signed = [(s.step, s.opened) for site in self.sites for s in site.sums]
        return {step: opened for step, opened in signed if opened is not None}

    def sealed(self, artefacts: Mapping[str, str]) -> "PrivacyStatement":
        """The same statement with the digests of the files and the id of the release."""
        digests = dict(artefacts)
        text = json.dumps([self.plan_digest, sorted(digests.items())], separators=(",", ":"))
        release = hashlib.sha256(text.encode()).hexdigest()
        return self.model_copy(update={"artefacts": digests, "release_id": release})

    def to_json(self) -> str:
        """The text of the file; equal statements give equal text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> "PrivacyStatement":
        """Read a statement.

        Raises:
            InputError: the file cannot be read, or a field is not as expected; the message names
                the first such field.
        """
        return read_model(
            path, cls, MAX_STATEMENT_BYTES, "damaged, or of another version of fedsynth"
        )


def _everywhere(
    sites: Sequence[SiteCost], delta: float, secure_sum: SecureSum | None
) -> tuple[float, float]:
    """ε and δ of a person who is at every site."""
    if secure_sum:
        return _at_every_site(sites, delta), delta
    return round(sum(site.epsilon for site in sites), 4), min(1.0, delta * len(sites))


def _at_every_site(sites: Sequence[SiteCost], delta: float) -> float:
    """The ε of a person whose records are at all sites of a secure sum, against outsiders.

    It is infinite if a line holds what cannot be accounted, as a forged statement may.
    """
    try:
        charged = [merged(map(from_dict, site.events)) for site in sites]
        return max(epsilon(at_sites(events, len(sites)), delta) for events in charged)
    except PrivacyError:
        return math.inf


def _unit(rows_per_person: int | None, cohort: str | None) -> str:
    if cohort is not None and rows_per_person is not None:
        return f"one person's records in the cohort {cohort}, at most {rows_per_person} of them"
    if cohort is not None:
        return f"one record of the cohort {cohort}"
    if rows_per_person is None:
        return "one record"
    return f"one person, at most {rows_per_person} records"


def _software() -> dict[str, str]:
    """The versions of the installed packages; a package that is not installed is not listed."""
    versions = {"python": platform.python_version()}
    for name in SOFTWARE:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
