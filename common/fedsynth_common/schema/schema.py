"""The public schema of a study: the one thing all sites and the coordinator agree on first.

A schema is declared (written or reviewed by people from public knowledge). A draft made from data
carries `origin = "drafted from data"` for as long as nobody has reviewed it, since its bounds and
categories are facts about the records that no privacy budget paid for.

Guarantees: immutable; `from_json(to_json(s)) == s`; equal schemas give equal text, one column a
line, so that a hash of it identifies the schema and a diff of two versions is readable. A faulty
file gives one line per fault that names the file, the column and the field.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_SCHEMA_BYTES
from fedsynth_common.schema.cohort_columns import check_cohorts
from fedsynth_common.schema.cohorts import Cohort, Cohorts
from fedsynth_common.schema.columns import (
    CategoricalColumn,
    Column,
    IdColumn,
    ModelledColumn,
    Name,
    TextColumn,
)
from fedsynth_common.schema.domain import FineDomain, domain_of
from fedsynth_common.schema.histories import Histories, history_layout
from fedsynth_common.schema.rule_compiler import compile_rules
from fedsynth_common.schema.rules import Rule, Unique, columns_of
from fedsynth_common.schema.schema_text import fault_line, line_of
from fedsynth_common.validated import faults_of, read_text

Origin = Literal["declared", "drafted from data"]
MAX_ROWS_PER_PERSON = 1_000
"""As many as the accountant takes (`privacy.events.CountsEvent.sensitivity`)."""


class Schema(BaseModel):
    """Columns in order, with the roles that some of them play.

    `rows_per_person` is the most rows of one person that a site uses; it needs a `person_key`.
    `site_column` names the categorical column that says which site a record is from, if it is
    published; every site fills it with its own name. `histories` says that a row is an event of a
    person; `rows_per_person` is then their `max_events`, and need not be written. `cohorts` names the
    column that cuts a growing table into parts.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    name: Name
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=2000)]
    target: Name | None = None
    person_key: Name | None = None
    rows_per_person: Annotated[int, Field(ge=1, le=MAX_ROWS_PER_PERSON)] = 1
    origin: Origin = "declared"
    site_column: Name | None = None
    rules: Annotated[tuple[Rule, ...], Field(max_length=200)] = ()
    histories: Histories | None = None
    cohorts: Cohorts | None = None

    @model_serializer(mode="wrap")
    def _flat_as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave histories and cohorts out where there are none: older texts and hashes stay."""
        fields: dict[str, Any] = handler(self)
        for later in ("histories", "cohorts"):
            if getattr(self, later) is None:
                fields.pop(later, None)
        return fields

    @model_validator(mode="after")
    def _valid_roles(self) -> Self:
        names = Counter(column.name for column in self.columns)
        repeated = sorted(name for name, times in names.items() if times > 1)
        if repeated:
            raise ValueError(f"column {repeated[0]!r} is declared more than once")
        if not self.modelled:
            raise ValueError("columns: at least one must not be an id or a text")
        if self.target is not None and self.target not in {c.name for c in self.modelled}:
            raise ValueError(f"target {self.target!r} is not one of the modelled columns")
        if self.person_key is not None and self.person_key not in self.ids:
            raise ValueError(f"person_key {self.person_key!r} is not a column of kind 'id'")
        if self.person_key is None and self.rows_per_person != 1:
            raise ValueError("rows_per_person above 1 needs a person_key")
        self._check_site_column()
        if self.cohorts is not None:
            check_cohorts(self.cohorts, self.columns, self.person_key, self.histories is not None)
        return self

    def _check_site_column(self) -> None:
        if self.site_column is None:
            return
        declared = [c for c in self.columns if c.name == self.site_column]
        if not declared or not isinstance(declared[0], CategoricalColumn):
            fault = "is not a column of kind 'categorical' that lists the names of the sites"
            raise ValueError(f"site_column {self.site_column!r} {fault}")

    @model_validator(mode="after")
    def _valid_histories(self) -> Self:
        if (histories := self.histories) is None:
            return self
        if self.person_key is None:
            raise ValueError("histories need a person_key")
        if "rows_per_person" not in self.model_fields_set:
            self.__dict__["rows_per_person"] = histories.max_events  # the one place that decides
        if self.rows_per_person != histories.max_events:
            raise ValueError("rows_per_person must be histories.max_events; leave it out")
        history_layout(histories, self.modelled)
        if self.site_column in histories.events:
            raise ValueError(f"histories.events: {self.site_column!r} is the site_column")
        restored = {histories.order, *histories.grows}
        for rule in self.rules:
            if not isinstance(rule, Unique) and (named := restored.intersection(columns_of(rule))):
                raise ValueError(
                    f"rule {rule.name!r}: column {min(named)!r} is restored from its value at the "
                    "first event and the changes after it, so a rule about it cannot be kept; "
                    "declare the rule on a duration or another column of the event"
                )
        return self

    @model_validator(mode="after")
    def _valid_rules(self) -> Self:
        if self.rules:
            try:
                compile_rules(self)
            except InputError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def modelled(self) -> tuple[ModelledColumn, ...]:
        """The columns that are encoded and synthesised: all but ids and free texts."""
        return tuple(c for c in self.columns if not isinstance(c, IdColumn | TextColumn))

    @property
    def unmodelled(self) -> tuple[IdColumn | TextColumn, ...]:
        """The ids and free texts: no cell of them is read for modelling."""
        return tuple(c for c in self.columns if isinstance(c, IdColumn | TextColumn))

    @property
    def in_cohorts_of_persons(self) -> bool:
        """Whether the rows of persons are cut into cohorts."""
        return self.cohorts is not None and self.person_key is not None

    @property
    def cohorts_per_person(self) -> int | None:
        """In how many cohorts rows of one person are used; None where persons are in no cohorts."""
        return self.cohorts.per_person if self.cohorts and self.person_key is not None else None

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the id columns."""
        return tuple(c.name for c in self.columns if isinstance(c, IdColumn))

    @property
    def surrogates(self) -> tuple[IdColumn | TextColumn, ...]:
        """The columns that are made up when records are drawn."""
        return tuple(c for c in self.unmodelled if c.has_surrogate)

    @property
    def target_index(self) -> int | None:
        """Position of the target among the modelled columns."""
        names = [column.name for column in self.modelled]
        return None if self.target is None else names.index(self.target)

    def column(self, name: str) -> ModelledColumn | IdColumn | TextColumn:
        """The column of that name.

        Raises:
            InputError: no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise InputError(f"schema {self.name!r} has no column {name!r}")

    def cohort(self, name: str) -> Cohort:
        """The cohort of that name.

        Raises:
            InputError: the schema has no cohorts, or none of that name.
        """
        if self.cohorts is None:
            raise InputError(
                f"cohort {name!r}: schema {self.name!r} has no cohorts; declare the column that cuts "
                'the table, such as "cohorts": {"column": "admitted", "every": "quarter"}'
            )
        column = self.column(self.cohorts.column)
        if isinstance(column, CategoricalColumn) and name not in column.categories:
            raise InputError(f"cohort {name!r}: not a category of column {column.name!r}")
        return self.cohorts.cohort(name)

    def without(self, name: str) -> "Schema":
        """The schema without a column, the rules about it, and its part as the site column."""
        kept = {
            "columns": tuple(c for c in self.columns if c.name != name),
            "rules": tuple(rule for rule in self.rules if name not in columns_of(rule)),
            "site_column": None if self.site_column == name else self.site_column,
            "histories": self.histories and self.histories.without(name),
            "cohorts": None if self.cohorts and self.cohorts.column == name else self.cohorts,
        }
        return self.model_copy(update=kept)

    def to_json(self) -> str:
        """Canonical JSON, one column and one rule a line."""
        fields = self.model_dump(mode="json")
        lists = {"columns": fields.pop("columns"), "rules": fields.pop("rules")}
        if fields["site_column"] is None:
            del fields["site_column"]
        text = json.dumps(fields, ensure_ascii=False, indent=1)[:-2]
        for name, entries in lists.items():
            if entries:
                lines = ",\n  ".join(line_of(entry) for entry in entries)
                text += f',\n "{name}": [\n  {lines}\n ]'
        return text + "\n}\n"

    @classmethod
    def from_json(cls, text: str, source: str = "schema") -> "Schema":
        """Read a schema; `source` is the name that messages give the text.

        Raises:
            InputError: too long, not JSON or not a valid schema; one line for each of the first
                faults.
        """
        if len(text) > MAX_SCHEMA_BYTES:
            fault = f"longer than the {MAX_SCHEMA_BYTES:,} characters that a schema may have"
            raise InputError(f"{source}: {fault}")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            lines = (fault_line(place, fault, text) for place, fault in faults_of(error, cls))
            raise InputError("\n".join(f"{source}: {line}" for line in lines)) from None

    @classmethod
    def load(cls, path: Path | str) -> "Schema":
        """Read a schema file.

        Raises:
            InputError: missing, unreadable or faulty.
        """
        return cls.from_json(read_text(Path(path), MAX_SCHEMA_BYTES), source=str(path))

    def save(self, path: Path | str, *, private: bool = False) -> None:
        """Write the schema as JSON, and replace the file if it exists.

        Args:
            path: The file.
            private: Whether only its owner may read it.

        Raises:
            InputError: the file cannot be written.
        """
        write_output(Path(path), self.to_json(), 0o600 if private else None)


def domains(schema: Schema) -> tuple[FineDomain, ...]:
    """The fine domains of the modelled columns, in order."""
    return tuple(domain_of(column) for column in schema.modelled)
