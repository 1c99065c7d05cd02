"""Recognises numbers when a schema is drafted, in the forms in which people and programs write them.

A column is one of numbers if 95 % of its cells are, marks of missing cells aside. Its cells may have
separators of thousands, a decimal comma, and a currency or a unit. Texts such as `<5` and `90+` are
limits. What is left is counted, told of, and missing. `amounts.py` makes a column of the numbers.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.encoding.written import plain_number
from fedsynth_common.identifiers.headings import word_set
from fedsynth_common.schema.columns import MAX_TICKS
from fedsynth_common.schema.number_format import NumberFormat, limit_tick
from fedsynth_common.tables import numbers_of
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.tally import Values

NEARLY_ALL = 0.95  # of the cells must be numbers, and have no more than the drafted decimals
MAX_NUMBER = MAX_TICKS // 2  # room for bounds rounded outwards; larger ones are codes
FEW_ZEROS = 0.005
MANY_CODES, FEW_CODES = 5, 0.002
_LETTERED = re.compile(r"[A-Z]{1,3}[0-9][0-9.]*[A-Z]?")
LEADING_ZERO = re.compile(r"[+-]?0\d")
_AFFIX = re.compile(
    r"([^\d\s.,'’()+-]{0,8}) ?\(?[+-]?[\d.,'’ \u00a0\u202f]*\d\)? ?([^\d\s.,'’()+-]{0,8})"
)
_CURRENCIES = word_set("""usd eur gbp chf inr rs aud cad jpy cny sek nok dkk pln brl zar kr fr""")
_UNITS = word_set(
    """% ‰ ° °c °f c f kg g mg ug µg ng lb lbs oz cm mm m km mi ft in ml l dl ul h hr hrs hour
    hours min mins s sec ms d day days w week weeks mo month months y yr yrs year years mmhg
    bpm kcal kwh w kw v a mg/dl g/dl mmol/l g/l iu/l u/l k m"""
)
_GROUPINGS = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"))


@dataclass(frozen=True, eq=False)
class Numbers:
    """The distinct numbers of a column.

    Attributes:
        values: The numbers; NaN where a text is a limit or no number.
        texts: The same as programs write them.
        limit: Which texts are limits.
        form: How they are written; None for plainly.
        odd: Which texts are neither.
        notes: What to tell.
    """

    values: Float64Array
    texts: list[str]
    limit: BoolArray
    form: NumberFormat | None
    odd: BoolArray
    notes: tuple[Note, ...] = ()

    @property
    def read(self) -> BoolArray:
        """Which texts are numbers."""
        return ~np.isnan(self.values)

    @property
    def whole(self) -> bool:
        """Whether all numbers are whole."""
        values = self.values[self.read]
        return bool((values == np.rint(values)).all())


def read_numbers(values: Values, decimal: str | None = None) -> Numbers | None:
    """The column as numbers, or None where fewer than 95 % of its cells are.

    Args:
        values: The cells, marks of missing ones left out.
        decimal: The decimal mark, if somebody has said which.
    """
    if not values.texts:
        return None
    limit = np.array([limit_tick(text.replace(",", "."), 12) is not None for text in values.texts])
    form, plain = _form(values, limit, decimal)
    numbers = numbers_of([text or "" for text in plain])
    numbers = np.where(limit | (np.abs(numbers) >= MAX_NUMBER), np.nan, numbers)
    odd = np.isnan(numbers) & ~limit
    if limit.all() or values.share(odd) > 1 - NEARLY_ALL or _codes(values, plain, ~odd & ~limit):
        return None
    if _lettered(values, odd):
        return None
    if values.share(limit) > 0.5 and form is not None and not form.plain:
        return None
    shapes = Counter({_shape(values.texts[k]): int(values.counts[k]) for k in np.flatnonzero(odd)})
    notes = []
    if odd.any():
        cells = max(1, round(float(values.counts[odd].sum())))
        forms = ", ".join(repr(shape) for shape, _ in shapes.most_common(3))
        text = f"{cells} cells are no numbers (they are written like {forms}) and count as missing"
        notes.append(Note(values.name, text, "warning"))
    return Numbers(numbers, [text or "" for text in plain], limit, form, odd, tuple(notes))


def _lettered(values: Values, odd: BoolArray) -> bool:
    """Whether the odd cells are codes of letters and digits, such as V57 among diagnoses."""
    coded = np.array([bool(_LETTERED.fullmatch(text)) for text in values.texts]) & odd
    return int(coded.sum()) >= MANY_CODES and values.share(coded) > FEW_CODES


def _shape(text: str) -> str:
    """The form of a text, which shows no letter and no digit of it."""
    return re.sub("[0-9]", "9", re.sub(r"[^\W\d_]", "a", text))[:20]


def _codes(values: Values, plain: Sequence[str | None], numbers: BoolArray) -> bool:
    """Whether more than a few numbers have zeros in front, as codes have."""
    zero = np.array([bool(text and LEADING_ZERO.match(text)) for text in plain]) & numbers
    lengths = Counter(len(text) for text, read in zip(values.texts, numbers, strict=True) if read)
    one_length = lengths and max(lengths.values()) >= NEARLY_ALL * sum(lengths.values())
    return bool(zero.any() and (one_length or values.share(zero) > FEW_ZEROS))


def _form(
    values: Values, limit: BoolArray, decimal: str | None
) -> tuple[NumberFormat | None, list[str | None]]:
    """The format that reads most of the cells, and the numbers as programs write them."""
    plain: list[str | None] = list(values.texts)
    numbers = ~np.isnan(numbers_of(values.texts))
    if decimal in (None, ".") and (numbers | limit).all():
        return None, plain
    if values.stored in ("integer", "number", "boolean"):
        return None, plain
    best: tuple[float, NumberFormat | None, list[str | None]] = (-1.0, None, plain)
    if decimal in (None, "."):
        best = (values.share(numbers | limit), None, plain)
    prefix, suffix = _affixes(values)
    for point, thousands in _GROUPINGS:
        if decimal not in (None, point):
            continue
        form = NumberFormat.model_validate(
            {"decimal": point, "thousands": thousands, "prefix": prefix, "suffix": suffix}
        )
        read = [plain_number(text, form) for text in values.texts]
        right = ~np.isnan(numbers_of([text or "" for text in read]))
        share = values.share(right | limit)
        if share > best[0] + 1e-9:
            best = (share, form, read)
    _, chosen, read = best
    if chosen is None or chosen.plain:
        return None, read
    return _as_written(chosen, values, numbers), read


def _as_written(form: NumberFormat, values: Values, plain: BoolArray) -> NumberFormat:
    """The format, for reading alone where most of the cells that could show it do not."""
    large = np.array(
        [sum(mark.isdigit() for mark in text.partition(".")[0]) > 3 for text in values.texts]
    )
    shown = (
        large
        if form.thousands and not (form.prefix or form.suffix) and form.decimal == "."
        else None
    )
    usual = values.counts[plain & shown].sum() if shown is not None else values.counts[plain].sum()
    marked = values.counts[~plain].sum()
    return form.model_copy(update={"read_only": bool(usual > marked)})


def _affixes(values: Values) -> tuple[str, str]:
    """The currency or unit before and behind the numbers."""
    before: Counter[str] = Counter()
    behind: Counter[str] = Counter()
    for text, count in zip(values.texts, values.counts.tolist(), strict=True):
        if found := _AFFIX.fullmatch(text):
            before[found[1] if _money(found[1]) else ""] += int(count)
            behind[found[2] if _money(found[2]) or found[2].lower() in _UNITS else ""] += int(count)
    first = max((mark for mark in before if mark), key=before.__getitem__, default="")
    last = max((mark for mark in behind if mark), key=behind.__getitem__, default="")
    space = bool(first) and any(text.startswith(f"{first} ") for text in values.texts[:50])
    gap = bool(last) and any(text.endswith(f" {last}") for text in values.texts[:50])
    return first + " " * space, " " * gap + last


def _money(mark: str) -> bool:
    """Whether a mark is that of a currency: its symbol or its code."""
    return mark.lower() in _CURRENCIES or any(
        unicodedata.category(letter) == "Sc" for letter in mark
    )
