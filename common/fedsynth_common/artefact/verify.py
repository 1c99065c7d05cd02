"""Is a generator folder what it says? Computes the privacy statement again and compares.

The statement is a function of the plan and of the sites' signed receipts, so it can be rebuilt from
them: events from each receipt (the whole plan for a lost site), ε from the events by the accountant,
combined figures, unit, caveats, mechanisms, limits, and the fixed words of spec version 2. Every field
that differs is a finding; so are a file with another digest and a model card that says something else.

Guarantee: if nothing is found, and the receipt keys are the sites' own, then the stated ε is what the
sites' ledgers add up to, within one step of rounding (1e-4 per site; versions of dp-accounting may
differ in the last digit). A coordinator can sign with keys of its own: only a key that the auditor has
from the site finds that. Nothing here reads a record.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedsynth_common.artefact.card import NOTES, model_card
from fedsynth_common.artefact.files import (
    CARD,
    DIGESTED,
    MEASUREMENTS,
    OPTIONAL,
    PLAN,
    SCHEMA,
    STATEMENT,
    sha256_of,
)
from fedsynth_common.artefact.measurements import Measurements
from fedsynth_common.artefact.mechanisms import mechanisms_of
from fedsynth_common.artefact.promises import DRAFTED, is_private
from fedsynth_common.artefact.receipts import Evidence, evidence_of
from fedsynth_common.artefact.report import Finding, Report, SiteReport
from fedsynth_common.artefact.statement import PrivacyStatement, SiteCost
from fedsynth_common.errors import InputError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import ROUNDING, epsilon
from fedsynth_common.privacy.events import to_dict
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema

FIGURES = (
    "epsilon_if_people_are_at_one_site_only",
    "epsilon_if_people_may_be_at_every_site",
    "delta",
    "delta_if_people_may_be_at_every_site",
)
FACTS = (
    *("study", "plan_digest", "unit", "rows_per_person", "randomness", "mechanisms"),
    *("smallest_visible_group", "limits"),
)
WORDS = (
    *("definition", "adjacency", "trust", "overlap", "charged", "not_charged", "unprotected"),
    *("adversary", "numerics", "not_promised"),
)
"""Fixed by the spec version: a study cannot promise more, or admit less, than the software does."""


def verify(folder: Path | str, keys: Mapping[str, str] | None = None) -> Report:
    """Check a generator folder.

    Args:
        folder: as the export of a study writes it.
        keys: receipt keys in hexadecimal, by site, that the auditor has from the sites themselves.

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
    findings = [*_plan_findings(folder, plan)]
    for line in lines:
        findings += _site_findings(*line)
    findings += _site_list_findings(statement, plan)
    drafted = "drafted from data" in (plan.table.origin, schema.origin)
    findings += _statement_findings(statement, _expected(plan, lines, drafted))
    findings += _file_findings(folder, statement, plan, schema)
    sites = tuple(_site_report(*line, keys) for line in lines)
    return Report(statement=statement, sites=sites, findings=tuple(findings))


def _read(folder: Path) -> tuple[PrivacyStatement, Plan, Schema]:
    for name in (STATEMENT, PLAN, *DIGESTED):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; expected the generator folder of a study")
    statement = PrivacyStatement.load(folder / STATEMENT)
    try:
        plan = Plan.from_json((folder / PLAN).read_bytes())
    except InputError as error:
        raise InputError(f"{folder / PLAN}: damaged ({error})") from None
    return statement, plan, Schema.load(folder / SCHEMA)


# --- the statement again -----------------------------------------------------------------------

Line = tuple[SiteCost, Evidence, SiteCost | PrivacyError]
"""A site as stated, what its receipt proves, and its line computed again (or why it cannot be)."""


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


