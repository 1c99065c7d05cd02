"""Merges what several drafts say about one column: the widest bounds, the union of the categories.

A merged column takes every cell that one of the drafts takes. What cannot be joined in this way, such
as two ways of writing a date, is a conflict.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fedsynth_common.schema.columns import (
    CategoricalColumn,
    Column,
    IntegerColumn,
    NumericColumn,
    OrderedColumn,
)
from fedsynth_common.schema.temporal import DurationColumn, iso_tick
from fedsynth_release.schema_files.merging.categories import merge_categories
from fedsynth_release.schema_files.merging.findings import Findings, some
from fedsynth_release.schema_files.merging.numbers import merge_format, merge_steps

Fields = dict[str, Any]
_COLUMN: TypeAdapter[Column] = TypeAdapter(Column)
_EQUAL = {
    "date": ("granularity", "format"),
    "datetime": ("granularity", "format", "zone"),
    "duration": ("unit", "format"),
    "boolean": ("true", "false"),
    "id": ("pattern", "provider", "unique"),
    "text": ("pattern", "provider", "unique"),
}
"""Fields by which a cell is read or written; two drafts that differ in one cannot be joined."""


def merge_column(declared: Mapping[str, Column], findings: Findings) -> Column:
    """One column out of the declarations of several drafts, by the drafts' labels.

    Where they contradict each other a conflict is noted and the first declaration returned.
    """
    first = next(iter(declared.values()))
    place, before = f"column {first.name!r}", len(findings.of("conflict"))
    declared = _one_kind(place, declared, findings)
    kinds = {label: column.kind for label, column in declared.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{kind} in {label}" for label, kind in kinds.items())
        findings.conflict(place, f"its kinds differ ({told})", take(first.name))
        return first
    fields = {label: column.model_dump() for label, column in declared.items()}
    merged = dict(next(iter(fields.values())))
    merged["description"] = _description(place, fields, findings)
    for name in (*_EQUAL.get(next(iter(kinds.values())), ()), "stored_as"):
        merged[name] = _equal(place, first.name, name, fields, findings)
    if merged["stored_as"] is None:
        del merged["stored_as"]
    if "nullable" in merged:
        merged["nullable"] = any(one["nullable"] for one in fields.values())
        marks = [mark for one in fields.values() for mark in one.get("missing_marks", ())]
        merged["missing_marks"] = tuple(dict.fromkeys(marks))
    if isinstance(next(iter(declared.values())), CategoricalColumn):
        merge_categories(place, fields, merged, findings)
    elif isinstance(next(iter(declared.values())), OrderedColumn):
        _merge_ordered(place, declared, fields, merged, findings)
    if len(findings.of("conflict")) > before:
        return first
    return _built(first, merged, findings)


def take(name: str) -> str:
    """How a person decides a conflict about a column."""
    return (
        f"let the sites agree and send their drafts again, or decide with --take '{name}=FILE' "
        f"or --drop '{name}'"
    )


def _one_kind(
    place: str, declared: Mapping[str, Column], findings: Findings
) -> Mapping[str, Column]:
    """Whole numbers become numbers without decimals if another draft has decimals."""
    if {column.kind for column in declared.values()} != {"integer", "numeric"}:
        return declared
    told = "whole numbers in some drafts, with decimals in others"
    findings.review(place, told, "it has decimals in the merged schema")
    return {label: _numeric(column) for label, column in declared.items()}


def _numeric(column: Column) -> Column:
    if not isinstance(column, IntegerColumn):
        return column
    fields = column.model_dump() | {"kind": "numeric", "decimals": 0}
    if fields.get("stored_as") == "integer":
        del fields["stored_as"]
    return NumericColumn.model_validate(fields, strict=False)


def _description(place: str, fields: Mapping[str, Fields], findings: Findings) -> str:
    texts = {one["description"]: label for label, one in fields.items() if one["description"]}
    if len(texts) > 1:
        told = f"its descriptions differ (in {', '.join(texts.values())})"
        findings.review(place, told, "the first is kept: make sure that the sites mean the same")
    return next(iter(texts), "")


def _equal(
    place: str, column: str, name: str, fields: Mapping[str, Fields], findings: Findings
) -> Any:
    values = {label: one.get(name) for label, one in fields.items()}
    distinct = set(values.values())
    if len(distinct) > 1:
        told = ", ".join(f"{value!r} in {label}" for label, value in values.items())
        remedy = f"all sites must write the column in one way: {take(column)}"
        findings.conflict(place, f"{name} differs ({told})", remedy)
    return next(iter(values.values()))


def _merge_ordered(
    place: str,
    declared: Mapping[str, Column],
    fields: Mapping[str, Fields],
    merged: Fields,
    findings: Findings,
) -> None:
    """Join the bounds, atoms, decimals, scale, step and marks of numbers, dates or durations."""
    column = next(iter(declared.values()))
    size = _size(column)
    listed = [*fields.values()]
    try:
        merged["minimum"] = min((one["minimum"] for one in listed), key=size)
        merged["maximum"] = max((one["maximum"] for one in listed), key=size)
    except TypeError:  # granularities differ, a conflict that is already noted
        return
    merged["atoms"] = tuple(dict.fromkeys(atom for one in listed for atom in one["atoms"]))
    if "scale" in merged and len({one["scale"] for one in listed}) > 1:
        merged["scale"] = "log"
        findings.review(place, "scale is log in some drafts only", "it is log in the merged schema")
    _show_bounds(place, fields, merged, findings)
    if isinstance(column, DurationColumn | IntegerColumn | NumericColumn):
        inside = [
            mark
            for one in listed
            for mark in one.get("missing_marks", ())
            if _within(mark, merged["minimum"], merged["maximum"])
        ]
        if inside:
            told = f"{some(dict.fromkeys(inside))} mean a missing cell in some drafts"
            findings.review(place, told, "make sure that no site has them as values")
    if isinstance(column, IntegerColumn | NumericColumn):
        if "decimals" in merged:
            merged["decimals"] = max(one["decimals"] for one in listed)
        merge_steps(place, listed, merged, findings)
        merge_format(place, take(column.name), fields, merged, findings)


def _size(column: Column) -> Callable[[Any], Any]:
    """What the bounds of a column are compared by."""
    granularity = getattr(column, "granularity", None)
    return (lambda text: iso_tick(text, granularity)) if granularity else (lambda number: number)


def _show_bounds(
    place: str, fields: Mapping[str, Fields], merged: Fields, findings: Findings
) -> None:
    for bound in ("minimum", "maximum"):
        values = {label: one[bound] for label, one in fields.items()}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{value} in {label}" for label, value in values.items())
            remedy = (
                f"{merged[bound]} is taken: replace it by a publicly known limit if there is one"
            )
            findings.review(place, f"{bound} differs ({told})", remedy)


def _within(mark: str, low: float, high: float) -> bool:
    try:
        return low <= float(mark) <= high
    except ValueError:
        return False


def _built(first: Column, fields: Fields, findings: Findings) -> Column:
    """The column with these fields, or the first with a conflict if no column may have them."""
    try:
        return _COLUMN.validate_python(fields, strict=False)
    except ValidationError as error:
        place = f"column {first.name!r}"
        fault = error.errors()[0]["msg"].removeprefix("Value error, ").removeprefix(f"{place}: ")
        findings.conflict(place, f"the drafts do not fit together ({fault})", take(first.name))
        return first
