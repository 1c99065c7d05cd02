"""The table of `schema check` and `site check`: what the schema does to the cells of each column."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from fedsynth_common.encoding.encoder import RepairCounts
from fedsynth_common.schema.columns import ModelledColumn
from fedsynth_common.schema.domain import domain_of


def repairs_table() -> Table:
    """The empty table."""
    table = Table(title="Repairs per column (private: for this site only)", box=SIMPLE_HEAD)
    table.add_column("column", overflow="fold")
    for heading in ("kind", "cells", "clamped", "rounded", "unknown", "not a\nnumber"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def add_column(table: Table, column: ModelledColumn, repairs: RepairCounts, fault: str) -> None:
    """One line: counts, or that the column was refused."""
    counts = (repairs.clamped, repairs.rounded, repairs.unknown, repairs.unparsable)
    cells = ("refused",) * 4 if fault else tuple(str(count or "-") for count in counts)
    table.add_row(column.name, column.kind, str(domain_of(column).width), *cells)