def _site_report(
    cost: SiteCost, evidence: Evidence, again: SiteCost | PrivacyError, keys: Mapping[str, str]
) -> SiteReport:
    receipt = "none" if cost.status == "lost" else "signed" if evidence.signed else "refused"
    return SiteReport(
        site=cost.site,
        status=cost.status,
        delta=cost.delta,
        epsilon_stated=cost.epsilon,
        epsilon_recomputed=None if isinstance(again, PrivacyError) else again.epsilon,
        receipt=f"{receipt}, key known" if receipt == "signed" and cost.site in keys else receipt,
    )


# --- what differs ------------------------------------------------------------------------------


def _close(stated: float, again: float, slack: float = 0.0) -> bool:
    """Whether two figures are equal up to `slack`; NaN never is."""
    return math.isclose(stated, again, rel_tol=1e-6, abs_tol=1.01 * slack)


def _differs(field: str, stated: Any, again: Any) -> Finding:
    problem = f"states {stated!r}, recomputed {again!r}"
    return Finding(file=STATEMENT, field=field, problem=problem)


def _site_findings(
    cost: SiteCost, evidence: Evidence, again: SiteCost | PrivacyError
) -> Iterator[Finding]:
    place = f"sites[{cost.site}]"
    for field, problem in evidence.faults:
        yield Finding(file=STATEMENT, field=f"{place}.{field}", problem=problem)
    if isinstance(again, PrivacyError):
        problem = f"cannot be accounted ({again})"
        yield Finding(file=STATEMENT, field=f"{place}.events", problem=problem)
        return
    if evidence.events is not None and cost.events != again.events:
        source = "the whole plan, which a lost site is charged"
        problem = source if cost.status == "lost" else "those of the signed receipt"
        yield Finding(file=STATEMENT, field=f"{place}.events", problem=f"are not {problem}")
    for field, slack in (("epsilon", ROUNDING), ("epsilon_rdp_upper_bound", 0.0), ("delta", 0.0)):
        if not _close(getattr(cost, field), getattr(again, field), slack):
            yield _differs(f"{place}.{field}", getattr(cost, field), getattr(again, field))
    for field, signed in evidence.facts.items():
        if getattr(cost, field) != signed:
            problem = f"states {getattr(cost, field)!r}, the signed receipt says {signed!r}"
            yield Finding(file=STATEMENT, field=f"{place}.{field}", problem=problem)


def _site_list_findings(statement: PrivacyStatement, plan: Plan) -> Iterator[Finding]:
    named = tuple(cost.site for cost in statement.sites)
    if named != plan.sites:
        problem = f"are not the {len(plan.sites)} sites of {PLAN}, in its order"
        yield Finding(file=STATEMENT, field="sites", problem=problem)
    holders: dict[str, str] = {}
    for cost in statement.sites:
        holder = holders.setdefault(cost.receipt_key.lower(), cost.site)
        if cost.receipt_key and holder != cost.site:
            field = f"sites[{cost.site}].receipt_key"
            yield Finding(file=STATEMENT, field=field, problem=f"is also the key of {holder}")


def _statement_findings(stated: PrivacyStatement, again: PrivacyStatement) -> Iterator[Finding]:
    step = ROUNDING * max(1, len(stated.sites))
    for field in FIGURES:
        slack = step if field.startswith("epsilon") else 0.0
        if not _close(getattr(stated, field), getattr(again, field), slack):
            yield _differs(field, getattr(stated, field), getattr(again, field))
    for field in FACTS:
        if getattr(stated, field) != getattr(again, field):
            yield _differs(field, getattr(stated, field), getattr(again, field))
    for field in WORDS:
        if getattr(stated, field) != getattr(again, field):
            problem = f"is not what spec version {stated.spec_version} says"
            yield Finding(file=STATEMENT, field=field, problem=problem)
    for caveat in again.caveats:
        if caveat not in stated.caveats:
            yield Finding(file=STATEMENT, field="caveats", problem=f"lack {caveat!r}")
    private = is_private((*again.caveats, *stated.caveats))
    if stated.private != private:
        yield _differs("private", stated.private, private)
    same = stated.accountant == again.accountant.model_copy(
        update={"version": stated.accountant.version}
    )
    if not same or not re.fullmatch(r"\d[\w.+-]*", stated.accountant.version):
        yield Finding(file=STATEMENT, field="accountant", problem="is not one that can be repeated")
    if stated.software.get("dp-accounting") != stated.accountant.version:
        problem = "another version of dp-accounting than the accountant's"
        yield Finding(file=STATEMENT, field="software", problem=problem)
    sealed = stated.sealed(stated.artefacts)
    if stated.release_id != sealed.release_id:
        yield _differs("release_id", stated.release_id, sealed.release_id)


