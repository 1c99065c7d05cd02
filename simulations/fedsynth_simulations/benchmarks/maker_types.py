"""The types of the functions that make the synthetic table of a benchmark row."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from fedsynth_common.errors import FedsynthError
from fedsynth_simulations.benchmarks.cell_results import Cell
from fedsynth_simulations.benchmarks.external import External
from fedsynth_simulations.benchmarks.tables import BenchmarkTable


@dataclass
class Made:
    """A synthetic table with as many rows as the train rows, and what making it took.

    `peak_megabytes` is set if another process did the work.
    """

    frame: pd.DataFrame
    epsilon_spent: float | None = None
    bytes_per_site: int | None = None
    peak_megabytes: float | None = None
    notes: tuple[str, ...] = ()


class NotRun(FedsynthError):  # noqa: N818 - an outcome, not a fault
    """The row does not apply to this cell; the text says why."""


Maker = Callable[[Cell, BenchmarkTable, External], Made]
"""A function that makes the table of a cell, or raises `NotRun` or another FedsynthError."""
