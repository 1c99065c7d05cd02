"""Benchmark cells and the results file.

A cell is one row of the benchmark on one table, at one ε and with one seed. Cells are computed, and
after a restart skipped, one by one. Two cells are equal if everything that can change their figures
is equal. What cannot change them (such as the number of sites of a row that uses pooled records) is
left out of a cell, so that the cell is computed only once.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fedsynth_common.errors import InputError
from fedsynth_simulations.closed_file import write_closed

FORMAT = "fedsynth-benchmark-1"

FIGURES = (
    "tvd_1",
    "tvd_2",
    "tvd_3",
    "mean_auc",
    "target_auc_boosting",
    "target_auc_logistic",
    "detection_auc",
    "number_mean",
    "number_sd",
    "number_quantiles",
    "number_p99",
    "number_zeros",
    "number_missing",
    "number_pearson",
    "number_spearman",
    "epsilon_spent",
    "seconds",
    "peak_megabytes",
    "bytes_per_site",
)
"""The figures of a cell, in the order in which they are printed."""


@dataclass(frozen=True)
class Dependence:
    """Which parts of a cell a row depends on.

    Attributes:
        private: whether it depends on ε and δ.
        federated: whether it depends on the sites and the partition.
        trained: whether it depends on the training settings of fedsynth.
        seeded: whether it depends on the seed.
    """

    private: bool = True
    federated: bool = True
    trained: bool = True
    seeded: bool = True


ROWS = {
    "real": Dependence(private=False, federated=False, trained=False, seeded=False),
    "independent": Dependence(private=False, federated=False, trained=False),
    "nb": Dependence(private=False, federated=False, trained=False),
    "nb-dp": Dependence(trained=False),
    "site-alone": Dependence(),
    "alone-pooled": Dependence(),
    "central": Dependence(federated=False),
    "marginals": Dependence(),
    "secure-sum": Dependence(),
    "site-marginals": Dependence(),
    "summed-gan": Dependence(),
    "summed-both": Dependence(),
    "summed-control": Dependence(),
    "gan": Dependence(),
    "both": Dependence(),
    "three-way": Dependence(),
    "summed-three-way": Dependence(),
    "listen": Dependence(),
    "control": Dependence(),
    "mst": Dependence(federated=False, trained=False),
    "aim": Dependence(federated=False, trained=False),
    "argn-dp": Dependence(federated=False, trained=False),
    "ctgan": Dependence(private=False, federated=False, trained=False),
}
"""The rows in the order in which they are printed; `row_makers.py` says what they are."""


@dataclass(frozen=True)
class Cell:
    """What is to be computed.

    Attributes:
        table: the name of the table, with the sites and the target if they are not the usual ones.
        row: one of `ROWS`.
        seed: decides partition, noise, training and sampling.
        data: digest of the table's file, so that figures of another version are not reused.
        epsilon: the ε of the budget; None for rows without one, as are the fields below.
        delta: the δ of the budget.
        sites: the number of simulated sites.
        partition: how records are dealt out to the sites.
        quick: whether to train for few steps only.
    """

    table: str
    row: str
    seed: int
    data: str = ""
    epsilon: float | None = None
    delta: float | None = None
    sites: int | None = None
    partition: str | None = None
    quick: bool = False

    @property
    def label(self) -> str:
        """One line for progress messages."""
        parts = [self.table, self.row]
        if self.epsilon is not None:
            parts.append(f"ε={self.epsilon:g}")
        if self.partition is not None:
            parts.append(self.partition + (f"/{self.sites}" if self.sites else ""))
        return " ".join([*parts, f"seed {self.seed}"])


@dataclass
class Outcome:
    """The result of a cell: its figures, or the reason why there are none.

    Attributes:
        figures: the figures by name, see `FIGURES`; None for a figure that does not apply.
        not_run: why the cell has no figures; empty if it ran.
        limit: the time limit that stopped it, in seconds; 0 if none did.
        notes: the notes of the study.
    """

    figures: dict[str, float | None] = field(default_factory=dict)
    not_run: str = ""
    limit: float = 0.0
    notes: list[str] = field(default_factory=list)


class Results:
    """The results file. It is replaced after every cell, so a crash loses only running cells."""

    def __init__(self, path: Path | None, fresh: bool = False) -> None:
        self._path = path
        self._done: dict[Cell, Outcome] = {}
        if path is not None and path.exists() and not fresh:
            self._done = _read(path)

    def __getitem__(self, cell: Cell) -> Outcome | None:
        return self._done.get(cell)

    def __iter__(self) -> Any:
        return iter(self._done.items())

    def finished(self, cell: Cell, limit: float) -> bool:
        """Whether `cell` need not be run (again) with this time limit."""
        outcome = self._done.get(cell)
        if outcome is None:
            return False
        return not outcome.not_run or (outcome.limit > 0 and outcome.limit >= limit)

    def add(self, cell: Cell, outcome: Outcome) -> None:
        """Add the result of a cell and write the file.

        Raises:
            InputError: the file cannot be written.
        """
        self._done[cell] = outcome
        if self._path is None:
            return
        cells = [{**asdict(c), **asdict(o)} for c, o in self._done.items()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_closed(self._path, {"format": FORMAT, "cells": cells}, indent=1)
        except OSError as error:
            raise InputError(f"--out {self._path}: cannot be written ({error.strerror})") from None


def _read(path: Path) -> dict[Cell, Outcome]:
    mine, theirs = set(Cell.__dataclass_fields__), set(Outcome.__dataclass_fields__)
    try:
        stored = json.loads(path.read_text())
        if stored["format"] != FORMAT:
            raise ValueError
        return {
            Cell(**{name: entry[name] for name in mine}): Outcome(
                **{name: entry[name] for name in theirs}
            )
            for entry in stored["cells"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a results file of this benchmark") from None
