"""Merges reviewed drafts of several sites into the schema of a study.

The coordinator of a study may have no table. Each site then drafts a schema from its own table, its
people replace what the records said by what is publicly known, and only then the draft leaves the site:
**what a draft says is public from then on**, and no privacy budget pays for it. So a file that still
says that it was drafted from data is refused.

The merged schema takes whatever one of the drafts takes. It is computed from the drafts alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import Column
from fedsynth_common.schema.histories import Histories
from fedsynth_common.schema.schema import Schema
from fedsynth_common.validated import first_fault
from fedsynth_release.schema_files.merging.columns import merge_column, take
from fedsynth_release.schema_files.merging.findings import Finding, Findings
from fedsynth_release.schema_files.merging.histories import merge_histories
from fedsynth_release.schema_files.merging.rules import merge_rules


@dataclass(frozen=True)
class Decisions:
    """What a person has decided: of which draft a column is taken, what is left out, what is kept."""

    name: str | None = None
    target: str | None = None
    taken: Mapping[str, str] = field(default_factory=dict)
    dropped: Collection[str] = ()
    kept_rules: Collection[str] = ()
    unreviewed: bool = False


@dataclass(frozen=True)
class Merged:
    """The merged schema, None while there are conflicts; and what to look at."""

    schema: Schema | None
    conflicts: tuple[Finding, ...]
    review: tuple[Finding, ...]


def merge(drafts: Mapping[str, Schema], decisions: Decisions | None = None) -> Merged:
    """Merge drafts, given by a label such as the name of their file.

    Raises:
        InputError: fewer than two drafts, one that nobody has reviewed, or decisions about columns or
            drafts that do not exist.
    """
    decisions = decisions or Decisions()
    _check(drafts, decisions)
    findings = Findings()
    columns = _columns(drafts, decisions, findings)
    rules = merge_rules(drafts, decisions.kept_rules, decisions.dropped, findings)
    fields = {
        "columns": columns,
        "rules": rules,
        "origin": "drafted from data" if _unreviewed(drafts) else "declared",
        **_roles(drafts, decisions, findings),
    }
    histories = {label: schema.histories for label, schema in drafts.items()}
    merged = merge_histories(histories, decisions.dropped, findings)
    schema = _schema(fields, merged, findings)
    conflicts = findings.of("conflict")
    return Merged(None if conflicts else schema, (*conflicts,), (*findings.of("review"),))


def _unreviewed(drafts: Mapping[str, Schema]) -> list[str]:
    return [label for label, schema in drafts.items() if schema.origin != "declared"]


def _check(drafts: Mapping[str, Schema], decisions: Decisions) -> None:
    if len(drafts) < 2:
        raise InputError("a merge needs at least two drafts, of one site each")
    if (open_ := _unreviewed(drafts)) and not decisions.unreviewed:
        fault = 'it still says "drafted from data", so nobody at the site has reviewed it'
        remedy = (
            "what it says about records is known to whoever has the file. Ask the site to review its "
            'draft (docs/SCHEMA.md), to set "origin" to "declared" and to send only that; for tables '
            "that are public anyway pass --unreviewed"
        )
        raise InputError(f"{open_[0]}: {fault}; {remedy}")
    names = {column.name for schema in drafts.values() for column in schema.columns}
    for name in (*decisions.taken, *decisions.dropped):
        if name not in names:
            raise InputError(f"--take or --drop: no draft has a column {name!r}")
    for name, label in decisions.taken.items():
        if label not in drafts:
            raise InputError(f"--take '{name}={label}': give one of {', '.join(drafts)}")
        if name not in {column.name for column in drafts[label].columns}:
            raise InputError(f"--take '{name}={label}': {label} has no column {name!r}")
    if both := set(decisions.taken) & set(decisions.dropped):
        raise InputError(f"column {min(both)!r}: give --take or --drop, not both")


def _columns(
    drafts: Mapping[str, Schema], decisions: Decisions, findings: Findings
) -> list[Column]:
    """All columns, in the order of the first draft and then of the others."""
    found: dict[str, dict[str, Column]] = {}
    for label, schema in drafts.items():
        for column in schema.columns:
            found.setdefault(column.name, {})[label] = column
    filled = {
        schema.site_column for schema in drafts.values()
    }  # by the site's name, from its policy
    merged = []
    for name, declared in found.items():
        if name in decisions.dropped:
            continue
        if name in decisions.taken:
            merged.append(declared[decisions.taken[name]])
            continue
        absent = [label for label in drafts if label not in declared]
        if absent and name not in filled:
            told = f"not in {', '.join(absent)}"
            remedy = f"leave it out with --drop '{name}', or ask those sites to add it"
            findings.conflict(f"column {name!r}", told, remedy)
        merged.append(merge_column(declared, findings))
    return merged


def _roles(
    drafts: Mapping[str, Schema], decisions: Decisions, findings: Findings
) -> dict[str, Any]:
    """Name, target, person key, rows per person and site column."""
    schemas = [*drafts.values()]
    fields: dict[str, Any] = {"name": decisions.name or schemas[0].name}
    if decisions.name is None and len({schema.name for schema in schemas}) > 1:
        findings.review("name", "the drafts have different names", f"{fields['name']!r} is taken")
    targets = [*dict.fromkeys(s.target for s in schemas if s.target)]
    fields["target"] = decisions.target or next(iter(targets), None)
    if decisions.target is None and len(targets) > 1:
        findings.conflict("target", f"the drafts name {' and '.join(targets)}", "pass --target")
    if fields["target"] in decisions.dropped and decisions.target is None:
        fields["target"] = None
    keys = {schema.person_key for schema in schemas}
    fields["person_key"] = schemas[0].person_key
    if len(keys) > 1:
        told = "the drafts name different columns, or some name none"
        remedy = (
            "what is protected, a row or a person, must be the same at all sites: let them agree"
        )
        findings.conflict("person_key", told, remedy)
    if not any(schema.histories for schema in schemas):
        most = [schema.rows_per_person for schema in schemas]
        fields["rows_per_person"] = max(most)
        if len(set(most)) > 1:
            remedy = f"the largest, {max(most)}, is taken: more rows of a person need more noise"
            findings.review("rows_per_person", "the drafts differ", remedy)
    columns = [*dict.fromkeys(s.site_column for s in schemas if s.site_column)]
    fields["site_column"] = next(iter(columns), None)
    if len(columns) > 1:
        told = f"the drafts name {' and '.join(columns)}"
        findings.conflict("site_column", told, "let the sites agree on one column")
    return fields


def _schema(
    fields: dict[str, Any], histories: Histories | None, findings: Findings
) -> Schema | None:
    """The merged schema; None, with a conflict, if the parts do not fit together."""
    if findings.of("conflict"):
        return None
    try:
        dumped = {
            **fields,
            "columns": [column.model_dump() for column in fields["columns"]],
            "rules": [rule.model_dump() for rule in fields["rules"]],
            "histories": histories.model_dump() if histories else None,
        }
        return Schema.model_validate(dumped, strict=False)
    except ValidationError as error:
        fault = first_fault(error, Schema)
        findings.conflict("schema", fault, f"see the column or rule it names; {take('COLUMN')}")
        return None
