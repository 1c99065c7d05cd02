"""Checks a generator folder: computes its privacy statement again and compares the two.

The statement is a function of the plan and of the sites' signed receipts, so it can be computed
again from them. The events come from each receipt (for a lost site, from the whole plan). The
accountant computes ε from the events. The combined figures, unit, caveats, mechanisms, limits and
the fixed texts of spec version 2 follow. Every field that differs is a finding. A file with another
digest and a model card with another text are findings too. Nothing here reads a record.

Guarantee: if there is no finding, and the receipt keys belong to the sites, then the stated ε is
the ε of what the sites' ledgers contain, up to one step of rounding (1e-4 per site; versions of
dp-accounting may differ in the last digit).

Two things can be found only with knowledge from outside the folder. A coordinator could sign
receipts with keys of its own; the auditor finds this with a key that comes from the site itself.
The receipts are signed but the generator's files are not, so whoever passes the folder on could
replace all of it by another consistent folder; the auditor finds this by comparing the `release_id`
with the publisher's. The `release_id` covers plan, schema, weights and measurements, and through
the plan also the most that any site can have been charged.

A refresh is checked with all studies that it builds on (`lineage_findings`).

`statement_findings` compares the statement, `file_findings` compares the other files, and `verdict`
puts the result into words.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import grid_points
from fedsynth_common.privacy.events import Event, from_dict, merged, to_dict
from fedsynth_common.privacy.secure_noise import alone
from fedsynth_common.protocol.key_change import KeyChange, earlier_keys
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema
from fedsynth_release.generator_files import DIGESTED, PLAN, SCHEMA, STATEMENT
from fedsynth_release.lineage import Lineage
from fedsynth_release.statement.costs import SiteCost, within_a_plan
from fedsynth_release.statement.mechanisms import mechanisms_of
from fedsynth_release.statement.privacy_statement import PrivacyStatement
from fedsynth_release.statement.promises import DRAFTED
from fedsynth_release.statement.receipt_evidence import Evidence, evidence_of
from fedsynth_release.verification.file_findings import file_findings, plan_findings
from fedsynth_release.verification.lineage_findings import (
    expected_cohorts,
    lineage_findings,
    read_lineage,
)
from fedsynth_release.verification.statement_findings import (
    release_findings,
    site_findings,
    site_list_findings,
    statement_findings,
)
from fedsynth_release.verification.verdict import Finding, SiteVerification, Verification

MAX_ACCOUNTED = 25_000_000
"""Points of privacy loss (`grid_points`) that are computed, over all sites with different events.

They take about a minute. A study of ordinary size needs a quarter of a million for all sites that ran to
the end together, and as many again for each site that stopped at a message of its own."""
Line = tuple[SiteCost, Evidence, SiteCost | PrivacyError]
"""A site's line as stated, what its receipt proves, and the line computed again (or the error)."""


def verify(
    folder: Path | str,
    keys: Mapping[str, str] | None = None,
    release_id: str | None = None,
    changes: Sequence[tuple[KeyChange, str]] = (),
) -> Verification:
    """Check a generator folder.

    Args:
        folder: a generator folder as the export of a study writes it.
        keys: receipt keys in hexadecimal, by site, that the auditor has from the sites themselves.
        release_id: the id that the auditor has from the publisher in another way. It is a finding
            if the folder has another id.
        changes: of keys, each with the old key: a receipt may be signed with a key that the one in
            `keys` has replaced.

    Raises:
        InputError: a file is missing or was not written by fedsynth, or a key is given for a site
            that the statement does not list.
    """
    folder, keys = Path(folder), keys or {}
    statement, plan, schema = _read(folder)
    for site in keys:
        if site not in {cost.site for cost in statement.sites}:
            raise InputError(f"--key {site}: the statement lists no such site")
    known = {site: earlier_keys(site, key, changes) for site, key in keys.items()}
    lineage = read_lineage(folder)
    drafted = "drafted from data" in (plan.table.origin, schema.origin)

    def check(
        stated: PrivacyStatement, approved: Plan, before: Lineage | None
    ) -> Iterator[Finding]:
        lines = _lines(stated, approved, known)
        for line in lines:
            yield from site_findings(*line)
        yield from site_list_findings(stated, approved)
        again = _expected(approved, lines, drafted)
        yield from statement_findings(stated, expected_cohorts(again, approved, before))

    lines = _lines(statement, plan, known)
    findings = [*plan_findings(folder, plan), *check(statement, plan, lineage)]
    findings += lineage_findings(folder, plan, lineage, check)
    findings += release_findings(statement, release_id)
    findings += file_findings(folder, statement, plan, schema)
    sites = tuple(_site_verification(*line, keys) for line in lines)
    return Verification(
        statement=statement, sites=sites, findings=tuple(findings), release_id_known=release_id
    )


