"""What makes the synthetic table of a benchmark's row, and what it gives."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from fedsynth_common.errors import FedsynthError
from fedsynth_simulations.benchmarks.cells import Cell
from fedsynth_simulations.benchmarks.external import External
from fedsynth_simulations.benchmarks.tables import BenchmarkTable


@dataclass
class Made:
    """A synthetic table as long as the train rows, and what it took.

    `peak_megabytes` is set where another process did the work.
    """

    frame: pd.DataFrame
    epsilon_spent: float | None = None
    bytes_per_site: int | None = None
    peak_megabytes: float | None = None
    notes: tuple[str, ...] = ()


class NotRun(FedsynthError):  # noqa: N818 - an outcome, not a fault
    """The row does not apply to this cell; the text says why."""


Maker = Callable[[Cell, BenchmarkTable, External], Made]
"""Makes a cell's synthetic table; raises `NotRun` or another FedsynthError if it cannot."""
