"""Says how well a column's cells fit its declaration: what the encoding repairs and what it refuses.

The cells come in chunks, and the counts add up. A fault is told once, with the first record that has
it. That record is found by halving the chunk and encoding smaller and smaller parts of it. The result
is private and for the site's own people; still, no message contains a cell.
"""

from dataclasses import asdict

import pandas as pd

from fedsynth_common.encoding.encoder import RepairCounts, encode_column
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.schema.columns import ModelledColumn


def misfits(repairs: RepairCounts) -> int:
    """Cells that say something else after the repair: all but those with fewer digits now."""
    return repairs.total - repairs.rounded


def misfit_problem(
    column: ModelledColumn, repairs: RepairCounts, rows: int, max_repaired: float = MAX_REPAIRED
) -> str:
    """Why a column's cells do not fit its declaration; empty if enough of them do."""
    if misfits(repairs) <= max_repaired * rows:
        return ""
    share = misfits(repairs) / rows
    return (
        f"column {column.name!r}: {share:.0%} of its cells do not fit the schema, more than "
        f"max_repaired ({max_repaired:.0%}); correct the export, agree on another schema, or allow it "
        "in the configuration (max_repaired in site.toml, --max-repaired)"
    )


class ColumnFit:
    """What the declaration does to one column.

    Attributes:
        repairs: cells changed so far.
        fault: why the column cannot be encoded; empty if it can.
    """

    def __init__(self, column: ModelledColumn) -> None:
        self.column = column
        self.repairs = RepairCounts()
        self.fault = ""

    def add(self, series: pd.Series, repairs: RepairCounts | None = None, before: int = 0) -> None:
        """Look at the next cells.

        Args:
            series: The cells.
            repairs: What encoding them changed, if somebody has encoded them already.
            before: Number of records before them.
        """
        if repairs is None:
            try:
                _, repairs = encode_column(series, self.column)
            except InputError as error:
                if not self.fault:
                    first = before + self._first_fault(series) + 1
                    self.fault = f"{error} (first in record {first})"
                return
        sums = {k: n + asdict(repairs)[k] for k, n in asdict(self.repairs).items()}
        self.repairs = RepairCounts(**sums)

    def problem(self, rows: int, max_repaired: float) -> str:
        """Why the column does not fit its declaration; empty if it does.

        Args:
            rows: Number of records that were looked at.
            max_repaired: The largest share of cells that may not fit.
        """
        return self.fault or misfit_problem(self.column, self.repairs, rows, max_repaired)

    def _first_fault(self, series: pd.Series) -> int:
        """The place of the first cell that cannot be encoded."""
        good, bad = 0, len(series)  # the first `good` cells are encoded, the first `bad` are not
        while bad - good > 1:
            half = (good + bad) // 2
            if self._encodes(series.iloc[good:half]):
                good = half
            else:
                bad = half
        return good

    def _encodes(self, series: pd.Series) -> bool:
        try:
            encode_column(series, self.column)
        except InputError:
            return False
        return True
