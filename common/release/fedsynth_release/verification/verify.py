"""Is a generator folder what it says? Computes the privacy statement again and compares.

The statement is a function of the plan and of the sites' signed receipts, so it can be rebuilt from
them: events from each receipt (the whole plan for a lost site), ε from the events by the accountant,
combined figures, unit, caveats, mechanisms, limits, and the fixed words of spec version 2. Every field
that differs is a finding; so are a file with another digest and a model card that says something else.

Guarantee: if nothing is found, and the receipt keys are the sites' own, then the stated ε is what the
sites' ledgers add up to, within one step of rounding (1e-4 per site; versions of dp-accounting may
differ in the last digit). A coordinator can sign with keys of its own: only a key that the auditor has
from the site finds that. Receipts are signed, the generator's files are not, so whoever passes a folder
on can replace it as a whole by another that is consistent: only the `release_id`, told by another way
and compared, finds that (it covers plan, schema, weights and measurements, and with the plan the most
that any site can have been charged). Nothing here reads a record.

`statement_findings` compares the statement, `file_findings` the other files, `verdict` words the result.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import to_dict
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema
from fedsynth_release.generator_files import DIGESTED, PLAN, SCHEMA, STATEMENT
from fedsynth_release.statement.mechanisms import mechanisms_of
from fedsynth_release.statement.privacy_statement import PrivacyStatement, SiteCost
from fedsynth_release.statement.promises import DRAFTED
from fedsynth_release.statement.receipt_evidence import Evidence, evidence_of
from fedsynth_release.verification.file_findings import file_findings, plan_findings
from fedsynth_release.verification.statement_findings import (
    release_findings,
    site_findings,
    site_list_findings,
    statement_findings,
)
from fedsynth_release.verification.verdict import SiteVerification, Verification

Line = tuple[SiteCost, Evidence, SiteCost | PrivacyError]
"""A site as stated, what its receipt proves, and its line computed again (or why it cannot be)."""


def verify(
    folder: Path | str, keys: Mapping[str, str] | None = None, release_id: str | None = None
) -> Verification:
    """Check a generator folder.

    Args:
        folder: as the export of a study writes it.
        keys: receipt keys in hexadecimal, by site, that the auditor has from the sites themselves.
        release_id: that the auditor has from the publisher by another way; another one is a finding.

    Raises:
        InputError: for a file that is missing or is none of ours at all, or a key of no site.
    """
    folder, keys = Path(folder), keys or {}
    statement, plan, schema = _read(folder)
    for site in keys:
        if site not in {cost.site for cost in statement.sites}:
            raise InputError(f"--key {site}: the statement has no such site")
    evidence = [evidence_of(cost, plan, keys.get(cost.site)) for cost in statement.sites]
    rebuilt = [_rebuilt(*pair, plan) for pair in zip(statement.sites, evidence, strict=True)]
    lines = list(zip(statement.sites, evidence, rebuilt, strict=True))
    findings = [*plan_findings(folder, plan)]
    for line in lines:
        findings += site_findings(*line)
    findings += site_list_findings(statement, plan)
    drafted = "drafted from data" in (plan.table.origin, schema.origin)
    findings += statement_findings(statement, _expected(plan, lines, drafted))
    findings += release_findings(statement, release_id)
    findings += file_findings(folder, statement, plan, schema)
    sites = tuple(_site_verification(*line, keys) for line in lines)
    return Verification(
        statement=statement, sites=sites, findings=tuple(findings), release_id_known=release_id
    )


def _read(folder: Path) -> tuple[PrivacyStatement, Plan, Schema]:
    for name in (STATEMENT, PLAN, *DIGESTED):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; expected the generator folder of a study")
    statement = PrivacyStatement.load(folder / STATEMENT)
    try:
        plan = Plan.from_json(read_limited(folder / PLAN, MAX_PLAN_BYTES))
    except InputError as error:
        raise InputError(f"{folder / PLAN}: damaged ({error})") from None
    return statement, plan, Schema.load(folder / SCHEMA)


def _rebuilt(cost: SiteCost, evidence: Evidence, plan: Plan) -> SiteCost | PrivacyError:
    """The site's line; where the receipt proves nothing, at least what the stated events add up to."""
    proven = evidence.events
    events = cost.events if proven is None else [to_dict(event) for event in proven]
    try:
        return SiteCost.from_events(cost.site, list(events), plan.delta)
    except PrivacyError as error:
        return error


def _expected(plan: Plan, lines: Sequence[Line], drafted: bool) -> PrivacyStatement:
    return PrivacyStatement.of(
        study=plan.study,
        plan_digest=plan.digest,
        rows_per_person=plan.table.rows_per_person if plan.table.person_key else None,
        delta=plan.delta,
        sites=[cost if isinstance(again, PrivacyError) else again for cost, _, again in lines],
        caveats=[DRAFTED] if drafted else [],
        seeded=any(evidence.seeded for _, evidence, _ in lines),
        mechanisms=mechanisms_of(plan),
    )


def _site_verification(
    cost: SiteCost, evidence: Evidence, again: SiteCost | PrivacyError, keys: Mapping[str, str]
) -> SiteVerification:
    receipt = "none" if cost.status == "lost" else "signed" if evidence.signed else "refused"
    return SiteVerification(
        site=cost.site,
        status=cost.status,
        delta=cost.delta,
        epsilon_stated=cost.epsilon,
        epsilon_recomputed=None if isinstance(again, PrivacyError) else again.epsilon,
        receipt=f"{receipt}, key known" if receipt == "signed" and cost.site in keys else receipt,
    )
