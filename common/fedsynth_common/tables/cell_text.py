r"""One canonical text for one cell, whatever type holds it: a function of the cell alone.

| cell | its text |
|---|---|
| text | itself, without blanks around it; nothing but blanks is missing |
| boolean | `true`, `false` |
| number | its digits without an exponent, without zeros at the end: 1, 1.0 and 1.00 are `1` |
| single precision | the shortest digits that give it back: `0.1`, not `0.10000000149` |
| infinite number | `inf`, `-inf`; NaN is missing |
| date, moment | `2020-01-31`, or `2020-01-31 08:15:00` where it is not midnight; in UTC |
| time of day | `08:15:00`, with a fraction only where there is one |
| bytes | `\\x` and hexadecimal digits |
| None, NA, NaT | missing |
| anything else | as Python writes it |
"""

import datetime
import re
from decimal import Decimal

import numpy as np
import pandas as pd

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_MOST_DIGITS = 400  # more than any double has before or after the point


def text_of(value: object) -> str | None:
    """The canonical text of one cell; None where it is missing.

    >>> text_of(1.0), text_of(Decimal("1.00")), text_of(" 1 "), text_of(True), text_of("")
    ('1', '1', '1', 'true', None)
    """
    if isinstance(value, str):
        if not value.isascii():  # half of a surrogate pair is no character: it becomes "?"
            value = value.encode("utf-8", "replace").decode("utf-8")
        return value.strip() or None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, np.timedelta64):  # which numpy counts among the whole numbers
        return _text_of_object(value)
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return _text_of_float(value)
    if isinstance(value, Decimal):
        return _text_of_decimal(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return _text_of_object(value)


def whole_number(text: str) -> str:
    """The text of a whole number without the zeros behind its point; any other text as it is.

    Programs write a column of whole numbers as `1.0` as soon as one of its cells is missing.

    >>> whole_number("1.0"), whole_number("1.50"), whole_number("007.0")
    ('1', '1.50', '007.0')
    """
    match = _WHOLE.fullmatch(text)
    if not match:
        return text
    return "0" if match[1] == "-0" else match[1]


def _text_of_float(value: float | np.floating) -> str | None:
    # the text of a single-precision number is its shortest one; its double would have more digits
    number = float(str(value)) if isinstance(value, np.float16 | np.float32) else float(value)
    if number != number:
        return None
    if number.is_integer():
        return str(int(number))
    text = repr(number)
    return _text_of_decimal(Decimal(text)) if "e" in text else text


def _text_of_decimal(value: Decimal) -> str | None:
    if value.is_nan():
        return None
    if value.is_infinite():
        return "-inf" if value < 0 else "inf"
    if abs(value.adjusted()) > _MOST_DIGITS:  # no double, and its digits could fill the memory
        return str(value)
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _text_of_object(value: object) -> str | None:
    if isinstance(value, np.datetime64 | np.timedelta64):
        if np.isnat(value):
            return None
        value = _of_pandas(value)
    if isinstance(value, datetime.datetime):
        return _text_of_moment(value)
    if isinstance(value, datetime.timedelta):
        return str(_of_pandas(value))
    if isinstance(value, datetime.time):
        text = str(value)
        return re.sub(r"\.?0+$", "", text) if value.microsecond and not value.tzinfo else text
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    return text_of(str(value))


def _text_of_moment(value: datetime.datetime) -> str:
    if value.tzinfo is not None:
        try:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        except (ValueError, OverflowError, NotImplementedError):  # beyond the years 1 to 9999
            return str(value)
    if isinstance(value, pd.Timestamp):
        midnight = value == value.normalize()
        return str(value).split(" ")[0] if midnight else str(value)
    return str(value.date()) if value.time() == datetime.time() else str(value)


def _of_pandas(value: datetime.timedelta | np.datetime64 | np.timedelta64) -> object:
    """As pandas' own type, which writes all of them alike; as it is if it is too large for that."""
    try:
        if isinstance(value, np.datetime64):
            return pd.Timestamp(value)
        return pd.Timedelta(value)
    except (ValueError, OverflowError):
        return str(value)
