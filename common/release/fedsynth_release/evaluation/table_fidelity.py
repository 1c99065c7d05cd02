"""Computes the fidelity section: how close a table is to the real rows, with its ceiling and floor.

The **ceiling** is the hold-out, that is, other real rows of the same population. They differ from
the training rows only by chance. No table can be expected to score better; one that does repeats
training rows. The **floor** is a table of independent columns. It is right in every single column
and has no relation between columns.

Marginals, shapes and associations are compared with the training rows. The detector compares with
the held-out rows (`detection`). For the ceiling, the detector tells training rows from held-out
rows.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.amounts import compared_amounts
from fedsynth_release.evaluation.association import associations
from fedsynth_release.evaluation.detection import detection_auc, giveaways
from fedsynth_release.evaluation.discretise import Discretiser, named_levels
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.fidelity import pair_tvd, tvd
from fedsynth_release.evaluation.joint_shares import joint_shares
from fedsynth_release.evaluation.number_errors import AMOUNTS, number_errors
from fedsynth_release.evaluation.result_parts import Matrix, TableRole
from fedsynth_release.evaluation.results import (
    ColumnFidelity,
    Fidelity,
    JointShares,
    PairFidelity,
    TableFigures,
)
from fedsynth_release.evaluation.shapes import histogram, shape

Say = Callable[[str], None]

COMPARED: tuple[TableRole, ...] = ("synthetic", "hold-out", "independent")


def table_fidelity(
    train: pd.DataFrame,
    tables: Mapping[TableRole, pd.DataFrame],
    schema: Schema,
    say: Say = lambda _: None,
    detection_rows: int | None = 10_000,
) -> Fidelity:
    """Compare the tables (synthetic, hold-out, independent) with the training rows.

    Without `detection_rows` no detector is trained, and its figures are None.
    """
    say("fidelity: marginals")
    levels, features = Discretiser.fit(schema, train), Features.fit(schema, train)
    categorical = np.array([bool(named_levels(column)) for column in schema.modelled])
    codes, cells = levels.transform(train), features.cells(train)
    codes_by_role = {role: levels.transform(tables[role]) for role in COMPARED}
    cells_by_role = {role: features.cells(tables[role]) for role in COMPARED}
    tvd_by_pair = {role: pair_tvd(codes, codes_by_role[role]) for role in COMPARED}
    say("fidelity: associations")
    real = associations(cells, categorical)
    association = {role: associations(cells_by_role[role], categorical) for role in COMPARED}
    shapes = {role: _shapes(cells, cells_by_role[role], schema) for role in COMPARED}
    figures = []
    for role in COMPARED:
        say(f"fidelity: detecting {role}")
        against = train if role == "hold-out" else tables[role]
        figures.append(
            TableFigures(
                role=role,
                **_tvds(codes, codes_by_role[role], tvd_by_pair[role]),
                column_shapes=float(np.mean(shapes[role])),
                association_difference=off_diagonal(np.abs(association[role] - real)),
                detection_auc=None
                if detection_rows is None
                else detection_auc(tables["hold-out"], against, schema, max_rows=detection_rows),
                numbers=number_errors(cells, cells_by_role[role], schema),
            )
        )
    return Fidelity(
        figures=tuple(figures),
        columns=column_results(
            schema, [*cells.T], [*cells_by_role["synthetic"].T], tvd_by_pair, shapes
        ),
        pairs=_pairs(
            tvd_by_pair,
            levels.names,
            (real, association["synthetic"]),
            joint_shares(levels, codes, codes_by_role["synthetic"], real),
        ),
        giveaways=()
        if detection_rows is None
        else giveaways(tables["hold-out"], tables["synthetic"], schema),
    )


def _pairs(
    tvd_by_pair: Mapping[TableRole, Float64Array],
    names: tuple[str, ...],
    association: tuple[Float64Array, Float64Array],
    joint: tuple[JointShares, ...],
) -> PairFidelity:
    """`association` is that of the real and of the synthetic rows."""
    return PairFidelity(
        names=names,
        tvd=matrix(tvd_by_pair["synthetic"]),
        tvd_floor=matrix(tvd_by_pair["independent"]),
        association_real=matrix(association[0]),
        association_synthetic=matrix(association[1]),
        joint=joint,
    )


def _tvds(real: Int64Array, other: Int64Array, pairs: Float64Array) -> dict[str, float]:
    return {
        "tvd_1": float(np.diag(pairs).mean()),
        "tvd_2": off_diagonal(pairs),
        "tvd_3": tvd(real, other, ways=3),
    }


def off_diagonal(table: Float64Array) -> float:
    """The mean over all pairs of different columns."""
    above = table[np.triu_indices(len(table), 1)]
    return float(above.mean()) if len(above) else 0.0


def _shapes(real: Float64Array, other: Float64Array, schema: Schema) -> list[float]:
    return [shape(real[:, j], other[:, j], column) for j, column in enumerate(schema.modelled)]


def column_results(
    schema: Schema,
    real: Sequence[Float64Array],
    synthetic: Sequence[Float64Array],
    tvd_by_pair: Mapping[TableRole, Float64Array],
    shapes: Mapping[TableRole, list[float]],
) -> tuple[ColumnFidelity, ...]:
    """The fidelity of every column, from its cells in both tables."""
    return tuple(
        ColumnFidelity(
            name=column.name,
            kind=column.kind,
            tvd=float(tvd_by_pair["synthetic"][j, j]),
            tvd_ceiling=float(tvd_by_pair["hold-out"][j, j]),
            metric="TVComplement" if named_levels(column) else "KSComplement",
            shape=shapes["synthetic"][j],
            shape_ceiling=shapes["hold-out"][j],
            missing_real=float(np.isnan(real[j]).mean()),
            missing_synthetic=float(np.isnan(synthetic[j]).mean()),
            histogram=histogram(real[j], synthetic[j], column),
            amounts=compared_amounts(real[j], synthetic[j]) if column.kind in AMOUNTS else None,
        )
        for j, column in enumerate(schema.modelled)
    )


def matrix(table: Float64Array) -> Matrix:
    """A square table as a result holds it."""
    return tuple(tuple(row) for row in table.tolist())
