"""Merges the rules of several drafts: what is left holds wherever one of the drafts' rules held.

A drawn record never breaks a rule, so a rule must hold at every site. Rules that all drafts have are
kept, with the widest bounds and all combinations. A rule that a draft does not have is left out, unless
a person asks to keep it.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fedsynth_common.schema.rules import Rule, columns_of
from fedsynth_common.schema.schema import Schema
from fedsynth_release.schema_files.merging.findings import Findings

Fields = dict[str, Any]
_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)
_JOINED = {
    "fixed_combinations": ("combinations",),
    "inequality": ("strict",),
    "difference": ("minimum", "maximum"),
    "ratio": ("minimum", "maximum"),
    "missing_if": ("only",),
    "range_if": ("then",),
}
"""Fields in which drafts of one rule may differ; what is merged is the weaker of them."""


def merge_rules(
    drafts: Mapping[str, Schema],
    kept: Collection[str],
    dropped: Collection[str],
    findings: Findings,
) -> list[Rule]:
    """The rules of the merged schema; `kept` names those that hold although a draft lacks them."""
    found: dict[str, dict[str, Rule]] = {}
    for label, schema in drafts.items():
        for rule in schema.rules:
            if not set(columns_of(rule)) & set(dropped):
                found.setdefault(_identity(rule), {})[label] = rule
    merged = []
    for declared in found.values():
        first = next(iter(declared.values()))
        place = f"rule {first.name!r}"
        if len(declared) < len(drafts) and first.name not in kept:
            absent = ", ".join(label for label in drafts if label not in declared)
            remedy = (
                "it is left out. If it is publicly known to hold everywhere, keep it with "
                f"--keep-rule '{first.name}'; each site sees with `site check` if its records break it"
            )
            findings.review(place, f"not in {absent}", remedy)
            continue
        merged.append(_joined(place, [*declared.values()], findings))
    for name in kept:
        if name not in {rule.name for schema in drafts.values() for rule in schema.rules}:
            findings.conflict(f"--keep-rule '{name}'", "no draft has it", "give a rule's name")
    return merged


def _identity(rule: Rule) -> str:
    """What makes two rules the same: everything but the name, the description, and the bounds."""
    left = {"name", "description", *_JOINED.get(rule.rule, ())}
    fields = rule.model_dump(mode="json", exclude=left)
    if rule.rule == "range_if":
        used = rule.then.model_dump(mode="json", exclude_defaults=True)
        fields["then"] = {"column": rule.then.column, "says": sorted(used)}
    return json.dumps(fields, sort_keys=True)


def _joined(place: str, rules: list[Rule], findings: Findings) -> Rule:
    """The rule that holds wherever one of these holds."""
    fields = [rule.model_dump() for rule in rules]
    merged = fields[0]
    for name in _JOINED.get(rules[0].rule, ()):
        values = [one[name] for one in fields]
        merged[name] = _then(values) if name == "then" else _weaker(name, values)
        if any(value != merged[name] for value in values):
            findings.review(place, f"{name} differs", "what all drafts allow is taken: look at it")
    try:
        return _RULE.validate_python(merged, strict=False)
    except (ValidationError, TypeError):
        findings.conflict(place, "the drafts do not fit together", "let the sites agree on it")
        return rules[0]


def _weaker(name: str, values: list[Any]) -> Any:
    if name == "combinations":
        return _union(values)
    if name in ("strict", "only"):
        return all(values)
    return (min if name == "minimum" else max)(values)


def _then(conditions: list[Fields]) -> Fields:
    """The condition that every record meets which meets one of these; they are of one form."""
    merged = dict(conditions[0])
    merged["values"] = _union([one["values"] for one in conditions])
    for name, widest in (("minimum", min), ("maximum", max)):
        if merged[name] is not None:
            merged[name] = widest(one[name] for one in conditions)
    return merged


def _union(lists: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(entry for listed in lists for entry in listed))
