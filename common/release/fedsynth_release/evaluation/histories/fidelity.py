"""The fidelity of histories in the figures of any table, over persons and events.

Static columns are compared person by person and event columns event by event, in the model columns
(`model_rows`), so that the report shows the same columns as without an evaluation. The detector looks
at whole persons (`person_table`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.schema import ModelledColumn, layout_of
from fedsynth_release.evaluation.association import associations
from fedsynth_release.evaluation.detection import detection_auc
from fedsynth_release.evaluation.discretise import named_levels
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.fidelity import pair_tvd, tvd
from fedsynth_release.evaluation.histories.distances import levels_of
from fedsynth_release.evaluation.histories.model_rows import HistoryRows
from fedsynth_release.evaluation.histories.person_table import person_schema, person_table
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_release.evaluation.results import Fidelity, PairFidelity, TableFigures
from fedsynth_release.evaluation.shapes import shape
from fedsynth_release.evaluation.table_fidelity import (
    COMPARED,
    column_results,
    matrix,
    off_diagonal,
)

Tables = Mapping[TableRole, HistoryRows]


@dataclass(frozen=True, eq=False)
class _Table:
    """One table in model columns: levels and cells of its events, of which `first` are persons'."""

    codes: Int64Array
    cells: Float64Array
    first: Int64Array
    static: list[int]

    def pairs(self, other: "_Table") -> Float64Array:
        """Distances of all pairs: of static columns over persons, of all others over events."""
        table = pair_tvd(self.codes, other.codes)
        persons, others = (side.codes[side.first][:, side.static] for side in (self, other))
        table[np.ix_(self.static, self.static)] = pair_tvd(persons, others)
        return table

    def associations(self, categorical: BoolArray) -> Float64Array:
        """Associations of all pairs, over persons and events as above."""
        table = associations(self.cells, categorical)
        persons = self.cells[self.first][:, self.static]
        table[np.ix_(self.static, self.static)] = associations(persons, categorical[self.static])
        return table

    @property
    def columns(self) -> list[Float64Array]:
        """The cells of each column: of persons if it is static, else of events."""
        places = range(self.cells.shape[1])
        rows = {True: self.first, False: np.arange(len(self.cells))}
        return [self.cells[rows[place in self.static], place] for place in places]

    def shapes(self, other: "_Table", columns: tuple[ModelledColumn, ...]) -> list[float]:
        """The similarity of each column with that of another table."""
        both = zip(self.columns, other.columns, columns, strict=True)
        return [shape(own, others, column) for own, others, column in both]


def flat_fidelity(
    train: HistoryRows,
    tables: Tables,
    say: Callable[[str], None] = lambda _: None,
    detection_rows: int = 10_000,
) -> Fidelity:
    """Compare the columns and pairs of the tables (synthetic, hold-out, independent)."""
    say("fidelity: marginals and associations")
    schema, static = train.model, list(layout_of(train.schema).static)
    levels, features = levels_of(train, schema), Features.fit(schema, train.frame)
    categorical = np.array([bool(named_levels(column)) for column in schema.modelled])

    def of(rows: HistoryRows) -> _Table:
        frame = rows.frame
        return _Table(levels.transform(frame), features.cells(frame), rows.first, static)

    real, made = of(train), {role: of(tables[role]) for role in COMPARED}
    pairs = {role: real.pairs(table) for role, table in made.items()}
    associated = {role: table.associations(categorical) for role, table in made.items()}
    shapes = {role: real.shapes(table, schema.modelled) for role, table in made.items()}
    strengths = real.associations(categorical)
    figures = [
        TableFigures(
            role=role,
            tvd_1=float(np.diag(pairs[role]).mean()),
            tvd_2=off_diagonal(pairs[role]),
            tvd_3=tvd(real.codes, made[role].codes, ways=3),
            column_shapes=float(np.mean(shapes[role])),
            association_difference=off_diagonal(np.abs(associated[role] - strengths)),
            detection_auc=_detected(train, tables, role, say, detection_rows),
        )
        for role in COMPARED
    ]
    columns = real.columns, made["synthetic"].columns
    return Fidelity(
        figures=tuple(figures),
        columns=column_results(schema, *columns, pairs, shapes),
        pairs=PairFidelity(
            names=levels.names,
            tvd=matrix(pairs["synthetic"]),
            tvd_floor=matrix(pairs["independent"]),
            association_real=matrix(strengths),
            association_synthetic=matrix(associated["synthetic"]),
        ),
    )


def _detected(
    train: HistoryRows, tables: Tables, role: TableRole, say: Callable[[str], None], most: int
) -> float:
    """Whether whole persons of a table can be told from held-out persons."""
    say(f"fidelity: detecting persons of {role}")
    against = train if role == "hold-out" else tables[role]
    held_out, others = (person_table(rows) for rows in (tables["hold-out"], against))
    return detection_auc(held_out, others, person_schema(train), max_rows=most)
