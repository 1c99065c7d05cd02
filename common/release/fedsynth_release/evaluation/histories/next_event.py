"""Predicts a person's next event from all events before it: trained on one table, tested on real ones.

For each event but a person's first, the inputs are the person's static columns, the previous event and
the one before it, the number of events so far, and summaries of all earlier events: the mean of a
number, and the shares of the levels of a short category. The number of events in the end is no input,
since nobody knows it at the time. The questions are those of `targets` about a column of the event:
is a number above the median, is a category the most frequent one. The order of events and columns
that grow are not asked about, because they follow from the previous event; the gap is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import IntegerColumn, ModelledColumn, NumericColumn, Schema, layout_of
from fedsynth_common.schema.histories import NUMBER_OF_EVENTS
from fedsynth_release.evaluation.discretise import level_codes, named_levels, numbers
from fedsynth_release.evaluation.histories.model_rows import HistoryRows, event_columns
from fedsynth_release.evaluation.prediction import means_of, question_result
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_release.evaluation.results import TargetUtility, Utility
from fedsynth_release.evaluation.targets import Target, default_targets
from fedsynth_release.evaluation.utility import Learner, TrainTestPair

SHORT = 6
"""Most levels of a category whose shares among the earlier events are inputs."""


@dataclass(frozen=True, eq=False)
class NextEvent:
    """Questions about the next event, and real persons to test the answers on.

    Attributes:
        questions: fitted on the real training persons.
        test: persons that nothing was trained on.
    """

    questions: tuple[Target, ...]
    test: HistoryRows

    @classmethod
    def of(cls, train: HistoryRows, test: HistoryRows, targets: int = 10) -> Self:
        """Choose up to `targets` questions, the declared target first.

        Raises:
            InputError: no column of the next event can be asked about.
        """
        later = _later(train)
        if not len(later):
            raise InputError("evaluation: no person has two events, so there is no next event")
        columns = _asked(train.schema)
        declared = train.schema.target
        target = declared if declared in {column.name for column in columns} else None
        asked = Schema(name=train.schema.name, columns=columns, target=target)
        return cls(tuple(default_targets(asked, later, targets)), test)

    def scores(
        self,
        table: HistoryRows,
        learner: Learner = "boosting",
        say: Callable[[str], None] = lambda _: None,
    ) -> list[float]:
        """The AUC of each question after training on a table."""
        schema = Schema(name=table.schema.name, columns=inputs(table.schema))
        pair = TrainTestPair(schema, before(table), before(self.test), learner)
        events, scores = (_later(table), _later(self.test)), []
        for question in self.questions:
            name = question.column.name
            say(f"next event: {learner}, {name}")
            scores.append(pair.auc(name, *(question.labels(frame) for frame in events)))
        return scores


def next_event_utility(
    train: HistoryRows,
    test: HistoryRows,
    tables: Mapping[TableRole, HistoryRows],
    say: Callable[[str], None] = lambda _: None,
    *,
    targets: int = 10,
    learners: Sequence[Learner] = ("boosting", "logistic"),
) -> Utility:
    """Train on `train` and on the tables "synthetic" and "independent", and test on `test`.

    Raises:
        InputError: no column of the next event can be asked about.
    """
    asked = NextEvent.of(train, test, targets)
    results: list[TargetUtility] = []
    for learner in learners:
        by_table = [
            asked.scores(table, learner, say)
            for table in (train, tables["synthetic"], tables["independent"])
        ]
        for question, scores in zip(asked.questions, zip(*by_table, strict=True), strict=True):
            results.append(question_result(question, learner, scores))
    return Utility(means=means_of(results), targets=tuple(results))


def _asked(schema: Schema) -> tuple[ModelledColumn, ...]:
    histories, layout = schema.histories, layout_of(schema)
    follow = (histories.order, *histories.grows) if histories else ()
    named = (column for column in event_columns(schema) if column.name not in follow)
    return (*named, layout.columns[layout.gap])


def _later(rows: HistoryRows) -> pd.DataFrame:
    """All events but each person's first."""
    return rows.frame.iloc[rows.pairs(1)[1]]


def inputs(schema: Schema) -> tuple[ModelledColumn, ...]:
    """The columns of `before`."""
    events = event_columns(schema)
    of_event = {column.name for column in events}
    columns: list[ModelledColumn] = [c for c in schema.modelled if c.name not in of_event]
    most = schema.histories.max_events if schema.histories else 1
    columns.append(IntegerColumn(name=_named("events", "so far"), minimum=1, maximum=most))
    for column in events:
        columns += [
            column.model_copy(update={"name": _named(column.name, when)})
            for when in ("previous", "before previous")
        ]
        columns += [
            NumericColumn(name=name, minimum=0.0, maximum=1.0, decimals=3)
            for name in _summaries(column)
        ]
    return tuple(columns)


def before(rows: HistoryRows) -> pd.DataFrame:
    """What is known before each event but a person's first, in the order of the later events."""
    earlier, later = rows.pairs(1)
    columns: dict[str, object] = {}
    for column in inputs(rows.schema):
        if column.name in rows.frame and column.name != NUMBER_OF_EVENTS:
            columns[column.name] = rows.frame[column.name].array.take(later)
    columns[_named("events", "so far")] = rows.place[later]
    has_two = rows.place[later] >= 2
    two_before = np.where(has_two, later - 2, -1)
    for column in event_columns(rows.schema):
        cells = rows.frame[column.name]
        columns[_named(column.name, "previous")] = cells.array.take(earlier)
        columns[_named(column.name, "before previous")] = cells.array.take(
            two_before, allow_fill=True
        )
        for name, values in zip(_summaries(column), _values(cells, column), strict=True):
            columns[name] = _running_mean(values, rows)[earlier]
    return pd.DataFrame(columns)


def _named(name: str, when: str) -> str:
    return f"{name} ({when})"


def _summaries(column: ModelledColumn) -> list[str]:
    levels = named_levels(column)
    if levels:
        return [
            _named(column.name, f"share of {k}")
            for k in range(len(levels) * (len(levels) <= SHORT))
        ]
    return [_named(column.name, "mean so far")]


def _values(cells: pd.Series, column: ModelledColumn) -> list[Float64Array]:
    """The numbers of which the summaries are means."""
    levels = named_levels(column)
    if not levels:
        return [numbers(cells, column)]
    codes = level_codes(cells, column)
    return [(codes == k).astype(float) for k in range(len(levels) * (len(levels) <= SHORT))]


def _running_mean(values: Float64Array, rows: HistoryRows) -> Float64Array:
    """The mean of a person's values up to each event, without missing ones; NaN if there are none."""
    known = ~np.isnan(values)
    start = np.arange(len(values)) - rows.place
    sums, counts = _since(np.where(known, values, 0.0), start), _since(known.astype(float), start)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _since(values: Float64Array, start: Int64Array) -> Float64Array:
    """Sums from the row `start` on, to and with each row."""
    total: Float64Array = np.cumsum(values)
    return total - (total - values)[start]
