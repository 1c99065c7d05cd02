"""The flat schema that a study of histories models: person and event columns side by side."""

from functools import lru_cache

from fedsynth_common.schema.histories import HistoryLayout, history_layout
from fedsynth_common.schema.rules import Unique
from fedsynth_common.schema.schema import Schema


@lru_cache(maxsize=64)
def history_schema(schema: Schema) -> Schema:
    """The schema of the codes at a site: the schema itself, or for histories that of their events.

    Its columns are those of `layout_of`; the person's columns are repeated in each event. It has no
    ids, texts or person key, and the rules that are left are those within an event.

    >>> from fedsynth_common.schema import Histories, IdColumn, IntegerColumn
    >>> columns = (IdColumn(name="id"), IntegerColumn(name="year", minimum=1, maximum=5))
    >>> histories = Histories(order="year", max_events=5, events=("year",), largest_gap=4)
    >>> schema = Schema(name="t", columns=columns, person_key="id", histories=histories)
    >>> [column.name for column in history_schema(schema).columns]
    ['year at first event', 'number of events', 'year since previous event']
    """
    if schema.histories is None:
        return schema
    layout = layout_of(schema)
    names = {column.name for column in layout.columns}
    return Schema(
        name=schema.name,
        columns=layout.columns,
        target=schema.target if schema.target in names else None,
        origin=schema.origin,
        site_column=schema.site_column,
        rules=tuple(rule for rule in schema.rules if not isinstance(rule, Unique)),
    )


@lru_cache(maxsize=64)
def layout_of(schema: Schema) -> HistoryLayout:
    """Where things are in `history_schema`.

    Raises:
        ValueError: the schema has no histories.
    """
    if schema.histories is None:
        raise ValueError(f"schema {schema.name!r} has no histories")
    return history_layout(schema.histories, schema.modelled)
