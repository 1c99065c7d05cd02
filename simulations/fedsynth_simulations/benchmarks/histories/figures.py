"""The figures of one table of histories, and the rows of the benchmark that they are measured of."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fedsynth_common.protocol.plan import Trust
from fedsynth_release.evaluation.discretise import named_levels
from fedsynth_release.evaluation.histories.model_rows import HistoryRows
from fedsynth_release.evaluation.histories.references import dealt
from fedsynth_release.evaluation.histories.scorecard import HistoryJudge
from fedsynth_release.evaluation.targets import Target
from fedsynth_release.evaluation.utility import tstr
from fedsynth_simulations.benchmarks.external import External
from fedsynth_simulations.benchmarks.histories.par import EPOCHS, synthesise_par
from fedsynth_simulations.benchmarks.histories.tables import HistoryTable
from fedsynth_simulations.simulate import Simulation, simulate

Figures = dict[str, float | None]


@dataclass(frozen=True)
class HistoryCell:
    """What one line of the results file is about; ε is None for rows without privacy."""

    table: str
    row: str
    epsilon: float | None
    delta: float | None
    seed: int

    @property
    def label(self) -> str:
        """The cell in words."""
        epsilon = "" if self.epsilon is None else f" ε={self.epsilon:g}"
        return f"{self.table} {self.row}{epsilon} seed {self.seed}"


class Judge:
    """Measures tables beside the training persons and the test persons of one benchmark table."""

    def __init__(self, table: HistoryTable) -> None:
        self.table = table
        self.judge = HistoryJudge.of(table.train, table.test, table.schema)

    def figures(self, frame: pd.DataFrame | None) -> Figures:
        """All figures; None stands for the real persons (`HistoryJudge.figures`)."""
        schema = self.table.schema
        learned = self.judge.real if frame is None else HistoryRows.of(frame, schema)
        return {**self.judge.figures(frame), "event_auc": self._within_an_event(learned)}

    def _within_an_event(self, learned: HistoryRows) -> float | None:
        """AUC of one category of the target, from the other columns of the event and the person."""
        level, schema = self.table.level, learned.compared
        if level is None or schema.target is None:
            return None
        column = next(column for column in schema.modelled if column.name == schema.target)
        question = Target(column, level=named_levels(column).index(level))
        # the number of events in the end says whether there is another one: it is not an input
        left = tuple(c for c in schema.columns if c.name in self.table.train.columns)
        usual = schema.model_copy(update={"columns": left})
        return tstr(learned.frame, self.judge.test.frame, usual, question)


@dataclass(frozen=True)
class Options:
    """What making a table depends on beside its cell."""

    quick: bool = False
    external: External = field(default_factory=External)
    par_epochs: int = EPOCHS


Made = tuple[pd.DataFrame | None, Figures]


def make(cell: HistoryCell, table: HistoryTable, options: Options) -> Made:
    """The table of a row, and what making it gave."""
    return ROWS[cell.row](cell, table, options)


def _real(cell: HistoryCell, table: HistoryTable, options: Options) -> Made:
    return None, {}


def _dealt(cell: HistoryCell, table: HistoryTable, options: Options) -> Made:
    return dealt(table.train, table.schema, np.random.default_rng(cell.seed)), {}


def _study(
    cell: HistoryCell, table: HistoryTable, options: Options, trust: Trust = "local"
) -> Made:
    """Histories of a federated study over the table's sites."""
    usual = Simulation()
    settings = usual.settings.model_copy(update={"seed": cell.seed})
    simulation = Simulation(
        epsilon=cell.epsilon or usual.epsilon,
        delta=cell.delta or usual.delta,
        settings=settings.quick() if options.quick else settings,
        seed=cell.seed,
        records_per_site=table.persons_per_site,
        trust=trust,
    )
    start = time.process_time()
    with tempfile.TemporaryDirectory(prefix="fedsynth-benchmark-") as folder:
        result = simulate(table.by_site(cell.seed), table.schema, simulation, Path(folder))
    seconds = time.process_time() - start
    spent = result.generator.statement.epsilon_if_people_are_at_one_site_only
    persons = table.train[table.schema.person_key or ""].nunique()
    frame = result.generator.sample(persons, cell.seed)
    return frame, {"seconds": seconds, "epsilon_spent": spent}


def _secure(cell: HistoryCell, table: HistoryTable, options: Options) -> Made:
    return _study(cell, table, options, "secure-sum")


def _par(cell: HistoryCell, table: HistoryTable, options: Options) -> Made:
    start = time.monotonic()
    frame = synthesise_par(
        table.train, table.schema, cell.seed, options.external, options.par_epochs
    )
    return frame, {"seconds": time.monotonic() - start, "epochs": float(options.par_epochs)}


Maker = Callable[[HistoryCell, HistoryTable, Options], Made]
ROWS: dict[str, Maker] = {
    "real": _real,
    "dealt": _dealt,
    "local": _study,
    "secure-sum": _secure,
    "par": _par,
}
PRIVATE = ("local", "secure-sum")
"""Rows that have an ε and seeds; `par` has seeds only, and the others neither."""
SEEDED = (*PRIVATE, "par")
