"""The result of a verification as data: findings, one line for each site, and the verdict.

Every verdict contains `NOT_GUARANTEED`, because a consistent folder proves only that its files
agree with each other. It does not prove what a site's computer did. Every verdict also contains the
`release_id`. Sites sign their receipts, but nobody signs the release as a whole. A reader who does
not compare the `release_id` with the publisher's may have checked a folder that anybody could have
made.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fedsynth_common.limits import printable
from fedsynth_release.statement.privacy_statement import PrivacyStatement

NOT_GUARANTEED = (
    "that the sites ran this software unchanged",
    "what the statement lists as unprotected",
)
STATED_ONLY = "the contact, expiry date and software versions that the statement lists"
LOST = "anything about {}, which has no receipt, so the whole plan is counted for it"
KEYS_UNKNOWN = "that each receipt key belongs to its site (pass --key for those you know)"


COMPARE = (
    "compare the release_id with the publisher's in another way (telephone, letter, published page), "
    "then pass it with --release-id"
)
UNSIGNED = (
    "not signed by a key that you gave, so the whole folder may have been replaced: " + COMPARE
)
RECEIPTS_ONLY = (
    "the receipts are signed by keys that you gave, but nobody signs the generator's files: "
    + COMPARE
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference that was found; its text is one line."""

    file: str
    field: str
    problem: str

    def __str__(self) -> str:
        return printable(f"{self.file}: {self.field}: {self.problem}", most=2_000)


@dataclass(frozen=True, kw_only=True)
class SiteVerification:
    """One site: the ε that is stated, and the ε of its receipt or, without a receipt, of the plan.

    Attributes:
        epsilon_recomputed: None if the accountant cannot compute the ε of the events.
        epsilon_if_all_others_work_together: recomputed, of a secure sum; else None.
        receipt: "signed", "signed, key known", "none" (a lost site) or "refused".
    """

    site: str
    status: str
    delta: float
    epsilon_stated: float
    epsilon_recomputed: float | None
    receipt: str
    epsilon_if_all_others_work_together: float | None = None


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The result of a verification; `release_id_known` is the id that the auditor gave, if any."""

    statement: PrivacyStatement
    sites: tuple[SiteVerification, ...]
    findings: tuple[Finding, ...]
    release_id_known: str | None = None

    @property
    def consistent(self) -> bool:
        """Whether no difference was found."""
        return not self.findings

    @property
    def keys_known(self) -> bool:
        """Whether there are receipts and the auditor gave the keys of all of them."""
        signed = [site.receipt for site in self.sites if site.receipt != "none"]
        return bool(signed) and all(receipt == "signed, key known" for receipt in signed)

    @property
    def release_id_matches(self) -> bool | None:
        """Whether this is the release whose id the auditor gave; None if no id was given."""
        if self.release_id_known is None:
            return None
        return self.release_id_known.lower() == self.statement.release_id.lower()

    @property
    def not_guaranteed(self) -> tuple[str, ...]:
        """What these files cannot show."""
        claims = self.statement.contact or self.statement.expires
        open_questions = (*NOT_GUARANTEED, STATED_ONLY) if claims else NOT_GUARANTEED
        if lost := [site.site for site in self.sites if site.receipt == "none"]:
            open_questions = (LOST.format(", ".join(lost)), *open_questions)
        return open_questions if self.keys_known else (KEYS_UNKNOWN, *open_questions)

    @property
    def verdict(self) -> str:
        """One line: whether the folder is consistent, ε and δ, the release, and the open points."""
        return "; ".join(self.lines)

    @property
    def lines(self) -> tuple[str, str, str]:
        """The parts of the verdict, each as one line that a terminal can print."""
        open_questions = f"not guaranteed: {_joined(self.not_guaranteed)}"
        return printable(self._conclusion), printable(self.origin), printable(open_questions)

    @property
    def origin(self) -> str:
        """Which release this is, and whether anything shows that it is the publisher's."""
        origins = {
            True: "the one that you gave, so plan, schema, weights and measurements are genuine",
            False: "NOT the one that you gave",
            None: RECEIPTS_ONLY if self.keys_known else UNSIGNED,
        }
        return f"release_id {self.statement.release_id}: {origins[self.release_id_matches]}"

    @property
    def _conclusion(self) -> str:
        if self.findings:
            return f"inconsistent: {len(self.findings)} finding(s), do not rely on the stated ε"
        stated = self.statement
        unit = stated.unit.split(",")[0].removeprefix("one ")
        cost = f"ε = {stated.epsilon_if_people_are_at_one_site_only:.4f} at δ = {stated.delta:g}"
        figure = f"{cost} per {unit} at one site"
        if (alone := stated.epsilon_if_all_others_work_together) is not None:
            figure += f", and ε = {alone:.4f} if all other sites work together against one"
        if len(stated.cohorts) > 1:
            figure += (
                f"; it builds on {len(stated.cohorts) - 1} earlier studies, whose papers are consistent "
                f"too, and any {_whose(stated)} at one site has ε = {stated.epsilon_of_any_record:.4f} "
                "over all"
            )
        if not stated.private:
            figure = f"{_joined(stated.caveats)}; without that {figure}"
        return f"consistent: {figure}"


def _whose(stated: PrivacyStatement) -> str:
    return "record" if stated.rows_per_person is None else "person"


def _joined(parts: Iterable[str]) -> str:
    return "; ".join(parts)
