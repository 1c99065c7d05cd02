"""Counts the records of a table that break the rules of its schema.

The counts are private and for the site's own people. A table's cells are judged after the encoding
has repaired them (clamped, rounded), because a study sees the repaired cells.
"""

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Int64Array
from fedsynth_common.encoding.encoder import encode_column, whole_ticks
from fedsynth_common.schema.columns import BooleanColumn, CategoricalColumn, ModelledColumn
from fedsynth_common.schema.domain import MISSING, domain_of
from fedsynth_common.schema.rule_compiler import compile_rules
from fedsynth_common.schema.rules import Unique
from fedsynth_common.schema.schema import Schema
from fedsynth_common.tables import factorise


def rule_violations(frame: pd.DataFrame, schema: Schema) -> dict[str, int]:
    """By rule, how many records of a table break it. Private: for the site's own eyes.

    Raises:
        InputError: a cell that the schema has no place for.
    """
    counts = violations_within_records(frame, schema)
    for rule in schema.rules:
        if isinstance(rule, Unique):
            counts[rule.name] = _repeated(frame, rule.column)
    return {rule.name: counts[rule.name] for rule in schema.rules}


def violations_within_records(frame: pd.DataFrame, schema: Schema) -> dict[str, int]:
    """The same of the rules that look at one record at a time, so that counts of chunks add up.

    Raises:
        InputError: a cell that the schema has no place for.
    """
    forms = compile_rules(schema)
    cells = {
        place: values_of(frame[schema.modelled[place].name], schema.modelled[place])
        for place in sorted({place for form in forms for place in form.places})
    }
    broken: dict[str, BoolArray] = {}
    for form in forms:
        none = np.zeros(len(frame), dtype=bool)
        broken[form.name] = broken.get(form.name, none) | ~form.holds(cells)
    return {name: int(flags.sum()) for name, flags in broken.items()}


def values_of(series: pd.Series, column: ModelledColumn) -> Int64Array:
    """A table's cells as values.

    Raises:
        InputError: a text that is no category where there is no `other`.
    """
    if isinstance(column, CategoricalColumn | BooleanColumn):
        codes = encode_column(series, column)[0].astype(np.int64)
        missing = domain_of(column).missing
        return codes if missing is None else np.where(codes == missing, MISSING, codes)
    ticks, absent, _ = whole_ticks(series, column, domain_of(column))
    return np.where(absent, MISSING, ticks)


def _repeated(frame: pd.DataFrame, name: str) -> int:
    if name not in frame:
        return 0
    cells, texts = factorise(frame[name])
    counts = np.bincount(cells[cells >= 0], minlength=len(texts))
    return int(np.maximum(counts - 1, 0).sum())
