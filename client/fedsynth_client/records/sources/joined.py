"""Events in one table and persons in another, read as one table: each event with its person's columns.

The columns of an event follow from that event and from the one row of its person. A person without
events is left out, since a study of histories counts persons with events only. The persons are held in
memory as they are in their table; the events are read in pieces.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_client.records.sources.source import Source
from fedsynth_common.errors import InputError
from fedsynth_common.tables import factorise, whole_number


@dataclass(frozen=True)
class JoinedSource:
    """Every event of `events`, with the columns of its person in `persons`.

    Keys are read as a person key is: 17, 17.0 and the text `17` are one person.
    """

    events: Source
    persons: Source
    key: str

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.events.name} and {self.persons.name}"

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The events in order, the columns of persons after their own.

        Raises:
            InputError: a table without the key, a person twice, an event of nobody, a column that
                both tables have; or as the sources.
        """
        persons = _together(list(self.persons.chunks()))
        texts = self._keys(persons, self.persons)
        if repeated := len(texts) - len(set(texts)):
            raise InputError(
                f"{self.persons.name}: column {self.key!r}: {repeated:,} rows repeat a person; "
                "keep one row for each person"
            )
        row_of = {text: row for row, text in enumerate(texts)}
        columns = persons.drop(columns=self.key)
        for chunk in self.events.chunks():
            if both := [str(name) for name in columns.columns if name in chunk.columns]:
                raise InputError(f"{self.name}: both have a column {both[0]!r}; drop one of them")
            rows = np.array([row_of.get(text, -1) for text in self._keys(chunk, self.events)])
            if unknown := int((rows < 0).sum()):
                raise InputError(
                    f"{self.events.name}: {unknown:,} rows are events of persons that "
                    f"{self.persons.name} does not list; add the persons, or remove the events"
                )
            static = columns.take(rows.astype(np.int64)).set_axis(chunk.index)
            yield pd.concat([chunk, static], axis=1)

    def _keys(self, frame: pd.DataFrame, source: Source) -> list[str]:
        """The key of each row as one text, whatever type holds it."""
        if self.key not in frame.columns:
            raise InputError(f"{source.name}: column {self.key!r}, the key, is missing")
        cells, texts = factorise(frame[self.key])
        if absent := int((cells < 0).sum()):
            raise InputError(f"{source.name}: {absent:,} rows have no {self.key!r}; remove them")
        whole = [whole_number(text) for text in texts]
        return [whole[cell] for cell in cells]


def _together(pieces: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of all pieces, in which every cell is what it was.

    A column that the pieces store as different types is stored as objects: in a common type, such as
    float, a cell of one piece could change because of what is in another.
    """
    kinds = {name: {piece[name].dtype for piece in pieces} for name in pieces[0].columns}
    mixed = {name: object for name, found in kinds.items() if len(found) > 1}
    return pd.concat([piece.astype(mixed) for piece in pieces], ignore_index=True)
