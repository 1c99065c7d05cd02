"""For users of SDV: metadata in, `fit`, `sample(num_rows)` out; docs/SDV.md has their steps beside ours.

Nothing here imports SDV. Metadata is an object with `to_dict()`, such a dict, or its JSON file.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import pandas as pd

from fedsynth.fitting import fit
from fedsynth.inputs import Sites, Table, name_of, table_of
from fedsynth.notices import in_python
from fedsynth.options import Options, whole, wrong
from fedsynth.result import Result, load
from fedsynth.schemas import Schema, tell_notes
from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_SCHEMA_BYTES, read_limited
from fedsynth_release.drafting.histories import draft_as_wished
from fedsynth_release.drafting.wishes import Kind, Wishes

METADATA = "metadata.json"
_MODELLED = ("numerical", "datetime", "boolean")


class Synthesizer:
    """A synthesizer with the methods of SDV's, whose rows come from a study under ε.

    Attributes:
        result: the finished study, once `fit` has run: report, ε, evaluation, schema.
    """

    def __init__(self, metadata: object = None, **options: Any) -> None:
        """Say what the table is and how the study runs.

        Args:
            metadata: SDV's metadata of one table; without it, columns are taken for what they look
                like. A sequence key and a sequence index make the rows events of histories.
            **options: those of `fedsynth.fit`, such as `epsilon=1`, `target="income"`, `sites=5`.

        Raises:
            InputError: an option cannot be used, or the metadata is about several tables.
        """
        self.metadata = metadata
        self._options = dict(options)
        with in_python():
            Options(**options)
            self._document = _document(metadata)
            if self._document is not None and options.get("schema") is not None:
                raise InputError("metadata: pass it or schema, not both")
        self._wrapped: str | None = None
        self._result: Result | None = None

    @property
    def result(self) -> Result:
        """The finished study.

        Raises:
            InputError: `fit` has not run.
        """
        if self._result is None:
            raise InputError("this synthesizer has learned nothing yet; call fit(data) first")
        return self._result

    @in_python()
    def fit(self, data: Table | Sites) -> Self:
        """Learn from a table, from `{name: table}` as of SDV 2, or from a table of each site.

        Raises:
            InputError: the table does not fit the metadata or the options.
        """
        if isinstance(data, Mapping) and len(data) == 1:
            self._wrapped, data = next(iter(data.items()))
        if self._document is None:
            self._result = fit(data, **self._options)
            return self
        tables = list(data.values()) if isinstance(data, Mapping) else [data]
        whole_table = pd.concat([table_of(table, "data") for table in tables], ignore_index=True)
        drafted = self._drafted(whole_table, self._wrapped or name_of(data))
        kept = {
            k: v for k, v in self._options.items() if k not in ("person_key", "order", "target")
        }
        self._result = fit(data, **{**kept, "schema": drafted})
        return self

    def _drafted(self, frame: pd.DataFrame, name: str) -> Schema:
        """The schema of a table whose kinds of columns the metadata names."""
        document = self._document or {}
        columns: dict[str, Any] = document["columns"]
        if odd := sorted(set(columns) ^ set(frame.columns)):
            where = "the metadata" if odd[0] in columns else "the table"
            raise InputError(f"column {odd[0]!r} is in {where} only; both need the same columns")
        options = self._options
        wishes = Wishes(
            options.get("target"),
            person_key=options.get("person_key", document.get("sequence_key")),
            order=options.get("order", document.get("sequence_index")),
            kinds=_kinds(document),
        )
        made = draft_as_wished(frame, name, wishes)
        tell_notes(made.notes)
        return Schema.of(made.schema)

    def sample(self, num_rows: int | None = None, *, seed: int | None = None) -> Any:
        """Draw rows: a DataFrame, or `{name: DataFrame}` if `fit` got the table in a dict."""
        return self._as_given(self.result.sample(num_rows, seed=seed))

    @in_python()
    def sample_from_conditions(self, conditions: Sequence[Any], *, seed: int | None = None) -> Any:
        """Draw rows for each of SDV's conditions, or for each `{"num_rows": 5, "column_values": {}}`.

        No row is drawn and thrown away, so a rare condition takes as long as a common one.
        """
        if isinstance(conditions, str) or not isinstance(conditions, Sequence) or not conditions:
            raise wrong("conditions", "a list of SDV's conditions", conditions)
        drawn = []
        for place, condition in enumerate(conditions):
            rows, values = _condition(condition)
            chosen = None if seed is None else seed + place
            if isinstance(values, pd.DataFrame):
                drawn.append(self.result.sample(given=values, seed=chosen))
            else:
                drawn.append(self.result.sample(rows, where=values, seed=chosen))
        return self._as_given(pd.concat(drawn, ignore_index=True))

    def sample_remaining_columns(
        self, known_columns: pd.DataFrame, *, seed: int | None = None
    ) -> Any:
        """Draw the other columns of rows whose known columns are given."""
        return self._as_given(self.result.sample(given=known_columns, seed=seed))

    def get_metadata(self) -> object:
        """The metadata as it was given."""
        return self.metadata

    def get_parameters(self) -> dict[str, Any]:
        """The options as they were given."""
        return dict(self._options)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The same, by scikit-learn's name."""
        return self.get_parameters()

    @in_python()
    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write the result, as `Result.save` does, and the metadata beside it."""
        place = self.result.save(folder, force=force)
        if self._document is not None:
            # SDV notes ranges and values that it found in the table: for their owner alone
            write_output(place / METADATA, json.dumps(self._document, indent=1) + "\n", 0o600)
        return place

    @classmethod
    @in_python()
    def load(cls, folder: Path | str) -> Self:
        """Read what `save` wrote."""
        result = load(folder)
        known = Path(folder) / METADATA
        loaded = cls(str(known) if known.is_file() else None)
        loaded.metadata = loaded._document
        loaded._options = result.get_params()
        loaded._result = result
        return loaded

    def _as_given(self, rows: pd.DataFrame) -> Any:
        return rows if self._wrapped is None else {self._wrapped: rows}

    def __repr__(self) -> str:
        done = (
            "not fitted yet" if self._result is None else f"fitted, ε = {self.result.epsilon:.4f}"
        )
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return f"fedsynth.Synthesizer({options}), {done}"


def _document(metadata: object) -> dict[str, Any] | None:
    """The metadata of one table as a dict."""
    if metadata is None:
        return None
    if isinstance(metadata, str | Path):
        metadata = _read(Path(metadata))
    elif hasattr(metadata, "to_dict"):
        metadata = metadata.to_dict()
    if not isinstance(metadata, Mapping):
        raise wrong("metadata", "SDV's metadata, a dict or the path of its JSON file", metadata)
    tables = metadata.get("tables")
    if isinstance(tables, Mapping):
        if len(tables) != 1:
            raise InputError(f"metadata: describes {len(tables)} tables; a study has one")
        metadata = next(iter(tables.values()))
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("columns"), Mapping):
        raise InputError("metadata: expected SDV's, an object with columns or with one table")
    return dict(metadata)


def _read(path: Path) -> object:
    try:
        return json.loads(read_limited(path, MAX_SCHEMA_BYTES))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise InputError(f"{path}: not a JSON file") from None


def _kinds(document: Mapping[str, Any]) -> dict[str, Kind]:
    """The kinds that metadata names and cells do not show; the rest is drafted from the cells."""
    keys = document.get("primary_key")
    named = {keys} if isinstance(keys, str) else set(keys or ())
    kinds: dict[str, Kind] = {}
    for name, fields in document["columns"].items():
        known = fields if isinstance(fields, Mapping) else {}
        sort = known.get("sdtype", "unknown")
        if name in named or sort == "id":
            kinds[name] = "id"
        elif sort in ("categorical", "ordinal") and not known.get("pii"):
            kinds[name] = "categorical"
        elif sort == "unknown":
            kinds[name] = "text"
        elif sort not in _MODELLED and known.get("pii", True):
            kinds[name] = "id"  # what SDV calls personal: names, addresses, phone numbers
    return kinds


def _condition(condition: Any) -> tuple[int, Mapping[str, object] | pd.DataFrame]:
    """How many rows, and what they hold: of SDV's conditions or of a dict like them."""
    if hasattr(condition, "get_dataframe"):
        return 0, cast("pd.DataFrame", condition.get_dataframe())
    if isinstance(condition, Mapping):
        rows, values = condition.get("num_rows", 1), condition.get("column_values")
    else:
        rows = getattr(condition, "num_rows", 1)
        values = getattr(condition, "column_values", None)
    if not isinstance(values, Mapping):
        raise wrong("conditions", "conditions with column_values", condition)
    whole("num_rows", rows, 1)
    return int(rows), values
