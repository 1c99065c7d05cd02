"""What follows what in histories: every figure of a table beside its ceiling and its two floors."""

from collections.abc import Callable, Mapping

import numpy as np

from fedsynth_release.evaluation.histories.distances import Distances, HistoryCodes
from fedsynth_release.evaluation.histories.model_rows import HistoryRows, event_columns
from fedsynth_release.evaluation.histories.variance import memory, within_shares
from fedsynth_release.evaluation.history_results import ColumnOverTime, HistoryFidelity
from fedsynth_release.evaluation.result_parts import TableRole

ROLES: tuple[TableRole, ...] = ("synthetic", "hold-out", "dealt", "independent")


def history_fidelity(
    train: HistoryRows,
    tables: Mapping[TableRole, HistoryRows],
    say: Callable[[str], None] = lambda _: None,
) -> HistoryFidelity:
    """Compare what follows what, over the tables synthetic, hold-out, dealt and independent."""
    say("fidelity: histories")
    distances = Distances.fit(train)
    codes = {role: distances.codes(tables[role]) for role in ROLES}
    return HistoryFidelity(
        persons_train=train.persons,
        persons_holdout=tables["hold-out"].persons,
        persons_synthetic=tables["synthetic"].persons,
        figures=tuple(distances.figures(role, codes[role]) for role in ROLES),
        columns=_over_time(train, tables["synthetic"], distances, codes),
    )


def _over_time(
    train: HistoryRows,
    synthetic: HistoryRows,
    distances: Distances,
    codes: Mapping[TableRole, HistoryCodes],
) -> tuple[ColumnOverTime, ...]:
    tvds = {role: distances.itself(codes[role], 1) for role in ROLES}
    if not tvds["synthetic"]:
        return ()
    shares = [
        [None if np.isnan(share) else float(share) for share in within_shares(rows)]
        for rows in (train, synthetic)
    ]
    memories = memory(train), memory(synthetic)
    return tuple(
        ColumnOverTime(
            name=column.name,
            tvd=tvds["synthetic"][j],
            tvd_ceiling=tvds["hold-out"][j],
            tvd_floor=tvds["dealt"][j],
            real=memories[0][j],
            synthetic=memories[1][j],
            within_real=shares[0][j],
            within_synthetic=shares[1][j],
        )
        for j, column in enumerate(event_columns(train.schema))
    )
