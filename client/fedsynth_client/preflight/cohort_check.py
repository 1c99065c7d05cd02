"""Whether the cohorts that were charged are still what they were.

The messages are for the steward. They name cohorts and no record.
"""

from collections.abc import Sequence

from fedsynth_client.budget.cohort_seals import Seal
from fedsynth_client.records.cohort_rows import CohortRows, columns_digest
from fedsynth_common.schema import Schema

_REMEDY = (
    "give back the cohort as it was; or, once you know that its records were erased or corrected and "
    "that none of them is in another cohort now, seal it anew with: fedsynth site cohorts --accept "
)


def cohort_problems(seals: Sequence[Seal], schema: Schema, cohorts: CohortRows | None) -> list[str]:
    """Why a table may not be served after its cohorts were sealed: a line for each cohort."""
    return list(dict.fromkeys(filter(None, (_problem(seal, schema, cohorts) for seal in seals))))


def cohort_notes(cohorts: CohortRows) -> list[str]:
    """What a steward should know of a table that is cut into cohorts."""
    column, most = cohorts.cut.column, cohorts.cut.per_person
    notes = []
    if cohorts.outside:
        use = "only studies of all records use them" if most is None else "no study uses them"
        notes.append(
            f"column {column!r}: {cohorts.outside} records are in no cohort, because they have no "
            f"date or category there; {use}"
        )
    if cohorts.beyond:
        notes.append(
            f"column {column!r}: {cohorts.beyond} records are not used, because their persons are in "
            f"more than {most} cohorts and only the first {most} of a person count (per_person)"
        )
    return notes


def _problem(seal: Seal, schema: Schema, cohorts: CohortRows | None) -> str:
    place = f"cohort {seal.cohort.name} ({seal.cohort.column!r})"
    if cohorts is None:
        return ""  # no cohort can be asked for, and a study of all records is charged to everybody
    if cohorts.cut.column != seal.cohort.column or bool(cohorts.labels) != bool(seal.cohort.label):
        return (
            f"{place}: was charged, and the schema cuts the table by {cohorts.cut.column!r} now; cut it "
            f"by {seal.cohort.column!r} as before"
        )
    if seal.schema != columns_digest(schema):
        return (
            f"{place}: was charged under other columns, so nobody can tell whether it has changed; take "
            "the schema of then, or take the cohorts out of it"
        )
    if cohorts.digest(seal.cohort) != seal.records:
        return f"{place}: has changed since it was charged; {_REMEDY}{seal.cohort.name}"
    return ""
