"""Checks one modelled column: how many cells the schema repairs, and whether it looks like a name."""

from dataclasses import dataclass

import pandas as pd

from fedsynth_common.encoding.column_fit import ColumnFit, misfit_problem, misfits
from fedsynth_common.encoding.encoder import RepairCounts
from fedsynth_common.identifiers.findings import Finding, Watch
from fedsynth_common.schema.columns import ModelledColumn
from fedsynth_common.schema.domain import domain_of

MANY_REPAIRS = 0.05  # worth a note


@dataclass(frozen=True, kw_only=True)
class ColumnReport:
    """The result for one column: its repairs, why it cannot be encoded, what it looks like."""

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

    def problems(self, rows: int) -> list[str]:
        """Why this column must not be served."""
        problems = [self.fault] if self.fault else []
        if problem := misfit_problem(self.column, self.repairs, rows, self.max_repaired):
            problems.append(problem)
        if not self.waived:
            problems += [
                f"column {self.column.name!r}: looks like {finding}; remove it, declare it an id, "
                "or have somebody look at it and add it to waived"
                for finding in self.findings
            ]
        return problems

    def notes(self, rows: int) -> list[str]:
        """What a person should consider."""
        name = repr(self.column.name)
        waived = [f"column {name}: waived, looks like {finding}" for finding in self.findings]
        notes = waived if self.waived else []
        if self.waived and not self.findings:
            notes.append(f"column {name}: waived, but nothing was found; the waiver can go")
        many = self.repairs.total > MANY_REPAIRS * rows
        if many and misfits(self.repairs) <= self.max_repaired * rows:
            share = self.repairs.total / rows
            notes.append(f"column {name}: {share:.0%} of its cells do not fit the schema")
        return notes


class ColumnCheck:
    """Looks at a column chunk by chunk."""

    def __init__(self, column: ModelledColumn, max_repaired: float) -> None:
        self._max_repaired = max_repaired
        self._watch, self._fit = Watch(column), ColumnFit(column)

    def add(self, series: pd.Series, repairs: RepairCounts | None, before: int) -> None:
        """Look at the next cells (see `ColumnFit.add`)."""
        self._watch.add(series)
        self._fit.add(series, repairs, before)

    def report(self, waived: bool) -> ColumnReport:
        """What was found."""
        return ColumnReport(
            column=self._fit.column,
            repairs=self._fit.repairs,
            fault=self._fit.fault,
            findings=self._watch.findings(),
            waived=waived,
            max_repaired=self._max_repaired,
        )
