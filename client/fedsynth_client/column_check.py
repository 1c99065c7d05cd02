"""One modelled column before it is served: what the schema does to its cells, what it looks like.

Fed in chunks; counts add up. A fault is told once, with the first record that has it, found by
halving the chunk: the encoding is asked again for less and less of it.
"""

from dataclasses import asdict, dataclass

import pandas as pd

from fedsynth_client.identifiers import Finding, Watch
from fedsynth_common.encoding.domain import domain_of
from fedsynth_common.encoding.encoder import RepairCounts, encode_column
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import ModelledColumn

MANY_REPAIRS = 0.05  # worth a note


@dataclass(frozen=True, kw_only=True)
class ColumnReport:
    """One modelled column: its repairs, why it cannot be encoded, what it looks like."""

    column: ModelledColumn
    repairs: RepairCounts
    fault: str
    findings: tuple[Finding, ...]
    waived: bool
    max_repaired: float

    @property
    def width(self) -> int:
        """Number of cells of its fine domain."""
        return domain_of(self.column).width

    @property
    def _misfits(self) -> int:
        """Cells that say something else after the repair: all but those with fewer digits now."""
        return self.repairs.total - self.repairs.rounded

    def problems(self, rows: int) -> list[str]:
        """Why this column must not be served."""
        found = [self.fault] if self.fault else []
        if self._misfits > self.max_repaired * rows:
            found.append(
                f"column {self.column.name!r}: {self._misfits / rows:.0%} of its cells do not fit the "
                f"schema, more than max_repaired ({self.max_repaired:.0%}); correct the export, agree "
                "on another schema, or allow it in the configuration"
            )
        if not self.waived:
            found += [
                f"column {self.column.name!r}: looks like {finding}; remove it, declare it an id, "
                "or have somebody look at it and add it to waived"
                for finding in self.findings
            ]
        return found

    def notes(self, rows: int) -> list[str]:
        """What a person should consider."""
        name = repr(self.column.name)
        found = [f"column {name}: waived, looks like {finding}" for finding in self.findings]
        notes = found if self.waived else []
        if self.waived and not self.findings:
            notes.append(f"column {name}: waived, but nothing was found; the waiver can go")
        if self.repairs.total > MANY_REPAIRS * rows and self._misfits <= self.max_repaired * rows:
            share = self.repairs.total / rows
            notes.append(f"column {name}: {share:.0%} of its cells do not fit the schema")
        return notes


class ColumnCheck:
    """Looks at a column chunk by chunk."""

    def __init__(self, column: ModelledColumn, max_repaired: float) -> None:
        self._column, self._max_repaired = column, max_repaired
        self._watch = Watch(column)
        self._repairs = RepairCounts()
        self._fault = ""

    def add(self, series: pd.Series, repairs: RepairCounts | None, before: int) -> None:
        """Look at the next cells.

        Args:
            series: The cells.
            repairs: What encoding them changed, if they were encoded with the others.
            before: Number of records before them.
        """
        self._watch.add(series)
        if repairs is None:
            try:
                _, repairs = encode_column(series, self._column)
            except InputError as error:
                if not self._fault:
                    first = before + self._first_fault(series) + 1
                    self._fault = f"{error} (first in record {first})"
                return
        sums = {k: n + asdict(repairs)[k] for k, n in asdict(self._repairs).items()}
        self._repairs = RepairCounts(**sums)

    def report(self, waived: bool) -> ColumnReport:
        """What was found."""
        return ColumnReport(
            column=self._column,
            repairs=self._repairs,
            fault=self._fault,
            findings=self._watch.findings(),
            waived=waived,
            max_repaired=self._max_repaired,
        )

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
            encode_column(series, self._column)
        except InputError:
            return False
        return True
