"""What a verification found, as data: findings, one line per site, and the verdict.

`NOT_GUARANTEED` is part of every verdict: a consistent folder proves what its papers say, not what
somebody's computer did.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fedsynth_common.artefact.statement import PrivacyStatement

NOT_GUARANTEED = (
    "that the sites ran this software unchanged",
    "what the statement lists as unprotected",
)
STATED_ONLY = "the audits, contact, expiry and versions of software that the statement lists"
LOST = "anything about {}: without a receipt the plan stands for what was done there"
KEYS_UNKNOWN = "that each receipt key belongs to its site (pass --key for those you know)"


def printable(text: str) -> str:
    """The text without control characters: a file must not steer the reader's terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that does not fit, on one line."""

    file: str
    field: str
    problem: str

    def __str__(self) -> str:
        return printable(f"{self.file}: {self.field}: {self.problem}")


@dataclass(frozen=True, kw_only=True)
class SiteReport:
    """One site: what is stated, and what its receipt or the plan adds up to.

    Attributes:
        epsilon_recomputed: None where the events cannot be accounted.
        receipt: "signed", "signed, key known", "none" (a lost site) or "refused".
    """

    site: str
    status: str
    delta: float
    epsilon_stated: float
    epsilon_recomputed: float | None
    receipt: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of a verification."""

    statement: PrivacyStatement
    sites: tuple[SiteReport, ...]
    findings: tuple[Finding, ...]

    @property
    def consistent(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def not_guaranteed(self) -> tuple[str, ...]:
        """What these files cannot show."""
        signed = [site.receipt for site in self.sites if site.receipt != "none"]
        known = bool(signed) and all(receipt == "signed, key known" for receipt in signed)
        claims = self.statement.audits or self.statement.contact or self.statement.expires
        open_questions = (*NOT_GUARANTEED, STATED_ONLY) if claims else NOT_GUARANTEED
        if lost := [site.site for site in self.sites if site.receipt == "none"]:
            open_questions = (LOST.format(", ".join(lost)), *open_questions)
        return open_questions if known else (KEYS_UNKNOWN, *open_questions)

    @property
    def verdict(self) -> str:
        """One line: consistent or not, ε and δ, and what is not guaranteed."""
        open_questions = f"not guaranteed: {_joined(self.not_guaranteed)}"
        if self.findings:
            count = f"{len(self.findings)} finding(s)"
            return f"inconsistent: {count}, do not rely on the stated ε; {open_questions}"
        said = self.statement
        unit = said.unit.split(",")[0].removeprefix("one ")
        cost = f"ε = {said.epsilon_if_people_are_at_one_site_only:.4f} at δ = {said.delta:g}"
        figure = f"{cost} per {unit} at one site"
        if not said.private:
            figure = f"{_joined(said.caveats)}; without that {figure}"
        return printable(f"consistent: {figure}; {open_questions}")


def _joined(parts: Iterable[str]) -> str:
    return "; ".join(parts)
