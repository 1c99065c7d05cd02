"""Merges the steps and the written forms of the numbers of several drafts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fedsynth_common.schema.columns import MAX_GRID
from fedsynth_common.schema.number_format import NumberFormat
from fedsynth_release.schema_files.merging.findings import Findings

Fields = dict[str, Any]


def merge_steps(place: str, listed: Sequence[Fields], merged: Fields, findings: Findings) -> None:
    """Set the widest step on whose grid all values of all drafts lie; none if there is none."""
    steps = [one.get("step") for one in listed]
    merged.pop("step", None)
    if not any(steps):
        return
    unit = 10 ** merged.get("decimals", 0)
    ticks = [round(step * unit) for step in steps if step]
    starts = [round(one["minimum"] * unit) - round(merged["minimum"] * unit) for one in listed]
    joint = math.gcd(*ticks, *starts)
    values = round((merged["maximum"] - merged["minimum"]) * unit) // joint
    if not all(steps) or joint == 1 or values >= MAX_GRID:
        findings.review(place, "no step fits all drafts", "it has none in the merged schema")
        return
    merged["step"] = joint / unit if "decimals" in merged else joint
    if len({*ticks, joint}) > 1:
        remedy = f"{merged['step']:g} is taken, which fits all of them"
        findings.review(place, "its steps or their starting points differ", remedy)


def merge_format(
    place: str, remedy: str, fields: Mapping[str, Fields], merged: Fields, findings: Findings
) -> None:
    """Join the limits such as `<5`; other marks of written numbers must be the same."""
    plain = NumberFormat().model_dump()
    formats = {label: one.get("format") or plain for label, one in fields.items()}
    limits = tuple(dict.fromkeys(text for one in formats.values() for text in one["limits"]))
    rest = [{**one, "limits": ()} for one in formats.values()]
    if any(one != rest[0] for one in rest):
        told = f"its numbers are written in different ways in {', '.join(formats)}"
        findings.conflict(place, told, f"all sites must write them in one way: {remedy}")
        return
    merged.pop("format", None)
    if rest[0] | {"limits": limits} != plain:
        merged["format"] = rest[0] | {"limits": limits}
