"""The tables of histories: which persons are held out, the schema, and the sites.

- `RAND` is the demonstration table: 5,912 persons with up to five years at four hospitals. Its schema
  is the reviewed one.
- `diabetes130` has the hospital encounters of 71,518 patients (`patient_nbr`), in the order of their
  numbers. Those columns of it are used that vary: not those of drugs which hardly anybody takes.
- `credit` is `credit_default_taiwan` with a row a month: 30,000 customers with six months each.

A fifth of the persons is the test set (`holdout.person_split`). The schemas of the last two are
drafted from the events of the other persons, which a real study must not do; sites are made up of
persons at random.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import IdColumn, Schema
from fedsynth_common.tables import read_table
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.drafting.histories import with_histories
from fedsynth_simulations.benchmarks.tables import find
from fedsynth_simulations.demo_data import HOSPITAL, PERSON, demo_histories, demo_table
from fedsynth_simulations.holdout import person_split

SITES = 5
_CASE, _VISIT = "encounter_id", "visit"
_PATIENT, _CUSTOMER, _MONTH = "patient_nbr", "customer", "month"
_DIABETES = (
    *("race", "gender", "age", "admission_type_id", "discharge_disposition_id"),
    *("admission_source_id", "time_in_hospital", "num_lab_procedures", "num_procedures"),
    *("num_medications", "number_outpatient", "number_emergency", "number_inpatient"),
    *("number_diagnoses", "max_glu_serum", "A1Cresult", "metformin", "insulin", "change"),
    *("diabetesMed", "readmitted"),
)
_STATIC = ("race", "gender")
"""Columns of diabetes130 that belong to the patient; a few patients have several entries."""


@dataclass(frozen=True)
class HistoryTable:
    """Persons to learn from, persons to test on, and what a study of them declares.

    Attributes:
        name: how the table is called in results.
        train, test: events, in the user's columns.
        schema: with histories.
        sites: for each event of `train` its real site, or None if sites are made up.
        persons_per_site: the size that the plan declares.
        level: a category of the target to predict within an event, if that is asked of the table.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    schema: Schema
    sites: pd.Series | None
    persons_per_site: int
    level: str | None = None

    def by_site(self, seed: int) -> dict[str, pd.DataFrame]:
        """The events of each site; made-up sites get persons at random."""
        if self.sites is not None:
            return {
                str(site): rows.reset_index(drop=True)
                for site, rows in self.train.groupby(self.sites.to_numpy())
            }
        person, names = pd.factorize(self.train[self.schema.person_key or ""])
        owner = np.random.default_rng(seed).integers(0, SITES, len(names))[person]
        return {
            f"site-{k + 1}": self.train[owner == k].reset_index(drop=True) for k in range(SITES)
        }


def load(name: str, data: Path | None) -> HistoryTable:
    """Read a table.

    Raises:
        InputError: the name is unknown, or its file is missing.
    """
    if name not in TABLES:
        raise InputError(f"{name}: expected one of {', '.join(TABLES)}")
    return TABLES[name](data)


def _rand(data: Path | None) -> HistoryTable:
    train, test = person_split(demo_table(), PERSON)
    sites = train.pop(HOSPITAL)
    return HistoryTable(
        "RAND", train, test.drop(columns=HOSPITAL), demo_histories(), sites, persons_per_site=1_000
    )


def _diabetes(data: Path | None) -> HistoryTable:
    raw = read_table(find("diabetes130", data, None, False).path)
    case = raw[_CASE].astype("int64")
    frame = raw[[_PATIENT, *_DIABETES]].assign(**{_VISIT: case.groupby(raw[_PATIENT]).rank()})
    frame[_VISIT] = frame[_VISIT].astype("int64")
    train, test = person_split(frame, _PATIENT)
    schema = _drafted(train, "diabetes130", _PATIENT, _VISIT, "readmitted", _STATIC, 5)
    return HistoryTable("diabetes130", train, test, schema, None, 10_000, level="<30")


def _credit(data: Path | None) -> HistoryTable:
    raw = read_table(find("credit_default_taiwan", data, None, False).path)
    train, test = person_split(by_month(raw), _CUSTOMER)
    schema = _drafted(train, "credit", _CUSTOMER, _MONTH, "PAY", (), 6)
    return HistoryTable("credit", train, test, schema, None, 5_000)


def by_month(raw: pd.DataFrame) -> pd.DataFrame:
    """The table of customers with a row a month, from April (1) to September (6)."""
    static = ["LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE", "default payment next month"]
    months = []
    for month in range(1, 7):
        back = 7 - month  # column 1 is of September; PAY_0 is the first of its kind
        frame = raw[static].copy()
        frame[_CUSTOMER], frame[_MONTH] = np.arange(len(raw)), month
        frame["PAY"] = raw[f"PAY_{back if back > 1 else 0}"]
        for kind in ("BILL_AMT", "PAY_AMT"):
            frame[kind] = raw[f"{kind}{back}"]
        months.append(frame)
    return pd.concat(months, ignore_index=True)


def _drafted(
    train: pd.DataFrame,
    name: str,
    key: str,
    order: str,
    target: str,
    static: tuple[str, ...],
    most: int,
) -> Schema:
    """A schema of histories drafted from the training persons, with a cap and static columns."""
    flat = draft_schema(train.drop(columns=key), name, target)
    keyed = Schema(name=name, columns=(IdColumn(name=key), *flat.columns), target=target)
    drafted = with_histories(keyed, train, key, order)
    histories = drafted.histories
    assert histories is not None  # noqa: S101 - it was drafted as histories
    events = tuple(column for column in histories.events if column not in static)
    declared = histories.model_copy(update={"events": events, "max_events": most})
    fields = {field: getattr(drafted, field) for field in ("name", "columns", "target")}
    return Schema(**fields, person_key=key, histories=declared)


TABLES: dict[str, Callable[[Path | None], HistoryTable]] = {
    "RAND": _rand,
    "diabetes130": _diabetes,
    "credit": _credit,
}
