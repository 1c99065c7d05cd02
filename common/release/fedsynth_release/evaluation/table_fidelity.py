"""The fidelity section: one table against the real training rows, with its ceiling and its floor.

The **ceiling** is the hold-out: other real rows of the same population, which differ from the training
rows by chance only. A table cannot be expected to score better, and one that does repeats the training
rows. The **floor** is independent columns: right in every column, blind to every pair.

Marginals, shapes and associations compare with the training rows; the detector with the held-out
rows (`detection`), and on the ceiling row training rows stand in for the synthetic ones.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.association import associations
from fedsynth_release.evaluation.detection import detection_auc
from fedsynth_release.evaluation.discretise import Discretiser, named_levels
from fedsynth_release.evaluation.features import Features, Floats
from fedsynth_release.evaluation.fidelity import Codes, pair_tvd, tvd
from fedsynth_release.evaluation.results import (
    ColumnFidelity,
    Fidelity,
    Matrix,
    PairFidelity,
    TableFigures,
    TableRole,
)
from fedsynth_release.evaluation.shapes import histogram, shape

Say = Callable[[str], None]

COMPARED: tuple[TableRole, ...] = ("synthetic", "hold-out", "independent")


def table_fidelity(
    train: pd.DataFrame,
    tables: Mapping[TableRole, pd.DataFrame],
    schema: Schema,
    say: Say = lambda _: None,
    detection_rows: int = 10_000,
) -> Fidelity:
    """Compare `tables` (synthetic, hold-out, independent) with the training rows."""
    say("fidelity: marginals")
    levels, features = Discretiser.fit(schema, train), Features.fit(schema, train)
    categorical = np.array([bool(named_levels(column)) for column in schema.modelled])
    codes, cells = levels.transform(train), features.cells(train)
    other = {role: levels.transform(tables[role]) for role in COMPARED}
    other_cells = {role: features.cells(tables[role]) for role in COMPARED}
    pairs = {role: pair_tvd(codes, other[role]) for role in COMPARED}
    say("fidelity: associations")
    real = associations(cells, categorical)
    found = {role: associations(other_cells[role], categorical) for role in COMPARED}
    shapes = {role: _shapes(cells, other_cells[role], schema) for role in COMPARED}
    figures = []
    for role in COMPARED:
        say(f"fidelity: detecting {role}")
        against = train if role == "hold-out" else tables[role]
        figures.append(
            TableFigures(
                role=role,
                **_tvds(codes, other[role], pairs[role]),
                column_shapes=float(np.mean(shapes[role])),
                association_difference=_off_diagonal(np.abs(found[role] - real)),
                detection_auc=detection_auc(
                    tables["hold-out"], against, schema, max_rows=detection_rows
                ),
            )
        )
    return Fidelity(
        figures=tuple(figures),
        columns=_columns(schema, cells, other_cells["synthetic"], pairs, shapes),
        pairs=PairFidelity(
            names=levels.names,
            tvd=_matrix(pairs["synthetic"]),
            tvd_floor=_matrix(pairs["independent"]),
            association_real=_matrix(real),
            association_synthetic=_matrix(found["synthetic"]),
        ),
    )


def _tvds(real: Codes, other: Codes, pairs: Floats) -> dict[str, float]:
    return {
        "tvd_1": float(np.diag(pairs).mean()),
        "tvd_2": _off_diagonal(pairs),
        "tvd_3": tvd(real, other, ways=3),
    }


def _off_diagonal(table: Floats) -> float:
    above = table[np.triu_indices(len(table), 1)]
    return float(above.mean()) if len(above) else 0.0


def _shapes(real: Floats, other: Floats, schema: Schema) -> list[float]:
    return [shape(real[:, j], other[:, j], column) for j, column in enumerate(schema.modelled)]


def _columns(
    schema: Schema,
    real: Floats,
    synthetic: Floats,
    pairs: Mapping[TableRole, Floats],
    shapes: Mapping[TableRole, list[float]],
) -> tuple[ColumnFidelity, ...]:
    return tuple(
        ColumnFidelity(
            name=column.name,
            kind=column.kind,
            tvd=float(pairs["synthetic"][j, j]),
            tvd_ceiling=float(pairs["hold-out"][j, j]),
            metric="TVComplement" if named_levels(column) else "KSComplement",
            shape=shapes["synthetic"][j],
            shape_ceiling=shapes["hold-out"][j],
            missing_real=float(np.isnan(real[:, j]).mean()),
            missing_synthetic=float(np.isnan(synthetic[:, j]).mean()),
            histogram=histogram(real[:, j], synthetic[:, j], column),
        )
        for j, column in enumerate(schema.modelled)
    )


def _matrix(table: Floats) -> Matrix:
    return tuple(tuple(row) for row in table.tolist())
