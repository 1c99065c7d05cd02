"""Checks whether a site's table is fit to be served, as far as that is known before a study starts.

The check runs at the site. Its results (counts of repairs, numbers of records) are private to the
site's operator. A heading that the schema does not know is named by its position only, because in a
file without a heading row the first line is a person's record. No message holds a cell's value.

The table is read once, in chunks, and each chunk is checked and encoded. So the records that are
served are those that were checked, even if the file is replaced meanwhile. A *problem* keeps a vault
from starting; a *note* is for a person to consider.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from fedsynth_client.budget.cohort_seals import SealBook
from fedsynth_client.budget.policy import Policy
from fedsynth_client.preflight.cohort_check import cohort_notes, cohort_problems
from fedsynth_client.preflight.column_check import ColumnCheck, ColumnReport
from fedsynth_client.preflight.history_notes import cut_notes, repair_notes
from fedsynth_client.records.cohort_rows import missing_column
from fedsynth_client.records.guarded_reading import without_values
from fedsynth_client.records.person_events import HistoryCounts
from fedsynth_client.records.person_keys import MissingKeyError, UniqueCells
from fedsynth_client.records.records import RecordsBuilder
from fedsynth_client.records.site_column import lacks_site_name, site_name_fault, with_site_name
from fedsynth_client.records.sources import FrameSource, Source
from fedsynth_common.encoding import EncodedTable
from fedsynth_common.encoding.violations import violations_within_records
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.schema import Schema, Unique


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """The result for a whole table. Private to the site.

    `digest` is the SHA-256 of the encoded records. It is the same for the same table, whether the
    table is a file or a database. `histories` counts persons and events, where the schema has
    histories and the table has no problems.
    """

    columns: tuple[ColumnReport, ...]
    units: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    digest: str = ""
    histories: HistoryCounts | None = None

    def require_fit(self) -> None:
        """Do nothing if there is no problem; else raise an error that lists every problem, one a line.

        Raises:
            FedsynthError: there are problems.
        """
        if self.problems:
            count = len(self.problems)
            lines = "\n  ".join(self.problems)
            raise FedsynthError(f"the table is not fit to be served, {count} problems:\n  {lines}")


def preflight(
    table: pd.DataFrame | Source,
    schema: Schema,
    policy: Policy,
    waived: Collection[str] = (),
    max_repaired: float = MAX_REPAIRED,
    book: SealBook | None = None,
) -> Preflight:
    """Check a table against schema, policy and waivers.

    Args:
        table: The records.
        schema: The public schema.
        policy: Says how many records, or persons, there must be.
        waived: Columns that a person has found to be no identifiers.
        max_repaired: The largest share of a column's cells that may not fit the schema.
        book: The seals of the cohorts that were charged here.

    Raises:
        FedsynthError: the table cannot be read.
    """
    keep = schema.histories is not None  # what is repaired is seen once all events are in order
    inspection = Inspection(schema, policy, waived, max_repaired=max_repaired, keep=keep, book=book)
    try:
        inspection.read(FrameSource(table) if isinstance(table, pd.DataFrame) else table)
        result = inspection.result()
        if result.histories is None or schema.histories is None:
            return result
        inspection.records.finish(Randomness())
        repaired = repair_notes(inspection.records.kept_counts, schema.histories)
        return replace(result, notes=(*result.notes, *repaired))
    finally:
        inspection.records.close()


class Inspection:
    """Checks the chunks of a table and collects their codes in `records`."""

    def __init__(
        self,
        schema: Schema,
        policy: Policy,
        waived: Collection[str] = (),
        *,
        max_repaired: float = MAX_REPAIRED,
        scratch: Path | None = None,
        keep: bool = False,
        book: SealBook | None = None,
    ) -> None:
        """If `keep` is true, the codes are kept, and `records` can be finished after the check."""
        self._book = book or SealBook()
        self._schema, self._policy, self._waived = schema, policy, waived
        self._checks = {c.name: ColumnCheck(c, max_repaired) for c in schema.modelled}
        self._headings: list[str] = []
        self._broken: Counter[str] = Counter()
        self._unique = {
            rule.name: UniqueCells(rule.column) for rule in schema.rules if isinstance(rule, Unique)
        }
        self._rows, self._unkeyed, self._unnamed = 0, "", False
        self.records = RecordsBuilder(schema, scratch, keep, self._book.key)

    def read(self, source: Source) -> None:
        """Check a whole table.

        Raises:
            FedsynthError: the table cannot be read.
        """
        for chunk in source.chunks():
            with without_values("checking the table"):
                self._add(chunk)

    def _add(self, chunk: pd.DataFrame) -> None:
        self._unnamed = self._unnamed or lacks_site_name(chunk, self._schema)
        chunk = with_site_name(chunk, self._schema, self._policy.site)
        self._headings = [str(name) for name in chunk.columns]
        encoded = self._encoded(chunk)
        for name, check in self._checks.items():
            if name in chunk.columns:
                repairs = encoded.repairs[name] if encoded else None
                check.add(chunk[name], repairs, self._rows)
        self._rows += len(chunk)
        if encoded is None:
            return
        if self._schema.rules:
            self._broken.update(violations_within_records(chunk, self._schema))
        for cells in self._unique.values():
            cells.add(chunk)

    def _encoded(self, chunk: pd.DataFrame) -> EncodedTable | None:
        try:
            return self.records.add(chunk)
        except MissingKeyError as error:
            self._unkeyed = self._unkeyed or str(error)
        except InputError:  # what is wrong is found out column by column
            pass
        return None

    def result(self) -> Preflight:
        """What was found."""
        columns = tuple(
            check.report(name in self._waived)
            for name, check in self._checks.items()
            if name in self._headings
        )
        problems = [*self._heading_problems(), *self._waiver_problems()]
        problems += [problem for report in columns for problem in report.problems(self._rows)]
        units = self._rows if self._schema.person_key is None else self.records.units
        problems += self._unit_problems(units, sound=not problems)
        if not problems:
            problems += cohort_problems(self._book.seals, self._schema, self.records.cohorts)
        notes = [note for report in columns for note in report.notes(self._rows)]
        broken = self._broken + Counter({n: cells.repeated for n, cells in self._unique.items()})
        notes += [
            f"rule {rule.name!r}: {broken[rule.name]} records break it, synthetic ones never will"
            for rule in self._schema.rules
            if broken[rule.name]
        ]
        if self._unnamed and self._schema.site_column in self._headings:
            notes.append(
                f"column {self._schema.site_column!r}: not in the table, filled with this site's name, "
                f"{self._policy.site!r}"
            )
        if self._schema.origin != "declared":
            notes.insert(0, "the schema is drafted from data and not private; have it reviewed")
        if not problems and self.records.cohorts is not None:
            notes += cohort_notes(self.records.cohorts)
        counts = None
        if self._schema.histories is not None and not problems:
            counts = self.records.history_counts
            notes += cut_notes(counts, self._schema.histories)
        return Preflight(
            columns=columns,
            units=units,
            problems=tuple(problems),
            notes=tuple(notes),
            digest=self.records.digest,
            histories=counts,
        )

    def _heading_problems(self) -> list[str]:
        declared = [column.name for column in self._schema.columns]
        lacking = [c.name for c in self._schema.modelled if c.name not in self._headings]
        places = enumerate(self._headings, 1)
        unknown = [str(place) for place, name in places if name not in declared]
        problems = [
            site_name_fault(self._schema, self._policy.site)
            if name == self._schema.site_column
            else f"column {name!r}: of the schema, but not in the table"
            for name in lacking
        ]
        if (cut := self._schema.cohorts) and cut.column not in self._headings:
            problems.append(missing_column(cut))
        if unknown:
            listed = ", ".join(unknown[:8]) + (", ..." if len(unknown) > 8 else "")
            problems.append(
                f"{len(unknown)} headings of the table are not in the schema (columns number "
                f"{listed}); remove the columns, declare them as ids, ignore them in the "
                "configuration, or add the heading row"
            )
        return problems

    def _waiver_problems(self) -> list[str]:
        modelled = {column.name for column in self._schema.modelled}
        unknown = (name for name in self._waived if name not in modelled)
        return [f"waived {name!r}: no modelled column of the schema" for name in unknown]

    def _unit_problems(self, units: int, *, sound: bool) -> list[str]:
        """Why the number of records or persons will not do; persons need a table without faults."""
        key, least = self._schema.person_key, self._policy.min_records
        if self._unkeyed:
            return [self._unkeyed]
        if key is not None and key not in self._headings:
            return [f"column {key!r}: the schema's person key is missing from the table"]
        if units >= least or not (sound or key is None):
            return []
        unit = "records" if key is None else "persons"
        return [f"{units} {unit}: the policy's min_records wants at least {least}"]
