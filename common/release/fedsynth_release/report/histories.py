"""What a report says about persons with histories: what follows what, with lights and drawings.

With an evaluation, the synthetic histories are compared with those of real persons. The drawing of
twelve synthetic persons is made from the generator alone, so every report of histories has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_release.evaluation.history_results import (
    ColumnOverTime,
    HistoryFidelity,
    HistoryFigures,
)
from fedsynth_release.report.judgements import (
    FAR,
    NEAR,
    between,
    graded,
    memory_of,
    transitions_of,
)
from fedsynth_release.report.plots import Overlay, overlay
from fedsynth_release.report.scores import Light, worst
from fedsynth_release.report.sections import Row

_FAMILIES = (
    ("pairs of static columns", "static", "independent"),
    ("pairs of a static column and one of an event", "static_event", "independent"),
    ("pairs of columns of one event", "within_event", "independent"),
    ("an event and the next, different columns", "lag_1", "dealt"),
    ("an event and the next, same column", "lag_1_itself", "dealt"),
    ("events two and three apart, same column", "lag_2_3_itself", "dealt"),
    ("variance within persons, difference of shares", "within_person", "dealt"),
)
_SINGLE = (("number of events of a person", "lengths"), ("time between events", "gaps"))
_NOTES = {
    "independent": "Lower is better. The floor is a table of independent columns.",
    "dealt": "Lower is better. The floor is what remains if real events are dealt to persons at random.",
}
NEXT = "lag_1_itself"
"""The figure that the summary shows."""


@dataclass(frozen=True)
class OverTime:
    """How one column follows itself: its figures, its light and a drawing of its memory."""

    column: ColumnOverTime
    light: Light
    reason: str
    plot: Markup | None


def history_rows(histories: HistoryFidelity) -> dict[str, Row]:
    """The figures of histories with floor, ceiling and light, by name."""
    rows = {}
    synthetic, ceiling = histories.of("synthetic"), histories.of("hold-out")
    for name, field, role in _FAMILIES:
        floor = histories.of("dealt" if role == "dealt" else "independent")
        three = _three(field, synthetic, floor, ceiling)
        if three is not None:
            rows[field] = Row(name, *three, between(*three), _NOTES[role])
    for name, field in _SINGLE:
        three = _three(field, synthetic, histories.of("independent"), ceiling)
        if three is not None:
            light = graded(three[0], max(NEAR, 1.5 * three[2]), FAR)
            rows[field] = Row(name, three[0], None, three[2], light, "Lower is better.")
    return rows


def _three(
    field: str, synthetic: HistoryFigures, floor: HistoryFigures, ceiling: HistoryFigures
) -> tuple[float, float, float] | None:
    values = [getattr(figures, field) for figures in (synthetic, floor, ceiling)]
    return None if None in values else (values[0], values[1], values[2])


def over_time(histories: HistoryFidelity) -> list[OverTime]:
    """Every column of events, with how well it follows itself from event to event."""
    return [_view(column) for column in histories.columns]


def _view(column: ColumnOverTime) -> OverTime:
    judgements = transitions_of(column), memory_of(column)
    known = [
        (lag, abs(real), abs(made))
        for lag, (real, made) in enumerate(zip(column.real, column.synthetic, strict=True), 1)
        if real is not None and made is not None
    ]
    plot = None
    if known:
        labels = [f"{lag} event{'s' * (lag > 1)} later" for lag, _, _ in known]
        real, made = ([row[place] for row in known] for place in (1, 2))
        bars = Overlay(labels=labels, reference=real, generator=made)
        plot = overlay(f"{column.name}, association with itself", bars)
    reason = "; ".join(judgement.reason for judgement in judgements)
    return OverTime(column, worst(judgements), reason, plot)


def by_source(
    histories: HistoryFidelity | None, sources: Sequence[str | None], events: Sequence[int]
) -> dict[int, ColumnOverTime]:
    """The results over time of model columns of events, by their place.

    Args:
        histories: the results; None gives none.
        sources: the declared column that each model column comes from (`HistoryLayout`).
        events: the places of the columns of events.
    """
    columns = {column.name: column for column in histories.columns} if histories else {}
    named = ((place, sources[place]) for place in events)
    return {place: columns[name] for place, name in named if name in columns}
