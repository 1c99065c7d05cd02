"""Conditions as Python writes them, turned into the texts that the sampler reads."""

import csv
import io
from collections.abc import Iterable, Mapping

from fedsynth.options import wrong
from fedsynth_common.errors import InputError
from fedsynth_common.tables import text_of

Where = str | Iterable[str] | Mapping[str, object]
"""`"age>=65"`, several such texts, or `{"sex": "F", "ward": ["a", "b"], "smoker": None}`."""


def conditions(where: Where | None) -> tuple[str, ...]:
    """The conditions as texts.

    Raises:
        WrongTypeError: it is neither a text, nor several, nor a dict.

    >>> conditions({"sex": "F", "ward": ["a", "b, c"], "age": None})
    ('sex=F', 'ward in a,"b, c"', 'age is missing')
    """
    if where is None:
        return ()
    if isinstance(where, str):
        return (where,)
    if isinstance(where, Mapping):
        return tuple(_condition(str(name), value) for name, value in where.items())
    if not isinstance(where, Iterable):
        raise wrong("where", "a condition such as 'age>=65', a list of them or a dict", where)
    texts = tuple(where)
    for text in texts:
        if not isinstance(text, str):
            raise wrong("where", "conditions that are texts, such as 'age>=65'", text)
    return texts


def _condition(name: str, value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        texts = [text_of(one) for one in value]
        listed = [text for text in texts if text is not None]
        if len(listed) < len(texts) or not listed:
            raise InputError(
                f"where: column {name!r}: expected a list of values, none of them empty"
            )
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(listed)
        return f"{name} in {line.getvalue()}"
    text = text_of(value)
    return f"{name} is missing" if text is None else f"{name}={text}"