def _lines(
    statement: PrivacyStatement, plan: Plan, known: Mapping[str, Collection[str]]
) -> list[Line]:
    evidence = [evidence_of(cost, plan, known.get(cost.site, ())) for cost in statement.sites]
    rebuilt = _all_rebuilt(statement.sites, evidence, plan)
    return list(zip(statement.sites, evidence, rebuilt, strict=True))


def _read(folder: Path) -> tuple[PrivacyStatement, Plan, Schema]:
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; expected the generator folder of a study")
    for name in (STATEMENT, PLAN, *DIGESTED):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; expected the generator folder of a study")
    statement = PrivacyStatement.load(folder / STATEMENT)
    try:
        plan = Plan.from_json(read_limited(folder / PLAN, MAX_PLAN_BYTES))
    except InputError as error:
        raise InputError(f"{folder / PLAN}: damaged ({error})") from None
    return statement, plan, Schema.load(folder / SCHEMA)


def _all_rebuilt(
    sites: Sequence[SiteCost], evidence: Sequence[Evidence], plan: Plan
) -> list[SiteCost | PrivacyError]:
    """Every site's line computed again, as long as that takes a bounded time."""
    lines: list[SiteCost | PrivacyError] = []
    different: set[tuple[Event, ...]] = set()
    left = MAX_ACCOUNTED
    for cost, proof in zip(sites, evidence, strict=True):
        try:
            events = within_a_plan(_charged(cost, proof))
            if left >= 0 and events not in different:
                left -= sum(grid_points(seen, plan.delta) for seen in {events, alone(events)})
                different.add(events)
            if left < 0:
                raise PrivacyError(
                    "their cost was not computed again: together with the sites before this one it "
                    f"takes more than {MAX_ACCOUNTED:,} points of privacy loss, far more than a study "
                    "of ordinary size. Do not rely on the stated epsilon before the publisher has "
                    "explained why the sites were charged so differently"
                )
            listed = [to_dict(event) for event in events]
            lines.append(SiteCost.from_events(cost.site, listed, plan.delta))
        except PrivacyError as error:
            lines.append(error)
    return lines


def _charged(cost: SiteCost, evidence: Evidence) -> tuple[Event, ...]:
    """What the receipt says that a site was charged; where it proves nothing, what is stated."""
    proven = evidence.events
    return merged(map(from_dict, cost.events) if proven is None else proven)


def _expected(plan: Plan, lines: Sequence[Line], drafted: bool) -> PrivacyStatement:
    return PrivacyStatement.of(
        study=plan.study,
        plan_digest=plan.digest,
        rows_per_person=plan.table.rows_per_person if plan.table.person_key else None,
        cohorts_per_person=plan.table.cohorts_per_person,
        delta=plan.delta,
        sites=[cost if isinstance(again, PrivacyError) else again for cost, _, again in lines],
        caveats=[DRAFTED] if drafted else [],
        seeded=any(evidence.seeded for _, evidence, _ in lines),
        mechanisms=mechanisms_of(plan),
        secure_sum=plan.secure_sum,
        cohort=plan.cohort,
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
        epsilon_if_all_others_work_together=(
            None if isinstance(again, PrivacyError) else again.epsilon_if_all_others_work_together
        ),
        receipt=f"{receipt}, key known" if receipt == "signed" and cost.site in keys else receipt,
    )
