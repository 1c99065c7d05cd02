"""Decides which columns name persons or records, and what stands in for them in drawn tables.

Everything that `site check` finds is found here too (`identifiers`), and two things more that a heading
or the form of the texts shows: keys that repeat, since a person has several rows, and record numbers
of one form. Such a column is never modelled. Its surrogate is made of random numbers and is longer
than every text of the table, so it is no real one.

| what is seen | becomes |
|---|---|
| a heading such as `patient`, `MRN`, `Surname`, `phone` over more than a few different values | id |
| e-mail addresses, phone numbers, UUIDs, card numbers, names ... | id |
| more than a few texts of one form with four digits or more, if they are no code list | id |
| a running number, or an id by its heading that is mostly distinct | id |
| free text, or a text of its own for nearly every record | text |
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from fedsynth_common.identifiers.findings import FEW, numbers_look_like, texts_look_like
from fedsynth_common.identifiers.headings import names_a_person, word_set, words_of
from fedsynth_common.schema.columns import IdColumn, TextColumn
from fedsynth_release.drafting.tally import Values

MOST_CODES = 256  # a key with more values names people or events, even if it repeats
ONE_FORM = 0.95  # of the texts have one of the two most frequent forms
FORM_DIGITS = 4
LONG_CODE = 40  # characters
_PERIOD = re.compile(r"(FY ?)?(19|20)\d\d([-/ ]?(Q|W|H|S|M|KW|wk)?\d{1,4})?", re.IGNORECASE)
ID_NAME = re.compile(r"id|.*[_ .]id|id[_ .].*|.*_nbr|(?-i:.*[a-z]I[dD])|key|.*_key", re.IGNORECASE)
_PERSONS = word_set(
    """patient subject person member customer client employee student user participant
    respondent beneficiary bene holder borrower applicant consumer donor taxpayer passenger
    mrd mrn ptid pid uid seqn rid caseid rowid recordid visitid"""
)
_RECORDS = word_set(
    """household encounter hadm stay sid case record account policy claim loan transaction
    admission episode visit order invoice contract"""
)
_NUMBERED = word_set("""id ids no nr nbr num number key identifier code ref uuid guid hash""")
_SURNAMES = word_set("""surname lastname firstname forename fullname maidenname maiden""")
_CODE_LISTS = word_set(
    """icd icd9 icd10 loinc cpt hcpcs drg ndc atc snomed rxnorm rxcui code codes diag diagnosis
    procedure drug product sku item test naics sic occupation industry model part lot type
    category class route airport country currency"""
)
_PROVIDERS = {
    "UUIDs": "uuid",
    "e-mail addresses": "email",
    "phone numbers": "phone",
    "personal names": "name",
}
_FREE = ("free text", "web addresses")


@dataclass(frozen=True)
class Named:
    """A column that names persons or records: what it looks like, and how it is declared."""

    looks_like: str
    column: IdColumn | TextColumn


def named(values: Values, *, numbers: bool, whole: bool) -> Named | None:
    """What the column names, or None where it is one to model.

    Args:
        values: The cells, marks of missing ones left out.
        numbers: Whether they are numbers.
        whole: Whether these are whole.
    """
    if numbers and not whole:
        return None
    if running_number(values, whole):
        return _id(values, "a running number")
    found = (numbers_look_like if numbers else texts_look_like)(
        values.texts, values.distinct, values.present
    )
    if found:
        kind = found[0].kind
        if kind in _FREE or (kind.startswith("a text of its own") and _wordy(values)):
            column = TextColumn(name=values.name, provider="empty", description=_why(kind))
            return Named(kind, column)
        return _id(values, kind.rstrip(","), _PROVIDERS.get(kind))
    return _by_heading(values, numbers)


def keyed(values: Values) -> IdColumn:
    """A column that somebody calls an id, with a surrogate of its own form."""
    found = named(values, numbers=False, whole=False)
    if found is not None and isinstance(found.column, IdColumn):
        return found.column
    return IdColumn(
        name=values.name,
        pattern=surrogate_pattern(values.texts),
        unique=values.uniqueness >= 0.999 and not values.sampled,
    )


def running_number(values: Values, whole: bool) -> bool:
    """Whether every record has the next whole number."""
    low, high = values.extremes
    run = high - low + 1
    return (
        whole and not values.missing and values.rows > FEW and run == values.rows == _most(values)
    )


def _most(values: Values) -> int:
    """The number of distinct values; an estimate near the number of rows counts as that number."""
    near = values.sampled and abs(values.distinct - values.rows) < 0.05 * values.rows
    return values.rows if near else values.distinct


def _by_heading(values: Values, numbers: bool) -> Named | None:
    words = words_of(values.name)
    provider = "name" if words & _SURNAMES or words <= {"first", "last", "name", "names"} else None
    few = values.distinct <= (2 if provider else FEW)
    if few:
        return None
    keyed = words & _PERSONS and words <= _PERSONS | _NUMBERED
    keyed = keyed or (words & _RECORDS and words & _NUMBERED and words <= _RECORDS | _NUMBERED)
    if keyed or names_a_person(values.name):
        return _id(values, "the name or the number of a person or record, by its heading", provider)
    mostly = values.uniqueness > 0.5 or values.distinct > MOST_CODES
    if ID_NAME.fullmatch(values.name) and mostly:
        return _id(values, "an identifier, by its heading")
    if not numbers and not words & _CODE_LISTS and of_one_form(values):
        return _id(values, "record numbers, all of one form")
    return None


def _wordy(values: Values) -> bool:
    """Whether the texts are words rather than one code each."""
    spaced = sum(" " in text or len(text) > LONG_CODE for text in values.texts)
    return spaced > (1 - ONE_FORM) * len(values.texts)


def of_one_form(values: Values) -> bool:
    """Whether nearly all texts have one form, such as `AA-9999`, with several digits."""
    if all(_PERIOD.fullmatch(text) for text in values.texts):
        return False
    forms = Counter(_form(text) for text in values.texts if len(text) <= 40)
    common = [form for form, _ in forms.most_common(2)]
    alike = sum(forms[form] for form in common)
    return bool(common) and (
        alike >= ONE_FORM * len(values.texts)
        and common[0].count("9") >= FORM_DIGITS
        and " " not in common[0].strip()
    )


def _form(text: str) -> str:
    return re.sub("[0-9]", "9", re.sub("[a-z]", "a", re.sub("[A-Z]", "A", text)))


def _why(kind: str) -> str:
    return f"Not modelled: its cells looked like {kind} when the schema was drafted."


def _id(values: Values, looks_like: str, provider: str | None = None) -> Named:
    """An id with a surrogate that is no text of the table."""
    fields: dict[str, object] = {"name": values.name, "description": _why(looks_like)}
    unique = values.uniqueness >= 0.999 and not values.sampled
    if provider is None:
        fields |= {"pattern": surrogate_pattern(values.texts), "unique": unique}
    else:
        fields |= {"provider": provider, "unique": unique and provider in ("uuid", "email")}
    return Named(looks_like, IdColumn.model_validate(fields, strict=False))


def surrogate_pattern(texts: list[str]) -> str:
    """A pattern of the most frequent form, longer than every text.

    >>> surrogate_pattern(["P-17", "P-18"]), surrogate_pattern(["12", "7"])
    ('[A-Z]-[0-9]{8}', '9[0-9]{9}')
    """
    longest = max(map(len, texts), default=1)
    if all(text.isdigit() for text in texts):
        return f"9[0-9]{{{max(9, longest)}}}"
    form = Counter(_form(text) for text in texts).most_common(1)[0][0]
    last = re.search("9+$", form)
    head = form[: last.start()] if last else form
    if len(head) > 12 or not re.fullmatch(r"[Aa9 _/:-]*", head):
        head = "S-"
    marks = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}
    start = head if head == "S-" else "".join(marks.get(mark, mark) for mark in head)
    digits = min(150, max(8, longest - len(head) + 1))
    return f"{start}[0-9]{{{digits}}}"


def rows_of_a_person(values: Values) -> str:
    """How many rows a value of a repeating key has, in words."""
    if values.sampled:
        return f"about {values.present / values.distinct:.1f} rows for each of its values"
    counts = np.sort(values.counts)
    usual = int(counts[min(len(counts) - 1, int(0.95 * len(counts)))])
    return (
        f"{values.distinct} values with {int(counts[0])} to {int(counts[-1])} rows each, and 95 % of "
        f"them have at most {usual}"
    )
