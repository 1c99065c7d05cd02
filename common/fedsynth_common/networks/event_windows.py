"""What a discriminator of histories sees of an event: the event, the person and the events before.

Each event of a person becomes one row of codes with a fixed number of columns: the person's static
columns (the number of events among them), the event's own columns, and the event columns of the events
before it, nearest first. Where there is no such event, each of these columns has a code of its own,
"none". The discriminator predicts the event's own columns from all the rest.

So a person with histories is to a discriminator a person with several rows. A row depends on its
person's events alone, and all rows of a person are clipped together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.schema import Schema, layout_of

REACH = 3
"""Events before an event that its row holds, at most."""


@dataclass(frozen=True)
class EventWindows:
    """The rows of persons whose model columns have these numbers of codes.

    Attributes:
        static: how many of the columns are static; these come first.
        columns: codes of each model column.
        max_events: L, the most events of a person.
    """

    static: int
    columns: tuple[int, ...]
    max_events: int

    @property
    def reach(self) -> int:
        """Events before an event that its row holds."""
        return min(REACH, self.max_events - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Codes of each column of a row.

        >>> EventWindows(static=1, columns=(4, 2), max_events=3).widths
        (4, 2, 3, 3)
        """
        before = tuple(width + 1 for width in self.columns[self.static :])
        return self.columns + before * self.reach

    @property
    def predicted(self) -> range:
        """The columns of a row that are predicted: the event's own."""
        return range(self.static, len(self.columns))

    def rows(self, codes: UInt16Array, person: Int64Array) -> UInt16Array:
        """The rows (n, columns of a row) of events (n, model columns).

        Args:
            codes: of the events, whole persons, each person's events together and in order.
            person: whose each event is (n,).

        >>> windows = EventWindows(static=1, columns=(4, 2), max_events=2)
        >>> events = np.array([[3, 0], [3, 1], [2, 1]], np.uint16)
        >>> windows.rows(events, np.array([0, 0, 1])).tolist()
        [[3, 0, 2], [3, 1, 0], [2, 1, 2]]
        """
        own = codes[:, self.static :]
        none = np.array(self.columns[self.static :], np.uint16)
        parts = [codes]
        for lag in range(1, self.reach + 1):
            before = np.tile(none, (len(codes), 1))
            same = np.flatnonzero(person[lag:] == person[:-lag])
            before[same + lag] = own[same]
            parts.append(before)
        return np.concatenate(parts, axis=1)

    def order(self, generator: np.random.Generator, rows: int) -> Int64Array:
        """The columns of each row in a random order, those that are predicted first."""
        chance = generator.random((rows, len(self.widths)))
        chance[:, list(self.predicted)] -= 1.0
        return chance.argsort(axis=1)


def windows_of(schema: Schema, widths: Sequence[int]) -> EventWindows:
    """How the events of a schema with histories become rows; `widths` are those of its model columns."""
    layout = layout_of(schema)
    return EventWindows(len(layout.static), tuple(widths), layout.max_events)
