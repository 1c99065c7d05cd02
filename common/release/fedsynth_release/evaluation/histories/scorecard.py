"""The figures of histories that benchmarks and the demo print, with the same settings for all tables."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.histories.distances import Distances
from fedsynth_release.evaluation.histories.model_rows import HistoryRows
from fedsynth_release.evaluation.histories.next_event import NextEvent


@dataclass(frozen=True, eq=False)
class HistoryJudge:
    """Measures tables of histories beside the real training persons and held-out persons.

    Attributes:
        distances: holds the training persons.
        next_event: holds the held-out persons.
    """

    distances: Distances
    next_event: NextEvent

    @classmethod
    def of(
        cls, train: pd.DataFrame, test: pd.DataFrame, schema: Schema, questions: int = 6
    ) -> Self:
        """A judge for two tables in the user's columns.

        Raises:
            InputError: a table does not fit the schema, or there is no next event to ask about.
        """
        real, held_out = (HistoryRows.of(frame, schema) for frame in (train, test))
        return cls(Distances.fit(real), NextEvent.of(real, held_out, questions))

    @property
    def real(self) -> HistoryRows:
        """The training persons."""
        return self.distances.real.rows

    @property
    def test(self) -> HistoryRows:
        """The held-out persons."""
        return self.next_event.test

    def figures(self, frame: pd.DataFrame | None = None) -> dict[str, float | None]:
        """The distances of `HistoryFigures`, and `next_auc` and `next_target_auc` of boosting.

        `next_target_auc` is None if the next event's target is not asked about. Without a frame the
        figures are those of real persons, which are the ceiling: distances of the held-out persons, and
        AUCs after learning from the training persons.
        """
        made = self.test if frame is None else HistoryRows.of(frame, self.real.schema)
        learned = self.real if frame is None else made
        found = self.distances.figures("synthetic", self.distances.codes(made))
        scores = self.next_event.scores(learned)
        target = self.real.schema.target
        declared = [q.column.name == target for q in self.next_event.questions]
        return {
            **found.model_dump(exclude={"role"}),
            "next_auc": float(np.mean(scores)),
            "next_target_auc": scores[declared.index(True)] if any(declared) else None,
        }
