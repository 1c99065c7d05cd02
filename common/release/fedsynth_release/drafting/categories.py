"""Drafts categories, and decides which of them are listed.

A short list is complete: it gets no cell for other texts, because a table that holds `0` and `1` alone
should not come back with a third value. Of a long list the rare texts are left to `other`, since a
text that fewer than five records have can point at a person; the draft says how many these are. A
column in which they would be more than a fifth of the cells holds texts and not categories: it is not
modelled, which the draft says too.
"""

from collections.abc import Sequence

import numpy as np

from fedsynth_common.identifiers.headings import word_set, words_of
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    IntegerColumn,
    Storage,
    TextColumn,
    other_among,
)
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.persons import of_one_form, surrogate_pattern
from fedsynth_release.drafting.tally import Values

FEW = 20  # up to so many distinct texts are a complete list; so many distinct numbers may be codes
MOST_LISTED = 1_000  # where fewer would leave more than `MOST_OTHER` of the cells
MOST_OTHER = 0.2
RARE = 5  # records
LONG_CODE = 4  # digits
YES_NO = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"))
_COUNTED = word_set("num number count years total n")
_CODED = word_set(
    """code codes zip icd loinc cpt drg ndc type category class status education marriage
    marital race sex gender ethnicity region state county country group segment level grade
    kind cluster stage zone district division sector industry occupation naics sic product
    sku item department ward unit specialty source disposition payer channel relationship
    religion language"""
)


def boolean(values: Values, marks: tuple[str, ...]) -> BooleanColumn | None:
    """A column of two texts such as yes and no; None where they say something else."""
    by_meaning = {text.lower(): text for text in values.texts}
    for yes, no in YES_NO:
        if len(values.texts) == 2 and set(by_meaning) == {yes, no}:
            typed = values.stored == "boolean" or set(values.texts) == {"True", "False"}
            return BooleanColumn(
                name=values.name,
                true=by_meaning[yes],
                false=by_meaning[no],
                nullable=bool(values.missing or marks),
                missing_marks=marks,
                stored_as="boolean" if typed else None,
            )
    return None


def categorical(
    values: Values, marks: tuple[str, ...], max_categories: int, *, target: bool = False
) -> tuple[CategoricalColumn | IdColumn | TextColumn, list[Note]]:
    """A column of categories, or one that is not modelled, and what to tell about it."""
    order = np.lexsort((np.array(values.texts), -values.counts))
    least = 0 if target or values.distinct <= min(FEW, max_categories) else RARE
    frequent = [int(place) for place in order if values.counts[place] >= least]
    most = len(order) if target else max_categories
    listed = frequent[:most]
    covered = values.counts[listed].sum() / max(1.0, values.counts.sum())
    if covered < 1 - MOST_OTHER and max_categories >= FEW:
        listed = frequent[:MOST_LISTED]
        covered = values.counts[listed].sum() / max(1.0, values.counts.sum())
        if covered < 1 - MOST_OTHER:
            return _wordy(values)
    rest = values.distinct - len(listed)
    kept = sorted(values.texts[place] for place in listed)
    notes = []
    if rest:
        cell = other_among(kept) or "other"
        text = (
            f"{rest} of its {values.distinct} texts are rare or beyond the {len(kept)} that are listed; "
            f"they become {cell!r}, {1 - covered:.1%} of the cells"
        )
        notes.append(Note(values.name, text))
    column = CategoricalColumn(
        name=values.name,
        categories=tuple(kept or ["other"]),
        other=rest > 0,
        nullable=bool(values.missing or marks),
        missing_marks=marks,
        stored_as=_storage(values, kept, rest),
    )
    return column, notes


def _storage(values: Values, kept: Sequence[str], rest: int) -> Storage | None:
    """The type in which drawn tables hold the categories."""
    if values.stored == "category":
        return "category"
    if rest or not kept or values.stored == "mixed":
        return None
    whole = all(text.removeprefix("-").isdigit() and str(int(text)) == text for text in kept)
    return "integer" if whole else None


def _wordy(values: Values) -> tuple[IdColumn | TextColumn, list[Note]]:
    """Texts without a pattern are left empty; codes are made up in their form."""
    why = "most of its texts are so rare that they are no categories"
    described = f"Not modelled: {why}."
    count = f"{why} ({values.distinct} different ones)"
    if of_one_form(values):
        pattern = surrogate_pattern(values.texts)
        text = f"not modelled, and made up in drawn tables: {count}"
        column = IdColumn(name=values.name, pattern=pattern, description=described)
        return column, [Note(values.name, text, "warning")]
    text = f"not modelled, and empty in drawn tables: {count}"
    empty = TextColumn(name=values.name, provider="empty", description=described)
    return empty, [Note(values.name, text, "warning")]


def are_codes(values: Values, numbers: np.ndarray, counts: np.ndarray) -> bool:
    """Whether whole numbers are codes and no amounts.

    They are where the heading says so and they are few, where they are few and leave most of their
    range out, or where a limited number of them, all with as many digits, repeats again and again.
    """
    words = words_of(values.name)
    coded = bool(words & _CODED) and not words & _COUNTED
    low, high = int(numbers.min()), int(numbers.max())
    if values.distinct <= FEW:
        return coded or high - low >= 2 * len(numbers)
    if coded and values.distinct <= MOST_LISTED and values.distinct <= values.present / 5:
        return True
    digits = {len(str(abs(int(number)))) for number in numbers}
    round_ones = counts[numbers % 50 == 0].sum() / counts.sum()
    repeated = values.distinct <= min(256, values.present / 20)
    sparse = high - low > 30 * values.distinct
    return (
        len(digits) == 1 and min(digits) >= LONG_CODE and repeated and sparse and round_ones < 0.2
    )


def small_whole(
    values: Values, numbers: np.ndarray, marks: tuple[str, ...], *, odd: bool
) -> IntegerColumn:
    """A few whole numbers that fill their range, with exact bounds."""
    return IntegerColumn(
        name=values.name,
        minimum=int(numbers.min()),
        maximum=int(numbers.max()),
        nullable=bool(values.missing or marks or odd),
        missing_marks=marks,
    )
