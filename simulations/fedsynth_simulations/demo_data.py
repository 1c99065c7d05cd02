"""The demonstration table: the RAND Health Insurance Experiment, 1974-1982, split over hospitals.

This is a real table in the public domain. It comes with the `statsmodels` package (Cameron and
Trivedi 2005), so a first study needs no download. It has 20,190 person-years of 5,912 people. Their
insurance plan was drawn by lot, and the table records which medical care they used. The columns are
renamed and coded so that people can read them, and no value is made up. Values that the authors of
the file had imputed (fractions in columns of whole numbers) are *missing* here.

The four hospitals stand for the places of the experiment, which differ in size, income and use of
care: Dayton (Ohio), Seattle, Massachusetts (Fitchburg and Franklin County) and South Carolina
(Charleston and Georgetown County). The file numbers the places 1-6 without naming them; the names
follow the experiment's own order. All rows of a person are in one hospital, so the ε of a person is
that of one hospital and not a sum.

`schemas/randhie.json` is the reviewed schema. Its bounds come from the design of the experiment and
from the meaning of the variables, and not from the rows. `demo_histories` is the schema of persons
with up to five years each, which protects **one person**. The file by itself (`demo_schema`) has no
person key, so it protects one person-year.
"""

from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.extras import how_to_install
from fedsynth_common.schema import Histories, Schema
from fedsynth_release.table_writer import write_table
from fedsynth_simulations.partition import partition

PERSON, HOSPITAL = "person_id", "hospital"
_PLACES = {
    1: "dayton",
    2: "seattle",
    3: "massachusetts",
    4: "massachusetts",
    5: "south-carolina",
    6: "south-carolina",
}
HOSPITALS = tuple(sorted(set(_PLACES.values())))


def demo_schema() -> Schema:
    """The reviewed public schema of `demo_table` without its `hospital` column."""
    text = (resources.files("fedsynth_simulations") / "schemas" / "randhie.json").read_text("utf-8")
    return Schema.from_json(text, source="schemas/randhie.json")


def demo_histories() -> Schema:
    """The same schema for persons with all their years: the privacy unit is the person.

    Columns of the years are those that may change from year to year; a person takes part for five
    years at most. Which columns these are follows from what the experiment recorded at enrolment.
    """
    flat = demo_schema()
    return Schema(
        name=flat.name,
        columns=flat.columns,
        target=flat.target,
        person_key=PERSON,
        histories=Histories(
            order="study_year",
            max_events=5,
            events=(
                "study_year",
                "age",
                "family_size",
                "doctor_visits",
                "outpatient_dollars",
                "drug_dollars",
                "admitted",
            ),
            largest_gap=4,
            grows=("age",),
        ),
    )


def demo_hospitals() -> dict[str, pd.DataFrame]:
    """The rows of each hospital, in the file's order; the columns are those of `demo_schema`."""
    table = demo_table()
    rng = np.random.default_rng(0)  # not used, because the hospital column decides
    return partition(table, len(HOSPITALS), "iid", rng, site_column="hospital")


def write_demo(folder: Path | str) -> list[Path]:
    """Write `<hospital>.csv` for each hospital and `schema.json` into `folder`; return the tables.

    Raises:
        InputError: the folder cannot be made or written, or `statsmodels` is not installed.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        demo_schema().save(folder / "schema.json")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    paths = []
    for name, rows in demo_hospitals().items():
        paths.append(folder / f"{name}.csv")
        write_table(rows, paths[-1])
    return paths


def demo_table() -> pd.DataFrame:
    """The pooled table: the columns of `demo_schema` and `hospital`, 20,190 rows.

    Raises:
        InputError: `statsmodels` is not installed, or ships another file.
    """
    raw = _source()
    columns = {"hospital": raw["site"].map(_PLACES), **_person(raw), **_plan(raw), **_use(raw)}
    return pd.DataFrame(columns)


def _source() -> pd.DataFrame:
    try:
        file = resources.files("statsmodels") / "datasets" / "randhie" / "src" / "randhie.csv"
        with file.open("rb") as stream:
            raw = pd.read_csv(stream)
    except ModuleNotFoundError:
        raise InputError(
            f"the demonstration table comes with statsmodels: {how_to_install('demo')}"
        ) from None
    except OSError:
        raise InputError(
            "the installed statsmodels has no randhie/src/randhie.csv; use version 0.14.6 or later"
        ) from None
    if len(raw) != 20_190 or raw["zper"].nunique() != 5_912:
        raise InputError("the installed statsmodels ships another RAND table than this demo knows")
    return raw


def _person(raw: pd.DataFrame) -> dict[str, object]:
    health = np.select(
        [raw["hlthp"] == 1, raw["hlthf"] == 1, raw["hlthg"] == 1],
        ["poor", "fair", "good"],
        default="excellent",
    )
    return {
        "person_id": raw["zper"].astype("int64").astype("str"),
        "study_year": _whole(raw["year"]),
        "age": _whole(np.floor(raw["xage"])),
        "sex": np.where(raw["female"] == 1, "female", "male"),
        "education_years": _whole(raw["educdec"]),
        "family_size": _whole(raw["num"]),
        "family_income": _whole(raw["income"].round()),
        "self_rated_health": health,
        "mental_health_index": raw["mhi"].round(1),
        "general_health_index": raw["ghindx"].round(1),
        "chronic_disease_index": raw["disea"].round(1),
        "physical_limitation": _yes_no(raw["physlm"]),
    }


def _plan(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "coinsurance": raw["coins"].astype("int64").astype("str") + "%",
        "individual_deductible": _yes_no(raw["idp"]),
        "spending_cap": _whole(raw["mdeoff"].round()),
    }


def _use(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "doctor_visits": _whole(raw["mdvis"]),
        "outpatient_dollars": raw["outpdol"].round(2),
        "drug_dollars": raw["drugdol"].round(2),
        "admitted": np.where(raw["totadm"] > 0, "yes", "no"),
    }


def _whole(values: pd.Series) -> pd.Series:
    """Whole numbers; a fraction was imputed by the authors of the file and becomes missing."""
    return values.where(values == values.round()).astype("Int64")


def _yes_no(values: pd.Series) -> npt.NDArray[np.object_]:
    """Yes or no; an imputed share becomes missing."""
    answers = np.array([None, "no", "yes"], dtype=object)
    return np.take(answers, np.select([values == 0, values == 1], [1, 2], default=0))
