"""Finds the texts by which a table says that a cell is missing: `NA`, `NULL`, `-`, `?`.

A mark is declared in the schema, and then holds wherever the column is read. Which texts are marks is
decided by what they are among: among numbers and dates, `unknown` says that there is no value; among
categories it is one, and only texts that programs write for a missing cell are marks. Two-letter
codes can hold `NA` (Namibia), so it stays a code among such codes.
"""

import re

import numpy as np

from fedsynth_common.array_types import BoolArray
from fedsynth_common.identifiers.headings import word_set
from fedsynth_common.schema.column_base import PROGRAM_MARKS
from fedsynth_release.drafting.tally import Values

_WORDS = word_set(
    """none unknown unk missing unspecified undefined blank empty n.d. nd n/d n.b. k.a. keine
    unbekannt inconnu desconocido sconosciuto #value! #ref! #div/0! #name?"""
) | {"not available", "not known", "not recorded", "no data", "not done", "not applicable"}
_CODE = re.compile(r"[A-Z]{2}")
MANY_CODES = 10


def marks_among_values(values: Values) -> BoolArray:
    """Which texts are marks in a column whose other cells are numbers or dates."""
    return np.array([text.lower() in PROGRAM_MARKS | _WORDS for text in values.texts], dtype=bool)


def marks_among_categories(values: Values) -> BoolArray:
    """Which texts are marks in a column of categories."""
    codes = sum(_CODE.fullmatch(text) is not None for text in values.texts)
    letters = codes > MANY_CODES and codes > 0.8 * len(values.texts)
    return np.array(
        [
            text.lower() in PROGRAM_MARKS and not (letters and _CODE.fullmatch(text))
            for text in values.texts
        ],
        dtype=bool,
    )


def marked(values: Values, which: BoolArray) -> tuple[str, ...]:
    """The marks, as they are written."""
    return tuple(sorted(text for text, is_mark in zip(values.texts, which, strict=True) if is_mark))
