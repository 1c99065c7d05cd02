"""Merges the categories of several drafts: their union, with one order and one group for each."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from fedsynth_common.schema.columns import MAX_CATEGORIES
from fedsynth_release.schema_files.merging.findings import Findings, some

Fields = dict[str, Any]


def merge_categories(
    place: str, fields: Mapping[str, Fields], merged: Fields, findings: Findings
) -> None:
    """Set the categories, their order and their groups; note what a person must look at."""
    lists: dict[str, tuple[str, ...]] = {k: one["categories"] for k, one in fields.items()}
    merged["categories"] = tuple(
        dict.fromkeys(text for listed in lists.values() for text in listed)
    )
    merged["other"] = any(one["other"] for one in fields.values())
    if len(merged["categories"]) > MAX_CATEGORIES:
        told = f"{len(merged['categories']):,} categories together; {MAX_CATEGORIES:,} are possible"
        findings.conflict(place, told, "declare groups with `fedsynth schema codes` at each site")
        return
    _order(place, fields, merged, findings)
    _groups(place, fields, merged, findings)
    _alone(place, lists, findings)
    _alike(place, merged["categories"], findings)
    if marks := set(merged["missing_marks"]) & set(merged["categories"]):
        told = f"{some(sorted(marks))} are categories in some drafts and missing cells in others"
        findings.conflict(place, told, "let the sites agree on one, and send their drafts again")


def _order(place: str, fields: Mapping[str, Fields], merged: Fields, findings: Findings) -> None:
    ordered = [one["ordered"] for one in fields.values()]
    merged["ordered"] = all(ordered)
    if not any(ordered):
        return
    if not all(ordered):
        remedy = "it is not ordered in the merged schema, so conditions such as < are not possible"
        findings.review(place, "its categories are ordered in some drafts only", remedy)
        return
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for one in fields.values():
        for before, after in zip(one["categories"], one["categories"][1:], strict=False):
            sorter.add(after, before)
        sorter.add(one["categories"][0])
    try:
        merged["categories"] = tuple(sorter.static_order())
    except CycleError:
        told = "the drafts contradict each other in the order of its categories"
        findings.conflict(place, told, "let the sites agree on one order, and send them again")
        return
    if len({one["categories"] for one in fields.values()}) > 1:
        findings.review(place, "its ordered categories were merged", "check their order")


def _groups(place: str, fields: Mapping[str, Fields], merged: Fields, findings: Findings) -> None:
    """One group for each category; those without one are asked for."""
    groups: dict[str, set[str]] = {}
    for one in fields.values():
        if one["parents"]:
            for category, parent in zip(one["categories"], one["parents"], strict=True):
                groups.setdefault(category, set()).add(parent)
    remedy = "declare them with `fedsynth schema codes` from one public list"
    merged["parents"] = ()
    if not groups:
        return
    if torn := [category for category, parents in groups.items() if len(parents) > 1]:
        told = f"the drafts put {some(torn)} into different groups"
        findings.conflict(place, told, remedy)
    elif without := [text for text in merged["categories"] if text not in groups]:
        findings.conflict(place, f"{some(without)} have no group, others have one", remedy)
    else:
        merged["parents"] = tuple(next(iter(groups[text])) for text in merged["categories"])


def _alone(place: str, lists: Mapping[str, tuple[str, ...]], findings: Findings) -> None:
    """Show what only one draft lists: a rare category can point at a person."""
    for label, listed in lists.items():
        others = {text for other, texts in lists.items() if other != label for text in texts}
        if only := [text for text in listed if text not in others]:
            remedy = (
                "keep them only if a public code list has them: a rare one can point at a person"
            )
            findings.review(place, f"only {label} lists {some(only)}", remedy)


def _alike(place: str, categories: tuple[str, ...], findings: Findings) -> None:
    """Show what may be one category in two spellings."""
    spelled: dict[str, list[str]] = {}
    for text in categories:
        spelled.setdefault("".join(text.casefold().split()), []).append(text)
    for texts in spelled.values():
        if len(texts) > 1:
            remedy = "if they mean the same, let the sites write it in one way"
            findings.review(place, f"{some(texts)} differ in capitals or blanks only", remedy)
