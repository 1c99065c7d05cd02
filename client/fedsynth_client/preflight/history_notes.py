"""What a steward should know of a table of histories before it is served, in words.

The counts are private and stay at the site.
"""

from collections.abc import Iterator

from fedsynth_client.records.person_events import HistoryCounts
from fedsynth_common.schema import Histories


def cut_notes(counts: HistoryCounts, histories: Histories) -> Iterator[str]:
    """Whom the bound on events cuts."""
    most = histories.max_events
    if counts.cut:
        yield (
            f"histories: {counts.cut:,} of {counts.persons:,} persons have more than max_events "
            f"({most}) events; a study uses {most} events of each that follow each other, and leaves "
            f"out {counts.left_out:,} of {counts.events:,} events"
        )


def repair_notes(counts: HistoryCounts, histories: Histories) -> Iterator[str]:
    """What is changed about kept events so that they fit the schema's histories."""
    if counts.long_gaps:
        yield (
            f"column {histories.order!r}: {counts.long_gaps:,} events come more than largest_gap "
            f"({histories.largest_gap:,}) after the one before; a study takes them to come "
            f"{histories.largest_gap:,} after it"
        )
    for name, falls in counts.falls.items():
        if falls:
            yield (
                f"column {name!r}: it is listed in grows, but its value falls at {falls:,} events; a "
                "study takes it to stay as it was"
            )
    for name, persons in counts.changing.items():
        if persons:
            yield (
                f"column {name!r}: it is static, but changes within {persons:,} persons; a study takes "
                "the value at each person's first event. If it belongs to events, list it in "
                "histories.events"
            )