def _plan_findings(folder: Path, plan: Plan) -> Iterator[Finding]:
    if (folder / PLAN).read_bytes() != plan.to_json():
        problem = "not canonical, so its SHA-256 is not the digest that sites approved"
        yield Finding(file=PLAN, field="text", problem=problem)
    try:
        cost = epsilon(plan.planned_events(), plan.delta)
    except PrivacyError as error:
        yield Finding(file=PLAN, field="measure", problem=f"cannot be accounted ({error})")
        return
    if cost > plan.epsilon + ROUNDING:
        problem = f"states {plan.epsilon!r}, but its steps cost {cost!r}"
        yield Finding(file=PLAN, field="epsilon", problem=problem)


def _file_findings(
    folder: Path, statement: PrivacyStatement, plan: Plan, schema: Schema
) -> Iterator[Finding]:
    yield from _digest_findings(folder, statement)
    if (folder / MEASUREMENTS).is_file() and (fault := _measurement_fault(folder, schema)):
        yield Finding(file=MEASUREMENTS, field="columns", problem=fault)
    if schema != plan.table:
        yield Finding(file=SCHEMA, field="columns", problem=f"not the table of {PLAN}")
    if (folder / STATEMENT).read_bytes() != statement.to_json().encode():
        problem = "not as fedsynth writes it (repeated, reordered or retyped fields)"
        yield Finding(file=STATEMENT, field="text", problem=problem)
    if fault := _card_fault(folder / CARD, model_card(schema, statement)):
        yield Finding(file=CARD, field="text", problem=fault)


def _digest_findings(folder: Path, statement: PrivacyStatement) -> Iterator[Finding]:
    there = [name for name in OPTIONAL if (folder / name).is_file()]
    for name in (*DIGESTED, *there):
        if name not in statement.artefacts:
            yield Finding(file=STATEMENT, field=f"artefacts[{name}]", problem="missing")
        elif statement.artefacts[name] != sha256_of(folder / name):
            problem = f"is not that of {STATEMENT}, artefacts[{name}]"
            yield Finding(file=name, field="SHA-256", problem=problem)
    for name in sorted(set(statement.artefacts) - set(DIGESTED) - set(there)):
        problem = "the file is missing" if name in OPTIONAL else "no file of a generator"
        yield Finding(file=STATEMENT, field=f"artefacts[{name}]", problem=problem)


def _measurement_fault(folder: Path, schema: Schema) -> str:
    try:
        measured = Measurements.load(folder / MEASUREMENTS)
    except InputError:
        return "cannot be read as measurements"
    named = [column.name for column in measured.columns]
    return "" if named == [c.name for c in schema.modelled] else f"not the columns of {SCHEMA}"


def _card_fault(path: Path, card: str) -> str:
    """What is wrong with the model card; its last section, the notes of the run, is free."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return "missing, or cannot be read"
    except UnicodeDecodeError:
        return "is not UTF-8"
    notes = text.removeprefix(card)
    lines = notes.removeprefix(NOTES).splitlines()
    listed = notes.startswith(NOTES) and all(line.startswith("- ") for line in lines)
    good = text.startswith(card) and (not notes or listed)
    return "" if good else f"is not the one that follows from {STATEMENT}"
