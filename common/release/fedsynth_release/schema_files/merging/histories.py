"""Merges what several drafts say about persons with histories."""

from collections.abc import Collection, Mapping
from typing import Any

from fedsynth_common.schema.histories import Histories
from fedsynth_release.schema_files.merging.findings import Findings, some


def merge_histories(
    declared: Mapping[str, Histories | None], dropped: Collection[str], findings: Findings
) -> Histories | None:
    """Histories that hold those of every draft: the largest caps, all columns of events.

    A column that grows in every draft grows; one that is of an event in one draft is of an event.
    """
    present = {label: one for label, one in declared.items() if one is not None}
    if not present:
        return None
    if len(present) < len(declared):
        without = ", ".join(label for label in declared if label not in present)
        told = f"{without} declares none, and the others do"
        findings.conflict(
            "histories", told, "a row must mean the same at all sites: let them agree"
        )
        return None
    parts = [*present.values()]
    if len({one.order for one in parts}) > 1 or parts[0].order in dropped:
        orders = ", ".join(f"{one.order!r} in {label}" for label, one in present.items())
        findings.conflict(
            "histories.order", f"one column must order the events ({orders})", "let the sites agree"
        )
        return None
    names = [*dict.fromkeys(name for one in parts for name in one.events)]
    events = tuple(name for name in names if name not in dropped)
    moved = [name for name in events if any(name not in one.events for one in parts)]
    if moved:
        told = f"{some(moved)} belong to events in some drafts and to persons in others"
        findings.review("histories.events", told, "they belong to events in the merged schema")
    growing = [name for name in parts[0].grows if all(name in one.grows for one in parts)]
    if lost := {name for one in parts for name in one.grows} - {*growing, *dropped}:
        told = f"{some(sorted(lost))} grow in some drafts only"
        findings.review("histories.grows", told, "they are not listed in the merged schema")
    return Histories(
        order=parts[0].order,
        max_events=_largest("max_events", parts, findings),
        events=events,
        largest_gap=_largest("largest_gap", parts, findings),
        grows=tuple(name for name in growing if name not in dropped),
    )


def _largest(name: str, parts: list[Histories], findings: Findings) -> int:
    values: list[Any] = [getattr(one, name) for one in parts]
    if len(set(values)) > 1:
        remedy = (
            "a shorter cap is fitted sooner" if name == "max_events" else "check that it is public"
        )
        findings.review(f"histories.{name}", f"the largest, {max(values)}, is taken", remedy)
    return int(max(values))
